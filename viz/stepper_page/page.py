"""`viz.stepper`: a backward pass as a web page, one file without external resources.

The page is page.html, picture.css, page.css and the scripts, with the recorded pass inserted as JSON. Its
Content-Security-Policy forbids all requests, and any script but its own, for any names of tensors. The playground puts
the same page together from files, and inserts what record() returns each time that a program has run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.formats.files import write_atomically
from minigrad.interactive import progress
from viz.annotations import heat
from viz.pictures.arguments import check_type
from viz.render.fonts import clean

from .recording import Recording
from .scene import BackwardScene, is_copy
from .svg import Drawing

MAX_TENSORS = 10_000  # browsers get slow with more, and the file gets large
MAX_BYTES = 2 * 2 ** 30  # memory that a recording may need
STYLES = ("picture.css", "page.css")
SCRIPTS = ("exact.js", "breakpoints.js", "address.js", "list.js", "page.js")
POLICY = "default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"


class TooLarge(ValueError):
    """There is too much to record; `reason` is the message without the advice for a terminal."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}, or step through it in the terminal: python -m minigrad.debugger script.py")
        self.reason = reason


@dataclass(frozen=True, repr=False, eq=False)
class Contents:
    """What a page shows of a pass.

    Attributes:
        title: the name and the value of the loss.
        picture: an SVG element.
        style: CSS rules for the colours of the picture.
        data: the JSON that the script works on.
        names: of the steps: the name of the tensor, and its operation.
    """

    title: str
    picture: str
    style: str
    data: str
    names: list[str]


@dataclass(repr=False, eq=False)
class Page:
    """A page: a notebook displays it; elsewhere open `path` in a browser.

    Attributes:
        html: the source of the page.
        path: the file that was written, or None.
        title: the name and the value of the loss.
        steps: the number of steps.
    """

    html: str
    path: Path | None
    title: str
    steps: int

    def __str__(self) -> str:
        return str(self.path) if self.path else repr(self)

    def __fspath__(self) -> str:
        if self.path is None:
            raise TypeError("this page was written to no file: viz.stepper(loss, 'steps.html') writes one")
        return str(self.path)

    def __repr__(self) -> str:
        where = f"in {self.path}" if self.path else "not written to a file"
        return f"<Page: {self.title}, {self.steps} steps, {len(self.html.encode()) / 1e6:.2f} MB, {where}>"

    def _repr_html_(self) -> str:
        return (f'<iframe sandbox="allow-scripts" title="{escape(self.title)}" width="100%" height="760" '
                f'style="border:1px solid #ccc;border-radius:8px" srcdoc="{escape(self.html)}"></iframe>')


def stepper(loss: Tensor, outfile: str | os.PathLike[str] | None = None, *, most: int = MAX_TENSORS) -> Page:
    """Record the backward pass of a loss, and make a page that steps through it: always of operations.

    The end of the page's address chooses what it shows: `steps.html#step=14&break=tanh&watch=U`.

    Runs the pass by `loss.backward_steps()` and restores every `.grad` afterwards. Hooks are called, once
    each.

    Args:
        loss: a scalar that was computed from tensors that require a gradient.
        outfile: the file to write, atomically, e.g. "steps.html". By default no file is written.
        most: the largest number of tensors to record.

    Raises:
        ValueError: if the loss isn't a scalar or requires no gradient, or there are too many tensors or too
            much data to record; if `outfile` ends in another format than ".html"; and any error of
            `loss.backward()`.
        OSError: if the file can't be written.
    """
    path = None if outfile is None else Path(outfile)
    if path is not None and path.suffix.lower() not in ("", ".html", ".htm", ".xhtml"):
        raise ValueError(f"the page is HTML, and {str(path)!r} ends in another format: name it {path.stem}.html")
    contents = record(loss, most, MAX_BYTES)
    html = _page(contents)
    if path is not None:
        write_atomically(path, html.encode())
    return Page(html, path, contents.title, len(contents.names))


def record(loss: Tensor, most: int, most_bytes: int) -> Contents:
    """Record the backward pass of a loss for a page: as stepper() does, with its effects and errors.

    Args:
        loss: the loss.
        most: the largest number of tensors to record.
        most_bytes: of memory that this may need.
    """
    _check(loss, most, most_bytes)
    recording = Recording(loss)
    tape = BackwardScene(recording.nodes).draw()
    links = {(tape.keys[x], tape.keys[node]): f"{i}-{recording.numbers[x]}" for i, node in enumerate(recording.nodes)
             for x in node.inputs if x.requires_grad and x in tape.keys and node in tape.keys}
    drawing = Drawing(tape.scene, links)
    title = f"Backward pass of {clean(loss.label) or 'the loss'} = {loss.item():.4g}"
    data = _data(title, recording, tape, drawing)
    names = [f"{node['name']} {node['call']}" for node in (data["nodes"][step["node"]] for step in data["steps"])]
    return Contents(title, drawing.text, drawing.style, json.dumps(data, ensure_ascii=False, separators=(",", ":")),
                    names)


