"""For the tests of all exports: definitions and data, the results of unroll and backward, and operations."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from definitions import (
    DEFINITIONS,
    bidirectional,
    data,
    feedback_2,
    gates,
    gru,
    lagged_input,
    lstm,
    parameter,
    skips,
    three_delays,
    twenty,
)
from operation_cases import TABLE

import minigrad as mg
from minigrad import Op, numpy_ops, ops
from rnn import Cell, T, cells, t

sys.path.insert(0, str(Path(__file__).parents[2]))  # the examples are not installed
from examples.learning.outgrown import together

LENGTHS = np.array([4, 2, 3, 1, 4])
DATA_OF_SIX = np.random.default_rng(0).normal(size=(4, 6, 3))  # six sequences, for two to share
TESTS = Path(__file__).parent


def starts() -> Cell:
    """Return a definition with values before and after the sequence: parameters, expressions, constants."""
    h0, W, U = parameter("h0", 4), parameter("W", 3, 4), parameter("U", 4, 4)
    cell = Cell("starts")
    x, h, b = cell.input("x", 3), cell.signal("h", 4), cell.signal("b", 4)
    h[t] = np.tanh(W.T @ x[t] + (U + U.T) @ h[t-1] + h0 * h[t-2])
    b[t] = np.tanh(h[t] + U @ b[t+1])
    h[0], h[-1] = h0 * 2, 0.5
    b[T+1] = np.linspace(0, 1, 4)
    return cell


def broadcast() -> Cell:
    """Return a definition with scalars beside vectors, labels, parts of vectors, and an equation without reads."""
    W, s, c = parameter("W", 4, 3), parameter("s"), parameter("c", 4)
    cell = Cell("broadcast")
    x, label = cell.input("x", 3), cell.input("label", ())
    a, h, y, k = cell.signal("a", ()), cell.signal("h", 4), cell.signal("y", ()), cell.signal("k", 4)
    k[t] = c * 2
    a[t] = mg.sum(x[t], axis=-1) * s + x[t][1]
    joined = np.concatenate([x[t][::-1], c[:1]], axis=-1)
    h[t] = mg.where(h[t-1] * a[t], h[t-1] * a[t], k[t]) + np.tanh(W @ x[t]) / (1 + joined * joined)
    y[t] = mg.losses.cross_entropy(h[t], label[t], reduction="none")
    return cell


def ahead() -> Cell:
    """Return a forward cycle in which one signal is read ahead."""
    A, B, C = parameter("A", 3, 3), parameter("B", 3, 3), parameter("C", 3, 3)
    cell = Cell("ahead")
    x, a, b, y = cell.input("x", 3), cell.signal("a", 3), cell.signal("b", 3), cell.signal("y", 3)
    a[t] = np.tanh(A @ b[t+1] + x[t])
    b[t] = np.tanh(B @ a[t-2] + C @ b[t-1])
    y[t] = a[t] * b[t]
    b[0], b[T+1] = np.ones(3), np.full(3, 0.5)
    return cell


def behind() -> Cell:
    """Return a backward cycle in which one signal is read from before."""
    A, B, C = parameter("A", 3, 3), parameter("B", 3, 3), parameter("C", 3, 3)
    cell = Cell("behind")
    x, c, d = cell.input("x", 3), cell.signal("c", 3), cell.signal("d", 3)
    c[t] = np.tanh(A @ d[t-1] + x[t])
    d[t] = np.tanh(B @ c[t+2] + C @ d[t+1])
    d[0], d[T+1] = np.ones(3), np.full(3, 0.5)
    return cell


def following() -> Cell:
    """An equation that defines the next step from the next step of another signal."""
    U, V, W = parameter("U", 3, 3), parameter("V", 3, 3), parameter("W", 3, 3)
    cell = Cell("following")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    y[t+1] = V @ h[t+1]
    return cell


def stacked(kind: str, **options: Any) -> Callable[[], Cell]:
    """Return two layers of one of the cells, with an output."""
    def make() -> Cell:
        cell = Cell(f"{kind} {options}")
        rng = np.random.default_rng(3)
        x = cell.input("x", 3)
        top = cells.stacked(cell, getattr(cells, kind), x, [4, 4], name="net", rng=rng, **options)
        y = cell.signal("y", 2)
        y[t] = parameter("V", 2, top.shape[0]) @ top[t]  # type: ignore[index]
        return cell

    make.__name__ = f"{kind}_{'_'.join(map(str, options.values()))}"
    return make


EVERY: list[Callable[[], Cell]] = [
    *DEFINITIONS, lstm, gru, lagged_input, three_delays, skips, gates, twenty, starts, broadcast, ahead,
    stacked("lstm", directions=2), stacked("gru", reset="after", biases=2), stacked("elman", residual=True),
    stacked("lstm", peephole="diagonal"),
]
OPTIONS: list[dict[str, Any]] = [{}, {"lengths": LENGTHS}, {"chunks": 2}, {"last": 2}, {"window": (1, 3)}]
CASES = [pytest.param(make, options, id=f"{make.__name__} {next(iter(options), '')}")
         for make in EVERY for options in (OPTIONS if make in (*DEFINITIONS, starts, ahead) else OPTIONS[:2])]
CASES.append(pytest.param(behind, {}, id="behind"))  # a state that is held would run both ways
CASES += [pytest.param(following, {"window": window}, id=f"following {window}") for window in ((1, 2), (2, 3))]


class Expected(NamedTuple):
    """The results of unroll and backward."""

    cell: Cell
    data: dict[str, Any]
    values: dict[str, Any]
    gradients: dict[str, Any]


def values_for(cell: Cell) -> dict[str, Any]:
    """Return random data; class numbers for labels."""
    values = data(cell)
    if "label" in values:
        values["label"] = np.random.default_rng(1).integers(0, 4, values["label"].shape)
    return values


def expected(make: Callable[[], Cell], options: dict[str, Any]) -> Expected:
    """Return the signals, and the gradients of the sum of their squares; skip options that don't fit."""
    cell = make()
    given = values_for(cell)
    if "T" in given and "lengths" in options:
        pytest.skip("there is no batch")
    try:
        run = cell.unroll(**given, **options)
    except ValueError as error:
        assert "window= cuts loops that run forward" in str(error)
        pytest.skip(str(error)[:60])
    stacks = [run[name].stack() for name, signal in cell.signals.items() if not signal.given]
    sum((mg.sum(x * x) for x in stacks[1:]), mg.sum(stacks[0] * stacks[0])).backward()
    gradients = {name: np.zeros(x.shape) if x.grad is None else x.grad for name, x in cell.parameters.items()}
    return Expected(cell, given, {name: run[name].stack().numpy() for name in cell.signals}, gradients)


