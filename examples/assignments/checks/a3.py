"""Assignment 3: what is right of the recurrent cells, and what the usual mistakes are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments import a3_source as solution
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

Array = NDArray[Any]
GATES = graphs.GATES
PARAMETERS = [f"{what}_{k}" for k in GATES for what in "WUb"]
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
WRAPPED = "the last state is used where h0 belongs: hs[t - 1] of the first step is hs[-1]"
BLOCKED = ["minigrad", "rnn", "viz", "torch", "jax", "tensorflow", "autograd"]
CALLED = {"dh_2": "dh", "lstm_dh_2": "dh", "lstm_dc_2": "dc", **{f"lstm_{name}": f's["{name}"]' for name in "ifogch"}}


class Numbers:
    """Inputs and right results, with one set of numbers."""

    def __init__(self, seed: int, sizes: tuple[int, int, int, int]) -> None:
        self.d: dict[str, Any] = dict(graphs.numbers(seed, sizes))
        d = self.d
        self.T, self.N = d["x"].shape[:2]
        d["hs"] = solution.rnn_forward(d["x"], d["h0"], d["W"], d["U"], d["b"])
        self.p = {name: d[name] for name in PARAMETERS}
        self.s = solution.lstm_forward(d["x"], d["h0"], d["c0"], self.p)
        d |= {f"lstm_{name}": array for name, array in self.s.items()}
        self.rnn = solution.rnn_backward(d["dhs"], d["x"], d["h0"], d["hs"], d["W"], d["U"])
        self.lstm = solution.lstm_backward(d["dhs"], d["x"], d["h0"], d["c0"], self.s, self.p)
        self.rnn_steps = [solution.rnn_step_backward(
            self.rnn["h"][t - 1], d["x"][t - 1], self.before("hs", t), d["hs"][t - 1], d["W"], d["U"])
            for t in range(1, self.T + 1)]
        self.lstm_steps = [solution.lstm_step_backward(
            self.lstm["h"][t - 1], self.later(t), d["x"][t - 1], self.before("lstm_h", t), self.before("lstm_c", t),
            {name: array[t - 1] for name, array in self.s.items()}, self.p) for t in range(1, self.T + 1)]
        d |= {"dh_2": self.rnn["h"][1], "lstm_dh_2": self.lstm["h"][1], "lstm_dc_2": self.later(2)}

    def before(self, name: str, t: int) -> Array:
        """h or c of the plain cell ("hs") or the LSTM ("lstm_h", "lstm_c") at step t - 1; t counts from 1."""
        initial = self.d["c0"] if name == "lstm_c" else self.d["h0"]
        return np.asarray(initial if t == 1 else self.d[name][t - 2])

    def later(self, t: int) -> Array:
        """What comes back to c[t] from step t + 1."""
        return np.asarray(self.lstm["c"][t] * self.s["f"][t] if t < self.T else np.zeros_like(self.d["c0"]))


# ---- the plain cell: one step
def rnn_forward_mistakes(n: Numbers, t: int, h_prev: Array) -> list[Candidate]:
    """Wrong variants of h[t]."""
    d = n.d
    x, W, U, b = d["x"][t - 1], d["W"], d["U"], d["b"]
    z = x @ W + h_prev @ U + b
    recurrent = f"h[{t - 1}]", f"z[{t}]"
    found = [
        Candidate("tanh is missing", z, (f"z[{t}]", f"h[{t}]")),
        Candidate("sigmoid is used where tanh belongs", solution.sigmoid(z), (f"z[{t}]", f"h[{t}]")),
        Candidate("the bias b is not added", np.tanh(z - b), None),
        Candidate("b is subtracted", np.tanh(z - 2 * b), None),
        Candidate(f"the recurrent term h[{t - 1}] @ U is missing", np.tanh(x @ W + b), recurrent),
        Candidate(f"it is h[{t - 1}] @ U.T, but should be h[{t - 1}] @ U", np.tanh(x @ W + h_prev @ U.T + b),
                  recurrent),
        Candidate(f"the input term x[{t}] @ W is missing", np.tanh(h_prev @ U + b), (f"x[{t}]", f"z[{t}]"))]
    if t > 1:
        found.append(Candidate(f"h[0] is used where h[{t - 1}] belongs: the state is not carried on",
                               np.tanh(x @ W + d["h0"] @ U + b), recurrent))
        found.append(Candidate(f"x[{t - 1}] is used where x[{t}] belongs",
                               np.tanh(d["x"][t - 2] @ W + h_prev @ U + b), (f"x[{t}]", f"z[{t}]")))
    return found


def tanh_mistakes(n: Numbers, t: int, dh: Array) -> list[tuple[str, Array]]:
    """Wrong variants of dz[t] = dh * (1 - h**2)."""
    h, h_prev = n.d["hs"][t - 1], n.before("hs", t)
    z = np.arctanh(h)
    right = "dz = dh * (1 - h**2)"
    return [
        (f"the factor (1 - h**2) is missing: tanh has a derivative ({right})", dh),
        (f"the derivative of tanh is (1 - h**2), not (1 - h)**2 ({right})", dh * (1 - h) ** 2),
        (f"the derivative of tanh is (1 - h**2), not 1 - h ({right})", dh * (1 - h)),
        (f"the derivative of tanh is (1 - h**2), not 1 + h**2 ({right})", dh * (1 + h * h)),
        (f"(1 - h**2) is taken of the wrong variable: of h_prev, not of h ({right})", dh * (1 - h_prev * h_prev)),
        (f"(1 - h**2) is taken of the wrong variable: of z, the argument of tanh ({right})", dh * (1 - z * z)),
        (f"tanh is taken twice: h is tanh(z) already ({right})", dh * (1 - np.tanh(h) ** 2)),
        (f"it is the derivative of sigmoid, h * (1 - h), not of tanh ({right})", dh * h * (1 - h))]


def rnn_back_mistakes(n: Numbers, t: int, dh: Array) -> dict[str, list[Candidate]]:
    """Wrong variants of what step t sends back, by name; dh is right."""
    d = n.d
    x, h_prev, h, W, U = d["x"][t - 1], n.before("hs", t), d["hs"][t - 1], d["W"], d["U"]
    dz = dh * (1 - h * h)
    through = {
        "h_prev": (f"h[{t - 1}]", f"z[{t}]"), "x": (f"x[{t}]", f"z[{t}]"), "W": (f"x[{t}]", f"z[{t}]"),
        "U": (f"h[{t - 1}]", f"z[{t}]"), "b": (f"z[{t}]", f"h[{t}]")}
    found: dict[str, list[Candidate]] = {name: [] for name in through}
    for text, other in tanh_mistakes(n, t, dh):
        gives = {"h_prev": other @ U.T, "x": other @ W.T, "W": x.T @ other, "U": h_prev.T @ other, "b": other.sum(0)}
        for name, value in gives.items():
            found[name].append(Candidate(text, value, (f"z[{t}]", f"h[{t}]")))
        found["h_prev"].append(Candidate(f"{text}; and it is dz @ U, but should be dz @ U.T", other @ U,
                                         through["h_prev"]))
    more = {
        "h_prev": [("dh_prev = dz @ U, but should be dz @ U.T: the transpose is missing", dz @ U)],
        "W": [("dW is divided by the batch size: a mean where the sum belongs", x.T @ dz / n.N)],
        "U": [("dU = h.T @ dz, but should be h_prev.T @ dz: U multiplies the state before", h.T @ dz),
              ("dU is divided by the batch size: a mean where the sum belongs", h_prev.T @ dz / n.N),
              ("dU = dz.T @ h_prev, but should be h_prev.T @ dz: it is transposed", dz.T @ h_prev)],
        "b": [("db is the mean over the batch, but should be the sum", dz.mean(0)),
              ("db is one row of the batch, but should be the sum over all", dz[0])]}
    if t == 1:
        more["U"].append((WRAPPED, d["hs"][-1].T @ dz))
    for name, mistakes in more.items():
        found[name] += [Candidate(text, value, through[name]) for text, value in mistakes]
    return found


# ---- the LSTM: one step
def lstm_forward_mistakes(n: Numbers, t: int, h_prev: Array, c_prev: Array) -> dict[str, list[Candidate]]:
    """Wrong variants of the step's results, by name."""
    p, x = n.p, n.d["x"][t - 1]
    right = solution.lstm_step_forward(x, h_prev, c_prev, p)
    i, f, o, g, c = (right[name] for name in "ifogc")
    found: dict[str, list[Candidate]] = {}
    for k in GATES:
        squash, other = (np.tanh, solution.sigmoid) if k == "g" else (solution.sigmoid, np.tanh)
        terms = {"W": x @ p[f"W_{k}"], "U": h_prev @ p[f"U_{k}"], "b": np.broadcast_to(p[f"b_{k}"], h_prev.shape)}
        z, edge = terms["W"] + terms["U"] + terms["b"], (f"h[{t - 1}]", f"{k}[{t}]")
        names = ("tanh", "sigmoid") if k == "g" else ("sigmoid", "tanh")
        found[k] = [Candidate(f"{names[1]} is used where {names[0]} belongs", other(z), edge),
                    Candidate(f"{names[0]} is missing", z, edge)]
        for what, term in terms.items():
            found[k].append(Candidate(f"{what}_{k} is unused: its term is missing", squash(z - term), edge))
        found[k].append(Candidate(f"it is h_prev @ U_{k}.T, but should be h_prev @ U_{k}",
                                  squash(z - terms["U"] + h_prev @ p[f"U_{k}"].T), edge))
        for j in GATES:
            if j == k:
                continue
            others = {"W": x @ p[f"W_{j}"], "U": h_prev @ p[f"U_{j}"], "b": p[f"b_{j}"]}
            for what in others:
                found[k].append(Candidate(f"{what}_{k} is unused, {what}_{j} is used twice",
                                          squash(z - terms[what] + others[what]), edge))
            found[k].append(Candidate(f"it is computed with the parameters of gate {j}: the gates' order is mixed up",
                                      squash(others["W"] + others["U"] + others["b"]), edge))
    found["c"] = [
        Candidate("c = i * c_prev + f * g, but should be f * c_prev + i * g: i and f are exchanged", i * c_prev + f * g,
                  (f"f[{t}]", f"c[{t}]")),
        Candidate("the forget gate is missing: c_prev is added whole", c_prev + i * g, (f"f[{t}]", f"c[{t}]")),
        Candidate("c_prev is not added", i * g, (f"c[{t - 1}]", f"c[{t}]")),
        Candidate("the input gate is missing: g is added whole", f * c_prev + g, (f"i[{t}]", f"c[{t}]")),
        Candidate("h_prev is used where c_prev belongs", f * h_prev + i * g, (f"c[{t - 1}]", f"c[{t}]")),
        Candidate("o is used where f belongs", o * c_prev + i * g, (f"f[{t}]", f"c[{t}]"))]
    found["h"] = [
        Candidate("h = o * c, but should be o * tanh(c): tanh is missing", o * c, (f"c[{t}]", f"h[{t}]")),
        Candidate("the output gate is missing", np.tanh(c), (f"o[{t}]", f"h[{t}]")),
        Candidate("f is used where o belongs", f * np.tanh(c), (f"o[{t}]", f"h[{t}]")),
        Candidate("tanh is taken of g, not of c", o * np.tanh(g), (f"c[{t}]", f"h[{t}]"))]
    return found


