"""cell.to_torch(): the same numbers as unroll and backward, the same names, PyTorch's own tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import above, elman, parameter
from exports import (
    CASES,
    derivatives,
    expected,
    gradients_of_one,
    gradients_of_two,
    largest_difference,
    name_of,
    taken_by,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from own_operations import swish
from random_definitions import STEPS, Spec, defined, specs

import minigrad as mg
from rnn import Cell, DefinitionError, cells, interop, t

torch = pytest.importorskip("torch")
from rnn.export.torch import TorchBackend  # noqa: E402


@pytest.mark.parametrize(("make", "options"), CASES)
def test_values_and_gradients_are_those_of_the_unrolled_graph(make: Callable[[], Cell], options: Any) -> None:
    cell, data, values, gradients = expected(make, options)
    module = cell.to_torch()
    found = module(**data, **options)
    sum(x.square().sum() for name, x in found.items() if not cell.signals[name].given).backward()
    assert largest_difference({name: x.detach().numpy() for name, x in found.items()}, values) < 1e-12
    of = {name: np.zeros(x.shape) if x.grad is None else x.grad.numpy() for name, x in module.named_parameters()}
    assert largest_difference(of, gradients) < 1e-12


@given(specs(), st.sampled_from([{}, {"chunks": 2}, {"last": 2}, {"lengths": [4, 1, 3]}, {"window": (1, 2)},
                                 {"window": (2, 3), "lengths": [4, 1, 3]}]))
@settings(max_examples=60, deadline=None)
def test_every_definition_that_can_be_unrolled_runs_there(spec: Spec, options: dict[str, Any]) -> None:
    cell, _ = defined(spec)
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
    if spec.sign < 0:  # windows can't run backward in time
        options = {key: value for key, value in options.items() if key != "window"}
    run, found = cell.unroll(x=x, **options), cell.to_torch()(x=x, **options)
    for name in cell.signals:
        np.testing.assert_allclose(found[name].detach().numpy(), run[name].stack().numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", taken_by("PyTorch"), ids=name_of)
def test_operations_and_their_derivatives_are_ours_at_kinks_too(case: Any) -> None:
    op, *arrays = case
    value, incoming, wanted = derivatives(op, arrays)
    tensors = [torch.tensor(x, requires_grad=x.dtype == float) for x in arrays]
    out = TorchBackend().compute(op, *tensors)
    assert out.shape == value.shape
    np.testing.assert_allclose(out.detach().numpy(), value, rtol=1e-12, atol=1e-14)
    leaves = [x for x in tensors if x.requires_grad]
    if out.requires_grad:
        for found, own in zip(torch.autograd.grad(out, leaves, torch.tensor(incoming), materialize_grads=True), wanted):
            np.testing.assert_allclose(found.numpy(), own, rtol=1e-11, atol=1e-13)


class TestParameters:
    def test_the_state_dict_has_the_names_of_the_definition_in_its_order(self) -> None:
        cell = two_layers()
        module = cell.to_torch()
        assert list(module.state_dict()) == list(cell.parameters)
        assert "layer1.W_f" in module.state_dict()

    def test_a_round_trip_changes_no_bit(self) -> None:
        cell, other = two_layers(), two_layers()
        for x in other.parameters.values():
            x.data = np.zeros(x.shape)
        interop.assign(other, cell.to_torch().state_dict())
        for name, x in cell.parameters.items():
            assert other.parameters[name].numpy().tobytes() == x.numpy().tobytes()

    def test_what_was_trained_there_goes_on_here(self) -> None:
        cell = elman()
        module, x = cell.to_torch(), np.random.default_rng(0).normal(size=(4, 5, 3))
        optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = module(x=x)["y"].square().mean()
            loss.backward()
            optimizer.step()
        trained = module(x=x)["y"].square().mean().item()
        interop.assign(cell, module.state_dict())
        mg.gradcheck(lambda: mg.mean(cell.unroll(x=x)["y"].stack() ** 2), cell.parameters)
        assert mg.mean(cell.unroll(x=x)["y"].stack() ** 2).item() == pytest.approx(trained, rel=1e-12)

    def test_the_module_has_a_copy_of_its_own(self) -> None:
        cell = elman()
        module = cell.to_torch()
        with torch.no_grad():
            module.W.zero_()
        assert cell.parameters["W"].numpy().any()

    @pytest.mark.parametrize("name", ["forward", "a..b", "W.x", "net.forward.W", "type"])
    def test_any_name_will_do(self, name: str) -> None:
        cell = Cell("named")
        x, h = cell.input("x", 3), cell.signal("h", 4)
        h[t] = parameter("W", 4, 3) @ x[t] + parameter(name, 4, 4) @ h[t-1]
        module = cell.to_torch()
        assert list(module.state_dict()) == ["W", name]
        module.load_state_dict({key: value + 1 for key, value in module.state_dict().items()})
        np.testing.assert_array_equal(module.float().state_dict()[name].numpy(),
                                      (cell.parameters[name].numpy() + 1).astype(np.float32))


class TestPyTorch:
    def test_data_may_require_gradients_and_so_may_initial_values(self) -> None:
        cell = elman()
        data, h0 = np.random.default_rng(0).normal(size=(4, 5, 3)), np.full((5, 4), 0.3)
        own = mg.Tensor(data, requires_grad=True), mg.Tensor(h0, requires_grad=True)
        (cell.unroll(x=own[0], initial={"h": own[1]})["y"].stack() ** 2).sum().backward()
        theirs = torch.tensor(data, requires_grad=True), torch.tensor(h0, requires_grad=True)
        cell.to_torch()(x=theirs[0], initial={"h": theirs[1]})["y"].square().sum().backward()
        for ours, found in zip(own, theirs):
            np.testing.assert_allclose(found.grad.numpy(), ours.grad, rtol=1e-12)

    def test_float32_stays_float32(self) -> None:
        module = elman().to_torch().float()
        assert module(x=torch.ones(4, 5, 3))["y"].dtype == torch.float32

    def test_dropouts_draw_what_unroll_draws(self) -> None:
        data = np.random.default_rng(0).normal(size=(4, 5, 3))
        wanted = dropped().unroll(x=data)["y"].stack().numpy()
        np.testing.assert_allclose(dropped().to_torch()(x=data)["y"].detach().numpy(), wanted, rtol=1e-12)

    def test_data_that_do_not_fit_are_refused_as_unroll_refuses_them(self) -> None:
        module = elman().to_torch()
        with pytest.raises(ValueError, match=rf"shape \(4, 5, 2\) \(at {above(-1)}\), but \(T, 3\) or"):
            module(x=torch.ones(4, 5, 2))
        with pytest.raises(ValueError, match="no data for the input 'x'"):
            module()
        with pytest.raises(ValueError, match="lengths are in 0 … 4"):
            module(x=torch.ones(4, 2, 3), lengths=[4, 5])


def test_an_operation_that_pytorch_lacks_is_said_with_its_line_before_anything_runs() -> None:
    cell = Cell("own")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = swish(x[t] + h[t-1])
    with pytest.raises(DefinitionError, match=r"PyTorch has no Swish, used at own_operations.py:\d+: only"):
        cell.to_torch()


@pytest.mark.slow
def test_two_processes_with_half_of_the_batch_each_have_the_gradients_of_the_whole(tmp_path: Path) -> None:
    for found in gradients_of_two("torch", tmp_path, str(tmp_path / "meeting")):
        assert largest_difference(found, gradients_of_one()) < 1e-12


def two_layers() -> Cell:
    cell = Cell("two layers")
    rng = np.random.default_rng(0)
    first = cells.lstm(cell, cell.input("x", 3), 4, name="layer1", rng=rng)
    cells.gru(cell, first, 4, name="layer2", rng=rng)
    return cell


def dropped() -> Cell:
    cell = Cell("dropped")
    x, y, V = cell.input("x", 3), cell.signal("y", 4), parameter("V", 4, 3)
    y[t] = V @ mg.dropout(x[t], 0.5, np.random.default_rng(7)) + y[t-1]
    return cell
