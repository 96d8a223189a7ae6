"""Truncated backpropagation through time, in its three kinds; sequences of unequal length."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, feedback, own_output, two_delays
from definitions import parameter as made

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, t
from rnn import T as LAST

T, BATCH = 7, 2
RNG = np.random.default_rng(3)


def data_for(cell: Cell) -> dict[str, Any]:
    return {name: np.random.default_rng(1).normal(size=(T, BATCH, *(signal.shape or ())))
            for name, signal in cell.signals.items() if signal.given}


def output(cell: Cell) -> str:
    return "y" if "y" in cell.signals else "h"


def gradients(cell: Cell, losses: list[Tensor]) -> dict[str, np.ndarray]:
    for parameter in cell.parameters.values():
        parameter.grad = None
    for loss in losses:
        loss.backward()
    return {name: np.zeros(p.shape) if p.grad is None else p.grad for name, p in cell.parameters.items()}


def squared(tensor: Tensor) -> Tensor:
    loss: Tensor = (tensor * tensor).sum()
    return loss


def assert_equal(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name in expected:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-11, atol=1e-13, err_msg=name)


DEFINITIONS = [elman, feedback, two_delays, own_output]


# ---- chunks


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("k", [1, 2, 3, 7, 9])
def test_chunks_are_separate_unrolls_whose_state_is_carried_detached(definition: Any, k: int) -> None:
    cell = definition()
    data, name = data_for(cell), output(cell)
    whole = cell.unroll(T=T, chunks=k, **data)
    ours = gradients(cell, [squared(whole[name].stack())])
    losses, state = [], None
    for start in range(0, T, k):
        length = min(k, T - start)
        run = cell.unroll(T=length, initial=state, **{key: x[start:start + k] for key, x in data.items()})
        np.testing.assert_allclose(run[name].stack().numpy(), whole[name].stack().numpy()[start:start + k], rtol=1e-12)
        losses.append(squared(run[name].stack()))
        state = run.state.detach()
    assert_equal(ours, gradients(cell, losses))


def test_a_chunk_as_long_as_the_sequence_cuts_nothing() -> None:
    cell = feedback()
    data = data_for(cell)
    run = cell.unroll(**data, chunks=T)
    assert run.cuts() == []
    whole = cell.unroll(**data)
    assert_equal(gradients(cell, [squared(run["y"].stack())]), gradients(cell, [squared(whole["y"].stack())]))


def test_every_edge_that_crosses_a_border_is_cut_and_listed() -> None:
    cell = two_delays()
    run = cell.unroll(**data_for(cell), chunks=3)
    crossing = [edge for edge in run.edges() if (max(edge.source.t, 1) - 1) // 3 != (edge.target.t - 1) // 3]
    assert run.cuts() == crossing
    assert ("h", 2) in {edge.source for edge in crossing} and ("h", 3) in {edge.source for edge in crossing}


def test_initial_values_belong_to_the_first_chunk() -> None:
    """With a delay of two, h[0] is read at t = 2 as well: in the second chunk of one step."""
    cell = Cell()
    h = cell.signal("h", 1)
    h0 = Tensor([2.0], requires_grad=True, name="h0")
    h[t] = 3.0 * h[t-2]
    h[0], h[-1] = h0, 5.0
    run = cell.unroll(T=2, chunks=1)
    assert run["h"].stack().numpy().tolist() == [[15.0], [6.0]]
    assert not run["h"][2].requires_grad
    assert cell.unroll(T=2, chunks=2)["h"][2].requires_grad


def test_backward_loops_are_cut_at_the_same_borders() -> None:
    cell = bidirectional()
    run = cell.unroll(**data_for(cell), chunks=3)
    squared(run["y"][1]).backward()
    reached = {name: [k for k in range(1, T + 1) if run[name][k].grad is not None] for name in ("hf", "hb")}
    assert reached == {"hf": [1], "hb": [1, 2, 3]}


# ---- the last steps


@pytest.mark.parametrize("definition", [elman, feedback, two_delays])
@pytest.mark.parametrize("k", [1, 2, 4, T - 1, T, 20])
def test_last_differentiates_the_last_steps_alone(definition: Any, k: int) -> None:
    cell = definition()
    data, name = data_for(cell), output(cell)
    run = cell.unroll(**data, last=k)
    first = max(T - k, 0)
    if first:
        with mg.no_grad():
            before = cell.unroll(**{key: x[:first] for key, x in data.items()})
        rest = cell.unroll(initial=before.state, **{key: x[first:] for key, x in data.items()})
    else:
        rest = cell.unroll(**data)
    assert [copy.requires_grad for copy in run[name]] == [False] * first + [True] * (T - first)
    np.testing.assert_allclose(run[name].stack().numpy()[first:], rest[name].stack().numpy(), rtol=1e-12)
    assert_equal(gradients(cell, [squared(run[name].stack())]), gradients(cell, [squared(rest[name].stack())]))


def test_the_last_steps_reach_the_initial_value_only_where_they_are_all() -> None:
    cell = Cell()
    h = cell.signal("h", 1)
    h[t] = 2.0 * h[t-1]
    h[0] = Tensor([1.0], requires_grad=True, name="h0")
    assert cell.unroll(T=3, last=3)["h"][3].requires_grad
    assert not cell.unroll(T=3, last=2)["h"][3].requires_grad


# ---- sliding windows


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5), (4, 4), (7, 7), (1, 99)])
def test_each_window_reaches_back_k2_steps_for_the_losses_of_k1(definition: Any, k1: int, k2: int) -> None:
    cell = definition()
    data, name = data_for(cell), output(cell)
    run = cell.unroll(T=T, window=(k1, k2), **data)
    ours = gradients(cell, [squared(run[name].stack())])
    with mg.no_grad():
        full = cell.unroll(T=T, **data)
    losses = []
    for done in range(0, T, k1):
        stop = min(done + k1, T)
        start = max(stop - k2, 0)
        state = None
        if start:
            with mg.no_grad():
                state = cell.unroll(T=start, **{key: x[:start] for key, x in data.items()}).state
        window = cell.unroll(T=stop - start, initial=state, **{key: x[start:stop] for key, x in data.items()})
        losses += [squared(window[name][k - start]) for k in range(done + 1, stop + 1)]
    np.testing.assert_allclose(run[name].stack().numpy(), full[name].stack().numpy(), rtol=1e-12)
    assert_equal(ours, gradients(cell, losses))


def test_windows_and_chunks_of_one_length_differ_where_it_does_not_divide_the_sequence() -> None:
    cell = elman()
    data = data_for(cell)
    by_chunks, by_windows = (gradients(cell, [squared(cell.unroll(**data, **kind)["y"].stack())])
                             for kind in ({"chunks": 4}, {"window": (4, 4)}))
    assert not np.allclose(by_chunks["U"], by_windows["U"])


def test_a_run_keeps_its_windows() -> None:
    cell = elman()
    run = cell.unroll(**data_for(cell), window=(2, 3))
    assert [(window.steps, window.loss_steps) for window in run.windows] == [
        (range(1, 3), range(1, 3)), (range(2, 5), range(3, 5)), (range(4, 7), range(5, 7)), (range(5, 8), range(7, 8))]
    assert run["h"][4] is run.windows[1]["h"][4]
    assert run["h"][4] is not run.windows[2]["h"][4]
    np.testing.assert_array_equal(run["h"][4].numpy(), run.windows[2]["h"][4].numpy())
    with pytest.warns(DeprecationWarning, match="Window.owed is called Window.loss_steps now"):
        assert run.windows[1].owed == range(3, 5)


@pytest.mark.parametrize(("options", "message"), [
    ({"chunks": 2, "last": 3}, "chunks and last are different kinds of truncation: choose one"),
    ({"chunks": 0}, "chunks is a number of steps, 1 or more, not 0"),
    ({"last": 1.5}, "last is a number of steps, 1 or more, not 1.5"),
    ({"window": 3}, r"window is a pair \(k1, k2\)"),
    ({"window": (3, 2)}, r"window=\(3, 2\): each window differentiates 3 losses"),
    ({"window": (1, "x")}, "window's k2 is a number of steps, 1 or more, not 'x'"),
])
def test_invalid_truncations_are_refused(options: dict[str, Any], message: str) -> None:
    cell = elman()
    with pytest.raises(ValueError, match=message) as caught:
        cell.unroll(**data_for(cell), **options)
    assert "test_truncation.py:" in str(caught.value)


@pytest.mark.parametrize("window", [(1, 1), (2, 3), (3, 5), (7, 7), (4, 99)])
def test_windows_list_the_edges_that_lead_out_of_the_window_which_owes_the_loss(window: tuple[int, int]) -> None:
    run = two_delays().unroll(**data_for(two_delays()), window=window)
    leaving = []
    for edge in run.edges():
        steps = next(part.steps for part in run.windows if edge.target.t in part.loss_steps)
        if edge.source.signal != "x" and max(edge.source.t, 1) < steps.start:
            leaving.append(edge)
    assert run.cuts() == leaving


def test_a_shared_expression_belongs_to_its_window() -> None:
    """Each window computes its own copy of a gate that two equations use."""
    U = Tensor([[0.5]], requires_grad=True, name="U")
    cell = Cell()
    x, h, y = cell.input("x", 1), cell.signal("h", 1), cell.signal("y", 1)
    gate = np.tanh(U @ h[t-1] + x[t])
    h[t] = gate * 0.5
    y[t] = gate * 3.0
    run = cell.unroll(x=np.ones((4, 1)), window=(1, 2))
    squared(run["y"][4]).backward()
    assert run.windows[3]["h"][3].grad is not None and run.windows[2]["h"][2].grad is None


@pytest.mark.parametrize("execute", [lambda cell: cell.unroll, lambda cell: cell.compile("L")])
def test_windows_do_not_go_with_loops_that_run_backward(execute: Any) -> None:
    cell = bidirectional()
    cell.signal("L", ())[t] = cell.signals["y"][t] @ cell.signals["y"][t]
    with pytest.raises(ValueError, match=r"hb reads hb\[t\+1\] at definitions.py:\d+. Use chunks= or last="):
        execute(cell)(**data_for(cell), window=(2, 3))


def test_an_initial_value_of_an_input_gets_gradients_from_every_window_that_reads_it() -> None:
    """Compiled programs took it as a constant in all windows but the first."""
    x0, U = made("x0", 1, 1), made("U", 1, 1)
    cell = Cell()
    x, h, L = cell.input("x", 1), cell.signal("h", 1), cell.signal("L", ())
    h[t] = np.tanh(x[t] + x[t-3] + U @ h[t-1])
    L[t] = mg.sum(h[t] * h[t], axis=-1)
    for step in (0, -1, -2):
        x[step] = x0[0] * (1.0 - step)
    data = {"x": np.linspace(-1.0, 1.0, 5).reshape(5, 1, 1)}
    run = cell.unroll(**data, window=(1, 2))
    ours = gradients(cell, [part["L"][k].sum() for part in run.windows for k in part.loss_steps])
    for parameter in cell.parameters.values():
        parameter.grad = None
    cell.compile("L")(**data, window=(1, 2))
    assert_equal({name: p.grad for name, p in cell.parameters.items()}, ours)  # type: ignore[misc]


# ---- sequences of unequal length


LENGTHS = np.array([7, 4, 1])


def ragged(cell: Cell) -> dict[str, np.ndarray]:
    """Data whose sequences end at LENGTHS; after the end there is garbage."""
    data = {}
    for name, signal in cell.signals.items():
        if signal.given:
            values = RNG.normal(size=(T, len(LENGTHS), *(signal.shape or ())))
            for number, length in enumerate(LENGTHS):
                values[length:, number] = np.nan
            data[name] = values
    return data


@pytest.mark.parametrize("definition", [elman, feedback, two_delays, bidirectional])
def test_a_batch_of_unequal_lengths_equals_its_sequences_one_by_one(definition: Any) -> None:
    cell = definition()
    data = ragged(cell)
    run = cell.unroll(**data, lengths=LENGTHS)
    assert run.mask is not None
    ours = gradients(cell, [squared(run["y"].stack() * run.mask[..., None])])  # y may be a state, which holds
    losses = []
    for number, length in enumerate(LENGTHS):
        alone = cell.unroll(**{name: x[:length, number] for name, x in data.items()})
        losses.append(squared(alone["y"].stack()))
        for k in range(1, length + 1):
            np.testing.assert_allclose(run["y"][k].numpy()[number], alone["y"][k].numpy(), rtol=1e-12)
    assert_equal(ours, gradients(cell, losses))


def test_a_finished_state_holds_and_a_finished_output_is_zero() -> None:
    cell = elman()
    run = cell.unroll(**ragged(cell), lengths=LENGTHS)
    h, y = run["h"].stack().numpy(), run["y"].stack().numpy()
    for number, length in enumerate(LENGTHS):
        for held in h[length:, number]:
            np.testing.assert_array_equal(held, h[length - 1, number])
        assert not y[length:, number].any()
        assert y[:length, number].all()
    assert run.mask is not None and run.mask.sum(axis=0).tolist() == LENGTHS.tolist()


def test_a_reversed_state_starts_at_each_sequences_own_end() -> None:
    cell = bidirectional()
    data = ragged(cell)
    run = cell.unroll(**data, lengths=LENGTHS)
    for number, length in enumerate(LENGTHS):
        alone = cell.unroll(x=data["x"][:length, number])
        np.testing.assert_allclose(run["hb"][1].numpy()[number], alone["hb"][1].numpy(), rtol=1e-12)
        np.testing.assert_allclose(run["hf"][T].numpy()[number], alone["hf"][int(length)].numpy(), rtol=1e-12)
        assert not run["hb"].stack().numpy()[length:, number].any()


def test_a_reversed_state_that_is_also_read_from_before_runs_backward() -> None:
    U, W = made("U", 3, 3), made("W", 3, 3)
    cell = Cell("behind")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = np.tanh(U @ h[t+1] + x[t])
    y[t] = W @ h[t-1]
    inputs = np.random.default_rng(0).normal(size=(4, 2, 3))
    run = cell.unroll(x=inputs, lengths=[4, 2])
    alone = cell.unroll(x=inputs[:2, 1])
    for k in (1, 2):
        np.testing.assert_allclose(run["h"][k].numpy()[1], alone["h"][k].numpy(), rtol=1e-12)
        np.testing.assert_allclose(run["y"][k].numpy()[1], alone["y"][k].numpy(), rtol=1e-12)


def test_the_state_continues_from_the_end_of_each_sequence() -> None:
    cell = elman()
    data = ragged(cell)
    state = cell.unroll(**data, lengths=LENGTHS).state
    alone = cell.unroll(x=data["x"][:4, 1])
    np.testing.assert_allclose(state.values["h"][0].numpy()[1], alone["h"][4].numpy(), rtol=1e-12)


def test_a_mask_pauses_step_by_step() -> None:
    cell = elman()
    x = RNG.normal(size=(5, 1, 3))
    mask = np.array([[True], [False], [True], [False], [True]])
    run, alone = cell.unroll(x=x, mask=mask), cell.unroll(x=x[[0, 2, 4]])
    np.testing.assert_allclose(run["y"].stack().numpy()[[0, 2, 4]], alone["y"].stack().numpy(), rtol=1e-12)
    assert not run["y"].stack().numpy()[[1, 3]].any()


def test_full_lengths_change_nothing() -> None:
    cell = two_delays()
    data = data_for(cell)
    np.testing.assert_array_equal(cell.unroll(**data, lengths=[T, T])["y"].stack().numpy(),
                                  cell.unroll(**data)["y"].stack().numpy())


def test_gradients_of_the_data_are_zero_past_the_end() -> None:
    cell = elman()
    x = Tensor(RNG.normal(size=(T, len(LENGTHS), 3)), requires_grad=True)
    squared(cell.unroll(x=x, lengths=LENGTHS)["y"].stack()).backward()
    assert x.grad is not None
    for number, length in enumerate(LENGTHS):
        assert x.grad[:length, number].all() and not x.grad[length:, number].any()


def test_truncation_and_lengths_go_together() -> None:
    cell = elman()
    data = ragged(cell)
    run = cell.unroll(**data, lengths=LENGTHS, chunks=3)
    ours = gradients(cell, [squared(run["y"].stack())])
    losses = [squared(cell.unroll(x=data["x"][:length, number], chunks=3)["y"].stack())
              for number, length in enumerate(LENGTHS)]
    assert_equal(ours, gradients(cell, losses))


@pytest.mark.parametrize(("options", "message"), [
    ({"lengths": [1, 2]}, r"shape \(3,\) is needed, not int64 of shape \(2,\)"),
    ({"lengths": [1.0, 2.0, 3.0]}, "lengths are whole numbers"),
    ({"lengths": [-1, 2, 3]}, r"lengths are in 0 … 7 \(the data have 7 steps\), not -1 … 3"),
    ({"lengths": [1, 2, 8]}, "not 1 … 8"),
    ({"mask": np.full((7, 3), 0.5)}, "the mask has 1 for each step that counts and 0 for the others, not 0.5"),
    ({"mask": np.full((7, 3), np.nan)}, "1 for each step that counts and 0 for the others, not nan"),
    ({"mask": np.ones((7, 3), str)}, r"the mask is bools \(or numbers 0 and 1\) of shape \(7, 3\)"),
    ({"mask": np.eye(7, 3), "chunks": 2}, "chunks= cuts at columns of the batch, so the mask may only end sequences"),
    ({"mask": np.eye(7, 3), "window": (1, 2)}, "window= cuts at columns of the batch"),
    ({"lengths": [7, 7, 3], "last": 2}, "last= needs sequences of one length: theirs are 3 … 7, of 7 steps"),
    ({"mask": np.ones((7, 2), bool)}, r"not bool of shape \(7, 2\)"),
    ({"mask": np.ones((7, 3), bool), "lengths": [1, 2, 3]}, "give one"),
])
def test_invalid_lengths_and_masks_are_refused(options: dict[str, Any], message: str) -> None:
    cell = elman()
    with pytest.raises(ValueError, match=message) as caught:
        cell.unroll(x=np.zeros((7, 3, 3)), **options)
    assert "test_truncation.py:" in str(caught.value)


# ---- what a backward pass has left


@pytest.mark.parametrize("definition", [elman, feedback, two_delays, own_output, bidirectional])
def test_contributions_by_step_add_up_to_the_gradient(definition: Any) -> None:
    cell = definition()
    run = cell.unroll(T=T, **data_for(cell))
    total = gradients(cell, [squared(run[output(cell)].stack())])
    for name, gradient in total.items():
        rows = run.contributions(name)
        assert rows.shape == (T, *gradient.shape)
        np.testing.assert_allclose(rows.sum(axis=0), gradient, rtol=1e-10, atol=1e-12)


def test_a_contribution_is_the_gradient_of_that_steps_own_copy_of_the_parameter() -> None:
    """Checked by giving each step a matrix of its own: h[t] = tanh(x[t] + U_t h[t-1])."""
    rng = np.random.default_rng(0)
    U, x = Tensor(rng.normal(size=(3, 3)), requires_grad=True, name="U"), rng.normal(size=(4, 3))
    cell = Cell()
    x_in, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(x_in[t] + U.T @ h[t-1])
    run = cell.unroll(x=x)
    squared(run["h"][4]).backward()
    own = [Tensor(U.numpy(), requires_grad=True) for _ in range(4)]
    state: Any = np.zeros(3)
    for row, matrix in zip(x, own):
        state = mg.tanh(row + mg.matvec(matrix.T, state))
    squared(state).backward()
    np.testing.assert_allclose(run.contributions("U"), [matrix.grad for matrix in own], rtol=1e-12)


def test_a_signal_defined_for_the_next_step_contributes_at_the_step_that_computes_it() -> None:
    cell = own_output()
    run = cell.unroll(T=3)
    squared(run["x"][2]).backward()  # x[2] is computed at t = 1
    assert [bool(row.any()) for row in run.contributions("C")] == [True, False, False]


def test_gradient_norms_distinguish_not_computed_from_zero() -> None:
    cell = elman()
    run = cell.unroll(**data_for(cell))
    with pytest.raises(ValueError, match=r"call loss\.backward\(\) first"):
        run.gradient_norms("h")
    squared(run["y"][3]).backward()
    norms = run.gradient_norms("h")
    assert (norms[:3] > 0).all() and np.isnan(norms[3:]).all()
    np.testing.assert_allclose(norms[1], np.linalg.norm(run["h"][2].grad))  # type: ignore[arg-type]


def test_gradients_by_lag_are_means_over_all_pairs_of_steps() -> None:
    """h[t] = 0.5 h[t-1] + x[t], L[t] = h[t]: the lag's power of a half."""
    cell = Cell()
    x, h = cell.input("x", 1), cell.signal("h", 1)
    w = Tensor([0.5], requires_grad=True, name="w")
    h[t] = w * h[t-1] + x[t]
    run = cell.unroll(x=np.ones((6, 1)))
    np.testing.assert_allclose(run.gradient_by_lag("h", [h.sum() for h in run["h"]]), 0.5 ** np.arange(6))
    assert w.grad is None
    with pytest.raises(ValueError, match="there are 2 losses for 6 steps"):
        run.gradient_by_lag("h", [run["h"][1], run["h"][2]])


