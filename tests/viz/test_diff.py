"""The difference of two definitions, two runs or two tensors: what is missing, extra and changed."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from definitions import DEFINITIONS, data, elman, gates, gru, lstm, parameter

import minigrad as mg
import viz
from minigrad.backward import ancestors
from rnn import Cell, t
from viz.pictures.diff import SHOWN, DefinitionPair, draw_definitions, draw_runs
from viz.pictures.diff_tensors import draw_tensors
from viz.pictures.difference import CHANGED, EXTRA, MISSING, SAME, STYLES
from viz.render import palette
from viz.render.scene import Scene

COLORS = {palette.MISSING.line: MISSING, palette.EXTRA.line: EXTRA, palette.CHANGED.line: CHANGED,
          palette.SAME.line: SAME}


def deeper() -> Cell:
    """The Elman network without bias, another function, a longer delay, and one signal more."""
    W, U, Q, V = parameter("W", 4, 3), parameter("U", 4, 4), parameter("Q", 4, 4), parameter("V", 2, 4)
    cell = Cell("deeper")
    x, h, s, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("s", 4), cell.signal("y", 2)
    h[t] = mg.sigmoid(W @ x[t] + U @ h[t-2] + Q @ s[t-1])
    s[t] = np.tanh(h[t])
    y[t] = V @ s[t]
    return cell


def states(scene: Scene) -> dict[str, set[str]]:
    """The labels of boxes and `source → target` of arrows, by what they are."""
    names = {box.key: box.label.split("[t]")[0] or "z" for box in scene.boxes}
    found: dict[str, set[str]] = {}
    for box in scene.boxes:
        if box.label:
            found.setdefault(COLORS[box.paint.line], set()).add(names[box.key])
    for arrow in scene.arrows:
        found.setdefault(COLORS[arrow.color], set()).add(f"{names[arrow.source]} → {names[arrow.target]}")
    return found


def captions(scene: Scene) -> list[str]:
    return [text.text for text in scene.texts if re.match("missing|extra|changed|no difference", text.text)]


# ---- definitions
@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("make", [*DEFINITIONS, lstm, gru, gates])
def test_a_definition_does_not_differ_from_itself(make: Callable[[], Cell], level: str) -> None:
    scene = draw_definitions(DefinitionPair(make(), make(), level))
    assert set(states(scene)) == {SAME}
    assert [re.sub(r"\d+", "n", line) for line in captions(scene)] == ["no difference: n nodes, n edges"]


def test_signals_are_matched_by_name() -> None:
    found = states(draw_definitions(DefinitionPair(elman(), deeper(), "signals")))
    assert found[MISSING] == {"h → z", "z → h", "h → y"}
    assert found[EXTRA] == {"s", "h → s", "s → y", "s → z", "z → h", "h → z"}
    assert found[CHANGED] == {"h", "y"} and found[SAME] == {"x", "x → h"}


def test_back_to_front_what_was_extra_is_missing() -> None:
    there, back = (draw_definitions(DefinitionPair(a, b, "ops")) for a, b in ((elman(), deeper()), (deeper(), elman())))
    assert {line.split(":")[0].split()[0]: line.split(":")[1] for line in captions(there)} == {
        {"missing": "extra", "extra": "missing"}.get(line.split()[0], "changed"): line.split(":")[1]
        for line in captions(back)}


def test_operations_are_matched_by_their_place_in_the_equation() -> None:
    found = states(draw_definitions(DefinitionPair(elman(), deeper(), "ops")))
    assert {"x", "h", "y", "W @", "U @", "V @", "+"} <= found[SAME]
    assert found[CHANGED] == {"tanh → σ"}
    assert {"s", "tanh", "Q @", "+"} <= found[EXTRA] and "+ b" in found[MISSING]


def test_another_parameter_of_the_same_shape_changes_an_edge() -> None:
    def network(name: str) -> Cell:
        cell = Cell()
        x, h = cell.input("x", 3), cell.signal("h", 3)
        h[t] = np.tanh(parameter(name, 3, 3) @ x[t]) + h[t-1]
        return cell
    scene = draw_definitions(DefinitionPair(network("A"), network("B"), "signals"))
    assert states(scene)[CHANGED] == {"h", "x → h"} and [a.dotted for a in scene.arrows].count(True) == 1


def test_each_state_is_recognizable_without_colours() -> None:
    scene = draw_definitions(DefinitionPair(elman(), deeper(), "ops"))
    looks = {COLORS[box.paint.line]: {(box.dashed, box.pen, box.rounded or box.circle)} for box in scene.boxes
             if box.label}
    assert len(set.union(*looks.values())) == len(looks) == 4
    assert all(box.dashed == (box.paint == palette.MISSING) for box in scene.boxes)
    assert all(arrow.dashed == (COLORS[arrow.color] == MISSING) for arrow in scene.arrows)
    assert all((arrow.pen > 3) == (COLORS[arrow.color] == EXTRA) for arrow in scene.arrows)


def test_the_equations_that_differ_are_written_beside() -> None:
    texts = [text.text for text in draw_definitions(DefinitionPair(elman(), deeper(), "signals")).texts]
    assert "−  y[t] = V @ h[t]" in texts and "+  y[t] = V @ s[t]" in texts


def test_signals_in_opposite_order_are_refused() -> None:
    def chain(first: str, second: str) -> Cell:
        cell = Cell(f"{first} first")
        x = cell.input("x", 2)
        a, b = cell.signal(first, 2), cell.signal(second, 2)
        a[t] = np.tanh(x[t])
        b[t] = np.tanh(a[t])
        return cell
    with pytest.raises(ValueError, match="'p first' and 'q first' compute the same signals in opposite order"):
        viz.diff(chain("p", "q"), chain("q", "p"))


# ---- runs
@pytest.mark.parametrize("make", [*DEFINITIONS, lstm])
def test_a_longer_run_has_more_of_everything(make: Callable[[], Cell]) -> None:
    cell = make()
    short, long = (cell.unroll(**data(cell, T)) for T in (4, 6))
    for level in ("signals", "ops"):
        both = DefinitionPair(cell, cell, level)
        scene = draw_runs(both, short, long, None, False)
        assert {COLORS[box.paint.line] for box in scene.boxes} == {SAME, EXTRA}
        assert any("T = 4 → 6" in text.text for text in scene.texts)
    edges = len(long.edges()) - len(short.edges())
    nodes = sum(len(long[name].tensors) - len(short[name].tensors) for name in cell.signals if name in long)
    assert captions(draw_runs(DefinitionPair(cell, cell, "signals"), short, long, None, False)) == [
        f"extra ({STYLES[EXTRA]}): {nodes} nodes, {edges} edges"]


def test_an_edge_that_neither_run_has_is_not_drawn() -> None:
    old, new = elman(), deeper()
    runs = old.unroll(x=np.ones((4, 3))), new.unroll(x=np.ones((5, 3)))
    scene = draw_runs(DefinitionPair(old, new, "signals"), *runs, None, False)
    names = {box.key: box.label for box in scene.boxes}
    assert {names[arrow.source] for arrow in scene.arrows if names[arrow.target] in ("h[5]", "y[5]")} == {
        "x[5]", "h[3]", "s[4]", "s[5]"}
    assert [box.paint for box in scene.boxes if box.label == "h[0] = 0"] == [palette.SAME]  # nothing computes it


def test_values_are_compared_if_asked_and_earlier_steps_stay_unchanged() -> None:
    cell = elman()
    x = np.arange(30.0).reshape(10, 3) / 30
    other = x.copy()
    other[6] += 1
    a, b = cell.unroll(x=x), cell.unroll(x=other)
    both = DefinitionPair(cell, cell, "signals")
    assert captions(draw_runs(both, a, b, None, False))[0].startswith("no difference")
    changed = {box.label for box in draw_runs(both, a, b, None, True).boxes if box.paint == palette.CHANGED}
    assert changed == {"x[7]", *(f"{name}[{k}]" for name in "hy" for k in range(7, 11))}


def test_a_fold_shows_the_differences_inside() -> None:
    cell = elman()
    x = np.ones((50, 3))
    other = x.copy()
    other[20] = 9
    scene = draw_runs(DefinitionPair(cell, cell, "signals"), cell.unroll(x=x), cell.unroll(x=other), [1, 2], True)
    assert [COLORS[box.paint.line] for box in scene.boxes if "48 steps" in box.label] == [CHANGED]


# ---- tensors
def leaf(name: str, *shape: int) -> mg.Tensor:
    return mg.Tensor(np.ones(shape), requires_grad=True, name=name)


def test_tensors_are_matched_by_name_and_by_place() -> None:
    def loss(bias: bool) -> mg.Tensor:
        W, U, x, h = leaf("W", 3, 3), leaf("U", 3, 3), leaf("x", 3), leaf("h", 3)
        total = W @ x + U @ h
        out: mg.Tensor = mg.sigmoid(total + leaf("b", 3)).sum() if bias else np.tanh(total).sum()
        return out
    scene = draw_tensors(loss(False), loss(True), False, SHOWN)
    assert captions(scene)[::-1] == [f"missing ({STYLES[MISSING]}): 0 nodes, 1 edge",
                                     f"extra ({STYLES[EXTRA]}): 2 nodes, 3 edges",
                                     f"changed ({STYLES[CHANGED]}): 1 node, 0 edges"]
    changed = [box for box in scene.boxes if COLORS[box.paint.line] == CHANGED]
    assert [box.label for box in changed] == ["tanh\n(3,)\n→\nσ\n(3,)"] and not changed[0].rounded
    assert captions(draw_tensors(loss(True), loss(True), False, SHOWN)) == ["no difference: 11 nodes, 10 edges"]


def test_tensors_are_compared_by_their_numbers_where_asked() -> None:
    a, b = mg.Tensor([1.0, 2.0], requires_grad=True, name="a"), mg.Tensor([1.0, 3.0], requires_grad=True, name="a")
    assert captions(draw_tensors(a * a, b * b, False, SHOWN)) == ["no difference: 2 nodes, 2 edges"]
    assert captions(draw_tensors(a * a, b * b, True, SHOWN)) == [f"changed ({STYLES[CHANGED]}): 2 nodes, 0 edges"]


def test_tensors_that_are_computed_in_opposite_order_are_different() -> None:
    def chain(names: str) -> mg.Tensor:
        node = leaf("x", 3)
        for name in names:
            node = np.tanh(node)
            node.name = name
        return node
    scene = draw_tensors(chain("abcd"), chain("acbd"), False, SHOWN)
    found = states(scene)
    names = {what: sorted(x.split("\n")[0] for x in found.get(what, ()) if "→" not in x) for what in (MISSING, EXTRA)}
    assert names[MISSING] and names[MISSING] == names[EXTRA]  # b, or c, or both
    boxes = {box.key: box for box in scene.boxes}
    assert len(boxes) == len(scene.boxes) and len({(box.x, box.y) for box in scene.boxes}) == len(boxes)


def test_graphs_of_tensors_with_nothing_in_common_are_drawn_together() -> None:
    run = elman().unroll(x=np.ones((3, 3)))
    for a, b in ((run["h"].stack().sum(), leaf("q", 2)), (leaf("q", 2), run["h"].stack().sum())):
        scene = draw_tensors(a, b, False, SHOWN)
        assert len(scene.boxes) == len(ancestors(a)) + len(ancestors(b)) - 1  # the two results are matched
        assert {frame.caption for frame in scene.frames} == {"t = 1", "t = 2", "t = 3"}


def test_a_graph_of_two_thousand_tensors_is_laid_out_without_a_program() -> None:
    def chain(n: int) -> mg.Tensor:
        x = leaf("x", 2)
        for _ in range(n):
            x = x * 0.99
        return x
    source = viz.diff(chain(900), chain(950)).source
    assert ("nop2" in source and "50 nodes" in source) or "100 nodes" in source


def test_things_of_different_kinds_are_not_compared() -> None:
    cell = elman()
    with pytest.raises(TypeError, match="two Cells, two runs or two Tensors, not a Cell with a Run"):
        viz.diff(cell, cell.unroll(**data(cell)))
    with pytest.raises(TypeError, match="not a int with a int"):
        viz.diff(1, 2)


def test_dark_ground_and_the_same_text_every_time() -> None:
    first, second = (viz.diff(elman(), deeper(), "ops", dark=True).source for _ in range(2))
    assert first == second and 'bgcolor="#1A1A1A"' in first
    W = leaf("W", 2)
    assert 'bgcolor="#1A1A1A"' in viz.diff(W * W, W + W, dark=True).source
    assert 'bgcolor="#1A1A1A"' in viz.graph(W * W, dark=True).source
