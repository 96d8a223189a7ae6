"""Names of tensors in messages: label, operation, equation and shape."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.formats.describe import equation_label, operation_name, tensor_label, tensor_name, tensor_summary
from rnn import Cell, t


def unrolled_tensors():
    """A parameter, a tensor without a name, h[2] and an operation between h[1] and h[2]."""
    U = mg.Tensor(np.eye(2), requires_grad=True, name="U")
    cell = Cell("described")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(U @ h[t-1] + x[t])
    state = cell.unroll(x=np.ones((3, 4, 2)))["h"][2]
    return {"parameter": U, "unnamed": mg.Tensor(1.0), "state": state, "sum": state.inputs[0]}


@pytest.mark.parametrize("kind, label, operation, equation, name, summary", [
    ("parameter", "U", "", "", "U", "U (2, 2)"),
    ("unnamed", "", "", "", "1", "()"),
    ("state", "h[2]", "tanh", "in h[2]", "h[2]", "h[2] tanh (4, 2)"),
    ("sum", "", "add", "in h[2]", "U @ h[1] + x[2]", "U @ h[1] + x[2] (4, 2)")])
def test_a_tensor_is_named_by_its_label_operation_equation_and_shape(kind, label, operation, equation, name, summary):
    tensor = unrolled_tensors()[kind]
    assert tensor_label(tensor) == tensor.label == label
    assert operation_name(tensor) == operation
    assert equation_label(tensor) == equation
    assert tensor_name(tensor) == name
    assert tensor_summary(tensor) == summary
    assert repr(tensor).startswith(f"<{summary}  ")
