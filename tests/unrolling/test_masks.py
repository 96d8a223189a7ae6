"""Masks and lengths in unroll and compile: each sequence is computed as if its masked steps were deleted.

The oracle is every sequence alone (tests/helpers/masked.py); exports are held to it in tests/export.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import elman
from masked import Results, alone, clear, draw_definition, draw_mask, gradients_of

import minigrad as mg
import viz
from rnn import Cell, T, t


def assert_close(found: Any, wanted: Any, what: str) -> None:
    np.testing.assert_allclose(np.broadcast_to(found, np.shape(wanted)), wanted, rtol=1e-9, atol=1e-11, err_msg=what)


def assert_results(cell: Cell, mask: Any, results: Any, state: Any, data: mg.Tensor, wanted: Results) -> None:
    """Compare values at all columns, final values, the state, and gradients after a backward pass."""
    for name, values in wanted.values.items():
        found = results[name] if isinstance(results[name], np.ndarray) else results[name].stack().numpy()
        own = mask.reshape(mask.shape + (1,) * (found.ndim - mask.ndim))
        assert_close(found * own, values, name)
        assert_close(found, wanted.held.get(name, values), f"{name} at masked steps")
        final = results.final(name) if hasattr(results, "final") else results[name].final().numpy()
        ran = mask.any(axis=0)
        assert_close(final[ran], wanted.final[name][ran], f"{name} at the end")
    for name, gradient in {**gradients_of(cell), "data": data.grad if data.grad is not None else 0.0}.items():
        assert_close(gradient, wanted.gradients[name], f"the gradient of {name}")
    for (name, k), value in wanted.state.items():
        assert_close(state.values[name][k].numpy(), value, f"the state {name}[{k}]")


def drawn(seed: int, holes: bool | None = None) -> tuple[Cell, Any, Any]:
    """Return a random definition, data and a mask."""
    rng = np.random.default_rng(seed)
    cell = draw_definition(rng)
    steps, batch = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    mask = draw_mask(rng, steps, batch, bool(rng.random() < 0.6) if holes is None else holes)
    return cell, rng.normal(size=(steps, batch, 2)), mask


def check_unroll(seed: int) -> None:
    cell, x, mask = drawn(seed)
    wanted = alone(cell, x, mask)
    clear(cell)
    data = mg.Tensor(x, requires_grad=True)
    run = cell.unroll(x=data, mask=mask)
    loss = (run["L"].stack() * mask).sum()
    assert_close(loss.item(), wanted.loss, "loss")
    if loss.requires_grad:
        loss.backward()
    assert_results(cell, mask, run, run.state, data, wanted)


def check_compile(seed: int) -> None:
    cell, x, mask = drawn(seed)
    wanted = alone(cell, x, mask)
    clear(cell)
    data = mg.Tensor(x, requires_grad=True)
    loss, outputs = cell.compile("L")(x=data, mask=mask)
    assert_close(loss, wanted.loss, "loss")
    assert_results(cell, mask, outputs, outputs.state, data, wanted)


@pytest.mark.parametrize("seed", range(60))
def test_unroll_computes_each_sequence_as_if_it_were_alone(seed: int) -> None:
    check_unroll(seed)


@pytest.mark.slow
def test_unroll_computes_many_sequences_as_if_they_were_alone() -> None:
    for seed in range(100, 2100):
        check_unroll(seed)


@pytest.mark.parametrize("seed", mostly_slow(range(60), 25))
def test_the_program_computes_each_sequence_as_if_it_were_alone(seed: int) -> None:
    check_compile(seed)


@pytest.mark.slow
def test_the_program_computes_many_sequences_as_if_they_were_alone() -> None:
    for seed in range(100, 1100):
        check_compile(seed)


@pytest.mark.parametrize("seed", mostly_slow(range(40), 15))
def test_the_upstream_gradients_of_all_signals_reach_what_they_reach_in_the_graph(seed: int) -> None:
    """Held values at masked steps included."""
    cell, x, mask = drawn(seed)
    names = [name for name, signal in cell.signals.items() if not signal.given and not signal.lead]
    rng = np.random.default_rng(seed)
    data = mg.Tensor(x, requires_grad=True)
    clear(cell)
    run = cell.unroll(x=data, mask=mask)
    upstream = {name: rng.normal(size=(*x.shape[:2], *(cell.signals[name].shape or ()))) for name in names}
    loss = sum((run[name].stack() * upstream[name]).sum() for name in names)
    if loss.requires_grad:
        loss.backward()
    expected = {**gradients_of(cell), "data": np.zeros(x.shape) if data.grad is None else data.grad}
    clear(cell)
    data.grad = None
    fast = cell.compile()
    fast(x=data, mask=mask)
    fast.backward(**upstream)
    for name, gradient in {**gradients_of(cell), "data": data.grad if data.grad is not None else 0.0}.items():
        assert_close(gradient, expected[name], name)


@pytest.mark.parametrize("seed", mostly_slow(range(60), 25))
def test_chunks_and_windows_of_sequences_of_unequal_length(seed: int) -> None:
    """The values are those of each sequence alone; the program has the gradients of the graph."""
    cell, x, mask = drawn(seed, holes=False)
    options: dict[str, Any] = [{"chunks": 2}, {"chunks": 3}, {"window": (1, 2)}, {"window": (2, 3)}][seed % 4]
    wanted = alone(cell, x, mask)
    lengths = mask.sum(axis=0)
    try:
        run = cell.unroll(x=x, lengths=lengths, **options)
    except ValueError as error:
        assert "window= cuts loops" in str(error) or "window= with sequences of unequal length" in str(error)
        return
    clear(cell)
    losses = [part["L"][k].sum() for part in run.windows for k in part.loss_steps] or [run["L"].stack().sum()]
    loss = sum(losses[1:], losses[0])
    if loss.requires_grad:
        loss.backward()
    expected = gradients_of(cell)
    clear(cell)
    found, outputs = cell.compile("L")(x=x, lengths=lengths, **options)
    assert_close(found, loss.item(), "loss")
    for name, values in wanted.values.items():
        assert_close(run[name].stack().numpy(), wanted.held.get(name, values), name)
        assert_close(outputs[name], wanted.held.get(name, values), name)
    for name, gradient in gradients_of(cell).items():
        assert_close(gradient, expected[name], name)


# ---- reports, by hand
def two_back() -> Cell:
    cell = Cell("two back")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = x[t] + 0.5 * h[t-1] + 0.25 * h[t-2]
    return cell


def test_a_delay_of_two_counts_own_steps() -> None:
    cell = two_back()
    x = np.arange(1.0, 6)[:, None]
    first = cell.unroll(x=x, lengths=[2])
    rest = [2.5, 5.5625 - 1.5625, 0.0]  # h[3] = 1 + 0.5 h[2] + 0.25 h[1] = 1 + 1.25 + 0.25, after h[1], h[2] = 1, 2.5
    assert first.state.values["h"][0].numpy().tolist() == [2.5] and first.state.values["h"][-1].numpy().tolist() == [1]
    assert cell.unroll(x=x, initial=first.state)["h"][1].numpy().tolist() == [rest[0]]
    mask = np.array([1, 1, 0, 1, 1])
    paused = [1.0, 2.5, 2.5, 5.5, 8.375]  # 4 + 0.5 * 2.5 + 0.25 * 1, then 5 + 0.5 * 5.5 + 0.25 * 2.5
    np.testing.assert_allclose(cell.unroll(x=x, mask=mask[:, None])["h"].stack().numpy()[:, 0], paused)
    np.testing.assert_allclose(cell.compile()(x=x, mask=mask[:, None])["h"][:, 0], paused)


@pytest.mark.parametrize("watch", [-1, 0, 1])
def test_who_reads_a_loss_does_not_change_it(watch: int) -> None:
    w = mg.Tensor(0.5, requires_grad=True, name="w")
    cell = Cell()
    x, y, h, L = cell.input("x", ()), cell.input("y", ()), cell.signal("h", ()), cell.signal("L", ())
    h[t] = np.tanh(x[t] + w * h[t-1])
    L[t] = (h[t] - y[t]) ** 2
    if watch:
        d = cell.signal("d", ())
        d[t] = L[t] - L[t+watch]
    data = {"x": np.ones((6, 2)), "y": np.zeros((6, 2))}
    fast = cell.compile(loss="L", reduction="mean")
    loss, outputs = fast(**data, lengths=[6, 2])
    hs = [0.0]
    for _ in range(6):
        hs.append(float(np.tanh(1 + 0.5 * hs[-1])))
    assert loss == pytest.approx(sum(v * v for v in [*hs[1:], *hs[1:3]]) / 8, rel=1e-12)
    assert not outputs["L"][2:, 1].any()
    slope = fast.gradients["w"]
    run = cell.unroll(**data, lengths=[6, 2])
    assert not run["L"].stack().numpy()[2:, 1].any()
    (run["L"].stack().sum() / 8).backward()
    assert w.grad is not None and slope is not None
    np.testing.assert_allclose(slope * 2, w.grad, rtol=1e-12)  # one after the other


def test_a_mean_has_one_meaning_with_and_without_a_mask() -> None:
    cell = Cell()
    x, L = cell.input("x", ()), cell.signal("L", ())
    L[t] = x[t] * mg.Tensor(2.0, requires_grad=True, name="w")
    fast, x_ = cell.compile("L", reduction="mean"), np.arange(12.0).reshape(4, 3)
    for options in ({}, {"lengths": [4, 4, 4]}, {"mask": np.ones((4, 3))}):
        assert fast(x=x_, **options).loss == pytest.approx(11.0)
    assert fast(x=x_, lengths=[4, 0, 1]).loss == pytest.approx(2 * (0 + 3 + 6 + 9 + 2) / 5)
    assert fast(x=x_, lengths=[0, 0, 0]).loss == 0.0


def test_a_signal_with_a_lead_under_a_mask() -> None:
    """It was an endless loop, and a KeyError with an input."""
    cell = Cell()
    s, y = cell.signal("s", ()), cell.signal("y", ())
    s[t+1] = np.tanh(mg.Tensor(1.0, requires_grad=True, name="w"))
    y[t] = s[t+1] * 2
    run = cell.unroll(T=4, mask=np.array([True, True, False, True]))
    np.testing.assert_allclose(run["y"].stack().numpy(), 2 * np.tanh(1.0) * np.array([1, 1, 0, 1]))
    cell = Cell()
    x, s, y = cell.input("x", ()), cell.signal("s", ()), cell.signal("y", ())
    s[t+1] = np.tanh(x[t])
    y[t] = s[t+1]
    data = np.random.default_rng(0).normal(size=(4, 3))
    run = cell.unroll(x=data, lengths=[4, 2, 1])
    mask = np.arange(4)[:, None] < [4, 2, 1]
    np.testing.assert_allclose(run["y"].stack().numpy(), np.tanh(data) * mask)
    np.testing.assert_allclose(cell.compile()(x=data, lengths=[4, 2, 1])["y"], np.tanh(data) * mask)


def test_values_after_the_end_are_those_of_each_sequence() -> None:
    cell = Cell()
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = x[t] + 10 * x[t+1] + 100 * x[t+2]
    x[T+1], x[T+2] = 7.0, 9.0
    data = np.array([[1.0, 1], [2, 2], [3, 0]])
    wanted = np.array([[321.0, 971], [732, 0], [973, 0]])
    wanted[1] = 2 + 30 + 700, 2 + 70 + 900
    wanted[0, 1] = 1 + 20 + 700
    wanted[2, 0] = 3 + 70 + 900
    np.testing.assert_array_equal(cell.unroll(x=data, lengths=[3, 2])["y"].stack().numpy(), wanted)
    np.testing.assert_array_equal(cell.compile()(x=data, lengths=[3, 2])["y"], wanted)


def test_final_values() -> None:
    cell = elman()
    x = np.random.default_rng(0).normal(size=(5, 3, 3))
    run, outputs = cell.unroll(x=x, lengths=[5, 2, 4]), cell.compile()(x=x, lengths=[5, 2, 4])
    rows = np.stack([run["y"].stack().numpy()[n - 1, b] for b, n in enumerate([5, 2, 4])])
    np.testing.assert_array_equal(run["y"].final().numpy(), rows)
    np.testing.assert_allclose(outputs.final("y"), rows, rtol=1e-12)
    np.testing.assert_array_equal(run["h"].final().numpy(), run["h"][5].numpy())
    assert cell.unroll(x=x)["y"].final().shape == (3, 2)
    with pytest.raises(KeyError, match="no signal 'z'"):
        outputs.final("z")


def test_a_run_without_masked_steps_is_the_run_without_a_mask() -> None:
    cell = elman()
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    pictures = [viz.unrolled(cell.unroll(x=x, **options)).source for options in ({}, {"lengths": [4, 4]})]
    assert pictures[0] == pictures[1]


def test_contributions_and_norms_of_a_masked_run() -> None:
    cell, x, mask = drawn(3, holes=True)
    run = cell.unroll(x=x, mask=mask)
    clear(cell)
    (run["L"].stack() * mask).sum().backward()
    for name, parameter in cell.parameters.items():
        total = run.contributions(name).sum(axis=0)
        assert_close(total, np.zeros(parameter.shape) if parameter.grad is None else parameter.grad, name)
    assert run.gradient_norms("s0").shape == (len(x),)
    assert viz.unrolled(run).source and run.facts().longest_path


def test_a_mask_of_zeros_and_ones_in_any_type() -> None:
    cell = elman()
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    mask = np.array([[1, 1], [0, 1], [1, 0], [1, 0]])
    wanted = cell.unroll(x=x, mask=mask.astype(bool))["y"].stack().numpy()
    for dtype in (int, float, np.uint8, np.float32):
        np.testing.assert_array_equal(cell.unroll(x=x, mask=mask.astype(dtype))["y"].stack().numpy(), wanted)
        np.testing.assert_allclose(cell.compile()(x=x, mask=mask.astype(dtype))["y"], wanted, rtol=1e-12)


def test_windows_of_unequal_lengths_refuse_learned_values_after_the_end() -> None:
    cell = Cell()
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = x[t] + x[t+1]
    x[T+1] = mg.Tensor(1.0, requires_grad=True, name="end")
    with pytest.raises(ValueError, match=r"window= with sequences of unequal length .* x\[T\+1\] requires one, set at"):
        cell.unroll(x=np.ones((4, 2)), lengths=[4, 2], window=(1, 2))


@pytest.mark.parametrize("pad", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("holes", [False, True])
def test_masked_steps_have_no_infinite_derivatives(holes: bool, pad: float) -> None:
    w = mg.Tensor([0.7, 1.3], requires_grad=True, name="w")
    cell = Cell()
    x, h, p, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("p", 2), cell.signal("L", ())
    h[t] = np.sqrt(x[t] * x[t] + 0.1 * h[t-1] * h[t-1])
    p[t] = mg.softmax(h[t] * w)
    L[t] = (-np.log(p[t])[0] + (x[t] ** w).sum(axis=-1) + (np.arccos(x[t] * 0.5) @ w) / (x[t] @ x[t])
            + np.log(w * h[t] + p[t-1]).sum(axis=-1))
    data = np.random.default_rng(0).uniform(0.2, 1.0, (4, 3, 2))
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1]] if holes else [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]],
                    bool).T
    wanted, gradient = alone(cell, data, mask).loss, np.zeros(2)
    for b in range(3):
        w.grad = None
        cell.unroll(x=data[:, b][mask[:, b]])["L"].stack().sum().backward()
        assert w.grad is not None
        gradient += w.grad
    padded = np.where(mask[..., None], data, pad)
    w.grad = None
    loss = cell.unroll(x=padded, mask=mask)["L"].stack().sum()
    loss.backward()
    assert_close(loss.item(), wanted, "the loss")
    assert_close(w.grad, gradient, "the gradient of unroll")
    w.grad = None
    result = cell.compile(loss="L")(x=padded, mask=mask)
    assert_close(result.loss, wanted, "the loss")
    assert_close(w.grad, gradient, "the gradient of compile")


def test_a_value_after_the_end_that_is_set_by_number_is_refused_where_ends_differ() -> None:
    cell = Cell()
    x, s = cell.input("x", ()), cell.signal("s", ())
    s[t] = x[t] + 0.5 * s[t+1]
    s[5] = 10.0
    data = np.arange(1.0, 9.0).reshape(4, 2)
    assert cell.unroll(x=data, lengths=[4, 4])["s"][4].data.tolist() == [12.0, 13.0]
    for call in (cell.unroll, cell.compile()):
        with pytest.raises(ValueError, match=r"s\[5\] is set by its number \(at test_masks.*write s\[T\+1\] = "):
            call(x=data, lengths=[4, 1])
