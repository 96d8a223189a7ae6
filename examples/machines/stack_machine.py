"""A recurrence that is a stack machine: brackets are matched and numbers counted up, without an error.

    python -m examples.stack_machine [--seed 0] [--out DIR]

One program has a stack, and reads brackets of two kinds; the other has two stacks, and adds one to a binary number. A
stack of zeros and ones is one number, in base 4 with the digits 1 and 3: a stack with w1 on top, w2 below it, ... is

    q = (2 w1 + 1) / 4 + (2 w2 + 1) / 16 + ...               the empty stack is 0

(Siegelmann and Sontag, On the computational power of neural nets, J. Computer and System Sciences 50, 1995). With
σ(a) = min(max(a, 0), 1), a unit reads the top, and an affine map pushes or pops:

    σ(4q)         0 for the empty stack, else 1              q/4 + (2w + 1)/4     w is pushed
    σ(4q - 2)     the symbol on top, 0 if there is none      4q - (2w + 1)        the top, w, is popped

`network` writes a machine with any number of stacks, given as a list of rules, as such units and sums of them: the
rules become constants of the equations, and nothing is learned. The first program pushes "[" as 1, "(" as 0. The two
stacks of the second are the tape of a Turing machine to the left and to the right of its head, which moves left over
ones, which become zeros, and back again. `python -m examples.turing_machine` makes such rules of any Turing machine.

Claimed: the equations follow a machine with any rules exactly, for any number of steps, while its stacks have no more
symbols than the floats have digits in base 4. Two stacks and rules are a Turing machine, so that with unlimited
precision a recurrent network computes all that a computer can. Not claimed: that such a network can be learned from
examples, nor that a network of floats is a Turing machine. It is a finite automaton, as is a computer with its memory:
float64, with 53 bits, holds 26 symbols (and 27 if the top is 0, which begins with a zero bit), float32, with 24 bits,
holds 12. The number of steps T is given beforehand; a machine that is done sooner keeps its state. The paper's network
has one layer of units for each time step; between q[t-1] and q[t] there are three here: full and one, rule, new.

Threshold: no wrong answer for all words of 8 brackets, for random words nested up to 26 deep, and for the successors of
all numbers below 1024 and of random ones of 25 digits. Measured for seeds 0, 1, 2: none. Of words nested deeper, half
of them with a wrong bracket at the end, 74% to 75% are judged rightly at 27, and 50% at 28; with float32 50% at 13.
Picture: stack.png. Time: 5 s.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t

Floats = NDArray[np.floating[Any]]
HOLDS = {"float32": 12, "float64": 26}  # symbols on a stack: half of the bits of a significand
PAIRS = {"(": ")", "[": "]"}


class Rule(NamedTuple):
    """A line of a program.

    Attributes:
        state: in which it applies.
        reads: the input symbol for which it applies, "*" for any.
        tops: a character for each stack, for which it applies: "0" or "1" on top, "-" for empty, "*" for any.
        then: the next state.
        actions: for each stack "push 0", "push 1", "pop" (of a known top), "keep", or several: "pop, push 1".
    """

    state: str
    reads: str
    tops: str
    then: str
    actions: tuple[str, ...]


class Program(NamedTuple):
    """A machine: its rules, of which at most one applies at a time; where none does, it stops and all is 0.

    Attributes:
        symbols: the input symbols; "" for a machine without input.
        rules: the state of the first one is the first state.
    """

    name: str
    symbols: str
    rules: list[Rule]

    @property
    def stacks(self) -> int:
        return len(self.rules[0].tops)

    @property
    def states(self) -> list[str]:
        return list(dict.fromkeys(name for rule in self.rules for name in (rule.state, rule.then)))


BRACKETS = Program("brackets", "()[]", [
    Rule("reading", "(", "*", "reading", ("push 0",)),
    Rule("reading", "[", "*", "reading", ("push 1",)),
    Rule("reading", ")", "0", "reading", ("pop",)),
    Rule("reading", "]", "1", "reading", ("pop",)),
])
INCREMENT = Program("increment", "", [  # the number is on the first stack, its last digit on top
    Rule("carry", "*", "1*", "carry", ("pop", "push 0")),
    Rule("carry", "*", "0*", "back", ("pop", "push 1")),
    Rule("carry", "*", "-*", "back", ("keep", "push 1")),
    Rule("back", "*", "*0", "back", ("push 0", "pop")),
    Rule("back", "*", "*1", "back", ("push 1", "pop")),
    Rule("back", "*", "*-", "done", ("keep", "keep")),
    Rule("done", "*", "**", "done", ("keep", "keep")),
])


def conditions(program: Program) -> Floats:
    """Return which of the conditions of a step each rule needs: ones in (rules, conditions), elsewhere zeros.

    The conditions are: each state, each input symbol, and for each stack whether it is empty, has 0 or has 1 on top.
    """
    tops = [(stack, top) for top in "-01" for stack in range(program.stacks)]
    return np.array([[*(rule.state == state for state in program.states),
                      *(rule.reads == symbol for symbol in program.symbols),
                      *(rule.tops[stack] == top for stack, top in tops)] for rule in program.rules], float)


def affine(rule: Rule) -> list[tuple[float, float]]:
    """Return the scale and the offset by which a rule's actions change the number of each stack.

    Raises:
        ValueError: for an unknown action, and where a rule pops a symbol that it doesn't know.
    """
    changes = []
    for top, action in zip(rule.tops, rule.actions):
        known = {"keep": (1.0, 0.0), "push 0": (1/4, 1/4), "push 1": (1/4, 3/4)}
        if top in "01":
            known["pop"] = (4.0, -(2.0 * int(top) + 1))
        scale, offset = 1.0, 0.0
        for part in action.split(", "):
            if part not in known:
                raise ValueError(f"{part!r} in {rule}: where the top is {top!r} an action is one of {', '.join(known)}")
            factor, summand = known[part]
            scale, offset = factor * scale, factor * offset + summand
            known.pop("pop", None)  # of the next symbol nothing is known
        changes.append((scale, offset))
    return changes


def check(program: Program) -> None:
    """Refuse a program in which two rules apply at the same time.

    Raises:
        ValueError: naming both.
    """
    for a, b in itertools.combinations(program.rules, 2):
        sides = zip((a.state, a.reads, *a.tops), (b.state, b.reads, *b.tops))
        if all(one == other or "*" in (one, other) for one, other in sides):
            raise ValueError(f"both of these rules of {program.name!r} can apply at the same time: {a}, {b}")


def saturated(a: Any) -> Any:
    """Return σ(a), the activation of all units: a, limited to 0 ... 1."""
    return np.clip(a, 0, 1).written_as("σ", a)


def constants(**arrays: Any) -> list[mg.Tensor]:
    """Return arrays as tensors with these names, under which pictures show them."""
    return [mg.Tensor(np.array(array, float), name=name) for name, array in arrays.items()]


def network(program: Program) -> Cell:
    """Return the machine as a recurrence: q are its stacks, s its state, one of which is 1."""
    check(program)
    table, states = conditions(program), program.states
    changes = np.array([affine(rule) for rule in program.rules])  # (rules, stacks, scale and offset)
    needed, others, scale, offset, then = constants(
        needed=table, others=table.sum(axis=1) - 1, scale=changes[..., 0], offset=changes[..., 1],
        then=[[rule.then == state for rule in program.rules] for state in states])

    cell = Cell(program.name)
    contents = cell.static("contents", program.stacks)
    x = [cell.input("x", len(program.symbols))[t]] if program.symbols else []
    full, one, q = (cell.signal(name, program.stacks) for name in ("full", "one", "q"))
    true, rule = cell.signal("true", table.shape[1]), cell.signal("rule", len(program.rules))
    new, s = cell.signal("new", scale.shape), cell.signal("s", len(states))
    q[0], s[0] = contents, np.eye(len(states))[0]
    full[t] = saturated(4 * q[t-1])
    one[t] = saturated(4 * q[t-1] - 2)
    true[t] = np.concatenate([s[t-1], *x, 1 - full[t], full[t] - one[t], one[t]])
    rule[t] = saturated(needed @ true[t] - others)  # 1 where all conditions of a rule are true
    new[t] = saturated(scale * q[t-1] + offset - 4 * (1 - rule[t][:, None]))  # 0 for the other rules
    q[t] = new[t].sum(axis=0)
    s[t] = then @ rule[t]
    return cell


def recogniser() -> Cell:
    """Return the machine for brackets, with a unit that is 1 where the word so far is balanced."""
    cell = network(BRACKETS)
    q, s, y = cell.signals["q"], cell.signals["s"], cell.signal("y", ())
    y[t] = saturated(s[t][0] - saturated(4 * q[t][0]))  # it hasn't stopped, and the stack is empty
    return cell


def number(stack: str) -> float:
    """Return the number of a stack, given from the top to the bottom; rounded if it has too many symbols."""
    return float(sum((Fraction(2 * int(symbol) + 1, 4 ** place) for place, symbol in enumerate(stack, 1)), Fraction()))


def stack(number: float) -> str:
    """Return the symbols of a number from the top to the bottom: "" for 0.

    Raises:
        ValueError: for a number that is no stack, such as 1/2.
    """
    symbols, rest = "", Fraction(number)
    while rest:
        top = int(rest >= Fraction(1, 2))
        symbols, rest = symbols + str(top), 4 * rest - (2 * top + 1)
        if not 0 <= rest < 1:
            raise ValueError(f"{number!r} is no stack: its digits in base 4 are not all 1 or 3")
    return symbols


def encoded(words: Sequence[str], dtype: DTypeLike = float) -> common.Batch:
    """Return words of equal length as inputs of the machine for brackets."""
    codes = np.array([[BRACKETS.symbols.index(symbol) for symbol in word] for word in words]).T
    return {"x": np.eye(len(BRACKETS.symbols), dtype=dtype)[codes], "contents": np.zeros((len(words), 1), dtype)}


def accepted(words: Sequence[str], dtype: DTypeLike = float) -> NDArray[np.bool_]:
    """Return whether the machine finds each beginning of each word balanced: (T, words)."""
    with mg.no_grad():
        outputs = recogniser().compile()(**encoded(words, dtype))
    result: NDArray[np.bool_] = outputs["y"] == 1
    return result


def balanced(word: str) -> bool:
    """Return whether brackets match, by deleting pairs of neighbours."""
    before = ""
    while word != before:
        before, word = word, word.replace("()", "").replace("[]", "")
    return not word


def nested(depth: int, rng: np.random.Generator) -> str:
    """Return `depth` random opening brackets, and those that close them."""
    opening = "".join(rng.choice(list(PAIRS), depth))
    return opening + "".join(PAIRS[symbol] for symbol in reversed(opening))


def spoiled(word: str) -> str:
    """Return a word whose last bracket is of the other kind."""
    return word[:-1] + {")": "]", "]": ")"}[word[-1]]


def right(depth: int, words: int, dtype: DTypeLike, rng: np.random.Generator) -> float:
    """Return the share of right answers for words nested `depth` deep, half of which have a wrong last bracket."""
    good = [nested(depth, rng) for _ in range(words // 2)]
    answers = accepted([*good, *map(spoiled, good)], dtype)[-1]
    return float((answers == np.repeat([True, False], len(good))).mean())


def digits(value: int) -> str:
    """Return a number in binary, the last digit first, as the machine for increments has it on its stack."""
    return f"{value:b}"[::-1]


def increments(values: Sequence[int]) -> Floats:
    """Return both stacks at t = 0 ... T for each value, (T + 1, values, 2); at T the machine is done.

    Raises:
        RuntimeError: if it isn't.
    """
    contents = np.array([[number(digits(value)), 0] for value in values])
    steps = 2 * max(value.bit_length() for value in values) + 3
    with mg.no_grad():
        outputs = network(INCREMENT).compile()(T=steps, contents=contents)
    if not (outputs["s"][-1, :, INCREMENT.states.index("done")] == 1).all():
        raise RuntimeError(f"the machine isn't done after {steps} steps")
    return np.concatenate([contents[None], outputs["q"]])


def successors(values: Sequence[int]) -> list[int]:
    """Return the numbers that the machine leaves on its first stack."""
    return [int(stack(q)[::-1], 2) for q in increments(values)[-1, :, 0]]


def draw_stack(options: common.Options, word: str) -> None:
    """Draw the number that is the stack while a word is read, and its contents."""
    with mg.no_grad():
        q = recogniser().compile()(**encoded([word]))["q"][:, 0, 0]
    title = "A stack is one number in base 4: its first digit is the top"
    with common.axes(options.out / "stack.png", xlabel="the symbol that is read", ylabel="q[t]", ylim=(-0.08, 1.06),
                     xlim=(-0.5, len(word) + 0.7), title=title) as axes:
        for low, label, color in ((0.75, "1, that is [", common.COLORS[1]), (0.25, "0, that is (", common.COLORS[0])):
            axes.axhspan(low, low + 0.25, color=color, alpha=0.15, label=f"on top is {label}")
        axes.step(range(len(word) + 1), [0, *q], where="mid", color="#555555", linewidth=1)
        for step, value in enumerate([0, *q]):
            top = stack(value)
            axes.plot(step, value, "o", color=common.COLORS[6] if not top else common.COLORS[int(top[0])])
            axes.text(step, value + 0.03, "".join("(["[int(symbol)] for symbol in top[::-1]) or "empty", ha="center",
                      fontsize=9, family="monospace")
        axes.set_xticks(range(1, len(word) + 1), list(word), family="monospace", fontsize=13)


def draw_tape(options: common.Options, value: int) -> None:
    """Draw the tape of the second machine from top to bottom, the head between two cells."""
    lines = [(stack(left)[::-1], stack(right)) for left, right in increments([value])[:, 0]]
    lines = lines[:next(step for step in range(1, len(lines)) if not lines[step][1] and lines[step] == lines[-1]) + 1]
    width = max(len(left + right) for left, right in lines)
    with common.axes(options.out / "tape.png", title=f"{value:b} + 1 = {value + 1:b}: two stacks are a tape",
                     xlim=(-0.6, width + 0.6), ylim=(len(lines) - 0.3, -0.7), ylabel="time step t") as axes:
        for step, (left, right) in enumerate(lines):
            for place, symbol in enumerate(left + right, width - len(left + right)):
                axes.text(place + 0.5, step, symbol, ha="center", va="center", fontsize=13, family="monospace",
                          color=common.COLORS[0] if place < width - len(right) else common.COLORS[1])
            axes.plot([width - len(right)] * 2, [step - 0.4, step + 0.4], color="black", linewidth=3)
        axes.plot([], [], color="black", linewidth=3, label="head")
        axes.set_xticks([])


def draw_limits(options: common.Options, shares: dict[str, dict[int, float]]) -> None:
    """Draw the share of right answers by depth, for each precision."""
    title = "Brackets: exact, while the number has two bits for each symbol"
    with common.axes(options.out / "limits.png", xlabel="depth of the word = symbols on the stack", ylim=(0.4, 1.04),
                     ylabel="right answers", title=title) as axes:
        for (name, share), color, marker in zip(shares.items(), common.COLORS, "os"):
            axes.plot(list(share), list(share.values()), marker + "-", color=color, label=name, markersize=4)
            axes.axvline(HOLDS[name] + 0.5, color=color, linestyle=":")
        axes.axhline(0.5, color="#555555", linestyle="--", label="guessing")


def example(options: common.Options) -> None:
    """Run both programs on all short inputs and on long ones, then on stacks that are too deep."""
    rng, length, most = options.rng, 4 if options.small else 8, 64 if options.small else 1024
    words = ["".join(word) for word in itertools.product(BRACKETS.symbols, repeat=length)]
    wrong = int((accepted(words)[-1] != [balanced(word) for word in words]).sum())
    print(f"brackets: {wrong} wrong of all {len(words)} words of {length}")
    values = [*range(1, most), *(int(value) for value in rng.integers(2 ** 24, 2 ** 25, most))]
    wrong = sum(found != value + 1 for found, value in zip(successors(values), values))
    print(f"increment: {wrong} wrong of {len(values)} numbers of up to 25 digits")
    shares = {name: {depth: right(depth, 50 if options.small else 1000, name, rng) for depth in range(2, 41)}
              for name in HOLDS}
    for name, share in shares.items():
        print(f"{name}: right answers for words nested n deep: "
              + ", ".join(f"{HOLDS[name] + n}: {share[HOLDS[name] + n]:.3f}" for n in range(-1, 4)))
    print("threshold: none wrong; all right up to a depth of 12 with float32, and of 26 with float64")
    picture = viz.rolled(recogniser(), title="A stack machine for brackets, of units σ")
    picture.render(outfile=options.out / "machine.png")
    draw_stack(options, "([()[]])[")
    draw_tape(options, 0b10111)
    draw_limits(options, shares)


if __name__ == "__main__":
    sys.exit(common.Parser("stack_machine", "Run a stack machine that is a recurrence.").run(example))
