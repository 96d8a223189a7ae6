"""Alternative front end: trace an ordinary Python step function into a definition.

    def step(x, h):
        h = np.tanh(W @ x + U @ h + b)
        return {"h": h, "y": V @ h}

    cell = trace(step, inputs={"x": 3}, states={"h": 8}, outputs={"y": 2})

is the definition h[t] = tanh(W @ x[t] + U @ h[t-1] + b), y[t] = V @ h[t]. The function is called
once, with expressions in place of arrays, so its control flow must not depend on values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minigrad.provenance import Origin, call_site
from rnn.language.dependencies import nodes
from rnn.language.equations import Size
from rnn.language.expressions import Apply, Expression, t

from .cell import Cell


def trace(step: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Size], states: Mapping[str, Size],
          outputs: Mapping[str, Size] | None = None, name: str | None = None) -> Cell:
    """Return the definition that a step function computes.

    Args:
        step: takes x[t] for every input and h[t-1] for every state, by name, and returns the new
            value of every state and output, by name.
        inputs, states, outputs: names and sizes.
        name: of the definition; by default the function's.

    Raises:
        TypeError: if the function doesn't take these arguments, or returns no dict.
        ValueError: if it returns other names than were declared.
    """
    code = getattr(step, "__code__", None)
    origin = call_site() if code is None else Origin(code.co_filename, code.co_firstlineno)
    title = getattr(step, "__name__", "step")
    cell = Cell(name or title)
    signals = {key: cell.input(key, size) for key, size in inputs.items()}
    computed = [*states, *(outputs or {})]
    sizes = [*states.values(), *(outputs or {}).values()]
    signals.update({key: cell.signal(key, size) for key, size in zip(computed, sizes)})
    arguments = {key: signals[key][t] for key in inputs} | {key: signals[key][t-1] for key in states}
    try:
        inspect.signature(step).bind(**arguments)
    except TypeError as error:
        raise TypeError(f"{title} (at {origin}) must take the arguments {', '.join(arguments)}: {error}") from None
    values = step(**arguments)
    if not isinstance(values, Mapping):
        raise TypeError(f"{title} (at {origin}) must return a dict from names to values, not {type(values).__name__}")
    if set(values) != set(computed):
        raise ValueError(f"{title} (at {origin}) must return values for {', '.join(computed)}; "
                         f"it returned some for {', '.join(map(str, values))}")
    new_states = {id(values[key]): signals[key][t] for key in states}
    for key in computed:
        value = _read_new_states(values[key], new_states)
        signals[key].define(0, value, value.origin if isinstance(value, Expression) else origin)
    return cell


traced = trace  # the former name


def _read_new_states(value: Any, new_states: Mapping[int, Expression]) -> Any:
    """Return a formula in which every new value of a state, but for its root, is replaced by a read of that state.

    The equation of y in the example above becomes V @ h[t], not V @ tanh(...).
    """
    copies: dict[int, Any] = {}
    for node in nodes([value], into_tensors=False):
        if id(node) in new_states and node is not value:
            copies[id(node)] = new_states[id(node)]
        elif isinstance(node, Apply) and any(id(x) in copies for x in node.inputs):
            assert node.op is not None
            copies[id(node)] = copy = Apply(node.op, tuple(copies.get(id(x), x) for x in node.inputs), node.written)
            copy.origin = node.origin
    return copies.get(id(value), value)
