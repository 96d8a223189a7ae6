"""Random cases: definitions that can be computed, with any options.

Signals are in groups, each with a direction of time. Inside a group a read has the delay
`direction * k + potential[source] - potential[reader]`, so that around every cycle the potentials cancel and
the total has the group's direction; groups read earlier groups at any step.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

from description import Boundary, Case, Equation, Input, Parameter, Size, moved
from naive import NotComputable, structure

Shape = tuple[int, ...]
NAMES = ["h", "s", "y", "dh", "s_after", "h_before", "rows", "scale", "state", "out", "grads", "B", "counted", "k",
         "zeros", "flags", "y_slope", "h_all", "result", "weights"]
SMOOTH = ["np.tanh", "mg.tanh", "mg.sigmoid", "np.sin", "np.cos", "np.arctan", "mg.gelu", "mg.softplus", "mg.elu"]
KINKED = ["mg.relu", "mg.leaky_relu", "np.abs", "np.sign"]
REDUCED = ["np.sum", "mg.sum", "np.mean", "mg.max", "np.min", "mg.logsumexp", "mg.norm", "np.prod", "np.var", "mg.std"]


class Generator:
    """One random case.

    Args:
        seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed % 1000
        self.inputs: dict[str, Input] = {}
        self.parameters: dict[str, Parameter] = {}
        self.formulas: dict[str, str] = {}
        self.formula_shapes: dict[str, Shape] = {}
        self.generators: dict[str, int] = {}
        self.shapes: dict[str, Shape] = {}  # of signals and inputs
        self.widths = [self.rng.choice([1, 2, 2, 3, 3]) for _ in range(2)]
        r = self.rng.random()
        self.types = ["float64"] if r < 0.75 else ["float32"] if r < 0.87 else ["float32", "float64"] if r < 0.96 \
            else ["float16"]
        self.dropouts = self.rng.random() < 0.08
        self.boundary_heavy = self.rng.random() < 0.4

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def pick(self, items: Any) -> Any:
        return self.rng.choice(list(items))

    def shape(self) -> Shape:
        return () if self.chance(0.35) else (self.pick(self.widths),)

    # ---- the definition
    def case(self) -> Case:
        """Return the case."""
        self.batch = self.pick([(), (), (1,), (3,), (3,), (2, 2)])
        self.T = self.rng.randint(1, 7)
        for name in ["x", "u", "z"][:self.pick([0, 1, 1, 2, 2, 3])]:
            self._input(name)
        if self.chance(0.25):
            self._add_input("label", Input((), (), self.pick(["int64", "int64", "int32"]), below=min(self.widths)))
        names = self.rng.sample(NAMES, self.rng.randint(1, 5))
        groups: list[list[str]] = []
        for name in names:
            self.shapes[name] = self.shape()
            if groups and self.chance(0.5):
                groups[-1].append(name)
            else:
                groups.append([name])
        self.lead = {name: self.pick([0, 0, 0, 0, 1, -1, 2]) if self.chance(0.4) else 0 for name in names}
        direction = {name: sign for group in groups for sign in [self.pick([1, 1, 1, -1])] for name in group}
        potential = {name: self.pick([0, 0, 0, 1, -1]) for name in names}
        group_of = {name: i for i, group in enumerate(groups) for name in group}
        texts: dict[str, str] = {}
        for position, name in enumerate(names):
            self.readable: list[tuple[str, int]] = []
            for source in names:
                if group_of[source] > group_of[name]:
                    continue
                for _ in range(3):
                    if group_of[source] < group_of[name]:
                        delay = self.pick([0, 0, 1, 1, 2, -1, -1, -2, 3, 4])
                    else:
                        k = self.pick([1, 1, 1, 2, 2, 3, 4])
                        if names.index(source) < position and self.chance(0.5):
                            k = 0
                        delay = direction[name] * k + potential[source] - potential[name]
                    self.readable.append((source, self.lead[source] - delay))
            late = self.chance(0.25)
            for source in self.inputs:
                self.readable += [(source, self.pick([0, 0, 0, -1, -2, 1, 2]) if late else 0) for _ in range(2)]
            texts[name] = self.equation(self.shapes[name])
        equations = [Equation(name, self.lead[name], text) for name, text in texts.items()]
        loss = self._loss(equations)
        if self.chance(0.3):
            self.rng.shuffle(equations)
        signals: dict[str, Size] = {name: self._declared(name, equations) for name in self.shapes
                                    if name not in self.inputs}
        case = Case(self.T, self.batch, self.inputs, self.parameters, self.formulas, self.generators, signals,
                    tuple(equations), (), {}, loss=loss, reduction=self.pick(["sum", "mean"]), seed=self.seed)
        case = used_only(self._with_boundaries(used_only(case)))
        batched = any(not x.shared for x in case.inputs.values())
        if not batched and not any("draw" in b.text and not b.after for b in case.boundaries):
            self.batch = ()  # nothing has axes for it
            texts = [f"np.zeros({self._size(self.shapes[b.signal])})" if "draw" in b.text else b.text
                     for b in case.boundaries]
            boundaries = tuple(Boundary(b.signal, b.step, b.after, text)
                               for b, text in zip(case.boundaries, texts))
            inputs = {name: replace(x, shared=False) for name, x in case.inputs.items()}
            case = self._replace(case, batch=(), inputs=inputs, boundaries=boundaries)
        return self._with_options(case)

    def _input(self, name: str) -> None:
        own = self.shape()
        if self.chance(0.2):
            below, dtype = 3, self.pick(["int64", "int32", "int8"])
            if self.chance(0.4):
                below, dtype = 2, "bool"
            self._add_input(name, Input(self._size(own), own, dtype, below))
        else:
            size = None if own and self.chance(0.15) else self._size(own)
            self._add_input(name, Input(size, own, self.pick(self.types), learned=self.chance(0.1),
                                        shared=size is not None and bool(self.batch) and self.chance(0.08)))

    def _add_input(self, name: str, x: Input) -> None:
        self.inputs[name] = x
        self.shapes[name] = x.own

    @staticmethod
    def _size(own: Shape) -> Size:
        return own[0] if own else ()

    def _declared(self, name: str, equations: list[Equation]) -> Size:
        own = self.shapes[name]
        late = any(f"{name}[{moved('t', k)}]" in e.text for e in equations for k in range(-9, 10)
                   if k != self.lead[name])
        return None if self.chance(0.12) and not late and not self.lead[name] else self._size(own)

    def _loss(self, equations: list[Equation]) -> str:
        """Return the name of the signal that is the loss; add one where no number is computed at t."""
        numbers = [e.signal for e in equations if not self.shapes[e.signal] and not e.lead]
        if numbers and self.chance(0.5):
            return str(self.pick(numbers))
        if self.chance(0.03):
            vectors = [e.signal for e in equations if self.shapes[e.signal] and not e.lead]
            if vectors:
                return str(self.pick(vectors))
        self.readable = [(e.signal, e.lead + self.pick([0, 0, 0, 0, -1, 1])) for e in equations]
        self.readable += [(name, 0) for name in self.inputs]
        self.shapes["L"] = ()
        self.lead["L"] = 0
        text = self.equation(())
        equations.append(Equation("L", 0, text))
        if self.chance(0.1):  # the loss is read late
            self.shapes["D"], self.lead["D"] = (), 0
            equations.append(Equation("D", 0, f"L[t] - 0.5 * L[{moved('t', self.pick([-1, -2, 1]))}]"))
        return "L"

    # ---- expressions
    def equation(self, shape: Shape) -> str:
        depth = self.pick([1, 2, 2, 3])
        text = self.expression(shape, depth)
        if "[t" not in text and self.readable and self.chance(0.97):
            text = f"{self.read_as(shape)} + {text}"
        r = self.rng.random()
        if r < 0.55:
            return f"{self.pick(SMOOTH)}({text})"
        return f"0.5 * ({text})" if r < 0.8 else text

    def read(self, shape: Shape) -> str | None:
        """Return a read of a signal of this shape; None if there is none."""
        fitting = [(name, k) for name, k in self.readable if self.shapes[name] == shape and name != "label"]
        if not fitting:
            return None
        name, k = self.pick(fitting)
        return f"{name}[{moved('t', k)}]"

    def read_as(self, shape: Shape) -> str:
        """Return any read, brought to a shape by a product."""
        direct = self.read(shape)
        if direct is not None and self.chance(0.6):
            return direct
        fitting = [(name, k) for name, k in self.readable if name != "label"]
        if not fitting:
            return self.constant(shape)
        name, k = self.pick(fitting)
        own, text = self.shapes[name], f"{name}[{moved('t', k)}]"
        if not own:
            return f"{self.parameter(shape)} * {text}"
        if not shape:
            if self.chance(0.4):
                return f"{text}[{self.rng.randint(-own[0], own[0] - 1)}]"
            return f"{self.parameter(own)} @ {text}" if self.chance(0.5) else f"{text} @ {self.parameter(own)}"
        if self.chance(0.6):
            return f"{self.matrix((shape[0], own[0]))} @ {text}"
        return f"{text} @ {self.matrix((own[0], shape[0]))}"

    def parameter(self, shape: Shape) -> str:
        """Return a Tensor of a shape: a parameter, a formula of parameters, a constant."""
        known = [name for name, p in self.parameters.items() if p.shape == shape]
        known += [name for name, own in self.formula_shapes.items() if own == shape]
        if known and self.chance(0.5):
            return str(self.pick(known))
        if self.chance(0.15):
            return self._formula(shape)
        return self._new_parameter(shape)

    matrix = parameter

    def _new_parameter(self, shape: Shape) -> str:
        name = f"{'WVUAC'[len(self.parameters) % 5] if len(shape) == 2 else 'pqabc'[len(self.parameters) % 5]}" \
               f"{len(self.parameters)}"
        self.parameters[name] = Parameter(shape, self.pick(self.types), frozen=self.chance(0.1))
        return name

    def _formula(self, shape: Shape) -> str:
        name = f"f{len(self.formulas)}"
        kind = self.rng.randrange(5)
        if self.dropouts and self.chance(0.4):
            generator = f"g{len(self.generators)}"
            self.generators[generator] = self.rng.randrange(100)
            inner = self._new_parameter(shape)
            self.parameters[inner] = replace(self.parameters[inner], frozen=False)
            text = f"mg.dropout({inner}, 0.5, {generator})"
        elif kind == 0 and shape:
            text = f"{self._new_parameter(shape[::-1])}.T" if len(shape) == 2 else \
                f"{self._new_parameter((2, *shape))}[{self.rng.randint(-2, 1)}]"
        elif kind == 1:
            text = f"np.tanh({self._new_parameter(shape)})"
        elif kind == 2:
            text = f"{self._new_parameter(shape)} * {self._new_parameter(())}"
        elif kind == 3 and len(shape) == 2:
            text = f"{self._new_parameter((shape[0], 2))} @ {self._new_parameter((2, shape[1]))}"
        else:
            text = f"2 * {self._new_parameter(shape)} - 0.25"
        self.formulas[name] = text
        self.formula_shapes[name] = shape
        return name

    def constant(self, shape: Shape, loose: bool = False) -> str:
        """Return a constant; a `loose` one may be a number beside a vector."""
        number = round(self.rng.uniform(-1.5, 1.5), 2)
        kind = self.rng.randrange(7) if loose or not shape else self.rng.randrange(3, 7)
        if kind == 6 and shape and not loose:
            return f"np.full({shape[0]}, {number})"
        if kind == 0:
            return f"np.float64({number})"
        if kind == 1:
            return str(self.pick([1, 2, -1]))
        if kind == 2:
            return f"np.float32({self.pick([0.5, -0.25, 1.5])})"
        if kind == 3 and shape:
            return f"np.ones({shape[0]})"
        if kind == 4 and shape:
            return f"np.array({[self.rng.randint(-2, 3) for _ in range(shape[0])]})"
        if kind == 5 and shape:
            return f"np.array({[round(self.rng.uniform(-1, 1), 2) for _ in range(shape[0])]})"
        return str(number)

    def leaf(self, shape: Shape, loose: bool = False) -> str:
        r = self.rng.random()
        if r < 0.65:
            return self.read_as(shape)
        if r < 0.87:
            return self.parameter(shape)
        return self.constant(shape, loose)

    def expression(self, shape: Shape, depth: int) -> str:
        """Return the text of an expression of a shape."""
        if depth == 0:
            return self.leaf(shape)
        kinds: list[Any] = [self._sum, self._sum, self._product, self._function, self._positive, self._pair,
                            self._where, self._error]
        kinds += [self._to_number, self._to_number, self._dot] if not shape else [
            self._part, self._joined, self._along, self._number_beside, self._weighted, self._weighted]
        return str(self.pick(kinds)(shape, depth - 1))

    def _sum(self, shape: Shape, depth: int) -> str:
        operator = self.pick(["+", "+", "-"])
        right = self.leaf(shape, True) if self.chance(0.5) else self.expression(shape, depth)
        return f"{self.expression(shape, depth)} {operator} ({right})"

    def _product(self, shape: Shape, depth: int) -> str:
        a, b = self.expression(shape, depth), self.leaf(shape, True)
        if self.chance(0.25):
            return f"({a}) / (1 + ({b}) * ({b}))"
        return f"({b}) * ({a})" if self.chance(0.5) else f"({a}) * ({b})"

    def _function(self, shape: Shape, depth: int) -> str:
        x = self.expression(shape, depth)
        if self.chance(0.08) and self.dropouts and self.readable and "[t" in x:
            name = f"g{len(self.generators)}"
            self.generators[name] = self.rng.randrange(100)
            return f"mg.dropout({x}, 0.5, {name})"
        r = self.rng.random()
        if r < 0.15:
            return f"np.clip({x}, -0.8, {self.pick([0.3, 1])})"
        if r < 0.25:
            return f"{self.pick(['np.sinh', 'np.cosh', 'np.tan', 'np.exp', 'np.expm1'])}(0.3 * np.tanh({x}))"
        if r < 0.35:
            return f"({x}) ** {self.pick([2, 2, 3, 1])}"
        return f"{self.pick(SMOOTH + KINKED)}({x})"

    def _positive(self, shape: Shape, depth: int) -> str:
        x = self.expression(shape, depth)
        form = self.pick(["np.log(1 + np.square({x}))", "np.sqrt(1 + ({x}) ** 2)", "np.log1p(np.abs({x}))",
                          "(1 + np.square({x})) ** {e}", "mg.log2(2 + np.tanh({x}))", "-({x})"])
        return str(form).format(x=x, e=self.pick([0.5, -1, -0.5, 1.5]))

    def _pair(self, shape: Shape, depth: int) -> str:
        return f"{self.pick(['np.maximum', 'mg.minimum'])}({self.expression(shape, depth)}, {self.leaf(shape, True)})"

    def _where(self, shape: Shape, depth: int) -> str:
        flags = [(name, k) for name, k in self.readable if name in self.inputs and self.inputs[name].below
                 and self.shapes[name] in (shape, ())]
        if flags:
            name, k = self.pick(flags)
            condition = f"{name}[{moved('t', k)}]"
        elif shape and self.chance(0.5):
            condition = f"np.array({[self.chance(0.5) for _ in range(shape[0])]})"
        else:
            return self._sum(shape, depth)
        a, b = self.expression(shape, depth), self.leaf(shape, True)
        return f"{self.pick(['mg.where', 'np.where'])}({condition}, {a}, {b})"

    def _error(self, shape: Shape, depth: int) -> str:
        """Return a loss of each element."""
        x = self.expression(shape, depth)
        flags = [(name, k) for name, k in self.readable if name in self.inputs and self.inputs[name].below == 2
                 and self.shapes[name] == shape and name != "label"]
        if flags and self.chance(0.5):
            name, k = self.pick(flags)
            return f"mg.losses.binary_cross_entropy({x}, {name}[{moved('t', k)}], reduction='none')"
        return f"mg.losses.{self.pick(['mse', 'mae'])}({x}, {self.leaf(shape)}, reduction='none')"

    # to numbers
    def _to_number(self, shape: Shape, depth: int) -> str:
        width = (self.pick(self.widths),)
        x = self.expression(width, depth)
        labels = [k for name, k in self.readable if name == "label"]
        if labels and "[t" in x and self.inputs["label"].below <= width[0] and self.chance(0.6):
            label = f"label[{moved('t', self.pick(labels))}]"
            if self.chance(0.3):
                return f"mg.pick({x}, {label})"
            return f"mg.losses.cross_entropy({x}, {label}, reduction='none')"
        if self.chance(0.15):
            return f"({x}).{self.pick(['sum', 'mean', 'max'])}(axis=-1)"
        if self.chance(0.2):
            return f"({x})[{self.rng.randint(-width[0], width[0] - 1)}]"
        return f"{self.pick(REDUCED)}({x}, axis=-1)"

    def _dot(self, shape: Shape, depth: int) -> str:
        width = (self.pick(self.widths),)
        return f"({self.expression(width, depth)}) @ ({self.leaf(width)})"

    # to vectors
    def _part(self, shape: Shape, depth: int) -> str:
        n = shape[0]
        wide = [w for w in self.widths if w >= n]
        if not wide:
            return self._sum(shape, depth)
        m = self.pick(wide)
        x = self.expression((m,), depth)
        if self.chance(0.3):
            return f"({x})[{[self.rng.randint(-m, m - 1) for _ in range(n)]}]"
        if self.chance(0.3) and m == n:
            return f"({x})[::-1]"
        start = self.rng.randint(0, m - n)
        return f"({x})[{start}:{start + n}]"

    def _joined(self, shape: Shape, depth: int) -> str:
        n = shape[0]
        if n == 1:
            return self._sum(shape, depth)
        cut = self.rng.randint(1, n - 1)
        parts = []
        for width in (cut, n - cut):
            known = [w for w in self.widths if w >= width]
            if known and self.chance(0.8):
                parts.append(f"({self.expression((self.pick(known),), depth)})[:{width}]")
            else:
                parts.append(f"np.ones({width})")
        if all(part.startswith("np.ones") for part in parts):
            return self._sum(shape, depth)
        return f"np.concatenate([{', '.join(parts)}], axis=-1)"

    def _along(self, shape: Shape, depth: int) -> str:
        x = self.expression(shape, depth)
        form = self.pick(["mg.softmax({x})", "mg.log_softmax({x})", "np.cumsum({x}, axis=-1)",
                          "np.flip({x}, axis=-1)", "({x}) - np.mean({x}, axis=-1, keepdims=True)",
                          "({x}) / (1 + mg.norm({x}, axis=-1, keepdims=True))"])
        return str(form).format(x=x)

    def _number_beside(self, shape: Shape, depth: int) -> str:
        number, x = self.expression((), depth), self.leaf(shape)
        operator = self.pick(["*", "+", "-"])
        return f"({number}) {operator} ({x})" if self.chance(0.5) else f"({x}) {operator} ({number})"

    def _weighted(self, shape: Shape, depth: int) -> str:
        width = self.pick(self.widths)
        x = self.expression((width,), depth)
        if self.chance(0.6):
            return f"{self.matrix((shape[0], width))} @ ({x})"
        return f"({x}) @ {self.matrix((width, shape[0]))}"

    # ---- values outside, and options
    def _with_boundaries(self, case: Case) -> Case:
        """Return the case with values before and after the sequence: always those of inputs, often others."""
        known = structure(case)
        boundaries = []
        for name in [*case.inputs, *case.signals]:
            for after, steps in ((False, known.before[name]), (True, known.after[name])):
                if name in self.inputs or (steps and self.chance(0.65 if self.boundary_heavy else 0.3)):
                    boundaries += [Boundary(name, step, after, self._boundary(name)) for step in steps]
                elif not steps and name not in self.inputs and self.chance(0.02):  # one that nothing reads
                    step = known.lead[name] + (1 if after else 0)
                    boundaries.append(Boundary(name, step, after, self._boundary(name)))
        return self._replace(case, boundaries=tuple(boundaries), parameters=self.parameters,
                             formulas=self.formulas, generators=self.generators)

    def _boundary(self, name: str) -> str:
        shape = self.shapes[name]
        if name in self.inputs and self.inputs[name].below:
            return str(self.rng.randint(0, 1))
        r = self.rng.random()
        if r < 0.45:
            text = self.parameter(shape)
            return text if self.chance(0.7) else f"np.tanh({text})" if self.chance(0.5) else f"{text} * 2"
        if r < 0.6 and self.batch and name not in self.inputs:
            sizes = ", ".join(map(str, (*self.batch, *shape)))
            return f"draw({self.rng.choice('abcd')!r}, {sizes})"
        if r < 0.8 and shape:
            return f"np.array({[round(self.rng.uniform(-1, 1), 2) for _ in range(shape[0])]})"
        return str(self.pick([0, 1, 0.5, -0.25]))

    def _with_options(self, case: Case) -> Case:
        options: dict[str, Any] = {}
        if self.batch and self.chance(0.3):
            lengths = self._lengths(self.batch)
            options["lengths"] = lengths
        elif self.chance(0.3):
            options["mask"] = self._mask(self.batch)
        if self.chance(0.35 if not options else 0.2):
            kind = self.pick(["chunks", "window", "last"])
            k = self.rng.randint(1, self.T + 1)
            options[kind] = k if kind != "window" else (k, k + self.rng.randint(0, 3))
            if kind == "window" and self.generators:
                del options[kind]
        case = self._replace(case, options=options)
        before = {name: steps for name, steps in structure(case).before.items() if steps}
        if before and self.chance(0.15) and not self.generators:
            return self._replace(case, carried=self.pick(["connected", "detached"]), before=self.rng.randint(1, 4))
        initial = {}
        for name, steps in before.items():
            if name not in self.inputs and self.chance(0.15):
                with_batch = bool(self.batch) and self.chance(0.5)
                shape = (*(self.batch if with_batch else ()), *self.shapes[name])
                initial[name] = {step: (shape, self.chance(0.5)) for step in steps}
        second = ""
        if self.chance(0.3):
            live = [name for name, p in case.parameters.items() if not p.frozen]
            second = "scaled" if self.chance(0.5) or not live else f"frozen {self.pick(live)}"
        return self._replace(case, initial=initial, second=second)

    def _lengths(self, batch: Shape) -> Any:
        if not batch:
            return 0 if self.chance(0.03) else self.rng.randint(1, self.T)
        return [self._lengths(batch[1:]) for _ in range(batch[0])]

    def _mask(self, batch: Shape) -> Any:
        numbers = self.chance(0.15)
        empty = self.chance(0.1)

        def row(shape: Shape) -> Any:
            if shape:
                return [row(shape[1:]) for _ in range(shape[0])]
            flag = self.chance(0.7)
            return int(flag) if numbers else flag

        mask = [row(batch) for _ in range(self.T)]
        if empty and batch:
            for step in mask:
                step[0] = row(()) if len(batch) == 1 else row(batch[1:])
                step[0] = _off(step[0])
        return mask

    @staticmethod
    def _replace(case: Case, **changes: Any) -> Case:
        return replace(case, **changes)


