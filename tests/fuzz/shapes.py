"""Random recurrences of signals of any shape, against the same text evaluated by NumPy, one sequence at a time.

    python tests/fuzz/shapes.py --cases 1000 --seed 0 --engines compile,torch,onnx,jax

"Inside an equation everything means what NumPy means for one sequence." So an equation is a text, which is evaluated
twice: by rnn, with signals and `t`; and by the oracle, with arrays of one sequence and `t` an int. Gradients are
compared with central differences of the oracle in a random direction.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from rnn import Cell
from rnn import T as end
from rnn import t as time

Array = NDArray[Any]
Shape = tuple[int, ...]
SHAPES: list[Shape] = [(), (2,), (3,), (2, 3), (3, 3), (2, 2), (1, 3), (2, 1, 3)]
OPEN_LENGTH, ROWS = 4, 5  # of the source that attention reads; rows of tables


@dataclass
class Program:
    """A definition as texts, with its data.

    Attributes:
        signals: name -> (shape, text, whether it runs backward in time).
        starts: name -> text of the value before the first step (after the last one, of those that run backward).
        arrays: name -> shape, for parameters, inputs, statics.
        lengths: steps of each sequence; None for the whole length.
        differentiable: whether central differences show what the gradient is.
    """

    rng: np.random.Generator
    signals: dict[str, tuple[Shape, str, bool]] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Array] = field(default_factory=dict)
    inputs: dict[str, Array] = field(default_factory=dict)
    statics: dict[str, Array] = field(default_factory=dict)
    T: int = 3
    B: int = 2
    lengths: list[int] | None = None
    differentiable: bool = True

    def text(self) -> str:
        """Return the definition for a reader."""
        lines = [f"T = {self.T}, batch = {self.B}, lengths = {self.lengths}"]
        lines += [f"{name}: {kind} {x.shape} {x.dtype}" for kind, group in
                  (("parameter", self.parameters), ("input", self.inputs), ("static", self.statics))
                  for name, x in group.items()]
        lines += [f"{name}[{'T+1' if self.signals[name][2] else '0'}] = {text}" for name, text in self.starts.items()]
        return "\n".join([*lines, *(f"{name}[t] = {text}    # {shape}"
                                    for name, (shape, text, _) in self.signals.items())])


# ---- random texts
class Writer:
    """Writes random expressions of a given shape. `leaves(shape)` lists those that may stand in them."""

    def __init__(self, program: Program, leaves: Callable[[Shape], list[str]], timed: bool = True) -> None:
        self.program, self.rng, self.leaves, self.timed = program, program.rng, leaves, timed

    def one(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def parameter(self, shape: Shape) -> str:
        name = f"W{len(self.program.parameters)}"
        self.program.parameters[name] = self.rng.normal(size=shape)
        return name

    def leaf(self, shape: Shape) -> str:
        found = self.leaves(shape)
        if found and self.rng.random() < 0.8:
            return str(self.one(*found))
        if self.rng.random() < 0.6:
            return self.parameter(shape)
        return f"np.float64({round(float(self.rng.normal()), 2)})" if shape == () else f"np.full({shape}, 0.3)"

    def write(self, shape: Shape, depth: int) -> str:
        """Return an expression of this shape."""
        if depth <= 0 or self.rng.random() < 0.1:
            return self.leaf(shape)
        kinds = [self.unary, self.binary, self.binary, self.choice, self.reduced, self.indexed, self.reshaped,
                 self.product, self.product]
        if shape:
            kinds += [self.joined, self.moved, self.transposed, self.table]
        else:
            kinds += [self.number]
        if len(shape) == 1:
            kinds += [self.attention, self.solved]
        return str(self.one(*kinds)(shape, depth - 1))

    def unary(self, shape: Shape, depth: int) -> str:
        form = self.one("np.tanh({})", "mg.sigmoid({})", "np.sin({})", "(-({}))", "(0.5 * ({}))", "np.exp(-np.abs({}))",
                        "mg.softplus({})", "(({}) ** 2)", "np.sqrt(1 + ({}) ** 2)", "np.square({})", "np.positive({})")
        return str(form.format(self.write(shape, depth)))

    def binary(self, shape: Shape, depth: int) -> str:
        part = shape[int(self.rng.integers(len(shape) + 1)):]
        part = tuple(1 if self.rng.random() < 0.2 else n for n in part)
        parts = [self.write(shape, depth), self.write(part, depth)]
        if self.rng.random() < 0.5:
            parts.reverse()
        form = self.one("({} + {})", "({} - {})", "({} * {})", "({} / (1 + ({}) ** 2))", "np.logaddexp({}, {})",
                        "np.maximum({}, {})", "np.hypot(1 + np.abs({}), {})")
        return str(form.format(*parts))

    def choice(self, shape: Shape, depth: int) -> str:
        part = shape[int(self.rng.integers(len(shape) + 1)):]
        condition = f"({self.write(part, depth)}) {self.one('>', '<=')} ({self.write((), 0)})"
        if self.rng.random() < 0.3:
            condition = f"({condition}) {self.one('&', '|')} ~({self.write(shape, 0)} > 0.1)"
        return f"np.where({condition}, {self.write(shape, depth)}, {self.write(part, depth)})"

    def reduced(self, shape: Shape, depth: int) -> str:
        axis = int(self.rng.integers(len(shape) + 1))
        inner = self.write((*shape[:axis], self.one(2, 3), *shape[axis:]), depth)
        axis = axis if self.rng.random() < 0.5 else axis - len(shape) - 1
        form = self.one("({}).sum(axis={})", "np.mean({}, axis={})", "np.max({}, axis={})", "mg.logsumexp({}, axis={})",
                        "np.prod({}, {})", "({}).var(axis={})", "np.linalg.norm({}, axis={})")
        if not shape and self.rng.random() < 0.5:
            return f"({self.write(self.one((2, 3), (2, 1, 3), (3,)), depth)}).{self.one('sum', 'mean', 'max')}()"
        return str(form.format(inner, axis))

    def indexed(self, shape: Shape, depth: int) -> str:
        if 1 in shape and self.rng.random() < 0.5:
            axis = shape.index(1)
            return f"({self.write(shape[:axis] + shape[axis + 1:], depth)})[{':, ' * axis}None]"
        axis = int(self.rng.integers(len(shape) + 1))
        if axis == len(shape) or self.rng.random() < 0.4:
            n = self.one(2, 3)
            inner = self.write((*shape[:axis], n, *shape[axis:]), depth)
            return f"({inner})[{':, ' * axis}{self.one(0, 1, -1)}]"
        n = shape[axis]
        longer = self.write((*shape[:axis], n + 1, *shape[axis + 1:]), depth)
        index = self.one(f":{n}", "1:", ":0:-1", str(self.rng.integers(0, n + 1, n).tolist()))
        front = "..., " if axis == len(shape) - 1 and self.rng.random() < 0.5 else ":, " * axis
        return f"({longer})[{front}{index}]"

    def reshaped(self, shape: Shape, depth: int) -> str:
        size = int(np.prod(shape, dtype=int))
        inner: Shape = self.one((size,), (size, 1), (1, size), *((2, size // 2) for _ in range(size % 2 == 0)))
        return f"({self.write(inner, depth)}).reshape({shape})"

    def product(self, shape: Shape, depth: int) -> str:
        k = self.one(1, 2, 3)
        forms: list[tuple[str, list[Shape]]] = []
        if len(shape) > 3:
            return self.leaf(shape)
        if len(shape) == 0:
            forms = [("({} @ {})", [(k,), (k,)]), ("np.einsum('i,ij,j', {}, {}, {})", [(k,), (k, 2), (2,)]),
                     ("np.trace({})", [(k, k)]), ("np.vdot({}, {})", [(k,), (k,)])]
        elif len(shape) == 1:
            n, = shape
            forms = [("({} @ {})", [(n, k), (k,)]), ("({} @ {})", [(k,), (k, n)]), ("np.diag({})", [(n, n)]),
                     ("np.einsum('ij,j->i', {}, {})", [(n, k), (k,)]), ("np.matmul({}, {})", [(k,), (k, n)]),
                     ("np.einsum('ii,ij->i', {}, {})", [(n, n), (n, k)]), ("np.dot({}, {})", [(n, k), (k,)])]
        elif len(shape) == 2:
            n, m = shape
            forms = [("({} @ {})", [(n, k), (k, m)]), ("np.outer({}, {})", [(n,), (m,)]),
                     ("({} @ {})", [(n, m, k), (k,)]), ("({} @ {})", [(k,), (n, k, m)]),
                     ("np.einsum('ik,jk->ij', {}, {})", [(n, k), (m, k)]),
                     ("np.einsum('i,j->ij', {}, {})", [(n,), (m,)]), ("np.tensordot({}, {}, 1)", [(n, k), (k, m)])]
        else:
            b, n, m = shape
            forms = [("({} @ {})", [(b, n, k), (k, m)]), ("({} @ {})", [(n, k), (b, k, m)]),
                     ("({} @ {})", [(b, n, k), (b, k, m)]),
                     ("np.einsum('bij,bjk->bik', {}, {})", [(b, n, k), (b, k, m)]),
                     ("np.einsum('...ij,jk->...ik', {}, {})", [(b, n, k), (k, m)])]
        form, shapes = self.one(*forms)
        return str(form.format(*(self.write(x, depth) for x in shapes)))

    def joined(self, shape: Shape, depth: int) -> str:
        axis = int(self.rng.integers(len(shape)))
        n = shape[axis]
        if self.rng.random() < 0.5:
            parts = ", ".join(self.write(shape[:axis] + shape[axis + 1:], depth if i == 0 else 0) for i in range(n))
            return f"np.stack([{parts}], axis={axis})"
        if n == 1:
            return self.leaf(shape)
        cut = int(self.rng.integers(1, n))
        parts = ", ".join(self.write((*shape[:axis], size, *shape[axis + 1:]), depth) for size in (cut, n - cut))
        return f"np.concatenate([{parts}], axis={self.one(axis, axis - len(shape))})"

    def moved(self, shape: Shape, depth: int) -> str:
        axis = int(self.rng.integers(len(shape)))
        form = self.one("np.roll({}, 1, axis={})", "np.flip({}, axis={})", "np.cumsum({}, axis={})",
                        "mg.softmax({}, axis={})", "np.repeat({}, 1, axis={})", "np.sort({}, axis={})")
        if self.rng.random() < 0.2:
            part = tuple(1 if self.rng.random() < 0.5 else n for n in shape)
            return f"np.broadcast_to({self.write(part, depth)}, {shape})"
        return str(form.format(self.write(shape, depth), axis))

    def transposed(self, shape: Shape, depth: int) -> str:
        if len(shape) == 2 and self.rng.random() < 0.5:
            return f"np.swapaxes({self.write(shape[::-1], depth)}, 0, 1)"
        if len(shape) == 3:
            b, n, m = shape
            return f"np.transpose({self.write((n, m, b), depth)}, (2, 0, 1))"
        return f"({self.write(shape[::-1], depth)}).T"

    def number(self, shape: Shape, depth: int) -> str:
        if not self.timed:
            return self.leaf(shape)
        form = self.one("(0.1 * t)", "np.where(t % 2 == 0, {}, 0.4)", "({} - t)", "(np.cos(0.3 * t) * {})",
                        "(np.argmax({vector}) * 0.1)", "((t > 1) * {})")
        return str(form.format(self.write((), depth), vector=self.write((3,), depth)))

    def table(self, shape: Shape, depth: int) -> str:
        if not self.timed:
            return self.leaf(shape)
        if len(shape) == 1 and shape[0] <= ROWS and self.rng.random() < 0.4:
            return f"mg.one_hot(k[t], {ROWS})[:{shape[0]}]"
        if len(shape) > 1 and shape[0] == 2 and self.rng.random() < 0.5:
            return f"{self.parameter((ROWS, *shape[1:]))}[kk[t]]"
        return f"{self.parameter((ROWS, *shape))}[k[t]]"

    def attention(self, shape: Shape, depth: int) -> str:
        self.program.statics.setdefault("enc", np.zeros(0))
        width = 3
        weights = f"mg.softmax(np.where(valid, enc @ {self.write((width,), depth)}, -30.0))"
        return f"({weights} @ enc @ {self.parameter((width, *shape))})"

    def solved(self, shape: Shape, depth: int) -> str:
        n, = shape
        matrix = f"3 * np.eye({n}) + 0.3 * np.tanh({self.write((n, n), depth)})"
        return str(self.one(f"np.linalg.solve({matrix}, {self.write(shape, depth)})",
                            f"(np.linalg.inv({matrix}) @ {self.write(shape, depth)})"))


def random_program(seed: int) -> Program:
    """Return a random definition with data."""
    rng = np.random.default_rng(seed)
    program = Program(rng, T=int(rng.integers(1, 5)), B=int(rng.integers(1, 4)))
    shapes = {f"s{i}": SHAPES[int(rng.integers(len(SHAPES)))] for i in range(int(rng.integers(1, 4)))}
    inputs = {f"x{i}": SHAPES[int(rng.integers(len(SHAPES)))] for i in range(int(rng.integers(1, 3)))}
    fixed = {f"c{i}": SHAPES[int(rng.integers(len(SHAPES)))] for i in range(int(rng.integers(0, 2)))}
    backward = {name: rng.random() < 0.2 for name in shapes}
    mixed = any(backward.values())
    names = list(shapes)
    for position, name in enumerate(names):
        def leaves(shape: Shape, position: int = position, name: str = name) -> list[str]:
            found = [x for x, own in fixed.items() if own == shape]
            found += [f"{x}[{step}]" for x, own in inputs.items() if own == shape for step in ("t", "t", "t-1")]
            found += [f"{x}[t]" for x in names[:position] if shapes[x] == shape]
            if shapes[name] == shape:
                found += [f"{name}[t+1]"] * 3 if backward[name] else [f"{name}[t-1]"] * 3 + [f"{name}[t-2]"]
            if not mixed:
                found += [f"{x}[t-1]" for x in names[position:] if shapes[x] == shape]
            return found

        text = Writer(program, leaves).write(shapes[name], int(rng.integers(1, 4)))
        text = f"np.tanh({text})" if rng.random() < 0.7 else f"0.3 * ({text})"
        program.signals[name] = shapes[name], text, backward[name]
        if rng.random() < 0.4:
            constant = Writer(program, lambda shape: [x for x, own in fixed.items() if own == shape], timed=False)
            program.starts[name] = constant.write(shapes[name], 2)
    data(program, inputs, fixed)
    return program


def data(program: Program, inputs: dict[str, Shape], fixed: dict[str, Shape]) -> None:
    """Draw the values of inputs and statics that the texts read."""
    rng, T, B = program.rng, program.T, program.B
    texts = " ".join([*(text for _, text, _ in program.signals.values()), *program.starts.values()])
    program.inputs = {name: rng.normal(size=(T, B, *shape)) for name, shape in inputs.items()}
    if "kk[t]" in texts:
        program.inputs["kk"] = rng.integers(0, ROWS, (T, B, 2))
    if "k[t]" in texts.replace("kk[t]", ""):
        program.inputs["k"] = rng.integers(0, ROWS, (T, B))
    open_lengths = bool(program.statics)
    program.statics = {name: rng.normal(size=(B, *shape)) for name, shape in fixed.items()}
    if open_lengths:
        program.statics["enc"] = rng.normal(size=(B, OPEN_LENGTH, 3))
        program.statics["valid"] = np.arange(OPEN_LENGTH) < rng.integers(1, OPEN_LENGTH + 1, B)[:, None]
    if rng.random() < 0.3:
        program.lengths = [int(n) for n in rng.integers(1, T + 1, B)]


# ---- the oracle
def softplus(x: Any) -> Any:
    return np.logaddexp(x, 0)


def logsumexp(x: Any, axis: Any = None) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis))


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


PLAIN = types.SimpleNamespace(sigmoid=lambda x: 1 / (1 + np.exp(-x)), softplus=softplus, logsumexp=logsumexp,
                              softmax=softmax, one_hot=lambda k, n: np.eye(n)[k], relu=lambda x: np.maximum(x, 0),
                              stop_gradient=lambda x: x, log_softmax=lambda x: np.log(softmax(x)))


class Steps:
    """A signal of one sequence: `signal[k]` is its value at step k, computed at the first use."""

    def __init__(self, value: Callable[[int], Any]) -> None:
        self.value = value
        self.known: dict[int, Any] = {}

    def __getitem__(self, k: int) -> Any:
        if k not in self.known:
            self.known[k] = self.value(k)
        return self.known[k]


def one_sequence(program: Program, parameters: dict[str, Array], inputs: dict[str, Array], statics: dict[str, Array],
                 b: int) -> dict[str, Array]:
    """Return the signals of one sequence at its own steps."""
    T = program.T if program.lengths is None else program.lengths[b]
    names: dict[str, Any] = {"np": np, "mg": PLAIN, **parameters, **{name: x[b] for name, x in statics.items()}}
    code = {name: compile(text, name, "eval") for name, (_, text, _) in program.signals.items()}

    def signal(name: str, shape: Shape) -> Callable[[int], Any]:
        def value(k: int) -> Any:
            if 1 <= k <= T:
                found = np.asarray(eval(code[name], {**names, "t": k}))
                return found if found.dtype.kind == "i" else found.astype(float)
            start = program.starts.get(name)
            edge = T + 1 if program.signals[name][2] else 0
            return np.asarray(eval(start, names)) if start is not None and k == edge else np.zeros(shape)
        return value

    def given(x: Array) -> Callable[[int], Any]:
        return lambda k: x[k - 1, b] if 1 <= k <= T else np.zeros_like(x[0, b])

    names.update({name: Steps(given(x)) for name, x in inputs.items()})
    names.update({name: Steps(signal(name, shape)) for name, (shape, _, _) in program.signals.items()})
    return {name: np.stack([names[name][k] for k in range(1, T + 1)]) for name in program.signals}


def oracle(program: Program, parameters: dict[str, Array], inputs: dict[str, Array], statics: dict[str, Array]
           ) -> dict[str, Array]:
    """Return the signals of all sequences, (T, B, *shape), zero after the end of a short one."""
    found = {name: np.zeros((program.T, program.B, *shape)) for name, (shape, _, _) in program.signals.items()}
    for b in range(program.B):
        for name, values in one_sequence(program, parameters, inputs, statics, b).items():
            found[name][:len(values), b] = values
    return found


# ---- the library
def definition(program: Program) -> Cell:
    """Return the definition, with the parameters' values."""
    cell = Cell("fuzz")
    names: dict[str, Any] = {"np": np, "mg": mg, "t": time}
    names.update({name: mg.Tensor(x, requires_grad=True, name=name) for name, x in program.parameters.items()})
    names.update({name: cell.input(name, x.shape[2:]) for name, x in program.inputs.items()})
    for name, x in program.statics.items():
        names[name] = cell.static(name, (None, *x.shape[2:]) if name in ("enc", "valid") else x.shape[1:])
    names.update({name: cell.signal(name, shape) for name, (shape, _, _) in program.signals.items()})
    for name, (_, text, _) in program.signals.items():
        names[name][time] = eval(text, names)
    for name, x in program.inputs.items():
        if f"{name}[t-1]" in program.text():
            names[name][0] = np.zeros(x.shape[2:])
    for name, (shape, _, backward) in program.signals.items():
        start = eval(program.starts.get(name, "np.zeros(())"), names) + np.zeros(shape)
        names[name][end + 1 if backward else 0] = start
        if f"{name}[t-2]" in program.text():
            names[name][-1] = np.zeros(shape)
    return cell


