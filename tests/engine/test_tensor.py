"""Tensor: what it is, what it refuses, and what its messages say."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor


def test_the_attributes_of_a_tensor() -> None:
    x = Tensor([[1.0, 2.0, 3.0]], requires_grad=True, name="x")
    assert (x.shape, x.ndim, x.size, x.dtype) == ((1, 3), 2, 3, np.float64)
    assert (x.requires_grad, x.grad, x.op, x.inputs) == (True, None, None, ())
    y = x * x
    assert type(y.op).__name__ == "Mul"
    assert y.inputs == (x, x) or (y.inputs[0] is x and y.inputs[1] is x)
    assert y.order > x.order


def test_a_repr_is_one_line_with_name_operation_shape_gradient_and_line() -> None:
    x = Tensor([3.0, 4.0], requires_grad=True, name="x")
    y = mg.tanh(x)
    assert re.fullmatch(r"<x \(2,\)  test_tensor.py:\d+>", repr(x))
    assert re.fullmatch(r"<tanh \(2,\)  test_tensor.py:\d+>", repr(y))
    x.grad = np.array([3.0, 4.0])
    assert "|g|=5.0e+00" in repr(x)


def test_a_tensor_knows_the_users_line_however_it_was_made() -> None:
    x = Tensor([1.0], requires_grad=True)
    made = [x + 1, 1 + x, np.tanh(x), mg.tanh(x), np.concatenate([x, x]), x[0], x.sum(), np.add(1, x), x.T]
    assert {str(y.origin) for y in made} == {str(made[0].origin)}
    assert str(made[0].origin).startswith("test_tensor.py:")


@pytest.mark.parametrize(("data", "options", "message"), [
    ([1, 2], {"requires_grad": True}, r"a tensor of int64 can't require a gradient \(at test_tensor.py:\d+\)"),
    ([True], {"requires_grad": True, "name": "m"}, "tensor 'm' of bool can't require a gradient"),
    ([1j], {}, r"can't hold complex128 .*real numbers only"),
    (["a"], {}, "can't hold <U1"),
    ([object()], {}, "can't hold object"),
    ([1.0], {"name": 3}, "a tensor's name is a string, not 3"),
])
def test_unsupported_uses_of_a_tensor_are_errors(data: list[object], options: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Tensor(data, **options)  # type: ignore[arg-type]


def test_an_error_names_the_operation_the_operands_their_shapes_and_lines() -> None:
    W = Tensor(np.ones((8, 3)), requires_grad=True, name="W")
    x = np.ones(4)
    with pytest.raises(ValueError) as caught:
        W @ x
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("matmul: Input operand 1 has a mismatch")
    assert re.fullmatch(r"  in MatMul\(\) at test_tensor.py:\d+, of", lines[1])
    assert re.fullmatch(r"    W          \(8, 3\)  made at test_tensor.py:\d+", lines[2])
    assert re.fullmatch(r"    \(unnamed\)  \(4,\)    made at test_tensor.py:\d+", lines[3])


@pytest.mark.parametrize("operand", ["a", None, 1j, object()])
def test_an_operand_that_is_no_number_is_named(operand: object) -> None:
    with pytest.raises(TypeError, match=r"Add takes tensors, arrays and real numbers, not \w+ \(at test_tensor"):
        Tensor([1.0]) + operand


def test_a_tensor_with_a_gradient_never_becomes_an_array_unnoticed() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(TypeError, match=r"<x \(2,\).*would become an array that no gradient reaches"):
        np.asarray(x)
    with pytest.raises(TypeError, match="no gradient reaches"):
        np.array([x, x])
    np.testing.assert_array_equal(np.asarray(Tensor([1.0])), [1.0])


def test_writing_the_result_into_an_array_is_refused() -> None:
    x, array = Tensor([1.0], requires_grad=True), np.ones(1)
    with pytest.raises(TypeError, match="can't write into an array"):
        array += x
    with pytest.raises(TypeError, match="can't write into an array"):
        np.add(array, x, out=array)


def test_python_numbers_take_the_dtype_of_their_partner() -> None:
    x = Tensor(np.ones(2, np.float32))
    assert (2 * x).dtype == (x + 1.5).dtype == (x / 3).dtype == np.float32
    assert (Tensor([1, 2]) * 2).dtype == np.int64
    assert (x * np.ones(2)).dtype == np.float64


def test_comparisons_are_plain_arrays() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert (x > 1.5).tolist() == [False, True]
    assert (x == x).tolist() == [True, True]
    assert (np.ones(2) < x).tolist() == [False, True]
    assert {x: "as a key"}[x] == "as a key"


def test_single_numbers_convert_and_format() -> None:
    x = Tensor(0.125, requires_grad=True)
    with pytest.warns(UserWarning, match=r"<\(\)  test_tensor.py:\d+> .*as a Python float it loses"):
        assert float(x) == 0.125
    assert (int(x), bool(x), x.item(), f"{x:.2f}") == (0, True, 0.125, "0.12")
    with pytest.raises(TypeError, match="single number"):
        len(x)


def test_iteration_gives_the_rows() -> None:
    rows = list(Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))
    assert [row.numpy().tolist() for row in rows] == [[1.0, 2.0], [3.0, 4.0]]
    assert all(row.requires_grad for row in rows)


def test_threads_do_not_share_no_grad() -> None:
    recorded: list[bool] = []

    def other() -> None:
        recorded.append((Tensor(1.0, requires_grad=True) * 2.0).requires_grad)

    with mg.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert recorded == [True]


def test_a_constant_result_shares_no_memory_with_its_operands() -> None:
    x = Tensor(np.ones((2, 3)))
    for y in (x.T, x[0], x.reshape(3, 2), +x):
        assert y is x or not np.shares_memory(y.data, x.data)


# ---- the first NaN


def test_the_first_nan_of_a_forward_pass_is_named() -> None:
    x = Tensor([1.0, -1.0], requires_grad=True, name="x")
    with np.errstate(invalid="ignore"), mg.detect_anomaly(), pytest.raises(FloatingPointError) as caught:
        mg.tanh(mg.log(x) * 2.0)
    text = str(caught.value)
    assert re.match(r"the first NaN of the forward pass is produced by Log\(\) at test_tensor.py:\d+; operands:\n",
                    text)
    assert re.search(r"x  \(2,\)  from -1 to 1  made at test_tensor.py:\d+", text)


def test_a_nan_in_the_data_is_distinguished_from_one_that_is_computed() -> None:
    x = Tensor([1.0, np.nan], requires_grad=True, name="x")
    with mg.detect_anomaly(), pytest.raises(FloatingPointError, match=r"NaN reaches Tanh\(\) .* in <x \(2,\)"):
        mg.tanh(x)


def test_the_first_nan_of_a_backward_pass_is_named() -> None:
    x = Tensor([0.0], requires_grad=True, name="x")
    y = (x ** 2.0) ** 0.5  # inf * 0 at 0
    with np.errstate(all="ignore"), mg.detect_anomaly(), pytest.raises(FloatingPointError) as caught:
        y.sum().backward()
    assert re.match(r"the first NaN of the backward pass is produced by Power.backward of <power \(1,\).*"
                    r"upstream gradient is (not )?finite", str(caught.value))
    assert x.grad is None


def test_an_unused_nan_is_no_error() -> None:
    class Product(mg.Op):
        def forward(self, a, b):  # type: ignore[no-untyped-def]
            return a * b

        def backward(self, grad, out, a, b):  # type: ignore[no-untyped-def]
            return grad * b, grad * np.nan

    x = Tensor([1.0], requires_grad=True)
    with mg.detect_anomaly():
        mg.apply(Product(), x, Tensor([3.0])).sum().backward()
    assert x.grad == 3.0


def test_nan_is_no_error_without_detect_anomaly() -> None:
    x = Tensor([np.nan], requires_grad=True)
    mg.tanh(x).sum().backward()
    assert x.grad is not None and np.isnan(x.grad).all()


def test_importing_minigrad_imports_numpy_and_little_else() -> None:
    code = "import sys, minigrad; print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True,
                          check=True)
    for heavy in ("graphviz", "matplotlib", "pygraphviz", "rnn", "viz", "scipy", "torch", "unittest"):
        assert f"'{heavy}'" not in done.stdout
