"""Text as Graphviz reads it: quoted, aligned, in the right order of its scripts, or with subscripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import escape

from .fonts import is_measured

NOTATIONS = ("code", "math")
LRM = "\u200e"  # an invisible letter of left-to-right writing
SUBSCRIPT = 0.75  # of the size of the text
# A name, `W_f` or `W_{ih}` with a subscript, and a step: `h[t-1]`. Longer names with underscores are words.
NAME = re.compile(r"(?<![\w}])(?P<name>[^\W_][\w′]*?)(?:_(?P<own>\w{1,4}|\{[^{}]{1,8}\}))?(?![\w{])"
                  r"(?:\[(?P<step>[tT](?:[+-]\d+)?|-?\d+)\])?")
NEWLINE = "\n"
LOWER = 1.4  # size of spaces that lower a line
SMALL = 10.0  # size of a coloured line
SHORT = 2  # letters of a name with a subscript


def true_minus(number: str) -> str:
    """Return a number with a minus sign in the place of each hyphen."""
    return number.replace("-", "−")


class Raw(str):
    """A value that is DOT text already."""


def check_notation(notation: str) -> bool:
    """Return whether a notation is that of mathematics.

    Raises:
        ValueError: for an unknown one.
    """
    if notation not in NOTATIONS:
        raise ValueError(f"there is no notation {notation!r}: notation='code' writes h[4], notation='math' a subscript")
    return notation == "math"


def quoted(text: str) -> str:
    """Return text as a quoted DOT string that Graphviz and XML read as plain text."""
    if isinstance(text, Raw):
        return text
    text = in_order(printable(text)).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", r"\n") + '"'


def aligned(text: str, anchor: int) -> Raw:
    """Return a quoted line that begins at the left side of its node (anchor -1), or ends at the right one (1)."""
    return Raw(quoted(text)[:-1] + {-1: r"\l", 0: "", 1: r"\r"}[anchor] + '"')


def with_subscripts(text: str, size: float, anchor: int = 0, width: float = 0) -> str:
    """Return text as an HTML-like label in which steps and short indices are subscripts, if it has any.

    Args:
        anchor: -1 to begin at the left side of a node of this width in points, 1 to end at its right side.
    """
    marked = _marked(text, size)
    if "<SUB>" not in marked:
        return aligned(text, anchor)
    if not anchor:
        return Raw(f"<{_joined(marked.split(NEWLINE), size)}>")
    side = "LEFT" if anchor < 0 else "RIGHT"  # a cell as wide as the node: labels are centred in nodes
    return Raw(f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
               f'<TD ALIGN="{side}" WIDTH="{width:.0f}">{marked}</TD></TR></TABLE>>')


def with_colors(text: str, size: float, last: Sequence[tuple[str, str]], subscripts: bool) -> Raw:
    """Return text as an HTML-like label whose last line has colours: pieces, each with its own."""
    lines = text.split(NEWLINE)[:-1]
    marked = [_marked(line, size) if subscripts else _escaped(line) for line in lines]
    pieces = [f'<FONT COLOR="{color}" POINT-SIZE="{SMALL:g}">{_marked(piece, SMALL) if subscripts else _escaped(piece)}'
              "</FONT>" for piece, color in last]
    return Raw(f"<{_joined([*marked, ''.join(pieces)], size)}>")


def _joined(lines: Sequence[str], size: float) -> str:
    """Return lines one under the other; one under subscripts is lower, by the height of larger spaces in it."""
    space = f'<FONT POINT-SIZE="{LOWER * size:g}"> </FONT>'
    return "<BR/>".join(f"{space}{line}{space}" if before and "<SUB>" in before else line
                        for before, line in zip(["", *lines], lines))


def _marked(text: str, size: float) -> str:
    """Return text with its subscripts in the markup of HTML-like labels."""
    return NAME.sub(lambda found: _subscripts(found, size), _escaped(text))


def _escaped(text: str) -> str:
    return escape(in_order(printable(text)), quote=False)


def _subscripts(found: re.Match[str], size: float) -> str:
    own, step, name = found["own"], found["step"], found["name"]
    if own and len(name) > SHORT:
        own, name = None, found[0] if step is None else found[0][:found.start("step") - found.start() - 1]
    indices = [index.strip("{}") for index in (own, step and step.replace("-", "−")) if index]
    if not indices:
        return found[0]
    return f'{name}<SUB><FONT POINT-SIZE="{SUBSCRIPT * size:g}">{", ".join(indices)}</FONT></SUB>'


def printable(text: str) -> str:
    """Replace control characters, surrogates and unassigned characters, which are invalid in XML."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Cn") else "�" for c in text)


def in_order(text: str) -> str:
    """Return text that runs from left to right as a whole, and in which names in Hebrew or Arabic run from the right.

    Without marks the first letter of a line gives its direction, and what stands between two such names theirs.
    """
    if text.isascii() or not any(map(_runs_left, text)):
        return text
    pieces, before = [LRM], False
    for character in text:
        now = _runs_left(character) or (before and unicodedata.combining(character) > 0)
        pieces.append(LRM + character if (before and not now) or character == "\n" else character)
        before = now
    return "".join(pieces) + LRM


def _runs_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in ("R", "AL", "AN")


def room(text: str, width: float, size: float) -> float:
    """Return the width of a node for an aligned text: more than reckoned for letters of which the font isn't known."""
    return width + size * sum(not is_measured(character) for character in text)
