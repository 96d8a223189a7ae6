"""Addresses that carry a program: the playground opens them with the program in its editor."""

from __future__ import annotations

import base64
import zlib

from .views import VIEWS

MOST = 200_000  # characters of a program, as in site/link.js
LINKED = "#program="
LEVELS = ("signals", "ops", "layers")
USUAL = {"view": "pictures", "level": "signals", "heat": "off"}  # choices that a link needn't hold


def program_link(source: str, base: str = "", *, view: str = "pictures", level: str = "signals",
                 heat: bool = False) -> str:
    """Return an address at which the playground shows a program; it runs when its reader presses "Run".

        program_link(Path("homework.py").read_text(), "https://example.org/course/playground/")

    The program is a part of the address that browsers don't send to the server: deflated (RFC 1951), as base64 with the
    characters of RFC 4648, section 5, and without padding.

    Args:
        source: the text of a Python program.
        base: the address of the playground; without it, only the part from "#program=" on is returned.
        view: the view that is shown first: "pictures", "gradients", "steps" or "training".
        level: the level of the pictures: "signals", "ops" or "layers".
        heat: whether boxes are coloured by the norms of their gradients.

    Returns:
        The address.

    Raises:
        ValueError: for a program of more than 200,000 characters, which the page would refuse; for another view or
            level.
    """
    if len(source.encode("utf-16-le")) > 2 * MOST:  # JavaScript counts the units of UTF-16
        raise ValueError(f"the program has {len(source):,} characters; a link carries {MOST:,} at most")
    for name, chosen, known in (("view", view, VIEWS), ("level", level, LEVELS)):
        if chosen not in known:
            raise ValueError(f"{name}={chosen!r}: the playground has {', '.join(known)}")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(source.encode()) + packer.flush()
    program = base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")
    choices = {"view": view, "level": level, "heat": "on" if heat else "off"}
    others = [f"&{name}={value}" for name, value in choices.items() if value != USUAL[name]]
    return f"{base}{LINKED}{program}{''.join(others)}"
