"""python -m viz [KIND] FILE.py:NAME -o picture.png: draw a definition, a run or a tensor of a user's file."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from minigrad import Tensor
from rnn import Cell, Run, Signal
from rnn.unrolling.run import runs_behind
from viz.layout.folding import MANY
from viz.layout.levels import LEVELS
from viz.layout.options import Options
from viz.pictures.animation import Animation, animate, run_of
from viz.pictures.diff import diff
from viz.pictures.gradient_map import gradient_map
from viz.pictures.graph import graph
from viz.pictures.rolled import rolled
from viz.pictures.side_by_side import both, unroll_zeros
from viz.pictures.unrolled import unrolled
from viz.render.digraph import DPI, Picture
from viz.render.rasterize import RASTER, PaintError
from viz.render.typography import NOTATIONS
from viz.stepper_page.page import Page, stepper

from .loading import Loader, LoadError, watch

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended
PAGES = (".html", ".htm")


class Kind(NamedTuple):
    """A kind of picture: what it draws, and the options that it has."""

    draws: tuple[type, ...]
    options: tuple[str, ...]


def _common(draw: Callable[..., Any]) -> tuple[str, ...]:
    """Return the options of all pictures that a function has."""
    names = inspect.signature(draw).parameters
    return tuple(field.name for field in fields(Options) if field.name in names)


KINDS = {
    "rolled": Kind((Cell,), ("level", "dpi", *_common(rolled))),
    "unrolled": Kind((Run, Cell, Tensor), ("unroll", "level", "steps", "values", "heat", "dpi", *_common(unrolled))),
    "both": Kind((Cell,), ("unroll", "level", "dpi", *_common(both))),
    "graph": Kind((Tensor,), ("dpi", *_common(graph))),
    "gradient_map": Kind((Run,), ("dpi", *_common(gradient_map))),
    "diff": Kind((Cell, Run, Tensor), ("level", "steps", "values", "dpi", *_common(diff))),
    "stepper": Kind((Tensor,), ()),
    "animate": Kind((Tensor, Cell, Run), ("unroll", "level", "steps", "values", "no_heat", "every", "seconds", "dpi",
                                          *_common(animate))),
}
OPTIONS = tuple(dict.fromkeys(option for kind in KINDS.values() for option in kind.options))
# The options that do nothing for some of the objects that a kind draws.
WITHOUT: dict[tuple[str, type], tuple[str, ...]] = {
    ("unrolled", Run): ("unroll",), ("unrolled", Tensor): ("unroll",), ("animate", Run): ("unroll", "no_heat"),
    ("animate", Tensor): ("unroll",), ("animate", Cell): ("no_heat",), ("diff", Cell): ("steps", "values"),
    ("diff", Run): ("equations",), ("diff", Tensor): ("steps", "level", "equations"),
}
EXPLAINED = {"unroll": "it is for a Cell", "no_heat": "it is for the backward pass of a loss",
             "steps": "it is for runs", "values": "it is for runs and Tensors", "level": "it is for Cells and runs",
             "equations": "it is for Cells"}
SWITCHES = {"parameters": "the list of parameters", "equations": "the equations",
            "legend": "what the colours mean", "shapes": "the shape of every signal, h[3] (8)",
            "biases": "in a box the parameters that are added, + b"}
DESCRIPTION = """Draw a definition, a run or a tensor of a file.

