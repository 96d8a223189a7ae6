"""Colours by meaning.

From Okabe and Ito's palette for the colour-blind (Color universal design, 2002), darkened where
text or thin lines need it.
"""

from __future__ import annotations

import colorsys
from typing import NamedTuple


class Paint(NamedTuple):
    """The colours of a box: outline and fill."""

    line: str
    fill: str

    def dark(self) -> Paint:
        """Return the colours for a dark background."""
        return Paint(dark(self.line), dark(self.fill, ground=True))


INPUT = Paint("#0072B2", "#E3F0FA")
TARGET = Paint("#6B7A00", "#F4F6DC")  # an input that only a loss reads
STATE = Paint("#D98200", "#FFF1D6")
REVERSED = Paint("#7B4FBF", "#F1E9FB")  # a state that runs backward in time
STATIC = Paint("#8C564B", "#F5EBE7")  # a value without time steps
HIDDEN = Paint("#00838F", "#DDF2F4")  # a signal that is neither state nor output
OUTPUT = Paint("#009E73", "#DFF3EB")
LOSS = Paint("#B84A88", "#F9E3EE")
CONSTANT = Paint("#8A8A8A", "#F4F4F4")
OPERATION = Paint("#555555", "#FFFFFF")

TEXT = "#222222"
QUIET = "#707070"
ARROW = "#444444"
FEEDBACK = "#C2185B"  # an edge of a loop from a higher layer to a lower one
CUT = "#A0A0A0"  # an edge that truncation cuts: no gradient passes
ALARM = "#C0392B"
MARK = "#C2185B"  # highlighted tensors
BAD = Paint(ALARM, "#FBE4E1")  # contains NaN or Inf
STEP = Paint("#D8D8D8", "#FAFAFA")  # one time step
LAYER = Paint("#BDBDBD", "#FFFFFF")  # a layer within a time step
FOLD = Paint("#D98200", "#FFFDF5")  # time steps left out
SHELF = "#EFEFEF"
MISSING = Paint("#C0392B", "#FBE4E1")  # in viz.diff: only in the first
EXTRA = Paint("#1B7F3B", "#E0F4E4")  # only in the second
CHANGED = Paint("#B8730A", "#FFEFC7")  # in both, different
SAME = Paint("#9A9A9A", "#F7F7F7")
BACKWARD = "#C2185B"  # arrows of gradients

PARAMETERS = ("#0072B2", "#D98200", "#009E73", "#7B4FBF", "#B84A88", "#00838F", "#8C564B", "#6B7A00",
              "#C0392B", "#555555")


def parameter(position: int) -> str:
    """Return the colour of the parameter at a position in the list; colours repeat after ten."""
    return PARAMETERS[position % len(PARAMETERS)]


def dark(color: str, ground: bool = False) -> str:
    """Return a colour for a dark background: the lightness inverted; `ground` keeps fills under text dark."""
    channels = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    hue, lightness, saturation = colorsys.rgb_to_hls(*channels)
    span = 0.42 if ground and lightness > 0.3 else 0.98
    inverted = colorsys.hls_to_rgb(hue, min(0.1 + span * (1 - lightness), 0.95), saturation * 0.9)
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in inverted)