def test_contributions_of_an_unknown_name_list_the_parameters() -> None:
    cell = elman()
    run = cell.unroll(**data_for(cell))
    with pytest.raises(KeyError, match="no parameter 'Q'; there are W, U, b"):
        run.contributions("Q")


def test_windows_add_up_too() -> None:
    cell = elman()
    run = cell.unroll(**data_for(cell), window=(2, 4))
    total = gradients(cell, [squared(run["y"].stack())])
    np.testing.assert_allclose(run.contributions("U").sum(axis=0), total["U"], rtol=1e-10, atol=1e-12)


def test_lengths_of_chunks_do_not_matter_for_values() -> None:
    cell = feedback()
    data = data_for(cell)
    values = [cell.unroll(**data, **options)["y"].stack().numpy()
              for options in ({}, {"chunks": 2}, {"last": 3}, {"window": (2, 3)})]
    for first, second in itertools.pairwise(values):
        np.testing.assert_array_equal(first, second)


def test_windows_refuse_reads_ahead_through_a_lead() -> None:
    cell = Cell()
    x, h, L = cell.input("x", ()), cell.signal("h", ()), cell.signal("L", ())
    h[t-1] = 0.5 * x[t]
    L[t] = h[t]
    for call in (cell.unroll, cell.compile(loss="L")):
        with pytest.raises(ValueError, match=r"window= cuts loops that run forward in time, but L reads h\[t\]"):
            call(x=np.ones(3), window=(1, 2))


def test_initial_replaces_the_values_of_its_side_alone() -> None:
    cell = Cell()
    s, y = cell.signal("s", ()), cell.signal("y", ())
    s[t] = 0.5 * s[t+1]
    y[t] = s[t-1]
    s[0], s[LAST+1] = 3.0, 8.0
    for initial, values in (({"s": 5.0}, [5.0, 2.0]), ({"s": {3: 16.0}}, [3.0, 4.0])):
        assert cell.unroll(T=2, initial=initial)["y"].stack().numpy().tolist() == values
        assert cell.compile()(T=2, initial=initial)["y"].tolist() == values
