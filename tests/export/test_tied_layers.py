"""Layers with parameters in common, projections, and inputs named like options, in every export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, cells, t

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.exports
X = np.random.default_rng(1).normal(size=(5, 2, 3))


def tied() -> Cell:
    """An LSTM with a projection under another one with the same parameters, over an input named like an option."""
    cell = Cell("tied")
    x = cell.input("last", 3)
    below = cells.lstm(cell, x, 4, name="a", rng=np.random.default_rng(0), projection=3)
    above = cells.lstm(cell, below, 4, name="b", rng=np.random.default_rng(0), projection=3,
                       parameters=cells.parameters_of(cell, "a"))
    y = cell.signal("y", ())
    y[t] = mg.sum(above[t] ** 2, axis=-1)
    return cell


def expected() -> tuple[Cell, Any, dict[str, Any]]:
    cell = tied()
    run = cell.unroll(inputs={"last": X})
    run["y"].stack().sum().backward()
    return cell, run["y"].stack().numpy(), {name: x.grad for name, x in cell.parameters.items()}


def test_jax_has_each_tensor_once() -> None:
    jax.config.update("jax_enable_x64", True)
    cell, values, gradients = expected()
    f = cell.to_jax()

    def loss(parameters: Any) -> Any:
        y = f(parameters, {"last": X})["y"]
        return y.sum(), y

    (_, y), found = jax.value_and_grad(loss, has_aux=True)(f.parameters)
    np.testing.assert_allclose(y, values, rtol=1e-10)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


def test_torch_has_each_tensor_once() -> None:
    cell, values, gradients = expected()
    module = cell.to_torch()
    y = module(inputs={"last": torch.tensor(X)})["y"]
    y.sum().backward()
    np.testing.assert_allclose(y.detach(), values, rtol=1e-10)
    assert dict(module.named_parameters()).keys() == gradients.keys()
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_onnx_has_each_tensor_once(tmp_path: Path) -> None:
    cell, values, _ = expected()
    session = onnxruntime.InferenceSession(str(cell.to_onnx(tmp_path / "m.onnx", outputs=["y"])),
                                           providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["y"], {"last": X})[0], values, rtol=1e-10)


@pytest.mark.parametrize("packed", [torch.nn.utils.rnn.pack_sequence([torch.ones(3, 3), torch.ones(2, 3)])])
def test_a_packed_sequence_is_to_be_padded(packed: Any) -> None:
    cell = tied()
    f = cell.to_jax()
    for call in (lambda: cell.unroll(inputs={"last": packed}), lambda: cell.compile()(inputs={"last": packed}),
                 lambda: cell.to_torch()(inputs={"last": packed}), lambda: f(f.parameters, {"last": packed})):
        with pytest.raises(TypeError, match=r"'last' are a PackedSequence .*pad_packed_sequence"):
            call()
    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(packed)
    assert cell.unroll(inputs={"last": padded.numpy()}, lengths=lengths.numpy())["y"][3].shape == (2,)


def test_a_state_of_another_batch_is_refused() -> None:
    cell = tied()
    f, state = cell.to_jax(), np.ones((1, 3))
    for call in (lambda: cell.to_torch()(inputs={"last": X}, initial={"a.h": torch.tensor(state)}),
                 lambda: f(f.parameters, {"last": X}, initial={"a.h": state}),
                 lambda: jax.jit(lambda h: f(f.parameters, {"last": X}, initial={"a.h": h}))(state)):
        with pytest.raises(ValueError, match=r"the batches don't fit together .*a\.h\[0\] \(1,\)"):
            call()


def test_a_layer_of_pytorch_with_projections_goes_in_and_out() -> None:
    from rnn import interop

    layer = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, dtype=torch.float64)
    cell = Cell()
    y = cells.stacked(cell, cells.lstm, cell.input("x", 3), [4, 4], name="net", rng=np.random.default_rng(0),
                      directions=2, biases=2, projection=2)
    interop.from_torch(cell, layer, ["net"], bidirectional=True)
    np.testing.assert_allclose(cell.unroll(x=X)[y.name].stack().numpy(), layer(torch.tensor(X))[0].detach(), rtol=1e-10)
    back = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, dtype=torch.float64)
    back.load_state_dict({key: torch.tensor(value) for key, value in
                          interop.to_torch(cell, ["net"], bidirectional=True).items()})
    np.testing.assert_allclose(back(torch.tensor(X))[0].detach(), layer(torch.tensor(X))[0].detach(), rtol=1e-12)
    for module, size in ((torch.nn.LSTMCell(3, 4), 16), (torch.nn.LSTM(3, 4).bfloat16(), 16)):
        one = Cell()
        cells.lstm(one, one.input("x", 3), 4, name="a", rng=np.random.default_rng(0), dtype=np.float32, biases=2)
        interop.from_torch(one, module.named_parameters(), ["a"])
        assert interop.to_torch(one, ["a"])["weight_ih_l0"].shape == (size, 3)
