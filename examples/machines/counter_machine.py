"""A recurrence that is a machine with four counters: it adds and multiplies, without an error.

    python -m examples.counter_machine [--out DIR]

A counter holds a whole number. A line of a program adds one to a counter, or takes one off it; where the counter is
zero, the machine goes to another line instead. Given time, such machines compute all that a computer can: two counters
are enough (Minsky, Computation: finite and infinite machines, 1967, chapter 14). As a recurrence, `line` has an element
for each line, 1 for the next one, and `count` are the counters:

    jump[t]  = σ(line[t-1] - falls @ count[t-1] - others)         σ(a) = min(max(a, 0), 1)
    do[t]    = line[t-1] - jump[t]                                the line, unless its counter is zero
    count[t] = count[t-1] + change @ do[t]
    line[t]  = then @ do[t] + otherwise @ jump[t]

A program is the constants `falls`, `others`, `change`, `then` and `otherwise`; nothing is learned. ADDITION moves a and
b into c. MULTIPLICATION adds b to c as often as one can be taken off a, and has d to restore b.

Claimed: the equations follow any such program exactly, while the counters are whole numbers that are floats: up to
2**53 with float64, and 2**24 with float32, where adding 1 has no effect. Not claimed: that such a network is learned
from examples, or that it is fast: a product takes a (5 b + 3) + 1 steps. Counters aren't limited to 0 ... 1 as units σ
are; a network of σ keeps them as stacks (python -m examples.stack_machine). Which trained networks count is another
question (Weiss, Goldberg and Yahav, On the practical computational power of finite precision RNNs for language
recognition, ACL 2018: the LSTM does, the GRU doesn't).

Threshold: no wrong sum or product of the numbers from 0 to 12. Measured: none of 338. There are no random numbers.
Picture: counters.png. Time: 2 s.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

import minigrad as mg
import viz
from examples import common
from examples.machines.stack_machine import constants, saturated
from rnn import Cell, t

COUNTERS = "abcd"
LARGEST = {"float32": 2 ** 24, "float64": 2 ** 53}  # from here on, not all whole numbers are floats


class Line(NamedTuple):
    """A line of a program.

    Attributes:
        counter: which one it changes.
        change: 1, -1, or 0 to leave it.
        then: the name of the next line.
        otherwise: the name of the next line where the counter should fall and is zero.
    """

    counter: str
    change: int
    then: str
    otherwise: str = ""


Program = Mapping[str, Line]  # by name; the first line is where it begins
ADDITION: Program = {
    "take a": Line("a", -1, "move a", "take b"),
    "move a": Line("c", +1, "take a"),
    "take b": Line("b", -1, "move b", "done"),
    "move b": Line("c", +1, "take b"),
    "done": Line("a", 0, "done"),
}
MULTIPLICATION: Program = {
    "take a": Line("a", -1, "take b", "done"),  # once more b
    "take b": Line("b", -1, "to c", "take d"),
    "to c": Line("c", +1, "to d"),
    "to d": Line("d", +1, "take b"),
    "take d": Line("d", -1, "to b", "take a"),
    "to b": Line("b", +1, "take d"),
    "done": Line("a", 0, "done"),
}


def network(name: str, program: Program) -> Cell:
    """Return a program as a recurrence.

    Raises:
        ValueError: where a line that takes one off doesn't say where to go if it can't.
    """
    names, lines = list(program), list(program.values())
    if unsaid := [name for name, line in program.items() if line.change < 0 and not line.otherwise]:
        raise ValueError(f"where does the machine go from {unsaid[0]!r} if the counter is zero?")
    falls, others, change, then, otherwise = constants(
        falls=[[line.change < 0 and line.counter == counter for counter in COUNTERS] for line in lines],
        others=[line.change >= 0 for line in lines],
        change=[[line.change * (line.counter == counter) for line in lines] for counter in COUNTERS],
        then=[[line.then == name for line in lines] for name in names],
        otherwise=[[line.otherwise == name for line in lines] for name in names])

    cell = Cell(name)
    given = cell.static("given", len(COUNTERS))
    jump, do, line = (cell.signal(name, len(lines)) for name in ("jump", "do", "line"))
    count = cell.signal("count", len(COUNTERS))
    count[0], line[0] = given, np.eye(len(lines))[0]
    jump[t] = saturated(line[t-1] - falls @ count[t-1] - others)
    do[t] = line[t-1] - jump[t]
    count[t] = count[t-1] + change @ do[t]
    line[t] = then @ do[t] + otherwise @ jump[t]
    return cell


def computed(program: Program, given: Sequence[Sequence[int]], steps: int,
             dtype: DTypeLike = float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the counters, (steps + 1, machines, 4), and the number of the next line, at t = 0 ... steps.

    Args:
        given: the counters of each machine at first.

    Raises:
        RuntimeError: if a machine isn't done by then.
    """
    start = np.array(given, dtype)
    with mg.no_grad():
        outputs = network("program", program).compile()(T=steps, given=start)
    line = outputs["line"].argmax(axis=-1)
    if (line[-1] != list(program).index("done")).any():
        raise RuntimeError(f"the program isn't done after {steps} steps")
    return np.concatenate([start[None], outputs["count"]]), np.concatenate([0 * line[:1], line])


