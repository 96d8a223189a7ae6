"""Values of arrays on several lines, as a notebook shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .describe import MOST_SHOWN

MOST_WHOLE = 200  # elements of an array that is shown whole; of a larger one the edges are


def long_value(array: Any) -> str:
    """Return the values of an array below its description, indented; "" if one line shows them, or there are none."""
    if array.size <= MOST_SHOWN or not array.ndim:
        return ""
    lines = np.array2string(array, precision=4, threshold=MOST_WHOLE, separator=", ", max_line_width=100).splitlines()
    return "".join(f"\n  {line}" for line in lines)
