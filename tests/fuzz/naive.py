"""A naive interpreter of recurrences: the oracle of the differential fuzzer. It imports NumPy only.

Every sequence is computed alone, in float64, as if its masked steps were deleted. A value is computed on
demand from its equation's text, by (signal, step). Derivatives run forward: a value carries its Jacobian with
respect to all learned numbers, (P, *shape), and a truncation drops the Jacobian.

Steps are counted in two ways: by the columns of the batch, 1 … T, and for each sequence by its own steps
1 … n, the columns that aren't masked.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from description import Case, draw, initial_name, initial_of, parameter_of, values_of
from numpy.typing import NDArray

Array = NDArray[Any]


class NotComputable(Exception):
    """Raised where a description has no value: a loop, an unknown name, shapes that don't fit."""


# ---- numbers with their Jacobian -----------------------------------------------------------


class Dual:
    """An array of one sequence, and its Jacobian (P, *shape); None for a constant."""

    def __init__(self, value: Any, slope: Array | None = None) -> None:
        self.value: Array = np.asarray(value)
        self.slope = slope

    def constant(self) -> Dual:
        return Dual(self.value)


def _spread(slope: Array, shape: tuple[int, ...]) -> Array:
    """Return a Jacobian whose value is broadcast to a shape."""
    count, own = slope.shape[0], slope.shape[1:]
    return np.broadcast_to(slope.reshape(count, *(1,) * (len(shape) - len(own)), *own), (count, *shape))


def _total(parts: list[tuple[Array, Dual]], value: Array) -> Dual:
    """Return a value with the Jacobian sum of factor * slope, each broadcast."""
    slopes = [factor * _spread(x.slope, value.shape) for factor, x in parts if x.slope is not None]
    return Dual(value, sum(slopes[1:], slopes[0]) if slopes else None)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


C = np.sqrt(2 / np.pi)
ELEMENTWISE: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "exp": (np.exp, lambda x, y: y), "expm1": (np.expm1, lambda x, y: np.exp(x)),
    "log": (np.log, lambda x, y: 1 / x), "log1p": (np.log1p, lambda x, y: 1 / (1 + x)),
    "log2": (np.log2, lambda x, y: 1 / (x * np.log(2))), "sqrt": (np.sqrt, lambda x, y: 0.5 / y),
    "square": (lambda x: x * x, lambda x, y: 2 * x), "abs": (np.abs, lambda x, y: np.sign(x)),
    "sign": (np.sign, lambda x, y: 0 * x), "sin": (np.sin, lambda x, y: np.cos(x)),
    "cos": (np.cos, lambda x, y: -np.sin(x)), "tan": (np.tan, lambda x, y: 1 / np.cos(x) ** 2),
    "sinh": (np.sinh, lambda x, y: np.cosh(x)), "cosh": (np.cosh, lambda x, y: np.sinh(x)),
    "tanh": (np.tanh, lambda x, y: 1 / np.cosh(x) ** 2), "arctan": (np.arctan, lambda x, y: 1 / (1 + x * x)),
    "sigmoid": (_sigmoid, lambda x, y: _sigmoid(x) * _sigmoid(-x)),
    "softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), lambda x, y: _sigmoid(x)),
    "relu": (lambda x: x * (x > 0), lambda x, y: 1.0 * (x > 0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x, y: np.where(x > 0, 1, 0.01)),
    "elu": (lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
            lambda x, y: np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
    "gelu": (lambda x: 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3))),
             lambda x, y: (0.5 * (1 + np.tanh(C * (x + 0.044715 * x**3)))
                           + 0.5 * x * (1 - np.tanh(C * (x + 0.044715 * x**3)) ** 2) * C * (1 + 0.134145 * x**2))),
}


def elementwise(name: str, x: Dual) -> Dual:
    function, derivative = ELEMENTWISE[name]
    v = x.value.astype(float)
    y = function(v)
    return Dual(y, None if x.slope is None else derivative(v, y) * x.slope)


