"""The right results of assignment 3: the two cells, forward, backward, and what each step contributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments import a3_source as solution
from examples.assignments.graphs import a3 as graphs

Array = NDArray[Any]
GATES = graphs.GATES
PARAMETERS = [f"{what}_{k}" for k in GATES for what in "WUb"]


class Numbers:
    """Inputs and right results, with one set of numbers."""

    def __init__(self, seed: int, sizes: tuple[int, int, int, int],
                 changed: Callable[[dict[str, Array]], dict[str, Array]] = dict) -> None:
        self.d: dict[str, Any] = dict(changed(graphs.numbers(seed, sizes)))
        d = self.d
        self.T, self.N = d["x"].shape[:2]
        d["hs"] = solution.rnn_forward(d["x"], d["h0"], d["W"], d["U"], d["b"])
        self.without_bias = solution.rnn_forward(d["x"], d["h0"], d["W"], d["U"], 0 * d["b"])
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
        second = min(2, self.T)  # the step whose way back is asked for
        d |= {"dh_2": self.rnn["h"][second - 1], "lstm_dh_2": self.lstm["h"][second - 1]}
        d |= {"lstm_dc_2": self.later(second)}

    def before(self, name: str, t: int) -> Array:
        """Return h or c of the plain cell ("hs") or the LSTM ("lstm_h", "lstm_c") at step t - 1; t counts from 1."""
        initial = self.d["c0"] if name == "lstm_c" else self.d["h0"]
        return np.asarray(initial if t == 1 else self.d[name][t - 2])

    def later(self, t: int) -> Array:
        """Return the gradient that step t + 1 passes back to c[t]."""
        return np.asarray(self.lstm["c"][t] * self.s["f"][t] if t < self.T else np.zeros_like(self.d["c0"]))


def parts(steps: Sequence[dict[str, Array]], names: Iterable[str]) -> dict[str, Array]:
    """Return the contribution of each step to the parameters' gradients, from the gradients of its results."""
    return {name: np.stack([step[name] for step in steps]) for name in names}
