"""Colours by meaning.

In the hues of Okabe and Ito's palette for the colour-blind (Color universal design, 2002); chosen by computation, so
that all that occur together are apart for every kind of colour vision, on a light and on a dark ground
(tests/viz/test_palette.py has the measures). Lines and text have the contrast that WCAG 2 asks for.
"""

from __future__ import annotations

from functools import cache
from operator import mul
from typing import NamedTuple


class Paint(NamedTuple):
    """The colours of a box, outline and fill, and the style of the outline: one of LINES."""

    line: str
    fill: str
    style: str = "solid"

    def dark(self) -> Paint:
        """Return the colours for a dark background."""
        return Paint(dark(self.line), dark(self.fill, ground=True), self.style)


INPUT = Paint("#0185F1", "#E3F0FD")
TARGET = Paint("#312A05", "#F4F1DC")  # an input that only a loss reads
STATE = Paint("#C37800", "#FFF1D6")
REVERSED = Paint("#4C44E2", "#EDE9FB")  # a state that runs backward in time
STATIC = Paint("#644701", "#F6ECDD")  # a value without time steps
HIDDEN = Paint("#006876", "#DDF2F4")  # a signal that is neither state nor output
OUTPUT = Paint("#038B5A", "#DFF3EA")
LOSS = Paint("#66006E", "#F7E4F7")
CONSTANT = Paint("#868686", "#F4F4F4")
OPERATION = Paint("#555555", "#FFFFFF")

TEXT = "#222222"
QUIET = "#6A6A6A"
PATTERN = "#6A6A6A"  # lines in boxes without a colour of the scale
ARROW = "#334139"
FEEDBACK = "#AE76B2"  # an edge of a loop from a higher layer to a lower one
CUT = "#868686"  # an edge that truncation cuts: no gradient passes
ALARM = "#DB2C4A"
BACKWARD = "#BF1479"  # arrows of gradients
MARK = BACKWARD  # highlighted tensors
BAD = Paint(ALARM, "#FBE4E6")  # contains NaN or Inf
STEP = Paint("#868686", "#FAFAFA")  # one time step
LAYER = Paint("#868686", "#FFFFFF")  # a layer within a time step
FOLD = Paint(STATE.line, "#FFFDF5")  # time steps left out
SHELF = "#EFEFEF"
MISSING = Paint("#D80F3F", "#FBE4E6")  # in viz.diff: only in the first
EXTRA = Paint("#0A7A50", "#E0F4E9")  # only in the second
CHANGED = Paint("#5A4700", "#FFEFC7")  # in both, different
SAME = Paint("#868686", "#F7F7F7")

HEAT = "#FFE8BC", "#FBB25C", "#E26A14"  # gradients, from small to large: each darker than the one before

PARAMETERS = ("#0470E2", "#986700", "#08824F", "#5834B9", "#CF2A7F", "#075D60", "#614F00", "#46262C", "#4A5741",
              "#173202")
LINES = "solid", "dashed", "dotted", "thick"

DARKEST = 9.3  # lightness of the dark ground, in per cent


def parameter(position: int) -> str:
    """Return the colour of the parameter at a position in the list; colours repeat after ten."""
    return PARAMETERS[position % len(PARAMETERS)]


def parameter_paint(position: int, fill: str) -> Paint:
    """Return the look of a box that belongs to the parameter at a position in the list: forty differ in their line."""
    return Paint(parameter(position), fill, LINES[position // len(PARAMETERS) % len(LINES)])


@cache
def dark(color: str, ground: bool = False) -> str:
    """Return a colour for a dark background: the same hue, its lightness reversed.

    Text and lines become light enough to be read, grounds (`ground`) dark enough for light text on them; lighter and
    darker colours stay apart. The space is CIELAB, in which lightness is that which eyes see.
    """
    lightness, a, b = _to_lab(color)
    wanted = DARKEST + 0.75 * (100 - lightness) if ground else min(60 + 1.05 * (50 - lightness), 96.0)
    for part in range(100, -1, -5):  # the strongest colour of this hue and lightness that a screen can show
        channels = _from_lab(wanted, a * part / 100, b * part / 100)
        if all(-1e-3 <= channel <= 1 + 1e-3 for channel in channels):
            break
    return "#" + "".join(f"{round(255 * min(max(channel, 0.0), 1.0)):02X}" for channel in channels)


# ---- sRGB (IEC 61966-2-1) and CIELAB (ISO/CIE 11664-4), white point D65
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
RGB = ((3.2404542, -1.5371385, -0.4985314), (-0.9692660, 1.8760108, 0.0415560), (0.0556434, -0.2040259, 1.0572252))
D65 = (0.95047, 1.0, 1.08883)
SMALL, STEEP = 216 / 24389, 24389 / 27  # where the cube root of CIELAB becomes a straight line, and its slope


def _linear(color: str) -> list[float]:
    channels = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _to_lab(color: str) -> tuple[float, float, float]:
    linear = _linear(color)
    x, y, z = (sum(map(mul, row, linear)) / white for row, white in zip(XYZ, D65))
    fx, fy, fz = (c ** (1 / 3) if c > SMALL else (STEEP * c + 16) / 116 for c in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _from_lab(lightness: float, a: float, b: float) -> list[float]:
    """Return red, green and blue, outside of 0 … 1 for colours that a screen can't show."""
    fy = (lightness + 16) / 116
    roots = fy + a / 500, fy, fy - b / 200
    xyz = [white * (f ** 3 if f ** 3 > SMALL else (116 * f - 16) / STEEP) for f, white in zip(roots, D65)]
    linear = [sum(map(mul, row, xyz)) for row in RGB]
    return [12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in linear]
