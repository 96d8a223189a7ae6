"""Tensor: what it is, what it refuses, and what its messages say."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad as mg
from minigrad import Tensor
from minigrad.provenance import call_site, mark_library_file


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
    assert re.fullmatch(r"<tanh\(x\) \(2,\)  test_tensor.py:\d+>", repr(y))
    x.grad = np.array([3.0, 4.0])
    assert "|g|=5.0e+00" in repr(x)


def test_a_tensor_knows_the_users_line_however_it_was_made() -> None:
    x = Tensor([1.0], requires_grad=True)
    made = [x + 1, 1 + x, np.tanh(x), mg.tanh(x), np.concatenate([x, x]), x[0], x.sum(), np.add(1, x), x.T]
    assert {str(y.origin) for y in made} == {str(made[0].origin)}
    assert str(made[0].origin).startswith("test_tensor.py:")


def test_so_does_a_number_that_is_an_operand() -> None:
    x = Tensor([1.0], requires_grad=True)
    for _ in range(2):  # the second time the line is remembered
        made = [x * 2, 2 * x, np.add(1, x), mg.add(x, [1]), mg.apply(mg.ops.Add(), x, 1.0), x.clip(0.0, 1.0)]
        assert {str(operand.origin) for y in made for operand in y.inputs if operand is not x} == {
            f"test_tensor.py:{sys._getframe().f_lineno - 2}"}


def test_the_inputs_of_an_operation_are_in_its_order() -> None:
    a, b, c = (Tensor([1.0], requires_grad=True) for _ in range(3))
    drawn = mg.dropout(a, 0.5, rng=np.random.default_rng(0))
    for y, expected in ((-a, [a]), (a - b, [a, b]), (mg.concatenate([c]), [c]), (mg.concatenate([b, a]), [b, a]),
                        (mg.concatenate([c, a, b]), [c, a, b]), (mg.where([True], b, a), None), (drawn, None),
                        (a.detach() * 2.0, [])):
        assert type(y.inputs) is tuple
        assert expected is None or list(map(id, y.inputs)) == list(map(id, expected))
    assert a.inputs == ()
    with mg.no_grad():
        assert (a * b).inputs == ()


def test_a_node_of_two_inputs_takes_at_most_160_bytes_beside_its_array() -> None:
    x, a = (Tensor(np.ones(4), requires_grad=True) for _ in range(2))
    x = x * a
    tracemalloc.start()
    try:
        for _ in range(2000):
            x = x * a
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 2000 - sys.getsizeof(x._array) <= 160  # a tensor, its position in creation order, no tuple


def line_of_a_product(a: Tensor) -> int:
    return (a * a).origin.line


def line_of_a_sum(a: Tensor) -> int:
    return (a + a).origin.line


def test_functions_that_are_called_in_turns_have_their_own_lines() -> None:
    a = Tensor([1.0], requires_grad=True)
    expected = [function.__code__.co_firstlineno + 1 for function in (line_of_a_product, line_of_a_sum)]
    for _ in range(2):
        for _ in range(3):
            assert [line_of_a_product(a), line_of_a_sum(a)] == expected
        mark_library_file(minigrad.__file__)  # forgets all lines


def test_an_operator_below_which_there_is_no_frame_has_some_line() -> None:
    def in_library() -> Any:  # as an operator that a thread of C code calls
        return call_site(10 ** 6)

    assert str(in_library()) == f"test_tensor.py:{sys._getframe().f_lineno}"


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
    assert re.match(r"the first NaN of the backward pass is produced by Power.backward of <x \*\* 2 \(1,\).*"
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


# ---- the printed form


def test_print_shows_the_value_of_a_number_and_of_a_small_array() -> None:
    loss = Tensor(np.float32(0.1), name="loss")
    assert re.fullmatch(r"<0\.1  loss \(\)  test_tensor.py:\d+>", str(loss)) and f"{loss}" == str(loss)
    small = mg.tanh(Tensor([[0.0, 1.0], [np.inf, 2.0]], requires_grad=True))
    assert re.fullmatch(r"<\[\[0\., 0\.7616\], \[1\., 0\.964\]\]  tanh\(array\(2, 2\)\) \(2, 2\)  test_tensor.py:\d+>",
                        str(small))
    for large in (Tensor(np.zeros(9)), Tensor(np.zeros(0))):
        assert str(large) == repr(large)


class Printer:
    """Collects text as IPython's pretty printer does; `stack` has the objects that are being printed."""

    def __init__(self, depth: int) -> None:
        self.stack = [0] * depth

    def text(self, text: str) -> None:
        self.shown = text


def displayed(x: Tensor, depth: int = 1) -> str:
    printer = Printer(depth)
    x._repr_pretty_(printer, cycle=False)
    return printer.shown


def test_a_notebook_displays_what_print_does() -> None:
    x = Tensor([1.0, 2.0])
    assert displayed(x) == str(x) and str(x).startswith("<[1., 2.]  (2,)")
    assert displayed(Tensor(np.zeros((0, 3)))).count("\n") == 0


