"""The modern cells and those with a memory in every export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t
from rnn.cells import memory, modern

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.exports
X = np.random.default_rng(1).normal(size=(5, 3, 2))
LENGTHS = np.array([5, 2, 4])
SOURCE = np.random.default_rng(3).normal(size=(3, 4, 2))  # of attention: three sequences of four vectors
VALID = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 1]], bool)


def attend(cell: Cell, x: Any, size: int, *, name: str, rng: Any, score: Any) -> Any:
    """Add a decoder that attends to a static; return its state."""
    enc, valid, s = cell.static("enc", (None, 2)), cell.static("valid", (None,)), cell.signal(f"{name}.s", size)
    c = memory.attention(cell, enc, s, 3, name=name, rng=rng, score=score, valid=valid)
    U = mg.Tensor(np.ones((size, 2)), requires_grad=True, name="U")
    s[t] = np.tanh(U @ (c[t] + x[t]) + 0.5 * s[t-1])
    return s


def data(cell: Cell) -> dict[str, Any]:
    """Return the data of a definition."""
    return {"x": X, **({"enc": SOURCE, "valid": VALID} if cell.statics else {})}


CASES = [
    pytest.param(make, options, id=f"{make.__name__} {options or ''}") for make, options in [
        (modern.linear_attention, {"keys": 3}), (modern.delta_net, {"keys": 3}),
        (modern.delta_net, {"keys": 3, "gated": True}), (modern.mlstm, {"keys": 3}), (modern.slstm, {}),
        (modern.min_gru, {}), (modern.rwkv, {}), (modern.mamba, {"states": 3, "rank": 2}), (modern.lru, {"states": 3}),
        (modern.rwkv, {"reversed": True}), (memory.stack, {"depth": 3}),
        (memory.turing_machine, {"slots": 4, "width": 2}), (attend, {"score": "additive"}), (attend, {"score": "dot"})]
]
every_cell = pytest.mark.parametrize(("make", "options"), CASES)
every_length = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])


def expected(make: Any, options: Any, lengths: Any) -> tuple[Cell, str, Any, dict[str, Any]]:
    """Return the definition, the name of its output, its values, and the gradients of the sum of their squares."""
    cell = Cell("modern")
    y = make(cell, cell.input("x", 2), 4, name="a", rng=np.random.default_rng(0), **options)
    loss = cell.signal("L", ())
    loss[t] = (y[t] * y[t]).sum()
    random = np.random.default_rng(2)
    for p in cell.parameters.values():
        p.data = 0.7 * random.normal(size=p.shape)
    run = cell.unroll(**data(cell), lengths=lengths)
    run["L"].stack().sum().backward()
    return cell, y.name, run[y.name].stack().numpy(), {name: p.grad for name, p in cell.parameters.items()}


@every_length
@every_cell
def test_torch_computes_the_cell_and_its_gradients(make: Any, options: Any, lengths: Any) -> None:
    cell, name, values, gradients = expected(make, options, lengths)
    module = cell.to_torch()
    given = {} if lengths is None else {"lengths": torch.tensor(lengths)}
    found = module(**{name: torch.tensor(x) for name, x in data(cell).items()}, **given)
    found["L"].sum().backward()
    np.testing.assert_allclose(found[name].detach(), values, rtol=1e-10, atol=1e-12)
    for label, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad, gradients[label], rtol=1e-8, atol=1e-11, err_msg=label)


@every_length
@every_cell
def test_onnx_runtime_computes_the_cell(make: Any, options: Any, lengths: Any, tmp_path: Path) -> None:
    cell, name, values, _ = expected(make, options, lengths)
    path = cell.to_onnx(tmp_path / "m.onnx", outputs=[name], lengths=lengths is not None)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = data(cell) if lengths is None else {**data(cell), "lengths": lengths}
    if cell.statics:
        given["valid"] = VALID.astype(float)
    found = session.run([name], given)[0]
    np.testing.assert_allclose(found, values, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("make", "options"), [CASES[2], CASES[7], *CASES[10:]])
def test_jax_computes_the_cell_and_its_gradients(make: Any, options: Any) -> None:
    jax.config.update("jax_enable_x64", True)
    cell, name, values, gradients = expected(make, options, None)
    f = cell.to_jax()

    def loss(parameters: Any) -> Any:
        found = f(parameters, data(cell))
        return found["L"].sum(), found[name]

    (_, y), found = jax.value_and_grad(loss, has_aux=True)(f.parameters)
    np.testing.assert_allclose(y, values, rtol=1e-10, atol=1e-12)
    for label, gradient in gradients.items():
        np.testing.assert_allclose(found[label], gradient, rtol=1e-8, atol=1e-11, err_msg=label)