def compare(kind: str, found: Any, wanted: Any, tolerance: float) -> Iterator[str]:
    """Yield a sentence where arrays differ."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        yield f"{kind}: shape {found.shape} instead of {wanted.shape}"
    elif not np.allclose(found, wanted, rtol=tolerance, atol=tolerance):
        yield f"{kind}: differs by {np.abs(found - wanted).max():.2g}"


def failures(program: Program, engines: tuple[str, ...] = ("compile",)) -> list[str]:
    """Return what unroll and other engines compute wrongly."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return list(_failures(program, engines))


def _failures(program: Program, engines: tuple[str, ...]) -> Iterator[str]:
    wanted = oracle(program, program.parameters, program.inputs, program.statics)
    cell = definition(program)
    rng = np.random.default_rng(0)
    valid = np.ones((program.T, program.B), bool)
    if program.lengths is not None:
        valid = np.arange(program.T)[:, None] < np.array(program.lengths)
    upstream = {name: rng.normal(size=x.shape) * valid.reshape(*valid.shape, *[1] * (x.ndim - 2))
                for name, x in wanted.items()}
    given = {name: mg.Tensor(x, requires_grad=True, name=name) if x.dtype == float else x
             for name, x in {**program.inputs, **program.statics}.items()}
    options = {} if program.lengths is None else {"lengths": program.lengths}
    run = cell.unroll(**given, **options)
    for name, x in wanted.items():
        yield from compare(f"unroll {name}", run[name].stack().data[valid], x[valid], 1e-9)
    total: Any = sum(((run[name].stack() * weight).sum() for name, weight in upstream.items()), mg.Tensor(0.0))
    leaves = {**cell.parameters, **{name: x for name, x in given.items() if isinstance(x, mg.Tensor)}}
    if total.requires_grad:
        total.backward()
    gradients = {name: np.zeros(x.shape) if x.grad is None else np.array(x.grad) for name, x in leaves.items()}
    if program.differentiable:
        yield from differences(program, upstream, gradients)
    for x in leaves.values():
        x.grad = None
    if "compile" in engines:
        fast = cell.compile()
        out = fast(**given, **options)
        for name, x in wanted.items():
            yield from compare(f"compile {name}", out[name][valid], x[valid], 1e-9)
        fast.backward(**upstream)
        for name, x in leaves.items():
            yield from compare(f"compile gradient {name}", np.zeros(x.shape) if x.grad is None else x.grad,
                               gradients[name], 1e-8)
    yield from exported(program, cell, engines, wanted, valid, upstream, gradients)


