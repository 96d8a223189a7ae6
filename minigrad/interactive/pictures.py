"""The drawing functions that an installed distribution offers, so that what draws needn't be imported.

They are entry points of the group `minigrad.pictures`, by name: `rolled = "viz:rolled"`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from typing import Any

SVG = "image/svg+xml"
Bundle = dict[str, str]  # the forms of one object by MIME type; a notebook shows the best that it can


def drawing_function(name: str) -> Callable[..., Any]:
    """Return the drawing function with a name.

    Raises:
        LookupError: if none is registered, or if it can't be imported; the message says what to do.
    """
    from importlib.metadata import entry_points  # takes a tenth of the time of `import rnn`

    for entry_point in entry_points(group="minigrad.pictures", name=name):
        try:
            function: Callable[..., Any] = entry_point.load()
            return function
        except ImportError as error:
            raise LookupError(f"no picture: {entry_point.value} can't be imported ({error})") from None
    raise LookupError(f"no picture: no installed distribution registers {name!r} as an entry point of "
                      "minigrad.pictures; run 'pip install minigrad-rnn', or 'pip install -e .' in a source checkout")


def drawn(name: str, *arguments: Any) -> str | None:
    """Return the SVG of a drawing function's picture; None where it can't be drawn or painted here."""
    try:
        forms: Bundle = drawing_function(name)(*arguments)._repr_mimebundle_()
    except Exception:  # a view is no place for an error: the text remains
        return None
    return forms.get(SVG)


def view(text: str, svg: str | None = None, latex: str = "", rows: str = "") -> Bundle:
    """Return the forms of an object: text always; Markdown with the picture, the equations and further rows.

    Most notebooks show one form only, and prefer Markdown; a page that is built from a notebook takes the picture.

    Args:
        text: its `repr`.
        svg: a picture.
        latex: equations, without delimiters.
        rows: further Markdown, e.g. a table.
    """
    parts = [image(svg, text.split("\n")[0])] if svg else []
    parts += [f"$$\n{latex}\n$$"] if latex else []
    parts += [rows] if rows else []
    bundle = {"text/plain": text}
    if parts:
        bundle["text/markdown"] = "\n\n".join(parts)
    if svg:
        bundle[SVG] = svg
    if latex:
        bundle["text/latex"] = f"$\\displaystyle\n{latex}\n$"
    return bundle


def image(svg: str, description: str) -> str:
    """Return an image for Markdown that contains its data, as wide as the picture, or as the page if that is narrower.

    JupyterLab shows the form `image/svg+xml` in the picture's own width, and cuts it off at the edge of the page.
    """
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:{SVG};base64,{data}" alt="{html.escape(description)}" style="max-width: 100%">'