kinds of pictures; without one, that of what is named and of the file's ending:
  rolled         a Cell
  unrolled       a run; a Cell with --unroll T; a loss with its run
  both           a Cell, rolled and unrolled side by side
  graph          a Tensor
  gradient_map   a run after its backward pass
  diff           two Cells, runs or Tensors
  stepper        the backward pass of a loss as a page, -o steps.html
  animate        a loss, Cell or run, -o bptt.gif; bptt.png gives the frames, bptt-01.png, ..."""


class UsageError(Exception):
    """The command line can't be carried out; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 after printing one line on an error, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        kind, targets = _split_words(options.words)
    except UsageError as error:
        return _report(error, options)
    loader = Loader([file for file, _ in targets])
    draw = partial(_draw_file, kind, targets, loader, options)
    try:
        if options.watch:
            watch(loader, draw)
        return draw()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        loader.forget()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m viz", description=DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="[KIND] FILE.py:NAME", nargs="+",
                        help="a Cell, an unrolled run or a Tensor in a file; of diff, two of them")
    parser.add_argument("-o", metavar="PICTURE", required=True,
                        help="e.g. picture.png, .svg, .pdf or .dot; .html is a page, .gif an animation")
    parser.add_argument("--unroll", type=int, metavar="T", help="unroll a Cell over T steps of zeros")
    parser.add_argument("--level", choices=LEVELS, help="ops: operations too; layers: one box for each layer")
    parser.add_argument("--steps", metavar="1-5,9", help="the time steps to draw; all others are folded")
    parser.add_argument("--values", action="store_true", default=None, help="values and gradients in the boxes")
    parser.add_argument("--heat", action="store_true", default=None, help="boxes coloured by the gradient's norm")
    parser.add_argument("--no-heat", action="store_true", default=None, help="an animation of a loss without it")
    parser.add_argument("--every", type=int, metavar="N", help="steps from frame to frame")
    parser.add_argument("--seconds", type=float, help="how long a frame is shown")
    parser.add_argument("--title", metavar="TEXT", help="another title")
    parser.add_argument("--no-title", dest="title", action="store_const", const=False, help="none")
    for name, meaning in SWITCHES.items():
        parser.add_argument(_written(name), action=argparse.BooleanOptionalAction, help=meaning)
    parser.add_argument("--per-row", type=int, metavar="N", help="time steps in a row of the picture")
    parser.add_argument("--aspect", type=_aspect, metavar="slide|page|W/H",
                        help="the page for which letters are made large: slide is 16:9, page A4")
    parser.add_argument("--notation", choices=NOTATIONS, help="math: time steps as subscripts")
    parser.add_argument("--dark", action="store_true", default=None, help="light lines on a dark background")
    parser.add_argument("--dpi", type=int, help=f"dots per inch of a PNG, JPEG or GIF (default {DPI})")
    parser.add_argument("--watch", action="store_true",
                        help="draw again whenever the file or a module of its folder changes, until Ctrl-C")
    parser.add_argument("--traceback", action="store_true", help="show the calls that led to an error")
    return parser


def _split_words(words: Sequence[str]) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the kind of picture, if it is given, and (file, name) of each target."""
    kind, names = (words[0], words[1:]) if words[0] in KINDS else (None, words)
    targets = []
    for target in names:
        file, _, name = target.rpartition(":")
        if not file or not name:
            kinds = "" if target.endswith(".py") else f", nor one of the kinds {', '.join(KINDS)}"
            raise UsageError(f"{target!r} is not of the form FILE.py:NAME{kinds}")
        targets.append((file, name))
    wanted = 2 if kind == "diff" else 1
    if len(targets) != wanted:
        raise UsageError(f"{kind or 'a picture'} is of {'two' if wanted == 2 else 'one'} FILE.py:NAME, not of "
                         f"{len(targets)}" + ("" if kind else "; the kind stands first, e.g. diff a.py:net b.py:net"))
    return kind, targets


def _draw_file(kind: str | None, targets: Sequence[tuple[str, str]], loader: Loader, options: argparse.Namespace
               ) -> int:
    """Run the files, draw the objects and write the picture; return the exit code."""
    try:
        with Progress(3) as progress:
            progress.begin("reading")
            loader.load([file for file, _ in targets])
            objects = [_find(loader.variables[file], file, name) for file, name in targets]
            progress.begin("layout")
            kind = kind or _usual_kind(objects[0], options)
            drawn = _draw(kind, objects, _checked_options(kind, objects, options), options.o)
            progress.begin("painting")
            paths = _write(drawn, options)
    except Exception as error:
        return _report(error, options)
    for path in paths:
        print(path, flush=True)
    return 0


def _report(error: Exception, options: argparse.Namespace) -> int:
    """Print an error in one line, after its traceback if that is wanted."""
    cause = error.__cause__ if isinstance(error, LoadError) else error
    hint = ""
    if cause is not None and not isinstance(cause, UsageError):
        if options.traceback:
            traceback.print_exception(type(cause), cause, cause.__traceback__)
        elif isinstance(error, LoadError):
            hint = " (--traceback shows the calls)"
    expected = isinstance(error, (UsageError, LoadError, ValueError, OSError, PaintError))
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    print("viz: " + " ".join(text.split()) + hint, file=sys.stderr, flush=True)
    return 2


def _find(variables: dict[str, Any], file: str, name: str) -> Any:
    """Return the object of a name in a file."""
    if name not in variables:
        known = [key for key, value in variables.items() if isinstance(value, (Cell, Run, Tensor))]
        raise UsageError(f"{file} has no {name!r}; it has {', '.join(known) or 'nothing'} that can be drawn")
    found = variables[name]
    if isinstance(found, Signal):
        own = [f", which is {file}:{key}" for key, value in variables.items() if value is found.cell]
        raise UsageError(f"{name} is a signal: draw its cell, {found.cell.name!r}{own[0] if own else ''}")
    if not isinstance(found, (Cell, Run, Tensor)):
        raise UsageError(f"{_with_article(found)} can't be drawn: name a Cell, an unrolled run or a Tensor")
    return found


def _with_article(found: Any) -> str:
    name = type(found).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def _usual_kind(found: Any, options: argparse.Namespace) -> str:
    """Return the kind of picture for the ending of the file, or for an object."""
    suffix = Path(options.o).suffix.lower()
    if suffix in PAGES:
        return "stepper"
    if suffix == ".gif":
        return "animate"
    if isinstance(found, Tensor):
        return "graph"
    return "unrolled" if isinstance(found, Run) or options.unroll is not None else "rolled"


def _checked_options(kind: str, objects: Sequence[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that are given; refuse objects, options and endings that a kind of picture doesn't have."""
    draws, allowed = KINDS[kind]
    for found in objects:
        if not isinstance(found, draws):
            raise UsageError(f"{kind} draws {' or '.join(f'a {each.__name__}' for each in draws)}, not "
                             f"{_with_article(found)}")
    if len({next(each for each in draws if isinstance(found, each)) for found in objects}) > 1:
        raise UsageError("diff compares two Cells, two runs or two Tensors, not "
                         + " with ".join(map(_with_article, objects)))
    suffix = Path(options.o).suffix.lower()
    if (suffix in PAGES) != (kind == "stepper"):
        ending = "an .html file" if suffix in PAGES else repr(suffix or options.o)
        remedy = "-o steps.html" if kind == "stepper" else "e.g. .png, .svg or .pdf; stepper makes a page"
        raise UsageError(f"{kind} can't be {ending}: {remedy}")
    given = {option: getattr(options, option) for option in OPTIONS if getattr(options, option) is not None}
    missing = WITHOUT.get((kind, next(each for each in (Cell, Run, Tensor) if isinstance(objects[0], each))), ())
    for option in given:
        if option not in allowed:
            others = [other for other in KINDS if option in KINDS[other].options]
            raise UsageError(f"{_written(option)} does nothing for {kind}: it is for {', '.join(others)}"
                             + (" (a Cell is unrolled by --unroll T)" if option == "steps" else ""))
        if option in missing:
            raise UsageError(f"{_written(option)} does nothing for {kind} of {_with_article(objects[0])}: "
                             f"{EXPLAINED[option]}")
    if options.dpi is not None and options.dpi < 1:
        raise UsageError(f"--dpi {options.dpi}: 1 dot per inch or more")
    if "dpi" in given and suffix.removeprefix(".") not in RASTER:
        formats = ", ".join(f".{each}" for each in sorted(RASTER))
        raise UsageError(f"--dpi does nothing for {suffix or options.o}: it is for {formats}")
    if "steps" in given:
        given["steps"] = _parse_steps(given["steps"])
    if given.get("unroll", 1) < 1:
        raise UsageError(f"--unroll {given['unroll']}: unroll 1 step or more")
    return given


