"""Every cell of the library can be drawn, rolled and unrolled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from painters import painting

import viz
from rnn import Cell, cells

RNG = np.random.default_rng(0)
CELLS: list[tuple[Any, dict[str, Any]]] = [
    (cells.elman, {}), (cells.neurons, {}), (cells.vanilla, {"form": "i"}), (cells.vanilla, {"form": "ii"}),
    (cells.lstm, {}), (cells.lstm, {"forget_gate": False}), (cells.lstm, {"peephole": "full"}),
    (cells.lstm, {"coupled": True}), (cells.gru, {}), (cells.gru, {"update": "replaces", "reset": "before"}),
    (cells.elman, {"reversed": True}),
]


@pytest.mark.parametrize(("make", "options"), CELLS)
def test_a_cell_is_drawn_with_every_signal_at_every_step(make: Any, options: dict[str, Any]) -> None:
    cell = Cell("cell")
    make(cell, cell.input("x", 2), 3, name="a", rng=RNG, **options)
    rolled, unrolled = viz.rolled(cell).source, viz.unrolled(cell.unroll(x=np.zeros((3, 2)))).source
    told = 'label="a"' if len(cell.signals) > 2 else "without their prefix “a.”"
    assert told in rolled and told in unrolled
    for name in (name.removeprefix("a.") for name in cell.signals):
        assert f'label="{name}[t]"' in rolled
        assert all(f'label="{name}[{k}]"' in unrolled for k in (1, 2, 3))


@painting
def test_deep_and_bidirectional_networks_are_drawn() -> None:
    cell = Cell("deep")
    cells.stacked(cell, cells.gru, cell.input("x", 2), [3, 3], name="net", rng=RNG, directions=2, residual=False)
    viz.rolled(cell).pipe(format="svg")
    viz.unrolled(cell.unroll(x=np.zeros((2, 2)))).pipe(format="svg")
