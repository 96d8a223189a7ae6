"""python -m viz FILE.py:NAME -o picture.png: draw a definition, a run or a tensor of a user's file."""

from __future__ import annotations

import argparse
import runpy
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from minigrad import Tensor
from rnn import Cell, Run
from viz.layout.step_graph import LEVELS
from viz.pictures.graph import graph
from viz.pictures.rolled import rolled
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled import unrolled
from viz.render.digraph import DPI, Picture
from viz.render.rasterize import PaintError

POLL = 0.3  # seconds between two checks of a watched file
INTERRUPTED = 130  # exit code of a program that Ctrl-C ended


class UsageError(Exception):
    """The command line can't be carried out; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 after printing one line on an error, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    draw = partial(_draw_file, options)
    try:
        if options.watch:
            watch(Path(options.target.rpartition(":")[0]), draw)
        return draw()
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m viz", description=__doc__)
    parser.add_argument("target", metavar="FILE.py:NAME", help="a Cell, an unrolled run or a Tensor in a file")
    parser.add_argument("-o", metavar="PICTURE", required=True, help="e.g. picture.png, .svg, .pdf or .dot")
    parser.add_argument("--unroll", type=int, metavar="T", help="unroll a Cell over T steps of zeros")
    parser.add_argument("--level", choices=LEVELS, default="signals", help="ops: operations too")
    parser.add_argument("--steps", metavar="1,2,50", help="the steps to draw; all others are folded")
    parser.add_argument("--values", action="store_true", help="values and gradients in the boxes")
    parser.add_argument("--heat", action="store_true", help="boxes coloured by the gradient's norm")
    parser.add_argument("--dark", action="store_true", help="light lines on a dark background")
    parser.add_argument("--watch", action="store_true", help="draw again whenever the file changes, until Ctrl-C")
    parser.add_argument("--dpi", type=int, default=DPI, help=f"dots per inch of a PNG (default {DPI})")
    return parser


def _draw_file(options: argparse.Namespace) -> int:
    """Read the file, draw the object and write the picture; return the exit code."""
    try:
        with Progress(3) as progress:
            progress.begin("reading")
            target = _load(options.target)
            progress.begin("layout")
            picture = _draw(target, options)
            progress.begin("painting")
            path = picture.render(outfile=options.o, dpi=options.dpi)
    except (UsageError, ValueError, OSError, PaintError) as error:
        print("viz: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
        return 2
    print(path, flush=True)
    return 0


def _load(target: str) -> Any:
    """Return the object NAME of a file, which is run as a module and not as a script."""
    file, _, name = target.rpartition(":")
    if not file or not name:
        raise UsageError(f"{target!r} is not of the form FILE.py:NAME")
    if not Path(file).is_file():
        raise UsageError(f"there is no file {file!r}")
    sys.path.insert(0, str(Path(file).resolve().parent))
    argv, sys.argv = sys.argv, [file]  # the file gets no arguments
    try:
        variables = runpy.run_path(file, run_name=Path(file).stem)
    except (Exception, SystemExit) as error:
        line = next((frame.lineno for frame in reversed(traceback.extract_tb(error.__traceback__))
                     if Path(frame.filename).name == Path(file).name), None)
        place = f"{file}:{line}" if line else file
        raise UsageError(f"{place}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
        sys.argv = argv
    if name not in variables:
        known = [key for key, value in variables.items() if isinstance(value, (Cell, Run, Tensor))]
        raise UsageError(f"{file} has no {name!r}; it has {', '.join(known) or 'nothing'} that can be drawn")
    return variables[name]


def _draw(target: Any, options: argparse.Namespace) -> Picture:
    """Draw a Cell, a run or a Tensor."""
    steps = _parse_steps(options.steps)
    if isinstance(target, Cell) and options.unroll is not None:
        if options.unroll < 1:
            raise UsageError(f"--unroll {options.unroll}: unroll 1 step or more")
        target = unroll_zeros(target, options.unroll)
    elif options.unroll is not None:
        raise UsageError(f"--unroll is for a Cell, not for a {type(target).__name__}")
    if isinstance(target, Run):
        return unrolled(target, level=options.level, steps=steps, values=options.values, heat=options.heat,
                        dark=options.dark)
    if steps is not None:
        raise UsageError("--steps is for a run: give --unroll T too, or the name of a run")
    if isinstance(target, Cell):
        return rolled(target, options.level, dark=options.dark)
    if isinstance(target, Tensor):
        return graph(target, dark=options.dark)
    raise UsageError(f"a {type(target).__name__} can't be drawn: name a Cell, an unrolled run or a Tensor")


def _parse_steps(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--steps {text}: write whole numbers between commas, e.g. 1,2,50") from None


def watch(file: Path, draw: Callable[[], object]) -> NoReturn:
    """Draw now and after every change of a file, until Ctrl-C; a file that is missing for a moment is waited for."""
    seen = _file_state(file)
    draw()
    while True:
        time.sleep(POLL)
        state = _file_state(file)
        if state is not None and state != seen:
            seen = state
            draw()


def _file_state(file: Path) -> tuple[int, int, int] | None:
    """Return values that change when a file is written or replaced; None if there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Progress:
    """A progress bar on standard error, by tqdm; removed at the end.

    Nothing is written if standard error is not a terminal or tqdm is not installed.
    """

    def __init__(self, stages: int) -> None:
        self.bar: Any = None
        self.stage = 0
        with suppress(ImportError):
            if sys.stderr is not None and sys.stderr.isatty():
                from tqdm import tqdm
                self.bar = tqdm(total=stages, leave=False, file=sys.stderr,
                                bar_format="{desc} {bar} {n}/{total} {elapsed}")

    def begin(self, stage: str) -> None:
        """Show the next stage; the previous one is complete."""
        if self.bar is not None:
            self.bar.n = self.stage
            self.bar.set_description_str(stage)
        self.stage += 1

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()
