"""The whole text of a program, as a file that runs with NumPy alone."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import Op, ops
from rnn.ir.schedule import Block
from rnn.language.dependencies import DefinitionError
from rnn.language.equations import Definition

from .codegen import CACHE
from .pipeline import Program

HEAD = '''"""{name}: forward and backward, written out in NumPy.

{equations}

The last argument of add, multiply, tanh, ... is the array that the result is written into. Of each
value `k` holds all steps, (T, B, size); `rows` all vectors one under another, (T * B, size); `steps`
a list of the arrays of single steps, (B, size). How to use it:

    k = buffers(T, B)                       # once for each shape of data
    forward(k, ...)                         # then k.y is y at all steps
    gradients = backward(k, 1.0, ...)       # of the sum of all losses; a dict
"""
from types import SimpleNamespace

import numpy as np
'''


def listing(program: Program, dtype: np.dtype[Any]) -> str:
    """The text: constants, buffers, forward, backward."""
    source = program.source
    text = source.text
    cell = program.low.cell
    parts = [HEAD.format(name=_plain(cell.name), equations="\n".join(_equations(cell)))]
    if text.functions:
        parts.append(textwrap.fill(f"from numpy import {', '.join(sorted(text.functions))}", 110,
                                   subsequent_indent="    ") .replace("\n", " \\\n"))
    parts.append(f"\nFLOAT = np.{dtype.name}")
    parts += [f"{name} = np.array({value!r}, FLOAT)" for name, value in text.numbers.items()]
    meaning = "The arrays that both passes write into; of use for any data of this shape."
    parts.append(_function("buffers(T, B)", meaning, _buffers(program, dtype.itemsize)))
    parts.append(_pass(program, "forward", "Every signal at t = 1 … T, from the data and the weights.",
                       source.passes[0], text.forward, [f"{x.name}=0.0" for x in source.boundaries], []))
    if program.source.gradients:
        results = [f'    "{program.gradients[key]}": {source.result(node)},' for key, node in source.gradients.items()]
        parts.append(_pass(program, "backward", "The gradients, from t = T back to 1; after forward.",
                           source.passes[1], text.backward, [], ["return {", *results, "}"]))
    return "\n".join(parts) + "\n"


def _buffers(program: Program, itemsize: int) -> list[str]:
    """The lines that make all arrays, and the views of them that the passes use."""
    source, text = program.source, program.source.text
    whole = {space: [f"{name} = {made}" for name, made in source.views.items() if name.startswith(f"{space}.")]
             for space in ("rows", "steps")}
    lines = ["k = SimpleNamespace(T=T, B=B, rows=SimpleNamespace(), steps=SimpleNamespace())"]
    if text.parts:
        width = max(width for _, width, _ in text.parts) * itemsize
        lines.append(f"S = max(1, min(T, {CACHE} // (max(B, 1) * {width})))  # steps that fit the cache together")
    lines += text.buffers
    lines += [f"k.{name} = {made}" for name, made in source.views.items() if "." not in name]
    lines += ["rows, steps = k.rows, k.steps"] if any(whole.values()) else []
    lines += whole["rows"] + whole["steps"]
    for name, _, made in text.parts:
        lines += [f"k.{name} = []", "for start in range(0, T, S):", "    stop = min(start + S, T)",
                  "    part = SimpleNamespace(t=range(start + 1, stop + 1))",
                  "    part.rows, part.steps = SimpleNamespace(), SimpleNamespace()",
                  *(f"    {line}" for line in made), f"    k.{name}.append(part)"]
    return [*lines, "return k"]


def _pass(program: Program, name: str, meaning: str, blocks: list[Block], lines: list[str], options: list[str],
          last: list[str]) -> str:
    source = program.source
    body = "\n".join(lines)
    k = "whole" if "whole." in body else "k"
    arguments = [k, *(source.names.of[x] for x in [*source.data(blocks), *source.weights(blocks)]), *options]
    signature = textwrap.fill(f"{name}({', '.join(arguments)})", 110, subsequent_indent=" " * (len(name) + 5))
    used = [name for name in ("rows", "steps", "T", "B") if re.search(rf"\b{name}\b", body)]
    first = ["k, rows, steps = whole, whole.rows, whole.steps"] if k == "whole" else []
    first += [f"{name} = {k}.{name}" for name in used if not (first and name in ("rows", "steps"))]
    return _function(signature, meaning, [*first, *lines, *last])


def _function(signature: str, meaning: str, lines: list[str]) -> str:
    return "\n".join(["", "", f"def {signature}:", f'    """{meaning}"""', *(f"    {line}" for line in lines)])


def _equations(cell: Definition) -> list[str]:
    """The definition, as comments have it."""
    return [_plain(f"    {equation!r}") for equation in cell.equations]


def _plain(text: str) -> str:
    """Text that can't end the docstring that it stands in."""
    return text.replace("\\", "/").replace('"', "'")


def saved(program: Program, text: str, path: Path) -> Path:
    """Write a program's text to a file, with the operations that it calls; whole, or not at all.

    Raises:
        DefinitionError: for an operation that isn't minigrad's own, or that has arrays in its options.
    """
    operations = program.source.text.operations
    for op in operations.values():
        if type(op) is not getattr(ops, type(op).__name__, None) or not all(map(_is_simple, vars(op).values())):
            line = next((node.origin for node in program.source.memory.nodes if node.op is op), None)
            raise DefinitionError(f"{op!r}, at {line}, can't be written into a file that needs NumPy alone: "
                                  "only minigrad's own operations can, with plain options. Use the program as it is, "
                                  "cell.compile(), or write the formula with minigrad's functions")
    definitions = [*_definitions(operations.values()), *(f"{name} = {op!r}" for name, op in operations.items())]
    head, mark, rest = text.partition("\n\n\ndef buffers(")
    whole = head + "".join("\n" + part for part in definitions) + mark + rest
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(whole, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _is_simple(option: Any) -> bool:
    """Whether an option is written as it reads: numbers, words, slices and tuples of them."""
    parts = [option]
    for part in parts:
        if isinstance(part, tuple):
            parts.extend(part)
        elif isinstance(part, slice):
            parts.extend((part.start, part.stop, part.step))
        elif part is not None and part is not Ellipsis and not isinstance(part, (bool, int, float, str)):
            return False
    return True


def _definitions(operations: Iterable[Op]) -> list[str]:
    """The text of operations' classes, and of all of ops.py that they use, in its order."""
    names = [type(op).__name__ for op in operations]
    for name in names:  # grows
        source = inspect.getsource(getattr(ops, name))
        names += [word for word in dict.fromkeys(re.findall(r"\w+", source))
                  if word not in names and getattr(getattr(ops, word, None), "__module__", "") == ops.__name__]
    lines = inspect.getsource(ops).splitlines()
    things = [getattr(ops, name) for name in set(names)]
    found = sorted((inspect.getsourcelines(thing)[1], inspect.getsource(thing)) for thing in things)
    constants = [line for line in lines if re.match(r"[A-Z_0-9]+ = ", line)
                 and any(line.split(" = ")[0] in source for _, source in found)]
    first = ["import math\nfrom typing import Any, ClassVar", "Array = Axis = Needs = Any", *constants] if found else []
    return [*first, *("\n\n" + source.rstrip() + "\n" for _, source in found)]
