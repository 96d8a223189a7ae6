"""Checks of the arguments that say which objects a picture is of."""

from __future__ import annotations

from typing import Any

CELL = "takes a definition, a Cell"
LOSS = "loss= takes a Tensor that was computed from the run"
STEP = "step= takes a step of loss.backward_steps()"


def check_type(given: Any, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise TypeError unless an argument is of some kinds.

    Args:
        wanted: the beginning of the message: "viz.rolled() takes a definition, a Cell".
    """
    if not isinstance(given, kinds):
        raise wrong_type(given, wanted)


def wrong_type(given: Any, wanted: str) -> TypeError:
    """Return the error for an argument of another type."""
    shown = " ".join(repr(given).split())
    return TypeError(f"{wanted}, not {type(given).__name__}: {shown:.60}")
