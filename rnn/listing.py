"""The whole text of a program, as a file that runs with NumPy alone."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minigrad import Op, ops

from .equations import Cell
from .nodes import Node
from .program import Program
from .schedule import Block

HEAD = '''"""{name}: forward and backward, written out in NumPy.

{equations}

The last argument of add, multiply, tanh, ... is the array that the result is written into. Of each
value `k` holds all steps, (T, B, size); `rows` all vectors one under another, (T * B, size); `steps`
a list of the arrays of single steps, (B, size).
"""
from types import SimpleNamespace

import numpy as np
'''


def listing(program: Program, dtype: np.dtype) -> str:
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
    parts.append(_function("buffers(T, B)", "The arrays that both passes write into; of use for any data of this shape.",
                           ["k = SimpleNamespace(T=T, B=B)", *_of(text.buffers, "k"), "rows = k.rows = SimpleNamespace()",
                            *_of(text.buffers, "rows"), "steps = k.steps = SimpleNamespace()",
                            *_of(text.buffers, "steps"), "return k"]))
    parts.append(_pass(program, "forward", "Every signal at t = 1 … T, from the data and the weights.",
                       source.passes[0], text.forward, [f"{x.name}=0.0" for x in source.boundaries], []))
    if program.source.gradients:
        results = [f'    "{program.gradients[key]}": {source.result(node)},' for key, node in source.gradients.items()]
        parts.append(_pass(program, "backward", "The gradients, from t = T back to 1; after forward.",
                           source.passes[1], text.backward, [], ["return {", *results, "}"]))
    return "\n".join(parts) + "\n"


def _of(lines: Iterable[str], space: str) -> list[str]:
    return [line for line in lines if line.startswith(f"{space}.")]


def _pass(program: Program, name: str, meaning: str, blocks: list[Block], lines: list[str], options: list[str],
          last: list[str]) -> str:
    source = program.source
    arguments = ["k", *(source.names.of[x] for x in [*source.data(blocks), *source.weights(blocks)]), *options]
    signature = textwrap.fill(f"{name}({', '.join(arguments)})", 110, subsequent_indent=" " * (len(name) + 5))
    body = "\n".join(lines)
    first = [f"{space} = k.{space}" for space in ("rows", "steps", "T", "B") if f"{space}." in body
             or (space in "TB" and f"{space}" in body)]
    return _function(signature, meaning, [*first, *lines, *last])


def _function(signature: str, meaning: str, lines: list[str]) -> str:
    return "\n".join(["", "", f"def {signature}:", f'    """{meaning}"""', *(f"    {line}" for line in lines)])


def _equations(cell: Cell) -> list[str]:
    """The definition, as comments have it."""
    return [_plain(f"    {equation!r}") for equation in cell.equations]


def _plain(text: str) -> str:
    """Text that can't end the docstring that it stands in."""
    return text.replace("\\", "/").replace('"', "'")


def saved(program: Program, text: str, path: Path) -> Path:
    """Write a program's text to a file, with the operations that it calls; whole, or not at all.

    Raises:
        DefinitionError: for an operation that isn't minigrad's own, or one with arrays in its options.
    """
    raise NotImplementedError
