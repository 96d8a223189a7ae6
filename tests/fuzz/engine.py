"""Random programs for minigrad, and two judges of their gradients: central differences, and PyTorch.

    python tests/fuzz/engine.py --cases 2000 --start 0            # central differences
    python tests/fuzz/engine.py --cases 2000 --start 0 --torch    # PyTorch too, where it is installed

A program is a list of lines that can be printed as Python: leaves in every memory layout and type of float, operations,
changes of data between operations, hooks, frozen leaves, copies, constants; and a way to ask for gradients. The judges
don't use minigrad. They follow the *recorded* computation: where an operation saw other data than the ones that were
computed (because a line changed them in place), the difference counts as a constant. A run is right if every value is
NumPy's and either every gradient is the judge's, or minigrad raised its error for modified data and data that an
operation had used are different now.
"""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import sys
import traceback
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

import minigrad as mg

Array = np.ndarray[Any, Any]
LARGEST = 8.0  # of a value: a program with larger ones has gradients that differences can't judge


class Parameter(mg.Tensor):
    """A user's subclass."""


class Vector(np.ndarray):  # type: ignore[type-arg]
    """A user's subclass of arrays."""


@dataclass
class Line:
    """One line of a program.

    Attributes:
        kind: "leaf", "op", "constant", "change", "hook", "freeze", "copy".
        out: the variable that it makes, v<out>; for the others the variable that it is about.
        args: the variables that {0}, {1}, ... of the texts mean.
        ours: the line in minigrad's words; for an operation an expression.
        numpy: the expression in NumPy's words.
        torch: the expression in PyTorch's words; "" where elements are only moved.
        may_refuse: whether minigrad may answer with a TypeError or ValueError.
    """

    kind: str
    out: int
    args: list[int] = field(default_factory=list)
    ours: str = ""
    numpy: str = ""
    torch: str = ""
    may_refuse: bool = False
    recorded: bool = True

    def text(self) -> str:
        names = [f"v{i}" for i in self.args]
        ours = self.ours.format(*names)
        if self.kind in ("op", "leaf", "constant", "copy"):
            return f"v{self.out} = {ours}"
        return ours


@dataclass
class Program:
    """Lines, and how gradients are asked for; see MODES."""

    lines: list[Line]
    mode: str
    seed: int

    def text(self) -> str:
        return "\n".join([
            "import copy, pickle", "import numpy as np, minigrad as mg", *(line.text() for line in self.lines),
            f"loss = v{self.lines[-1].out}   # asked by: {self.mode}; seed {self.seed}"])


MODES = ("backward", "backward twice", "backward of a part first", "steps", "mg.grad", "second", "upstream")

# ---- catalogue: operations in minigrad's, NumPy's and PyTorch's words ------------------------
# "{0}" is the operand. Where PyTorch's words are missing, they are NumPy's with torch for np.

UNARY = [(text, text, "") for text in (
    "np.tanh({0})", "np.sin({0})", "np.cos({0})", "np.exp(-np.abs({0}))", "np.expm1(0.3 * {0})", "np.square({0})",
    "np.log(np.abs({0}) + 0.5)", "np.log1p(np.abs({0}))", "np.log2(np.abs({0}) + 1.0)", "np.sqrt(np.abs({0}) + 0.1)",
    "np.tan(0.3 * np.tanh({0}))", "np.sinh(0.5 * {0})", "np.cosh(0.5 * {0})", "np.arctan({0})", "np.sign({0}) * {0}",
    "-{0}", "abs({0})", "{0} ** 2", "{0} ** 3", "0.5 * {0} ** 0", "{0} ** 1", "(np.abs({0}) + 0.5) ** -1.5",
    "2.0 ** {0}", "1.0 / (np.abs({0}) + 0.5)", "1.5 - {0}", "{0} / 2", "{0} * {0}", "{0} - 0.5", "{0} * 3",
    "np.negative({0})", "np.positive({0})", "np.exp(np.minimum({0}, 1.0))")] + [
    ("np.clip({0}, -1.0, 0.7)", "np.clip({0}, -1.0, 0.7)", "torch.clamp({0}, -1.0, 0.7)"),
    ("{0}.clip(None, 0.7)", "{0}.clip(None, 0.7)", "torch.clamp({0}, max=0.7)"),
    ("mg.sigmoid({0})", "1 / (1 + np.exp(-{0}))", "torch.sigmoid({0})"),
    ("mg.softplus({0})", "np.logaddexp(0, {0})", "torch.nn.functional.softplus({0})"),
    ("mg.relu({0})", "np.maximum({0}, 0)", "torch.relu({0})"),
    ("mg.leaky_relu({0}, 0.2)", "np.where({0} > 0, {0}, 0.2 * {0})", "torch.nn.functional.leaky_relu({0}, 0.2)"),
    ("mg.elu({0}, 0.7)", "np.where({0} > 0, {0}, 0.7 * np.expm1({0}))", "torch.nn.functional.elu({0}, 0.7)"),
    ("mg.gelu({0})", "0.5 * {0} * (1 + np.tanh(np.sqrt(2 / np.pi) * ({0} + 0.044715 * {0} ** 3)))",
     "torch.nn.functional.gelu({0}, approximate='tanh')"),
]
BINARY = [(text, text, "") for text in (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (np.abs({1}) + 0.5)", "(np.abs({0}) + 0.5) ** {1}",
    "np.maximum({0}, {1})", "np.minimum({0}, {1})", "np.where({0} > {1}, {0}, {1} * 0.5)", "np.add({0}, {1})",
    "np.multiply({0}, {1})", "np.subtract({0}, {1})")]