def test_a_notebook_displays_the_values_of_a_larger_array_below_it_unless_it_is_part_of_a_list() -> None:
    x = Tensor(np.arange(12.0).reshape(3, 4) / 3, name="x")
    first, *rows = displayed(x).splitlines()
    assert first == str(x)
    np.testing.assert_allclose(ast.literal_eval("".join(rows).strip()), x.data, atol=5e-5)
    assert displayed(x, depth=2) == str(x)
    assert len(displayed(Tensor(np.zeros((1000, 1000)))).splitlines()) < 12


# ---- attributes that are checked


def test_a_gradient_that_does_not_fit_is_refused_and_the_old_one_stays() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    w.grad = np.array([3.0, 4.0])
    recorded = mg.grad((w * w).sum(), w, create_graph=True)
    cases: list[tuple[object, type[Exception], str]] = [
        (np.ones((3, 2)), ValueError, r"<w \(2,\).* has shape \(2,\); grad of shape \(3, 2\)"),
        (np.ones(1), ValueError, r"grad of shape \(1,\) can't replace it \(at test_tensor"),
        (np.ones(2) * 1j, TypeError, "holds float64; complex128 can't replace it"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), TypeError, r"\.grad of <w .* can't take a masked array"),
        ("a", ValueError, r"grad of shape \(\)"),
        (recorded, TypeError, r"\.grad of <w .* is an array without a graph .*assign its .data")]
    for value, kind, message in cases:
        with pytest.raises(kind, match=message):
            w.grad = value  # type: ignore[assignment]
        assert w.grad.tolist() == [3.0, 4.0]


def test_a_gradient_is_cast_filled_or_cleared() -> None:
    w = Tensor(np.ones(2, np.float32), requires_grad=True)
    array = np.array([1.0, 2.0], np.float32)
    w.grad = array
    assert w.grad is array
    w.grad = np.array([1.0, 2.0])
    assert w.grad.dtype == np.float32
    w.grad = Tensor([5.0, 6.0])  # type: ignore[assignment]
    assert type(w.grad) is np.ndarray and w.grad.tolist() == [5.0, 6.0]
    w.grad = 0  # type: ignore[assignment]
    (w * 3).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [3.0, 3.0]
    w.grad = None
    assert w.grad is None


def test_requires_grad_is_checked_when_it_is_assigned() -> None:
    w, integers = Tensor([1.0], requires_grad=True, name="w"), Tensor([1], name="i")
    y = w * 2.0
    with pytest.raises(ValueError, match=r"<w \* 2 \(1,\).* was computed from tensors .*x.detach\(\)"):
        y.requires_grad = False
    with pytest.raises(TypeError, match=r"<i \(1,\).* of int64 can't require a gradient"):
        integers.requires_grad = True
    with pytest.raises(TypeError, match=r"requires_grad of <w \(1,\).* is True or False, not 'no'"):
        w.requires_grad = "no"  # type: ignore[assignment]
    with pytest.raises(TypeError, match="requires_grad of a tensor is True or False, not 'w'"):
        Tensor([1.0], "w")  # type: ignore[arg-type]
    w.requires_grad = False
    assert not (w * 2.0).requires_grad


# ---- Python's floats


def test_a_float_of_a_tensor_with_a_gradient_warns_but_item_and_formats_do_not() -> None:
    x = Tensor(0.0, requires_grad=True, name="x")
    with pytest.warns(UserWarning, match=r"<x \(\).* as a Python float it loses it \(at test_t"):
        assert math.exp(x) == 1.0
    with pytest.warns(UserWarning, match="loses it"):
        np.zeros(1)[0] = x
    assert (x.item(), f"{x:.1f}", int(x), bool(x), float(x.detach())) == (0.0, "0.0", 0, False, 0.0)
    with mg.no_grad():
        assert float(x) == 0.0
    for several in (lambda: f"{Tensor([1.0, 2.0]):.2f}", Tensor([1.0, 2.0], name="v").item):
        with pytest.raises(ValueError, match=r"\(2,\)  test_tensor.py:\d+> isn't a single number"):
            several()


# ---- subclasses of Tensor


class Parameter(Tensor):
    """As in module systems, with another signature than Tensor's."""

    def __init__(self, *shape: int) -> None:
        super().__init__(np.ones(shape), requires_grad=True)


def test_a_subclass_works_everywhere_and_operations_give_plain_tensors() -> None:
    w = Parameter(2, 2)
    made = [w * 2, 2 * w, w @ w, w.sum(), mg.tanh(w), np.exp(w), w[0], w + w, np.ones(2) @ w, mg.stack([w, w]), w ** 2]
    assert all(type(y) is Tensor and y.requires_grad for y in made)
    ((w * w).sum() + (w * 3).sum()).backward()
    assert w.grad is not None and w.grad.tolist() == [[5.0, 5.0], [5.0, 5.0]]
    gradient = mg.grad((w ** 3).sum(), w, create_graph=True)
    assert mg.grad(gradient.sum(), w).tolist() == [[6.0, 6.0], [6.0, 6.0]]
    w.register_hook(lambda grad: np.zeros((2, 2)))
    assert mg.grad((w * w).sum(), w, create_graph=True).numpy().tolist() == [[0.0, 0.0], [0.0, 0.0]]
    scalar = Parameter()
    assert mg.grad(scalar, scalar, create_graph=True).item() == 1.0


