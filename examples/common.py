"""Options, a progress bar, a training loop and curves for the examples.

    parser = common.Parser("parity", "Parity of bits, one at a time.", steps=600)
    sys.exit(parser.run(example))              # example(options), with options.seed, .steps, .out

Definitions and data are in the examples themselves.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
import viz
from rnn import Cell, sequences

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A"]  # Okabe and Ito, 2008
Batch = Mapping[str, Any]  # arrays by the names of inputs


class Options(argparse.Namespace):
    """Command-line options; those that an example adds are attributes too."""

    seed: int
    steps: int
    small: bool
    out: Path

    @property
    def rng(self) -> np.random.Generator:
        """Return a new generator from the seed: every call gives the same numbers."""
        return np.random.default_rng(self.seed)


class Parser(argparse.ArgumentParser):
    """The options of an example: --seed, --steps (where it has updates to count), --small, --out.

    Args:
        name: of the example; its folder of pictures is out/NAME by default.
        summary: what it does, for --help.
        steps: updates of the parameters by default; None: it has none, and no such option.
        small: updates with --small, which shows in seconds that the example runs, not its result. The example reads
            `options.small` where it has other work to cut short.
        out: another default folder.
        seeded: False for one whose random numbers are fixed; it has no --seed.
        seed: another default seed.
    """

    def __init__(self, name: str, summary: str, steps: int | None = None, out: Path | None = None, *,
                 small: int = 3, seeded: bool = True, seed: int = 0) -> None:
        super().__init__(prog=name, description=summary)
        folder = out or Path("out") / name
        self.updates = (steps, small)
        if seeded:
            self.add_argument("--seed", type=natural, default=seed, help=f"of all random numbers (default {seed})")
        if steps is not None:
            self.add_argument("--steps", type=positive, help=f"updates of the parameters (default {steps})")
        self.add_argument("--small", action="store_true", help="run in seconds: too short for the result")
        self.add_argument("--out", type=Path, default=folder, help=f"folder for the pictures (default {folder})")

    def error(self, message: str) -> NoReturn:
        """Report bad arguments in one line."""
        self.exit(2, f"{self.prog}: {message}; see python -m examples.{self.prog} --help\n")

    def run(self, example: Callable[[Options], None], arguments: Sequence[str] | None = None) -> int:
        """Run `example`, and say which pictures it drew.

        Returns:
            The exit status: 0 where all went well, 1 where a file couldn't be written, 2 where a
            package is missing, 130 where it was stopped. Bad arguments exit with 2.
        """
        options = self.parse_args(arguments, Options())
        steps, small = self.updates
        if steps is not None:
            options.steps = options.steps or (small if options.small else steps)
        for package in ("matplotlib", "tqdm"):
            if importlib.util.find_spec(package) is None:
                print(f"{self.prog}: {package} is missing: pip install -e '.[draw]'", file=sys.stderr)
                return 2
        before: dict[Path, int] = {}
        started = time.perf_counter()
        try:
            options.out.mkdir(parents=True, exist_ok=True)
            before = _written(options.out)
            example(options)
        except KeyboardInterrupt:
            print(f"\nstopped; {_drawn(options.out, before)}")
            return 130
        except (OSError, viz.PaintError) as error:
            print(f"{self.prog}: {error}", file=sys.stderr)
            return 1
        print(f"done in {time.perf_counter() - started:.0f} s; {_drawn(options.out, before)}")
        return 0


def natural(text: str) -> int:
    """Parse an integer of at least 0, for argparse."""
    if not text.lstrip("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return int(text)


def positive(text: str) -> int:
    """Parse an integer above 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _written(folder: Path) -> dict[Path, int]:
    """Return the modification time of each file of a folder."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*") if path.is_file()}


def _drawn(folder: Path, before: Mapping[Path, int]) -> str:
    """Return the files that are new since `before`, in the order of drawing."""
    now = _written(folder)
    new = sorted((when, path.name) for path, when in now.items() if before.get(path) != when)
    return f"pictures in {folder}/: {', '.join(name for _, name in new)}" if new else "nothing was drawn"


class Progress:
    """Counts 0, 1, ..., and shows how far: a bar on a terminal, ten lines elsewhere.

        bar = Progress(1000)
        for update in bar:
            bar.show(loss=...)
    """

    def __init__(self, steps: int, what: str = "training", unit: str = "updates") -> None:
        self.steps = steps
        self.what = what
        self.unit = unit
        self._shown = ""
        self._bar: Any = None

    def show(self, **numbers: float) -> None:
        """Return the numbers to print beside the bar."""
        self._shown = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown, refresh=False)

    def __iter__(self) -> Iterator[int]:
        if sys.stdout.isatty():
            from tqdm import tqdm

            with tqdm(range(self.steps), desc=self.what, unit=f" {self.unit}", file=sys.stdout) as self._bar:
                yield from self._bar
            return
        for step in range(self.steps):
            yield step
            if (step + 1) % max(self.steps // 10, 1) == 0:
                print(f"  {self.what}: {step + 1} of {self.steps} {self.unit}, {self._shown}".rstrip(", "), flush=True)


def train(cell: Cell, batch: Callable[[], Batch], updates: int, *, rate: float, loss: str = "L",
          largest_norm: float = 1.0, what: str = "training") -> list[float]:
    """Train in the usual loop: a new batch, gradients through time, clipped, one step of Adam.

    Args:
        cell: a definition with its loss as a signal.
        batch: makes the data of one update, by the names of the inputs.
        rate: the learning rate at first; it goes down to a tenth along a line.
        loss: the signal's name; its mean over steps and sequences is minimised.

    Returns:
        The loss of every update.
    """
    program = cell.compile(loss=loss, reduction="mean")
    return descend(cell.parameters, lambda: program(**batch()).loss, updates, rate=rate, largest_norm=largest_norm,
                   what=what)


def descend(parameters: Mapping[str, mg.Tensor], update: Callable[[], float], updates: int, *, rate: float,
            largest_norm: float = 1.0, what: str = "training") -> list[float]:
    """Train by gradients that a function adds to the parameters' `.grad`: as `train`, for several definitions.

    Args:
        update: computes the gradients of one batch, and returns its loss.

    Returns:
        The loss of every update.
    """
    optimizer = mg.optim.Adam(parameters, lr=rate)
    losses: list[float] = []
    bar = Progress(updates, what)
    for number in bar:
        optimizer.zero_grad()
        losses.append(update())
        mg.optim.clip_grad_norm(parameters, largest_norm)
        optimizer.lr = mg.schedules.linear(number, rate, updates, end=rate / 10)
        optimizer.step()
        bar.show(loss=float(np.mean(losses[-50:])))
    return losses


def at_the_end(T: int, targets: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return targets (batch, ...) that count at the last of T steps only, as inputs named target and weight.

    The mean over steps of weight[t] times a loss is then the loss at the last step.
    """
    weight = np.zeros((T, len(targets)), np.float32)
    weight[-1] = T
    return {"target": np.broadcast_to(targets, (T, *targets.shape)), "weight": weight}


