"""The text of a program: its parts as lines, Python names for its values, and the file that runs with NumPy alone."""

from __future__ import annotations

import inspect
import keyword
import math
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad import Op, numpy_ops, ops
from minigrad.formats.files import write_atomically
from minigrad.provenance import Origin
from rnn.ir.nodes import Node
from rnn.language.dependencies import DefinitionError
from rnn.language.equations import Definition

LARGEST_EXPONENT = "np.log(np.finfo(FLOAT).max / 2)"  # of a sigmoid
CACHE = 4_000_000  # bytes that a loop reads and writes in one tile
TAKEN = {"T", "B", "S", "arrays", "all_steps", "flat", "by_step", "tile", "start", "stop", "t", "iteration", "np",
         "FLOAT", "LARGEST_EXPONENT", "dot", "copyto", "buffers", "forward", "backward", "concatenate", "zeros",
         "empty", "ones", "ascontiguousarray", "prepare", "prepared", "range", "zip", "list", "reversed", "min", "max",
         "bool", "tuple", "map", "slice", "SimpleNamespace",
         *(name for name, x in vars(np).items() if isinstance(x, np.ufunc))}
LONGEST_NAME = 60  # characters
DERIVED = "_all", "_lanes", "_T"  # endings of the names of views of an array and of transposed matrices

HEAD = '''"""{name}: forward and backward, written out in NumPy.

{equations}

    arrays = buffers(T, B)                  # once for each shape of data
    forward(arrays, ...)                    # then arrays.y is y at all steps
    gradients = backward(arrays, 1.0, ...)  # of the sum of all losses; a dict

The last argument of add, multiply, tanh, ... is the array that the result is written into. An array is
seen in three ways: `arrays.h` is h at all steps, (T, B, size); `flat.h` is the same as a matrix of rows,
(T * B, size), for products; `by_step.h` is the list of its steps, (B, size) each, for loops. Some loops
work through tiles of S steps, as many as fit into the cache: within them `arrays`, `flat` and `by_step`
are views of a tile, and `all_steps` is the whole. B is the batch size. The value of a static has no axis
of time, (B, size).
"""
from types import SimpleNamespace

import numpy as np
'''


class Names:
    """A unique Python name for each node, from the names in the definition where there are any."""

    def __init__(self) -> None:
        self.taken = set(TAKEN)
        self.of: dict[Node, str] = {}
        self._last: dict[str, int] = {}  # the number that a name got last, so that many equal wishes cost no search

    def give(self, node: Node) -> str:
        """Return the node's name; the first call chooses it."""
        if node not in self.of:
            self.of[node] = self.free(identifier(node.name or "a"))
        return self.of[node]

    def free(self, wish: str) -> str:
        """Return a name that nothing has yet, and reserve it."""
        name, count = wish, self._last.get(wish, 1)
        while name in self.taken:
            count += 1
            name = f"{wish}{count}"
        self._last[wish] = count
        self.taken.add(name)
        return name


