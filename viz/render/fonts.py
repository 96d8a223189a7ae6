"""Text widths, and the font that pictures are painted with.

Labels are set in DejaVu Sans, so that a picture is the same everywhere. Its character widths are
in this module, so layout needs no font file; machines without the font use the copy in matplotlib.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

FAMILY = "DejaVu Sans,Verdana,sans-serif"  # the first one installed is used

# Advance widths in font units (2048 to the em), from DejaVuSans.ttf 2.37, table hmtx.
EM = 2048
WIDTHS = {
    465: "′", 563: "'", 569: "ijlìíîï", 604: "IJÌÍÎÏΙΪ", 651: " ,.·", 690: "/:;\\|¦", 693: "ίι", 721: "f",
    739: "-", 788: "ᵀ", 799: "()[]", 803: "t", 821: "!¡²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", 842: "r", 942: "\"", 965: "ªº",
    1024: "*_`§¨¯°´¸–‖", 1059: "∂", 1067: "s", 1075: "z", 1081: "⁺⁻", 1087: "?¿", 1107: "έε", 1114: "ζ",
    1126: "cç", 1141: "LΓ", 1142: "ξ", 1144: "ν", 1178: "F", 1183: "χ", 1185: "ΰυ", 1186: "k", 1202: "ς",
    1207: "κ", 1208: "•", 1212: "vxyýÿγλ", 1233: "πτ", 1235: "PΡ", 1239: "Þ", 1251: "TYÝΤΥΫ",
    1253: "o«»ðòóôõöøδθο", 1255: "aàáâãäå", 1260: "eèéêë", 1290: "ß", 1294: "EÈÉÊËΕΞΣ", 1298: "hnuñùúûüήησ",
    1300: "Sbdgpqþρ", 1303: "$0123456789{}¢£¤¥µ¶μ", 1305: "√", 1307: "β", 1343: "KΚ", 1350: "άα", 1351: "φψ",
    1370: "∇", 1380: "∑", 1401: "AVÀÁÂÃÄÅΑΔΛ", 1403: "XZΖΧ", 1405: "BΒ", 1423: "R", 1430: "CÇ", 1499: "UÙÚÛÜ",
    1532: "NÑΝ", 1540: "HΗΠ", 1550: "∏", 1565: "Ω", 1575: "█", 1577: "D", 1587: "GÐ", 1597: "&",
    1612: "OQÒÓÔÕÖØΘΟΦΨ", 1675: "w", 1706: "∞", 1715: "ω", 1716: "#+<=>^~¬±×÷←↑→↓⇒−≈≠≤≥⊕⊙⏎✂", 1767: "MΜ",
    1787: "●", 1935: "■□", 1946: "%", 1985: "¼½¾", 1995: "mÆ", 2011: "æ", 2025: "W", 2048: "@©®—…⋯",
}
ADVANCE = {character: width for width, characters in WIDTHS.items() for character in characters}
AVERAGE = 1300  # of a character that is not listed
LINE = 1.25  # height of a line, as a multiple of the font size


def text_width(text: str, size: float) -> float:
    """Return the width in points of the longest line, at a font size of `size` points."""
    return max(sum(map(_advance, line)) for line in text.split("\n")) * size / EM


def _advance(character: str) -> int:
    width = ADVANCE.get(character)
    if width is not None:
        return width
    if unicodedata.combining(character):
        return 0
    return EM + EM // 8 if unicodedata.east_asian_width(character) in "WF" else AVERAGE


def is_measured(character: str) -> bool:
    """Whether the width of a character is that of the font, no average."""
    return character in ADVANCE or unicodedata.combining(character) > 0


def clean(name: str, longest: int = 28) -> str:
    """Return a name as one short line: without control characters, the middle of a long name left out."""
    text = "".join("⏎" if c == "\n" else " " if unicodedata.category(c)[0] in "CZ" else c for c in name)
    return text if len(text) <= longest else f"{text[:longest - 9]}…{text[-8:]}"


# Hinting is switched off: it makes the width of text depend on the version of the renderer.
CONFIGURATION = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <include ignore_missing="yes">{system}</include>
  <cachedir>{cache}</cachedir>
  <match target="pattern">
    <edit name="family" mode="append_last"><string>DejaVu Sans</string></edit>
  </match>
  <match target="font">
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
    <edit name="hinting" mode="assign"><bool>false</bool></edit>
    <edit name="autohint" mode="assign"><bool>false</bool></edit>
    <edit name="hintstyle" mode="assign"><const>hintnone</const></edit>
    <edit name="rgba" mode="assign"><const>none</const></edit>
  </match>
  <config><rescan><int>0</int></rescan></config>
</fontconfig>
"""


def bundled_fonts() -> Path | None:
    """Return the folder of fonts in matplotlib, without importing it; None if it isn't installed."""
    spec = importlib.util.find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or () if spec else ()):
        fonts = Path(folder) / "mpl-data" / "fonts" / "ttf"
        if (fonts / "DejaVuSans.ttf").is_file():
            return fonts
    return None


@contextmanager
def bundled_fonts_available() -> Iterator[None]:
    """Within this context, fontconfig finds the bundled fonts besides the system's.

    It changes nothing on macOS and Windows, where Graphviz doesn't use fontconfig.
    """
    fonts = None if sys.platform in ("win32", "darwin") else bundled_fonts()
    if fonts is None:
        yield
        return
    before = os.environ.get("FONTCONFIG_FILE")
    with tempfile.TemporaryDirectory(prefix="fonts-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "fonts.conf"
        system = before or "/etc/fonts/fonts.conf"
        file.write_text(CONFIGURATION.format(fonts=escape(str(fonts)), system=escape(system),
                                             cache=escape(str(Path(folder) / "cache"))), encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(file)
        try:
            yield
        finally:
            os.environ.pop("FONTCONFIG_FILE", None)
            if before is not None:
                os.environ["FONTCONFIG_FILE"] = before
