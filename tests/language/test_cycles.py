"""Loops of a definition, the order of its signals, and which definitions can't be computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from definitions import above, bidirectional, elman, feedback, own_output, two_delays
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from rnn import Cell, DefinitionError, T, t
from rnn.language.cycles import check

Spec = list[tuple[int, int, int]]  # (source, target, delay)


def refused(cell: Cell) -> str:
    """The message with which a definition is refused; the same when it is unrolled."""
    with pytest.raises(DefinitionError) as error:
        check(cell)
    with pytest.raises(DefinitionError, match=re.escape(str(error.value))):
        cell.unroll(T=3)
    return str(error.value)


# ---- loops and order
def named(cell: Cell) -> list[tuple[tuple[str, ...], int]]:
    return [(loop.signals, loop.delay) for loop in cell.loops()]


def test_every_loop_is_listed_with_its_signals_and_total_delay() -> None:
    assert named(elman()) == [(("h",), 1)]
    assert named(feedback(2)) == [(("h1",), 1), (("h2",), 1), (("h3",), 1), (("h2", "h3"), 2)]
    assert named(own_output()) in ([(("h",), 1), (("x", "h"), 1)], [(("h",), 1), (("h", "x"), 1)])
    assert sorted(named(bidirectional())) == [(("hb",), -1), (("hf",), 1)]


def test_parallel_edges_make_loops_of_their_own() -> None:
    cell = Cell()
    h = cell.signal("h", 1)
    h[t] = h[t-1] + h[t-2]
    assert sorted(named(cell)) == [(("h",), 1), (("h",), 2)]


def test_a_loop_names_the_lines_that_read() -> None:
    loop = feedback(1).loops()[-1]
    assert [str(origin).split(":")[0] for origin in loop.origins] == ["definitions.py"] * 2


def once(equation: Callable[[Any, Any, Any], Any], shape: Any = 3) -> Cell:
    """A definition h[t] = equation(h[t-1], h[t-2], x[t]) + h[t-2] / 2."""
    cell = Cell()
    x, h = cell.input("x", shape), cell.signal("h", shape)
    h[t] = equation(h[t-1], h[t-2], x[t]) + h[t-2] / 2
    return cell


MATRIX = mg.Tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True, name="A")
AFFINE: list[Callable[[Any, Any, Any], Any]] = [
    lambda h, g, x: mg.sigmoid(x) * h + MATRIX @ g - x,
    lambda h, g, x: h / (1 + x * x),
    lambda h, g, x: np.where(x > 0, h, g + 1),
    lambda h, g, x: np.concatenate([h[1:], x[:1]]),
    lambda h, g, x: np.stack([h.sum(), g.mean(), x[0]]) + np.roll(h, 1),
    lambda h, g, x: np.tanh(x) * mg.stop_gradient(h) + 0.1 * t,
    lambda h, g, x: np.outer(x, x) @ h + np.linalg.solve(np.eye(3) * (2 + x * x), g),
    lambda h, g, x: np.einsum("i,ij->j", h, MATRIX)[::-1],
]
NOT_AFFINE: list[Callable[[Any, Any, Any], Any]] = [
    lambda h, g, x: np.tanh(h), lambda h, g, x: h * g, lambda h, g, x: mg.relu(h + x), lambda h, g, x: x / (2 + h),
    lambda h, g, x: np.where(h > 0, 1.0, x), lambda h, g, x: h * np.floor(g), lambda h, g, x: np.maximum(h, x),
    lambda h, g, x: mg.one_hot(np.argmax(h), 3) + x, lambda h, g, x: h / np.linalg.norm(h + 1),
    lambda h, g, x: (h @ g) * x, lambda h, g, x: mg.stop_gradient(h) * h,
]


@pytest.mark.parametrize(("equation", "affine"), [*((f, True) for f in AFFINE), *((f, False) for f in NOT_AFFINE)])
def test_a_loop_is_affine_if_its_step_is_an_affine_function_of_the_state(equation: Any, affine: bool) -> None:
    cell = once(equation)
    assert {loop.affine for loop in cell.loops()} == {affine}
    rng = np.random.default_rng(1)
    x, starts = rng.normal(size=(1, 3)), rng.normal(size=(2, 2, 3))

    def step(start: Any) -> Any:
        return cell.unroll(x=x, initial={"h": {0: start[0], -1: start[1]}})["h"][1].numpy()

    difference = step(3 * starts[0] - 2 * starts[1]) - (3 * step(starts[0]) - 2 * step(starts[1]))
    assert (np.abs(difference).max() < 1e-12) == affine


def test_a_loop_is_affine_only_if_all_signals_in_loops_with_it_are() -> None:
    cell = Cell()
    x, m, f, c = cell.input("x", 2), *(cell.signal(name, 2) for name in "mfc")
    m[t] = np.maximum(m[t-1], x[t])               # a loop of its own, which c reads
    f[t] = mg.sigmoid(m[t])
    c[t] = f[t] * c[t-1] + x[t]
    assert [(loop.signals, loop.affine) for loop in cell.loops()] == [(("m",), False), (("c",), True)]
    cell = Cell()
    x, f, c = cell.input("x", 2), *(cell.signal(name, 2) for name in "fc")
    f[t] = mg.sigmoid(x[t] + c[t-1])              # as an LSTM's: a factor of c depends on c
    c[t] = f[t] * c[t-1] + x[t]
    assert {loop.affine for loop in cell.loops()} == {False}


def test_a_loop_that_runs_backward_and_one_of_matrices_are_affine_too() -> None:
    cell = Cell()
    x, h, S = cell.input("x", 2), cell.signal("h", 2), cell.signal("S", (2, 2))
    h[t] = 0.5 * h[t+1] + x[t]
    S[t] = S[t-1] - np.outer(S[t-1] @ x[t], x[t]) + mg.dropout(S[t-1], 0.5, np.random.default_rng(0)).T
    assert [(loop.delay, loop.affine) for loop in cell.loops()] == [(-1, True), (1, True)]


def test_a_definition_without_loops_has_none() -> None:
    cell = Cell()
    x, y = cell.input("x", 1), cell.signal("y", 1)
    y[t] = x[t] + x[t-1]
    assert cell.loops() == []
    assert [(stage.signals, stage.direction) for stage in cell.order()] == [(("x",), 0), (("y",), 0)]


def test_too_many_loops_are_not_listed() -> None:
    cell = Cell()
    signals = [cell.signal(f"s{i}", 1) for i in range(8)]
    for signal in signals:
        signal[t] = sum((other[t-1] for other in signals), 0.0)
    with pytest.raises(DefinitionError, match="more than 1000 loops"):
        cell.loops()


def test_stages_keep_loops_together_and_say_in_which_direction_they_run() -> None:
    assert [(stage.signals, stage.direction) for stage in feedback(1).order()] == [
        (("x",), 0), (("h1",), 1), (("h2", "h3"), 1), (("y",), 0)]
    stages = {stage.signals: stage.direction for stage in bidirectional().order()}
    assert stages == {("x",): 0, ("hf",): 1, ("hb",): -1, ("y",): 0}


def test_every_stage_reads_only_itself_and_stages_before() -> None:
    for definition in (elman, feedback, two_delays, own_output, bidirectional):
        cell = definition()
        done: set[str] = set()
        for stage in cell.order():
            done.update(stage.signals)
            assert {edge.source for edge in cell.edges() if edge.target in stage.signals} <= done


def test_the_order_of_what_cannot_be_computed_is_an_error() -> None:
    cell = Cell()
    a = cell.signal("a", 1)
    a[t] = 2.0 * a[t]
    with pytest.raises(DefinitionError, match="a -> a"):
        cell.order()
    assert named(cell) == [(("a",), 0)]


# ---- whether a definition can be computed
def test_a_signal_that_needs_itself_at_the_same_step_is_named() -> None:
    a = Cell().signal("a", 2)
    a[t] = np.tanh(a[t])
    line = above()
    assert refused(a.cell) == (
        "the definition has a loop without delay:\n"
        "  a -> a   (total delay 0)\n"
        "Each value in it needs itself at the same time step. Delay one of these reads:\n"
        f"  {line}: a reads a[t]     e.g. a[t-1]")


def test_two_signals_that_need_each_other_are_named_with_their_lines() -> None:
    cell = Cell()
    a, b = cell.signal("a", 2), cell.signal("b", 2)
    a[t] = np.tanh(b[t])
    b[t] = np.tanh(a[t])
    lines = above(2), above(1)
    message = refused(cell)
    assert "b -> a -> b   (total delay 0)" in message or "a -> b -> a   (total delay 0)" in message
    assert f"  {lines[0]}: a reads b[t]     e.g. b[t-1]" in message
    assert f"  {lines[1]}: b reads a[t]     e.g. a[t-1]" in message


def test_a_loop_hidden_beside_a_delayed_path_is_named() -> None:
    cell = Cell()
    a, b = cell.signal("a", 2), cell.signal("b", 2)
    a[t] = np.tanh(b[t-1] + b[t])
    b[t] = np.tanh(a[t-1] + a[t])
    message = refused(cell)
    assert "a reads b[t] " in message and "b reads a[t] " in message
    assert "reads b[t-1]" not in message  # that one is delayed already


def test_every_signal_of_a_long_loop_is_named() -> None:
    cell = Cell()
    signals = [cell.signal(f"s{i}", 2) for i in range(6)]
    for i, signal in enumerate(signals):
        signal[t] = signals[i - 1][t] + signals[i - 2][t-1]
    path = refused(cell).splitlines()[1].split("(")[0].strip().split(" -> ")
    assert sorted(path[1:]) == [f"s{i}" for i in range(6)] and path[0] == path[-1]
    assert all(int(b[1]) == (int(a[1]) + 1) % 6 for a, b in pairwise(path))


def test_the_shortest_of_several_loops_without_delay_is_named() -> None:
    cell = Cell()
    signals = [cell.signal(f"s{i}", 2) for i in range(5)]
    for i, signal in enumerate(signals):
        signal[t] = signals[i - 1][t] + (signal[t] if i == 3 else signal[t+1])
    assert "  s3 -> s3   (total delay 0)\n" in refused(cell)


def test_a_delay_and_an_advance_that_add_to_zero_are_a_loop_without_delay() -> None:
    cell = Cell()
    a, b = cell.signal("a", 2), cell.signal("b", 2)
    a[t] = b[t-1]
    b[t] = a[t+1]
    line = above(2)
    message = refused(cell)
    assert "(total delay 0)" in message and f"  {line}: a reads b[t-1]     e.g. b[t-2]" in message


def test_a_signal_defined_from_its_next_self_is_no_recurrence() -> None:
    a = Cell().signal("a", 2)
    a[t+1] = 2 * a[t+1]
    line = above()
    assert f"{line}: a reads a[t+1]     e.g. a[t]" in refused(a.cell)


def test_loops_in_both_directions_of_time_are_named() -> None:
    a = Cell().signal("a", 2)
    a[t] = np.tanh(a[t-1] + a[t+1])
    line = above()
    message = refused(a.cell)
    assert message.startswith("the definition has loops in both directions of time over the same signals:\n")
    assert "  a -> a   (total delay 1)\n  a -> a   (total delay -1)\n" in message
    assert f"  {line}: a reads a[t-1]\n  {line}: a reads a[t+1]" in message


def test_loops_of_both_directions_in_different_parts_can_be_computed() -> None:
    check(bidirectional())


def test_a_read_of_the_future_is_no_loop() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    y[t] = x[t+1] - x[t-1]
    x[0] = x[T+1] = 0
    np.testing.assert_array_equal(cell.unroll(x=[[1, 1], [2, 2], [4, 4]])["y"].stack().data,
                                  [[2, 2], [3, 3], [-2, -2]])


def test_a_loop_of_total_delay_one_may_contain_a_negative_delay() -> None:
    cell = Cell()
    a, b = cell.signal("a", ()), cell.signal("b", ())
    a[t] = b[t-2] + 1
    b[t] = 2 * a[t+1]
    check(cell)


# ---- signals without an equation
def test_signals_used_but_never_defined_are_named_with_all_lines() -> None:
    cell = Cell()
    h, d = cell.signal("h", 2), cell.signal("d", 2)
    declared = above()
    h[t] = d[t-1] + h[t-1]
    assert refused(cell) == (
        "a signal is used but never defined:\n"
        f"  d, declared at {declared}\n"
        f"    {above(4)}: h reads d[t-1]\n"
        "Write its equation, or declare it with .input(...) where its values are given.")


def test_a_definition_without_equations_is_refused() -> None:
    assert refused(Cell("empty")) == "'empty' has no equation: write one, e.g. h[t] = ..."


def test_a_declared_signal_without_users_is_ignored() -> None:
    cell = elman()
    cell.signal("spare", 3)
    run = cell.unroll(x=np.ones((2, 3)))
    assert "spare" not in run and "h" in run
    with pytest.raises(KeyError, match="no signal 'spare' in this run; there are x, h, y"):
        run["spare"]


# ---- every definition
@st.composite
def specs(draw: st.DrawFn) -> tuple[int, Spec, list[int]]:
    """Up to five signals, edges between them with delays from -2 to 2, and a lead for each."""
    count = draw(st.integers(1, 5))
    node = st.integers(0, count - 1)
    spec = draw(st.lists(st.tuples(node, node, st.integers(-2, 2)), max_size=9, unique=True))
    return count, spec, draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))


def written_as_cell(count: int, spec: Spec, leads: list[int]) -> Cell:
    cell = Cell()
    signals = [cell.signal(f"s{i}", ()) for i in range(count)]
    for i, signal in enumerate(signals):
        value: object = 1.0
        for source, target, delay in spec:
            if target == i:
                value = value + 0.1 * signals[source][t + (leads[i] - delay)]  # type: ignore[operator]
        signal[t + leads[i]] = value
    return cell


def simple_cycles(count: int, spec: Spec) -> list[Spec]:
    """Every cycle that visits no signal twice, found by trying every path."""
    found = []

    def extend(path: Spec, start: int) -> None:
        for edge in spec:
            if edge[0] == (path[-1][1] if path else start):
                if edge[1] == start:
                    found.append([*path, edge])
                elif edge[1] > start and edge[1] not in [e[1] for e in path]:
                    extend([*path, edge], start)

    for start in range(count):
        extend([], start)
    return found


def components(cycles: list[Spec]) -> list[list[Spec]]:
    """Cycles that share a signal, directly or through others, belong together."""
    groups: list[tuple[set[int], list[Spec]]] = []
    for cycle in cycles:
        nodes = {edge[0] for edge in cycle}
        together = [group for group in groups if group[0] & nodes]
        groups = [group for group in groups if not group[0] & nodes]
        groups.append((nodes.union(*(g[0] for g in together)), [cycle, *(c for g in together for c in g[1])]))
    return [group for _, group in groups]


def totals(cycles: list[Spec]) -> list[int]:
    return [sum(delay for *_, delay in cycle) for cycle in cycles]


@given(specs())
@settings(max_examples=400, deadline=None)
def test_only_definitions_with_one_direction_per_component_are_accepted(drawn: tuple[int, Spec, list[int]]) -> None:
    count, spec, leads = drawn
    cell = written_as_cell(count, spec, leads)
    cycles = simple_cycles(count, spec)
    possible = all(min(totals(group)) >= 1 or max(totals(group)) <= -1 for group in components(cycles))
    try:
        check(cell)
    except DefinitionError as error:
        assert not possible, f"refused, and wrongly so: {error}"
        named = re.findall(r"^  (s\d(?: -> s\d)+)   \(total delay (-?\d+)\)$", str(error), re.MULTILINE)
        for path, total in named:  # what is named are loops of the definition
            steps = [(int(a[1:]), int(b[1:])) for a, b in pairwise(path.split(" -> "))]
            assert (steps, int(total)) in [([e[:2] for e in cycle[i:] + cycle[:i]], sum(e[2] for e in cycle))
                                           for cycle in cycles for i in range(len(cycle))]
        if any(not any(edge[2] for edge in cycle) for cycle in cycles):
            assert "a loop without delay" in str(error)
        if "both directions" in str(error):
            assert [np.sign(int(total)) for _, total in named] == [1, -1]
        else:
            assert [int(total) for _, total in named] == [0]
    else:
        assert possible, f"accepted, and it can't be computed: {spec}"
        run = cell.unroll(T=3)
        assert all(np.isfinite(run[name][3].data) for name in cell.signals)