class Layers(Generator):
    """A random case of layers: matrices that share a vector, gates, states that are added, joined vectors.

    The passes of the compiler join these or keep them in a buffer; the expressions of other cases rarely have them.
    """

    def equation(self, shape: Shape) -> str:
        self.readable = self.rng.sample(self.readable, min(3, len(self.readable)))
        total = " + ".join(self._term(shape) for _ in range(self.pick([1, 2, 2, 3])))
        text = f"{self.pick(SMOOTH[:3] if self.chance(0.7) else ['', '0.5 * '])}({total})"
        if self.chance(0.4):
            text = f"{text} * {self.pick(SMOOTH[:3])}({self._term(shape)})"
        return f"{text} + {self._term(shape)}" if self.chance(0.3) else text

    def _term(self, shape: Shape) -> str:
        """Return a read, as it is or multiplied by parameters."""
        kind = self.rng.randrange(6)
        direct = self.read(shape)
        if direct is not None and kind < 3:
            return [direct, f"{self.parameter(shape)} * {direct}", f"{self.parameter(())} * {direct}"][kind]
        vectors = [(name, k) for name, k in self.readable if self.shapes[name]]
        if not shape or not vectors:
            return self.read_as(shape)
        joined = [self.pick(vectors)] * self.pick([1, 1, 2])
        if self.chance(0.2):
            joined.append(self.pick(vectors))
        width = sum(self.shapes[name][0] for name, _ in joined)
        reads = ", ".join(f"{name}[{moved('t', k)}]" for name, k in joined)
        x = f"np.concatenate([{reads}], axis=-1)" if len(joined) > 1 else reads
        if kind == 5:
            width, x = shape[0], f"({self.parameter(shape)} * ({self.matrix((shape[0], width))} @ {x}))"
        return f"{self.matrix((shape[0], width))} @ {x}"


