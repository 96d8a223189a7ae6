"""Assignment 3: the recurrent cells, looked at step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments.grading import (
    UNKNOWN,
    Answers,
    Assignment,
    Check,
    Edge,
    Finding,
    Imports,
    Numeric,
    SecondCall,
    Shapes,
    Unmodified,
    Values,
)
from examples.assignments.graphs import a3 as graphs
from examples.assignments.naming import Candidate, counted, difference, named, same
from examples.assignments.pictures import of_run
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
BLOCKED = ["minigrad", "rnn", "viz", "torch", "jax", "tensorflow", "autograd"]
CALLED = {"dh_2": "dh", "lstm_dh_2": "dh", "lstm_dc_2": "dc", **{f"lstm_{name}": f's["{name}"]' for name in "ifogch"}}


# ---- looking: through time
@dataclass(frozen=True)
class Forward:
    """The first wrong time step of a forward pass; `mistakes(n, t, mine)` knows the usual ones of each step."""

    question: str
    n: Numbers
    right: dict[str, Array]
    mistakes: Callable[[Numbers, int], dict[str, list[Candidate]]]

    def __call__(self, answers: Answers) -> Finding | None:
        mine = {name: answers.array(self.question, name, right) for name, right in self.right.items()}
        for t in range(1, self.n.T + 1):
            for name, right in self.right.items():
                if same(mine[name][t - 1], right[t - 1]):
                    continue
                hit = named(mine[name][t - 1], right[t - 1], self.mistakes(self.n, t).get(name, []))
                before = f"{name}[{t - 1}] is right, " if t > 1 else ""
                text = hit.mistake if hit else UNKNOWN
                return Finding(f"{before}{name}[{t}] is wrong: {text}", f"t = {t}, {name} of {self.question}",
                               difference(f"{name}[{t}]", mine[name][t - 1], right[t - 1]), hit.edge if hit else None,
                               f"{name}[{t}]", named=hit is not None)
        return None


@dataclass(frozen=True)
class ThroughTime:
    """dL/dh (and dL/dc) from T down to 0: the last right step, the first wrong one, and what is wrong between."""

    question: str
    n: Numbers
    states: Sequence[str]
    right: dict[str, Array]
    arriving: Callable[[Numbers, str, int], list[Candidate]]  # wrong variants of dL/d state[t]

    def __call__(self, answers: Answers) -> Finding | None:
        for t in range(self.n.T, -1, -1):
            for state in self.states:
                name = state if t else f"{state}0"
                whole = answers.array(self.question, name, self.right[name])
                mine, right = (x[t - 1] if t else x for x in (whole, self.right[name]))
                if same(mine, right):
                    continue
                hit = named(mine, right, self.arriving(self.n, state, t))
                before = f"dL/d{state}[{t + 1}] is right, " if t < self.n.T else ""
                text = hit.mistake if hit else f"what comes back through t = {t + 1} is wrong" if t < self.n.T else \
                    "it must be the direct gradient alone"
                edge = hit.edge if hit and hit.edge else (f"{state}[{t}]",
                                                          self._next(state, t)) if t < self.n.T else None
                return Finding(f"{before}dL/d{state}[{t}] is wrong: {text}", f"t = {t}, {self.question}",
                               difference(f"dL/d{state}[{t}]", mine, right), edge, f"{state}[{t}]" if t else "",
                               named=hit is not None)
        return None

    def _next(self, state: str, t: int) -> str:
        return f"z[{t + 1}]" if len(self.states) == 1 else f"{state if state == 'c' else 'f'}[{t + 1}]"


@dataclass(frozen=True)
class Gradients:
    """Gradients of inputs by step and of parameters, these with what every step contributes."""

    question: str
    n: Numbers
    right: dict[str, Array]
    parts: dict[str, Array]  # parameter -> (T, *shape): what each step contributes
    mistakes: Callable[[Numbers, int], dict[str, list[Candidate]]]
    edge: Callable[[str, int], Edge]

    def __call__(self, answers: Answers) -> Finding | None:
        x = answers.array(self.question, "x", self.right["x"])
        for t in range(self.n.T, 0, -1):
            if not same(x[t - 1], self.right["x"][t - 1]):
                hit = named(x[t - 1], self.right["x"][t - 1], self.mistakes(self.n, t)["x"])
                return Finding(f"dL/dx[{t}] is wrong: {hit.mistake if hit else 'what goes back to the input'}",
                               f"t = {t}, {self.question}", difference(f"dL/dx[{t}]", x[t - 1], self.right["x"][t - 1]),
                               hit.edge if hit else self.edge("W", t), self.edge("W", t)[1], named=hit is not None)
        wrong = [name for name in self.parts
                 if not same(answers.array(self.question, name, self.right[name]), self.right[name])]
        for name in wrong:
            finding = self._parameter(name, answers.array(self.question, name, self.right[name]), wrong)
            if finding.named or name == wrong[-1]:
                return finding
        return None

    def _parameter(self, name: str, mine: Array, wrong: Sequence[str]) -> Finding:
        parts, right = self.parts[name], self.right[name]
        steps = range(1, self.n.T + 1)
        each = [self.mistakes(self.n, t).get(name, []) for t in steps]
        candidates = [Candidate(same_one[0].mistake, sum((m.gives for m in same_one), np.zeros(())))
                      for same_one in zip(*each)]
        candidates += [Candidate(f"at t = 1, {m.mistake}", right - parts[0] + m.gives) for m in each[0]]
        text = counted(mine, parts, f"dL/d{name}")
        hit = None if text else named(mine, right, candidates)
        text = text or (hit.mistake if hit else UNKNOWN)
        also = f"; wrong are {', '.join(wrong)}" if len(wrong) > 1 else f"; of the parameters, only {name} is wrong"
        edges = tuple(self.edge(name, t) for t in steps)
        return Finding(f"{text if text.startswith('dL/d') else f'dL/d{name} is wrong: {text}'}{also}",
                       f"{self.question}, the sum over t = 1 … {self.n.T}", difference(f"dL/d{name}", mine, right),
                       edges[0], f"param {name}", named=text != UNKNOWN, more=edges[1:])


# ---- the assignment
def rnn_checks(n: Numbers) -> list[Check]:
    d = n.d
    step, results = {"h": d["hs"][0]}, {"h": d["hs"]}
    forward = Forward("rnn_forward", n, results, rnn.sequence_mistakes)
    questions = ["rnn_step_forward", "rnn_step_backward", "rnn_forward", "rnn_backward"]
    time = ThroughTime("rnn_backward", n, "h", n.rnn, rnn.arriving_mistakes)
    return [
        Check("rnn: shapes and dtypes", 1, Shapes({
            "rnn_step_forward": step, "rnn_step_backward": n.rnn_steps[1], "rnn_forward": results,
            "rnn_backward": n.rnn})),
        Check("rnn: one step forward", 1,
              Values("rnn_step_forward", step, rnn.forward_mistakes(n, 1), "t = 1", until="h[1]")),
        Check("rnn: forward by step", 1, forward, again=1),
        Check("rnn: one step backward", 2,
              Values("rnn_step_backward", n.rnn_steps[1], rnn.back_mistakes(n, 2), "t = 2", "d", "z[2]")),
        Check("rnn: dL/dh by step", 2, time, again=1),
        Check("rnn: dL/dx, and parameters by step", 2,
              Gradients("rnn_backward", n, n.rnn, parts(n.rnn_steps, "WUb"), rnn.back_mistakes,
                                                            rnn.edge_of), again=1),
        Check("rnn: inputs unmodified", 1, Unmodified(questions, time, CALLED)),
        Check("rnn: second call", 1, SecondCall(questions, forward)),
        Check("rnn: central differences", 1, Numeric("rnn_forward:numeric", "rnn_backward", {
            name: n.rnn[name] for name in ("x", "h0", "W", "U", "b")}))]


def lstm_checks(n: Numbers) -> list[Check]:
    step = {name: array[0] for name, array in n.s.items()}
    forward = Forward("lstm_forward", n, n.s, lstm.forward_mistakes)
    questions = ["lstm_step_forward", "lstm_step_backward", "lstm_forward", "lstm_backward"]
    time = ThroughTime("lstm_backward", n, "hc", n.lstm, lstm.arriving_mistakes)
    return [
        Check("lstm: shapes and dtypes", 1, Shapes({
            "lstm_step_forward": step, "lstm_step_backward": n.lstm_steps[1], "lstm_forward": n.s,
            "lstm_backward": n.lstm})),
        Check("lstm: one step forward", 2,
              Values("lstm_step_forward", step, lstm.forward_mistakes(n, 1), "t = 1", until="h[1]")),
        Check("lstm: forward by step", 1, forward, again=1),
        Check("lstm: one step backward", 3,
              Values("lstm_step_backward", n.lstm_steps[1], lstm.back_mistakes(n, 2), "t = 2", "d", "c[2]")),
        Check("lstm: dL/dh and dL/dc by step", 2, time, again=1),
        Check("lstm: dL/dx, and parameters by step", 2,
              Gradients("lstm_backward", n, n.lstm, parts(n.lstm_steps, PARAMETERS), lstm.back_mistakes,
                                                                  lstm.edge_of), again=1),
        Check("lstm: inputs unmodified", 1, Unmodified(questions, time, CALLED)),
        Check("lstm: second call", 1, SecondCall(questions, forward)),
        Check("lstm: central differences", 1, Numeric("lstm_forward:numeric", "lstm_backward", {
            name: n.lstm[name] for name in ("x", "h0", "c0", *PARAMETERS)}))]


def _draw(n: Numbers, kind: str, finding: Finding) -> Any:
    make = {"rnn": graphs.rnn, "lstm": graphs.lstm}[kind]
    return of_run(make(n.d), finding)


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """The plain cell and the LSTM; hidden: with sizes of their own."""
    n = Numbers(seed, graphs.HIDDEN_SIZES if hidden else graphs.SIZES)
    for kind, checks in (("rnn", rnn_checks(n)), ("lstm", lstm_checks(n))):
        wanted = {name: arguments for name, arguments in SIGNATURES.items() if name.startswith(kind)}
        forward = [name for name in wanted if name.endswith("forward")] + [f"{kind}_forward:numeric"] * (not hidden)
        given = {name: x for name, x in n.d.items() if name in graphs.numbers(seed)}  # what is right is not among it
        jobs = [Job(Path(graphs.__file__).parents[1] / "probes" / "a3.py", questions, data, list(wanted), BLOCKED)
                for questions, data in ((forward, given), ([name for name in wanted if name not in forward], n.d))]
        first = Check(f"{kind}: import and signatures", 0, Imports(wanted))
        yield Assignment("a3", "RNN and LSTM cells by hand", jobs, [first, *checks], f"a3.py {kind}",
                         partial(_draw, n, kind))