def differences(program: Program, upstream: dict[str, Array], gradients: dict[str, Array]) -> Iterator[str]:
    """Compare the gradients with central differences of the oracle in a direction of all leaves."""
    rng = np.random.default_rng(1)
    groups = program.parameters, program.inputs, program.statics
    directions = [{name: rng.normal(size=x.shape) for name, x in group.items() if x.dtype == float} for group in groups]

    def loss(step: float) -> float:
        moved = [{name: x + step * own[name] if name in own else x for name, x in group.items()}
                 for group, own in zip(groups, directions)]
        return float(sum((x * upstream[name]).sum() for name, x in oracle(program, *moved).items()))

    along = sum(float((gradients[name] * x).sum())
                for own in directions for name, x in own.items() if name in gradients)
    estimates = [(loss(h) - loss(-h)) / (2 * h) for h in (1e-4, 1e-5)]
    steady = abs(estimates[0] - estimates[1]) < 1e-3 * (1 + abs(estimates[0]))  # no kink between
    if steady and abs(along - estimates[1]) > 1e-3 * (1 + abs(estimates[1])):
        yield f"unroll gradient: {along:.6g} along a direction, by differences {estimates[1]:.6g}"


def exported(program: Program, cell: Cell, engines: tuple[str, ...], wanted: dict[str, Array], valid: Array,
             upstream: dict[str, Array], gradients: dict[str, Array]) -> Iterator[str]:
    """Compare the exports that are asked for: values, and PyTorch's gradients of parameters."""
    given = {**program.inputs, **program.statics}
    options: Any = {} if program.lengths is None else {"lengths": program.lengths}
    if "torch" in engines:
        import torch
        module = cell.to_torch()
        out = module(**given, **options)
        for name, x in wanted.items():
            yield from compare(f"torch {name}", out[name].detach().numpy()[valid], x[valid], 1e-9)
        total = sum((out[name] * torch.tensor(weight)).sum() for name, weight in upstream.items())
        if getattr(total, "requires_grad", False):
            total.backward()
            for name, p in module.state_dict(keep_vars=True).items():
                yield from compare(f"torch gradient {name}", np.zeros(p.shape) if p.grad is None else p.grad.numpy(),
                                   gradients[name], 1e-8)
    if "jax" in engines:
        function = cell.to_jax()
        out = function(function.parameters, given, **options)
        for name, x in wanted.items():
            yield from compare(f"jax {name}", np.asarray(out[name])[valid], x[valid], 1e-9)
    if "onnx" in engines:
        yield from by_onnx(cell, given, options, wanted, valid)


def by_onnx(cell: Cell, given: dict[str, Array], options: Any, wanted: dict[str, Array], valid: Array) -> Iterator[str]:
    import onnxruntime

    from rnn import DefinitionError
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.onnx"
        try:
            cell.to_onnx(path, **({"lengths": True} if options else {}))
        except DefinitionError as error:
            if "ONNX has no" not in str(error):
                raise
            return
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        feeds = {x.name: np.asarray(given.get(x.name, options.get("lengths")), x.type[7:-1].replace("bool", "?"))
                 for x in session.get_inputs()}
        out = dict(zip([x.name for x in session.get_outputs()], session.run(None, feeds)))
        for name, x in wanted.items():
            yield from compare(f"onnx {name}", out[name][valid], x[valid], 1e-6)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", default="compile")
    arguments = parser.parse_args()
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        program = random_program(seed)
        try:
            found = failures(program, tuple(arguments.engines.split(",")))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            failed += 1
            print(f"seed {seed}\n{program.text()}", *found, sep="\n", end="\n\n")
    print(f"{arguments.cases} cases, {failed} with failures")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