def binary(operator: str, a: Dual, b: Dual) -> Dual:
    x, y = a.value.astype(float), b.value.astype(float)
    if operator == "+":
        return _total([(np.ones(()), a), (np.ones(()), b)], x + y)
    if operator == "-":
        return _total([(np.ones(()), a), (-np.ones(()), b)], x - y)
    if operator == "*":
        return _total([(y, a), (x, b)], x * y)
    if operator == "/":
        return _total([(1 / y, a), (-x / y**2, b)], x / y)
    if operator == "**":
        return _total([(y * x ** np.where(y == 0, 1.0, y - 1), a), (np.log(x) * x**y if b.slope is not None else x, b)],
                      x**y)
    raise NotComputable(operator)


def larger(a: Dual, b: Dual, sign: int) -> Dual:
    """Return maximum (sign 1) or minimum (-1); equal operands get half of the gradient each."""
    x, y = a.value.astype(float), b.value.astype(float)
    first = np.where(x == y, 0.5, 1.0 * (sign * x > sign * y))
    return _total([(first, a), (1 - first, b)], np.where(sign * x >= sign * y, x, y))


def matmul(a: Dual, b: Dual) -> Dual:
    x, y = a.value.astype(float), b.value.astype(float)
    if x.ndim == 0 or y.ndim == 0 or x.ndim > 2 or y.ndim > 2:
        raise NotComputable("@ of numbers")
    slopes = []
    if a.slope is not None:
        slopes.append(a.slope @ y)
    if b.slope is not None:
        slopes.append(x @ b.slope if y.ndim == 2 else b.slope @ x.T if x.ndim == 2 else b.slope @ x)
    return Dual(x @ y, sum(slopes[1:], slopes[0]) if slopes else None)


def linear(function: Callable[[Array], Array], *parts: Dual) -> Dual:
    """Return a linear function of arrays, applied to values and to every row of the Jacobians."""
    value = function(*(p.value for p in parts))
    count = max((len(p.slope) for p in parts if p.slope is not None), default=0)
    if not count:
        return Dual(value)
    rows = [function(*(np.zeros(p.value.shape) if p.slope is None else p.slope[row] for p in parts))
            for row in range(count)]
    return Dual(value, np.array(rows))


def reduction(name: str, x: Dual, keepdims: bool) -> Dual:
    """Return a reduction of a vector to a number, by its gradient with respect to each element."""
    v = x.value.astype(float)
    if v.ndim != 1:
        raise NotComputable(f"{name} of an array with {v.ndim} axes")
    n = len(v)
    if name == "sum":
        y, g = v.sum(), np.ones(n)
    elif name == "mean":
        y, g = v.sum() / n, np.ones(n) / n
    elif name in ("max", "min"):
        y = v.max() if name == "max" else v.min()
        g = (v == y) / (v == y).sum()
    elif name == "prod":
        y, g = v.prod(), np.array([np.delete(v, i).prod() for i in range(n)])
    elif name == "norm":
        y = np.sqrt((v * v).sum())
        g = v / y if y else np.zeros(n)
    elif name == "logsumexp":
        y = v.max() + np.log(np.exp(v - v.max()).sum())
        g = np.exp(v - y)
    elif name in ("var", "std"):
        y, g = ((v - v.mean()) ** 2).mean(), 2 * (v - v.mean()) / n
        if name == "std":
            g = g / (2 * np.sqrt(y)) if y else np.zeros(n)
            y = np.sqrt(y)
    else:
        raise NotComputable(name)
    slope = None if x.slope is None else x.slope @ g
    if keepdims:
        return Dual(np.reshape(y, (1,)), None if slope is None else slope[:, None])
    return Dual(y, slope)


def log_softmax(x: Dual) -> Dual:
    return binary("-", x, reduction("logsumexp", x, True))


# ---- expressions ---------------------------------------------------------------------------

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "norm", "logsumexp", "var", "std")


