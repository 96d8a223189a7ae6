"""python -m viz FILE.py:NAME -o picture.png: draw a definition, a run or a tensor of a user's file."""

from __future__ import annotations

import argparse
import runpy
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from minigrad import Tensor
from rnn import Cell, Run
from viz.layout.step_graph import LEVELS
from viz.pictures.graph import graph
from viz.pictures.rolled import rolled
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled import unrolled
from viz.render.digraph import DPI, Picture
from viz.render.rasterize import PaintError

from .progress import Progress
from .watch import INTERRUPTED, watch


class Trouble(Exception):
    """What is wrong, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line says; 0, or 2 after one line that says what is wrong; 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    work = partial(_draw_file, options)
    if options.watch:
        return watch(Path(options.what.rpartition(":")[0]), work)
    try:
        return work()
    except KeyboardInterrupt:
        return INTERRUPTED


def _draw_file(options: argparse.Namespace) -> int:
    """Read the file, draw, and write the picture."""
    try:
        with Progress(3) as progress:
            progress.begin("reading")
            thing = _load(options.what)
            progress.begin("placing")
            picture = _draw(thing, options)
            progress.begin("painting")
            path = picture.render(outfile=options.o, dpi=options.dpi)
    except (Trouble, ValueError, OSError, PaintError) as error:
        print("viz: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
        return 2
    print(path, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m viz", description=__doc__)
    parser.add_argument("what", metavar="FILE.py:NAME", help="a Cell, an unrolled run or a Tensor in a file")
    parser.add_argument("-o", metavar="PICTURE", required=True, help="e.g. picture.png, .svg, .pdf or .dot")
    parser.add_argument("--unroll", type=int, metavar="T", help="unroll a Cell over T steps of zeros")
    parser.add_argument("--level", choices=LEVELS, default="signals", help="ops: operations too")
    parser.add_argument("--steps", metavar="1,2,50", help="the steps to draw; all others are folded")
    parser.add_argument("--values", action="store_true", help="values and gradients in the boxes")
    parser.add_argument("--heat", action="store_true", help="boxes filled by the gradient's norm")
    parser.add_argument("--dark", action="store_true", help="light lines on dark ground")
    parser.add_argument("--watch", action="store_true", help="draw again whenever the file changes, until Ctrl-C")
    parser.add_argument("--dpi", type=int, default=DPI, help=f"dots per inch of a PNG (default {DPI})")
    return parser


def _load(what: str) -> Any:
    """The object called NAME in a file, which is run as a module and not as a script."""
    file, _, name = what.rpartition(":")
    if not file or not name:
        raise Trouble(f"{what!r} is not of the form FILE.py:NAME")
    if not Path(file).is_file():
        raise Trouble(f"there is no file {file!r}")
    sys.path.insert(0, str(Path(file).resolve().parent))
    ours, sys.argv = sys.argv, [file]  # the file's own arguments: none
    try:
        found = runpy.run_path(file, run_name=Path(file).stem)
    except (Exception, SystemExit) as error:
        line = next((frame.lineno for frame in reversed(traceback.extract_tb(error.__traceback__))
                     if Path(frame.filename).name == Path(file).name), None)
        place = f"{file}:{line}" if line else file
        raise Trouble(f"{place}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
        sys.argv = ours
    if name not in found:
        known = ", ".join(key for key, value in found.items() if isinstance(value, (Cell, Run, Tensor))) or "nothing"
        raise Trouble(f"{file} has no {name!r}; it has {known} that can be drawn")
    return found[name]


def _draw(thing: Any, options: argparse.Namespace) -> Picture:
    steps = _steps(options.steps)
    if isinstance(thing, Cell) and options.unroll is not None:
        if options.unroll < 1:
            raise Trouble(f"--unroll {options.unroll}: unroll 1 step or more")
        thing = unroll_zeros(thing, options.unroll)
    elif options.unroll is not None:
        raise Trouble(f"--unroll is for a Cell, not for a {type(thing).__name__}")
    if isinstance(thing, Run):
        return unrolled(thing, level=options.level, steps=steps, values=options.values, heat=options.heat,
                        dark=options.dark)
    if steps is not None:
        raise Trouble("--steps is for a run: give --unroll T too, or the name of a run")
    if isinstance(thing, Cell):
        return rolled(thing, options.level, dark=options.dark)
    if isinstance(thing, Tensor):
        return graph(thing, dark=options.dark)
    raise Trouble(f"a {type(thing).__name__} can't be drawn: name a Cell, an unrolled run or a Tensor")


def _steps(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Trouble(f"--steps {text}: write whole numbers between commas, e.g. 1,2,50") from None


if __name__ == "__main__":
    sys.exit(main())