def identifier(text: str) -> str:
    """Return a valid Python name made of the letters, digits and underscores of any text."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text)[:LONGEST_NAME].strip("_")
    if not name or name[0].isdigit():
        name = f"v_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in TAKEN or name.endswith(DERIVED) else name


class Tiles(NamedTuple):
    """The tiles of steps in which a loop and what it reads are computed."""

    name: str  # of the list of tiles
    width: int  # numbers of a step that the loop reads and writes; it determines the length of a tile
    lines: list[str]  # they make the views of one tile


@dataclass
class Function:
    """One pass as text."""

    inputs: list[Node]  # it is called with their arrays,
    weights: list[Node]  # and with these
    lines: list[str] = field(default_factory=list)


@dataclass
class Code:
    """The parts of a program as text."""

    forward: Function
    backward: Function
    boundaries: list[str]  # the names of the boundary values, arguments of forward
    prepare: Function | None = None  # what weights alone determine, if that isn't a part of forward
    prepared: list[str] = field(default_factory=list)  # the names that it returns
    buffers: list[str] = field(default_factory=list)  # lines that make the arrays
    views: dict[str, str] = field(default_factory=dict)  # name of a view of an array -> expression
    tiles: list[Tiles] = field(default_factory=list)
    numpy_functions: set[str] = field(default_factory=set)  # imported by name
    operations: dict[str, tuple[Op, Origin | None]] = field(default_factory=dict)  # called as objects; their lines
    constants: dict[str, float] = field(default_factory=dict)  # numbers in formulas
    written_for: dict[str, Node] = field(default_factory=dict)  # line of the program -> the node that it computes
    gradients: dict[str, str] = field(default_factory=dict)  # name in the result -> expression
    compiled: dict[str, Any] = field(default_factory=dict)  # functions that a backend compiles, in its own form
    loops: dict[str, str] = field(default_factory=dict)  # loop over time -> the backend that computes it, and why


def render(code: Code, cell: Definition, names: Names, dtype: np.dtype[Any]) -> str:
    """Return the text of a program: constants, buffers, forward, backward."""
    parts = [HEAD.format(name=_plain(cell.name), equations="\n".join(_plain(f"    {x!r}") for x in cell.equations))]
    if code.numpy_functions:
        imports = f"from numpy import {', '.join(sorted(code.numpy_functions))}"
        parts.append(textwrap.fill(imports, 110, subsequent_indent="    ").replace("\n", " \\\n"))
    parts.append(f"\nFLOAT = np.{dtype.name}")
    parts += [f"{name} = np.array({value if math.isfinite(value) else str(float(value))!r}, FLOAT)"
              for name, value in code.constants.items()]
    lines = [*code.forward.lines, *code.backward.lines]
    if any("LARGEST_EXPONENT" in line for line in lines):
        parts.append(f"LARGEST_EXPONENT = {LARGEST_EXPONENT}  # exp of it is finite")
    doc = "The arrays that both passes write into; of use for any data of this shape."
    parts.append(_function("buffers(T, B)", doc, _buffers(code, dtype.itemsize)))
    boundaries = [f"{x}=0.0" for x in code.boundaries]
    if code.prepare is not None and code.prepared:
        parts.append(_prepare(code.prepare, code.prepared, names))
        code.forward.lines.insert(0, f"{', '.join(code.prepared)}, = prepared")
        boundaries.insert(0, "prepared")
    parts.append(_pass("forward", "Every signal at t = 1 … T, from the data and the weights.", code.forward, names,
                       boundaries, []))
    if code.gradients:
        result = ["return {", *(f'    "{name}": {value},' for name, value in code.gradients.items()), "}"]
        parts.append(_pass("backward", "The gradients, from t = T back to 1; after forward.", code.backward, names,
                           [], result))
    return "\n".join(parts) + "\n"


def _buffers(code: Code, itemsize: int) -> list[str]:
    """Return the lines that make all arrays, and the views of them that the passes use."""
    views = {space: [f"{name} = {made}" for name, made in code.views.items() if name.startswith(f"{space}.")]
             for space in ("flat", "by_step")}
    lines = ["arrays = SimpleNamespace(T=T, B=B, flat=SimpleNamespace(), by_step=SimpleNamespace())"]
    if code.tiles:
        width = max(tiles.width for tiles in code.tiles) * itemsize
        lines.append(f"S = max(1, min(T, {CACHE} // (max(B, 1) * {width})))  # steps whose values fit into the cache")
    lines += code.buffers
    lines += [f"arrays.{name} = {made}" for name, made in code.views.items() if "." not in name]
    lines += ["flat, by_step = arrays.flat, arrays.by_step"] if any(views.values()) else []
    lines += views["flat"] + views["by_step"]
    for tiles in code.tiles:
        lines += [f"arrays.{tiles.name} = []", "for start in range(0, T, S):", "    stop = min(start + S, T)",
                  "    tile = SimpleNamespace(t=range(start + 1, stop + 1))",
                  "    tile.flat, tile.by_step = SimpleNamespace(), SimpleNamespace()",
                  *(f"    {line}" for line in tiles.lines), f"    arrays.{tiles.name}.append(tile)"]
    return [*lines, "return arrays"]


def _pass(name: str, doc: str, function: Function, names: Names, options: list[str], last: list[str]) -> str:
    """Return the text of a pass: its signature, and the names that its lines use."""
    body = "\n".join(function.lines)
    arrays = "all_steps" if "all_steps." in body else "arrays"
    arguments = [arrays, *(names.of[x] for x in [*function.inputs, *function.weights]), *options]
    signature = textwrap.fill(f"{name}({', '.join(arguments)})", 110, subsequent_indent=" " * (len(name) + 5))
    used = [name for name in ("flat", "by_step", "T", "B") if re.search(rf"\b{name}\b", body)]
    tiled = arrays == "all_steps"
    first = ["arrays, flat, by_step = all_steps, all_steps.flat, all_steps.by_step"] if tiled else []
    first += [f"{name} = {arrays}.{name}" for name in used if not (tiled and name in ("flat", "by_step"))]
    return _function(signature, doc, [*first, *function.lines, *last])


def _prepare(function: Function, results: list[str], names: Names) -> str:
    """Return the text of the function that computes what the weights alone determine."""
    arguments = ", ".join(names.of[x] for x in function.weights)
    signature = textwrap.fill(f"prepare({arguments})", 110, subsequent_indent=" " * 12)
    doc = "What forward computes from weights alone: once for all steps that have the same weights."
    return _function(signature, doc, [*function.lines, f"return {', '.join(results)},"])


def _function(signature: str, doc: str, lines: list[str]) -> str:
    return "\n".join(["", "", f"def {signature}:", f'    """{doc}"""', *(f"    {line}" for line in lines)])


def _plain(text: str) -> str:
    """Return text that can't end the docstring that contains it, and that Python can read."""
    text = text.replace("\\", "/").replace('"', "'")
    return "".join(x if x.isprintable() or x == "\n" else "?" for x in text)


