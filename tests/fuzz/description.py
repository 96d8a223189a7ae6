"""Descriptions of recurrences for the differential fuzzer, and their text as a complete program.

A `Case` is data: declarations, equations as text, options. The library computes its program; the
interpreter of naive.py reads the equations' text by itself. Neither sees the other's objects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = int | tuple[()] | None  # a vector's length; () for a number; None: not declared


@dataclass(frozen=True)
class Input:
    """A signal that is given.

    Attributes:
        size: as it is declared.
        own: the shape of one value, also where no size is declared.
        below: for whole numbers 0 … below - 1; 0 for normally distributed ones.
        learned: whether the data are a Tensor that requires a gradient.
        shared: whether one sequence without a batch axis is given for all.
    """

    size: Size = None
    own: tuple[int, ...] = ()
    dtype: str = "float64"
    below: int = 0
    learned: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Parameter:
    """A Tensor; `frozen` if it requires no gradient."""

    shape: tuple[int, ...]
    dtype: str = "float64"
    frozen: bool = False


@dataclass(frozen=True)
class Equation:
    """`signal[t + lead] = text`."""

    signal: str
    lead: int
    text: str


@dataclass(frozen=True)
class Boundary:
    """`signal[step] = text`, or `signal[T + step] = text`."""

    signal: str
    step: int
    after: bool
    text: str


@dataclass(frozen=True)
class Case:
    """A definition, its data, its options.

    Attributes:
        formulas: of parameters alone, by name: Tensors, arrays and numbers that equations use.
        generators: of dropout, by name, with their seeds; each belongs to one dropout.
        options: of unroll, as they are passed on; lists instead of arrays.
        initial: the option `initial`: signal -> step -> (shape with or without batch, learned).
        carried: the option `initial` is the state of a run over `before` steps: "connected" or "detached".
        loss: the signal that compile() sums.
        second: a second call after "scaled" parameters, or with "frozen NAME".
    """

    T: int
    batch: tuple[int, ...] = ()
    inputs: dict[str, Input] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)
    generators: dict[str, int] = field(default_factory=dict)
    signals: dict[str, Size] = field(default_factory=dict)
    equations: tuple[Equation, ...] = ()
    boundaries: tuple[Boundary, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    initial: dict[str, dict[int, tuple[tuple[int, ...], bool]]] = field(default_factory=dict)
    carried: str = ""
    before: int = 2
    loss: str = ""
    reduction: str = "sum"
    second: str = ""
    seed: int = 0

    def __repr__(self) -> str:
        """Return a call of `parsed` that makes the case again."""
        plain = Case(0)
        options = {x.name: getattr(self, x.name) for x in fields(self) if x.name not in WRITTEN}
        shown = [f"{name}={value!r}" for name, value in options.items() if value != getattr(plain, name)]
        rows = [f"    {row}" for row in _rows(self)]
        return "\n".join(['parsed("""', *rows, f'""", {", ".join(shown)})'])


WRITTEN = ("inputs", "parameters", "formulas", "generators", "signals", "equations", "boundaries")


def _rows(case: Case) -> list[str]:
    """Return the lines that `parsed` reads."""
    rows = [f"{name}: parameter({', '.join([*map(str, p.shape), *_changed(p, ('shape',))])})"
            for name, p in case.parameters.items()]
    rows += [f"{name}: generator({seed})" for name, seed in case.generators.items()]
    rows += [f"{name} = {text}" for name, text in case.formulas.items()]
    for name, x in case.inputs.items():
        own = () if x.size is None else ("own",)
        rows.append(f"{name}: input({', '.join([str(x.size), *_changed(x, ('size', *own))])})")
    rows += [f"{name}: signal({size})" for name, size in case.signals.items()]
    rows += [f"{e.signal}[{moved('t', e.lead)}] = {e.text}" for e in case.equations]
    return rows + [f"{b.signal}[{moved('T', b.step) if b.after else b.step}] = {b.text}" for b in case.boundaries]


def _changed(value: Input | Parameter, without: tuple[str, ...]) -> list[str]:
    """Return the fields that don't have their default, as keywords."""
    return [f"{x.name}={getattr(value, x.name)!r}" for x in fields(value)
            if x.name not in without and getattr(value, x.name) != x.default]


