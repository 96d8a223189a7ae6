"""Choosing the cases of a test that run by default; the others are slow, and run in CI alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def mostly_slow(values: Collection[Any], fast: int) -> list[Any]:
    """Return the values as cases of a test: the first few run by default."""
    return [value if number < fast else slow(value) for number, value in enumerate(values)]


def thinned(values: Iterable[Any], n: int) -> list[Any]:
    """Return the values as cases of a test: every nth runs by default."""
    return [slow(value) if number % n else value for number, value in enumerate(values)]


def slow(value: Any) -> Any:
    """Return a case that is slow; a tuple, not a named one, has the values of several arguments."""
    if isinstance(value, type(pytest.param())):
        return pytest.param(*value.values, id=value.id, marks=[*value.marks, pytest.mark.slow])
    return pytest.param(*(value if type(value) is tuple else (value,)), marks=pytest.mark.slow)
