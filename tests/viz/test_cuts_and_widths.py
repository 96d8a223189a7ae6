"""Truncated edges, and widths of edges by their contributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import data, elman, feedback, gates, gru, three_delays, unrolled
from drawings import draw_run, unrolled_drawing

import viz
from rnn import Cell, Run
from viz.annotations.heat import THIN, WIDE, relative_contributions
from viz.render import palette
from viz.render.scene import Scene


def truncated(make: Callable[[], Cell], level: str = "signals", **how: Any) -> tuple[Run, Scene]:
    cell = make()
    run = cell.unroll(**data(cell, 6), **how)
    output = run["y" if "y" in run else "h"].stack()
    loss = (output * output).mean()
    loss.backward()
    return run, draw_run(run, loss, range(1, 7), level).scene


@pytest.mark.parametrize("how", [{"chunks": 2}, {"last": 3}, {"window": (2, 3)}, {}])
@pytest.mark.parametrize("make", [elman, feedback, gates, gru, three_delays])
def test_every_cut_edge_is_grey_and_dashed_and_no_other(make: Callable[[], Cell], how: dict[str, Any]) -> None:
    run, scene = truncated(make, **how)
    boxes = {box.key: box.tooltip.split(" ")[0] for box in scene.boxes}
    dashed = sorted((boxes[a.source], boxes[a.target]) for a in scene.arrows if a.dashed and a.color == palette.CUT)
    assert dashed == sorted((repr(source), repr(target)) for source, target in run.cuts())
    assert all(a.dashed and not a.dotted for a in scene.arrows if a.color == palette.CUT)
    marks = [text for text in scene.texts if text.text == "✂"]
    assert bool(marks) == bool(dashed) and len(marks) <= len(dashed)


def test_cuts_are_drawn_among_operations_too() -> None:
    _, scene = truncated(elman, "ops", chunks=3)
    boxes = {box.key: box.label for box in scene.boxes}
    assert [(boxes[a.source], boxes[a.target]) for a in scene.arrows if a.dashed] == [("h[3]", "U @")]


def test_contributions_are_widths() -> None:
    run, _ = unrolled(elman, 5)
    loss = (run["y"][5] ** 2).sum()
    for name in run.cell.signals:
        for k in range(1, 6):
            run[name][k].grad = None
    for parameter in run.parameters.values():
        parameter.grad = None
    loss.backward()
    scene = draw_run(run, loss, range(1, 6), contributions=True).scene
    boxes = {box.key: box.label for box in scene.boxes}
    pens = {boxes[a.target]: a.pen for a in scene.arrows if boxes[a.source].startswith("x")}
    norms = np.linalg.norm(run.contributions("W").reshape(5, -1), axis=1)
    assert [pens[f"h[{k}]"] for k in range(1, 6)] == pytest.approx(THIN + (WIDE - THIN) * norms / norms.max())
    pens = {boxes[a.target]: a.pen for a in scene.arrows if boxes[a.target].startswith("y")}
    assert pens == {**{f"y[{k}]": THIN for k in range(1, 5)}, "y[5]": WIDE}


def test_contributions_before_backward_say_what_to_do() -> None:
    cell = elman()
    with pytest.raises(ValueError, match=r"call loss\.backward\(\) first"):
        viz.unrolled(cell.unroll(**data(cell)), contributions=True)


def test_a_cut_edge_has_the_width_of_its_contribution() -> None:
    cell = elman()
    run = cell.unroll(**data(cell, 6), chunks=2)
    (run["y"].stack() ** 2).mean().backward()
    drawing = unrolled_drawing(run, contributions=True)
    found = relative_contributions([run])[0]
    assert found is not None
    parts = found["U"]
    widths = {k: arrow.pen for arrow, edge, k in drawing.arrows if edge.names == ["U"]}
    assert all(abs(widths[k] - (THIN + (WIDE - THIN) * parts[k - 1])) < 1e-9 for k in range(1, 7)) and parts[2] > 0
    with pytest.raises(ValueError, match="contributions=True is for the levels 'signals' and 'layers'"):
        viz.unrolled(run, level="ops", contributions=True)
