"""Masks and lengths in exports: each sequence is computed as if it were alone (the oracle: helpers/masked.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked import Results, alone, draw_definition, draw_mask

from rnn import Cell, T, t

SEEDS, MANY = range(8), range(100, 200)


def drawn(seed: int, holes: bool | None = None) -> tuple[Cell, Any, Any, Results]:
    """Return a random definition, data, a mask, and the results of each sequence alone."""
    rng = np.random.default_rng(seed)
    cell = draw_definition(rng)
    steps, batch = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    mask = draw_mask(rng, steps, batch, bool(rng.random() < 0.6) if holes is None else holes)
    x = rng.normal(size=(steps, batch, 2))
    return cell, x, mask, alone(cell, x, mask)


def assert_close(found: Any, wanted: Any, what: str) -> None:
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-11, err_msg=what)


def assert_values(found: dict[str, Any], mask: Any, wanted: Results) -> None:
    for name in found:
        values = np.asarray(found[name])
        own = mask.reshape(mask.shape + (1,) * (values.ndim - 2))
        assert_close(values * own, wanted.values[name], name)
        assert_close(values, wanted.held.get(name, wanted.values[name]), f"{name} at masked steps")


def check_torch(seed: int) -> None:
    torch = pytest.importorskip("torch")
    cell, x, mask, wanted = drawn(seed)
    module, data = cell.to_torch(), torch.tensor(x, requires_grad=True)
    outputs = module(x=data, mask=torch.tensor(mask))
    assert_values({name: value.detach().numpy() for name, value in outputs.items()}, mask, wanted)
    loss = (outputs["L"] * torch.tensor(mask)).sum()
    assert_close(loss.item(), wanted.loss, "loss")
    if loss.requires_grad:
        loss.backward()
    for name, parameter in [*module.named_parameters(), ("data", data)]:
        found = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        assert_close(found, wanted.gradients[name], name)


def check_jax(seed: int) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    cell, x, mask, wanted = drawn(seed)
    f = cell.to_jax()

    def loss(parameters: Any, x: Any, mask: Any) -> Any:
        outputs = f(parameters, {"x": x}, mask=mask)
        return (outputs["L"] * mask).sum(), outputs

    differentiate = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    traced = jax.jit(differentiate) if seed % 2 else differentiate  # a mask that is traced, or whose values are known
    (value, outputs), (gradients, data) = traced(f.parameters, x, mask)
    assert_values(outputs, mask, wanted)
    assert_close(value, wanted.loss, "loss")
    for name, gradient in {**gradients, "data": data}.items():
        assert_close(gradient, wanted.gradients[name], name)


def check_onnx(seed: int, folder: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    cell, x, mask, wanted = drawn(seed, holes=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(cell.to_onnx(folder / f"{seed}.onnx", lengths=True)), options,
                                           providers=["CPUExecutionProvider"])
    given = {"x": x, "lengths": mask.sum(axis=0), "T": np.array([len(x)])}
    found = session.run(None, {value.name: given[value.name] for value in session.get_inputs()})
    assert_values(dict(zip([value.name for value in session.get_outputs()], found)), mask, wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_torch_computes_each_sequence_as_if_it_were_alone(seed: int) -> None:
    check_torch(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_jax_computes_each_sequence_as_if_it_were_alone(seed: int) -> None:
    check_jax(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_onnx_computes_each_sequence_as_if_it_were_alone(seed: int, tmp_path: Path) -> None:
    check_onnx(seed, tmp_path)


@pytest.mark.slow
def test_many_definitions(tmp_path: Path) -> None:
    for seed in MANY:
        check_torch(seed)
        check_onnx(seed, tmp_path)
        if seed < 105:  # JAX compiles each
            check_jax(seed)


def test_a_truncation_that_a_mask_cannot_have_is_refused() -> None:
    torch = pytest.importorskip("torch")
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(x[t] + h[t-1])
    module = cell.to_torch()
    with pytest.raises(ValueError, match="chunks= cuts at columns of the batch"):
        module(x=torch.ones(4, 2, 2), mask=torch.eye(4, 2), chunks=2)
    with pytest.raises(ValueError, match="last= needs sequences of one length"):
        module(x=torch.ones(4, 2, 2), lengths=torch.tensor([4, 2]), last=2)
    with pytest.raises(ValueError, match="1 for each step that counts and 0 for the others"):
        module(x=torch.ones(4, 2, 2), mask=torch.full((4, 2), 0.5))


def test_values_after_the_end_in_an_onnx_file(tmp_path: Path) -> None:
    """Each sequence reads them after its own end."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    cell = Cell()
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = x[t] + 10 * x[t+1]
    x[T+1] = 7.0
    session = onnxruntime.InferenceSession(str(cell.to_onnx(tmp_path / "m.onnx", lengths=True)),
                                           providers=["CPUExecutionProvider"])
    data = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 0.0]])
    found, = session.run(None, {"x": data, "lengths": np.array([3, 2])})
    np.testing.assert_array_equal(found, [[21, 21], [32, 72], [73, 0]])
