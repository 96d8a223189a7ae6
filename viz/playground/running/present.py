"""The loss of the present values, where a program has changed them since it computed its loss."""

from __future__ import annotations

import numpy as np

from minigrad.backward import ancestors
from rnn.unrolling.gradients import is_modified
from rnn.unrolling.repeat import repeat

from .program import Program

CHANGED = ("The program changed data after it had computed {}, as an optimiser's step does: values and gradients here "
           "are those of the present data.")


def bring_up_to_date(program: Program) -> None:
    """Repeat the loss of a program whose last lines changed its data, as a training loop does, and its gradients.

    The loss and its runs replace those of the program; if they can't be computed again, these stay.
    """
    loss = program.loss
    if loss is None or not any(node.op is not None and is_modified(node) for node in ancestors(loss)):
        return
    leaves = [node for node in ancestors(loss) if node.op is None]
    before = [leaf.grad for leaf in leaves]
    try:
        with np.errstate(all="ignore"):
            again, runs = repeat(loss)
            if loss.grad is not None:
                for leaf in leaves:
                    leaf.grad = None
                again.backward()
    except Exception:  # what needs the loss says so
        for leaf, gradient in zip(leaves, before):
            leaf.grad = gradient
        return
    program.changed = CHANGED.format(program.name_of(loss))
    program.replace({loss: again, **runs})