NEWER = [(text, text, "") for text in (  # functions that a version of minigrad may lack: a refusal is no fault
    "np.arcsinh({0})", "np.arcsin(0.9 * np.tanh({0}))", "np.arccos(0.9 * np.tanh({0}))", "np.log10(np.abs({0}) + 1.0)",
    "np.exp2({0})", "np.reciprocal(np.abs({0}) + 0.5)")] + [
    ("np.cbrt(np.abs({0}) + 0.2)", "np.cbrt(np.abs({0}) + 0.2)", "(torch.abs({0}) + 0.2) ** (1 / 3)"),
    ("np.diff({0})", "np.diff({0})", "torch.diff({0})"),
    ("np.inner({0}, {0})", "np.inner({0}, {0})", "torch.inner({0}, {0})"),
    ("np.logaddexp({0}, 0.3)", "np.logaddexp({0}, 0.3)", "torch.log(torch.exp({0}) + 1.3498588075760032)"),
    ("np.roll({0}, 1)", "np.roll({0}, 1)", None), ("np.diagonal({0})", "np.diagonal({0})", None),
    ("np.atleast_2d({0})", "np.atleast_2d({0})", None), ("np.tril({0})", "np.tril({0})", "torch.tril({0})"),
    ("np.triu({0}, 1)", "np.triu({0}, 1)", "torch.triu({0}, 1)"),
    ("np.trace({0})", "np.trace({0})", "torch.diagonal({0}, 0, 0, 1).sum(-1)"),
    ("np.fliplr({0})", "np.fliplr({0})", None),
    ("np.cumprod({0})", "np.cumprod({0})", "torch.cumprod({0}.reshape(-1), 0)"),
]


def stored(program: Program, kind: str) -> dict[str, Any]:
    """Return a program as JSON keeps it."""
    return {"kind": kind, "seed": program.seed, "mode": program.mode, "lines": [asdict(line) for line in program.lines]}


def loaded(kept: dict[str, Any]) -> Program:
    """Return a stored program."""
    return Program([Line(**line) for line in kept["lines"]], kept["mode"], kept["seed"])


