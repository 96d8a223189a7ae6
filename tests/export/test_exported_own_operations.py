"""Operations of the user in exports: computed by methods of their class, with the gradients that these have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import parameter
from own_operations import Spike, Swish

import minigrad as mg
from rnn import Cell, DefinitionError, t

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.exports
X = np.random.default_rng(3).normal(size=(9, 4, 3))
LENGTHS = np.array([9, 3, 6, 1])


def spiking() -> Cell:
    """Return leaky integrate-and-fire neurons (Neftci, Mostafa and Zenke, IEEE Signal Processing Magazine 36, 2019)."""
    cell = Cell("LIF")
    x, v, s, L = cell.input("x", 3), cell.signal("v", 5), cell.signal("s", 5), cell.signal("L", ())
    v[t] = 0.8 * v[t-1] + parameter("W", 5, 3) @ x[t] + parameter("U", 5, 5) @ s[t-1] - s[t-1]
    s[t] = mg.apply(Spike(3.0), v[t] - 0.3)
    L[t] = (parameter("V", 2, 5) @ s[t]).sum() ** 2
    return cell


def by_hand(cell: Cell) -> tuple[Any, dict[str, Any]]:
    """Return the spikes, and the gradients of the sum of losses by the surrogate, without minigrad."""
    W, U, V = (cell.parameters[name].numpy() for name in "WUV")
    v, s = np.zeros((10, 4, 5)), np.zeros((10, 4, 5))
    for k in range(1, 10):
        v[k] = 0.8 * v[k - 1] + X[k - 1] @ W.T + s[k - 1] @ U.T - s[k - 1]
        s[k] = v[k] > 0.3
    dW, dU, dV, dv = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros((4, 5))
    for k in range(9, 0, -1):
        ds = 2 * (s[k] @ V.T).sum(1)[:, None] * V.sum(0) + dv @ (U - np.eye(5))
        dV += (2 * (s[k] @ V.T).sum(1) @ s[k])[None]
        smooth = 1 / (1 + np.exp(-3 * (v[k] - 0.3)))
        dv = 0.8 * dv + ds * 3 * smooth * (1 - smooth)
        dW += dv.T @ X[k - 1]
        dU += dv.T @ s[k - 1]
    return s[1:], {"W": dW, "U": dU, "V": dV}


def check(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-11, err_msg=name)


class TestSurrogateGradients:
    def test_unroll_and_compile(self) -> None:
        cell = spiking()
        spikes, gradients = by_hand(cell)
        assert 0.1 < spikes.mean() < 0.9
        run = cell.unroll(x=X)
        np.testing.assert_array_equal(run["s"].stack().numpy(), spikes)
        run["L"].stack().sum().backward()
        check({name: p.grad for name, p in cell.parameters.items()}, gradients)
        for p in cell.parameters.values():
            p.grad = None
        cell.compile(loss="L")(x=X)
        check({name: p.grad for name, p in cell.parameters.items()}, gradients)

    def test_jax(self) -> None:
        jax.config.update("jax_enable_x64", True)
        cell = spiking()
        spikes, gradients = by_hand(cell)
        f = cell.to_jax()

        def loss(parameters: Any) -> Any:
            found = f(parameters, {"x": X})
            return found["L"].sum(), found["s"]

        (_, found), of_parameters = jax.jit(jax.value_and_grad(loss, has_aux=True))(f.parameters)
        np.testing.assert_array_equal(found, spikes)
        check(of_parameters, gradients)

    def test_torch(self) -> None:
        cell = spiking()
        spikes, gradients = by_hand(cell)
        module = cell.to_torch()
        found = module(x=torch.tensor(X))
        np.testing.assert_array_equal(found["s"].detach(), spikes)
        found["L"].sum().backward()
        check({name: p.grad for name, p in module.named_parameters()}, gradients)

    @pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
    def test_onnx(self, lengths: Any, tmp_path: Path) -> None:
        cell = spiking()
        path = cell.to_onnx(tmp_path / "m.onnx", lengths=lengths is not None)
        given = {"x": X} if lengths is None else {"x": X, "lengths": lengths}
        found = onnxruntime.InferenceSession(str(path)).run(["s"], given)[0]
        np.testing.assert_array_equal(found, cell.unroll(x=X, lengths=lengths)["s"].stack().numpy())


class Translated(Swish):
    """Its forward takes arrays of every library that has NumPy's ufuncs."""

    def onnx(self, builder: Any, x: Any) -> Any:
        return self.forward(x)

    def torch(self, x: Any) -> Any:
        return x * torch.sigmoid(self.slope * x)

    def jax(self, x: Any) -> Any:
        return x * jax.nn.sigmoid(self.slope * x)