# The classes and functions that minigrad's operations consist of, by name.
OPERATIONS = {name: x for module in (ops, numpy_ops) for name, x in vars(module).items()
              if getattr(x, "__module__", "") == module.__name__}


def save_program(code: Code, text: str, path: Path) -> Path:
    """Write the text of a program to a file, with the operations that it calls; all of it or nothing.

    Raises:
        DefinitionError: for an operation that isn't minigrad's own, or has arrays as options.
        OSError: if the file can't be written.
    """
    for op, origin in code.operations.values():
        if type(op) is not OPERATIONS.get(type(op).__name__) or not all(map(_is_literal, vars(op).values())):
            raise DefinitionError(f"{op!r}, at {origin}, can't be written into a file that needs NumPy "
                                  "alone: only minigrad's own operations can, with plain options. Use the program as "
                                  "it is, cell.compile(), or write the formula with minigrad's functions")
    definitions = _definitions(op for op, _ in code.operations.values())
    definitions += [f"{name} = {op!r}" for name, (op, _) in code.operations.items()]
    head, mark, rest = text.partition("\n\n\ndef buffers(")
    whole = head + "".join("\n" + part for part in definitions) + mark + rest
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomically(path, whole.encode())


def _is_literal(option: Any) -> bool:
    """Return whether the repr of an option is its source: a number, a string, a slice, or a tuple of them."""
    parts = [option]
    for part in parts:  # grows
        if isinstance(part, tuple):
            parts.extend(part)
        elif isinstance(part, slice):
            parts.extend((part.start, part.stop, part.step))
        elif part is not None and part is not Ellipsis and not isinstance(part, (bool, int, float, str)):
            return False
    return True


def _definitions(operations: Iterable[Op]) -> list[str]:
    """Return the source of the operations' classes, and of everything in their modules that they use, in its order."""
    names = [type(op).__name__ for op in operations]
    for name in names:  # grows
        source = _source(OPERATIONS[name])
        names += [word for word in dict.fromkeys(re.findall(r"\w+", source))
                  if word not in names and word in OPERATIONS]
    objects = [OPERATIONS[name] for name in OPERATIONS if name in names]
    sources = [source for *_, source in sorted((x.__module__ != ops.__name__, inspect.getsourcelines(x)[1], _source(x))
                                               for x in objects)]
    constants = [line for line in inspect.getsource(ops).splitlines() if re.match(r"[A-Z_0-9]+ = ", line)
                 and any(line.split(" = ")[0] in source for source in sources)]
    imports = ("import copy\nimport math\nimport sys\nfrom collections.abc import Callable, Sequence\n"
               "from typing import Any, ClassVar")
    first = [imports, "Array = Axis = Needs = Op = Any", *constants] if sources else []
    return [*first, *(f"\n\n{source.rstrip()}\n" for source in sources)]


def _source(x: Any) -> str:
    """Return the source of a function or class; of an operation, without how a formula writes it."""
    source = inspect.getsource(x)
    written = vars(x).get("formula") if isinstance(x, type) else None
    return source.replace(inspect.getsource(written) + "\n", "") if written else source
