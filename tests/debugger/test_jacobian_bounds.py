"""`jacobian` never contradicts itself: the ratio of the norms lies within the factors that the sentence gives.

The ratio and the sentence are read from the printed text, for random upstream gradients over every operation.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import thinned
from operation_cases import TABLE, name_of

import minigrad as mg
from minigrad import Tensor
from minigrad.debugger.jacobian import report
from minigrad.debugger.timeline import Timeline
from minigrad.steps import Step

RNG = np.random.default_rng(17)
PRINTED = 6e-3  # the relative rounding of a number with three digits


class Answer(NamedTuple):
    """The answer for one input: the row that it is about, the largest singular value, the ratio and the sentence."""

    row: int | None
    largest: float
    ratio: float | None
    effect: str


def answers(step: Step) -> list[Answer]:
    """Return the answers of `jacobian` for the inputs that have one."""
    found = []
    for part in re.split(r"\n  for ", "\n".join(report(step)))[1:]:
        if "effect" not in part:
            continue
        row = re.search(r"row (\d+) of the result", part)
        ratio = re.search(r"ratio (\S+)", part)
        norms = re.search(r"gradient of row (\d+) +norm", part)
        assert (row and row[1]) == (norms and norms[1]) or not ratio  # the norms are those of the row that is shown
        found.append(Answer(int(row[1]) if row else None, float(re.search(r"largest (\S+),", part)[1]),  # type: ignore[index]
                            float(ratio[1]) if ratio else None,
                            re.search(r"effect +(.*)", part)[1]))  # type: ignore[index]
    return found


def assert_consistent(answer: Answer) -> None:
    ratio, effect = answer.ratio, answer.effect
    if ratio is None:
        return
    assert ratio <= answer.largest * (1 + PRINTED)
    if effect.startswith("nothing passes"):
        assert ratio == 0
    elif effect == "the norm is unchanged":
        assert abs(ratio - 1) <= PRINTED
    elif most := re.search(r"shrinks: its norm is multiplied by at most (\S+)", effect):
        assert ratio <= float(most[1]) * (1 + PRINTED) and float(most[1]) <= 1
    else:
        least, _, largest = re.search(r"(?:a factor of|multiplied by) ([^,]*)", effect)[1].partition(" to ")  # type: ignore[index]
        assert float(least) * (1 - PRINTED) <= ratio <= float(largest or least) * (1 + PRINTED)
        assert "grows" not in effect or float(least) >= 1


def step_of(out: Tensor, grad: Any) -> Step:
    """Return the first step of a pass from `out`, after it has run."""
    timeline = Timeline(out, grad)
    timeline.forward()
    return timeline.steps[0]


def upstream(shape: tuple[int, ...]) -> list[Any]:
    """Return upstream gradients: random, of one element alone, the same for all rows, and rows that cancel."""
    random = RNG.normal(size=shape)
    single = np.zeros(shape)
    single.flat[-1] = 1
    shared = np.broadcast_to(RNG.normal(size=shape[1:]), shape)
    signs = (-1.0) ** np.arange(shape[0] if shape else 1)
    return [random, single, shared, shared * signs.reshape(-1, *[1] * (len(shape) - 1)) if shape else -random]


def result(op: mg.Op, *operands: Any) -> Any:
    return mg.apply(op, *[Tensor(x, requires_grad=np.asarray(x).dtype.kind == "f") for x in operands])


CASES = [case for case in TABLE if (out := result(*case)).size and out.requires_grad]


@pytest.mark.parametrize("case", thinned(map(pytest.param, CASES), 3), ids=map(name_of, CASES))
def test_of_every_operation(case: tuple[Any, ...]) -> None:
    out = result(*case)
    for grad in upstream(out.shape):
        for answer in answers(step_of(out, grad)):
            assert_consistent(answer)


def tensor(*shape: int) -> Tensor:
    return Tensor(RNG.normal(size=shape), requires_grad=True, name="x")


SHARED = {
    "rows": lambda: tensor(4, 3) + tensor(3), "a number": lambda: tensor(4, 3) * tensor(),
    "columns": lambda: tensor(4, 3) * tensor(4, 1), "middle": lambda: tensor(4, 3, 2) - tensor(4, 1, 2),
    "both": lambda: tensor(4, 1) + tensor(1, 3), "matvec": lambda: mg.matvec(tensor(2, 8), tensor(5, 8)),
    "right": lambda: tensor(5, 3) @ tensor(3, 2), "left": lambda: tensor(2, 3) @ tensor(5, 3, 4),
    "sum": lambda: tensor(4, 3).sum(axis=0), "mean": lambda: tensor(4, 3, 2).mean(axis=(0, 2)),
    "maximum": lambda: tensor(4, 3).max(axis=1), "gather": lambda: tensor(3, 2)[np.array([0, 2, 0, 0])],
    "take": lambda: mg.take(tensor(2, 3), np.array([1, 1, 0, 1]), axis=0),
    "large": lambda: mg.matvec(tensor(24, 24), tensor(16, 24)), "large bias": lambda: tensor(30, 40) + tensor(40),
    "rows that don't mix": lambda: np.tanh(tensor(6, 4) * 3.0),
    "one row larger": lambda: tensor(4, 3) * np.array([[100.0], [1.0], [1.0], [1e-3]]),
}


@pytest.mark.parametrize("make", SHARED.values(), ids=SHARED)
def test_of_parameters_that_rows_share_and_of_rows_that_differ(make: Any) -> None:
    for _ in range(3):
        out = make()
        for grad in upstream(out.shape):
            step = step_of(out, grad)
            found = answers(step)
            assert found
            for answer in found:
                assert_consistent(answer)


def test_of_the_whole_batch_the_ratio_is_that_of_the_recorded_contribution() -> None:
    out = tensor(4, 3) + tensor(3)
    step = step_of(out, RNG.normal(size=(4, 3)))
    bias = answers(step)[1]
    assert bias.row is None
    assert bias.ratio == pytest.approx(np.linalg.norm(step.input_grads[1]) / np.linalg.norm(step.grad), rel=PRINTED)


def test_rows_add_up_in_a_shared_parameter_and_may_cancel() -> None:
    b = Tensor(np.zeros(3), requires_grad=True, name="b")
    out = Tensor(np.ones((4, 3))) + b
    together, cancelling = ([1, 1, 1, 1], [1, -1, 1, -1])
    for signs, ratio in ((together, 2.0), (cancelling, 0.0)):
        [answer] = answers(step_of(out, np.array(signs)[:, None] * np.ones(3)))
        assert (answer.ratio, answer.effect) == (ratio, "the norm is multiplied by 0 to 2, depending on the direction")


def test_a_gradient_that_always_doubles_grows_by_a_factor_of_2() -> None:
    x = Tensor(np.ones((4, 3)), requires_grad=True, name="x")
    [answer] = answers(step_of(x * 2.0, RNG.normal(size=(4, 3))))
    assert answer.effect == "every gradient grows by a factor of 2"


def test_of_a_row_the_ratio_is_that_of_the_row() -> None:
    x = Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    [answer] = answers(step_of(x * np.array([[0.5], [4.0]]), [[10.0, 0, 0], [5.0, 0, 0]]))
    assert (answer.row, answer.ratio) == (0, 0.5)  # of both rows it is 1.84


def test_an_upstream_gradient_of_zero_has_no_ratio() -> None:
    [answer] = answers(step_of(np.tanh(Tensor(np.ones(3), requires_grad=True)), np.zeros(3)))
    assert answer.ratio is None
