"""Recording of a whole backward pass as plain data, from which the page shows any step."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.backward import ancestors, one_per_input
from minigrad.debugger.breakpoints import AtInfinity, AtNan, AtZero
from minigrad.debugger.walk import Stop, Walk
from minigrad.formats.describe import tensor_formula, tensor_name
from minigrad.formats.norms import norm
from minigrad.settings import override
from minigrad.steps import Step
from viz.render.fonts import clean

from .arrays import Arrays
from .source import Source

MAX_LINE = 160  # characters of a line of the user's program
MAX_FORMULA = 60  # characters of a formula
# Derivatives of products as text. Only the page shows them, so this is a table and not an attribute of `Op`.
PRODUCTS: dict[type[Op], tuple[str, str]] = {
    ops.MatMul: ("grad @ bᵀ", "aᵀ @ grad"),
    ops.MatVec: ("grad ⊗ x, summed over the batch", "Wᵀ @ grad, for each vector of the batch"),
    ops.VecDot: ("grad × b", "grad × a")}


class Recording:
    """A whole backward pass from a scalar; every `.grad` is restored afterwards, also if a derivative raises.

    Attributes:
        nodes: `out` and all tensors that it was computed from, oldest first; the data refer to them by number.
        numbers: the number of each node.
        steps: the data of each step.
        arrays: the arrays to which steps and nodes refer by number.
    """

    def __init__(self, out: Tensor) -> None:
        self.nodes = ancestors(out)
        self.numbers = {node: i for i, node in enumerate(self.nodes)}
        self.arrays = Arrays()
        self._op_numbers: dict[type[Op], int] = {}
        self._sources: dict[type[Op], Source] = {}
        self.uses: dict[Tensor, list[tuple[int, Tensor, Any]]] = {}  # tensor -> (step, node, contribution)
        walk = Walk(out, breakpoints=[AtNan(""), AtZero(""), AtInfinity("")])
        self.seed = self.arrays.add(walk.gradient(out).gradient)
        try:
            with np.errstate(all="ignore"):  # the page shows NaN and infinities
                self.steps = [self._step_data(stop) for stop in walk.run()]
        finally:
            walk.timeline.rewind()

    def node_data(self, tensor: Tensor) -> dict[str, Any]:
        """Return the data of a tensor: its name, value, operation and the line that created it."""
        name = "loss" if tensor is self.nodes[-1] and not tensor.label else tensor_name(tensor)
        data: dict[str, Any] = {"name": clean(name, MAX_FORMULA), "value": self.arrays.add(tensor._array),
                                "line": clean(str(tensor.origin), 60)}
        if tensor.op is not None:
            code = linecache.getline(tensor.origin.file, tensor.origin.line).strip()
            number = self._op_numbers.setdefault(type(tensor.op), len(self._op_numbers))
            data |= {"op": number, "call": clean(repr(tensor.op), 80), "code": clean(code, MAX_LINE)}
            if data["name"] != (formula := clean(tensor_formula(tensor), MAX_FORMULA)):
                data["formula"] = formula
        if not tensor.label and tensor is not self.nodes[-1]:
            data["unnamed"] = True
        if tensor.signal is not None:
            data |= {"signal": clean(tensor.signal), "t": tensor.t, "copy": tensor.name == tensor.signal}
        return data

    @property
    def ops(self) -> list[dict[str, Any]]:
        """The data of the operations that node_data() refers to by number."""
        return [{"name": clean(kind.__name__.lower(), 40), "class": clean(kind.__name__, 40),
                 "backward": self._source(kind).text, "operands": _operands(kind)} for kind in self._op_numbers]

    def _source(self, kind: type[Op]) -> Source:
        if kind not in self._sources:
            self._sources[kind] = Source(kind)
        return self._sources[kind]

    def _step_data(self, stop: Stop) -> dict[str, Any]:
        record = stop.step
        assert record is not None
        if record.gradient is None:
            return {"node": self.numbers[record.tensor]}
        passed = []
        for position, x in enumerate(record.inputs):
            if x.contribution is None:
                continue
            row: dict[str, Any] = {"input": position, "contribution": self.arrays.add(x.contribution),
                                   "total": self.arrays.add(x.total)}
            if (factors := local_derivative(record.step, position)) is not None:
                row["local"] = self.arrays.add(factors)
                if x.value.shape != record.output.shape:
                    row["summed"] = True
            elif type(record.step.op) in PRODUCTS:
                row["product"] = PRODUCTS[type(record.step.op)][position]
            passed.append(row)
            self.uses.setdefault(x.tensor, []).append((record.number, record.tensor, x.contribution))
        data: dict[str, Any] = {"node": self.numbers[record.tensor], "grad": self.arrays.add(record.gradient),
                                "passed": passed, "ran": self._source(type(record.step.op)).ran(record.step)}
        return data | {str(hit.breakpoint): hit.reason for hit in stop.hits}  # "nan", "zero", "inf"

    def contributions(self, tensor: Tensor, times: Mapping[Tensor, int | str]
                      ) -> list[tuple[int, int | str | None, str]]:
        """Return (step, t, norm): after each step that adds to a tensor's gradient, the sum of time step t so far."""
        sums: dict[int | str | None, Any] = {}
        rows = []
        for step, node, grad in self.uses.get(tensor, []):
            t = times.get(node)
            with np.errstate(all="ignore"):
                sums[t] = grad if t not in sums else sums[t] + grad
            rows.append((step, t, f"{norm(sums[t]):.7g}"))
        return rows


def local_derivative(step: Step, position: int) -> Any:
    """Return the derivative of each output with respect to the input element at the same place.

    Returns None if the operation isn't elementwise in this input. Operations of the user don't say whether
    they are, so this is tested: elementwise means that any upstream gradient is multiplied, element by
    element, by the same factors, which are the gradient for an upstream gradient of ones.
    """
    node = step.node
    try:
        with override(anomaly=False), np.errstate(all="ignore"):
            factors = _input_grad(node, np.ones_like(node._array), position)
            if np.shape(factors) != node.shape or type(node.op) in PRODUCTS:
                return None
            trial = np.random.default_rng(0).normal(size=node.shape).astype(node.dtype)
            same = np.allclose(_input_grad(node, trial, position), trial * factors, rtol=1e-4, equal_nan=True)
            return factors if same else None
    except Exception:  # an operation of the user that accepts no other gradient
        return None


def _input_grad(node: Tensor, grad: Any, position: int) -> Any:
    """Return the vector-Jacobian product for one input, before broadcasting is undone."""
    op: Any = node.op
    inputs = node.inputs
    needs = [[x.requires_grad for x in inputs]] if op.selective else []
    return one_per_input(op.backward(grad, node._array, *(x._array for x in inputs), *needs), node, inputs)[position]


def _operands(kind: type[Op]) -> list[str]:
    """Return the names that a derivative's source gives to the upstream gradient, the result and the inputs."""
    try:
        parameters = list(inspect.signature(kind.backward).parameters.values())[1:]
    except (TypeError, ValueError):
        return ["grad", "out"]
    names = [f"*{x.name}" if x.kind is x.VAR_POSITIONAL else x.name for x in parameters if x.kind <= x.VAR_POSITIONAL]
    return names[:-1] if kind.selective else names  # the last says which inputs need a gradient
