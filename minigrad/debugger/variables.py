"""Variables in VS Code and PyCharm: rows of stored values, and texts with norms.

pydevd, the debugger of both, reads all attributes of a variable that is expanded. Of a Tensor, reading `T` records an
operation, and reading `data` starts to track modifications. It is given these rows instead, which compute nothing new,
by pydevd_plugins/extensions/pydevd_plugin_minigrad.py.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.backward import backward
from minigrad.formats.describe import short_value, tensor_name, tensor_summary
from minigrad.steps import Step, Steps
from minigrad.tensor import Tensor

from .formatting import format_norm

MOST_ROWS = 500  # of an array


class Row(NamedTuple):
    """A row below a variable: a name, a value, and what follows the variable's expression to evaluate it, or None."""

    name: str
    value: Any
    expression: str | None = None


class Array:
    """An array whose text has the norm; it is expanded along its first axis."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __str__(self) -> str:
        values = np.array2string(self.values, precision=4, threshold=8, edgeitems=2)
        norm = f"{self.values.shape}  norm {format_norm(self.values)}  " if self.values.ndim else ""
        return norm + " ".join(values.split())

    def rows(self) -> list[Row]:
        """Return the array itself, and its elements or the arrays along its first axis."""
        if not self.values.ndim:
            return [Row("ndarray", self.values, "")]
        found = [Row(f"[{i}]", Array(row) if row.ndim else row.item(), f"[{i}]")
                 for i, row in enumerate(map(np.asarray, self.values[:MOST_ROWS]))]
        more = len(self.values) - len(found)
        return [Row("ndarray", self.values, ""), *found, *([Row("...", f"{more:,} more")] if more else [])]


def rows(value: Any) -> list[Row]:
    """Return the rows below a variable: the public values that it stores, in an order to read them in."""
    if isinstance(value, Array):
        return value.rows()
    found: list[Row] = []
    if isinstance(value, Tensor):
        with contextlib.suppress(AttributeError):  # it is being made, and has no array yet
            found = _tensor_rows(value)
    elif isinstance(value, Step):
        found = _step_rows(value)
    elif isinstance(value, Steps):
        found = [Row("next", value.next, ".next")]
    keys: list[str] = getattr(value, "_ipython_key_completions_", list)()  # such as the signals of a run
    found += [Row(f"[{key!r}]", value[key], f"[{key!r}]") for key in keys]
    shown = {row.expression for row in found} | {".input_grads", ".totals"}
    return found + [row for row in _stored(value) if row.expression not in shown]


def _tensor_rows(x: Tensor) -> list[Row]:
    running = gradient_in_progress(x)
    grad = Row("grad", _array(x._grad), ".grad") if running is None else Row("grad (in this pass)", Array(running))
    others = ("shape", "dtype", "requires_grad", "signal", "t", "name", "op", "inputs", "order", "origin", "changes",
              "hooks")
    return [Row("data", Array(x._array), ".data"), grad, *(Row(name, getattr(x, name), f".{name}") for name in others)]


def _step_rows(step: Step) -> list[Row]:
    found = [Row("node", step.node, ".node"), Row("grad", _array(step.grad), ".grad")]
    for i, (x, grad, total) in enumerate(zip(step.node.inputs, step.input_grads, step.totals)):
        found += [Row(f"input_grads[{i}] of {tensor_name(x)}", _array(grad), f".input_grads[{i}]"),
                  Row(f"totals[{i}] of {tensor_name(x)}", _array(total), f".totals[{i}]")]
    return found


def _array(values: NDArray[Any] | None) -> Array | None:
    return None if values is None else Array(values)


def _stored(value: Any) -> Iterator[Row]:
    """Yield a row for each public attribute that is stored in an object: in a slot, or in its dictionary."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
    names = [name for some in slots for name in ([some] if isinstance(some, str) else some)]
    for name in [*names, *getattr(value, "__dict__", ())]:
        if not name.startswith("_") and hasattr(value, name):
            yield Row(name, getattr(value, name), f".{name}")


def gradient_in_progress(x: Tensor) -> NDArray[Any] | None:
    """Return the gradient so far of a tensor in a pass that runs now; None outside of one.

    `backward` sets `.grad` at its end. Until then the gradients are in its local variable `grads`.
    """
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is backward.__code__ and x in (grads := frame.f_locals.get("grads", {})):
                return np.asarray(grads[x])
            frame = frame.f_back
    return None


def has_text(kind: type) -> bool:
    """Return whether variables of a class have a text of their own, other than that of `repr`."""
    return kind is Array or issubclass(kind, Step) or (
        issubclass(kind, Tensor) and kind.__repr__ is Tensor.__repr__)


def text(value: Any) -> str:
    """Return the text in the row of a variable."""
    if isinstance(value, Tensor):
        return _tensor_text(value)
    if isinstance(value, Step):
        return repr(value).replace(repr(value.node), _tensor_text(value.node))
    return str(value)


def _tensor_text(x: Tensor) -> str:
    """Return the value of a small tensor, summary, norm, the norm of its gradient, and line."""
    running = gradient_in_progress(x)
    grad, when = (x._grad, "") if running is None else (running, " in this pass")
    words = [tensor_summary(x), f"norm {format_norm(x._array)}" if x.ndim else "",
             "" if grad is None else f"|g| {format_norm(grad)}{when}", str(x.origin)]
    return f"<{short_value(x._array)}{'  '.join(filter(None, words))}>"
