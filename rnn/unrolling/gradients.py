"""Gradients of a run after a backward pass: by time step, and by the lag between loss and state.

All of it is read from the `.grad` of the run's tensors: call it after `loss.backward()`, before
anything is changed. Without a backward pass it is an error, since no gradient isn't a gradient of zero.
After passes of several losses `.grad` of a tensor is of the last one that reached it: see loss_gradients.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors, input_gradients
from minigrad.formats.norms import norm
from minigrad.mutation import check_modified
from rnn.language.graphs import postorder

from .loss_gradients import LossGradients
from .run_key import run_key

if TYPE_CHECKING:
    from .run import Copies, Run

Find: TypeAlias = Callable[[Tensor], Any]  # the gradient of a tensor, or None


def stored(tensor: Tensor) -> Any:
    """Return the gradient of the last backward pass that reached a tensor."""
    return tensor.grad


def has_gradients(run: Run, of: Find = stored) -> bool:
    """Whether a backward pass has reached a run; `of` finds the gradients, for those of one loss.

    After one, a tensor of the run without a gradient is one that the pass didn't reach.
    """
    return any(of(copy) is not None for copy in _copies(run))


def require_gradients(run: Run, of: Find = stored) -> None:
    """Raise ValueError unless a backward pass has reached a run."""
    if has_gradients(run, of):
        return
    if has_gradients(run):
        raise ValueError(f"{run!r} has gradients of another loss only: this loss wasn't computed from it, or its pass "
                         "hasn't come so far")
    if any(copy.requires_grad for copy in _copies(run)):
        raise ValueError(f"{run!r} has no gradients yet: call loss.backward() first")
    raise ValueError(f"{run!r} has no gradients: it has no parameters that require any, or was unrolled under "
                     "no_grad()")


def gradient_norms(run: Run, name: str, loss: Tensor | None = None) -> NDArray[np.float64]:
    """Return |dL/dh[t]| for t = 1 … T: shape (T,).

    A step that the backward pass didn't reach is NaN, not zero.

    Args:
        name: of the signal.
        loss: as in `contributions`.

    Raises:
        ValueError: before a backward pass; if the loss's gradients were overwritten, and data modified since.
    """
    of = _find(run, loss)
    require_gradients(run, of)
    return np.array([np.nan if of(copy) is None else norm(of(copy)) for copy in run[name]])


def loss_gradients(runs: Sequence[Run], loss: Tensor) -> LossGradients:
    """Return the gradients of one of the losses of some runs, whichever was differentiated last."""
    return LossGradients(loss, [copy for run in runs for copy in _copies(run)])


def _find(run: Run, loss: Tensor | None) -> Find:
    """Return the function that finds the gradients of a loss; of the last pass, without one."""
    if loss is None:
        return stored
    found = loss_gradients([run], loss)
    found.require()
    return found.of


def contributions(run: Run, name: str, loss: Tensor | None = None) -> NDArray[Any]:
    """Return the contribution of each time step to a parameter's gradient: shape (T, *shape), row t - 1 for step t.

    The rows add up to the gradient of the last backward pass if the loss uses the parameter through this
    run alone (Werbos, Backpropagation through time, Proc. IEEE 78, 1990, eq. 10). A use in an initial value
    counts for the first step, one in a value after the end for the last.

    Args:
        name: of the parameter.
        loss: the loss whose gradients are meant, if several were differentiated. Without it the `.grad` of the run's
            tensors are taken, each of the last pass that reached it.

    Raises:
        KeyError: if there is no such parameter.
        ValueError: before a backward pass; if the loss's gradients were overwritten, and data modified since.
    """
    return contributions_to(run, name, _find(run, loss))


def contributions_to(run: Run, name: str, of: Find) -> NDArray[Any]:
    """Return the same for the gradients that a function finds."""
    if name not in run.parameters:
        raise KeyError(f"no parameter {name!r}; there are {', '.join(run.parameters)}")
    require_gradients(run, of)
    parameter = run.parameters[name]
    rows = np.zeros((run.T, *parameter.shape), parameter.dtype)
    for row, x, gradient in _uses(run, of):
        if x is parameter:
            rows[row] += gradient
        elif parameter in (found := gradients_outside(x, gradient)):  # computed from it before the run, e.g. W.T
            rows[row] += found[parameter]
    return rows


def gradient_sums(run: Run, of: Find = stored) -> dict[str, NDArray[Any]] | None:
    """Return the sum of each parameter's `contributions`, by name; None before a backward pass.

    It is None too if data that the derivatives need were modified since the pass, as by an optimiser.
    """
    if not has_gradients(run, of):
        return None
    if any(map(is_modified, _users(run, of))):
        return None
    uses: dict[Tensor, Any] = {}
    for _, x, gradient in _uses(run, of):
        uses[x] = uses[x] + gradient if x in uses else gradient
    sums = {name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in run.parameters.items()}
    for x, gradient in uses.items():
        if any(node.op is not None and is_modified(node) for node in made_outside(x)):
            return None
        found = gradients_outside(x, gradient)
        for name, tensor in run.parameters.items():
            if tensor in found:
                sums[name] += found[tensor]
    return sums


def _uses(run: Run, of: Find) -> Iterator[tuple[int, Tensor, Any]]:
    """Yield (row, tensor, contribution) for each use of a tensor that was made before the run; row t - 1 for step t."""
    for node in _users(run, of):
        assert node.t is not None and node.signal is not None
        step = node.t - run.cell.signals[node.signal].lead  # h[t+1] = ... computes h[3] at step 2
        for x, gradient in zip(node.inputs, input_gradients(node, of(node))):
            if gradient is not None and x.t is None:
                yield min(max(step, 1), run.T) - 1, x, gradient


def made_outside(x: Tensor) -> list[Tensor]:
    """Return a tensor and those that it was computed from, inputs first, back to the tensors of runs."""
    return postorder([x], lambda node: [y for y in node.inputs if run_key(y) is None])


def gradients_outside(x: Tensor, gradient: Any) -> dict[Tensor, Any]:
    """Return the gradients of the tensors that `x` was computed from outside of runs, for one of `x`.

    What goes on through another run, as from a decoder to its encoder, is a contribution of that run.
    """
    found = {x: gradient}
    nodes = made_outside(x)
    made = set(nodes)
    for node in reversed(nodes):
        if node.op is not None and node in found:
            for y, part in zip(node.inputs, input_gradients(node, found[node])):
                if part is not None and y in made:
                    found[y] = found[y] + part if y in found else part
    return found


def gradient_by_lag(run: Run, name: str, losses: Sequence[Tensor] | Copies) -> NDArray[np.float64]:
    """Return |dL[t]/dh[t - lag]| for lag = 0 … T - 1, each the mean over all t that have it: shape (T,).

    One backward pass for every loss; no `.grad` is changed.

    Args:
        name: of the signal.
        losses: a single number for each step, L[1] … L[T].

    Raises:
        ValueError: if there isn't one loss for every step.
    """
    if len(losses) != run.T:
        raise ValueError(f"there are {len(losses)} losses for {run.T} steps: give one for each")
    total = np.zeros(run.T)
    copies = list(run[name])
    for t, loss in enumerate(losses):
        used = set(ancestors(loss))
        reached = [copy for copy in copies[:t + 1] if copy.requires_grad and copy in used]
        found = dict(zip(reached, mg.grad(loss, reached)))
        for lag in range(t + 1):
            gradient = found.get(copies[t - lag])
            total[lag] += 0.0 if gradient is None else norm(gradient)
    return total / np.arange(run.T, 0, -1)  # T - lag losses have this lag


def is_modified(node: Tensor) -> bool:
    """Whether data that the derivative of a node may need were modified since."""
    return any(x.changes is not None and check_modified(x) > node.order for x in (node, *node.inputs))


def _users(run: Run, of: Find) -> list[Tensor]:
    """Return the tensors with a gradient that the run's equations computed from tensors made before the run."""
    computed = postorder(_copies(run), lambda node: [x for x in node.inputs if run_key(x) is run.key])
    return [node for node in computed if node.op is not None and of(node) is not None
            and node.t is not None and node.signal is not None
            and any(x.requires_grad and x.t is None for x in node.inputs)]


def _copies(run: Run) -> Iterator[Tensor]:
    """Yield the copies of every signal, then those of the windows."""
    for name in run.cell.signals:
        if name in run:
            yield from run[name].tensors.values()
    for window in run.windows:
        for name in run.cell.signals:
            yield from window[name].tensors.values()
