"""The handout: an assignment's source without its solutions, as a Python file or a notebook.

    python -m examples.assignments.make a3 [FOLDER] [--notebook] [--solution]

A source is a Python file in cells (`# %%`, `# %% [markdown]`); the text between the lines
`### BEGIN SOLUTION` and `### END SOLUTION` becomes `raise NotImplementedError`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .check import NAMES
from .variants import written

BEGIN, END = re.compile(r"\s*#+ *BEGIN SOLUTION\s*"), re.compile(r"\s*#+ *END SOLUTION\s*")
STUB = ("# YOUR CODE HERE", "raise NotImplementedError")


def source(name: str, variant: int = 0) -> str:
    """Return an assignment's source, with its solutions."""
    text = written((Path(__file__).parent / f"{name}_source.py").read_text(encoding="utf-8"), variant)
    solved = getattr(importlib.import_module(f"examples.assignments.checks.{name}"), "solved", None)
    return solved(text, variant) if solved is not None and variant else text  # answers differ from variant to variant


def stub(text: str) -> str:
    """Return the source without solutions.

    Raises:
        ValueError: where a region has no end, or no beginning; says the line.
    """
    lines: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), 1):
        if BEGIN.fullmatch(line):
            if begun:
                raise ValueError(f"line {number}: a solution begins inside the one of line {begun}")
            begun = number
            indent = line[:len(line) - len(line.lstrip())]
            lines += [indent + said for said in STUB]
        elif END.fullmatch(line):
            if not begun:
                raise ValueError(f"line {number}: a solution ends that has not begun")
            begun = 0
        elif not begun:
            lines.append(line)
    if begun:
        raise ValueError(f"line {begun}: a solution begins and never ends")
    return "\n".join(lines) + "\n"


AROUND = ("""# %% [markdown]
# **In a notebook.** Run the next cell once: it installs what the kit needs. In Colab, upload the kit first and run
# `!unzip -q NAME_kit.zip && mv NAME_kit/* .` in a cell.

# %%
%pip install -q -e ".[draw]"

""", """

# %% [markdown]
# **Check.** Save the notebook first.

# %%
%run -e -m examples.assignments.check NAME NAME.ipynb

# %% [markdown]
# **Hand in.** This makes one Python file of the notebook, in the folder `handin`; hand in that file.

# %%
%run -e -m examples.assignments.handin NAME NAME.ipynb
""")


def notebook(text: str, name: str = "") -> dict[str, Any]:
    """Return a source in cells as a notebook, Jupyter's format 4.5; with a name, students install and check from it."""
    if name:
        _, title, *rest = re.split(r"^(?=# %%)", text, flags=re.M)
        first, last = (around.replace("NAME", name) for around in AROUND)
        text = "".join([title, first, *rest, last])
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(re.split(r"^# %%", text, flags=re.M)[1:]):
        head, _, body = part.partition("\n")
        lines = body.strip("\n").splitlines()
        cell: dict[str, Any] = {"cell_type": "code", "id": f"cell-{number}", "metadata": {}}
        if "[markdown]" in head:
            cell["cell_type"] = "markdown"
            lines = [re.sub("^# ?", "", line) for line in lines]
        else:
            cell |= {"execution_count": None, "outputs": []}
        cell["source"] = [line + "\n" for line in lines[:-1]] + lines[-1:]
        cells.append(cell)
    return {"cells": cells, "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python",
                                                        "name": "python3"},
                                         "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.make",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("."))
    parser.add_argument("--notebook", action="store_true", help="a notebook instead of a Python file")
    parser.add_argument("--solution", action="store_true", help="with the solutions, for teachers")
    parser.add_argument("--variant", type=int, default=0, help="a number that chooses the checker's numbers")
    given = parser.parse_args(arguments)
    text = source(given.assignment, given.variant)
    text = text if given.solution else stub(text)
    given.folder.mkdir(parents=True, exist_ok=True)
    name = f"{given.assignment}_solution" if given.solution else given.assignment
    path = given.folder / f"{name}.{'ipynb' if given.notebook else 'py'}"
    if path.exists():
        print(f"{path} already exists, and may be a student's work: it is not overwritten", file=sys.stderr)
        return 1
    if given.notebook:
        text = json.dumps(notebook(text, given.assignment), indent=1) + "\n"
    path.write_text(text, encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