def _draw(kind: str, objects: Sequence[Any], given: dict[str, Any], outfile: str) -> Picture | Animation | Page:
    """Return the picture, the animation or the page, which is written; a picture gets its `dpi` later."""
    found, dpi, T = objects[0], given.pop("dpi", None), given.pop("unroll", None)
    if kind == "unrolled":
        if isinstance(found, Tensor):
            return unrolled(runs_behind(found) or run_of(found), loss=found, **given)
        if isinstance(found, Cell) and T is None:
            raise UsageError("unrolled of a Cell: give the number of steps, --unroll T")
        return unrolled(unroll_zeros(found, T) if isinstance(found, Cell) else found, **given)
    if kind == "both":
        return both(found, **({} if T is None else {"steps": T}), **given)
    if kind == "animate":
        if given.pop("no_heat", False):
            given["heat"] = False
        return animate(found, dpi=dpi, **({} if T is None else {"T": T}), **given)
    if kind == "stepper":
        return stepper(found, outfile)
    simple: dict[str, Any] = {"rolled": rolled, "graph": graph, "gradient_map": gradient_map, "diff": diff}
    return simple[kind](*objects, **given)


def _write(drawn: Picture | Animation | Page, options: argparse.Namespace) -> Sequence[str | Path]:
    """Write the file, or a file for each frame, and return their names."""
    if isinstance(drawn, Animation):
        return drawn.render(options.o)
    if isinstance(drawn, Page):
        return [drawn.path or options.o]
    return [drawn.render(outfile=options.o, dpi=options.dpi or DPI)]


def _written(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _aspect(text: str) -> str | float:
    """Return a number, also that of "16/9"; or the word that it isn't."""
    with suppress(ValueError, ZeroDivisionError):
        width, _, height = text.partition("/")
        return float(width) / float(height or 1)
    return text


def _parse_steps(text: str) -> list[int]:
    """Return the numbers of "1-5,9"."""
    steps: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if found is None:
            raise UsageError(f"--steps {text}: write whole numbers and ranges between commas, e.g. 1-5,9")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UsageError(f"--steps {text}: the range {part.strip()} ends before it begins")
        if last - first >= MANY:
            raise UsageError(f"--steps {text}: a picture of more than {MANY} steps can't be read")
        steps += range(first, last + 1)
    return steps


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
