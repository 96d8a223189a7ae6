"""Variants: each is a number that chooses the numbers of an assignment. A student's file names its own.

    VARIANT = 7
"""

from __future__ import annotations

import re

LINE = re.compile(r"^VARIANT *= *(\d{1,9}) *(?:#.*)?$", re.M)


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
