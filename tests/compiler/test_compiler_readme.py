"""The listings in the READMEs of rnn.ir and rnn.compiler are what the compiler prints.

    PYTHONPATH=. python tests/compiler/test_compiler_readme.py       # writes the listings anew
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from definitions import gated
from listings import list_arrays, list_blocks, list_nodes

from rnn.compiler.emit import render
from rnn.compiler.pipeline import GradientRequest, Program
from rnn.ir.fusion import PASSES
from rnn.ir.lowering import LoweringOptions
from rnn.ir.nodes import Node
from rnn.ir.simplify import SIMPLIFICATIONS

RNN = Path(__file__).resolve().parents[2] / "rnn"
# A heading, the text up to the listing, and the listing.
BLOCK = re.compile(r"^### (.*)\n((?:(?!```|#).*\n)*```\w+\n)((?:(?!```).*\n)*)(?=```$)", re.MULTILINE)


def stages() -> dict[str, str]:
    """Pass -> its result as text, or the lines that it changes."""
    cell = gated()
    names: dict[Node, str] = {}
    results: list[tuple[str, str]] = []

    def observe(name: str, result: Any) -> None:
        show = {"blocks": list_blocks, "BufferPlan": list_arrays}.get(name, list_nodes)
        results.append((name, show(result, names)))

    program = Program(cell, LoweringOptions((("x", (3,)),)), GradientRequest(loss="L"), observe)
    text = render(program.code, cell, program.names, np.dtype(float))
    found = dict(results) | {"render": text[text.index("def forward"):].strip()}
    start, count = 3 + len(SIMPLIFICATIONS), len(PASSES)
    found["both"] = f"{found['split_products']}\n{found['Adjoint']}"
    for part, passes in (("both", results[3:start]), ("forward", results[start + 1:start + 1 + count]),
                         ("backward", results[start + 2 + count:start + 2 + 2 * count])):
        before = found.pop(part)
        for name, after in passes:
            old, new = before.splitlines(), after.splitlines()
            if set(old) != set(new):
                found[f"{name}, {part}"] = "\n".join([*(f"- {line}" for line in old if line not in new),
                                                      *(f"+ {line}" for line in new if line not in old)])
            found.pop(name, None)
            before = after
    del found["split_products"]  # changes nothing here
    return found


def test_listings_are_what_the_compiler_prints() -> None:
    blocks = {heading: block.rstrip() for file in ("ir", "compiler")
              for heading, _, block in BLOCK.findall((RNN / file / "README.md").read_text(encoding="utf-8"))}
    assert blocks == stages()


if __name__ == "__main__":
    current = stages()
    for folder in ("ir", "compiler"):
        path = RNN / folder / "README.md"
        path.write_text(BLOCK.sub(lambda m: f"### {m[1]}\n{m[2]}{current[m[1]]}\n", path.read_text(encoding="utf-8")),
                        encoding="utf-8", newline="\n")
