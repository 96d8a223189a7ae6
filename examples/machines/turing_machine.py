"""A Turing machine as a recurrence: the busy beaver of four states, step by step.

    python -m examples.turing_machine [--seed 0] [--out DIR]

A Turing machine has a tape of zeros and ones, endless on both sides and 0 at first, and a head. Its table says, for
each state and symbol under the head, which symbol is written, whether the head goes left or right, and the next state.
`program` makes rules for two stacks of it, which `stack_machine.network` writes with units σ(a) = min(max(a, 0), 1).
One has the tape to the left of the head, the other the symbol under it and all to the right; on an empty stack the tape
is 0. (Siegelmann and Sontag, On the computational power of neural nets, J. Computer and System Sciences 50, 1995.)

The busy beaver of four states writes as many ones as a machine of four states can that halts: 13, in 107 steps (Brady,
The determination of the value of Rado's noncomputable function Σ(k) for four-state Turing machines, Mathematics of
Computation 40, 1983).

Claimed: the recurrence does what the table says, exactly, as long as each side of the head has at most 26 symbols
(float64). With unlimited precision it does so for ever, and there are tables that compute all that any computer does.
Not claimed: with floats, this for ever. A machine that writes ones and goes right fails when it has written 27.

Threshold: the busy beaver halts after 107 steps with 13 ones, its tape as that of the table followed in plain Python at
each step; so are 100 random machines of 2 to 5 states, over 25 steps. Measured for seeds 0, 1, 2: no difference.
Picture: tape.png. Time: 3 s.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

import minigrad as mg
import viz
from examples import common
from examples.machines.stack_machine import Program, Rule, network, stack

Table = Mapping[tuple[str, int], tuple[int, str, str]]  # state and symbol -> what is written, "left" or "right", state
BUSY_BEAVER: Table = {
    ("A", 0): (1, "right", "B"), ("A", 1): (1, "left", "B"),
    ("B", 0): (1, "left", "A"), ("B", 1): (0, "left", "C"),
    ("C", 0): (1, "right", "halt"), ("C", 1): (1, "left", "D"),
    ("D", 0): (1, "right", "D"), ("D", 1): (0, "right", "A"),
}
HALTED = ("keep", "keep")  # the actions of a machine that has halted
RIGHT: Table = {("A", 0): (1, "right", "A"), ("A", 1): (1, "right", "A")}


class Step(NamedTuple):
    """A machine at one step: its state, the place of its head, and the places at which the tape is 1."""

    state: str
    head: int
    ones: frozenset[int]


def program(name: str, table: Table) -> Program:
    """Return a Turing machine as rules for two stacks; states without a line in the table halt."""
    rules = []
    for (state, read), (write, way, then) in table.items():
        for left, right in itertools.product("*" if way == "right" else "01-", "0-" if read == 0 else "1"):
            written = f"push {write}" if right == "-" else f"pop, push {write}"
            if way == "right":
                actions = (f"push {write}", "keep" if right == "-" else "pop")
            else:
                actions = ("keep" if left == "-" else "pop", f"{written}, push {left.replace('-', '0')}")
            rules.append(Rule(state, "*", left + right, then, actions))
    halting = {then for _, _, then in table.values()} - {state for state, _ in table}
    return Program(name, "", [*rules, *(Rule(state, "*", "**", state, HALTED) for state in sorted(halting))])


def followed(table: Table, steps: int) -> list[Step]:
    """Return the machine at t = 0 ... steps, by following the table."""
    state, head, ones = "A", 0, set[int]()
    history = [Step(state, head, frozenset(ones))]
    for _ in range(steps):
        if (line := table.get((state, int(head in ones)))) is not None:
            write, way, state = line
            (ones.add if write else ones.discard)(head)
            head += 1 if way == "right" else -1
        history.append(Step(state, head, frozenset(ones)))
    return history


def computed(table: Table, steps: int) -> list[Step]:
    """Return the machine at t = 0 ... steps, by the recurrence.

    Raises:
        ValueError: where the numbers are no stacks any more.
    """
    machine = program("machine", table)
    with mg.no_grad():
        outputs = network(machine).compile()(T=steps, contents=np.zeros(2))
    history, head = [Step("A", 0, frozenset())], 0
    for q, s, rule in zip(outputs["q"], outputs["s"], outputs["rule"]):
        actions = machine.rules[rule.argmax()].actions
        head += 0 if actions == HALTED else 1 if actions[0].startswith("push") else -1
        left, right = stack(q[0]), stack(q[1])
        ones = [*(head - 1 - place for place, symbol in enumerate(left) if symbol == "1"),
                *(head + place for place, symbol in enumerate(right) if symbol == "1")]
        history.append(Step(machine.states[s.argmax()], head, frozenset(ones)))
    return history


def random_table(rng: np.random.Generator) -> Table:
    """Return a machine of 2 to 5 states that halts at one of its lines."""
    states = list("ABCDE"[:rng.integers(2, 6)])
    table = {(state, read): (int(rng.integers(2)), str(rng.choice(["left", "right"])), str(rng.choice(states)))
             for state in states for read in (0, 1)}
    last = (states[-1], int(rng.integers(2)))
    return {**table, last: (*table[last][:2], "halt")}


def longest(table: Table, most: int) -> int:
    """Return the number of steps for which the recurrence follows a table, of at most `most`."""
    for steps in range(1, most + 1):
        try:
            if computed(table, steps)[-1] != followed(table, steps)[-1]:
                return steps - 1
        except ValueError:
            return steps - 1
    return most


def draw(options: common.Options, history: list[Step]) -> None:
    """Draw the tape over time, from left to right, and the head in the colour of its state."""
    places = range(min(min(step.ones | {step.head}) for step in history) - 1,
                   max(max(step.ones | {step.head}) for step in history) + 2)
    tape = np.array([[place in step.ones for step in history] for place in places])
    with common.figure(options.out / "tape.png", (12.5, 4.2)) as figure:
        axes = figure.subplots()
        axes.imshow(tape, cmap="Greys", vmin=0, vmax=1.6, aspect="auto", interpolation="none",
                    extent=(-0.5, len(history) - 0.5, places[-1] + 0.5, places[0] - 0.5))
        for state, color in zip(dict.fromkeys(step.state for step in history), common.COLORS):
            when = [(number, step.head) for number, step in enumerate(history) if step.state == state]
            axes.plot(*zip(*when), "o", color=color, markersize=6, markeredgecolor="white", label=state)
        ones, steps = len(history[-1].ones), len(history) - 1
        axes.set(xlabel="time step t", ylabel="place on the tape",
                 title=f"A recurrence is the busy beaver of four states: {ones} ones (dark) in {steps} steps")
        figure.legend(title="head, by state", loc="outside right upper")


def example(options: common.Options) -> None:
    """Run the busy beaver, random machines, and one that needs too long a tape."""
    rng, number = options.rng, 5 if options.small else 100
    history = computed(BUSY_BEAVER, 120)
    halted = next(step for step, machine in enumerate(history) if machine.state == "halt")
    same = "as" if history == followed(BUSY_BEAVER, 120) else "NOT as"
    print(f"busy beaver: halts after {halted} steps with {len(history[-1].ones)} ones, at each step {same} the table")
    tables = [random_table(rng) for _ in range(number)]
    wrong = sum(computed(table, 25) != followed(table, 25) for table in tables)
    print(f"{wrong} of {number} random machines differ from their tables in 25 steps")
    print(f"writing ones to the right is right for {longest(RIGHT, 40)} steps")
    print("threshold: 107 steps, 13 ones; 0 machines; 26 steps")
    picture = viz.rolled(network(program("busy beaver", BUSY_BEAVER)), title="A Turing machine of units σ")
    picture.render(outfile=options.out / "machine.png")
    draw(options, history[:halted + 1])


if __name__ == "__main__":
    sys.exit(common.Parser("turing_machine", "Run a Turing machine that is a recurrence.").run(example))