def lstm_back_mistakes(n: Numbers, t: int, dh: Array, dc: Array) -> dict[str, list[Candidate]]:
    """Wrong variants of what step t sends back, by name; dh and dc, what comes from outside, are right."""
    p, x = n.p, n.d["x"][t - 1]
    h_prev, c_prev = n.before("lstm_h", t), n.before("lstm_c", t)
    i, f, o, g, c, h = (n.s[name][t - 1] for name in ("i", "f", "o", "g", "c", "h"))
    tanh_c = np.tanh(c)
    way, carry = (f"c[{t}]", f"h[{t}]"), (f"c[{t}]", f"c[{t + 1}]")
    whole = dc + dh * o * (1 - tanh_c * tanh_c)
    cells = [
        ("the contribution through h is missing (dh * o * (1 - tanh(c)**2))", dc, way),
        ("dc, what comes from the next step, is missing", whole - dc, carry),
        ("the derivative of tanh is taken of the wrong variable: 1 - c**2, but should be 1 - tanh(c)**2",
         dc + dh * o * (1 - c * c), way),
        ("the derivative of tanh is taken of the wrong variable: 1 - h**2, but should be 1 - tanh(c)**2",
         dc + dh * o * (1 - h * h), way),
        ("the factor (1 - tanh(c)**2) is missing", dc + dh * o, way),
        ("the factor o is missing on the way through h", dc + dh * (1 - tanh_c * tanh_c), way)]
    factors = {"i": g, "f": c_prev, "o": tanh_c, "g": i}
    slopes = {"i": i * (1 - i), "f": f * (1 - f), "o": o * (1 - o), "g": 1 - g * g}
    incoming = {"i": whole, "f": whole, "o": dh, "g": whole}
    dz = {k: incoming[k] * factors[k] * slopes[k] for k in GATES}
    wrong_factors = {"i": [("i", i), ("c_prev", c_prev)], "f": [("c", c), ("g", g), ("h_prev", h_prev)],
                     "o": [("c", c), ("h", h)], "g": [("f", f), ("g", g)]}
    right_factors = {"i": "g", "f": "c_prev", "o": "tanh(c)", "g": "i"}
    found: dict[str, list[Candidate]] = {"c": [Candidate(*mistake) for mistake in cells]}
    variants: dict[str, list[tuple[str, Array]]] = {k: [] for k in GATES}
    for k in GATES:
        gate, value = {"i": i, "f": f, "o": o, "g": g}[k], incoming[k] * factors[k]
        tanh_slope, slope = 1 - gate * gate, gate * (1 - gate)
        variants[k] += [(f"the derivative of gate {k}'s own {'tanh' if k == 'g' else 'sigmoid'} is missing", value),
                        (f"{k} is a tanh: its derivative is 1 - g**2, not g * (1 - g)" if k == "g" else
                         f"{k} is a sigmoid: its derivative is {k} * (1 - {k}), not 1 - {k}**2",
                         value * (slope if k == "g" else tanh_slope))]
        variants[k] += [(f"dz_{k} is multiplied by {name}, but should be by {right_factors[k]}",
                         incoming[k] * other * slopes[k]) for name, other in wrong_factors[k]]
        variants[k].append((f"the factor {right_factors[k]} is missing in dz_{k}", incoming[k] * slopes[k]))
        if k != "o":
            variants[k] += [(f"in dz_{k}: {text}", other * factors[k] * slopes[k]) for text, other, _ in cells]
    target = {k: (f"{k}[{t}]", f"{'h' if k == 'o' else 'c'}[{t}]") for k in GATES}
    for k in GATES:
        found[f"b_{k}"] = [Candidate(text, other.sum(0), target[k]) for text, other in variants[k]]
        found[f"W_{k}"] = [Candidate(text, x.T @ other, target[k]) for text, other in variants[k]]
        found[f"U_{k}"] = [Candidate(text, h_prev.T @ other, target[k]) for text, other in variants[k]]
        found[f"b_{k}"].append(Candidate(f"db_{k} is the mean over the batch, but should be the sum", dz[k].mean(0),
                                         target[k]))
        if t == 1:
            found[f"U_{k}"].append(Candidate(WRAPPED, n.s["h"][-1].T @ dz[k], (f"h[{t - 1}]", f"{k}[{t}]")))
        found[f"U_{k}"].append(Candidate(f"dU_{k} = h.T @ dz_{k}, but should be h_prev.T @ dz_{k}", h.T @ dz[k],
                                         (f"h[{t - 1}]", f"{k}[{t}]")))
        found |= {f"{what}_{k}": [*found[f"{what}_{k}"], *(
            Candidate(f"d{what}_{k} is the gradient of {what}_{j}: the gates' order is mixed up",
                      {"W": x.T, "U": h_prev.T, "b": np.ones((1, n.N))}[what] @ dz[j] if what != "b" else
                      dz[j].sum(0), target[k]) for j in GATES if j != k)] for what in "WUb"}
    found["c_prev"] = [Candidate(f"dc_prev = dc * {name}, but should be dc * f", whole * other,
                                 (f"c[{t - 1}]", f"c[{t}]"))
                       for name, other in (("i", i), ("o", o), ("g", g))]
    found["c_prev"] += [Candidate("the factor f is missing in dc_prev = dc * f", whole, (f"c[{t - 1}]", f"c[{t}]"))]
    found["c_prev"] += [Candidate(f"in dc_prev = dc * f: {text}", other * f, edge) for text, other, edge in cells]
    for name, key, source in (("h_prev", "U", f"h[{t - 1}]"), ("x", "W", f"x[{t}]")):
        back = {k: dz[k] @ p[f"{key}_{k}"].T for k in GATES}
        total = sum(back.values(), np.zeros(()))
        found[name] = [Candidate(f"the contribution through gate {k} is missing in d{name}", total - back[k],
                                 (source, f"{k}[{t}]")) for k in GATES]
        found[name] += [Candidate(f"d{name} holds only the contribution of gate {k}: = where += belongs", back[k],
                                  (source, f"{k}[{t}]")) for k in GATES]
        if name == "h_prev":
            straight = {k: dz[k] @ p[f"U_{k}"] for k in GATES}
            found[name] += [Candidate(f"it is dz_{k} @ U_{k}, but should be dz_{k} @ U_{k}.T",
                                      total - back[k] + straight[k],
                                      (source, f"{k}[{t}]")) for k in GATES]
            found[name].append(Candidate("it is dz @ U, but should be dz @ U.T, for every gate",
                                         sum(straight.values(), np.zeros(())), (source, f"f[{t}]")))
        for k in GATES:
            found[name] += [Candidate(text, total - back[k] + other @ p[f"{key}_{k}"].T, target[k])
                            for text, other in variants[k]]
    return found


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