# ---- arrays of other classes, and operands with operators of their own


class Units(np.ndarray):
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **options: object) -> object:
        return NotImplemented


@pytest.mark.parametrize("use", [
    lambda w, m: w - m, lambda w, m: m - w, lambda w, m: m * w, lambda w, m: w @ m,
    lambda w, m: mg.maximum(w, m),
    lambda w, m: mg.where(m, w, 0.0), lambda w, m: mg.stack([w, m]), lambda w, m: np.concatenate([w, m]),
    lambda w, m: mg.losses.mse(w, m), lambda w, m: mg.losses.mse(m, w),
    lambda w, m: mg.losses.huber(w, [1, 2], mask=m),
    lambda w, m: Tensor(m), lambda w, m: setattr(w, "data", m), lambda w, m: setattr(w, "grad", m),
    lambda w, m: mg.losses.binary_cross_entropy(w, m, mask=[1, 1])])
def test_a_masked_array_is_refused_wherever_it_stands(use: Any) -> None:
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    with pytest.raises(TypeError, match=r"can't take a masked array .*: its mask would be lost|no gradient reaches"):
        use(w, np.ma.array([1.0, 0.5], mask=[False, True]))


def test_a_class_with_ufuncs_of_its_own_is_refused_and_other_subclasses_are_arrays() -> None:
    class Plain(np.ndarray):
        __array_priority__ = 1000.0

    w = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="Mul can't take an array of class Units"):
        w * np.ones(2).view(Units)
    for y in (w * np.array([3.0, 4.0]).view(Plain), np.array([3.0, 4.0]).view(Plain) * w):
        assert type(y) is Tensor and mg.grad(y.sum(), w).tolist() == [3.0, 4.0]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_np_matrix_is_an_array_but_its_product_is_refused() -> None:
    w, matrix = Tensor([[1.0, 2.0]], requires_grad=True), np.matrix([[1.0, 2.0], [3.0, 4.0]])
    assert (w @ matrix).numpy().tolist() == [[7.0, 10.0]] and (matrix + w).numpy().tolist() == [[2.0, 4.0], [4.0, 6.0]]
    for use in (lambda: w * matrix, lambda: matrix * w, lambda: w ** matrix):
        with pytest.raises(TypeError, match=r"with np.matrix \*+ is the product or power of matrices"):
            use()


class Deferred:
    """An operand that takes no part in NumPy's functions, and computes operators itself."""

    __array_ufunc__ = None

    def __add__(self, other: object) -> tuple[str, object]:
        return "add", other

    def __radd__(self, other: object) -> tuple[str, object]:
        return "radd", other

    def __rmatmul__(self, other: object) -> tuple[str, object]:
        return "rmatmul", other


def test_an_operand_that_refuses_ufuncs_computes_the_operator() -> None:
    w, other = Tensor([1.0], requires_grad=True), Deferred()
    assert (w + other)[0] == "radd" and (other + w)[0] == "add" and (w @ other)[0] == "rmatmul"
    for use in (lambda: w - other, lambda: other * w):
        with pytest.raises(TypeError, match=r"(Sub|Mul) takes tensors, arrays and real numbers, not Deferred"):
            use()


def test_pytest_approx_compares_constants_on_both_sides() -> None:
    x = Tensor([1.0, 2.0])
    loss = x.sum()
    with pytest.raises(TypeError, match=r"x\.item\(\) the number of a single one"):
        _ = pytest.approx(3.0) == Tensor(3.0, requires_grad=True)
    assert loss == pytest.approx(3.0) and pytest.approx(3.0) == loss
    assert loss != pytest.approx(3.1) and pytest.approx(3.1) != loss
    for expected in ([1.0, 2.0], np.array([1.0, 2.0])):
        assert x == pytest.approx(expected) and pytest.approx(expected) == x
    assert x != pytest.approx([1.0, 2.1])


def test_a_list_of_tensors_is_answered_with_stack() -> None:
    a, b = Tensor(1.0, requires_grad=True), Tensor(2.0, requires_grad=True)
    for use in (lambda: mg.sum([a, b]), lambda: mg.exp([[a], [b]]), lambda: np.sum([a, b]), lambda: np.mean([a, b])):
        with pytest.raises(TypeError, match=r"mg\.stack"):
            use()


@pytest.mark.parametrize(("requires_grad", "recording", "kept"), [
    (True, True, True), (True, False, False), (False, True, False)])
def test_a_random_draw_keeps_its_operand_only_where_operations_are_recorded(
        requires_grad: bool, recording: bool, kept: bool) -> None:
    x = Tensor(np.ones(4), requires_grad=requires_grad)
    op = mg.ops.DropoutMask(0.5, np.random.default_rng(0))
    if recording:
        mask = mg.apply(op, x)
    else:
        with mg.no_grad():
            mask = mg.apply(op, x)
    assert (mask.op, len(mask.inputs)) == ((op, 1) if kept else (None, 0)) and not mask.requires_grad