def largest_difference(found: dict[str, Any], wanted: dict[str, Any]) -> float:
    """Return the largest difference of any element, in relation to the largest element of its array."""
    assert set(found) == set(wanted)
    worst = 0.0
    for name, array in wanted.items():
        assert np.shape(found[name]) == array.shape, name
        if array.size:
            scale = np.abs(array).max() or 1.0
            worst = max(worst, float(np.abs(np.asarray(found[name]) - array).max() / scale))
    return worst


# ---- several processes
def gradients_of_two(kind: str, folder: Path, meeting: str, **environment: str) -> list[dict[str, Any]]:
    """Return the gradients that the processes of one_of_two.py write, for comparison with those of the whole batch."""
    count = 1 if kind == "devices" else 2
    script = str(TESTS / "one_of_two.py")
    paths = os.pathsep.join([str(TESTS.parents[1]), str(TESTS)])
    commands = [[sys.executable, script, kind, str(rank), meeting, str(folder)] for rank in range(count)]
    together(commands, 240, {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment})
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(count)]


def gradients_of_one() -> dict[str, Any]:
    """Return minigrad's gradients of the whole batch."""
    found = {}
    for make in (feedback_2, bidirectional):
        cell = make()
        (cell.unroll(x=DATA_OF_SIX)["y"].stack() ** 2).sum().backward()
        found.update({f"{make.__name__} {name}": x.grad for name, x in cell.parameters.items()})
    return found