class Evaluator:
    """Computes an expression's text.

    Args:
        names: the values of names.
        read: called for `signal[t + offset]`; None outside of equations.
        keep: called for a dropout, with its generator, rate and operand's shape.
    """

    def __init__(self, names: dict[str, Any], read: Callable[[str, int], Dual] | None = None,
                 keep: Callable[[str, float, tuple[int, ...]], Array] | None = None) -> None:
        self.names = names
        self.read = read
        self.keep = keep

    def text(self, text: str) -> Dual:
        return self.dual(ast.parse(text, mode="eval").body)

    def dual(self, node: ast.expr) -> Dual:
        found = self.evaluate(node)
        return found if isinstance(found, Dual) else Dual(np.asarray(found))

    def evaluate(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in self.names:
                raise NotComputable(node.id)
            return self.names[node.id]
        if isinstance(node, ast.BinOp):
            left, right = self.dual(node.left), self.dual(node.right)
            if isinstance(node.op, ast.MatMult):
                return matmul(left, right)
            return binary(OPERATORS[type(node.op)], left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            if isinstance(node.operand, ast.Constant):
                return -node.operand.value
            return linear(lambda x: -x, self.dual(node.operand))
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.evaluate(x) for x in node.elts]
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return linear(np.transpose, self.dual(node.value))
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise NotComputable(ast.dump(node))

    def subscript(self, node: ast.Subscript) -> Dual:
        offset = read_offset(node)
        if offset is not None and self.read is not None:
            assert isinstance(node.value, ast.Name)
            return self.read(node.value.id, offset)
        x = self.dual(node.value)
        index = self.index(node.slice)
        if x.value.ndim < 1:
            raise NotComputable("an index into a number")
        return linear(lambda v: v[index], x)

    def index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            return slice(*(None if x is None else self.evaluate(x) for x in (node.lower, node.upper, node.step)))
        found = self.evaluate(node)
        return found.value if isinstance(found, Dual) else found

    def call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id == "draw":
            return Dual(draw(self.names["SEED"], *(self.evaluate(x) for x in node.args)))
        assert isinstance(node.func, ast.Attribute)
        name = node.func.attr
        options = {x.arg: self.evaluate(x.value) for x in node.keywords}
        owner = node.func.value
        if (isinstance(owner, ast.Name) and owner.id in ("np", "mg")) or isinstance(owner, ast.Attribute):
            arguments = list(node.args)
        else:  # a method
            arguments = [owner, *node.args]
        if name == "dropout":
            return self.dropout(arguments)
        if name in ("array", "asarray"):
            return Dual(np.array(self.evaluate(arguments[0]), options.get("dtype")))
        if name in ("ones", "zeros", "full"):
            return Dual(getattr(np, name)(*(self.evaluate(x) for x in arguments)))
        if name in ("float64", "float32", "float16", "int64", "int32", "bool_"):
            return Dual(getattr(np, name)(self.evaluate(arguments[0])))
        if name == "concatenate":
            assert isinstance(arguments[0], (ast.List, ast.Tuple))
            return linear(lambda *parts: np.concatenate(parts), *(self.dual(x) for x in arguments[0].elts))
        operands = [self.dual(x) for x in arguments]
        return self.function(name, operands, options)

    def function(self, name: str, operands: list[Dual], options: dict[str, Any]) -> Dual:
        x = operands[0]
        if name in ELEMENTWISE:
            return elementwise(name, x)
        if name in REDUCTIONS:
            return reduction(name, x, bool(options.get("keepdims")))
        if name in ("maximum", "minimum"):
            return larger(x, operands[1], 1 if name == "maximum" else -1)
        if name == "clip":
            low, high = (float(y.value) for y in operands[1:])
            v = x.value.astype(float)
            inside = 1.0 * ((v >= low) & (v <= high))
            return _total([(inside, x)], np.minimum(np.maximum(v, low), high))
        if name == "where":
            chosen = x.value != 0
            a, b = operands[1:]
            value = np.where(chosen, a.value, b.value)
            return _total([(1.0 * chosen, a), (1.0 * ~chosen, b)], value)
        if name == "log_softmax":
            return log_softmax(x)
        if name == "softmax":
            return elementwise("exp", log_softmax(x))
        if name == "cumsum":
            return linear(np.cumsum, x)
        if name == "flip":
            return linear(lambda v: v[::-1], x)
        if name in ("pick", "cross_entropy"):
            label = int(operands[1].value)
            if not 0 <= label < len(x.value):
                raise NotComputable("a label that is no class")
            row = x if name == "pick" else linear(lambda v: -v, log_softmax(x))
            return linear(lambda v: v[label], row)
        if name in ("mse", "mae"):
            if x.value.shape != operands[1].value.shape:
                raise NotComputable("shapes of a loss")
            return elementwise("square" if name == "mse" else "abs", binary("-", x, operands[1]))
        if name == "binary_cross_entropy":
            return binary("-", elementwise("softplus", x), binary("*", operands[1], x))
        raise NotComputable(name)

    def dropout(self, arguments: list[ast.expr]) -> Dual:
        x, rate = self.dual(arguments[0]), self.evaluate(arguments[1])
        assert isinstance(arguments[2], ast.Name) and self.keep is not None
        keep = self.keep(arguments[2].id, rate, x.value.shape)
        return binary("*", x, Dual(keep / (1 - rate)))


def read_offset(node: ast.expr) -> int | None:
    """Return k of `name[t + k]`; None for anything else."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return None
    place = node.slice
    if isinstance(place, ast.Name) and place.id == "t":
        return 0
    if (isinstance(place, ast.BinOp) and isinstance(place.left, ast.Name) and place.left.id == "t"
            and isinstance(place.right, ast.Constant)):
        return int(place.right.value) if isinstance(place.op, ast.Add) else -int(place.right.value)
    return None


def reads_of(text: str) -> list[tuple[str, int]]:
    """Return the reads of an equation, (signal, offset)."""
    found = []
    for node in ast.walk(ast.parse(text, mode="eval")):
        offset = read_offset(node) if isinstance(node, ast.expr) else None
        if offset is not None:
            found.append((node.value.id, offset))  # type: ignore[attr-defined]
    return found


# ---- the structure of a definition ---------------------------------------------------------


@dataclass(frozen=True)
class Structure:
    """What follows from the reads alone.

    Attributes:
        lead: of each signal.
        delays: (reader, source) -> the delays of its reads, in steps of computation; inputs are left out.
        direction: of the signals on cycles: 1 forward, -1 backward.
        before, after: the steps (after: T + k) that are read or shown and that no equation computes.
    """

    lead: dict[str, int]
    delays: dict[tuple[str, str], list[int]]
    direction: dict[str, int]
    before: dict[str, list[int]]
    after: dict[str, list[int]]


def structure(case: Case) -> Structure:
    """Return the structure; NotComputable where some cycle has no delay, or cycles run both ways."""
    lead = dict.fromkeys(case.inputs, 0) | {e.signal: e.lead for e in case.equations}
    offsets: dict[str, list[int]] = {name: [0] for name in lead}
    delays: dict[tuple[str, str], list[int]] = {}
    for e in case.equations:
        for source, offset in reads_of(e.text):
            if source not in lead:
                raise NotComputable(f"{source} has no equation")
            offsets[source].append(offset)
            if source not in case.inputs:  # source[t + offset] was made at step t + offset - lead[source]
                delays.setdefault((e.signal, source), []).append(lead[source] - offset)
    return Structure(
        lead, delays, _directions(list(lead), delays),
        {name: list(range(1 + min(read), 1 + lead[name])) for name, read in offsets.items()},
        {name: list(range(1 + lead[name], 1 + max(read))) for name, read in offsets.items()})


def _directions(names: list[str], delays: dict[tuple[str, str], list[int]]) -> dict[str, int]:
    """Return the direction of every signal on a cycle, from the totals of all simple cycles."""
    found: dict[str, set[int]] = {}
    reach = {name: {source for reader, source in delays if reader == name} for name in names}
    for middle, a in itertools.product(names, names):
        if middle in reach[a]:
            reach[a] |= reach[middle]

    def walk(start: str, at: str, total: int, visited: tuple[str, ...]) -> None:
        for (reader, source), steps in delays.items():
            if reader != at or (source in visited and source != start):
                continue
            for step in {min(steps), max(steps)}:
                if source == start:
                    found.setdefault(start, set()).add(int(np.sign(total + step)))
                else:
                    walk(start, source, total + step, (*visited, source))

    for name in names:
        walk(name, name, 0, (name,))
    for name in names:  # one direction in each strongly connected component
        for other in reach[name]:
            if name in reach.get(other, ()):
                found.setdefault(name, set()).update(found.get(other, ()))
    for name, signs in found.items():
        if len(signs) > 1 or 0 in signs:
            raise NotComputable(f"the cycles of {name} have no direction")
    return {name: next(iter(signs)) for name, signs in found.items()}


# ---- one call ------------------------------------------------------------------------------


@dataclass
class Result:
    """What a call computes.

    Attributes:
        values: (T, *batch, *shape) by signal; NaN where a description leaves the value open.
        slopes: their Jacobians, (P, T, *batch, *shape), zero where a value is open.
        state: signal -> step -> (*batch, *shape), with the Jacobian.
        leaves: learned array -> the slice of it in P.
        counted: the number of steps that count, over all sequences.
    """

    values: dict[str, Array]
    slopes: dict[str, Array]
    state: dict[str, dict[int, tuple[Array, Array]]]
    leaves: dict[str, tuple[slice, tuple[int, ...]]]
    counted: int

    def gradients(self, upstream: dict[str, Array]) -> dict[str, Array]:
        """Return the gradients of the sum of upstream * values, by leaf."""
        total = sum((np.sum(self.slopes[name] * weights, axis=tuple(range(1, 1 + weights.ndim)))
                     for name, weights in upstream.items()), np.zeros(1))
        return {name: np.broadcast_to(total, self.length)[place].reshape(shape)
                for name, (place, shape) in self.leaves.items()}

    @property
    def length(self) -> int:
        return sum(int(np.prod(shape, dtype=int)) for _, shape in self.leaves.values())


class Call:
    """One call of a description.

    Args:
        scale: of the parameters that aren't frozen.
        frozen: a parameter without gradient.
        draws: the number of calls before this one, which have drawn from the same generators.
        suffix: of the names by which the data are drawn.
        leaves: the learned arrays of another call.
    """

    def __init__(self, case: Case, scale: float = 1.0, frozen: str = "", draws: int = 0, suffix: str = "",
                 leaves: dict[str, tuple[slice, tuple[int, ...]]] | None = None) -> None:
        self.case = case
        self.draws = draws
        self.structure = structure(case)
        self.trees = {e.signal: ast.parse(e.text, mode="eval").body for e in case.equations}
        self.mask = mask_of(case)
        self.leaves: dict[str, tuple[slice, tuple[int, ...]]] = {}
        arrays: dict[str, Array] = {}
        for name, p in case.parameters.items():
            if not p.frozen and name != frozen:
                self._learn(name, p.shape)
            arrays[name] = parameter_of(case, name).astype(float) * (1.0 if p.frozen else scale)
        data = {name: values_of(case, name, case.T, name + suffix) for name in case.inputs}
        for name, x in case.inputs.items():
            if x.learned:
                self._learn(name, data[name].shape)
        for name, steps in case.initial.items():
            for step, (shape, learned) in steps.items():
                if learned:
                    self._learn(initial_name(name, step), shape)
        self.leaves = leaves or self.leaves
        self.count = sum(int(np.prod(shape, dtype=int)) for _, shape in self.leaves.values())
        self.names: dict[str, Any] = {name: self.leaf(name, array) for name, array in arrays.items()}
        for name, text in case.formulas.items():
            self.names[name] = Evaluator(self.names, keep=self.keep_once).text(text)
        self.data = {name: Dual(array) if suffix else self.leaf(name, array) for name, array in data.items()}
        self.kept: dict[str, list[Array]] = {}
        self.boundary: dict[str, dict[tuple[bool, int], Dual]] = {}
        for b in case.boundaries:
            value = Evaluator({**self.names, "SEED": case.seed}).text(b.text)
            self.boundary.setdefault(b.signal, {})[b.after, b.step] = value
        for name, steps in case.initial.items():
            for step in steps:
                value = self.leaf(initial_name(name, step), initial_of(case, name, step))
                after = step - self.structure.lead[name] > case.T
                self.boundary.setdefault(name, {})[after, step - case.T if after else step] = value

    def _learn(self, name: str, shape: tuple[int, ...]) -> None:
        start = sum(int(np.prod(own, dtype=int)) for _, own in self.leaves.values())
        self.leaves[name] = slice(start, start + int(np.prod(shape, dtype=int))), shape

    def leaf(self, name: str, array: Array) -> Dual:
        """Return a learned array with its Jacobian, others as constants."""
        if name not in self.leaves:
            return Dual(array)
        place, shape = self.leaves[name]
        slope = np.zeros((self.count, array.size))
        slope[place] = np.eye(array.size)
        return Dual(array, slope.reshape(self.count, *shape))

    # ---- all sequences
    def run(self, state: dict[str, dict[int, tuple[Array, Array]]] | None = None) -> Result:
        """Return the result; `state` replaces boundary values."""
        case = self.case
        found: dict[tuple[int, ...], dict[str, list[Dual | None]]] = {}
        states: dict[tuple[int, ...], dict[str, dict[int, Dual]]] = {}
        for b in np.ndindex(case.batch):
            carried = {} if state is None else {
                name: {step: Dual(value[b], slope[(slice(None), *b)]) for step, (value, slope) in steps.items()}
                for name, steps in state.items()}
            sequence = Sequence(self, b, carried)
            found[b] = {e.signal: sequence.spread(e.signal) for e in case.equations}
            states[b] = sequence.state()
        values, slopes = {}, {}
        for e in case.equations:
            cells = {(k, *b): found[b][e.signal][k] for b in found for k in range(case.T)}
            size = case.signals[e.signal]
            own = (size if isinstance(size, tuple) else (size,)) if size is not None else ()
            values[e.signal], slopes[e.signal] = self._joined(cells, (case.T, *case.batch), own)
        joined: dict[str, dict[int, tuple[Array, Array]]] = {}
        for name, steps in next(iter(states.values())).items():
            joined[name] = {}
            for step in steps:
                joined[name][step] = self._joined({b: states[b][name][step] for b in states}, case.batch)
        counted = int(np.prod((case.T, *case.batch))) if self.mask is None else max(int(self.mask.sum()), 1)
        return Result(values, slopes, joined, self.leaves, counted)

    def _joined(self, cells: dict[tuple[int, ...], Dual | None], lead: tuple[int, ...],
                own: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """Return all values as one array, and their Jacobians."""
        shapes = {own, *(x.value.shape for x in cells.values() if x is not None)}
        own = np.broadcast_shapes(*shapes)
        value = np.full((*lead, *own), np.nan)
        slope = np.zeros((self.count, *lead, *own))
        for place, x in cells.items():
            if x is not None:
                value[place] = x.value
                if x.slope is not None:
                    slope[(slice(None), *place)] = _spread(x.slope, own)
        return value, slope

    def keep_once(self, generator: str, rate: float, shape: tuple[int, ...]) -> Array:
        """Return what the dropout of a parameter keeps: one draw for the definition, then one for each call."""
        rng = np.random.default_rng(self.case.generators[generator])
        return [rng.random(shape) >= rate for _ in range(2 + self.draws)][-1]

    def keep(self, generator: str, rate: float, shape: tuple[int, ...]) -> list[Array]:
        """Return what a dropout keeps: one draw for the batch at each column, from the first to the last."""
        if generator not in self.kept:
            rng = np.random.default_rng(self.case.generators[generator])
            draws = [rng.random((*self.case.batch, *shape)) >= rate for _ in range(self.case.T * (1 + self.draws))]
            self.kept[generator] = draws[-self.case.T:]
        return self.kept[generator]


def mask_of(case: Case) -> Array | None:
    """Return (T, *batch) bools, or None."""
    if "mask" in case.options:
        return np.array(case.options["mask"]).astype(bool)
    if "lengths" in case.options:
        ends = np.array(case.options["lengths"])
        columns = np.arange(1, case.T + 1).reshape(case.T, *(1,) * len(case.batch))
        return columns <= ends
    return None


class Sequence:
    """One sequence of the batch, by its own steps."""

    def __init__(self, call: Call, place: tuple[int, ...], carried: dict[str, dict[int, Dual]]) -> None:
        self.call = call
        self.place = place
        self.carried = carried
        case = call.case
        valid = [True] * case.T if call.mask is None else [bool(row[place]) for row in call.mask]
        self.columns = [k for k in range(1, case.T + 1) if valid[k - 1]]  # own step j is column columns[j - 1]
        self.n = len(self.columns)
        self.lead = call.structure.lead
        options = case.options
        self.whole: dict[tuple[str, int], Dual] = {}  # a pass over all steps
        self.chunks = options.get("chunks")
        self.last = options.get("last")
        self.window = options.get("window")
        self.memo = self.whole
        self.first = 1  # of the window that is being computed
        self.waiting: set[tuple[str, int]] = set()

    # ---- values
    def value(self, name: str, k: int) -> Dual:
        """Return signal `name` at its own step k."""
        if (name, k) in self.memo:
            return self.memo[name, k]
        if (name, k) in self.waiting:
            raise NotComputable(f"{name}[{k}] needs itself")
        case = self.call.case
        made = k - self.lead[name]
        if not 1 <= made <= self.n:
            found = self.outside(name, k)
        elif name in case.inputs:
            found = self.given(name, k)
        else:
            self.waiting.add((name, k))
            found = self.computed(name, made)
            self.waiting.discard((name, k))
        self.memo[name, k] = found
        return found

    def computed(self, name: str, step: int) -> Dual:
        """Return the value of an equation at one step."""
        def read(source: str, offset: int) -> Dual:
            if source not in self.lead:
                raise NotComputable(source)
            k = step + offset
            made = k - self.lead[source]
            if self.window and self.first > 1 and made < self.first and source not in self.call.case.inputs:
                return self.full(source, k)
            found = self.value(source, k)
            return found.constant() if self.cut(made, step) else found

        def keep(generator: str, rate: float, shape: tuple[int, ...]) -> Array:
            return self.call.keep(generator, rate, shape)[self.columns[step - 1] - 1][self.place]

        found = Evaluator(self.call.names, read, keep).dual(self.call.trees[name])
        size = self.call.case.signals[name]
        if size is not None:  # a number in the place of a vector
            own = size if isinstance(size, tuple) else (size,)
            found = _total([(np.ones(()), found)], np.broadcast_to(found.value, own).astype(float))
        return found.constant() if self.is_constant(step) else found

    def full(self, name: str, k: int) -> Dual:
        """Return a constant from the pass over all steps."""
        memo, first = self.memo, self.first
        self.memo, self.first = self.whole, 1
        window, self.window = self.window, None
        found = self.value(name, k).constant()
        self.memo, self.first, self.window = memo, first, window
        return found

    def given(self, name: str, k: int) -> Dual:
        x = self.call.case.inputs[name]
        place = (self.columns[k - 1] - 1, *(() if x.shared else self.place))
        data = self.call.data[name]
        return Dual(data.value[place].astype(float), None if data.slope is None else data.slope[(slice(None), *place)])

    def outside(self, name: str, k: int) -> Dual:
        """Return a boundary value: carried, set, or zero."""
        after = k - self.lead[name] > self.n
        step = k - self.n if after else k
        size = self.call.case.inputs[name].own if name in self.call.case.inputs else self.call.case.signals[name]
        own = size if isinstance(size, tuple) else (size,) if size is not None else None
        if not after and step in self.carried.get(name, {}):
            return self.carried[name][step]
        known = self.call.boundary.get(name, {})
        if (after, step) not in known:
            if own is None or name in self.call.case.inputs or any(side == after for side, _ in known):
                raise NotComputable(f"{name}[{k}] is not set")
            return Dual(np.zeros(own))
        value = known[after, step]
        if own is None:
            own = value.value.shape[len(self.call.case.batch):]
        if value.value.ndim > len(own):  # with the axes of the batch
            slope = None if value.slope is None else value.slope[(slice(None), *self.place)]
            return Dual(value.value[self.place], slope)
        return _total([(np.ones(()), value)], np.broadcast_to(value.value, own).astype(float))

    # ---- truncation; only with columns that are the sequence's own steps
    def cut(self, made: int, read: int) -> bool:
        if self.chunks:
            made = min(max(made, 1), self.n)
            return (made - 1) // self.chunks != (read - 1) // self.chunks
        if self.last:
            return self.is_constant(max(made, 1))
        return False

    def is_constant(self, step: int) -> bool:
        return bool(self.last) and step <= self.call.case.T - self.last

    def windows(self) -> list[tuple[int, int, int]]:
        """Return (first step, first loss, last loss) of each window."""
        every, length = self.window
        found = []
        for start in range(1, self.call.case.T + 1, every):
            stop = min(start + every - 1, self.call.case.T)
            found.append((max(stop - length + 1, 1), start, stop))
        return found

    def output(self, name: str, k: int) -> Dual:
        """Return a value as a loss sees it: in its window, under truncation."""
        made = min(max(k - self.lead[name], 1), max(self.n, 1))
        if self.window:
            return self.in_window(name, k, made)
        found = self.value(name, k)
        return found.constant() if self.is_constant(made) else found

    def in_window(self, name: str, k: int, step: int) -> Dual:
        """Return a value with the gradients of the window that differentiates the losses of `step`."""
        self.first = next(first for first, start, stop in self.windows() if start <= step <= stop)
        made = k - self.lead[name]
        if made < self.first and self.first > 1:
            return self.full(name, k)
        if not 1 <= made <= self.n:
            return self.value(name, k)
        self.memo = {}
        found = self.value(name, k)
        self.memo = self.whole
        self.first = 1
        return found

    # ---- the columns of the batch
    def spread(self, name: str) -> list[Dual | None]:
        """Return the values at the columns 1 … T; None where it is open."""
        case = self.call.case
        direction = self.call.structure.direction.get(name, 0)
        found: list[Dual | None] = []
        for column in range(1, case.T + 1):
            if column in self.columns:
                found.append(self.output(name, self.columns.index(column) + 1))
            elif not direction:
                shape = self.shape(name)
                found.append(None if shape is None else Dual(np.zeros(shape)))
            elif self.lead[name]:
                found.append(None)
            else:
                found.append(self.held(name, column, direction))
        return found

    def held(self, name: str, column: int, direction: int) -> Dual | None:
        """Return the value that a signal on a cycle keeps at a masked column."""
        own = [k for k in self.columns if direction * k < direction * column]
        if own:
            source = max(own) if direction > 0 else min(own)
            step = self.columns.index(source) + 1
        else:
            step = 0 if direction > 0 else self.n + 1
            known = self.call.structure.before[name] if direction > 0 else self.call.structure.after[name]
            if (0 if direction > 0 else 1) not in known or self.chunks or self.window or self.last:
                return None
            source = column
        if self.window:  # a constant where the loss of its own step belongs to another window
            crossed = (source - 1) // self.window[0] != (column - 1) // self.window[0]
            found = self.in_window(name, step, column)
            return found.constant() if crossed else found
        found = self.value(name, step)
        crossed = self.chunks and (source - 1) // self.chunks != (column - 1) // self.chunks
        return found.constant() if crossed or self.is_constant(column) else found

    def shape(self, name: str) -> tuple[int, ...] | None:
        size = self.call.case.signals[name]
        if size is not None:
            return size if isinstance(size, tuple) else (size,)
        if self.n:
            return self.value(name, 1 + self.lead[name]).value.shape
        return None

    def state(self) -> dict[str, dict[int, Dual]]:
        """Return the last values of each signal that is read with a delay, for a next run."""
        saved = self.window, self.memo
        self.window, self.memo = None, self.whole
        found = {name: {k: self.value(name, self.n + k) for k in steps}
                 for name, steps in self.call.structure.before.items() if steps}
        self.window, self.memo = saved
        return found


def expected(case: Case, scale: float = 1.0, frozen: str = "", draws: int = 0) -> Result:
    """Return what a call has to compute; the parameters are multiplied by `scale` before it."""
    call = Call(case, scale, frozen, draws)
    if not case.carried:
        return call.run()
    first = replace(case, T=case.before, options={}, initial={}, carried="")
    state = Call(first, scale, frozen, 0, " before", call.leaves).run().state
    if case.carried == "detached":
        state = {name: {step: (value, 0 * slope) for step, (value, slope) in steps.items()}
                 for name, steps in state.items()}
    return call.run(state)


# ---- what has to be refused ----------------------------------------------------------------


OPEN = "gradients through a read ahead under window="  # refused, or right in its values


def refusal(case: Case) -> str:
    """Return why a case has to be refused; "" where it has to be computed, OPEN where both are right."""
    mask = mask_of(case)
    truncated = [name for name in ("chunks", "window", "last") if name in case.options]
    delays = [delay for steps in structure(case).delays.values() for delay in steps]
    if case.loss and case.signals[case.loss] not in ((), None):
        return "a vector as a loss"
    if "window" in case.options and min(delays, default=0) < 0:
        return OPEN
    if mask is not None and truncated:
        holes = (~mask[:-1] & mask[1:]).any()
        if holes:
            return "a truncation with a mask that has holes"
        if "last" in case.options and not mask.all():
            return "last= with unequal lengths"
    return ""
