"""Assignment 3: the recurrent cells, looked at step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments.comparisons.a3 import Drawing, Forward, Gradients, ThroughTime
from examples.assignments.grading import (
    Assignment,
    Check,
    Imports,
    InTurn,
    Look,
    Numeric,
    SecondCall,
    Shapes,
    Unmodified,
    Values,
)
from examples.assignments.graphs import a3 as graphs
from examples.assignments.naming import Candidate, Edge, unlike
from examples.assignments.probes.a3 import LARGE, RESULTS, ZEROS
from examples.assignments.sandbox import Job

from . import a3_lstm as lstm
from . import a3_rnn as rnn
from .a3_numbers import PARAMETERS, Numbers, parts

Array = NDArray[Any]
SIGNATURES = {
    "rnn_step_forward": ["x", "h_prev", "W", "U", "b"],
    "rnn_step_backward": ["dh", "x", "h_prev", "h", "W", "U"],
    "rnn_forward": ["x", "h0", "W", "U", "b"],
    "rnn_backward": ["dhs", "x", "h0", "hs", "W", "U"],
    "lstm_step_forward": ["x", "h_prev", "c_prev", "p"],
    "lstm_step_backward": ["dh", "dc", "x", "h_prev", "c_prev", "s", "p"],
    "lstm_forward": ["x", "h0", "c0", "p"],
    "lstm_backward": ["dhs", "x", "h0", "c0", "s", "p"],
}
FUNCTIONS = "step_forward", "step_backward", "forward", "backward"
MORE = {LARGE: graphs.large, ZEROS: graphs.zeros}
SIZES_OF_ONE = "one step, one sequence, one feature and one unit"
BLOCKED = ["minigrad", "rnn", "viz", "torch", "jax", "tensorflow", "autograd"]
CALLED = {"dh_2": "dh", "lstm_dh_2": "dh", "lstm_dc_2": "dc", **{f"lstm_{name}": f's["{name}"]' for name in "ifogch"}}


# ---- the usual mistakes, by step
Mistakes = Callable[[Numbers, int], dict[str, list[Candidate]]]
Sets = Mapping[str, Numbers]  # further inputs: large ones, and zeros


def forward_of(question: str, n: Numbers, right: Mapping[str, Array], mistakes: Mistakes) -> Forward:
    """Return the check of a forward pass, step by step."""
    return Forward(question, right, [{name: unlike(some, right[name][t - 1]) for name, some in mistakes(n, t).items()}
                                     for t in range(1, n.T + 1)])


def time_of(question: str, n: Numbers, states: str, right: Mapping[str, Array],
            arriving: Callable[[Numbers, str, int], list[Candidate]]) -> ThroughTime:
    """Return the check of the gradients of states, step by step."""
    return ThroughTime(question, list(states), right,
                       {state: [unlike(arriving(n, state, t), right[state][t - 1] if t else right[f"{state}0"])
                                for t in range(n.T + 1)] for state in states})


def gradients_of(question: str, n: Numbers, right: Mapping[str, Array], each: Mapping[str, Array], mistakes: Mistakes,
                 edge: Callable[[str, int], Edge]) -> Gradients:
    """The gradients of inputs and parameters: a mistake of every step, or of the first one."""
    steps = range(1, n.T + 1)
    found = [mistakes(n, t) for t in steps]
    sums = {}
    for name, contributions in each.items():
        by_step = [one.get(name, []) for one in found]
        sums[name] = [Candidate(same_one[0].mistake, sum((m.gives for m in same_one), np.zeros(())))
                      for same_one in zip(*by_step)]
        sums[name] += [Candidate(f"at t = 1, {m.mistake}", right[name] - contributions[0] + m.gives)
                       for m in by_step[0]]
        sums[name] = unlike(sums[name], right[name])
    return Gradients(question, right, each, [unlike(one["x"], x) for one, x in zip(found, right["x"])], sums,
                     {name: [edge(name, t) for t in steps] for name in {"W": 0, **each}})


def results(*some: Mapping[str, Array]) -> list[str]:
    """Return the names of all results."""
    return sorted({name for one in some for name in one})


# ---- the assignment
def turns(look: Look, question: str, right: Callable[[Numbers], Mapping[str, Array]], more: Sets,
          prefix: str = "") -> InTurn:
    """Return a look at the results of a function, and then at those of further sets of inputs."""
    return InTurn([look, *(Values(f"{question}:{which}", right(n), place=f"with {which}", prefix=prefix)
                           for which, n in more.items())])


def only(right: Mapping[str, Array], states: str, others: bool = False) -> Mapping[str, Array]:
    """Return the gradients of states, with those before the first step; `others`: all but these."""
    return {name: array for name, array in right.items() if (name.removesuffix("0") in states) != others}


def rnn_checks(n: Numbers, ones: Numbers, more: Sets) -> list[Check]:
    questions = one, back, steps, through_time = tuple(f"rnn_{what}" for what in FUNCTIONS)
    d = n.d
    step, states = {"h": d["hs"][0]}, {"h": d["hs"]}
    forward = forward_of(steps, n, states, rnn.sequence_mistakes)
    time = time_of(through_time, n, "h", n.rnn, rnn.arriving_mistakes)
    sums = gradients_of(through_time, n, n.rnn, parts(n.rnn_steps, "WUb"), rnn.back_mistakes, rnn.edge_of)
    looks: dict[str, Look] = {steps: forward, through_time: InTurn([time, sums])}
    return [
        Check("rnn: shapes and dtypes", 1, Shapes(dict(zip(questions, (
            step, n.rnn_steps[1], states, n.rnn)))), of=questions),
        Check("rnn: one step forward", 1, turns(
            Values(one, step, rnn.forward_mistakes(n, 1), "t = 1", until="h[1]"), one,
            lambda n: {"h": n.d["hs"][0]}, more), of=(one,)),
        Check("rnn: forward by step", 1, turns(forward, steps, lambda n: {"h": n.d["hs"]}, more), again=1,
              of=(steps, one)),
        Check("rnn: one step backward", 2, turns(
            Values(back, n.rnn_steps[1], rnn.back_mistakes(n, 2), "t = 2", "d", "z[2]"), back,
            lambda n: n.rnn_steps[1], more, "d"), of=(back,)),
        Check("rnn: dL/dh by step", 2, turns(time, through_time, lambda n: only(n.rnn, "h"), more, "dL/d"),
              again=1, of=(through_time, back)),
        Check("rnn: dL/dx, and parameters by step", 2, turns(
            sums, through_time, lambda n: only(n.rnn, "h", others=True), more, "dL/d"), again=1,
              of=(through_time, back)),
        Check("rnn: inputs unmodified", 1, Unmodified(questions, time, CALLED, results(n.rnn_steps[1], n.rnn)),
              of=(through_time, *questions)),
        Check("rnn: second call", 1, SecondCall(
            questions, forward, results(n.rnn_steps[1], n.rnn),
            {steps: {"h": ones.d["hs"]}, through_time: ones.rnn}, SIZES_OF_ONE, looks), of=(steps, *questions)),
        Check("rnn: central differences", 1, Numeric(f"{steps}:numeric", through_time, {
            name: n.rnn[name] for name in ("x", "h0", "W", "U", "b")}), of=(through_time, *questions))]


def lstm_checks(n: Numbers, ones: Numbers, more: Sets) -> list[Check]:
    questions = one, back, steps, through_time = tuple(f"lstm_{what}" for what in FUNCTIONS)
    step = {name: array[0] for name, array in n.s.items()}
    forward = forward_of(steps, n, n.s, lstm.forward_mistakes)
    time = time_of(through_time, n, "hc", n.lstm, lstm.arriving_mistakes)
    sums = gradients_of(through_time, n, n.lstm, parts(n.lstm_steps, PARAMETERS), lstm.back_mistakes, lstm.edge_of)
    looks: dict[str, Look] = {steps: forward, through_time: InTurn([time, sums])}
    return [
        Check("lstm: shapes and dtypes", 1, Shapes(dict(zip(questions, (
            step, n.lstm_steps[1], n.s, n.lstm)))), of=questions),
        Check("lstm: one step forward", 2, turns(
            Values(one, step, lstm.forward_mistakes(n, 1), "t = 1", until="h[1]"), one,
            lambda n: {name: array[0] for name, array in n.s.items()}, more), of=(one,)),
        Check("lstm: forward by step", 1, turns(forward, steps, lambda n: n.s, more), again=1, of=(steps, one)),
        Check("lstm: one step backward", 3, turns(
            Values(back, n.lstm_steps[1], lstm.back_mistakes(n, 2), "t = 2", "d", "c[2]"), back,
            lambda n: n.lstm_steps[1], more, "d"), of=(back,)),
        Check("lstm: dL/dh and dL/dc by step", 2, turns(
            time, through_time, lambda n: only(n.lstm, "hc"), more, "dL/d"), again=1, of=(through_time, back)),
        Check("lstm: dL/dx, and parameters by step", 2, turns(
            sums, through_time, lambda n: only(n.lstm, "hc", others=True), more, "dL/d"), again=1,
              of=(through_time, back)),
        Check("lstm: inputs unmodified", 1, Unmodified(questions, time, CALLED, results(n.lstm_steps[1], n.lstm, n.s)),
              of=(through_time, *questions)),
        Check("lstm: second call", 1, SecondCall(
            questions, forward, results(n.lstm_steps[1], n.lstm, n.s),
            {steps: ones.s, through_time: ones.lstm}, SIZES_OF_ONE, looks), of=(steps, *questions)),
        Check("lstm: central differences", 1, Numeric(f"{steps}:numeric", through_time, {
            name: n.lstm[name] for name in ("x", "h0", "c0", *PARAMETERS)}), of=(through_time, *questions))]


def stages(kind: str, hidden: bool) -> list[tuple[list[str], list[str]]]:
    """Return the questions of each job, and the names of its inputs; each is asked with further inputs, too.

    A right result is an input of a job only after the function that computes it has been asked: the states of
    rnn_forward go to rnn_backward, and of its gradients one step's go to rnn_step_backward.
    """
    inputs = ["x", "dhs", "h0", *(["W", "U", "b"] if kind == "rnn" else ["c0", *PARAMETERS])]
    states = ["hs"] if kind == "rnn" else [f"lstm_{name}" for name in RESULTS]
    upstream = ["dh_2"] if kind == "rnn" else ["lstm_dh_2", "lstm_dc_2"]
    forward = [f"{kind}_step_forward", f"{kind}_forward", *([] if hidden else [f"{kind}_forward:numeric"])]
    found = [(forward, inputs), ([f"{kind}_backward"], [*inputs, *states]),
             ([f"{kind}_step_backward"], [*inputs, *states, *upstream])]
    return [([*questions, *(f"{one}:{which}" for one in questions if ":" not in one for which in MORE)], names)
            for questions, names in found]


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """The plain cell and the LSTM; hidden: with sizes of their own."""
    n, others = (Numbers(number, graphs.HIDDEN_SIZES if hidden else graphs.SIZES) for number in (seed, seed + 1))
    ones = Numbers(seed, graphs.ONES)
    more = {which: Numbers(seed, graphs.HIDDEN_SIZES if hidden else graphs.SIZES, changed)
            for which, changed in MORE.items()}
    for kind, checks in (("rnn", rnn_checks(n, ones, more)), ("lstm", lstm_checks(n, ones, more))):
        wanted = {name: arguments for name, arguments in SIGNATURES.items() if name.startswith(kind)}
        jobs = [Job(Path(graphs.__file__).parents[1] / "probes" / "a3.py", questions,
                    {name: n.d[name] for name in names} | {f"{which} {name}": other.d[name] for which, other
                                                           in more.items() for name in names}, list(wanted), BLOCKED,
                    others=[{name: other.d[name] for name in names} for other in (others, ones)])
                for questions, names in stages(kind, hidden)]
        first = Check(f"{kind}: import and signatures", 0, Imports(wanted))
        yield Assignment("a3", "RNN and LSTM cells by hand", jobs, [first, *checks], f"a3.py {kind}",
                         Drawing(kind, {name: n.d[name] for name in graphs.numbers(seed)}))
