"""A second door: an ordinary step function, traced into a definition.

    def step(x, h):
        h = np.tanh(W @ x + U @ h + b)
        return {"h": h, "y": V @ h}

    cell = traced(step, inputs={"x": 3}, states={"h": 8}, outputs={"y": 2})

is the definition h[t] = tanh(W @ x[t] + U @ h[t-1] + b), y[t] = V @ h[t]. The function is called
once, with expressions in the place of arrays: what it computes must not depend on values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minigrad.provenance import Origin, call_site
from rnn.language.dependencies import nodes
from rnn.language.equations import Apply, Expression, Size, t

from .cell import Cell


def traced(step: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Size], states: Mapping[str, Size],
           outputs: Mapping[str, Size] | None = None, name: str | None = None) -> Cell:
    """The definition that a step function computes.

    Args:
        step: takes x[t] for every input and h[t-1] for every state, by name, and returns the new
            value of every state and output, by name.
        inputs, states, outputs: names and sizes.
        name: of the definition; by default the function's.

    Raises:
        TypeError: where the function doesn't take these arguments, or returns no dict.
        ValueError: where it returns other names than were declared.
    """
    origin = _origin(step)
    called = getattr(step, "__name__", "step")
    outputs = outputs or {}
    cell = Cell(name or called)
    signals = {key: cell.input(key, size) for key, size in inputs.items()}
    signals.update({key: cell.signal(key, size) for key, size in [*states.items(), *outputs.items()]})
    arguments = {key: signals[key][t] for key in inputs} | {key: signals[key][t-1] for key in states}
    try:
        inspect.signature(step).bind(**arguments)
    except TypeError as error:
        raise TypeError(f"{called} (at {origin}) must take the arguments {', '.join(arguments)}: {error}") from None
    values = step(**arguments)
    if not isinstance(values, Mapping):
        raise TypeError(f"{called} (at {origin}) must return a dict from names to values, not {type(values).__name__}")
    wanted = [*states, *outputs]
    if set(values) != set(wanted):
        raise ValueError(f"{called} (at {origin}) must return values for {', '.join(wanted)}; "
                         f"it returned some for {', '.join(map(str, values))}")
    new = {id(values[key]): signals[key][t] for key in states}
    for key in wanted:
        value = _read_anew(values[key], new)
        signals[key].define(0, value, value.origin if isinstance(value, Expression) else origin)
    return cell


def _read_anew(value: Any, new: Mapping[int, Expression]) -> Any:
    """A formula in which the new value of a state, where it is used again, is read as that state."""
    copies: dict[int, Any] = {}
    for node in nodes([value], into_tensors=False):
        if id(node) in new and node is not value:
            copies[id(node)] = new[id(node)]
        elif isinstance(node, Apply) and any(id(x) in copies for x in node.inputs):
            assert node.op is not None
            copies[id(node)] = copy = Apply(node.op, tuple(copies.get(id(x), x) for x in node.inputs))
            copy.origin = node.origin
    return copies.get(id(value), value)


def _origin(step: Callable[..., Any]) -> Origin:
    """The line that defines a function."""
    code = getattr(step, "__code__", None)
    return call_site() if code is None else Origin(code.co_filename, code.co_firstlineno)
