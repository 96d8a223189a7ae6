"""Equations as lines of text that fit beside a picture.

A long equation is divided at operators and commas. A part that long equations use several times is written once, as
u₁, under the first of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from minigrad import Tensor
from rnn.language.dependencies import starts
from rnn.language.equations import Definition
from rnn.language.expressions import Apply, Time
from rnn.language.formula import to_text, written_operands
from rnn.language.graphs import postorder
from viz.render.fonts import clean

LONGEST = 96  # characters of a line
SHORT = 16  # characters of a part that is written in full wherever it is used
MOST = 60  # lines of a definition
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# How loosely operators bind: a line is divided before the first kind rather than before the second.
OPERATORS = ("== ", "!= ", "< ", "<= ", "> ", ">= ", "& ", "| ", "+ ", "- "), ("* ", "/ ", "@ ", "% ", "** ")
Formula = tuple[str, Any]  # the left side, `h[t]`, and an expression


class Line(NamedTuple):
    """A line of text, indented by some levels."""

    indent: int
    text: str


def formulas(cell: Definition) -> list[Formula]:
    """Return the equations of a definition, and its initial values that are computed from statics."""
    found: list[Formula] = [(f"{equation.signal.name}[{Time('t', equation.lead)!r}]", equation.expression)
                            for equation in cell.equations]
    return found + [(f"{start.signal.name}[{start.step!r}]", start.value) for start in starts(cell)]


def lines(written: Sequence[Formula]) -> list[Line]:
    """Return the lines of some formulas of one definition."""
    whole = [f"{left} = {to_text(expression)}" for left, expression in written]
    names = _names([expression for text, (_, expression) in zip(whole, written) if len(text) > LONGEST])
    explained: set[int] = set()
    found: list[Line] = []
    for text, (left, expression) in zip(whole, written):
        if len(text) <= LONGEST:
            found.append(Line(0, clean(text, LONGEST)))
            continue
        found += _wrapped(f"{left} = {to_text(expression, names)}", 0)
        for node in postorder([expression], written_operands):
            if id(node) in names and id(node) not in explained:
                explained.add(id(node))
                found += _wrapped(f"{names[id(node)]} = {to_text(node, names)}", 1)
    return found if len(found) <= MOST else [*found[:MOST - 1], Line(0, f"… {len(found) - MOST + 1} lines more")]


def _names(expressions: Sequence[Any]) -> dict[int, str]:
    """Return by id the names of the long parts that these expressions use several times."""
    nodes = postorder(expressions, written_operands)
    uses = Counter(id(x) for node in nodes for x in written_operands(node))
    uses.update(map(id, expressions))
    names: dict[int, str] = {}
    for node in nodes:
        if isinstance(node, (Apply, Tensor)) and uses[id(node)] > 1 and len(to_text(node, names)) > SHORT:
            names[id(node)] = f"u{len(names) + 1}".translate(SUBSCRIPTS)
    return names


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
