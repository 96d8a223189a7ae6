"""Values without a time axis in exports: values and gradients as the unrolled graph computes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, t

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(9)
X = RNG.normal(size=(5, 2, 3))  # five steps, a batch of two, vectors of three
VALID = np.arange(4) < [[4], [2]]


def attention(S: int | None = None) -> Cell:
    """Return a definition that reads two statics in its loop, outside of it, and in its initial value."""
    cell = Cell("attention")
    enc, valid, x = cell.static("enc", (S, 3)), cell.static("valid", (S,)), cell.input("x", 3)
    a, s, y, L = cell.signal("a"), cell.signal("s", 3), cell.signal("y", 3), cell.signal("L", ())
    keys = enc @ parameter("K", 3, 3)
    a[t] = mg.softmax(np.where(valid, keys @ (parameter("W", 3, 3) @ s[t-1]), -1e9))
    s[t] = np.tanh(parameter("V", 3, 6) @ np.concatenate([x[t] * enc.mean(axis=0), s[t-1]]) + a[t] @ enc)
    y[t] = s[t] + enc[0] * parameter("w", 3)
    L[t] = (y[t] ** 2).sum()
    s[0] = np.tanh(parameter("W0", 3, 3) @ enc.mean(axis=0))
    return cell


def data(S: int, batch: bool = True) -> dict[str, Any]:
    found = {"x": X, "enc": np.random.default_rng(S).normal(size=(2, S, 3)), "valid": VALID[:, :S]}
    return found if batch else {"x": X[:, 0], "enc": found["enc"][0], "valid": found["valid"][0]}


def expected(cell: Cell, given: dict[str, Any], options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all signals, and the gradients of the sum of losses, of the unrolled graph."""
    enc = mg.Tensor(given["enc"], requires_grad=True)
    run = cell.unroll(**{**given, "enc": enc}, **options)
    tensors = {**cell.parameters, "enc": enc}
    gradients = mg.grad(run["L"].stack().sum(), list(tensors.values()))
    return {name: run[name].stack().data for name in ("a", "s", "y", "L")}, dict(zip(tensors, gradients))


OPTIONS = pytest.mark.parametrize("S, batch, options", [
    (4, True, {}), (2, False, {}), (4, True, {"lengths": np.array([5, 3])}), (2, True, {"chunks": 2})], ids=str)


@OPTIONS
def test_torch(S: int, batch: bool, options: Any) -> None:
    cell, given = attention(), data(S, batch)
    values, gradients = expected(cell, given, options)
    module, enc = cell.to_torch(), torch.tensor(given["enc"], requires_grad=True)
    found = module(**{**given, "enc": enc}, **options)
    found["L"].sum().backward()
    for name, value in values.items():
        np.testing.assert_allclose(found[name].detach(), value, atol=1e-10)
    for name, p in [*module.named_parameters(), ("enc", enc)]:
        np.testing.assert_allclose(p.grad, gradients[name], atol=1e-10)


@OPTIONS
def test_jax(S: int, batch: bool, options: Any) -> None:
    cell, given = attention(), data(S, batch)
    values, gradients = expected(cell, given, options)
    f = cell.to_jax()

    def loss(parameters: Any, enc: Any) -> Any:
        found = f(parameters, {**given, "enc": enc}, **options)
        return found["L"].sum(), found

    (_, found), (of_parameters, of_enc) = jax.value_and_grad(loss, (0, 1), has_aux=True)(f.parameters, given["enc"])
    for name, value in values.items():
        np.testing.assert_allclose(found[name], value, atol=1e-10)
    for name, gradient in {**of_parameters, "enc": of_enc}.items():
        np.testing.assert_allclose(gradient, gradients[name], atol=1e-10)


@pytest.mark.parametrize("declared", [4, None])
@pytest.mark.parametrize("lengths", [None, np.array([5, 3])], ids=str)
def test_onnx(tmp_path: Path, lengths: Any, declared: int | None) -> None:
    cell, given = attention(declared), data(4)
    options = {} if lengths is None else {"lengths": lengths}
    values, _ = expected(cell, given, options)
    path = cell.to_onnx(tmp_path / "m.onnx", lengths=lengths is not None)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip([x.name for x in session.get_outputs()],
                     session.run(None, {**given, "valid": given["valid"].astype(float), **options})))
    for name, value in values.items():
        np.testing.assert_allclose(found[name], value, atol=1e-10)


def test_a_static_that_all_sequences_share() -> None:
    cell, given = attention(), data(4)
    given["enc"] = given["enc"][0]
    values, gradients = expected(cell, given, {})
    module, enc = cell.to_torch(), torch.tensor(given["enc"], requires_grad=True)
    found = module(**{**given, "enc": enc})
    found["L"].sum().backward()
    np.testing.assert_allclose(found["s"].detach(), values["s"], atol=1e-10)
    np.testing.assert_allclose(enc.grad, gradients["enc"], atol=1e-10)


def test_statics_without_inputs(tmp_path: Path) -> None:
    cell = Cell()
    img, h = cell.static("img", 3), cell.signal("h", 3)
    h[t] = 0.5 * h[t-1] + parameter("b", 3)
    h[0] = 2 * img
    value = cell.unroll(T=3, img=X[0])["h"].stack().data
    np.testing.assert_allclose(cell.to_torch()(T=3, img=X[0])["h"].detach(), value)
    f = cell.to_jax()
    np.testing.assert_allclose(f(f.parameters, {"img": X[0]}, T=3)["h"], value)
    session = onnxruntime.InferenceSession(str(cell.to_onnx(tmp_path / "m.onnx")))
    np.testing.assert_allclose(session.run(["h"], {"T": np.array([3]), "img": X[0]})[0], value)


def read_twice() -> tuple[Cell, dict[str, Any]]:
    """Return a definition that reads a matrix in its loop and for all steps at once, and data of unequal sizes."""
    cell = Cell("read twice")
    enc, x, h, y = cell.static("enc", (6, 4)), cell.input("x", 4), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(x[t] + mg.softmax(enc @ h[t-1]) @ enc)
    y[t] = mg.softmax(enc @ h[t]) @ enc
    rng = np.random.default_rng(2)
    return cell, {"x": rng.normal(size=(7, 5, 4)), "enc": rng.normal(size=(5, 6, 4))}


COPIES = 7 * 5 * 6 * 4  # elements of a copy of the matrix for each step and sequence


def test_jax_makes_no_copy_of_a_static_for_each_step() -> None:
    cell, given = read_twice()
    f = cell.to_jax()

    def total(enc: Any) -> Any:
        return (f(f.parameters, {**given, "enc": enc})["y"] ** 2).sum()

    text = str(jax.make_jaxpr(jax.grad(total))(given["enc"]))
    shapes = re.findall(r"\bf64\[([\d,]+)\]", text)
    assert "5,6,4" in shapes and max(np.prod([int(n) for n in x.split(",")]) for x in shapes) < COPIES


def test_torch_makes_no_copy_of_a_static_for_each_step() -> None:
    cell, given = read_twice()
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = function(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in (found if isinstance(found, (tuple, list)) else [found])
                         if isinstance(x, torch.Tensor))
            return found

    enc = torch.tensor(given["enc"], requires_grad=True)
    with Sizes():
        (cell.to_torch()(**{**given, "enc": enc})["y"] ** 2).sum().backward()
    (gradient,) = mg.grad((cell.unroll(**{**given, "enc": (e := mg.Tensor(given["enc"], requires_grad=True))})
                           ["y"].stack() ** 2).sum(), [e])
    np.testing.assert_allclose(enc.grad, gradient, atol=1e-10)
    assert max(sizes) < COPIES
