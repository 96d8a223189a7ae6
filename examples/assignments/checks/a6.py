"""Assignment 6: the loop of part 1 and its usual mistakes, and a solution for each variant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from examples.assignments import a6_source as solution
from examples.assignments.comparisons.a6 import (
    SCRIPT,
    Computed,
    Edge,
    Largest,
    Loop,
    Reads,
    Repair,
    Stop,
    Unrolled,
    listing,
    reads,
    repaired,
    unrolled,
)
from examples.assignments.grading import Assignment, Check, Imports, SecondCall, Values
from examples.assignments.graphs import a6 as graphs
from examples.assignments.naming import Candidate, same, unlike
from examples.assignments.probes import a6 as probes
from examples.assignments.sandbox import Job

Array = NDArray[Any]
ANSWERS = ("unrolled_edges", "delay_free_loop", "repair", "vanishing", "nan", "contributions", "my_vanishing", "my_nan",
           "my_contributions")
SIGNATURES: dict[str, list[str]] = {"definition": ["W", "U", "V"], **{name: [] for name in ANSWERS}}
SIZES, HIDDEN_SIZES, ONES = (5, 4, 2, 3), (7, 2, 4, 5), (1, 1, 1, 1)  # T, N, D, H
T = 3  # steps of part 2


def numbers(seed: int, sizes: tuple[int, int, int, int]) -> dict[str, Array]:
    """Return parameters and an input of part 1."""
    rng = np.random.default_rng(seed)
    steps, batch, D, H = sizes
    shapes = {"W": (H, D), "U": (H, H), "V": (D, H), "x": (steps, batch, D)}
    return {name: rng.normal(size=shape) * (1.0 if name == "x" else 0.8) for name, shape in shapes.items()}


def reference(d: dict[str, Array]) -> Any:
    """Return the definition that the text describes."""
    return solution.definition(*(mg.Tensor(d[name], requires_grad=True, name=name) for name in "WUV"))


# ---- part 1
def wrong_reads() -> dict[str, list[Candidate]]:
    """Return known wrong reads of each signal."""
    def reading(text: str, *found: tuple[str, int]) -> Candidate:
        return Candidate(text, sorted([source, delay] for source, delay in found))

    return {
        "e": [reading("e reads the output of its own step, which is computed from e: no value could be first", ("x", 0),
                      ("y", 0)),
              reading("e doesn't read the output: the feedback is missing", ("x", 0)),
              reading("e reads an output of the future", ("x", 0), ("y", -1)),
              reading("e reads the state in place of the output", ("x", 0), ("h", 1)),
              reading("the delay of the feedback isn't that of the text", ("x", 0), ("y", 2)),
              reading("e reads the input of an earlier step", ("x", 1), ("y", 1))],
        "h": [*(reading("the memory's delay isn't that of the text", ("e", 0), ("h", delay)) for delay in (1, 3)),
              reading("h doesn't read its own past: it has no memory", ("e", 0)),
              reading("h reads two states of its past, the text names one", ("e", 0), ("h", 1), ("h", 2)),
              reading("h reads the error of an earlier step", ("e", 1), ("h", 2)),
              reading("h reads x in place of the error", ("x", 0), ("h", 2)),
              reading("h reads the future: a minus is a plus", ("e", 0), ("h", -2)),
              reading("h reads x and the output where only e should: the error is a signal of its own", ("x", 0),
                      ("y", 1), ("h", 2))],
        "y": [reading("y reads an earlier state", ("h", 1)),
              reading("y reads the error in place of the state", ("e", 0)),
              reading("y reads more than the state", ("e", 0), ("h", 0)),
              reading("y reads more than the state", ("h", 0), ("y", 1))]}


def simulated(d: dict[str, Array], **changed: Callable[..., Array]) -> dict[str, Array]:
    """Return e[1], h[1], y[1], e[2], ..., computed by NumPy with some formulas changed."""
    formulas: dict[str, Callable[..., Array]] = {
        "e": lambda x, y: x - y, "h": lambda a, b: np.tanh(a + b), "y": lambda h: h @ d["V"].T, **changed}
    steps, batch, D = d["x"].shape
    H = len(d["U"])
    e, h, y = np.zeros((steps, batch, D)), np.zeros((steps + 2, batch, H)), np.zeros((steps + 1, batch, D))
    for k in range(steps):
        e[k] = formulas["e"](d["x"][k], y[k])
        h[k + 2] = formulas["h"](e[k] @ d["W"].T, h[k] @ d["U"].T)
        y[k + 1] = formulas["y"](h[k + 2])
    return {f"{name}[{k + 1}]": values[k] for k in range(steps) for name, values in
            (("e", e), ("h", h[2:]), ("y", y[1:]))}


def wrong_values(d: dict[str, Array]) -> dict[str, list[Candidate]]:
    """Return known wrong values of each copy, in the order in which they are computed."""
    U, V, past = d["U"], d["V"], np.linalg.inv(d["U"]).T
    rows: list[tuple[str, str, Callable[..., Array]]] = [
        ("e", "its sign is reversed: it is x minus the output", lambda x, y: y - x),
        ("e", "it is a sum where the text says minus", lambda x, y: x + y),
        ("h", "tanh is missing", lambda a, b: a + b),
        ("h", "it is a sum of two tanh: tanh is taken of the sum", lambda a, b: np.tanh(a) + np.tanh(b)),
        ("h", "tanh is taken of one product alone", lambda a, b: np.tanh(a) + b),
        ("h", "tanh is taken of one product alone", lambda a, b: a + np.tanh(b)),
        ("h", "the product with the state is subtracted", lambda a, b: np.tanh(a - b)),
        ("h", "U is transposed", lambda a, b: np.tanh(a + b @ past @ U)),
        ("h", "the state is added without U", lambda a, b: np.tanh(a + b @ past)),
        ("y", "there is a tanh around V times the state", lambda h: np.tanh(h @ V.T)),
        ("y", "its sign is reversed", lambda h: -h @ V.T)]
    right = simulated(d)
    found: dict[str, list[Candidate]] = {copy: [] for copy in right}
    for name, text, formula in rows:
        for copy, gives in simulated(d, **{name: formula}).items():
            if copy.startswith(f"{name}["):
                found[copy] += unlike([Candidate(text, gives)], right[copy])
    return {copy: [one for one in some if not any(same(one.gives, other.gives) and one.mistake != other.mistake
                                                  for other in some)]  # at the first steps some give the same
            for copy, some in found.items()}


# ---- part 2
def wrong_unrollings(edges: Sequence[Edge]) -> list[Candidate]:
    """Return known wrong lists of edges."""
    right = unrolled(edges, T)

    def at(edge: tuple[str, str], end: int) -> int:
        return int(edge[end].partition("[")[2][:-1])

    shifted = [(a, b, min(delay, 1)) for a, b, delay in edges]
    rows = [
        ("every delay is taken as 1", unrolled(shifted, T)),
        ("delays are ignored: every edge stays within its step", unrolled([(a, b, 0) for a, b, _ in edges], T)),
        ("delays go the wrong way: a delay reaches into the past", unrolled([(a, b, -d) for a, b, d in edges], T)),
        ("edges point backward: it is (source, target), from what is read", [(b, a) for a, b in right]),
        ("the edges from initial values, at steps 0 and -1, are missing", [edge for edge in right if at(edge, 0) >= 1]),
        ("the edges from step -1 are missing", [edge for edge in right if at(edge, 0) >= 0]),
        ("edges from x are missing: inputs are read too", [edge for edge in right if edge[0][0] != "x"]),
        ("edges with a delay are missing: each step is alone", [edge for edge in right if at(edge, 0) == at(edge, 1)]),
        ("edges without delay are missing", [edge for edge in right if at(edge, 0) != at(edge, 1)]),
        (f"the last step is missing: steps go from 1 to {T}", unrolled(edges, T - 1)),
        (f"there is a step too many: steps go from 1 to {T}", unrolled(edges, T + 1)),
        ("steps are counted from 0; they go from 1 on",
         [*unrolled(edges, T - 1), *((f"{a}[{-delay}]", f"{b}[0]") for a, b, delay in edges)])]
    return [Candidate(text, listing(wrong)) for text, wrong in rows if sorted(wrong) != sorted(right)]


# ---- part 3
def loop_without_delay(edges: Sequence[Edge]) -> list[str]:
    """Return one of the shortest loops without delay."""
    direct = {(source, target) for source, target, delay in edges if not delay}
    names = sorted({target for _, target, _ in edges})
    return next(list(loop) for length in range(1, len(names) + 1) for loop in permutations(names, length)
                if all((a, b) in direct for a, b in zip(loop, (*loop[1:], loop[0]))))


# ---- solutions of variants
def answers(variant: int) -> dict[str, Any]:
    """Return the right answers in names and numbers; of those that have several right ones, one."""
    edges = graphs.faulty(variant)
    found: dict[str, Any] = {"delay_free_loop": loop_without_delay(edges),
                             "repair": next((a, b) for a, b, _ in edges if repaired(edges, a, b))}
    for name in ("vanishing", "nan", "my_vanishing", "my_nan"):
        found[name] = Stop(name, variant).right()
    for name in ("contributions", "my_contributions"):
        found[name] = Largest(name, variant).right()
    return found


def solved(text: str, variant: int) -> str:
    """Return the source with the solution of a variant."""
    for name, found in answers(variant).items():
        said = repr(found).replace("'", '"').removeprefix("(").removesuffix(")")
        text, number = re.subn(rf"(def {name}\(.*?BEGIN SOLUTION\n    return )[^\n]*", rf"\g<1>{said}", text, count=1,
                               flags=re.S)
        assert number == 1, name
    return text


# ---- the assignment
def definition_checks(d: dict[str, Array], ones: dict[str, Array]) -> list[Check]:
    """Return the checks of part 1, with these numbers; `ones`: others, of the smallest sizes."""
    edges = reference(d).edges()
    right = {name: [Candidate("", reads(edges, name))] for name in probes.SIGNALS}
    who = Reads(right, wrong_reads())
    values = Computed(Values("definition", simulated(d), wrong_values(d)), who)
    again = SecondCall(["definition"], values, [*simulated(d)], {"definition": simulated(ones)},
                       "one step, one sequence, and one of each size", {"definition": values})
    return [Check("the definition: who reads whom", 2, who, again=1, of=("definition",)),
            Check("the definition: its values", 2, values, again=1, of=("definition",)),
            Check("the definition: second call", 1, again, of=("definition",))]


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """The definition, with numbers of the seed; without `hidden` all answers of the variant that the seed is.

    Answers for the networks with `my_` are checked when the work is graded, so their checks are hidden ones.
    """
    sizes = HIDDEN_SIZES if hidden else SIZES
    d, ones = numbers(seed, sizes), numbers(seed, ONES)
    checks = definition_checks(d, ones)
    title, questions = "draw, step, explain", list(probes.CALLS)[:2]
    if not hidden:
        edges = [tuple(edge) for edge in reference(d).edges()]
        ends = unrolled(edges, T)
        right = {end: [Candidate("", listing(edge for edge in ends if edge[1] == end))] for _, end in ends}
        faulty = graphs.faulty(seed)
        checks += [
            Check("unrolled edges", 3, Unrolled(T, right, wrong_unrollings(edges)), of=("unrolled_edges",)),
            Check("a loop without delay", 2, Loop(faulty), of=("delay_free_loop",)),
            Check("one more delay", 2, Repair(faulty), of=("repair",))]
        for name, points in (("vanishing", 2), ("nan", 2)):
            checks += [Check(name, points, Stop(name, seed), of=(name,)),
                       Check(f"my_{name}", points + 1, Stop(f"my_{name}", seed), hidden=True, of=(f"my_{name}",))]
        checks += [Check("contributions", 2, Largest("contributions", seed), of=("contributions",)),
                   Check("my_contributions", 3, Largest("my_contributions", seed), hidden=True,
                         of=("my_contributions",))]
        questions = list(probes.CALLS)
    checks.insert(0, Check("import and signatures", 0, Imports(SIGNATURES)))
    job = Job(Path(probes.__file__), questions, d, list(SIGNATURES), ["torch", "jax"],
              others=[numbers(seed + 1, sizes), ones], given=[SCRIPT])
    yield Assignment("a6", title, [job], checks, "a6.py")


