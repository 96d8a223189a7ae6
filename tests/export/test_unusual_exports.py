"""What `unroll` accepts and an export is seldom made of: types, numbers, draws, values beyond both ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from both_ends import Built, Case, X, assert_right, cases

import minigrad as mg
from rnn import Cell, DefinitionError, T, t
from rnn.ir.feeds import draw_masks, draw_weights
from rnn.ir.lowering import LoweringOptions, lower

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)


def onnx_run(path: Path, **inputs: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))


# ---- values beyond both ends
def with_torch(built: Built) -> tuple[float, dict[str, Any]]:
    module = built.cell.to_torch()
    own = {name: torch.tensor(x.numpy(), requires_grad=True) for name, x in built.tensors.items()}
    given = {name: {k: own[x.name] if isinstance(x, mg.Tensor) else x for k, x in steps.items()}
             for name, steps in built.options.get("initial", {}).items()}
    loss = module(x=torch.tensor(X), **({"initial": given} if given else {}))["L"].sum()
    loss.backward()
    found = {name: x.grad for name, x in [*own.items(), *module.named_parameters()]}
    return loss.item(), {name: None if found.get(name) is None else found[name].numpy() for name in built.tensors}


def with_jax(built: Built) -> tuple[float, dict[str, Any]]:
    f = built.cell.to_jax()

    def loss(parameters: Any) -> Any:
        own = {name: x for name, x in parameters.items() if name in f.parameters}
        given = {name: {k: parameters[x.name] if isinstance(x, mg.Tensor) else x for k, x in steps.items()}
                 for name, steps in built.options.get("initial", {}).items()}
        return f(own, {"x": X}, **({"initial": given} if given else {}))["L"].sum()

    value, gradients = jax.value_and_grad(loss)({name: x.numpy() for name, x in built.tensors.items()})
    return float(value), gradients


@pytest.mark.parametrize("case", cases()[::3], ids=str)
def test_gradients_of_values_beyond_both_ends_torch(case: Case) -> None:
    assert_right(case, with_torch)


@pytest.mark.parametrize("case", cases()[::23], ids=str)
def test_gradients_of_values_beyond_both_ends_jax(case: Case) -> None:
    assert_right(case, with_jax)


# ---- values in all of them
def vector(name: str, *values: float, dtype: Any = float) -> mg.Tensor:
    return mg.Tensor(values, requires_grad=True, name=name, dtype=dtype)


def constant_loss() -> Cell:
    cell = Cell()
    cell.input("x", 2)
    L = cell.signal("L", ())
    L[t] = vector("p", 0.1, 0.2) @ np.array([1.0, 2.0])
    return cell


def labels() -> Cell:
    cell = Cell()
    label, x, L = cell.input("label", ()), cell.input("x", 2), cell.signal("L", ())
    L[t] = mg.losses.cross_entropy(vector("b", 0.1, 0.2), label[t-1], reduction="none") \
        + mg.losses.cross_entropy(x[t], np.array(1), reduction="none")
    label[0] = 1
    return cell


def mixed() -> Cell:
    cell, W = Cell(), mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="W", dtype="f")
    x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
    h[t] = np.tanh(W @ x[t] + vector("u", 0.3, 0.4) * h[t-1] / np.sqrt(3) + np.ones(2, np.float32) + np.arange(2))
    L[t] = h[t] @ h[t]
    h[0] = W[0]
    return cell


def dot_with_a_weight() -> Cell:
    cell, w = Cell(), vector("w", 1.0, 2.0)
    x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
    h[t] = np.tanh((h[t-1] @ w) * x[t] + x[t])
    L[t] = h[t] @ w
    return cell


MAKERS: list[Callable[[], Cell]] = [constant_loss, labels, mixed, dot_with_a_weight]


@pytest.mark.parametrize("make", MAKERS)
def test_unusual_definitions(make: Callable[[], Cell], tmp_path: Path) -> None:
    cell = make()
    data = {"x": X, "label": np.arange(12).reshape(4, 3) % 2}
    data = {name: data[name] for name, signal in cell.signals.items() if signal.given}
    run = cell.unroll(**data)
    run["L"].stack().sum().backward()
    wanted = run["L"].stack().numpy()
    module, f = cell.to_torch(), cell.to_jax()
    theirs = module(**data)["L"]
    theirs.sum().backward()
    np.testing.assert_allclose(theirs.detach().numpy(), wanted, rtol=1e-10)
    np.testing.assert_allclose(f(f.parameters, data)["L"], wanted, rtol=1e-10)
    gradients = jax.grad(lambda p: f(p, data)["L"].sum())(f.parameters)
    for name, tensor in cell.parameters.items():
        rtol = 1e-10 if tensor.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(dict(module.named_parameters())[name].grad.numpy(), tensor.grad, rtol=rtol)
        np.testing.assert_allclose(gradients[name], tensor.grad, rtol=rtol)
    np.testing.assert_allclose(onnx_run(cell.to_onnx(tmp_path / "m.onnx"), **data)["L"], wanted, rtol=1e-10)


def test_numbers_without_a_batch() -> None:
    """1, 1.5, 1.75, 1.875."""
    cell = Cell()
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = x[t] + mg.Tensor(0.5, requires_grad=True, name="a") * h[t-1]
    for data in (np.ones(4), np.ones(4, int), np.ones(4, bool)):
        assert cell.to_torch()(x=data)["h"].tolist() == [1.0, 1.5, 1.75, 1.875]
        f = cell.to_jax()
        assert f(f.parameters, {"x": data})["h"].tolist() == [1.0, 1.5, 1.75, 1.875]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_data_of_integers_take_the_type_of_the_parameters(dtype: str) -> None:
    cell, W = Cell(), mg.Tensor(np.ones((2, 2)) * 0.5, requires_grad=True, name="W", dtype="f")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = 0.5 * h[t-1] + W @ x[t]
    data, f = np.ones((2, 1, 2), dtype), cell.to_jax()
    for found in (cell.to_torch()(x=torch.tensor(data))["h"].detach().numpy(),
                  np.asarray(f(f.parameters, {"x": data})["h"])):
        assert found.dtype == np.float32
        assert found.tolist() == [[[1.0, 1.0]], [[1.5, 1.5]]]


# ---- tensors that require gradients
@pytest.mark.parametrize("what", ["initial", "state", "data"])
def test_tensors_that_require_gradients_are_refused(what: str) -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(vector("W", 1.0, 0.5) * x[t] + h[t-1])
    f, data = cell.to_jax(), {"x": mg.Tensor(X, requires_grad=True) if what == "data" else X}
    options: dict[str, Any] = {}
    if what != "data":
        options["initial"] = {"h": vector("h0", 1.0, 2.0)} if what == "initial" else cell.unroll(x=X).state
    with pytest.raises(TypeError, match=r"gradients here are those of PyTorch \(at test_unusual_exports.py:\d+\)"):
        cell.to_torch()(**data, **options)
    with pytest.raises(TypeError, match=r"gradients here are those of JAX \(at test_unusual_exports.py:\d+\)"):
        f(f.parameters, data, **options)


# ---- random draws
def dropped() -> Cell:
    """Return a definition that drops from a parameter, and in a loop that runs backward."""
    cell, rng = Cell(), np.random.default_rng(7)
    U, p = mg.Tensor(np.eye(2) + 0.5, requires_grad=True, name="U"), vector("p", 1.0, 2.0)
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = np.tanh(mg.dropout(U, 0.5, rng) @ s[t+1] + mg.dropout(x[t] * p, 0.5, rng))
    L[t] = s[t] @ s[t]
    s[T+1] = mg.dropout(p, 0.5, rng) * 2
    return cell


def test_draws_are_those_of_unroll(tmp_path: Path) -> None:
    cell, other, third, fourth = (dropped() for _ in range(4))
    module, f, path = other.to_torch(), third.to_jax(), fourth.to_onnx(tmp_path / "m.onnx")
    for _ in range(2):
        loss = cell.unroll(x=X)["L"].stack().sum()
        loss.backward()
        theirs = module(x=X)["L"].sum()
        theirs.backward()
        assert theirs.item() == pytest.approx(loss.item(), rel=1e-12)
        draws = f.draws(4, (3,))
        assert {name: x.shape for name, x in draws.items()} == {
            "~drawn weight 1": (2, 2), "~drawn weight 2": (2,), "~drawn 1": (4, 3, 2)}
        assert float(f(f.parameters, {"x": X}, draws=draws)["L"].sum()) == pytest.approx(loss.item(), rel=1e-12)
        lowered = lower(fourth, LoweringOptions((("x", (2,)),)))
        masks = {**draw_weights(fourth), **draw_masks(lowered, 4, (3,))}
        assert onnx_run(path, x=X, **masks)["L"].sum() == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), cell.parameters[name].grad, rtol=1e-10)
    with pytest.raises(ValueError, match=r"the dropout of a parameter \(at test_unusual_exports.py:\d+\) needs bools"):
        f(f.parameters, {"x": X})


# ---- ONNX
def test_outputs_that_depend_on_no_input_have_the_shape_of_the_data(tmp_path: Path) -> None:
    """A loop without inputs, with lengths: T and the batch come from x, or from T and lengths where there is no x."""
    for given in (True, False):
        cell, p = Cell(), vector("p", 0.1, 0.2)
        if given:
            cell.input("x", 2)
        b = cell.signal("b", 2)
        b[t] = np.concatenate([b[t+1][:1], mg.where(b[t+2], b[t+2], p)[1:]], axis=-1) + 1.0
        lengths = np.array([4, 2, 3])
        data: dict[str, Any] = {"x": X} if given else {"T": np.array([4])}
        path = cell.to_onnx(tmp_path / "m.onnx", lengths=True)
        found = onnx_run(path, **data, lengths=lengths)["b"]
        assert found.shape == (4, 3, 2)
        if given:
            np.testing.assert_allclose(found, cell.unroll(x=X, lengths=lengths)["b"].stack().numpy(), rtol=1e-12)
        np.testing.assert_allclose(found[:, 0], cell.unroll(x=X[:, 0])["b"].stack().numpy() if given
                                   else cell.unroll(T=4)["b"].stack().numpy(), rtol=1e-12)


def test_types_that_onnx_lacks_are_refused_by_name(tmp_path: Path) -> None:
    if np.dtype("longdouble") == np.dtype(float):
        pytest.skip("here a longdouble is a double")
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    y[t] = x[t] * vector("wide", 1.0, 2.0, dtype="longdouble")
    with pytest.raises(DefinitionError, match=r"ONNX has no \w+: convert the parameter wide, made at test_unusual"):
        cell.to_onnx(tmp_path / "m.onnx")
