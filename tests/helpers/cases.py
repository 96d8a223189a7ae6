"""Choosing the cases of a test that run by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def mostly_slow(values: Sequence[Any], fast: int) -> list[Any]:
    """Return the values as cases of a test, of which all but the first few are slow: they run in CI alone."""
    return [*values[:fast], *(pytest.param(value, marks=pytest.mark.slow) for value in values[fast:])]