def parsed(text: str, T: int, **options: Any) -> Case:
    """Return the case of a text: a declaration, formula, equation or boundary value a line.

        p: parameter(2, 3)
        f = p.T
        x: input(2)
        h: signal(3)
        h[t] = np.tanh(x[t] @ p + h[t-1])
        h[0] = f[:, 0]
    """
    found: dict[str, Any] = {name: {} for name in WRITTEN} | {"equations": (), "boundaries": ()}
    for line in filter(None, map(str.strip, text.splitlines())):
        declared = re.fullmatch(r"(\w+): (\w+)\((.*)\)", line)
        timed = re.fullmatch(r"(\w+)\[(t|T)?([+-]?\d+)?\] = (.*)", line)
        if declared:
            name, kind, arguments = declared.groups()
            values = eval(f"_{kind}({arguments})", {f"_{key}": make for key, make in DECLARATIONS.items()})
            found[f"{kind}s"][name] = values
        elif timed and timed[2] == "t":
            found["equations"] += (Equation(timed[1], int(timed[3] or 0), timed[4]),)
        elif timed:
            found["boundaries"] += (Boundary(timed[1], int(timed[3] or 0), timed[2] == "T", timed[4]),)
        else:
            name, formula = line.split(" = ", 1)
            found["formulas"][name] = formula
    return Case(T, **found, **options)


def _input(size: Size = None, own: tuple[int, ...] | None = None, **options: Any) -> Input:
    if own is None:
        own = (size,) if isinstance(size, int) else ()
    return Input(size, own, **options)


def _parameter(*shape: int, **options: Any) -> Parameter:
    return Parameter(shape, **options)


def _same(value: Any) -> Any:
    return value


DECLARATIONS = {"input": _input, "parameter": _parameter, "signal": _same, "generator": _same}


# ---- numbers -------------------------------------------------------------------------------

NUMBERS = '''\
def draw(name, *shape):
    return np.random.default_rng([SEED, *name.encode()]).normal(size=shape)


def whole(name, below, *shape):
    return np.random.default_rng([SEED, *name.encode()]).integers(below, size=shape)
'''


def draw(seed: int, name: str, *shape: int) -> NDArray[np.float64]:
    """Return the numbers of `draw` in the program."""
    return np.random.default_rng([seed, *name.encode()]).normal(size=shape)


def whole(seed: int, name: str, below: int, *shape: int) -> NDArray[np.int64]:
    """Return the numbers of `whole` in the program."""
    return np.random.default_rng([seed, *name.encode()]).integers(below, size=shape)


def values_of(case: Case, name: str, T: int, label: str) -> NDArray[Any]:
    """Return the data of an input, in its dtype."""
    x = case.inputs[name]
    shape = (T, *(() if x.shared else case.batch), *x.own)
    array = whole(case.seed, label, x.below, *shape) if x.below else draw(case.seed, label, *shape)
    return array.astype(x.dtype)


def parameter_of(case: Case, name: str) -> NDArray[Any]:
    """Return the value of a parameter, in its dtype."""
    p = case.parameters[name]
    return (0.7 * draw(case.seed, name, *p.shape)).astype(p.dtype)


def initial_of(case: Case, name: str, step: int) -> NDArray[Any]:
    """Return a value of the option `initial`."""
    return draw(case.seed, f"{name} at {step}", *case.initial[name][step][0])


# ---- the program ---------------------------------------------------------------------------


def moved(name: str, steps: int) -> str:
    """Return t, t+1, t-2, T+1."""
    return name + (f"{steps:+d}" if steps else "")


