"""The handout: an assignment's source without its solutions, as a Python file or a notebook.

    python -m examples.assignments.make a3 [FOLDER] [--notebook] [--solution] [--variant N]
    python -m examples.assignments.make a7 --new "The title"     the skeleton of another assignment, for its author

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

from . import variants
from .check import NAMES

BEGIN, END = re.compile(r"\s*#+ *BEGIN SOLUTION\s*"), re.compile(r"\s*#+ *END SOLUTION\s*")
HERE = Path(__file__).parent
PLACES = {"source": "{}_source.py", "guide": "guides/{}.md"}  # of the skeleton's files; others: folder/a7.py
STUB = ("# YOUR CODE HERE", "raise NotImplementedError")


def source(name: str, variant: int = 0) -> str:
    """Return an assignment's source, with its solutions."""
    text = variants.written((HERE / f"{name}_source.py").read_text(encoding="utf-8"), variant)
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
# `!unzip -q KIT.zip && mv KIT/* .` in a cell.

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


def notebook(text: str, name: str = "", kit: str = "") -> dict[str, Any]:
    """Return a source in cells as a notebook, Jupyter's format 4.5.

    Args:
        name: of the assignment, so that students install and check from it; kit: the name of its archive, `a3_kit`.
    """
    if name:
        _, title, *rest = re.split(r"^(?=# %%)", text, flags=re.M)
        first, last = (around.replace("KIT", kit or f"{name}_kit").replace("NAME", name) for around in AROUND)
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


def task(text: str) -> str:
    """Return the text cells of a source, in Markdown."""
    return "\n\n".join("".join(cell["source"]) for cell in notebook(text)["cells"] if cell["cell_type"] == "markdown")


def new(name: str, title: str) -> list[Path]:
    """Write the skeleton of an assignment, which works as it is; return its files.

    Raises:
        ValueError: for a name that isn't of the form a7; where one of the files exists.
    """
    if not re.fullmatch(r"a\d+", name):
        raise ValueError(f"an assignment is called a7, a8, ..., not {name!r}")
    paths = {template: HERE / PLACES.get(template.stem, f"{template.stem}/{{}}.py").format(name)
             for template in sorted((HERE / "template").glob("*.txt"))}
    for path in paths.values():
        if path.exists():
            raise ValueError(f"{path} already exists")
    for template, path in paths.items():
        text = template.read_text(encoding="utf-8")
        text = text.replace("NAME", name).replace("NUMBER", name[1:]).replace('"TITLE"', json.dumps(
            title, ensure_ascii=False)).replace("TITLE", " ".join(title.split()))
        path.write_text(text, encoding="utf-8")
    return list(paths.values())


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.make",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", metavar=f"{{{','.join(NAMES)}}}")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("."))
    parser.add_argument("--notebook", action="store_true", help="a notebook instead of a Python file")
    parser.add_argument("--solution", action="store_true", help="with the solutions, for teachers")
    parser.add_argument("--variant", type=variants.number, default=0, help="chooses the checker's numbers")
    parser.add_argument("--new", metavar="TITLE", help="write the skeleton of a new assignment")
    given = parser.parse_args(arguments)
    try:
        if given.new:
            print("\n".join(str(path) for path in new(given.assignment, given.new)))
            print(f"next: README.md, \"Add an assignment\"; python -m pytest tests/course -k {given.assignment}")
            return 0
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if given.assignment not in NAMES:
        parser.error(f"there is no assignment {given.assignment!r}; --new TITLE writes one")
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
