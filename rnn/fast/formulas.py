"""The scalar form of each elementwise operation, as Python text that Numba compiles.

Operations that are one of NumPy's ufuncs are written as an operator or as a call of it. All others are expanded into
these: their own `forward` is applied to symbols in the place of arrays, so there is no second set of formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import Op, numpy_ops, ops
from rnn.compiler.codegen import ufunc_of
from rnn.ir import nodes as ir
from rnn.ir.adjoint import Symbol, computes_with_truth, made_of
from rnn.ir.nodes import Node

PASSED_ON = ops.Identity, ops.BroadcastTo, ops.StopGradient, ir.GradientMask, numpy_ops.Copy, ir.SumOverTime
FUNCTIONS = {"exp", "tanh", "log"}  # ufuncs that rnn.fast.functions computes in arithmetic that vectorises
WRITTEN = {  # ufuncs as operators; {0} and {1} are numbers, or truth values in the last ones
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}", "negative": "-{0}",
    "square": "{0} * {0}", "absolute": "abs({0})", "reciprocal": "FLOAT(1.0) / {0}", "positive": "{0}",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}", "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "sign": "FLOAT({0} > FLOAT(0.0)) - FLOAT({0} < FLOAT(0.0)) if {0} == {0} else {0}",
    "remainder": "np.copysign(np.remainder({0}, {1}), {1})",  # also that of 0
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
    "heaviside": "{1} if {0} == FLOAT(0.0) else FLOAT(0.0) if {0} < FLOAT(0.0) else FLOAT(1.0) if {0} == {0} else {0}"}
POWERS = {2: "{0} * {0}", 0.5: "np.sqrt({0})", -1: WRITTEN["reciprocal"]}  # as NumPy: the root of -inf is NaN
LOGICAL = {"logical_and": "{0} and {1}", "logical_or": "{0} or {1}", "logical_not": "not {0}",
           "logical_xor": "{0} != {1}"}
OTHERWISE = {np.floor_divide}  # Numba's differs from NumPy's, as at 1.0 // 0.1


class Unsupported(Exception):
    """A loop contains a node that isn't compiled.

    Args:
        why: the reason.
        node: that node; None where it is the whole loop.
    """

    def __init__(self, why: str, node: Node | None = None) -> None:
        super().__init__(why)
        self.node = node


def scalar(op: Op, arguments: Sequence[str]) -> str | None:
    """Return the formula for one element, from names of numbers; None where the operation has to be expanded."""
    if isinstance(op, PASSED_ON):
        return arguments[0]
    if isinstance(op, (ops.Mul, ir.BroadcastMul)):
        return WRITTEN["multiply"].format(*arguments)
    if isinstance(op, (ir.AddN, ops.Add)):
        return " + ".join(arguments)
    if type(op) is ops.Sigmoid:
        return f"sigmoid(SMALLEST_EXPONENT if {arguments[0]} < SMALLEST_EXPONENT else {arguments[0]})"
    if type(op) is ops.Softplus:
        return f"softplus({arguments[0]})"
    if type(op) is ops.Where:
        return f"{arguments[1]} if {arguments[0]} else {arguments[2]}"
    if type(op) is ops.Clip:
        return clipped(arguments[0], op.low, op.high)
    if type(op) is ops.Power:
        return POWERS.get(op.exponent, f"{{0}} ** {number(op.exponent)}").format(*arguments)
    ufunc = ufunc_of(op)
    if ufunc is None:
        return None
    name = ufunc.__name__
    if name in WRITTEN or name in LOGICAL:
        return {**WRITTEN, **LOGICAL}[name].format(*arguments)
    return f"{name}({arguments[0]})" if name in FUNCTIONS else f"np.{name}({', '.join(arguments)})"


def clipped(x: str, low: float | None, high: float | None) -> str:
    """Return the formula of np.clip, which keeps NaN, and is `high` where `low` is above it."""
    if low is not None and high is not None:
        low = min(low, high)
    above = "" if high is None else f"{number(high)} if {x} > {number(high)} else "
    below = "" if low is None else f"{number(low)} if {x} < {number(low)} else "
    return f"{above}{below}{x}"


def takes_truth(op: Op, place: int) -> bool:
    """Return whether an operand is a truth value, and not a number."""
    if isinstance(op, ops.Where):
        return place == 0
    return isinstance(op, ops.Compare) and op.ufunc.__name__ in LOGICAL


def number(value: Any) -> str:
    """Return a number of the program's type as Python text."""
    if isinstance(value, float) and not np.isfinite(value):
        return f"FLOAT({'-' if value < 0 else ''}np.{'nan' if np.isnan(value) else 'inf'})"
    return f"FLOAT({float(value) if abs(value) >= 2**63 else value!r})"  # Numba's integers have 64 bits


def expanded(node: Node) -> list[Node]:
    """Return nodes of simpler operations that compute the same element by element, operands first.

    Raises:
        Unsupported: where the operation's `forward` takes arrays alone, or computes with truth values.
    """
    try:
        result = node.op.forward(*map(Symbol, node.inputs))
    except Exception as error:  # of any kind: the formula may be the user's
        raise Unsupported(f"{type(node.op).__name__} has no form for single elements", node) from error
    if not isinstance(result, Symbol) or result.node in node.inputs:
        raise Unsupported(f"{type(node.op).__name__} has no form for single elements", node)
    if computes_with_truth(found := made_of([result.node], node.inputs)):
        raise Unsupported(f"{type(node.op).__name__} computes with truth values", node)
    return found
