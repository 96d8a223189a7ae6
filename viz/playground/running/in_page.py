"""What the page has in place of files, of a terminal and of other packages: replaced for a program's run.

A program that was written for a computer of its own paints its pictures to files, and stops in a debugger. The page
shows both in its views, so such a call says where, and a picture that isn't written ends no program.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from typing import Any, NoReturn

import viz
from minigrad import Tensor

PICTURES = "Pictures aren't painted to files in the page: it shows them beside the program, with buttons to save them."
STEPS = 'The page writes no file of the steps: its tab "steps" shows them.'
BYTES = ("the page paints pictures beside the program, with buttons to save them, and not in Python. The DOT text "
         "needs no painting: it is in .source")
TERMINAL = ("the page has no terminal to type in: give values in the program. A backward pass can be stepped through "
            'in the tab "steps"')
PACKAGES = "The page has NumPy, minigrad, rnn and viz, and Python's own modules."
OWN = {"numpy", "minigrad", "rnn", "viz"}


def replace_terminal_and_files() -> None:
    """Replace them until `restored()` ends. A sentence is printed once for a program."""
    said: set[str] = set()

    def say(sentence: str) -> None:
        if sentence not in said:
            print(sentence)
        said.add(sentence)

    def render(self: Any, filename: Any = None, directory: Any = None, *, outfile: Any = None, **options: Any) -> str:
        say(PICTURES)
        return str(filename if outfile is None else outfile)

    def render_frames(self: Any, outfile: Any) -> list[Any]:
        say(PICTURES)
        return []

    def stepper(loss: Tensor, outfile: str | os.PathLike[str] | None = None, **options: Any) -> Any:
        from viz.stepper_page import page  # with the debugger, which few programs need

        if outfile is not None:
            say(STEPS)
        return page.stepper(loss, **options)

    replaced: list[tuple[Any, str, Callable[..., Any]]] = [
        (viz.Picture, "render", render), (viz.Picture, "_painted", _painted), (viz.Animation, "render", render_frames),
        (viz, "stepper", stepper), (builtins, "input", _ask), (builtins, "breakpoint", _ask)]
    for owner, name, function in replaced:
        setattr(owner, name, function)


def _painted(picture: viz.Picture, format: str, dpi: int | None = None) -> bytes:
    if format in ("dot", "gv"):
        return picture.source.encode()
    raise viz.PaintError(BYTES)


def _ask(*arguments: Any, **options: Any) -> NoReturn:
    raise RuntimeError(TERMINAL)


def about_module(error: ModuleNotFoundError) -> str:
    """Return the text of an error of a package that the page doesn't have."""
    if error.name is None or error.name.partition(".")[0] in OWN:
        return str(error)
    return f"No module named {error.name!r}. {PACKAGES}"
