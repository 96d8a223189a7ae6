"""What the usual mistakes with the LSTM are called, and what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments import a3_source as solution
from examples.assignments.comparisons.a3 import BACKWARD
from examples.assignments.naming import Candidate, Edge

from .a3_numbers import GATES, Numbers
from .a3_rnn import WRAPPED, carried_mistakes, contribution_mistakes, direct_mistakes

Array = NDArray[Any]


def forward_mistakes(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    """Return wrong variants of the results of step t, by name."""
    h_prev, c_prev = n.before("lstm_h", t), n.before("lstm_c", t)
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
        found[k].append(Candidate(f"1 is added to b_{k}: a bias may begin at 1, the cell adds it as it is",
                                  squash(z + 1), edge))
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


class Back:
    """The results of one backward step of the LSTM; dh and dc, its upstream gradients, are right.

    Attributes:
        whole: all of dL/dc; cells: wrong variants of it, with names and edges.
        slopes: the derivative of each gate's own function; factors: what dc (or dh) is multiplied by before.
        dz: the gradient of the sum in each gate; wrong: named wrong variants of it.
        target: for each gate, the edge that it acts through.
    """

    def __init__(self, n: Numbers, t: int) -> None:
        self.t, self.p, self.N, self.x = t, n.p, n.N, n.d["x"][t - 1]
        self.h_prev, self.c_prev = n.before("lstm_h", t), n.before("lstm_c", t)
        self.dh, self.dc = n.lstm["h"][t - 1], n.later(t)
        self.v = {name: n.s[name][t - 1] for name in ("i", "f", "o", "g", "c", "h")}
        i, f, o, g, c = (self.v[name] for name in "ifogc")
        self.whole = self.dc + self.dh * o * (1 - np.tanh(c) ** 2)
        self.cells = self._cells()
        self.factors = {"i": g, "f": self.c_prev, "o": np.tanh(c), "g": i}
        self.slopes = {"i": i * (1 - i), "f": f * (1 - f), "o": o * (1 - o), "g": 1 - g * g}
        self.incoming = {k: self.dh if k == "o" else self.whole for k in GATES}
        self.dz = {k: self.incoming[k] * self.factors[k] * self.slopes[k] for k in GATES}
        self.wrong = {k: self._gate(k) for k in GATES}
        self.target = {k: (f"{k}[{t}]", f"{'h' if k == 'o' else 'c'}[{t}]") for k in GATES}

    def _cells(self) -> list[tuple[str, Array, Edge]]:
        o, c, h = (self.v[name] for name in "och")
        dh, dc, tanh_c, t = self.dh, self.dc, np.tanh(c), self.t
        way, carry = (f"c[{t}]", f"h[{t}]"), (f"c[{t}]", f"c[{t + 1}]")
        of_wrong = "the derivative of tanh is taken of the wrong variable: {}, but should be 1 - tanh(c)**2"
        return [
            ("the contribution through h is missing (dh * o * (1 - tanh(c)**2))", dc, way),
            ("dc, the contribution of the next step, is missing", self.whole - dc, carry),
            (of_wrong.format("1 - c**2"), dc + dh * o * (1 - c * c), way),
            (of_wrong.format("1 - h**2"), dc + dh * o * (1 - h * h), way),
            ("the derivative of tanh is 1 - tanh(c)**2, not 1 - tanh(c)", dc + dh * o * (1 - tanh_c), way),
            ("the factor (1 - tanh(c)**2) is missing", dc + dh * o, way),
            ("the factor o is missing on the way through h", dc + dh * (1 - tanh_c * tanh_c), way)]

    def _gate(self, k: str) -> list[tuple[str, Array]]:
        """Return wrong variants of dz of one gate."""
        v, gate, came = self.v, self.v[k], self.incoming[k]
        value, name = came * self.factors[k], {"i": "g", "f": "c_prev", "o": "tanh(c)", "g": "i"}[k]
        others = {"i": [("i", v["i"]), ("c_prev", self.c_prev)],
                  "f": [("c", v["c"]), ("g", v["g"]), ("h_prev", self.h_prev)],
                  "o": [("c", v["c"]), ("h", v["h"])], "g": [("f", v["f"]), ("g", v["g"])]}[k]
        if k == "g":
            exchanged = "g is a tanh: its derivative is 1 - g**2, not g * (1 - g)", value * gate * (1 - gate)
        else:
            exchanged = f"{k} is a sigmoid: its derivative is {k} * (1 - {k}), not 1 - {k}**2", value * (1 - gate
                                                                                                         * gate)
        found = [(f"the derivative of gate {k}'s own {'tanh' if k == 'g' else 'sigmoid'} is missing", value), exchanged,
                 (f"the factor {name} is missing in dz_{k}", came * self.slopes[k])]
        found += [(f"dz_{k} is multiplied by {other}, but should be by {name}", came * gives * self.slopes[k])
                  for other, gives in others]
        if k != "o":
            found += [(f"in dz_{k}: {text}", gives * self.factors[k] * self.slopes[k]) for text, gives, _ in self.cells]
        return found


def back_mistakes(n: Numbers, t: int) -> dict[str, list[Candidate]]:
    """Return wrong variants of the gradients that step t passes back, by name."""
    back = Back(n, t)
    found = {"c": [Candidate(*mistake) for mistake in back.cells]}
    for k in GATES:
        found |= gate_mistakes(back, k)
        if t == 1:
            found[f"U_{k}"].append(Candidate(WRAPPED, n.s["h"][-1].T @ back.dz[k], (f"h[{t - 1}]", f"{k}[{t}]")))
    way, f = (f"c[{t - 1}]", f"c[{t}]"), back.v["f"]
    found["c_prev"] = [Candidate(f"dc_prev = dc * {k}, but should be dc * f", back.whole * back.v[k], way) for k
                       in "iog"]
    found["c_prev"].append(Candidate("the factor f is missing in dc_prev = dc * f", back.whole, way))
    found["c_prev"] += [Candidate(f"in dc_prev = dc * f: {text}", gives * f, edge) for text, gives, edge in back.cells]
    found["h_prev"] = read_mistakes(back, "h_prev", "U", f"h[{t - 1}]")
    found["x"] = read_mistakes(back, "x", "W", f"x[{t}]")
    return found


def gate_mistakes(back: Back, k: str) -> dict[str, list[Candidate]]:
    """Return wrong variants of the gradients of one gate's parameters."""
    found = {}
    edge = back.target[k]
    for what, gives in (("b", _summed), ("W", back.x.T.__matmul__), ("U", back.h_prev.T.__matmul__)):
        found[f"{what}_{k}"] = [Candidate(text, gives(dz), edge) for text, dz in back.wrong[k]]
        found[f"{what}_{k}"] += [Candidate(f"d{what}_{k} is the gradient of {what}_{j}: the gates' order is mixed up",
                                           gives(back.dz[j]), edge) for j in GATES if j != k]
    found[f"b_{k}"].append(Candidate(f"db_{k} is the mean over the batch, but should be the sum", back.dz[k].mean(0),
                                     edge))
    found[f"U_{k}"].append(Candidate(f"dU_{k} = h.T @ dz_{k}, but should be h_prev.T @ dz_{k}",
                                     back.v["h"].T @ back.dz[k], (f"h[{back.t - 1}]", f"{k}[{back.t}]")))
    return found


