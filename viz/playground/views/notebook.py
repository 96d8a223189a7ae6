"""A program as a Jupyter notebook: how to install the packages, the program, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import minigrad
from viz.playground.running.program import Program

INSTALL = """\
Install the packages into the environment of this notebook first, from the wheel of a release or from a clone of the
repository:

    %pip install "minigrad_rnn-{version}-py3-none-any.whl[draw]"
    %pip install -e "FOLDER[draw]"
"""


def notebook(source: str, program: Program | None) -> str:
    """Return the text of a notebook (nbformat 4.5).

    Args:
        source: the text of the program.
        program: a program that has run; the notebook draws its pictures if it has this text and has found no error.
    """
    known = program is not None and program.source == source and program.problem is None
    calls = list(_calls(program)) if known and program is not None else []
    cells = [_cell("markdown", INSTALL.format(version=minigrad.__version__)), _cell("code", source.strip())]
    cells += [_cell("code", call if number else f"import viz\n\n{call}") for number, call in enumerate(calls)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
                       "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"


def _calls(program: Program) -> Iterator[str]:
    """Yield the calls that draw what the page draws, of the values that variables have."""
    cells = [name for cell in program.cells() if (name := program.name_of(cell))]
    runs = [name for run in program.runs() if (name := program.name_of(run))]
    loss = program.loss
    of = "" if loss is None else f", loss={program.name_of(loss)}"
    yield from (f"viz.rolled({name})" for name in cells)
    if runs:
        yield f"viz.unrolled({runs[0]}{of})" if len(runs) == 1 else f"viz.unrolled([{', '.join(runs)}]{of})"
    if loss is not None and loss.grad is not None:
        yield from (f"viz.gradient_map({name}{of})" for name in runs)


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