def rnn_arriving(n: Numbers, state: str, t: int) -> list[Candidate]:
    """Wrong variants of dL/dh[t] where dL/dh[t+1] is right."""
    direct = n.d["dhs"][t - 1] if t else np.zeros_like(n.d["h0"])
    if t == n.T:
        return [*_direct(n, direct, t), *_before_tanh(n, t)]
    dh = n.rnn["h"][t]
    way = f"h[{t}]", f"z[{t + 1}]"
    return [*_ways(n, direct, n.rnn["h"][t - 1] if t else n.rnn["h0"], t, way),
            *_before_tanh(n, t),
            *(Candidate(f"on the way back from h[{t + 1}], {m.mistake}", direct + m.gives, m.edge)
              for m in rnn_back_mistakes(n, t + 1, dh)["h_prev"])]


def _before_tanh(n: Numbers, t: int) -> list[Candidate]:
    if not t:
        return []
    return [Candidate(f"it is dL/dz[{t}], gone through tanh already: dL/dh is what arrives, before (1 - h**2)",
                      n.rnn["h"][t - 1] * (1 - n.d["hs"][t - 1] ** 2), (f"z[{t}]", f"h[{t}]"))]


def lstm_arriving(n: Numbers, state: str, t: int) -> list[Candidate]:
    """The same for dL/dh[t] and dL/dc[t] of the LSTM."""
    direct = n.d["dhs"][t - 1] if t else np.zeros_like(n.d["h0"])
    later = n.later(t) if t else n.lstm["c0"]
    if state == "c":
        own = n.lstm["h"][t - 1] * n.s["o"][t - 1] * (1 - np.tanh(n.s["c"][t - 1]) ** 2) if t else np.zeros_like(direct)
        found = _ways(n, own, own + later, t, (f"c[{t}]", f"c[{t + 1}]"), "c") if t < n.T else []
        if t:
            found += [Candidate(m.mistake, m.gives, m.edge)
                      for m in lstm_back_mistakes(n, t, n.lstm["h"][t - 1], later)["c"]]
        if t < n.T:
            found += [Candidate(f"on the way back from c[{t + 1}], {m.mistake}", own + m.gives, m.edge)
                      for m in _lstm_step(n, t + 1)["c_prev"]]
        return found
    if t == n.T:
        return _direct(n, direct, t)
    return [*_ways(n, direct, n.lstm["h"][t - 1] if t else n.lstm["h0"], t, (f"h[{t}]", f"f[{t + 1}]")),
            *(Candidate(f"on the way back from t = {t + 1}, {m.mistake}", direct + m.gives, m.edge)
              for m in _lstm_step(n, t + 1)["h_prev"])]