def _check(loss: Tensor, most: int, most_bytes: int) -> None:
    """Validate the arguments before running the pass."""
    check_type(loss, Tensor, "viz.stepper() takes the loss, a Tensor")
    if loss.size != 1:
        raise ValueError(f"a backward pass starts from a single number, and {loss!r} has shape {loss.shape}: "
                         "step through its sum or its mean, e.g. viz.stepper(y.sum())")
    nodes = ancestors(loss, most)
    advice = "Unroll fewer steps (a recurrence does the same at each)"
    if len(nodes) > most:
        raise TooLarge(f"{loss!r} was computed from more than {most:,} tensors, too many for a page. {advice}")
    needed = sum(3 * x._array.nbytes for node in nodes for x in node.inputs if x.requires_grad)
    if needed > most_bytes:
        raise TooLarge(f"recording this pass takes about {needed / 2 ** 30:.1f} GB of memory. "
                       f"Make the batch or the layers smaller. {advice}")


def _page(contents: Contents) -> str:
    """Return a page that contains all of its parts."""
    own_style, own_script = f"{style()}\n{contents.style}\n", script()
    policy = POLICY.format(script=_hash(own_script), style=_hash(own_style))
    return assemble(contents.title, policy, f"<style>{own_style}</style>", f"<script>{own_script}</script>",
                    contents.picture, _in_script(contents.data))


def assemble(title: str, policy: str, style: str, script: str, picture: str = "", data: str = "") -> str:
    """Return the page's HTML.

    Args:
        title: its title, as text.
        policy: its Content-Security-Policy.
        style, script: the elements that contain or name them.
        picture: an SVG element.
        data: JSON for the script, without characters that could end an element.
    """
    parts = {"POLICY": escape(policy), "TITLE": escape(title), "STYLE": style, "PICTURE": picture, "DATA": data,
             "SCRIPT": script}
    pieces = read("page.html").split("%%")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _data(title: str, recording: Recording, tape: BackwardScene, drawing: Drawing) -> dict[str, Any]:
    """Return the data that the script works on."""
    nodes = []
    for node in recording.nodes:
        entry = recording.node_data(node)
        entry["inputs"] = [recording.numbers[x] for x in node.inputs]
        if node in tape.keys:
            entry["box"] = tape.keys[node]
        if len(tape.names) > 1 and node in tape.times:
            entry["run"] = clean(tape.names[tape.runs[node]])
        nodes.append(entry)
    names = tape.step_names()
    shared: list[dict[str, Any]] = [
        {"node": recording.numbers[x], "color": tape.colors[x], "contributions": recording.contributions(x, names)}
        for x in tape.shared]
    if len(tape.names) > 1:  # each has the time steps of the runs that use it
        for entry in shared:
            entry["times"] = tape.step_order({row[1] for row in entry["contributions"]})
    copies = [recording.numbers[x] for x in recording.nodes if is_copy(x) and x.requires_grad]
    scale = heat.Scale(heat.Norm(float(recording.arrays.entries[step["grad"]]["norm"])) for step in recording.steps
                       if "grad" in step)
    return {"title": title, "nodes": nodes, "steps": recording.steps, "arrays": recording.arrays.data(),
            "ops": recording.ops, "seed": recording.seed, "shared": shared, "copies": copies,
            "times": tape.step_order(), "repeated": sorted(map(clean, tape.repeated_signals())),
            "size": [round(drawing.width, 1), round(drawing.height, 1)],
            "heat": {"low": scale.low, "high": scale.high, "stops": heat.STOPS}}


def read(name: str) -> str:
    """Return the text of a file of this folder."""
    return (files("viz.stepper_page") / name).read_text(encoding="utf-8")


def script() -> str:
    """Return the page's script."""
    return "\n".join(map(read, SCRIPTS))


def style() -> str:
    """Return the style sheet of all pages, without the colours of a picture."""
    return "\n".join(map(read, STYLES))


def _hash(text: str) -> str:
    """Return the hash by which a policy allows a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _in_script(data: str) -> str:
    """Return JSON that can't end the script element that contains it."""
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data.encode("utf-8", "replace").decode()


progress.watch(stepper, "stepper page")
