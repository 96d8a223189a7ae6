"""A backward pass, run to its end and written down: what a page needs to show any moment of it.

Numbers are written as NumPy prints large arrays: shape, norm, and the corners. Knows nothing of how
they are shown.
"""

from __future__ import annotations

import inspect
import linecache
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.backward import ancestors
from minigrad.debugger.diagnosis import nan_at, zero_at
from minigrad.debugger.formatting import norm, tensor_name
from minigrad.debugger.timeline import Timeline
from minigrad.settings import settings
from minigrad.steps import Step
from viz.render.fonts import clean

ROWS, COLUMNS = 4, 5  # of an array that are written out
LONGEST = 160  # characters of a line of the user's program
# What a matrix product's derivative is, in the words of its own source.
PRODUCTS: dict[type[Op], tuple[str, str]] = {
    ops.MatMul: ("grad @ bᵀ", "aᵀ @ grad"),
    ops.MatVec: ("grad ⊗ x, summed over the batch", "Wᵀ @ grad, for each vector of the batch"),
    ops.VecDot: ("grad × b", "grad × a")}


class Recording:
    """A whole backward pass from a tensor.

    Every `.grad` is afterwards what it was before.

    Args:
        out: a single number.

    Attributes:
        nodes: `out` and all that it was computed from, oldest first; elsewhere their numbers stand for them.
        steps: what each step did.
        arrays, ops: what steps and tensors refer to by number.

    Raises:
        Exception: what an operation's derivative raised.
    """

    def __init__(self, out: Tensor) -> None:
        self.nodes = ancestors(out)
        self.number = {node: i for i, node in enumerate(self.nodes)}
        self.arrays: list[dict[str, Any]] = []
        self.ops: list[dict[str, Any]] = []
        self._known_arrays: dict[tuple[Any, ...], int] = {}
        self._known_ops: dict[type[Op], int] = {}
        self.uses: dict[Tensor, list[tuple[int, Tensor, Any]]] = {}  # tensor -> (step, node, contribution)
        self.steps: list[dict[str, Any]] = []
        self.timeline = timeline = Timeline(out)
        self.seed = self.array(timeline.steps.gradients[out])
        try:
            with np.errstate(all="ignore"):  # the page shows what is not finite
                while timeline.forward():
                    assert timeline.current is not None
                    self.steps.append(self._step(timeline.current))
            if timeline.error is not None:
                raise timeline.error
        finally:
            timeline.rewind()

    # ---- what is written of each thing
    def array(self, array: Any) -> int:
        """The number under which an array's summary stands; equal ones stand there once."""
        summary = summarised(np.asarray(array))
        key = tuple(summary.values())
        if key not in self._known_arrays:
            self._known_arrays[key] = len(self.arrays)
            self.arrays.append(summary)
        return self._known_arrays[key]

    def node(self, tensor: Tensor) -> dict[str, Any]:
        """A tensor: its name, what made it and where, and its value."""
        name = "loss" if tensor is self.nodes[-1] and not tensor.label else tensor_name(tensor)
        about: dict[str, Any] = {"name": clean(name, 40), "value": self.array(tensor._data),
                                 "line": clean(str(tensor.origin), 60)}
        if tensor.op is not None:
            code = linecache.getline(tensor.origin.file, tensor.origin.line).strip()
            about |= {"op": self._op(tensor.op), "called": clean(repr(tensor.op), 80), "code": clean(code, LONGEST)}
        if tensor.signal is not None:
            about |= {"signal": clean(tensor.signal), "t": tensor.t, "copy": tensor.name == tensor.signal}
        return about

    def _op(self, op: Op) -> int:
        kind = type(op)
        if kind not in self._known_ops:
            self._known_ops[kind] = len(self.ops)
            self.ops.append({"name": clean(kind.__name__.lower(), 40), "class": clean(kind.__name__, 40),
                             "backward": _source(kind), "operands": _operands(kind)})
        return self._known_ops[kind]

    def _step(self, step: Step) -> dict[str, Any]:
        if step.grad is None:
            return {"node": self.number[step.node]}
        passed = []
        for position, (x, share, total) in enumerate(zip(step.node.inputs, step.input_grads, step.totals)):
            if share is None:
                continue
            row: dict[str, Any] = {"input": position, "share": self.array(share), "total": self.array(total)}
            if (found := local(step, position)) is not None:
                row["local"] = self.array(found)
                if x.shape != step.node.shape:
                    row["summed"] = True
            elif type(step.op) in PRODUCTS:
                row["product"] = PRODUCTS[type(step.op)][position]
            passed.append(row)
            self.uses.setdefault(x, []).append((step.number, step.node, share))
        found_step: dict[str, Any] = {"node": self.number[step.node], "grad": self.array(step.grad), "passed": passed}
        for word, message in (("nan", nan_at(step, self.timeline)), ("zero", zero_at(step))):
            if message:
                found_step[word] = message
        return found_step

    def contributions(self, tensor: Tensor, times: dict[Tensor, int]) -> list[tuple[int, int | None, str]]:
        """After which step how much each time step has added to a tensor's gradient: (step, t, norm)."""
        sums: dict[int | None, Any] = {}
        rows = []
        for step, node, share in self.uses.get(tensor, []):
            t = times.get(node)
            with np.errstate(all="ignore"):
                sums[t] = share if t not in sums else sums[t] + share
            rows.append((step, t, _precise(norm(sums[t]))))
        return rows