def at_their_ends(lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights (T, batch) for sequences of unequal length: 0 before the last step of each.

    The mean over all steps of a weight times a loss is the mean of the loss over the sequences where the last step of
    each counts as much as a sequence is long on average.
    """
    last: NDArray[np.float64] = (np.arange(1, lengths.max() + 1)[:, None] == lengths) * lengths.mean()
    return last


def valid(lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which steps of padded sequences there are, (batch, T)."""
    there: NDArray[np.bool_] = np.arange(lengths.max()) < lengths[:, None]
    return there


def next_codes(codes: Sequence[ArrayLike]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the inputs, the targets and the lengths of a model that reads each code and predicts the next one.

    Args:
        codes: sequences of numbers, from the mark of the beginning to that of the end.
    """
    numbers = [np.asarray(sequence) for sequence in codes]
    read, lengths = sequences.pad([sequence[:-1] for sequence in numbers])
    following, _ = sequences.pad([sequence[1:] for sequence in numbers])
    return read, following, lengths


@contextmanager
def figure(file: Path, size: tuple[float, float]) -> Iterator[Any]:
    """Give an empty matplotlib Figure to draw on, of a size in inches, and save it at the end."""
    from matplotlib.figure import Figure

    made = Figure(figsize=size, layout="constrained")
    yield made
    made.savefig(file, dpi=110)


@contextmanager
def axes(file: Path, **settings: Any) -> Iterator[Any]:
    """Give a matplotlib Axes to draw on, and save it at the end.

    Args:
        settings: what `Axes.set` takes: title, xlabel, ylabel, yscale, ylim, ...
    """
    with figure(file, (7, 4)) as made:
        drawing = made.subplots()
        yield drawing
        drawing.set(**settings)
        drawing.grid(alpha=0.3)
        if drawing.get_legend() is None and drawing.get_legend_handles_labels()[1]:
            drawing.legend(loc="best")  # named: by default matplotlib warns if its search takes a second


def write_weights(axes: Any, weights: NDArray[Any]) -> None:
    """Write the weights of attention into their cells of an image, those that aren't 0.00."""
    for (row, column), weight in np.ndenumerate(weights):
        if weight >= 0.005:
            axes.text(column, row, f"{weight:.2f}", ha="center", va="center", fontsize=10, zorder=3,
                      color="white" if weight > 0.5 else "black")


def draw_losses(file: Path, losses: Mapping[str, Sequence[float]], *, baseline: tuple[str, float] | None = None,
                **settings: Any) -> None:
    """Draw losses by update, each with its running mean, by label.

    Args:
        baseline: a label and a height: what can be had without learning, or a threshold.
        settings: see `axes`.
    """
    with axes(file, **{"xlabel": "update", "ylabel": "loss", **settings}) as drawing:
        for (label, values), color in zip(losses.items(), COLORS):
            window = max(len(values) // 50, 1)
            smooth = running_mean(values, window)
            drawing.plot(range(1, len(values) + 1), values, color=color, alpha=0.25, linewidth=1)
            drawing.plot(np.arange(len(smooth)) + window, smooth, color=color, linewidth=2, label=label)
        if baseline is not None:
            drawing.axhline(baseline[1], color="#555555", linestyle="--", label=baseline[0])


def running_mean(values: ArrayLike, window: int) -> NDArray[np.float64]:
    """Return the mean of every `window` values in a row: (N,) -> (N - window + 1,)."""
    return np.convolve(np.asarray(values, float), np.ones(window) / window, mode="valid")
