"""The options that pictures have in common: checked once, and plain data from there on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from viz.render.typography import check_notation

ASPECTS = {"slide": 16 / 9, "page": 1 / math.sqrt(2)}  # width to height; a page is A4, upright
SWITCHES = ("parameters", "equations", "legend", "shapes", "biases", "dark")


@dataclass(frozen=True)
class Options:
    """The parts of a picture beside its boxes and arrows, and its arrangement.

    Attributes:
        title: whether there is one, or the text of another one.
        parameters: whether they are listed, with their shapes.
        equations: whether they are written.
        legend: whether colours are explained; None: those of gradients alone.
        shapes: whether boxes show the shape of their signal; None: of arrays that are neither vectors nor numbers.
        biases: whether boxes show the parameters that are added.
        per_row: the number of time steps, or folds, in a row; None: there is one row.
        aspect: of the page that the picture is for: "slide", "page" or width by height; None: of none.
        notation, dark: of texts; of colours.

    Raises:
        TypeError: for an option that is no truth value where one is needed.
        ValueError: for any other value that an option can't have.
    """

    title: bool | str = True
    parameters: bool = True
    equations: bool = False
    legend: bool | None = None
    shapes: bool | None = None
    biases: bool = False
    per_row: int | None = None
    aspect: str | float | None = None
    notation: str = "code"
    dark: bool = False

    def __post_init__(self) -> None:
        for name in SWITCHES:
            value = getattr(self, name)
            if not isinstance(value, bool) and (value is not None or name not in ("legend", "shapes")):
                raise TypeError(f"{name}={value!r}: True or False")
        if not isinstance(self.title, (bool, str)):
            raise TypeError(f"title={self.title!r}: a text, True or False")
        if self.per_row is not None and (isinstance(self.per_row, bool) or self.per_row != int(self.per_row)
                                         or self.per_row < 1):
            raise ValueError(f"per_row={self.per_row!r}: 1 step or more in a row")
        check_notation(self.notation)
        if self.aspect is not None:
            parse_aspect(self.aspect)

    @property
    def ratio(self) -> float | None:
        """The width of the page by its height."""
        return None if self.aspect is None else parse_aspect(self.aspect)

    def heading(self, usual: str) -> str:
        """Return the title of a picture: the usual one, another one, or "" for none."""
        return self.title if isinstance(self.title, str) else usual if self.title else ""

    def name(self, usual: str) -> str:
        """Return the title of the file, which has one even if none is drawn."""
        return self.heading(usual) or usual


USUAL = Options()


def parse_aspect(aspect: str | float) -> float:
    """Return the width by the height of "slide", "page" or a number.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(aspect, str):
        if aspect in ASPECTS:
            return ASPECTS[aspect]
    elif not isinstance(aspect, bool) and 0.1 <= aspect <= 10:
        return float(aspect)
    raise ValueError(f"aspect={aspect!r}: 'slide' (16:9), 'page' (A4, upright), or width by height, a number from 0.1 "
                     "to 10")


def check_biases(biases: bool, level: str) -> None:
    """Raise ValueError if parameters that are added have boxes of their own."""
    if biases and level != "signals":
        why = "draws an addition as a box of its own" if level == "ops" else "draws no equation by itself"
        raise ValueError(f"biases=True is for level='signals': level={level!r} {why}")