def table(program: Program, most: int, steps: int) -> NDArray[Any]:
    """Return the result for all pairs of numbers up to `most`, (most + 1, most + 1)."""
    pairs = [(a, b, 0, 0) for a, b in itertools.product(range(most + 1), repeat=2)]
    counts, _ = computed(program, pairs, steps)
    return counts[-1, :, COUNTERS.index("c")].reshape(most + 1, most + 1)


def stuck(dtype: str) -> float:
    """Return by how much a counter grows if 5 is added where only 2 more whole numbers are floats."""
    start = LARGEST[dtype] - 2
    return float(computed(ADDITION, [(5, 0, start, 0)], 12, dtype)[0][-1, 0, 2]) - start


def draw_counters(options: common.Options, a: int, b: int) -> None:
    """Draw the counters and the line of the program while the machine multiplies."""
    steps = a * (5 * b + 3) + 1
    counts, line = computed(MULTIPLICATION, [(a, b, 0, 0)], steps)
    with common.figure(options.out / "counters.png", (8.8, 4.95)) as figure:
        above, below = figure.subplots(2, sharex=True, height_ratios=[3, 2])
        for name, values, color, shift in zip(COUNTERS, counts[:, 0].T, common.COLORS, (-0.12, -0.04, 0.04, 0.12)):
            above.step(range(steps + 1), values + shift, where="post", color=color, linewidth=2, label=name)
        above.set(title=f"{a} × {b} = {counts[-1, 0, 2]:g}, by adding and taking off one", ylabel="counters")
        above.legend(loc="upper left", ncols=4)
        below.step(range(steps + 1), line[:, 0], where="post", color="#333333")
        below.set(xlabel="time step t", ylabel="next line", yticks=range(len(MULTIPLICATION)))
        below.set_yticklabels(list(MULTIPLICATION), family="monospace", fontsize=9)
        below.invert_yaxis()
        for axes in (above, below):
            axes.grid(alpha=0.3)


def example(options: common.Options) -> None:
    """Add and multiply all pairs of small numbers; then count too far."""
    most = 4 if options.small else 12
    numbers = np.arange(most + 1)
    for name, program, wanted, steps in [
            ("sums", ADDITION, np.add.outer(numbers, numbers), 4 * most + 2),
            ("products", MULTIPLICATION, np.multiply.outer(numbers, numbers), most * (5 * most + 3) + 1)]:
        wrong = int((table(program, most, steps) != wanted).sum())
        print(f"{wrong} wrong of {wanted.size} {name} of the numbers from 0 to {most}, in at most {steps} steps")
    for dtype, largest in LARGEST.items():
        print(f"{dtype}: {largest} - 2 + 5 is {largest} - 2 + {stuck(dtype):g}")
    print("threshold: none wrong")
    viz.rolled(network("multiplication", MULTIPLICATION), title="A machine with four counters").render(
        outfile=options.out / "machine.png")
    draw_counters(options, 3, 4)


if __name__ == "__main__":
    sys.exit(common.Parser("counter_machine", "Run a counter machine that is a recurrence.", seeded=False).run(example))