def local(step: Step, position: int) -> Any:
    """The derivative of each output with respect to the input that it stands opposite; None where there is more.

    An operation is elementwise at an input where its derivative multiplies any incoming gradient,
    number by number, by the same factors; this is tried out.
    """
    node = step.node
    before, settings().anomaly = settings().anomaly, False
    try:
        with np.errstate(all="ignore"):
            factors = _raw(node, np.ones_like(node._data), position)
            if np.shape(factors) != node.shape or type(node.op) in PRODUCTS:
                return None
            trial = np.random.default_rng(0).normal(size=node.shape).astype(node.dtype)
            same = np.allclose(_raw(node, trial, position), trial * factors, rtol=1e-4, equal_nan=True)
            return factors if same else None
    except Exception:  # of an operation that takes no other gradient than the one it got
        return None
    finally:
        settings().anomaly = before


def _raw(node: Tensor, grad: Any, position: int) -> Any:
    """What an operation's own derivative gives for one input, before broadcasting is undone."""
    assert node.op is not None
    needs = [[x.requires_grad for x in node.inputs]] if node.op.selective else []
    shares = node.op.backward(grad, node._data, *(x._data for x in node.inputs), *needs)
    return shares[position] if isinstance(shares, tuple) else shares


def summarised(array: Any) -> dict[str, Any]:
    """Shape, norm and corners of an array; of more than two axes those of the first matrix."""
    matrix = array
    while matrix.ndim > 2 and len(matrix):
        matrix = matrix[0]
    rows = np.atleast_2d(matrix) if matrix.ndim <= 2 else np.zeros((0, 0))
    down, across = _shown(rows.shape[0], ROWS), _shown(rows.shape[1], COLUMNS)
    text = "\n".join("⋮" if i is None else " ".join("…" if j is None else _short(rows[i, j]) for j in across)
                     for i in down)
    return {"shape": _shape(array.shape), "norm": _precise(norm(array)), "numbers": text}


def _shown(length: int, most: int) -> Sequence[int | None]:
    """The rows or columns that are written out, None for those left out."""
    if length <= most:
        return range(length)
    after = (most - 1) // 2
    return [*range(most - 1 - after), None, *range(length - after, length)]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "number"


def _short(number: Any) -> str:
    value = float(number)
    text = f"{value:.3g}" if not value or not 1e-7 < abs(value) < 1e-3 else f"{value:.2e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _precise(number: float) -> str:
    return f"{number:.7g}"


def _source(kind: type[Op]) -> str:
    """The source of an operation's derivative, or that there is none."""
    try:
        return textwrap.dedent(inspect.getsource(kind.backward)).rstrip()
    except (OSError, TypeError):
        return f"# the source of {kind.__name__}.backward can't be read"


def _operands(kind: type[Op]) -> list[str]:
    """What the derivative's source calls the incoming gradient, the result and the inputs."""
    try:
        parameters = list(inspect.signature(kind.backward).parameters.values())[1:]
    except (TypeError, ValueError):
        return ["grad", "out"]
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return [*names, f"*{parameter.name}"]
        names.append(parameter.name)
    return names
