"""Operations that a user has written, in an equation: a test that each sequence of a batch is computed alone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minigrad import Op
from minigrad.provenance import Origin

SEQUENCES = 2


def is_own(op: Op) -> bool:
    """Return whether an operation isn't one of minigrad's."""
    return _is_own_part(type(op))


def _is_own_part(part: Any) -> bool:
    return not str(part.__module__).startswith(("minigrad.", "rnn."))  # None in a namespace without a name


def variables_of(op: Op, formula: str) -> list[str]:
    """Return the names of the variables that a formula of an operation reads, which may have another value later.

    They are attributes of the operation and its classes, globals, and variables of functions around it. Where the
    formula calls another method, all attributes count.

    Args:
        formula: "forward" or "backward".
    """
    method = getattr(type(op), formula)
    if not inspect.isfunction(method) or not _is_own_part(method):
        return []
    attributes = {name: value for base in type(op).__mro__ if base is not object and _is_own_part(base)
                  for name, value in vars(base).items() if not name.startswith("__") and not hasattr(Op, name)}
    attributes.update(vars(op))
    read = {name: attributes[name] for name in method.__code__.co_names if name in attributes}
    outside = inspect.getclosurevars(method)
    found = {**outside.globals, **outside.nonlocals, **(attributes if any(map(callable, read.values())) else read)}
    return sorted(name for name, value in found.items()
                  if not callable(value) and not isinstance(value, (ModuleType, classmethod)))


def refuse_mixing(op: Op, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...] | None], batched: Sequence[bool],
                  origin: Origin) -> None:
    """Raise ValueError if an operation combines the sequences of a batch, as x - np.mean(x) does.

    It is computed on random numbers for a batch and for each sequence of it. Where it takes no such numbers, nothing
    is known.

    Args:
        shapes: of the operands for one sequence; None if one isn't known yet.
        batched: for each operand whether it has a value for each sequence.
    """
    if op.random or None in shapes or not any(batched):
        return
    rng = np.random.default_rng(0)
    operands: list[Any] = []
    for i, (shape, own) in enumerate(zip(shapes, batched)):
        whole = (SEQUENCES, *(shape or ())) if own else shape or ()
        operands.append(np.zeros(whole, int) if i in op.integer_inputs else rng.uniform(0.2, 0.8, whole))
    try:
        with np.errstate(all="ignore"):
            together = np.asarray(op.forward(*operands), float)
            alone = np.stack([np.asarray(op.forward(*(x[b] if own else x for x, own in zip(operands, batched))), float)
                              for b in range(SEQUENCES)])
    except Exception:  # anything may be raised by an operation that checks its operands
        return
    if together.shape != alone.shape or not np.allclose(together, alone, equal_nan=True):
        raise ValueError(f"{op!r} combines the sequences of a batch (at {origin}): for a batch of {SEQUENCES} its "
                         "result isn't that of each sequence alone. Count axes from the end, e.g. "
                         "np.mean(x, axis=-1, keepdims=True); the batch's axes come first")
