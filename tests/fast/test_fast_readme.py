"""The listing in the README of rnn.fast is what the backend "numba" compiles.

    PYTHONPATH=.:tests/helpers python tests/fast/test_fast_readme.py       # writes the listing anew
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from definitions import gated

from rnn.compiler.pipeline import GradientRequest, Program
from rnn.ir.lowering import LoweringOptions

README = Path(__file__).resolve().parents[2] / "rnn" / "fast" / "README.md"
BLOCK = re.compile(r"(?<=```python\n)((?:(?!```).*\n)*)(?=```$)", re.MULTILINE)


def listing() -> str:
    """Return the functions of the example, one under another."""
    from rnn.fast.codegen import FastCodegen

    program = Program(gated(), LoweringOptions((("x", (3,)),)), GradientRequest(loss="L"),
                      codegen=partial(FastCodegen, refused={}))
    return "\n\n".join("\n".join(text.lines) + "\n" for text in program.code.compiled.values())


def test_the_listing_is_what_is_compiled() -> None:
    for library in ("numba", "scipy", "platformdirs"):
        pytest.importorskip(library)
    assert BLOCK.findall(README.read_text(encoding="utf-8")) == [listing()]


if __name__ == "__main__":
    text = BLOCK.sub(lambda _: listing(), README.read_text(encoding="utf-8"))
    README.write_text(text, encoding="utf-8", newline="\n")
