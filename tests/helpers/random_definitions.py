"""Random definitions that can be computed: up to four signals, forward or backward in time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import minigrad as mg
from rnn import Cell, T, t


class Term(NamedTuple):
    source: int
    delay: int
    weight: Any


class Spec(NamedTuple):
    """s_i[t + lead_i] = f_i(sum of weight * s_source[t + lead_i - delay] + x[t]), all in vectors of two."""

    leads: list[int]
    functions: list[str]
    terms: list[list[Term]]
    initial: list[Any]  # for each signal None, or the value of all steps outside
    sign: int  # +1 forward in time, -1 backward


FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "tanh": (np.tanh, np.tanh), "sigmoid": (mg.sigmoid, lambda a: 1 / (1 + np.exp(-a))),
    "linear": (lambda a: 0.5 * a, lambda a: 0.5 * a), "product": (lambda a: a * np.tanh(a), lambda a: a * np.tanh(a))}
STEPS = 4


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Return up to four signals that read each other; without a delay only those before them."""
    count = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sign = draw(st.sampled_from([1, -1]))
    terms = []
    for target in range(count):
        drawn = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, 3)), max_size=3, unique=True))
        terms.append([Term(source, delay * sign, rng.normal(size=(2, 2)) * 0.6)
                      for source, delay in drawn if delay or source < target])
    initial = [rng.normal(size=2) if draw(st.booleans()) else None for _ in range(count)]
    return Spec([draw(st.integers(0, 1)) if sign > 0 else 0 for _ in range(count)],
                [draw(st.sampled_from(sorted(FUNCTIONS))) for _ in range(count)], terms, initial, sign)


def defined(spec: Spec) -> tuple[Cell, list[list[mg.Tensor]]]:
    """Return the definition, and the weights of its terms."""
    cell = Cell()
    given = cell.input("x", 2)
    count = len(spec.leads)
    signals = [cell.signal(f"s{i}", 2) for i in range(count)]
    weights = [[mg.Tensor(term.weight, requires_grad=True, name=f"w{i}_{n}") for n, term in enumerate(terms)]
               for i, terms in enumerate(spec.terms)]
    for i in reversed(range(count)):  # definitions before what they use
        total = given[t]
        for term, weight in zip(spec.terms[i], weights[i]):
            total = total + weight @ signals[term.source][t + (spec.leads[i] - term.delay)]
        signals[i][t + spec.leads[i]] = FUNCTIONS[spec.functions[i]][0](total)
        for k in range(4):  # as many steps outside as anything may read
            if spec.initial[i] is not None and spec.sign > 0:
                signals[i][spec.leads[i] - k] = spec.initial[i]
            elif spec.initial[i] is not None:
                signals[i][T + 1 + k] = spec.initial[i]
    return cell, weights
