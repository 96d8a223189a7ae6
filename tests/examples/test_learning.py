"""examples/learning/learning_rules.py: its gradients and its counts against loops over single numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from examples import common
from examples.learning import learning_rules as rules
from examples.learning import rtrl
from examples.learning.learning_rules import REACH, RULES, STEPS, WHOLE, Rule

SEEDS = [0, 1, 2]
SMALL = 3  # units of the networks that the loops compute


class Pass(NamedTuple):
    """A backward pass: the steps that it goes through, and those whose losses it differentiates, from 0."""

    steps: range
    losses: range


def passes(rule: Rule) -> Iterator[Pass]:
    """Yield the backward passes of a rule for STEPS steps."""
    options = rule.options or {}
    if "chunks" in options:
        yield from (Pass(range(k, k + REACH), range(k, k + REACH)) for k in range(0, STEPS, REACH))
    elif "window" in options:
        every, length = options["window"]
        for stop in range(every, STEPS + 1, every):
            yield Pass(range(max(stop - length, 0), stop), range(stop - every, stop))
    elif "last" in options:
        yield Pass(range(STEPS - REACH, STEPS), range(STEPS - REACH, STEPS))
    else:
        yield Pass(range(STEPS), range(STEPS))


class Loops:
    """Gradients of one sequence, number by number; it counts its multiplications of matrix products."""

    def __init__(self, p: rtrl.Parameters, batch: common.Batch) -> None:
        self.count = 0
        self.W, self.U, self.V = (p[name].data.tolist() for name in "WUV")
        self.x, d = batch["x"][:, 0].tolist(), batch["d"][:, 0].tolist()
        h = [0.0] * SMALL
        self.states, self.errors = [h], []
        for x, wanted in zip(self.x, d):
            h = [np.tanh(self.dot(w, x) + self.dot(u, h) + b) for w, u, b in zip(self.W, self.U, p["b"].data)]
            self.states.append(h)
            self.errors.append([self.dot(v, h) - value for v, value in zip(self.V, wanted)])

    def dot(self, a: Sequence[float], b: Sequence[float]) -> float:
        """Return the inner product."""
        self.count += len(a)
        return sum(x * y for x, y in zip(a, b))

    def add_outer(self, total: Any, a: Sequence[float], b: Sequence[float]) -> None:
        """Add a bᵀ to a matrix."""
        self.count += len(a) * len(b)
        total += np.outer(a, b)

    def backward(self, every: Sequence[Pass]) -> dict[str, Any]:
        """Return the sum of the gradients of passes."""
        shapes = {"W": (SMALL, 3), "U": (SMALL, SMALL), "b": (SMALL,), "V": (2, SMALL)}
        found = {name: np.zeros(shape) for name, shape in shapes.items()}
        for steps, losses in every:
            back = [0.0] * SMALL
            for t in reversed(steps):
                h, before = self.states[t + 1], self.states[t]
                if t in losses:
                    self.add_outer(found["V"], self.errors[t], h)
                    back = [x + self.dot(v, self.errors[t]) for x, v in zip(back, zip(*self.V))]
                da = [(1 - y * y) * x for x, y in zip(back, h)]
                self.add_outer(found["W"], da, self.x[t])
                self.add_outer(found["U"], da, before)
                found["b"] += da
                back = [self.dot(u, da) for u in zip(*self.U)]
        return found

    def forward(self) -> dict[str, Any]:
        """Return the gradients by W, U and b forward in time: a vector of derivatives of the state for each number."""
        places = [(name, i, j) for name, columns in (("W", 3), ("U", SMALL), ("b", 1)) for i in range(SMALL)
                  for j in range(columns)]
        derivatives = {place: [0.0] * SMALL for place in places}
        totals = dict.fromkeys(places, 0.0)
        for t, e in enumerate(self.errors):
            h, before, dh = self.states[t + 1], self.states[t], [self.dot(v, e) for v in zip(*self.V)]
            for name, i, j in places:
                direct = {"W": self.x[t], "U": before, "b": [1.0]}[name][j]
                P = derivatives[name, i, j]
                P = [(1 - y * y) * (self.dot(u, P) + direct * (k == i)) for k, (u, y) in enumerate(zip(self.U, h))]
                derivatives[name, i, j] = P
                totals[name, i, j] += self.dot(dh, P)
        shapes = {"W": (SMALL, 3), "U": (SMALL, SMALL), "b": (SMALL,)}
        return {name: np.reshape([total for place, total in totals.items() if place[0] == name], shape)
                for name, shape in shapes.items()}


def one_sequence(seed: int) -> tuple[rtrl.Parameters, common.Batch]:
    rng = np.random.default_rng(seed)
    return rtrl.parameters(rng, SMALL), rules.problems(1, rng)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_gradients_and_the_count_of_a_rule_are_those_of_loops(rule: Rule) -> None:
    p, batch = one_sequence(0)
    loops = Loops(p, batch)
    wanted = loops.forward() if rule.options is None else loops.backward(list(passes(rule)))
    found = rules.gradients_of(rule, p)(batch)
    np.testing.assert_allclose(found["e"][:, 0], loops.errors, rtol=1e-12)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name] * STEPS, gradient, rtol=1e-9, atol=1e-12)
    by_V = 2 * SMALL * STEPS if rule.options is None else 0  # which the loop forward in time leaves out
    shorter = 0.05 if "window" in (rule.options or {}) else 1e-12  # the first windows have fewer steps
    assert rules.multiplications(rule, SMALL, STEPS) * STEPS == pytest.approx(loops.count + by_V, rel=shorter)


def test_the_two_targets_are_the_channels_one_step_and_some_steps_later() -> None:
    batch = rules.problems(5, np.random.default_rng(0))
    x, d = batch["x"], batch["d"]
    assert set(np.unique(x)) == {-1.0, 1.0}
    for t in range(STEPS):
        assert (d[t, :, 0] == (x[t - 1, :, 0] if t >= 1 else 0)).all()
        assert (d[t, :, 1] == (x[t - rules.DELAY, :, 1] if t >= rules.DELAY else 0)).all()


def test_a_whole_gradient_has_no_bias_and_a_truncation_to_all_steps_has_none() -> None:
    p, batch = rtrl.parameters(np.random.default_rng(1), SMALL), rules.problems(8, np.random.default_rng(1))
    for rule in [WHOLE, rules.FORWARD, *rules.truncations(STEPS)]:
        angle, error = rules.bias(rule, p, batch)
        assert angle < 1e-6 and error < 1e-12


def test_the_angle_is_that_of_the_cosine() -> None:
    p, batch = one_sequence(2)
    g, full = (np.concatenate([rules.gradients_of(rule, p)(batch)[name].ravel() for name in rules.NAMES])
               for rule in (RULES[1], WHOLE))
    cosine = g @ full / np.sqrt((g @ g) * (full @ full))
    assert rules.bias(RULES[1], p, batch)[0] == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_whole_gradients_learn_the_far_target_and_truncated_ones_do_not(rule: Rule, seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = rules.trained(rule, 2000, rng)
    near, far = rules.tested(run.parameters, rng)
    assert near < 0.05
    assert far > 0.8 if rule in rules.truncations(REACH) else far < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_truncated_gradients_are_far_off_while_the_far_target_is_learned(seed: int) -> None:
    midway = rules.trained(WHOLE, 2000, np.random.default_rng(seed)).midway
    start = rtrl.parameters(np.random.default_rng(seed), rules.SIZE)
    batch = rules.problems(256, np.random.default_rng(seed + 1))
    for rule in rules.truncations(REACH):
        assert rules.bias(rule, start, batch)[0] < 25
        assert rules.bias(rule, midway, batch)[0] > 35
    assert rules.bias(rules.FORWARD, midway, batch)[1] < 1e-12
