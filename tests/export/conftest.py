"""Settings for the tests of exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def compiled_functions() -> Iterator[None]:
    """Drop what JAX compiled in a module of tests: random definitions would fill the memory."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
