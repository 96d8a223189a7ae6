"""`viz.animate`: a run that is unrolled step by step, or a backward pass, as a GIF and as numbered pictures."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from types import NoneType

from minigrad import Tensor
from minigrad.formats.files import write_atomically
from rnn import Cell, Run
from rnn.unrolling.run import runs_behind
from viz.layout.folding import choose_steps
from viz.layout.options import Options
from viz.render.digraph import DPI, picture
from viz.render.fonts import clean
from viz.render.gif import write_gif

from .arguments import check_type
from .frames import Frame, backward_pass, unrolling
from .side_by_side import beside_rolled, unroll_zeros
from .unrolled_drawing import UnrolledDrawing, unrolled_spec

MOST = 200  # frames
SECONDS = 0.8  # for which a frame is shown
WIDEST = 1920  # pixels of a frame, by default
DEFAULT_T = 4
LAST = 3  # the last frame is shown longer, by this factor


class Animation:
    """Pictures that are shown one after the other; a notebook plays them.

    Attributes:
        frames: the pictures, which can be rendered one by one.
        numbers: for each frame, how many steps of the backward pass have run; of an unroll, how many time steps are
            drawn.
        captions: the text under each frame.
        seconds: how long each frame is shown.
        title: the animation in words.
        files: the files that were written last.
    """

    def __init__(self, title: str, frames: Sequence[Frame], seconds: float, dark: bool, dpi: int | None,
                 notation: str = "code") -> None:
        self.title = title
        self.frames = [picture(frame.scene, dark, notation) for frame in frames]
        self.numbers = [frame.number for frame in frames]
        self.captions = [frame.caption for frame in frames]
        self.seconds = [seconds] * (len(frames) - 1) + [seconds * LAST]
        left, _, right, _ = frames[0].scene.bounds()
        self.dpi = dpi or min(DPI, int(WIDEST * 72 / (right - left)))
        self.files: list[Path] = []

    @cached_property
    def gif(self) -> bytes:
        """The animation as a GIF, which repeats for ever."""
        return write_gif((frame.pipe_at("png", self.dpi) for frame in self.frames), self.seconds)

    def render(self, outfile: str | os.PathLike[str]) -> list[Path]:
        """Write a GIF; or each frame as a picture, if the name ends in another format.

        "frames/bptt.png" gives frames/bptt-01.png, frames/bptt-02.png, ...: as many digits as the last number has.

        Args:
            outfile: the name; a file is written atomically, and its folder must exist.

        Returns:
            The files.

        Raises:
            PaintError: if the frames can't be painted; for a GIF, if Pillow isn't installed.
            ValueError: if a GIF would need too much memory, or the name has no format.
            OSError: if a file can't be written.
        """
        path = Path(outfile)
        if path.suffix.lower() == ".gif":
            self.files = [write_atomically(path, self.gif)]
            return self.files
        digits = len(str(len(self.frames)))
        names = [path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}")
                 for number in range(1, len(self.frames) + 1)]
        if not path.suffix:
            raise ValueError(f"the name {str(path)!r} doesn't end in a format: {path.name}.gif is an animation, "
                             f"{path.name}.png gives {names[0].name}.png, ...")
        self.files = [Path(frame.render(outfile=name, dpi=self.dpi)) for frame, name in zip(self.frames, names)]
        return self.files

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<Animation: {self.title}, {len(self)} frames, {sum(self.seconds):.1f} s>"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.gif).decode()
        return f'<img style="max-width:100%" alt="{escape(self.title)}" src="data:image/gif;base64,{data}">'

    def _repr_png_(self) -> bytes:
        return self.frames[-1].pipe_at("png", self.dpi)


def animate(what: Tensor | Cell | Run, outfile: str | os.PathLike[str] | None = None, *, run: Run | None = None,
            T: int | None = None, level: str = "signals", steps: Iterable[int] | None = None, values: bool = False,
            heat: bool | None = None, every: int | None = None, seconds: float = SECONDS, most: int = MOST,
            title: bool | str = True, parameters: bool = True, equations: bool = False, legend: bool | None = None,
            shapes: bool | None = None, biases: bool = False, per_row: int | None = None, notation: str = "code",
            dark: bool = False, dpi: int | None = None) -> Animation:
    """Animate the backward pass of a loss, or the unroll of a definition; write it to a file.

    Of a loss, the first frame shows the unrolled graph without gradients. Each further frame shows the box of the next
    operation, and all gradients that are known then, "arrived: ..." or "so far" where later steps add to them; the last
    has all of them. Of a Cell or a run, each frame adds a time step; a Cell's rolled picture is on the left. All frames
    have the same size, and every box is in the same place.

    The pass is that of `loss.backward_steps()`; every `.grad` is restored afterwards. Hooks are called, once each.

    Args:
        what: a loss, a single number that was computed from a run; or a Cell, or a run.
        outfile: "bptt.gif"; or "frames/bptt.png" for the frames as frames/bptt-01.png, frames/bptt-02.png, ..., also as
            .svg or .pdf. By default no file is written.
        run: the run of a loss that was computed from several.
        T: the number of steps of a Cell, which is unrolled over zeros; by default four.
        level: "signals"; "ops" to draw the operations of every equation too; "layers" to draw each layer as one box.
        steps: the time steps to draw, e.g. [1, 2, 50, 100]; all others are folded. By default all of a short run, both
            ends of one of more than twelve steps.
        values: write values and gradients into the boxes.
        heat: colour the boxes by the logarithm of the gradient's norm, on one scale for all frames. By default of a
            loss.
        every: how many steps of the pass there are from frame to frame, by default those of one box; of a Cell or a
            run, how many time steps, by default one.
        seconds: how long a frame is shown; the last one three times as long.
        most: the largest number of frames.
        title, parameters, equations, legend, shapes, biases, per_row: of the picture, as in `viz.unrolled`.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.
        dpi: dots per inch of a GIF or PNG; by default 110, or as many as make a frame 1920 pixels wide.

    Raises:
        TypeError: for anything else than a Tensor, a Cell or a run.
        ValueError: if the loss isn't a single number or wasn't computed from a run; for too many frames; for an option
            that these frames don't have; and any error of `loss.backward()`.
        PaintError: if the frames can't be painted; for a GIF, if Pillow isn't installed.
        OSError: if a file can't be written.
    """
    if every is not None and every < 1:
        raise ValueError(f"every={every}: one step or more from frame to frame")
    if not seconds >= 0.02:
        raise ValueError(f"seconds={seconds}: a frame of a GIF is shown for 0.02 s or longer")
    options = Options(title, parameters, equations, legend, shapes, biases, per_row, None, notation, dark)
    check_type(what, (Tensor, Cell, Run), "viz.animate() takes a loss, a Cell or a run")
    check_type(run, (Run, NoneType), "run= takes a run, cell.unroll(...)")
    if T is not None and not isinstance(what, Cell):
        raise ValueError(f"T={T} is for a Cell, which is unrolled for the picture: a run, or that of a loss, has its "
                         "own number of steps; steps=[...] chooses those that are drawn")
    if isinstance(what, Tensor):
        frames, words = _backward_frames(what, run, level, steps, values, heat, every, most, options)
    else:
        if heat or run is not None:
            raise ValueError(f"{'heat=' if heat else 'run='} is for a backward pass: animate the loss")
        whole = what if isinstance(what, Run) else unroll_zeros(what, _checked_length(DEFAULT_T if T is None else T))
        spec = replace(unrolled_spec(whole, choose_steps(whole.T, True, steps), level, options=options),
                       parameters=whole.parameters, values=values)
        drawing = beside_rolled(what, spec, level) if isinstance(what, Cell) else UnrolledDrawing(spec).draw()
        frames, words = unrolling(drawing, every or 1, most), f"{clean(whole.cell.name)}, unrolled step by step"
    animation = Animation(words, frames, seconds, dark, dpi, notation)
    if outfile is not None:
        animation.render(outfile)
    return animation


def _backward_frames(loss: Tensor, run: Run | None, level: str, steps: Iterable[int] | None, values: bool,
                     heat: bool | None, every: int | None, most: int, options: Options) -> tuple[list[Frame], str]:
    """Return the frames and the title of a backward pass."""
    if loss.size != 1:
        raise ValueError(f"a backward pass starts from a single number, and {loss!r} has shape {loss.shape}: animate "
                         "its sum or its mean, e.g. viz.animate(y.sum())")
    run = run_of(loss, run)
    spec = replace(unrolled_spec(run, choose_steps(run.T, True, steps), level, options=options),
                   parameters=run.parameters, loss=loss, values=values, heat=heat is not False)
    return backward_pass(run, loss, spec, every, most), f"backward pass of {clean(loss.label) or 'the loss'}"


def run_of(loss: Tensor, run: Run | None = None) -> Run:
    """Return the run that a loss was computed from; `run`, if it is given."""
    if run is not None:
        return run
    runs = runs_behind(loss)
    if not runs:
        raise ValueError(f"{loss!r} wasn't computed from a run that still exists: keep the run in a variable, or give "
                         "it, run=...; viz.stepper steps through the backward pass of any tensor")
    if len(runs) > 1:
        raise ValueError(f"{loss!r} was computed from {len(runs)} runs, {', '.join(map(repr, runs))}, and an "
                         "animation draws one: say which, run=...; viz.stepper steps through all of them, and "
                         "viz.unrolled draws them in one picture")
    return runs[0]


def _checked_length(T: int) -> int:
    if T < 1:
        raise ValueError(f"T={T}: unroll one step or more")
    return T
