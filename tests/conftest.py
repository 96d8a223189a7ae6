"""Settings for all tests."""

import os

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded; see examples/__init__.py
pytest.register_assert_rewrite("definitions", "drawings", "exports", "random_graphs")  # before a test imports them