class Writer:
    """Writes one random program."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.lines: list[Line] = []
        self.values: dict[int, Array] = {}  # what NumPy computes
        self.count = 0
        self.leaves: list[int] = []
        self.plain: set[int] = set()  # constants that are arrays, not Tensors
        self.unsure: set[int] = set()  # minigrad may refuse them, or what they are computed from
        self.held: list[tuple[int, str]] = []

    # ---- small choices
    def pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def numbers(self, shape: tuple[int, ...]) -> Array:
        return np.round(self.rng.uniform(-2, 2, shape), 2)

    def shape(self) -> tuple[int, ...]:
        return self.pick([(), (1,), (2,), (3,), (3,), (4,), (2, 3), (2, 3), (3, 2), (1, 3), (2, 1), (3, 3), (2, 2, 3),
                          (0, 3)])

    def some(self, tensors_only: bool = False) -> int:
        """Return a variable, a new one more often than an old one."""
        known = [i for i in self.values if not (tensors_only and i in self.plain)]
        return known[-1 - min(int(self.rng.exponential(2.5)), len(known) - 1)]

    # ---- lines
    def leaf(self) -> None:
        shape, dtype = self.shape(), self.pick(["float64"] * 8 + ["float32", "float16"])
        values = self.numbers(shape)
        array = f"np.array({values.tolist()!r}, np.{dtype}).reshape({shape})"
        layout = self.pick(["{}"] * 4 + ["np.asfortranarray({})", "{}[..., ::-1]", "np.repeat({}, 2, -1)[..., ::2]",
                                         "np.broadcast_to({}, SHAPE)", "{}.view(Vector)"])
        if len(shape) == 0:
            layout = "{}"
        if layout == "{}[..., ::-1]":
            values = values[..., ::-1]
        kind = "Parameter" if self.chance(0.03) else "mg.Tensor"
        self.new("leaf", f"{kind}({layout.format(array).replace('SHAPE', str(shape))}, requires_grad=True)",
                 f"np.array({values.tolist()!r}).reshape({shape})")
        self.leaves.append(self.count - 1)

    def new(self, kind: str, ours: str, numpy: str, torch: str | None = None, args: Any = (), **options: Any) -> bool:
        """Add a line that makes a variable, if NumPy can compute it and the values are moderate."""
        value = evaluate(numpy, [self.values[i] for i in args])
        if value is None or value.dtype.kind != "f" or value.size > 60 or not np.isfinite(value).all() \
                or np.abs(value).max(initial=0) > LARGEST:
            return False
        if options.get("may_refuse") or any(i in self.unsure for i in args):
            self.unsure.add(self.count)
        self.lines.append(Line(kind, self.count, list(args), ours, numpy,
                               numpy.replace("np.", "torch.") if torch == "" else torch or "", **options))
        self.values[self.count] = value
        self.count += 1
        return True

    def constant(self) -> None:
        shape = self.pick([self.values[self.some()].shape, self.shape()])
        values = self.numbers(shape)
        array = f"np.array({values.tolist()!r}).reshape({shape})"
        form = self.pick(["{}", "{}", "np.asfortranarray({})", "{}.view(Vector)", "mg.Tensor({})",
                          "{}.astype(np.float32)", "np.ma.array({})", "np.ma.masked_less({}, -1.5)"])
        made = self.new("constant", form.format(array), f"np.array({values.tolist()!r}).reshape({shape})",
                        may_refuse="ma." in form)
        if made and not form.startswith("mg"):
            self.plain.add(self.count - 1)

    def op(self) -> None:
        write = self.pick([self.unary, self.unary, self.binary, self.binary, self.reduction, self.product, self.moved,
                           self.moved, self.index, self.index, self.joined, self.newer])
        before = len(self.lines)
        write()
        if len(self.lines) > before and self.chance(0.05):
            line = self.lines[-1]
            if self.chance(0.5):
                line.ours, line.recorded = f"mg.Tensor.detach({line.ours})", False
            else:
                line.ours, line.recorded = f"without_recording(lambda: {line.ours})", False

    def unary(self) -> None:
        ours, numpy, torch = self.pick(UNARY)
        self.new("op", ours, numpy, torch, [self.some(True)])

    def newer(self) -> None:
        ours, numpy, torch = self.pick(NEWER)
        self.new("op", ours, numpy, torch, [self.some(True)], may_refuse=True)

    def binary(self) -> None:
        ours, numpy, torch = self.pick(BINARY)
        a, b = self.some(), self.some(True)
        chooses = any(name in ours for name in ("maximum", "minimum", "where"))
        if chooses and a != b and np.any(evaluate("np.abs({0} - {1}) < 1e-9", [self.values[a], self.values[b]])):
            return  # a tie here may be none in the other library, by rounding
        self.new("op", ours, numpy, torch, [a, b] if self.chance(0.5) else [b, a],
                 may_refuse=any("np.ma" in line.ours for line in self.lines if line.out in (a, b)))

    def reduction(self) -> None:
        x = self.some(True)
        ndim = self.values[x].ndim
        axis = self.pick([None, None, *range(-ndim, ndim), *([(0, -1)] if ndim > 1 else [])])
        keepdims = self.chance(0.3)
        name = self.pick(["sum", "sum", "mean", "max", "min", "prod", "var", "std", "norm", "logsumexp", "cumsum",
                          "log_softmax", "softmax"])
        all_axes = tuple(range(ndim)) if axis is None else axis
        options = f"axis={axis}, keepdims={keepdims}"
        dims = f"dim={all_axes}, keepdim={keepdims}"
        if name in ("cumsum", "log_softmax", "softmax"):
            if not isinstance(axis, int) or self.values[x].size == 0:
                return
            if name == "cumsum":
                text = f"np.cumsum({{0}}, {axis})"
                self.new("op", text, text, f"torch.cumsum({{0}}, {axis})", [x])
            else:
                shifted = f"({{0}} - np.log(np.sum(np.exp({{0}}), {axis}, keepdims=True)))"
                self.new("op", f"mg.{name}({{0}}, {axis})", shifted if name == "log_softmax" else f"np.exp{shifted}",
                         f"torch.{name}({{0}}, {axis})", [x])
        elif name == "logsumexp":
            self.new("op", f"mg.logsumexp({{0}}, {options})", f"np.log(np.sum(np.exp({{0}}), {options}))",
                     f"torch.logsumexp({{0}}, {dims})", [x])
        elif name == "norm":
            safe = "({0} * {0} + 0.1)"
            self.new("op", f"np.linalg.norm({safe}, {options})", f"np.sqrt(np.sum({safe} ** 2, {options}))",
                     f"torch.sqrt(torch.sum({safe} ** 2, {dims}))", [x])
        elif name in ("var", "std"):
            ddof = self.pick([0, 0, 1])
            if evaluate(f"np.var({{0}}, {options}, ddof={ddof}).min(initial=1) > 1e-3", [self.values[x]]) is True:
                text = f"np.{name}({{0}}, {options}, ddof={ddof})"
                self.new("op", text, text, f"torch.{name}({{0}}, {dims}, correction={ddof})", [x])
        elif name == "prod":
            torch = f"torch.prod({{0}}, {axis}, {keepdims})" if isinstance(axis, int) else "torch.prod({0})"
            if isinstance(axis, int) or (axis is None and not keepdims):
                self.new("op", f"np.prod({{0}}, {options})", f"np.prod({{0}}, {options})", torch, [x])
        else:
            torch = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}[name]
            method = self.chance(0.3)
            text = f"{{0}}.{name}({options})" if method else f"np.{name}({{0}}, {options})"
            self.new("op", text, f"np.{name}({{0}}, {options})",
                     f"torch.{torch}({{0}}, {dims})" if ndim else "{0} * 1.0", [x])

    def product(self) -> None:
        a, b = self.some(True), self.some(True)
        text, torch = self.pick([
            ("{0} @ {1}", ""), ("np.matmul({0}, {1})", ""),
            ("{0} @ {0}.T", "{0} @ {0}.permute(*range({0}.ndim)[::-1])"),
            ("{0}.T @ {0}", "{0}.permute(*range({0}.ndim)[::-1]) @ {0}"),
            ("np.outer({0}, {1})", "torch.outer({0}.reshape(-1), {1}.reshape(-1))"),
            ("np.einsum('ij,kj->ik', {0}, {1})", ""), ("np.einsum('i,j->ij', {0}, {1})", ""),
            ("np.einsum('ii->i', {0})", ""), ("np.einsum('ij,ij->j', {0}, {1})", ""),
            ("np.einsum('...j,...j', {0}, {1})", "torch.sum({0} * {1}, -1)"),
            ("np.vecdot({0}, {1})", "torch.sum({0} * {1}, -1)"),
            ("np.dot({0}, {1})", "torch.matmul({0}, {1}) if {0}.ndim and {1}.ndim else {0} * {1}"),
            ("mg.matvec({0}, {1})", "torch.matmul({0}, {1}[..., None])[..., 0]")])
        if "matvec" in text and (self.values[a].ndim < 2 or self.values[b].ndim < 1):
            return
        if "ii" in text and len({*self.values[a].shape, *self.values[a].shape[:1] * 2}) != 1:
            return  # NumPy reads beyond an empty array of shape (0, 3)
        if "np.dot" in text and self.values[b].ndim > 2:
            return  # NumPy's dot isn't a matrix product there, which minigrad refuses
        numpy = "np.matmul({0}, {1}[..., None])[..., 0]" if "matvec" in text else text
        self.new("op", text, numpy, torch, [a, b] if "{1}" in text else [a])

    def moved(self) -> None:
        x = self.some(True)
        shape = self.values[x].shape
        ndim = len(shape)
        axes = tuple(int(i) for i in self.rng.permutation(ndim))
        text = self.pick([
            "{0}.reshape(-1)", "np.reshape({0}, (-1, 1))", "{0}.T", f"np.transpose({{0}}, {axes})",
            "np.swapaxes({0}, 0, -1)", "np.expand_dims({0}, 0)", "np.squeeze({0})", "np.flip({0})", "np.flip({0}, -1)",
            f"np.broadcast_to({{0}}, {(2, *shape)})", "np.pad({0}, 1)", "np.tile({0}, 2)", "np.repeat({0}, 2, -1)",
            "np.moveaxis({0}, 0, -1)", "{0}.ravel()", "np.ravel({0})", f"{{0}}.reshape({shape[::-1]})",
            "np.split({0}, 2)[1]", "np.squeeze(np.expand_dims({0}, -1), -1)", "np.tile({0}, (2, 1))"])
        self.new("op", text, text, None, [x])

    def index(self) -> None:
        x = self.some(True)
        shape = self.values[x].shape
        n = shape[0] if shape else 0
        many = [int(i) for i in self.rng.integers(-n, n, 3)] if n else [0]
        last = [int(i) for i in self.rng.integers(-shape[-1], shape[-1], 2)] if shape and shape[-1] else [0]
        mask = (self.rng.random(shape) < 0.6).tolist()
        sorted_order = f"np.argsort({self.rng.permutation(shape[-1]).tolist()})" if shape else "0"
        # positions that depend on data are those of the data that NumPy computes, so that every judge has the same
        positive = (self.values[x] > 0).tolist()
        best = np.argmax(self.values[x], axis=0).tolist() if shape and 0 not in shape else 0
        text = self.pick([
            "{0}[0]", "{0}[-1]", "{0}[1:]", "{0}[:-1]", "{0}[::-1]", "{0}[..., ::-2]", "{0}[..., 0]", "{0}[None]",
            "{0}[:, None]", "{0}[1:][:1]", "{0}[...]", "{0}[()]", "{0}[:0]", "{0}[0:2, 1:]", "{0}[(slice(None), 1)]",
            "{0}[None, ..., None]", f"{{0}}[{many}]", f"{{0}}[np.array({many})]", f"{{0}}[..., {last}]",
            f"{{0}}[:, {last}]", f"{{0}}[np.array({mask})]", f"{{0}}[np.array({positive})]",
            f"{{0}}[np.array({many}), 0]", f"{{0}}[np.array({many})[:, None]]", f"{{0}}[..., {sorted_order}]",
            f"{{0}}[np.array({best})]", f"np.take({{0}}, {many}, axis=0)", f"np.take({{0}}, {last})",
            f"np.take_along_axis({{0}}, np.argsort(np.zeros({shape}), -1), -1)"])
        self.new("op", text, text, None, [x])

    def joined(self) -> None:
        a, b = self.some(), self.some(True)
        axis = self.pick([0, -1, 1])
        text = self.pick([f"np.concatenate([{{0}}, {{1}}], {axis})", f"np.stack([{{0}}, {{1}}], {axis})",
                          "np.vstack([{0}, {1}])", "np.hstack([{1}, {0}])", "np.concatenate([{1}, {0}, {1}])",
                          "np.stack([{0}, {1}], axis=-1)"])
        self.new("op", text, text, None, [a, b],
                 may_refuse=any("np.ma" in line.ours for line in self.lines if line.out in (a, b)))

    # ---- what happens between operations
    def event(self) -> None:
        self.pick([self.change, self.change, self.change, self.hold, self.hook, self.freeze, self.copied])()

    def about(self, kind: str, variable: int, text: str, **options: Any) -> None:
        self.lines.append(Line(kind, variable, [variable], text, **options))

    def hold(self) -> None:
        """Keep a reference to data, to change them later."""
        x = self.some(True)
        name = f"held{len(self.held)}"
        form = self.pick(["{0}.data", "{0}.data[...]", "{0}.data.T", "{0}.data.reshape(-1)", "memoryview({0}.data)",
                          "{0}.data.view(np.ndarray)", "{0}.data[..., :1]"])
        if ("memoryview" in form and self.values[x].ndim != 1) or self.values[x].ndim == 0:
            form = "{0}.data"
        self.held.append((x, name))
        self.about("change", x, f"{name} = {form}")

    def change(self) -> None:
        x = self.some(True)
        shape, values = self.values[x].shape, self.numbers(self.values[x].shape).tolist()
        if self.held and self.chance(0.6):
            x, name = self.pick(self.held)
            as_array = f"np.asarray({name})"
            text = self.pick([f"{as_array}[...] = 0.25", f"np.copyto({as_array}, 0.5)", f"{as_array}[...] *= 1.5",
                              f"np.multiply({as_array}, 0.5, out={as_array})", f"np.add.at({as_array}, ..., 0.5)",
                              f"{as_array}.sort() if {as_array}.ndim else None", f"{as_array}.flat[:1] = 0.75",
                              f"{as_array}[...] *= 0.3", f"del {name}"])
            self.about("change", x, text)
            if text.startswith("del"):
                self.held.remove((x, name))
            return
        array = f"np.array({values!r}).reshape({shape})"
        large = f"np.array({self.numbers((2, *shape)).tolist()!r}).reshape({(2, *shape)})"
        base = f"base{len(self.lines)}"
        text = self.pick([
            f"{{0}}.data = {array}", f"{{0}}.data[...] = {array}", "{0}.data *= 1.25", "{0}.data += 0.5",
            f"{base} = {large}; {{0}}.data = {base}[1]", f"np.copyto({{0}}.data, {array})",
            "np.multiply({0}.data, 0.4, out={0}.data)",
            f"{base} = {array}; {{0}}.data = {base}", "{0}.data = {0}.data", "{0}.data = {0}.data[...]", "{0}.data",
            "{0}.data.flat[:1] = 0.6", "memoryview({0}.data)", "np.add({0}.data, 0.1, out={0}.data)",
            f"stepped({{0}}, {array})", "inplace({0}, '-=', 0.1)", "inplace({0}, '*=', 0.5)",
            f"inplace({{0}}, '+=', {array})"])
        if "stepped" in text and x not in self.leaves:
            return
        if "inplace" in text and (x not in self.leaves or not hasattr(mg.Tensor, "__isub__")):
            return
        self.about("change", x, text, may_refuse=True)
        if text.startswith("base"):
            self.held.append((x, base))

    def hook(self) -> None:
        x = self.some(True)
        self.about("hook", x, f"hook({{0}}, {self.pick([None, 2.0, -0.5])!r})")

    def freeze(self) -> None:
        if self.chance(0.3):
            x = self.pick(self.leaves)
            self.about("freeze", x, "{0}.requires_grad = False")

    def copied(self) -> None:
        x = self.pick(self.leaves)
        text = self.pick(["copy.copy({0})", "copy.deepcopy({0})", "pickle.loads(pickle.dumps({0}))"])
        self.lines.append(Line("copy", self.count, [x], text, "{0}"))
        self.values[self.count] = self.values[x]
        self.leaves.append(self.count)
        self.count += 1

    def program(self) -> Program:
        """Return the program."""
        for _ in range(int(self.rng.integers(1, 4))):
            self.leaf()
        for _ in range(int(self.rng.integers(3, 14))):
            if self.chance(0.25):
                self.event()
            elif self.chance(0.12):
                self.constant()
            elif self.chance(0.06):
                self.leaf()
            else:
                self.op()
        mode = self.pick(MODES)
        tensors = [i for i in self.values if i not in self.plain]
        ends = sorted({tensors[-1], *(self.some(True) for _ in range(2))} - self.unsure) or [0]
        weight = [float(w) for w in np.round(self.rng.uniform(0.5, 1.5, len(ends)), 2)]
        text = " + ".join(f"{w} * np.sum({{{k}}})" for k, w in enumerate(weight))
        self.lines.append(Line("op", self.count, ends, text, text, text.replace("np.", "torch.")))
        if mode == "upstream" and not self.values[tensors[-1]].ndim:
            mode = "backward"
        if self.chance(0.3):
            self.lines.append(Line("change", tensors[0], [tensors[0]], "{0}.data *= 1.25", may_refuse=True))
            self.lines.append(Line("op", self.count + 1, [self.count], "{0} * 1.0", "{0} * 1.0", "{0} * 1.0"))
        return Program(self.lines, mode, self.seed)


def evaluate(text: str, values: list[Array]) -> Any:
    """Return NumPy's result of an expression, or None where NumPy refuses it."""
    names = {f"v{i}": value for i, value in enumerate(values)}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = eval(text.format(*names), {"np": np, **names})
        return result if isinstance(result, bool) else np.asarray(result)
    except (ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError, np.exceptions.AxisError):
        return None


