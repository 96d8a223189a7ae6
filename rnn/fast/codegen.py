"""Code generation for the backend "numba": the NumPy program, in which a loop over time is a call of one function."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from rnn.compiler.codegen import Codegen
from rnn.compiler.emit import Code
from rnn.ir.nodes import Node, SumOverTime
from rnn.ir.schedule import Block

from .formulas import Unsupported
from .groups import sunk_nodes
from .loops import LoopText, LoopWriter
from .phases import phases
from .threads import threads


class FastCodegen(Codegen):
    """Writes loops as functions for Numba, and those that it can't write as the NumPy backend does.

    Args:
        refused: name of a loop -> why Numba doesn't compile it.
    """

    def __init__(self, *arguments: Any, refused: Mapping[str, str]) -> None:
        super().__init__(*arguments)
        self.refused = refused

    def _all_steps(self, nodes: list[Node]) -> list[str]:
        """Return the lines of what needs no order of the steps; elementwise operations are compiled."""
        lines = []
        for compiled, part in phases(nodes, self.lifetimes.static):
            block = Block(tuple(part), 0)
            text = self._text(block, [], "steps") if compiled else None
            lines += super()._all_steps(part) if text is None else [
                "# all steps at once", *self._start_sums(block), *self._arguments(text), *self._call(text, "T")]
        return lines

    def _loop(self, block: Block, tiles: str) -> list[str]:
        prepared = self.lifetimes.tiled[id(block)]
        sunk = sunk_nodes(prepared, block.nodes, self.lifetimes.users)
        text = self._text(block, sunk, re.sub(r"tiles\d*", "loop", tiles))
        if text is None:
            return [*self._reason(), *super()._loop(block, tiles)]
        outer, self.views = self.views, {}
        self.in_loop = False
        before = [line for node in prepared if node not in sunk for line in self.statements(node)]
        self.in_loop = True
        first = [f"arrays.{self.name(node.inputs[0])}.fill(0)" for node in block.nodes
                 if node in self.lifetimes.carried]
        first += self._start_sums(block) + self._arguments(text)
        tiled = bool(before) or text.tiled
        call = self._call(text, "len(arrays.t)" if tiled else "T")
        return [*first, *self._in_tiles(block, tiles, outer, before, call, tiled)]

    def _skewed_loop(self, block: Block) -> list[str]:
        text = self._text(block, [], "forward_loop" if block.direction > 0 else "backward_loop")
        if text is None:
            return [*self._reason(), *super()._skewed_loop(block)]
        return [*self._start_sums(block), *self._arguments(text), *self._call(text, "T")]

    def _text(self, block: Block, sunk: list[Node], wish: str) -> LoopText | None:
        """Return a function for a block; None, with the reason in the program's record, where it can't be compiled."""
        name = self.names.free(wish)
        try:
            if name in self.refused:
                raise Unsupported(self.refused[name])
            text = LoopWriter(block, sunk, self.plan, self.names).write(name)
        except Unsupported as error:
            self.code.loops[name] = f"numpy: {error}{self._origin([error.node] if error.node else block.nodes)}"
            return None
        if block.direction:
            self.code.loops[name] = "numba"
        self.code.compiled[name] = text
        return text

    def _reason(self) -> list[str]:
        """Return a comment with the reason why the latest loop isn't compiled."""
        name, why = next(reversed(self.code.loops.items()))
        return [f"# {name}: {why}"]

    @staticmethod
    def _origin(nodes: Iterable[Node]) -> str:
        lines = dict.fromkeys(str(node.origin) for node in nodes if node.origin is not None)
        return f" (at {', '.join(lines)})" if lines else ""

    def _arguments(self, text: LoopText) -> list[str]:
        """Return the lines before a loop that make its matrices and other values without steps contiguous."""
        lines = []
        for name, node in text.scratch.items():
            self.code.buffers.append(f"arrays.{name} = np.empty((B, {node.shape[0]}), FLOAT)")
            lines.append(f"{name} = arrays.{name}")
        for name, node in text.weights.items():
            if node.shape and not isinstance(node.op, SumOverTime):
                lines.append(f"{name}_given = {self.call('ascontiguousarray', self.ref(node))}")
        for name, (node, transposed) in text.matrices.items():
            lines.append(f"{name} = {self.call('ascontiguousarray', self.ref(node) + '.T' * transposed)}")
        return lines

    def _call(self, text: LoopText, steps: str) -> list[str]:
        weights = [x if isinstance(node.op, SumOverTime) else f"{x}_given" if node.shape else f"FLOAT({self.ref(node)})"
                   for x, node in text.weights.items()]
        head = f"{text.name}({steps}, 0, B" if threads() == 1 else f"over_batch({text.name}, {text.work}, {steps}, B"
        arguments = [head, *map(str, text.lengths), *(f"arrays.{x}" for x in text.arrays), *weights, *text.matrices,
                     *text.scratch]
        return textwrap.wrap(f"{', '.join(arguments)})", 110, break_long_words=False,
                             subsequent_indent=" " * (head.index("(") + 1))


def without_unused(code: Code, kept: set[str]) -> None:
    """Remove the lines that make arrays which nothing reads: the values that a loop holds in variables.

    Args:
        kept: names of arrays that the caller reads.
    """
    text = [*code.forward.lines, *code.backward.lines, *code.views.values(), *code.gradients.values(),
            *(line for tiles in code.tiles for line in tiles.lines)]
    used = {*kept, *re.findall(r"\barrays\.(\w+)", "\n".join(text))}
    lines = []
    for line in reversed(code.buffers):
        name, made = re.match(r"arrays\.(\w+) = (.*)", line).groups()  # type: ignore[union-attr]
        if name in used:
            lines.append(line)
            used.update(re.findall(r"\barrays\.(\w+)", made))
    code.buffers = lines[::-1]