# ---- operations
ZEROS = np.array([0.0, -1.0, 1.0, 0.0])
KINKS: list[tuple[Any, ...]] = [
    *((kind, ZEROS) for kind in (ops.Relu(), ops.Abs(), ops.Sign(), ops.LeakyRelu(0.2), ops.Elu(0.7), ops.Gelu(),
                                 ops.Clip(0.0, 1.0), ops.Clip(-1.0, None), ops.Max(-1), ops.Min(-1), ops.Prod(-1),
                                 ops.Power(0), ops.Power(2), ops.Softplus())),
    *((kind, ZEROS) for kind in (numpy_ops.Floor(), numpy_ops.Ceil(), numpy_ops.Trunc(), numpy_ops.Rint(),
                                 numpy_ops.Round(1), numpy_ops.Fabs(), numpy_ops.Sinc(), numpy_ops.Sort(-1),
                                 numpy_ops.CumProd(-1), numpy_ops.Arcsinh())),
    (numpy_ops.Heaviside(), ZEROS, np.full(4, 0.5)), (numpy_ops.Remainder(), ZEROS, np.full(4, 2.0)),
    (numpy_ops.LogAddExp(), np.array([-1000.0, 1000.0, 0.0]), np.array([-1000.0, -1000.0, 0.0])),
    (numpy_ops.Arcsinh(), np.array([1e-9, -1e-12, 1e12])), (numpy_ops.Arctan2(), np.zeros(2), np.array([-1.0, 2.0])),
    (ops.Maximum(), ZEROS, ZEROS), (ops.Minimum(), ZEROS, np.zeros(4)), (ops.Norm(-1), np.zeros((2, 3))),
    (ops.Std(-1), np.ones((2, 3))), (ops.Pow(), np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, 1.0, 2.0, 0.0])),
    *((kind, np.array([-1000.0, 1000.0, -100.0, 40.0])) for kind in (
        ops.Sigmoid(), ops.Softplus(), ops.Elu(), ops.Gelu(), ops.Tanh(), ops.LogSumExp(-1), ops.LogSoftmax(-1))),
    *((kind, np.array([1e-9, -1e-12, 0.0, 1e-5])) for kind in (ops.Expm1(), ops.Log1p(), ops.Sinh(), ops.Arctan())),
]


def _plain(case: tuple[Any, ...]) -> bool:
    """Return True for cases that apply to other libraries: no memory layouts, no operation of derivatives only."""
    only_in_derivatives = isinstance(case[0], (ops.ScatterAdd, ops.Direction, numpy_ops.Cofactors))
    return not only_in_derivatives and all(x.flags.c_contiguous for x in case[1:])


OPERATIONS: list[tuple[Any, ...]] = [case for case in [*TABLE, *KINKS] if _plain(case)]


# Eigenvectors and singular vectors have arbitrary signs, which differ from library to library.
VECTORS: set[type[Op]] = {numpy_ops.EigenVectors, numpy_ops.LeftSingularVectors, numpy_ops.RightSingularVectors}
REFUSED: dict[str, set[type[Op]]] = {
    "JAX": VECTORS, "PyTorch": VECTORS,
    "ONNX": VECTORS | {numpy_ops.Inv, numpy_ops.Solve, numpy_ops.Det, numpy_ops.DetSign, numpy_ops.LogAbsDet,
                       numpy_ops.Cholesky, numpy_ops.EigenValues, numpy_ops.SingularValues, numpy_ops.PseudoInverse,
                       numpy_ops.CumProd, numpy_ops.Sort, numpy_ops.Convolve}}


def taken_by(target: str) -> list[tuple[Any, ...]]:
    """Return the cases that a target computes."""
    return [case for case in OPERATIONS if type(case[0]) not in REFUSED[target]]


def name_of(case: tuple[Any, ...]) -> str:
    op, *arrays = case
    return f"{op!r:.50} {'·'.join('x'.join(map(str, x.shape)) or '()' for x in arrays)}"


def derivatives(op: Op, arrays: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Return the value, an upstream gradient, and minigrad's gradients of the operands that are floats."""
    tensors = [mg.Tensor(x, requires_grad=x.dtype == float) for x in arrays]
    out = mg.apply(op, *tensors)
    incoming = np.random.default_rng(0).normal(size=out.shape)
    return out.numpy(), incoming, mg.grad(out, [x for x in tensors if x.requires_grad], incoming)
