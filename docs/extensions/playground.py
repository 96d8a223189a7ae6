"""The playground as a part of the documentation: its site is built beside the pages, whose programs open in it.

The cells of a page are one program. A cell that ends with a picture, `viz.unrolled(run, heat=True)`, gets a link that
opens the program up to it, with the view and the choices of that picture, if all it imports is there. The tag `try`
adds one below another cell; a cell with the tag `no-try` is left out of all these programs. At the head of a page,
`no-try: true` leaves out the page, and `complete-cells: true` says that each cell is a program of its own, which gets a
link. `-D playground=0` builds the pages alone.
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole

from viz.playground.build import EXAMPLES, PYODIDE, BuildError, build
from viz.playground.links import program_link

FOLDER = "playground"
PACKAGES = {"numpy", "minigrad", "rnn", "viz", *sys.stdlib_module_names}
VIEWS = {"rolled": "pictures", "unrolled": "pictures", "both": "pictures", "gradient_map": "gradients",
         "stepper": "steps"}  # of the playground, by the function of viz that makes such a picture
MISSING = ('docs: the playground is left out, and links to it: it is built by npm, which isn\'t installed')


def setup(app: Any) -> dict[str, bool]:
    """Connect to the build."""
    app.add_config_value("playground", True, "env", [bool])
    app.add_role("playground", PlaygroundRole())
    app.connect("config-inited", check_npm)
    app.connect("doctree-resolved", add_links)
    app.connect("build-finished", build_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check_npm(app: Any, config: Any) -> None:
    """Leave the playground out where npm is missing, and say so."""
    if config.playground and shutil.which("npm") is None:
        print(MISSING, file=sys.stderr)
        config.playground = False


def build_site(app: Any, exception: Exception | None) -> None:
    """Build the playground's site; the environment variable PYODIDE names a release, by its address or folder."""
    if exception is not None or not app.config.playground or app.builder.format != "html":
        return
    try:
        build(Path(app.outdir, FOLDER), os.environ.get("PYODIDE") or PYODIDE)
    except BuildError as error:
        raise ExtensionError(f"the playground: {error}. Without it: sphinx-build -D playground=0") from None


# ---- links to it
class PlaygroundRole(SphinxRole):
    """A link to the playground: {playground}`Open it`, or with an example of its menu, {playground}`LSTM <lstm>`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        text, _, name = self.text.rstrip(">").partition(" <")
        if not self.config.playground:
            return [nodes.Text(text)], []
        program = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8") if name else None
        return [link(self.env.docname, text, program)], []


def link(docname: str, text: str, program: str | None = None, **choices: Any) -> nodes.reference:
    """Return a link from a page to the playground, with a program and choices of `program_link()`."""
    address = "../" * docname.count("/") + FOLDER + "/index.html"
    target = address if program is None else program_link(program, address, **choices)
    return nodes.reference("", text, refuri=target, internal=True, classes=["playground"])


def add_links(app: Any, doctree: Any, docname: str) -> None:
    """Put a link below each code cell whose program draws in the playground."""
    metadata = app.env.metadata[docname]
    if app.config.playground and app.builder.format == "html" and "no-try" not in metadata:
        for cell, program, choices in programs(doctree, "complete-cells" in metadata):
            opened = link(docname, "Try it in the playground", program, **choices)
            title = nodes.paragraph("", "", opened, classes=["try-it"])
            cell.insert(1, title)


def programs(doctree: Any, complete: bool) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """Yield the cells of a page that get a link, with the program that ends with it, or that it is, and its choices."""
    program = ""
    for cell in [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]:
        tags = cell["cell_metadata"].get("tags", [])
        if "no-try" in tags:
            continue
        source = "".join(part.astext() for part in cell.findall(nodes.literal_block)
                         if part.parent.get("nb_element") == "cell_code_source")
        if not source and not complete:
            return  # hidden: what follows would lack it
        program = source.strip() if complete else f"{program}\n\n{source.strip()}".strip()
        shown = choices_of_picture(source)
        wanted = bool(source) if complete else "try" in tags or shown is not None
        if wanted and imported(program) <= PACKAGES:
            yield cell, program + "\n", shown or {}


def choices_of_picture(source: str) -> dict[str, Any] | None:
    """Return the choices with which the playground shows a cell's last statement; None if it shows no such picture."""
    calls = [node for statement in ast.parse(source).body[-1:] for node in ast.walk(statement)
             if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("viz.") in VIEWS]
    if not calls or not source.splitlines()[calls[0].lineno - 1].startswith("viz."):
        return None
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in calls[0].keywords}
    view = "steps" if "step" in given else VIEWS[ast.unparse(calls[0].func).removeprefix("viz.")]
    return {"view": view, "heat": given.get("heat") == "True", "level": given.get("level", "signals").strip("'")}


def imported(program: str) -> set[str]:
    """Return the packages that a program imports."""
    found = list(ast.walk(ast.parse(program)))
    names = [alias.name for node in found if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in found if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}
