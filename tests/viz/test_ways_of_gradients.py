"""Which gradient arrows a step of a backward pass has, compared with the recorded graph; and where they point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from cases import mostly_slow, thinned
from definitions import (
    DEFINITIONS,
    bidirectional,
    data,
    deep_lstm,
    elman,
    feedback_2,
    feedback_between_layers,
    gru,
    lstm,
)
from drawings import draw_run
from several_runs import attention, bridge

import minigrad as mg
from minigrad.steps import Step
from rnn import Cell, Run, cells, t
from viz.annotations.current_step import gradient_arrow
from viz.layout.options import Options
from viz.pictures.runs import RunsDrawing
from viz.pictures.unrolled import draw_runs

Runs = tuple[Sequence[Run], mg.Tensor]


def library_lstm() -> Cell:
    """Gates that share one recorded concatenation of h and x."""
    cell = Cell("one")
    cells.lstm(cell, cell.input("x", 4), 4, name="m", rng=np.random.default_rng(0))
    return cell


def stacked() -> Cell:
    cell = Cell("two")
    rng = np.random.default_rng(0)
    below = cells.lstm(cell, cell.input("x", 3), 3, name="layer1", rng=rng)
    cells.lstm(cell, below, 3, name="layer2", rng=rng)
    return cell


def static_for_two() -> Cell:
    """A product of a static that is read by two signals."""
    rng = np.random.default_rng(0)
    cell = Cell("statics")
    s, a, b = cell.static("s", 3), cell.signal("a", 3), cell.signal("b", 3)
    shared = np.tanh(mg.init.orthogonal((3, 3), rng, name="S") @ s)
    a[t] = np.tanh(shared + a[t-1])
    b[t] = np.tanh(shared * b[t-1] + a[t])
    return cell


def one(make: Callable[[], Cell], output: str, T: int = 4) -> Callable[[], Runs]:
    def build() -> Runs:
        cell = make()
        statics = {name: mg.Tensor(np.ones(3), requires_grad=True, name=name) for name in cell.statics}
        run = cell.unroll(**data(cell, T, ()), **statics)
        return [run], np.square(run[output].stack()).mean()
    build.__name__ = f"{make.__name__}_{T}"
    return build


def computed_between() -> Runs:
    """Two initial values that are computed from one value of another run, through one product."""
    rng = np.random.default_rng(0)
    first = library_lstm().unroll(x=rng.normal(size=(2, 4)))
    shared = np.tanh(first["m.h"][2] @ mg.init.orthogonal((4, 4), rng, name="P"))
    second = library_lstm().unroll(x=rng.normal(size=(2, 4)), initial={"m.h": shared * 2.0, "m.c": shared * 3.0})
    return [first, second], np.square(second["m.h"].stack()).mean()


def tensors_of_boxes(whole: RunsDrawing, loss: mg.Tensor) -> dict[str, set[mg.Tensor]]:
    found = {"loss": {loss}}
    for drawing in whole.drawings:
        tensors, boxes = drawing.places()
        for part, steps in tensors.items():
            for k, tensor in steps.items():
                if tensor is not None and (part, k) in boxes:
                    found.setdefault(boxes[part, k].key, set()).add(tensor)
    return found


def has_passed(target: mg.Tensor, sources: set[mg.Tensor], drawn: set[mg.Tensor], done: dict[mg.Tensor, Step]) -> bool:
    """Whether a gradient went from a tensor to one of some others, through operations without a box."""
    nodes, seen = [target], {target}
    while nodes:
        node = nodes.pop()
        step = done.get(node)
        for x, grad in zip(node.inputs, step.input_grads) if step and step.input_grads else ():
            if grad is not None and x in sources:
                return True
            if grad is not None and x not in drawn | seen:
                seen.add(x)
                nodes.append(x)
    return False


MADE = [one(library_lstm, "m.h"), one(stacked, "layer2.h", 2), one(elman, "y"), one(elman, "y", 20),
        one(feedback_2, "y"), one(bidirectional, "y"), one(static_for_two, "b"), one(library_lstm, "m.h", 15),
        bridge, attention, computed_between]


@pytest.mark.parametrize("level", ["signals", "ops", "layers"])
@pytest.mark.parametrize("make", thinned(MADE, 3), ids=lambda make: make.__name__)
def test_an_arrow_has_a_gradient_if_one_has_passed_between_its_boxes(make: Callable[[], Runs], level: str) -> None:
    runs, loss = make()
    if level == "layers" and not any("." in name for run in runs for name in run.cell.signals):
        pytest.skip("it has no layers")
    steps = loss.backward_steps()
    counts = []
    for number, step in enumerate(steps, 1):
        step.run()
        if number % 9 and number < len(steps):
            continue
        try:
            whole = draw_runs(runs, loss, level, step=step)
        except ValueError as error:
            assert "has no box in this picture" in str(error)
            continue
        tensors, done = tensors_of_boxes(whole, loss), {each.node: each for each in steps[:number]}
        drawn = set().union(*tensors.values())
        ways = {(arrow.source, arrow.target): arrow.tooltip for arrow in whole.scene.arrows}
        marked = {(arrow.source, arrow.target) for arrow in whole.scene.arrows if "gradient:" in arrow.tooltip}
        expected = {way for way in ways if way[1] in tensors and any(
            has_passed(tensor, tensors.get(way[0], set()), drawn, done) for tensor in tensors[way[1]])}
        if level == "ops":  # an arrow from a signal's last operation to its box has one tensor at both ends
            reached = {x for x, each in done.items() if each.grad is not None}
            expected |= {way for way in ways if tensors.get(way[0], set()) & tensors.get(way[1], set()) & reached}
        assert {ways[way] for way in marked} == {ways[way] for way in expected}
        counts.append(len(marked))
    assert counts[-1] > 3 and counts == sorted(counts)


def test_every_gate_sends_a_gradient_to_the_state_that_all_of_them_read() -> None:
    runs, loss = one(library_lstm, "m.h")()
    for step in loss.backward_steps():
        step.run()
    tooltips = [arrow.tooltip for arrow in draw_runs(runs, loss, step=step).scene.arrows]
    for k in (1, 2, 3):
        assert {f"gradient: m.h[{k}] → m.{gate}[{k + 1}]" for gate in "figo"} <= set(tooltips)


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("per_row", mostly_slow([2, None, 1, 3], 1))
@pytest.mark.parametrize("make", [*DEFINITIONS, lstm, gru, deep_lstm, feedback_between_layers, library_lstm, stacked],
                         ids=lambda make: make.__name__)
def test_a_gradient_points_against_the_way_from_its_source(make: Callable[[], Cell], per_row: int | None, level: str
                                                           ) -> None:
    cell = make()
    drawing = draw_run(cell.unroll(**data(cell)), None, range(1, 5), level, shown=Options(per_row=per_row))
    for arrow in drawing.scene.arrows:
        back = gradient_arrow(arrow)
        way, head = (np.subtract(end, start) for start, end in (arrow.points[:2], back.points[-2:]))
        assert way @ head < -0.9 * np.hypot(*way) * np.hypot(*head), arrow.tooltip
