"""The graph of the stepper page shows every operand of every operation, compared with the recorded graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawings import assert_arrows_pass_no_box, overlap, rectangle
from elman_losses import loss_of, lstm_loss, run_of
from several_runs import attention, bridge

import minigrad as mg
from minigrad.backward import ancestors
from rnn import Cell, cells, t
from viz.render.scene import Box
from viz.stepper_page.scene import BackwardScene


def drawn(loss: Any) -> BackwardScene:
    return BackwardScene(ancestors(loss)).draw()


def box_of(scene: BackwardScene, tensor: mg.Tensor) -> Box:
    box, = (box for box in scene.scene.boxes if box.key == scene.keys[tensor])
    return box


def labels_before(scene: BackwardScene, label: str) -> list[list[str]]:
    """Return, for each box with this label from left to right, the labels of the boxes with an arrow to it."""
    label_of = {box.key: box.label for box in scene.scene.boxes}
    found = sorted((box for box in scene.scene.boxes if box.label == label), key=lambda box: box.x)
    return [sorted(label_of[arrow.source] for arrow in scene.scene.arrows if arrow.target == box.key)
            for box in found]


def matrices(*names: str) -> list[mg.Tensor]:
    rng = np.random.default_rng(0)
    return [mg.init.orthogonal((2, 2), rng, name=name) for name in names]


def elman(U: Any, V: Any, T: int = 3) -> Any:
    cell = Cell("n")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(U @ h[t-1] + V @ x[t])
    return (cell.unroll(x=np.random.default_rng(1).normal(size=(T, 1, 2)))["h"][T] ** 2).sum()


def regularized() -> Any:
    U, V = matrices("U", "V")
    return elman(U, V) + 0.01 * (U ** 2).sum()


def normalized() -> Any:
    W, V = matrices("W", "V")
    g = mg.Tensor(1.5, requires_grad=True, name="g")
    return elman(W * g / np.sqrt((W ** 2).sum()), V)


def both() -> Any:
    """A parameter of the steps that is computed once, and is a term of the loss too."""
    W, V = matrices("W", "V")
    made = np.tanh(W)
    return elman(made, V) + (made ** 2).sum() * V.sum()


def static() -> Any:
    rng = np.random.default_rng(0)
    A, = matrices("A")
    cell = Cell("mem")
    q, source = cell.input("q", 2), cell.static("source", (2, 2))
    S, o = cell.signal("S", (2, 2)), cell.signal("o", 2)
    S[0] = np.tanh(source)
    S[t] = S[t-1] * 0.9 + np.outer(q[t], A @ q[t])
    o[t] = S[t] @ (source @ q[t])
    run = cell.unroll(q=rng.normal(size=(3, 2)), source=A @ mg.Tensor(rng.normal(size=(2, 2)), name="src"))
    return (run["o"].stack() ** 2).sum()


def gru() -> Any:
    cell = Cell("l")
    cells.gru(cell, cell.input("x", 2), 2, name="m", rng=np.random.default_rng(0))
    return (cell.unroll(x=np.random.default_rng(1).normal(size=(3, 2, 2)))["m.h"][3] ** 2).sum()


def delta() -> Any:
    rng = np.random.default_rng(0)
    cell = Cell("memory")
    k, v, q = (cell.input(name, 4) for name in ("key", "value", "query"))
    S, o = cell.signal("S", (4, 4)), cell.signal("out", 4)
    S[t] = S[t-1] + np.outer(v[t] - S[t-1] @ k[t], k[t])
    o[t] = S[t] @ q[t]
    start = mg.Tensor(rng.normal(size=(2, 4, 4)), requires_grad=True, name="S0")
    data = {name: rng.normal(size=(3, 2, 4)) for name in ("key", "value", "query")}
    return (cell.unroll(**data, initial={"S": start})["out"].stack() ** 2).mean()


def scaled() -> Any:
    return (run_of()["y"].stack() ** 2).sum() * mg.Tensor(2.0, requires_grad=True, name="g")


CASES = [regularized, normalized, both, static, gru, delta, scaled, lstm_loss, lambda: loss_of(run_of()),
         lambda: loss_of(run_of(6, chunks=2)), lambda: attention()[1], lambda: bridge()[1]]
every = pytest.mark.parametrize("make", CASES)


@every
def test_every_operand_is_drawn_or_written(make: Callable[[], Any]) -> None:
    scene = drawn(make())
    arrows = {(arrow.source, arrow.target) for arrow in scene.scene.arrows}
    for node in scene.nodes:
        if node.op is None or node not in scene.keys:
            continue
        for x in node.inputs:
            if x in scene.keys:
                assert (scene.keys[x], scene.keys[node]) in arrows, f"{x!r} → {node!r}"
            elif x.label:
                assert x.label in box_of(scene, node).label, f"{x.label} of {node!r}"


@every
def test_every_box_but_the_loss_has_an_arrow_to_its_use(make: Callable[[], Any]) -> None:
    scene = drawn(make())
    sources = {arrow.source for arrow in scene.scene.arrows}
    assert {box.key for box in scene.scene.boxes} - sources == {scene.keys[scene.nodes[-1]]}


@every
def test_every_operation_with_no_named_operand_has_an_arrow_in(make: Callable[[], Any]) -> None:
    scene = drawn(make())
    targets = {arrow.target for arrow in scene.scene.arrows}
    for node in scene.nodes:
        if node.op is not None and not any(x.label and x not in scene.keys for x in node.inputs):
            assert scene.keys[node] in targets, repr(node)


@every
def test_nothing_lies_on_a_box(make: Callable[[], Any]) -> None:
    scene = drawn(make()).scene
    for a, b in itertools.combinations(scene.boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} on {b.label!r}"
    assert_arrows_pass_no_box(scene)


def test_the_input_of_an_lstm_reaches_its_first_step_too() -> None:
    scene = drawn(lstm_loss(2))
    assert labels_before(scene, "[ ; ]") == [["memory.h[0]", "x[1]"], ["memory.h[1]\nmul", "x[2]"]]
    for gate in "figo":
        assert labels_before(scene, f"memory.W_{gate} @") == [["[ ; ]"], ["[ ; ]"]]


def test_all_gates_of_a_gru_read_the_input() -> None:
    scene = drawn(gru())
    assert labels_before(scene, "m.W_r @") == labels_before(scene, "m.W_z @") == [["[ ; ]"]] * 3
    assert labels_before(scene, "[ ; ]")[0] == ["m.h[0] = 0", "x[1]"]
    assert len(labels_before(scene, "1 −")) == 3


def test_an_outer_product_reads_both_its_operands() -> None:
    assert labels_before(drawn(delta()), "⊙") == [["getitem", f"key[{k}]"] for k in (1, 2, 3)]


def test_a_constant_that_only_looks_like_an_input_has_no_arrow_from_it() -> None:
    cell = Cell("same")
    x, y, S = cell.input("x", 2), cell.input("y", 2), cell.signal("S", (2, 2))
    S[t] = S[t-1] + np.outer(S[t-1] @ x[t] + y[t], x[t])
    start = mg.Tensor(np.eye(2), requires_grad=True, name="S0")
    data = np.random.default_rng(0).normal(size=(3, 2))
    scene = drawn(cell.unroll(x=data, y=data, initial={"S": start})["S"][3].sum())
    assert labels_before(scene, "⊙") == [["getitem"]] * 3  # x and y have the same values: it could be either


def test_a_term_of_parameters_alone_stands_in_the_row_of_the_loss() -> None:
    scene = drawn(regularized())
    top = max(frame.top for frame in scene.scene.frames)
    for node in scene.nodes:
        if node.op is not None and node.t is None:
            assert box_of(scene, node).bottom > top
    assert "power U" in {box.label for box in scene.scene.boxes}
    assert "computed once" not in {text.text for text in scene.scene.texts}


def test_a_product_of_parameters_stands_left_of_the_steps_that_use_it() -> None:
    scene = drawn(normalized())
    weights = next(node for node in scene.nodes if node.op is not None and type(node.op).__name__ == "Div")
    left = min(frame.left for frame in scene.scene.frames)
    assert box_of(scene, weights).right < left
    assert labels_before(scene, "@") == [["h[0] = 0", "÷"], ["h[1]\ntanh", "÷"], ["h[2]\ntanh", "÷"]]
    assert weights in set(scene.shared) and "computed once" in {text.text for text in scene.scene.texts}


def test_the_loss_shows_its_factor() -> None:
    scene = drawn(scaled())
    assert box_of(scene, scene.nodes[-1]).label == "loss\n× g"