def _summed(dz: Array) -> Array:
    return np.asarray(dz.sum(0))


def read_mistakes(back: Back, name: str, parameter: str, source: str) -> list[Candidate]:
    """Return wrong variants of the gradient of an input of all four gates: h_prev through U, x through W."""
    weights = {k: back.p[f"{parameter}_{k}"] for k in GATES}
    shares = {k: back.dz[k] @ weights[k].T for k in GATES}
    total = np.sum(list(shares.values()), axis=0)
    found = []
    for text, gives, edge in back.cells:  # a wrong dc reaches all gates but o
        wrong = [gives * back.factors[k] * back.slopes[k] @ weights[k].T for k in GATES if k != "o"]
        found.append(Candidate(f"in dc: {text}", shares["o"] + np.sum(wrong, axis=0), edge))
    for k in GATES:
        edge = source, f"{k}[{back.t}]"
        found += [Candidate(f"the contribution through gate {k} is missing in d{name}", total - shares[k], edge),
                  Candidate(f"d{name} holds only the contribution of gate {k}: = where += belongs", shares[k], edge)]
        found += [Candidate(text, total - shares[k] + dz @ weights[k].T, back.target[k]) for text, dz in back.wrong[k]]
    if name == "h_prev":
        straight = {k: back.dz[k] @ weights[k] for k in GATES}
        found += [Candidate(f"it is dz_{k} @ U_{k}, but should be dz_{k} @ U_{k}.T", total - shares[k] + straight[k],
                            (source, f"{k}[{back.t}]")) for k in GATES]
        found.append(Candidate("it is dz @ U, but should be dz @ U.T, for every gate",
                               np.sum(list(straight.values()), axis=0), (source, f"f[{back.t}]")))
    return found


def arriving_mistakes(n: Numbers, state: str, t: int) -> list[Candidate]:
    """Return wrong variants of dL/dh[t] and dL/dc[t] of the LSTM."""
    direct = n.d["dhs"][t - 1] if t else np.zeros_like(n.d["h0"])
    later = n.later(t) if t else n.lstm["c0"]
    if state == "c":
        own = n.lstm["h"][t - 1] * n.s["o"][t - 1] * (1 - np.tanh(n.s["c"][t - 1]) ** 2) if t else np.zeros_like(direct)
        found = contribution_mistakes(n, own, own + later, t, (f"c[{t}]", f"c[{t + 1}]"), "c") if t < n.T else []
        if t:
            found += back_mistakes(n, t)["c"]
        if t < n.T:
            found += [Candidate(f"{BACKWARD} c[{t + 1}], {m.mistake}", own + m.gives, m.edge)
                      for m in back_mistakes(n, t + 1)["c_prev"]]
            found += carried_mistakes(n, own, n.lstm["c"][t], t, (f"c[{t}]", f"c[{t + 1}]"), "c")
        if t < n.T - 1:
            found.append(Candidate(f"dL/dc[{t + 1}] is multiplied by f[{t + 2}], but should be by f[{t + 1}]",
                                   own + n.lstm["c"][t] * n.s["f"][t + 1], (f"c[{t}]", f"c[{t + 1}]")))
        return found
    if t == n.T:
        return direct_mistakes(n, direct, t)
    way = f"h[{t}]", f"f[{t + 1}]"
    return [*contribution_mistakes(n, direct, n.lstm["h"][t - 1] if t else n.lstm["h0"], t, way),
            *carried_mistakes(n, direct, n.lstm["h"][t], t, way),
            *(Candidate(f"{BACKWARD} t = {t + 1}, {m.mistake}", direct + m.gives, m.edge)
              for m in back_mistakes(n, t + 1)["h_prev"])]


def edge_of(name: str, t: int) -> Edge:
    what, _, k = name.partition("_")
    k = k or "f"
    source = {"W": f"x[{t}]", "U": f"h[{t - 1}]"}.get(what)
    return (source, f"{k}[{t}]") if source else (f"{k}[{t}]", f"{'h' if k == 'o' else 'c'}[{t}]")
