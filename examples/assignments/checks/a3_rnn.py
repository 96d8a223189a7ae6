"""What the usual mistakes with the plain recurrent cell are called, and what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments import a3_source as solution
from examples.assignments.comparisons.a3 import BACKWARD
from examples.assignments.naming import Candidate, Edge

from .a3_numbers import Numbers

Array = NDArray[Any]
WRAPPED = "the last state is used where h0 belongs: hs[t - 1] of the first step is hs[-1]"


def forward_mistakes(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    """Return wrong variants of h[t]."""
    d, h_prev = n.d, n.before("hs", t)
    x, W, U, b = d["x"][t - 1], d["W"], d["U"], d["b"]
    z = x @ W + h_prev @ U + b
    recurrent = f"h[{t - 1}]", f"z[{t}]"
    found = [
        Candidate("tanh is missing", z, (f"z[{t}]", f"h[{t}]")),
        Candidate("ReLU is used where tanh belongs", np.maximum(z, 0), (f"z[{t}]", f"h[{t}]")),
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
    return {"h": found}


def tanh_mistakes(n: Numbers, t: int, dh: Array) -> list[tuple[str, Array]]:
    """Return wrong variants of dz[t] = dh * (1 - h**2)."""
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


def back_mistakes(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    """Return wrong variants of the gradients that step t passes back, by name; dL/dh[t] is right."""
    d, dh = n.d, n.rnn["h"][t - 1]
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


def sequence_mistakes(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    d, found = n.d, forward_mistakes(n, t)["h"]
    found.append(Candidate(f"it is h[{t - 1}]: the state is stored before the step, but should be after it",
                           n.before("hs", t), (f"h[{t - 1}]", f"z[{t}]")))
    if t > 1:
        return {"h": found}
    unread = "h0 is not used: hs[t - 1] of the first step is hs[-1], which is not computed yet"
    return {"h": [Candidate(unread, np.tanh(d["x"][0] @ d["W"] + d["b"]), ("h[0]", "z[1]")), *found]}


def arriving_mistakes(n: Numbers, state: str, t: int) -> list[Candidate]:
    """Return wrong variants of dL/dh[t] where dL/dh[t+1] is right."""
    direct = n.d["dhs"][t - 1] if t else np.zeros_like(n.d["h0"])
    if t == n.T:
        return [*direct_mistakes(n, direct, t), *_before_tanh(n, t)]
    way = f"h[{t}]", f"z[{t + 1}]"
    return [*contribution_mistakes(n, direct, n.rnn["h"][t - 1] if t else n.rnn["h0"], t, way),
            *_before_tanh(n, t), *carried_mistakes(n, direct, n.rnn["h"][t], t, way),
            Candidate(f"{BACKWARD} h[{t + 1}], the product with U.T is missing: it is dL/dz[{t + 1}]",
                      direct + n.rnn["h"][t] * (1 - n.d["hs"][t] ** 2), way),
            Candidate("the states are computed again, without b: those of rnn_forward are given, as hs",
                      direct + n.rnn["h"][t] * (1 - n.without_bias[t] ** 2) @ n.d["U"].T, way),
            *(Candidate(f"{BACKWARD} h[{t + 1}], {m.mistake}", direct + m.gives, m.edge)
              for m in back_mistakes(n, t + 1)["h_prev"])]


def _before_tanh(n: Numbers, t: int) -> list[Candidate]:
    if not t:
        return []
    return [Candidate(f"it is dL/dz[{t}], multiplied by (1 - h**2) already: dL/dh is the gradient before that",
                      n.rnn["h"][t - 1] * (1 - n.d["hs"][t - 1] ** 2), (f"z[{t}]", f"h[{t}]"))]


def direct_mistakes(n: Numbers, direct: Array, t: int) -> list[Candidate]:
    return [Candidate(f"the direct gradient dhs[{t - 1}] is missing", np.zeros_like(direct)),
            *(Candidate(f"it is h[{t}] itself, not its gradient", n.d[name][t - 1]) for name in ("hs", "lstm_h")),
            *(Candidate(f"it holds dhs[{k}], but should be dhs[{t - 1}]", n.d["dhs"][k]) for k in range(t - 1))]


def carried_mistakes(n: Numbers, direct: Array, later: Array, t: int, way: Edge, state: str = "h") -> list[Candidate]:
    """Return the variant in which the later gradient is carried as it is."""
    return [Candidate(f"dL/d{state}[{t + 1}] itself is carried back: it must go back through step {t + 1} first",
                      direct + later, way)]


def contribution_mistakes(n: Numbers, direct: Array, right: Array, t: int, way: Edge,
                          state: str = "h") -> list[Candidate]:
    """Return variants in which a contribution is missing or counted wrongly."""
    through = right - direct
    cut = f", so the gradient is cut after {n.T - t} steps" if 0 < t < n.T - 1 else ""
    found = [Candidate(f"the contribution through {state}[{t + 1}] is missing{cut}", direct, way),
             Candidate(f"it is all zero, so t = {t} was never reached: does the loop end early?", np.zeros_like(right),
                       way),
             Candidate(f"the contribution through {state}[{t + 1}] is counted twice", direct + 2 * through, way),
             Candidate(f"the contribution through {state}[{t + 1}] has the wrong sign", direct - through, way),
             Candidate(f"the contribution through {state}[{t + 1}] has overwritten the direct one (= where += belongs)",
                       through, way)]
    return found if t else [found[0], *found[2:4]]


def edge_of(name: str, t: int) -> Edge:
    return {"W": (f"x[{t}]", f"z[{t}]"), "U": (f"h[{t - 1}]", f"z[{t}]"), "b": (f"z[{t}]", f"h[{t}]")}[name]
