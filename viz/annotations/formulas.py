"""Equations as lines of text that fit beside a picture.

Those of a layer are under its heading, without its prefix. A long equation is divided at operators and commas. A part
that long equations use several times is written once, as u₁, under the first of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from minigrad import Tensor
from rnn.language.dependencies import written_starts
from rnn.language.equations import Definition
from rnn.language.expressions import Apply, Time
from rnn.language.formula import to_text, written_operands
from rnn.language.graphs import postorder
from viz.layout.names import Names
from viz.render.fonts import clean

LONGEST = 96  # characters of a line
SHORT = 16  # characters of a part that is written in full wherever it is used
MOST = 60  # lines of a definition
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# How loosely operators bind: a line is divided before the first kind rather than before the second.
OPERATORS = ("== ", "!= ", "< ", "<= ", "> ", ">= ", "& ", "| ", "+ ", "- "), ("* ", "/ ", "@ ", "% ", "** ")


class Formula(NamedTuple):
    """An equation: `left = text of the expression`, as it is written under the heading of a layer."""

    left: str
    expression: Any
    layer: str  # whose prefix is left out
    heading: str  # the layer that it belongs to
    text: str
    signal: str


class Line(NamedTuple):
    """A line of text, indented by some levels."""

    indent: int
    text: str


def formulas(cell: Definition, names: Names) -> list[Formula]:
    """Return the equations of a definition, and its initial values that are computed from statics or parameters."""
    equations = [(x.signal, Time("t", x.lead), x.expression) for x in cell.equations]
    found = []
    for signal, step, expression in [*equations, *written_starts(cell)]:
        layer = names.layer(signal.name)
        left = f"{names.short(signal.name, layer)}[{step!r}]"
        text = f"{left} = {names.text(expression, layer)}"
        found.append(Formula(left, expression, layer, names.heading(signal.name), text, signal.name))
    return found


def equation_lines(cell: Definition, without: Collection[str] = ()) -> list[Line]:
    """Return the lines of all equations of a definition but those of some signals."""
    names = Names(cell)
    return lines([formula for formula in formulas(cell, names) if formula.signal not in without], names)


def lines(written: Sequence[Formula], names: Names) -> list[Line]:
    """Return the lines of some formulas of one definition."""
    parts = _named_parts([formula.expression for formula in written if len(formula.text) > LONGEST])
    explained: set[int] = set()
    found: list[Line] = []
    heading = ""
    for formula in written:
        if formula.heading != heading:
            heading = formula.heading
            found.append(Line(0, f"{clean(heading[:-1])}:" if heading else ""))
        indent = 1 if heading else 0
        if len(formula.text) <= LONGEST:
            found.append(Line(indent, clean(formula.text, LONGEST)))
            continue
        short = names.within(formula.layer) | parts
        found += _wrapped(f"{formula.left} = {to_text(formula.expression, short)}", indent)
        for node in postorder([formula.expression], written_operands):
            if id(node) in parts and id(node) not in explained:
                explained.add(id(node))
                found += _wrapped(f"{parts[id(node)]} = {to_text(node, short)}", indent + 1)
    return found if len(found) <= MOST else [*found[:MOST - 1], Line(0, f"… {len(found) - MOST + 1} lines more")]


def _named_parts(expressions: Sequence[Any]) -> dict[int, str]:
    """Return by id the names of the long parts that these expressions use several times."""
    nodes = postorder(expressions, written_operands)
    uses = Counter(id(x) for node in nodes for x in written_operands(node))
    uses.update(map(id, expressions))
    found: dict[int, str] = {}
    for node in nodes:
        if isinstance(node, (Apply, Tensor)) and uses[id(node)] > 1 and len(to_text(node, found)) > SHORT:
            found[id(node)] = f"u{len(found) + 1}".translate(SUBSCRIPTS)
    return found


def _wrapped(text: str, indent: int) -> Iterator[Line]:
    """Yield a text in lines; those after the first are indented by one more level."""
    text, level = clean(text, len(text)), indent
    while text:
        width = LONGEST - 4 * level
        end = len(text) if len(text) <= width else _break(text, width)
        yield Line(level, text[:end].rstrip())
        text, level = text[end:].lstrip(), indent + 1


def _break(text: str, width: int) -> int:
    """Return where to divide a text that is longer than `width`.

    Where the fewest brackets are open, after a comma or before an operator that binds loosely, as late as possible.
    """
    depth = 0
    best: tuple[int, ...] = (len(text), 0, 0, width)
    for place, character in enumerate(text[:width]):
        depth += (character in "([") - (character in ")]")
        if place > width // 3 and text[place - 1] == " ":
            kinds = [kind for kind, words in enumerate(OPERATORS) if text.startswith(words, place)]
            if kinds or text[place - 2] == ",":
                best = min(best, (depth, *(kinds or [0]), -place, place))
    return best[3]