class Hard(mg.Op):
    """clip(x / 6 + 1/2, 0, 1), an operator of ONNX."""

    def forward(self, x: Any) -> Any:
        return np.clip(x / 6 + 0.5, 0, 1)

    def onnx(self, builder: Any, x: Any) -> Any:
        return builder.emit("HardSigmoid", x, shape=x.shape, alpha=1 / 6, beta=0.5)


class Summed(Translated):
    """A translation of another shape."""

    def jax(self, x: Any) -> Any:
        return x.sum(-1)

    def torch(self, x: Any) -> Any:
        return x.sum(-1)

    def onnx(self, builder: Any, x: Any) -> Any:
        return builder.sum(x, -1, False)


def one(op: mg.Op) -> Cell:
    """Return a definition with an operation at each step, and one of a parameter alone."""
    cell = Cell("one")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = mg.apply(op, x[t] + 0.5 * h[t-1]) * mg.apply(op, parameter("b", 3))
    return cell


def run(target: str, cell: Cell, folder: Path) -> Any:
    if target == "onnx":
        return onnxruntime.InferenceSession(str(cell.to_onnx(folder / "m.onnx"))).run(["h"], {"x": X})[0]
    if target == "torch":
        return cell.to_torch()(x=torch.tensor(X))["h"].detach()
    jax.config.update("jax_enable_x64", True)
    f = cell.to_jax()
    return f(f.parameters, {"x": X})["h"]


@pytest.mark.parametrize("target", ["jax", "torch", "onnx"])
def test_options_of_the_operation_and_a_value_of_parameters_alone(target: str, tmp_path: Path) -> None:
    cell = one(Translated(1.5))
    np.testing.assert_allclose(run(target, cell, tmp_path), cell.unroll(x=X)["h"].stack().numpy(), rtol=1e-12)


def test_an_operator_of_onnx(tmp_path: Path) -> None:
    cell = one(Hard())
    np.testing.assert_allclose(run("onnx", cell, tmp_path), cell.unroll(x=X)["h"].stack().numpy(), atol=1e-6)


@pytest.mark.parametrize(("target", "library", "method"), [
    ("jax", "JAX", r"jax\(self, x\)"), ("torch", "PyTorch", r"torch\(self, x\)"),
    ("onnx", "ONNX", r"onnx\(self, builder, x\)")])
