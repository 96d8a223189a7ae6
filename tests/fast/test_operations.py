"""Every elementwise operation in a compiled loop against the backend "numpy", on special values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import compiled_in_full
from operation_cases import TABLE

import minigrad as mg
from minigrad import Op, numpy_ops, ops
from rnn import Cell, t

pytest.importorskip("numba")
pytest.importorskip("scipy")
pytest.importorskip("platformdirs")

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.5, 0.1, 3.7, 25.0, -100.0, 1e-12, 1e12, np.inf, -np.inf, np.nan]
X, Y = (np.array(values) for values in zip(*((x, y) for x in SPECIAL for y in SPECIAL)))
ACCURACY = {"float32": 2e-5, "float64": 1e-12}  # of exp, tanh and powers; all others are nearer
SMALLEST = {"float32": 1e-30, "float64": 1e-300}  # subnormal numbers
EITHER_ZERO = "Fmax", "Fmin"  # of 0 and -0 NumPy returns the first or the second, by their places in the array
MORE = ops.Power(-1), ops.Power(-2), ops.Power(4), ops.Clip(1.0, -1.0)
COMPARISONS = [ops.Compare(ufunc) for ufunc in (np.greater, np.greater_equal, np.less, np.less_equal, np.equal,
                                                np.not_equal, np.logical_and, np.logical_or, np.logical_xor)]
OPERATIONS: dict[str, tuple[Op, int]] = {
    **{repr(op): (op, len(operands)) for op, *operands in TABLE if op.elementwise and not isinstance(op, ops.Cast)},
    **{repr(op): (op, 1) for op in MORE}, **{repr(op): (op, 2) for op in COMPARISONS}}
IN_NUMPY = numpy_ops.FloorDivide, numpy_ops.Round, numpy_ops.Sinc  # whose loops aren't compiled
COMPILED = [name for name, (op, _) in OPERATIONS.items() if not isinstance(op, IN_NUMPY)]
TOGETHER = 6  # in one loop, which is compiled faster than six
GROUPS = [COMPILED[k::(len(COMPILED) - 1) // TOGETHER + 1] for k in range((len(COMPILED) - 1) // TOGETHER + 1)]


def applied(names: list[str], dtype: str) -> tuple[Cell, dict[str, Any]]:
    """Return a loop with the operations, which never changes its state c = 1: their values and slopes stay apart."""
    cell = Cell("operations")
    x, y, c, L = cell.input("x", X.size), cell.input("y", X.size), cell.signal("c", X.size), cell.signal("L", ())
    first, second = mg.where(c[t-1] > 0.5, x[t], 0.0), mg.where(c[t-1] > 0.5, y[t], 0.0)
    values = []
    for k, name in enumerate(names):
        op, count = OPERATIONS[name]
        a, b = (mg.Tensor(np.full(X.size, -0.0, dtype), requires_grad=True, name=f"{letter}{k}") for letter in "ab")
        operands = [a + first, b + second][:count]  # -0 + x is x, also for -0
        if isinstance(op, ops.Where):
            operands = [x[t] > 0, *operands]
        if isinstance(op, ops.Compare) and op.ufunc.__name__.startswith("logical"):
            operands = [operand > 0 for operand in operands]
        values.append(cell.signal(f"e{k}", X.size))
        found = mg.apply(op, *operands)
        values[-1][t] = mg.where(found, 1.0, 0.0) if isinstance(op, ops.Compare) else found
    total = sum((v[t] for v in values[1:]), values[0][t])
    c[t] = mg.where(c[t-1] > 5.0, total, c[t-1])
    c[0] = np.ones(X.size)
    L[t] = total.sum(axis=-1)
    return cell, {"x": np.tile(X.astype(dtype), (2, 1, 1)), "y": np.tile(Y.astype(dtype), (2, 1, 1))}


def computed(cell: Cell, data: dict[str, Any], backend: Any) -> tuple[Any, dict[str, Any]]:
    for tensor in cell.parameters.values():
        tensor.grad = None
    fast = cell.compile(loss="L", backend=backend)
    with np.errstate(all="ignore"):
        outputs = fast(**data).outputs
    values = {name: outputs[name] for name in cell.signals if name.startswith("e")}
    return fast, {**values, **{f"d{name}": x.grad for name, x in cell.parameters.items() if x.grad is not None}}


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("names", [pytest.param(names, marks=[pytest.mark.slow] * (k > 0), id=", ".join(names))
                                   for k, names in enumerate(GROUPS)])
def test_values_and_slopes_are_those_of_numpy(names: list[str], dtype: str) -> None:
    cell, data = applied(names, dtype)
    fast, found = computed(cell, data, "numba")
    _, wanted = computed(cell, data, "numpy")
    assert compiled_in_full(fast), fast.backend
    assert set(found) == set(wanted)
    wrong = []
    for name, array in wanted.items():
        with np.errstate(all="ignore"):
            near = np.abs(found[name] - array) <= ACCURACY[dtype] * np.abs(array) + SMALLEST[dtype]
        same = near | (found[name] == array) | (np.isnan(found[name]) & np.isnan(array))
        if name.startswith("e") and not names[int(name[1:])].startswith(EITHER_ZERO):
            same &= (array != 0) | (np.signbit(found[name]) == np.signbit(array))
        what = f"{'slope' * name.startswith('d')} {name[-2]} of {names[int(name[1:].lstrip('ab'))]}"
        rows = (x.reshape(-1, X.size)[-1] for x in (same, found[name], array))
        wrong += [f"{what} at {x:g}, {y:g}: {got}, not {value}" for x, y, ok, got, value in zip(X, Y, *rows) if not ok]
    assert not wrong, "\n".join(wrong[:10])


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in COMPILED])
def test_an_operation_without_a_compiled_form_is_named(name: str) -> None:
    cell, data = applied([name], "float64")
    fast, _ = computed(cell, data, "numba")
    assert fast.backend.loops["forward_loop"].startswith(f"numpy: {type(OPERATIONS[name][0]).__name__} has no ")
