"""What a backward pass has left in a run: where gradients come from, by time step and by lag.

All of it is read from the `.grad` of the run's tensors: call it after `loss.backward()`, before
anything is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors, input_gradients

if TYPE_CHECKING:
    from .run import Run


def gradient_norms(run: Run, name: str) -> NDArray[np.float64]:
    """|dL/dh[t]| for t = 1 … T: shape (T,).

    A step whose gradient wasn't computed (no backward pass has reached it) is NaN, not zero.
    """
    return np.array([np.nan if copy.grad is None else np.linalg.norm(copy.grad) for copy in run[name]])


def contributions(run: Run, name: str) -> NDArray[Any]:
    """What each time step adds to a parameter's gradient: shape (T, *shape), row t - 1 for step t.

    The rows add up to what the last backward pass gave the parameter, where the loss uses it
    through this run alone (Werbos 1990, eq. 10). A use in an initial value counts to the first
    step, one in a value after the end to the last.

    Raises:
        KeyError: for a name that is no parameter's.
    """
    if name not in run.parameters:
        raise KeyError(f"no parameter {name!r}; there are {', '.join(run.parameters)}")
    parameter = run.parameters[name]
    rows = np.zeros((run.T, *parameter.shape), parameter.dtype)
    for node in _nodes(run):
        if node.grad is None or node.op is None:
            continue
        step = min(max(_step(run, node), 1), run.T)
        used = [(x, share) for x, share in zip(node.inputs, input_gradients(node, node.grad))
                if share is not None and x.t is None]
        for x, share in used:
            if x is parameter:
                rows[step - 1] += share
            elif parameter in set(ancestors(x)):
                rows[step - 1] += mg.grad(x, parameter, share)
    return rows


def gradient_by_lag(run: Run, name: str, losses: Sequence[Tensor]) -> NDArray[np.float64]:
    """|dL[t]/dh[t - lag]| for lag = 0 … T - 1, each the mean over all t that have it: shape (T,).

    One backward pass for every loss; no `.grad` is changed.

    Args:
        run: an unrolled definition.
        name: of the signal.
        losses: a single number for each step, L[1] … L[T].

    Raises:
        ValueError: where there isn't a loss for every step.
    """
    if len(losses) != run.T:
        raise ValueError(f"there are {len(losses)} losses for {run.T} steps: give one for each")
    total, count = np.zeros(run.T), np.zeros(run.T)
    copies = list(run[name])
    for t, loss in enumerate(losses):
        used = set(ancestors(loss))
        reached = [copy for copy in copies[:t + 1] if copy.requires_grad and copy in used]
        found = dict(zip(reached, mg.grad(loss, reached)))
        for lag in range(t + 1):
            gradient = found.get(copies[t - lag])
            total[lag] += 0.0 if gradient is None else np.linalg.norm(gradient)
            count[lag] += 1
    result: NDArray[np.float64] = total / np.maximum(count, 1)
    return result


def _step(run: Run, node: Tensor) -> int:
    """The step of the equation that made a tensor: h[t+1] = ... makes h[3] at step 2."""
    assert node.t is not None and node.signal is not None
    equation = run.cell.signals[node.signal].equation
    return node.t - (equation.lead if equation else 0)


def _nodes(run: Run) -> list[Tensor]:
    """Every tensor that the run's equations made."""
    stack = [copy for name in run.cell.signals if name in run for copy in run[name].tensors.values()]
    stack += [copy for window in run.windows for name in run.cell.signals for copy in window[name].tensors.values()]
    seen = set(stack)
    while stack:
        for x in stack.pop().inputs:
            if x not in seen and x.t is not None:
                seen.add(x)
                stack.append(x)
    return list(seen)