def _lstm_step(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    return lstm_back_mistakes(n, t, n.lstm["h"][t - 1], n.later(t))


def _direct(n: Numbers, direct: Array, t: int) -> list[Candidate]:
    return [Candidate(f"the direct gradient dhs[{t - 1}] is missing", np.zeros_like(direct)),
            *(Candidate(f"it is h[{t}] itself, not its gradient", n.d[name][t - 1]) for name in ("hs", "lstm_h")),
            *(Candidate(f"it holds dhs[{k}], but should be dhs[{t - 1}]", n.d["dhs"][k]) for k in range(t - 1))]


def _ways(n: Numbers, direct: Array, right: Array, t: int, way: Edge, state: str = "h") -> list[Candidate]:
    """A contribution that is missing or counted wrongly."""
    through = right - direct
    cut = f", so the gradient is cut after {n.T - t} steps" if 0 < t < n.T - 1 else ""
    found = [Candidate(f"the contribution through {state}[{t + 1}] is missing{cut}", direct, way),
             Candidate(f"it is all zero, so t = {t} was never reached: is the loop a step short?", np.zeros_like(right),
                       way),
             Candidate(f"the contribution through {state}[{t + 1}] is counted twice", direct + 2 * through, way),
             Candidate(f"the contribution through {state}[{t + 1}] has the wrong sign", direct - through, way),
             Candidate(f"the contribution through {state}[{t + 1}] has overwritten the direct one (= where += belongs)",
                       through, way)]
    return found if t else [found[0], *found[2:4]]


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
                               hit.edge if hit else self.edge("W", t), f"z[{t}]", named=hit is not None)
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


