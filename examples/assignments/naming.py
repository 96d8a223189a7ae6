"""Which mistake gives exactly these numbers? A student's result against known wrong variants of the right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from minigrad.gradcheck import cause

Array = NDArray[Any]
EXACT = 1e-9  # of the largest number: rounding in double precision stays below
SINGLE = 1e-5  # what single precision keeps


class Candidate(NamedTuple):
    """A known mistake: what it is called, and what it gives; the edge of the graph that it concerns, if known."""

    mistake: str
    gives: Array
    edge: tuple[str, str] | None = None


def same(a: Array, b: Array, tolerance: float = EXACT) -> bool:
    """Equal up to rounding."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool((np.abs(a - b) <= tolerance * max(1e-3, float(np.abs(b).max(initial=0.0)))).all())


def named(mine: Array, right: Array, candidates: Sequence[Candidate] = ()) -> Candidate | None:
    """The mistake that gives exactly these numbers; None where none that we know does."""
    for candidate in candidates:
        if same(mine, candidate.gives) and not same(candidate.gives, right):
            return candidate
    if same(mine, right, SINGLE):
        return Candidate("right to about seven digits only: somewhere it is computed in float32", mine)
    if not np.isfinite(mine).all():
        return Candidate(f"{(~np.isfinite(mine)).sum()} of {mine.size} numbers are not finite", mine)
    if not mine.any():
        return Candidate("it is all zero", mine)
    known = cause(mine, right)
    return Candidate(known, mine) if known and "everywhere" not in known else None


def same_shape(mine: Array, right: Array) -> str:
    """What is wrong with a shape."""
    try:
        mg.compare_gradients("", mine, right)
    except AssertionError as error:
        return str(error).partition(" has ")[2]
    return ""


def difference(what: str, mine: Array, right: Array) -> str:
    """The first wrong number, yours and the right one."""
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(mine - right) <= EXACT * max(1e-3, float(np.abs(right).max(initial=0.0))))
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    return f"{what}{place}: yours {mine[index]:.6g}, right {right[index]:.6g}"


def weights(total: Array, parts: Array) -> Array | None:
    """How often each part is in a total; None where the total is no weighted sum of them."""
    matrix = parts.reshape(len(parts), -1).T
    if matrix.shape[0] < len(parts) or not np.isfinite(total).all():
        return None
    found = np.linalg.lstsq(matrix, total.ravel(), rcond=None)[0]
    return found if same(matrix @ found, total.ravel(), 1e-8) else None


def counted(total: Array, parts: Array, what: str) -> str:
    """Which steps' contributions are missing or counted wrongly; nothing where it isn't that.

    Args:
        total: a gradient that is wrong.
        parts: what steps 1 … T contribute to the right one, along the first axis.
        what: the name of the gradient.
    """
    found = weights(total, parts)
    if found is None:
        return ""
    present = [k for k, weight in enumerate(found, 1) if abs(weight) > 1e-6]
    absent = [k for k in range(1, len(parts) + 1) if k not in present]
    ones = all(abs(found[k - 1] - 1) < 1e-6 for k in present)
    if len(present) == 1 and ones:
        return (f"{what} holds only the contribution of t = {present[0]}: all others are overwritten "
                "(= where += belongs?)")
    if ones and absent and present:
        return f"{what}: {_steps('contribution', absent)} missing; all others are right"
    if not absent and np.allclose(found, found[0], rtol=1e-6) and found[0] != 1:
        return f"{what} is exactly {_fraction(float(found[0]))} of the sum over time: a mean where the sum belongs?"
    double = [k for k in present if abs(found[k - 1] - 2) < 1e-6]
    if double and all(abs(found[k - 1] - 1) < 1e-6 for k in present if k not in double):
        return f"{what}: {_steps('contribution', double)} counted twice"
    return ""


def _steps(what: str, steps: Sequence[int]) -> str:
    listed = ", ".join(map(str, steps))
    return f"the {what} of t = {listed} is" if len(steps) == 1 else f"the {what}s of t = {listed} are"


def _fraction(value: float) -> str:
    whole = round(1 / value) if value else 0
    return f"1/{whole}" if whole > 1 and abs(value * whole - 1) < 1e-6 else f"{value:.4g} times"
