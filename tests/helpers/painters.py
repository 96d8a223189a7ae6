"""Which painters this machine has. A test that paints is skipped where there is none, and in CI it fails."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

CAN_PAINT = importlib.util.find_spec("pygraphviz") is not None or shutil.which("dot") is not None
BOTH = importlib.util.find_spec("pygraphviz") is not None and shutil.which("dot") is not None
painting = pytest.mark.skipif(not CAN_PAINT and not os.environ.get("CI"),
                              reason="neither pygraphviz nor Graphviz is installed")