def _off(flags: Any) -> Any:
    if isinstance(flags, list):
        return [_off(x) for x in flags]
    return type(flags)(0)


def random_case(seed: int, kind: type[Generator] = Generator) -> Case:
    """Return the case of a seed."""
    number = seed
    while True:
        try:
            return kind(number).case()
        except NotComputable:
            number += 1_000_003


def used_only(case: Case) -> Case:
    """Return the case without parameters, formulas, generators and inputs that no text names."""
    texts = [e.text for e in case.equations] + [b.text for b in case.boundaries]
    words: set[str] = set()
    formulas: dict[str, str] = {}
    for text in texts:
        words |= set(re.findall(r"\w+", text))
    for name in reversed(case.formulas):  # one may use those before it
        if name in words:
            formulas = {name: case.formulas[name], **formulas}
            words |= set(re.findall(r"\w+", case.formulas[name]))
    second = case.second
    if second.startswith("frozen") and second.split()[1] not in words:
        second = ""
    return replace(case, parameters={k: v for k, v in case.parameters.items() if k in words}, formulas=formulas,
                   generators={k: v for k, v in case.generators.items() if k in words},
                   inputs={k: v for k, v in case.inputs.items() if k in words}, second=second,
                   boundaries=tuple(b for b in case.boundaries if b.signal not in case.inputs or b.signal in words))