def test_without_the_method_it_is_refused_with_the_method_to_write(target: str, library: str, method: str,
                                                                   tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=rf"{library} has no Swish, used at test_exported_own_operations.py:\d+: "
                                              rf"only minigrad's own operations .* give the class a method {method}"):
        run(target, one(Swish(1.5)), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("alone", [False, True], ids=["at each step", "of a parameter"])
@pytest.mark.parametrize("target", ["jax", "torch", "onnx"])
def test_a_result_of_another_shape_is_refused_with_the_line(target: str, alone: bool, tmp_path: Path) -> None:
    cell = Cell("summed")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = mg.apply(Summed(1.5), parameter("b", 3) if alone else x[t]) + x[t]
    with pytest.raises(DefinitionError, match=rf"Summed.{target} returned an array of shape \(.*\) "
                       r"\(at test_exported_own_operations.py:\d+\), but forward returns \(3,\) for each sequence"):
        run(target, cell, tmp_path)
    assert not list(tmp_path.iterdir())


FORMULAS: list[Callable[[Any], Any]] = [
    lambda x: np.clip(x, -1, 1), lambda x: x % 0.7, lambda x: x // 0.3, lambda x: ~(x > 1) * 1.0, lambda x: x ** 2,
    lambda x: (x[..., :, None] * x[..., None, :]).sum(-1), lambda x: x - x.mean(-1, keepdims=True),
    lambda x: x[..., ::-1],
    lambda x: np.where(x > 0, x, -x), np.square, np.cbrt, np.arctan, np.sinh, lambda x: np.log1p(abs(x)), np.exp2,
    lambda x: np.logaddexp(x, 0.5), lambda x: np.hypot(x, 2.0), lambda x: np.arctan2(x, 2.0), lambda x: np.fmod(x, 0.7),
    lambda x: np.heaviside(x, 0.5), lambda x: x @ np.ones((3, 3)), lambda x: x * np.argmax(x, -1)[..., None],
    lambda x: np.cumsum(x, -1), lambda x: np.roll(x, 1, -1), lambda x: np.stack([x, x], -1)[..., 0],
    lambda x: ((x > 0) & (x < 1)) * 1.0, lambda x: (x != 0.5) * x, lambda x: np.isfinite(x) * x,
    lambda x: np.signbit(x) * 1.0]


class Written(mg.Op):
    """A formula of arrays, which is its own translation to ONNX."""

    def __init__(self, formula: Callable[[Any], Any]) -> None:
        self.formula = formula

    def forward(self, x: Any) -> Any:
        return self.formula(x)

    def onnx(self, builder: Any, x: Any) -> Any:
        return self.formula(x)


def written(formula: Callable[[Any], Any]) -> Cell:
    cell = Cell("written")
    x = cell.input("x", 3)
    cell.signal("y", 3)[t] = mg.apply(Written(formula), x[t])
    return cell


@pytest.mark.parametrize("formula", FORMULAS)
def test_operators_and_functions_of_numpy_write_nodes(formula: Any, tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(str(written(formula).to_onnx(tmp_path / "m.onnx")))
    np.testing.assert_allclose(session.run(None, {"x": X})[0], formula(X), atol=1e-12)


def absolute(x: Any) -> Any:
    return x if np.ndim(x) == 1 or x > 0 else -x


@pytest.mark.parametrize(("formula", "message"), [
    (absolute, r"neither true nor false while the file is written \(at test_exported_own_op\w+.py:\d+\): np.where"),
    (lambda x: x if isinstance(x, np.ndarray) else x[0], "length the file leaves open .*: count"),
    (lambda x: x if isinstance(x, np.ndarray) else np.sort(x, -1), "ONNX has no Sort .*doesn't translate it"),
    (lambda x: x if isinstance(x, np.ndarray) else float(x), "has no numbers while the file is written")])
def test_a_formula_that_no_file_can_hold_is_refused_with_the_line(formula: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        written(formula).to_onnx(tmp_path / "m.onnx")


@pytest.mark.parametrize("test", [np.isfinite, np.isinf, np.isnan, np.signbit])
def test_comparisons_with_the_ends_of_floats(test: Any, tmp_path: Path) -> None:
    cell = Cell("ends")
    x = cell.input("x", 4)
    cell.signal("y", 4)[t] = test(x[t])
    data = np.array([[[np.inf, -0.0, 0.0, -2.0]], [[np.nan, -np.inf, 1.0, -0.0]]])
    with jax.enable_x64():
        f = cell.to_jax()
        found = [cell.compile()(x=data)["y"], cell.to_torch()(x=data)["y"], f(f.parameters, {"x": data})["y"]]
    session = onnxruntime.InferenceSession(str(cell.to_onnx(tmp_path / "m.onnx")))
    for values in [*found, session.run(None, {"x": data})[0]]:
        np.testing.assert_array_equal(values, test(data))