# ---- minigrad ------------------------------------------------------------------------------


class Wrong(Exception):
    """A fault: its kind, and a sentence."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind


class Observer:
    """A hook that keeps the gradients that it sees, and multiplies them if it has a factor."""

    def __init__(self, factor: float | None) -> None:
        self.factor = factor
        self.seen: list[Array] = []

    def __call__(self, grad: Any) -> Any:
        self.seen.append(plain_data(grad))
        return None if self.factor is None else grad * self.factor


@dataclass
class Recording:
    """What a program did in minigrad.

    Attributes:
        tensors: the variables.
        seen: for each operation the data of its operands when it ran.
        made: for each operation the data of its result.
        refused: the numbers of the lines that minigrad refused.
        hooks: for each hook the variable, the factor, and the gradients that it saw.
        leaves: variables that are leaves.
    """

    tensors: dict[int, Any] = field(default_factory=dict)
    seen: dict[int, list[Array]] = field(default_factory=dict)
    made: dict[int, Array] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    hooks: list[tuple[int, float | None, list[Any]]] = field(default_factory=list)
    frozen: set[int] = field(default_factory=set)
    leaves: set[int] = field(default_factory=set)


def without_recording(compute: Any) -> Any:
    with mg.no_grad():
        return compute()


def stepped(tensor: Any, gradient: Array) -> None:
    """Take a step of an optimiser."""
    before = tensor.grad
    tensor.grad = gradient.astype(tensor.dtype)
    mg.optim.SGD([tensor], lr=0.1).step()
    tensor.grad = before


def inplace(tensor: Any, operator: str, other: Any) -> None:
    """Use an in-place operator, as in `for p in parameters: p -= ...`."""
    names = {"p": tensor, "other": other}
    with mg.no_grad():
        exec(f"p {operator} other", names)
    if names["p"] is not tensor:
        raise Wrong("in-place operator", f"p {operator} ... makes another tensor")


def plain_data(x: Any) -> Array:
    return np.array(x.numpy() if isinstance(x, mg.Tensor) else np.asarray(x))


def record(program: Program) -> Recording:
    """Run the program in minigrad."""
    run = Recording()
    names: dict[str, Any] = {"np": np, "mg": mg, "copy": copy, "pickle": pickle, "Parameter": Parameter,
                             "Vector": Vector, "without_recording": without_recording, "stepped": stepped,
                             "inplace": inplace}

    def hook(tensor: Any, factor: float | None) -> None:
        if not tensor.requires_grad:
            return
        function = Observer(factor)
        tensor.register_hook(function)
        [x] = [i for i, other in run.tensors.items() if other is tensor][:1]
        run.hooks.append((x, factor, function.seen))

    names["hook"] = hook
    for number, line in enumerate(program.lines):
        if any(i not in run.tensors for i in line.args):
            run.refused.add(number)
            continue
        operands = [plain_data(run.tensors[i]) for i in line.args]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if line.kind in ("op", "leaf", "constant", "copy"):
                    code = line.ours.format(*(f"v{i}" for i in line.args))
                    value = eval(code, names)
                    names[f"v{line.out}"] = run.tensors[line.out] = value
                else:
                    exec(line.text(), names)
        except Wrong:
            raise
        except Exception as error:
            if (line.may_refuse or line.kind == "change") and isinstance(error, (TypeError, ValueError, NameError)):
                run.refused.add(number)
                continue
            raise Wrong(f"{type(error).__name__} in {line.kind}", f"{line.text()}: {error}"[:400]) from error
        if line.kind == "op":
            if line.may_refuse and not isinstance(value, mg.Tensor) and not any(
                    getattr(run.tensors[i], "requires_grad", False) for i in line.args):
                run.tensors.pop(line.out)  # a masked array and a constant: no gradient is lost
                run.refused.add(number)
                continue
            if not isinstance(value, mg.Tensor):
                raise Wrong("no Tensor", f"{line.text()} is a {type(value).__name__}")
            run.seen[number], run.made[number] = operands, plain_data(value)
            expected = evaluate(line.numpy, operands)
            lowest = min((operand.dtype.itemsize for operand in operands if operand.dtype.kind == "f"), default=8)
            loose = {2: 2e-2, 4: 1e-4}.get(lowest, 1e-9)
            if expected is None or expected.shape != value.shape or not np.allclose(
                    expected.astype(float), run.made[number].astype(float), rtol=loose, atol=loose):
                raise Wrong("value", f"{line.text()}: {run.made[number]!r}, NumPy: {expected!r}"[:400])
        elif line.kind in ("leaf", "copy", "constant"):
            run.made[number] = plain_data(value)
            if line.kind != "constant":
                run.leaves.add(line.out)
            if line.kind == "copy" and (value is run.tensors[line.args[0]] or not isinstance(value, mg.Tensor)
                                        or not np.array_equal(run.made[number], operands[0])):
                raise Wrong("copy", line.text())
        elif line.kind == "freeze":
            run.frozen.add(line.out)
    return run


# ---- the recorded computation, in NumPy and in PyTorch ----------------------------------------


class Judge:
    """The recorded computation in float64, as a function of leaves and of variables.

    The offsets are what in-place changes added to an operand between its computation and its use.
    """

    def __init__(self, program: Program, run: Recording) -> None:
        self.program, self.run = program, run
        self.offsets: dict[int, list[Array]] = {}
        self.factor: dict[int, float] = {}
        for x, factor, _ in run.hooks:
            if factor is not None:
                self.factor[x] = self.factor.get(x, 1.0) * factor
        self.tracked = set(run.leaves)
        for number, line in enumerate(program.lines):
            if line.kind == "op" and number not in run.refused and line.recorded \
                    and getattr(run.tensors[line.out], "requires_grad", False):
                self.tracked.add(line.out)
        self.base: dict[int, Array] = {}
        self.base, self.before_hook = self.values({}, first=True)

    def values(self, moved: dict[int, Array], first: bool = False) -> tuple[dict[int, Array], dict[int, Array]]:
        """Return each variable, where some are moved by a constant; and each before the factor of its hooks."""
        found: dict[int, Array] = {}
        plain: dict[int, Array] = {}
        for number, line in enumerate(self.program.lines):
            if number in self.run.refused or line.kind not in ("op", "leaf", "copy", "constant"):
                continue
            made = self.run.made[number].astype(float)
            if line.kind == "op" and line.out in self.tracked:
                operands = [found[i] for i in line.args]
                if first:
                    self.offsets[number] = [seen.astype(float) - x for seen, x in zip(self.run.seen[number], operands)]
                value = evaluate(line.numpy, [x + d for x, d in zip(operands, self.offsets[number])])
            else:
                value = made
            value = value + moved[line.out] if line.out in moved else value
            plain[line.out] = value
            factor = self.factor.get(line.out, 1.0)
            if factor != 1.0 and not first:  # a hook that multiplies the gradient multiplies the change of the value
                value = self.base[line.out] + factor * (value - self.base[line.out])
            found[line.out] = value
        return found, plain

    def directional(self, out: int, cotangent: Array, x: int, direction: Array, h: float = 1e-5) -> tuple[float, float]:
        """Return the derivative of sum(cotangent * out) along a direction of x, and an estimate of its error."""
        def f(step: float) -> float:
            return float(np.sum(cotangent * self.values({x: step * direction})[0][out]))
        coarse, fine = (f(2 * h) - f(-2 * h)) / (4 * h), (f(h) - f(-h)) / (2 * h)
        right, left = (f(h) - f(0)) / h, (f(0) - f(-h)) / h
        return fine, abs(coarse - fine) + (abs(right - left) if abs(right - left) > 1e-3 * (1 + abs(fine)) else 0.0)

    def torch(self) -> tuple[Any, dict[int, Any]]:
        """Return torch and the variables as its tensors, of which the tracked ones keep their gradient."""
        import torch

        found: dict[int, Any] = {}
        for number, line in enumerate(self.program.lines):
            if number in self.run.refused or line.kind not in ("op", "leaf", "copy", "constant"):
                continue
            if line.kind == "op" and line.out in self.tracked:
                operands = [found[i] + torch.from_numpy(np.array(d)) for i, d in zip(line.args, self.offsets[number])]
                value = self.torch_value(torch, line, operands, number)
            else:
                value = torch.from_numpy(self.run.made[number].astype(float).copy())
                value.requires_grad_(line.out in self.tracked)
            found[line.out] = value
            if value.requires_grad:
                value.retain_grad()
        for x, factor in self.factor.items():
            if found[x].requires_grad:
                found[x].register_hook(lambda grad, factor=factor: grad * factor)
                found[x].retain_grad()
        return torch, found

    def torch_value(self, torch: Any, line: Line, operands: list[Any], number: int) -> Any:
        names = {f"v{i}": value for i, value in enumerate(operands)}
        if line.torch:
            text = line.torch.format(*names)
            for name in ("maximum", "minimum"):
                text = text.replace(f"torch.{name}(v0, 0", f"torch.{name}(v0, torch.tensor(0.0, dtype=torch.float64)")
                text = text.replace(f"torch.{name}(v0, 1.0", f"torch.{name}(v0, torch.tensor(1.0, dtype=torch.float64)")
            return eval(text, {"torch": torch, **names})
        # elements are only moved: compute with NumPy where each one comes from
        places, count = [], 1  # place 0 holds a zero, for padding
        for operand in operands:
            places.append(np.arange(count, count + operand.numel()).reshape(tuple(operand.shape)))
            count += operand.numel()
        where = evaluate(line.numpy, places)
        everything = torch.cat([torch.zeros(1, dtype=torch.float64), *(x.reshape(-1) for x in operands)])
        return everything[torch.from_numpy(where.reshape(-1).astype(int))].reshape(where.shape)


# ---- verdicts -------------------------------------------------------------------------------


def assigned(program: Program, run: Recording) -> bool:
    """Return whether a line assigned data: that counts as a change even if the numbers are the same."""
    return any(line.kind == "change" and ("data = " in line.ours or "= " in line.ours.partition("data ")[2][:3]
                                          or line.ours.startswith(("stepped", "inplace")))
               for number, line in enumerate(program.lines) if number not in run.refused)


def changed_since_use(program: Program, run: Recording) -> bool:
    """Return whether an operand or a result of a recorded operation holds other data now than at its use."""
    for number, line in enumerate(program.lines):
        if number in run.seen and getattr(run.tensors[line.out], "requires_grad", False):
            now = [plain_data(run.tensors[i]) for i in (*line.args, line.out)]
            if any(a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)
                   for a, b in zip(now, [*run.seen[number], run.made[number]])):
                return True
    return False


def check(program: Program, with_torch: bool = False) -> str:
    """Run a program and judge it; raise Wrong for a fault.

    Returns:
        "right", "refused" (the error for modified data, justly), "kink" (differences can't judge), or "constant".
    """
    run = record(program)
    out = program.lines[-1].out
    if out not in run.tensors or not run.tensors[out].requires_grad:
        return "constant"
    rng = np.random.default_rng(program.seed + 1)
    wanted = [i for i, x in run.tensors.items() if isinstance(x, mg.Tensor) and x.requires_grad]
    if program.mode == "upstream":
        out = max(i for i in wanted if i != out) if len(wanted) > 1 else out
    cotangent = rng.uniform(0.5, 1.5, run.tensors[out].shape) if program.mode == "upstream" else np.ones(())
    before = {i: x.grad for i, x in run.tensors.items() if isinstance(x, mg.Tensor)}
    judge = Judge(program, run)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = gradients(program, run, out, cotangent, wanted, rng)
    except ValueError as error:
        if "changed" not in str(error) and "modified" not in str(error):
            raise Wrong("ValueError in the pass", str(error)[:300]) from error
        if program.mode not in ("steps", "backward twice", "backward of a part first") and any(
                run.tensors[i].grad is not g for i, g in before.items()):
            raise Wrong("gradients after an error", str(error)[:300]) from error
        if not assigned(program, run) and not changed_since_use(program, run):
            raise Wrong("false alarm", str(error)[:300]) from error
        return "refused"
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(f"{type(error).__name__} in the pass", str(error)[:300]) from error
    lowest = min([run.tensors[i].dtype.itemsize for i in wanted])
    precision = {2: 5e-2, 4: 2e-4}.get(lowest, 1e-6)
    if lowest < 8 and program.mode != "second" and any(np.abs(d).max(initial=0) > 1e3 for d in got.values()):
        return "kink"
    answer = "right"
    if program.mode == "second":
        if run.hooks:
            return "hooks in a second pass"
        return second(program, run, judge, got, precision, rng, with_torch)
    scale = max([1.0, *(np.abs(d).max(initial=0) for d in got.values())])
    if with_torch:
        torch, theirs = judge.torch()
        theirs[out].backward(torch.from_numpy(np.broadcast_to(cotangent, theirs[out].shape).astype(float).copy()))
        for i, gradient in got.items():
            expected = theirs[i].grad
            expected = np.zeros(gradient.shape) if expected is None else expected.numpy(force=True)
            compare(f"PyTorch: v{i}", gradient, expected, precision * scale * 0.1)
    else:
        cotangents = np.broadcast_to(cotangent, run.tensors[out].shape)
        for i, gradient in got.items():
            direction = rng.normal(size=gradient.shape)
            expected, error = judge.directional(out, cotangents, i, direction)
            if error > 1e-5 * scale:
                answer = "kink"
                continue
            compare(f"differences: v{i}", np.sum(gradient * direction), expected, 10 * precision * scale)
    return answer


def gradients(program: Program, run: Recording, out: int, cotangent: Array, wanted: list[int],
              rng: np.random.Generator) -> dict[int, Array]:
    """Ask minigrad for gradients in the program's mode; return them, with the right shapes and types, by variable."""
    loss, mode = run.tensors[out], program.mode
    for x in run.tensors.values():
        if isinstance(x, mg.Tensor):
            x.grad = None
    upstream = cotangent if mode == "upstream" else None
    below = ancestors(program, run, out)
    if mode in ("mg.grad", "second"):
        chosen = [i for i in wanted if i in below]
        if mode == "second":
            return dict(zip(chosen, mg.grad(loss, [run.tensors[i] for i in chosen], create_graph=True)))
        found = mg.grad(loss, [run.tensors[i] for i in chosen])
        if any(run.tensors[i].grad is not None for i in chosen):
            raise Wrong("mg.grad", "it set a .grad")
        return dict(zip(chosen, checked(run, chosen, found)))
    if mode == "backward of a part first":
        part = int(rng.choice([i for i in wanted if i in below]))
        run.tensors[part].backward(np.ones(run.tensors[part].shape))
        for x in run.tensors.values():
            if isinstance(x, mg.Tensor):
                x.grad = None
        for _, _, seen in run.hooks:
            seen.clear()
    if mode == "steps":
        for step in loss.backward_steps(upstream):
            step.run()
    else:
        loss.backward(upstream)
        if mode == "backward twice":
            loss.backward(upstream)
    leaves = [i for i in wanted if i in run.leaves]
    chosen = [i for i in wanted
              if i in below and run.tensors[i].grad is not None and (i in leaves or rng.random() < 0.4)]
    missing = [i for i in leaves if i in below and i not in run.frozen and run.tensors[i].grad is None]
    if missing:
        raise Wrong("no gradient", f"v{missing[0]}")
    found = checked(run, chosen, [run.tensors[i].grad for i in chosen])
    for x, factor, seen in run.hooks:
        if x in below and len(run.tensors[x].hooks or []) == 1 and factor is None and run.tensors[x].grad is not None \
                and x not in run.leaves and mode != "backward twice" \
                and not any(np.array_equal(s, run.tensors[x].grad, equal_nan=True) for s in seen):
            raise Wrong("hook", f"v{x}: saw {seen}, the gradient is {run.tensors[x].grad}")
    return {i: g / 2 if mode == "backward twice" and i in leaves else g for i, g in zip(chosen, found)}


def checked(run: Recording, chosen: list[int], found: list[Array]) -> list[Array]:
    """Return gradients as float64 after a check of their shapes and types."""
    for i, gradient in zip(chosen, found):
        x = run.tensors[i]
        if not isinstance(gradient, np.ndarray) or gradient.shape != x.shape or gradient.dtype != x.dtype:
            raise Wrong("form of a gradient", f"v{i}: {getattr(gradient, 'shape', gradient)} of {x.shape} {x.dtype}")
    return [gradient.astype(float) for gradient in found]


def ancestors(program: Program, run: Recording, out: int) -> set[int]:
    """Return the variables from which `out` was computed by recorded operations."""
    found = {out}
    for number in reversed(range(len(program.lines))):
        line = program.lines[number]
        if line.kind == "op" and line.out in found and number not in run.refused and line.recorded \
                and getattr(run.tensors[line.out], "requires_grad", False):
            found |= set(line.args)
    return found


def second(program: Program, run: Recording, judge: Judge, got: dict[int, Any], precision: float,
           rng: np.random.Generator, with_torch: bool) -> str:
    """Differentiate the sum of c · gradient again, and compare along one direction of the leaves."""
    out = program.lines[-1].out
    if any(not isinstance(g, mg.Tensor) or g.shape != run.tensors[i].shape for i, g in got.items()):
        raise Wrong("form of a gradient", "create_graph=True returned no Tensors of the inputs' shapes")
    leaves = [i for i in got if i in run.leaves]
    if not leaves or precision > 1e-6:
        return "constant"
    c = {i: rng.uniform(0.5, 1.5, got[i].shape) for i in leaves}
    total = sum((np.sum(got[i] * c[i]) for i in leaves[1:]), np.sum(got[leaves[0]] * c[leaves[0]]))
    if with_torch:
        torch, theirs = judge.torch()
        first = torch.autograd.grad(theirs[out], [theirs[i] for i in leaves], create_graph=True, allow_unused=True)
        there = sum((torch.sum(g * torch.from_numpy(c[i])) for i, g in zip(leaves, first) if g is not None),
                    torch.zeros((), dtype=torch.float64))
        for i in leaves:
            if first[leaves.index(i)] is not None:
                compare(f"PyTorch: v{i}", got[i].numpy(), first[leaves.index(i)].detach().numpy(), 1e-7)
    if not total.requires_grad:
        if with_torch and there.requires_grad:
            grads = torch.autograd.grad(there, [theirs[i] for i in leaves], allow_unused=True)
            if any(g is not None and bool((g != 0).any()) for g in grads):
                raise Wrong("second derivative", "it isn't recorded")
        return "right"
    for i in leaves:
        run.tensors[i].grad = None
    total.backward()
    zeros = {i: np.zeros(run.tensors[i].shape) for i in leaves}
    mine = {i: zeros[i] if run.tensors[i].grad is None else run.tensors[i].grad for i in leaves}
    if with_torch:
        if there.requires_grad:
            grads = torch.autograd.grad(there, [theirs[i] for i in leaves], allow_unused=True)
            for i, g in zip(leaves, grads):
                expected = np.zeros(mine[i].shape) if g is None else g.numpy(force=True)
                if not np.isfinite(expected).all():
                    return "PyTorch has NaN"
                compare(f"PyTorch, second: v{i}", mine[i], expected, 1e-6 * max(1.0, np.abs(expected).max(initial=0)))
        return "right"
    h = 1e-4
    e = {i: rng.normal(size=c[i].shape) for i in leaves}

    def f(a: float, b: float) -> float:
        return float(judge.values({i: a * c[i] + b * e[i] for i in leaves})[0][out])

    def mixed(h: float) -> float:
        return (f(h, h) - f(h, -h) - f(-h, h) + f(-h, -h)) / (4 * h * h)

    expected, coarse = mixed(h), mixed(3 * h)
    if abs(expected - coarse) > 1e-4 * (1 + abs(expected)):
        return "kink"
    compare("differences, second", sum(np.sum(mine[i] * e[i]) for i in leaves), expected, 1e-3 * (1 + abs(expected)))
    return "right"


def compare(what: str, got: Any, expected: Any, tolerance: float) -> None:
    """Raise Wrong if two arrays differ."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    if got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-6, atol=tolerance, equal_nan=True):
        raise Wrong("wrong gradient", f"{what}: {got!r} against {expected!r}"[:400])


# ---- command --------------------------------------------------------------------------------


def fault(program: Program, with_torch: bool) -> Wrong | None:
    """Return the fault of a program, or None."""
    try:
        check(program, with_torch)
    except Wrong as wrong:
        return wrong
    return None


def shrink(program: Program, with_torch: bool) -> Program:
    """Return a shorter program with a fault of the same kind: lines are removed as long as it stays."""
    first = fault(program, with_torch)
    kind = first.kind if first else ""
    shorter = True
    while shorter:
        shorter = False
        for number in range(len(program.lines) - 2, -1, -1):
            out = program.lines[number].out
            makes = program.lines[number].kind in ("op", "leaf", "constant", "copy")
            lines = [line for k, line in enumerate(program.lines)
                     if k != number and not (makes and out in [*line.args, line.out])]
            if not lines or lines[-1] is not program.lines[-1]:
                continue
            candidate = Program(lines, program.mode, program.seed)
            try:
                found = fault(candidate, with_torch)
            except Exception:  # a program that makes no sense any more
                continue
            if found is not None and found.kind == kind:
                program, shorter = candidate, True
                break
    return program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--torch", action="store_true", help="compare with PyTorch instead of differences")
    parser.add_argument("--show", type=int, default=2, help="programs to print of each kind of fault")
    parser.add_argument("--keep", type=Path, help="add the shortened programs that are shown to this JSON file")
    options = parser.parse_args()
    answers: Counter[str] = Counter()
    faults: dict[str, list[int]] = {}
    for seed in range(options.start, options.start + options.cases):
        program = Writer(seed).program()
        try:
            answers[check(program, options.torch)] += 1
        except Wrong as wrong:
            answers["FAULT"] += 1
            seen = faults.setdefault(wrong.kind, [])
            seen.append(seed)
            if len(seen) <= options.show:
                program = shrink(program, options.torch)
                print(f"---- seed {seed}: {wrong}\n{program.text()}\n", flush=True)
                if options.keep:
                    kept = json.loads(options.keep.read_text()) if options.keep.exists() else []
                    kept.append(stored(program, wrong.kind))
                    options.keep.write_text(json.dumps(kept, indent=1) + "\n")
        except Exception:
            answers["ERROR OF THE FUZZER"] += 1
            print(f"---- seed {seed}\n{program.text()}", flush=True)
            traceback.print_exc()
    for kind, seeds in sorted(faults.items()):
        print(f"{kind}: {len(seeds)}, seeds {seeds[:12]}")
    print(f"{options.cases} cases, {1000 * answers['FAULT'] / options.cases:.1f} faults per thousand: {dict(answers)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
