"""Definitions of one cell like ONNX's recurrent operators of tests/cases/onnx_cells.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn import Cell, Signal, cells

INPUTS, SIZE = 2, 3
MAKE: dict[str, Callable[..., Signal]] = {"rnn": cells.elman, "lstm": cells.lstm, "gru": cells.gru}


def onnx_definition(stored: Any) -> tuple[Cell, list[str], str]:
    """Return the definition of one of ONNX's operators, its cells' names, and that of its output."""
    inputs, options = stored["inputs"], {}
    if stored["kind"] == "gru":
        options["reset"] = "after" if stored["attributes"]["linear_before_reset"] else "before"
    if "P" in inputs:
        options["peephole"] = "diagonal"
    cell = Cell("onnx")
    x = cell.input("x", INPUTS)
    if len(inputs["W"]) == 2:
        cells.bidirectional(cell, MAKE[stored["kind"]], x, SIZE, name="a", rng=np.random.default_rng(0), **options)
        return cell, ["a.forward", "a.backward"], "a.h"
    MAKE[stored["kind"]](cell, x, SIZE, name="a", rng=np.random.default_rng(0), **options)
    return cell, ["a"], "a.h"
