"""List the examples, one per line: python -m examples."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple


class Example(NamedTuple):
    """An example as described by its docstring; its code isn't run."""

    name: str
    summary: str
    time: str


def examples(folder: Path = Path(__file__).parent) -> list[Example]:
    """Return the examples in a folder, in alphabetical order: files whose docstring contains a command."""
    found = []
    for file in sorted(folder.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if "    python -m " in text:
            time = re.search(r"\bTime: (\d+ s)\b", text)
            found.append(Example(file.stem, text.splitlines()[0], time[1] if time else ""))
    return found


def main() -> int:
    listed = examples()
    width = max(len(example.name) for example in listed)
    for example in listed:
        print(f"{example.name:{width}}  {example.time:>5}  {example.summary}")
    print("\nStart one by python -m examples.NAME")
    return 0


if __name__ == "__main__":
    sys.exit(main())