def definition_text(case: Case) -> str:
    """Return the program up to the definition, its data and its options."""
    lines = ["import numpy as np", "", "import minigrad as mg", "from rnn import Cell, T, t", "",
             f"SEED = {case.seed}", "", "", NUMBERS, ""]
    for name, p in case.parameters.items():
        value = f"0.7 * draw({', '.join([repr(name), *map(str, p.shape)])})"
        value = f"np.asarray({value}).astype({p.dtype!r})" if p.dtype != "float64" else value
        lines.append(f"{name} = mg.Tensor({value}, requires_grad={not p.frozen}, name={name!r})")
    lines += [f"{name} = np.random.default_rng({seed})" for name, seed in case.generators.items()]
    lines += [f"{name} = {text}" for name, text in case.formulas.items()]
    lines.append('cell = Cell("case")')
    for name, x in case.inputs.items():
        lines.append(f"{name} = cell.input({name!r}" + (")" if x.size is None else f", {x.size})"))
    for name, size in case.signals.items():
        lines.append(f"{name} = cell.signal({name!r}" + (")" if size is None else f", {size})"))
    lines += [f"{e.signal}[{moved('t', e.lead)}] = {e.text}" for e in case.equations]
    lines += [f"{b.signal}[{moved('T', b.step) if b.after else b.step}] = {b.text}" for b in case.boundaries]
    lines += ["", f"data = {_data_text(case, case.T, '')}"]
    if case.carried:
        lines.append(f"first = {_data_text(case, case.before, ' before')}")
    lines += _options_text(case)
    return "\n".join(lines) + "\n"


def _data_text(case: Case, T: int, suffix: str) -> str:
    parts = []
    for name, x in case.inputs.items():
        shape = (T, *(() if x.shared else case.batch), *x.own)
        arguments = ", ".join([repr(name + suffix), *([str(x.below)] if x.below else []), *map(str, shape)])
        text = f"{'whole' if x.below else 'draw'}({arguments})"
        if x.dtype != ("int64" if x.below else "float64"):
            text += f".astype({x.dtype!r})"
        if x.learned and not suffix:
            text = f"mg.Tensor({text}, requires_grad=True, name={name!r})"
        parts.append(f"{name}={text}")
    if not case.inputs:
        parts.append(f"T={T}")
    return f"dict({', '.join(parts)})"


def _options_text(case: Case) -> list[str]:
    parts = []
    for name, value in case.options.items():
        if name == "mask":
            value = f"np.array({value!r})"
        parts.append(f"{name}={value}")
    if case.carried:
        detach = ".detach()" if case.carried == "detached" else ""
        return [f"options = dict({', '.join([*parts, f'initial=cell.unroll(**first).state{detach}'])})"]
    lines = []
    for name, steps in case.initial.items():
        for step, (shape, learned) in steps.items():
            value = f"draw({', '.join([repr(f'{name} at {step}'), *map(str, shape)])})"
            if learned:
                value = f"mg.Tensor({value}, requires_grad=True)"
            lines.append(f"{initial_name(name, step)} = {value}")
    if case.initial:
        rows = [f"{name!r}: {{{', '.join(f'{step}: {initial_name(name, step)}' for step in steps)}}}"
                for name, steps in case.initial.items()]
        parts.append(f"initial={{{', '.join(rows)}}}")
    return [*lines, f"options = dict({', '.join(parts)})"]


def initial_name(name: str, step: int) -> str:
    """Return the variable of a value of the option `initial`."""
    return f"{name}_at_{step}".replace("-", "minus_")


USES = {
    "unroll": """
run = cell.unroll(**data, **options)
loss = sum((run[name].stack() * weights).sum() for name, weights in upstream.items())
loss.backward()
print({name: run[name].stack().data for name in upstream})
""",
    "compile": """
fast = cell.compile()
outputs = fast(**data, **options)
print(dict(outputs))
fast.backward(**upstream)
""",
    "loss": """
print(cell.compile(loss={loss!r}, reduction={reduction!r})(**data, **options).loss)
""",
}


def program_text(case: Case, use: str) -> str:
    """Return a complete program; `use` is a key of USES."""
    text = definition_text(case)
    if use in ("unroll", "compile"):
        rows = [f"    {e.signal!r}: draw({', '.join(map(str, _upstream_arguments(case, e.signal)))}),"
                for e in case.equations if use == "unroll" or not e.lead]
        text += "\n".join(["upstream = {", *rows, "}"])
    text += USES[use].format(loss=case.loss, reduction=case.reduction) if use == "loss" else USES[use]
    return text + "print({name: p.grad for name, p in cell.parameters.items()})\n"


def _upstream_arguments(case: Case, name: str) -> list[Any]:
    size = case.signals[name]
    own = [] if size == () else [size if size is not None else "SIZE"]
    return [repr(f"upstream {name}"), case.T, *case.batch, *own]