def parts(steps: Sequence[dict[str, Array]], names: Iterable[str]) -> dict[str, Array]:
    """What each step contributes to parameters, from what each step sends back."""
    return {name: np.stack([step[name] for step in steps]) for name in names}


def _rnn_forward(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    return {"h": rnn_forward_mistakes(n, t, n.before("hs", t))}


def _rnn_sequence(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    d, found = n.d, _rnn_forward(n, t)["h"]
    if t > 1:
        return {"h": found}
    unread = "h0 is not used: hs[t - 1] of the first step is hs[-1], which is not computed yet"
    return {"h": [Candidate(unread, np.tanh(d["x"][0] @ d["W"] + d["b"]), ("h[0]", "z[1]")), *found]}


def _lstm_forward(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    return lstm_forward_mistakes(n, t, n.before("lstm_h", t), n.before("lstm_c", t))


def _rnn_step(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    return rnn_back_mistakes(n, t, n.rnn["h"][t - 1])


def _rnn_edge(name: str, t: int) -> Edge:
    return {"W": (f"x[{t}]", f"z[{t}]"), "U": (f"h[{t - 1}]", f"z[{t}]"), "b": (f"z[{t}]", f"h[{t}]")}[name]


def _lstm_edge(name: str, t: int) -> Edge:
    what, _, k = name.partition("_")
    k = k or "f"
    source = {"W": f"x[{t}]", "U": f"h[{t - 1}]"}.get(what)
    return (source, f"{k}[{t}]") if source else (f"{k}[{t}]", f"{'h' if k == 'o' else 'c'}[{t}]")


# ---- the assignment
def rnn_checks(n: Numbers) -> list[Check]:
    d = n.d
    step, results = {"h": d["hs"][0]}, {"h": d["hs"]}
    forward = Forward("rnn_forward", n, results, _rnn_sequence)
    questions = ["rnn_step_forward", "rnn_step_backward", "rnn_forward", "rnn_backward"]
    time = ThroughTime("rnn_backward", n, "h", n.rnn, rnn_arriving)
    return [
        Check("rnn: shapes and dtypes", 1, Shapes({
            "rnn_step_forward": step, "rnn_step_backward": n.rnn_steps[1], "rnn_forward": results,
            "rnn_backward": n.rnn})),
        Check("rnn: one step forward", 1, Values("rnn_step_forward", step, _rnn_forward(n, 1), "t = 1", until="h[1]")),
        Check("rnn: forward by step", 1, forward, again=1),
        Check("rnn: one step backward", 2, Values("rnn_step_backward", n.rnn_steps[1], _rnn_step(n, 2), "t = 2", "d",
                                                  "z[2]")),
        Check("rnn: dL/dh by step", 2, time, again=1),
        Check("rnn: dL/dx, and parameters by step", 2,
              Gradients("rnn_backward", n, n.rnn, parts(n.rnn_steps, "WUb"), _rnn_step,
                                                            _rnn_edge), again=1),
        Check("rnn: inputs unmodified", 1, Unmodified(questions, time, CALLED)),
        Check("rnn: second call", 1, SecondCall(questions, forward)),
        Check("rnn: central differences", 1, Numeric("rnn_forward:numeric", "rnn_backward", {
            name: n.rnn[name] for name in ("x", "h0", "W", "U", "b")}))]


def lstm_checks(n: Numbers) -> list[Check]:
    step = {name: array[0] for name, array in n.s.items()}
    forward = Forward("lstm_forward", n, n.s, _lstm_forward)
    questions = ["lstm_step_forward", "lstm_step_backward", "lstm_forward", "lstm_backward"]
    time = ThroughTime("lstm_backward", n, "hc", n.lstm, lstm_arriving)
    return [
        Check("lstm: shapes and dtypes", 1, Shapes({
            "lstm_step_forward": step, "lstm_step_backward": n.lstm_steps[1], "lstm_forward": n.s,
            "lstm_backward": n.lstm})),
        Check("lstm: one step forward", 2, Values("lstm_step_forward", step, _lstm_forward(n, 1), "t = 1",
                                                  until="h[1]")),
        Check("lstm: forward by step", 1, forward, again=1),
        Check("lstm: one step backward", 3, Values("lstm_step_backward", n.lstm_steps[1], _lstm_step(n, 2), "t = 2",
                                                   "d",
                                                   "h[2]")),
        Check("lstm: dL/dh and dL/dc by step", 2, time, again=1),
        Check("lstm: dL/dx, and parameters by step", 2,
              Gradients("lstm_backward", n, n.lstm, parts(n.lstm_steps, PARAMETERS), _lstm_step,
                                                                  _lstm_edge), again=1),
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
