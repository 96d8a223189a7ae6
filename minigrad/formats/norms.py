"""The norm of an array, as messages, the debugger and pictures show it."""

from __future__ import annotations

from typing import Any

import numpy as np


def norm(array: Any) -> float:
    """Return the Euclidean norm of all elements of an array, in float64.

    The elements are divided by the largest of them before they are squared, as in BLAS's `nrm2`: the squares of
    float32 numbers below 1e-23 are zero, and those above 1e19 infinite. NaN if an element is NaN.
    """
    with np.errstate(all="ignore"):
        sizes = np.abs(np.asarray(array, np.float64))
        largest = float(sizes.max(initial=0.0))
        if not 0.0 < largest < np.inf:
            return largest
        return largest * float(np.sqrt(np.square(sizes / largest).sum()))
