"""Variants: each is a number that chooses the numbers of an assignment. A student's file names its own.

    VARIANT = 7
"""

from __future__ import annotations

import re

MOST = 10 ** 9  # variants are below it
LINE = re.compile(r"^VARIANT *= *(\d{1,9}) *(?:#.*)?$", re.M)


def number(text: str) -> int:
    """Parse a variant, for argparse.

    Raises:
        ValueError: where it isn't a whole number from 0 on, of nine digits at most.
    """
    if not (text.strip().isdecimal() and int(text) < MOST):
        raise ValueError(f"a variant is a whole number from 0 to {MOST - 1}, not {text!r}")
    return int(text)


def variant(text: str) -> int | None:
    """Return the variant that a student's file names; None if it names none."""
    found = LINE.search(text)
    return int(found[1]) if found else None


def written(text: str, number: int) -> str:
    """Return a handout with a variant's line: the one that is there changed, or a cell more at its end.

    Variant 0 needs no line.
    """
    line = f"VARIANT = {number}"
    if LINE.search(text):
        return LINE.sub(line, text, count=1)
    return f"{text}\n\n# %%\n{line}  # chooses the checker's numbers\n" if number else text
