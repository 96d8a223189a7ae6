"""The graph of a definition as a flat list, for copies and pickles.

copy and pickle follow references recursively, which fails for long equations, and a Tensor that a recorded
operation computed (`W.T` in an equation) refuses both. A row of the list holds one node without its inputs,
and the numbers of the rows of these, which come before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from minigrad import Tensor
from minigrad.tensor import recorded

from .graphs import postorder


class Row(NamedTuple):
    """One node.

    Attributes:
        kind: the class of an expression; Tensor for a recorded one; None for any other value, kept as it is.
        content: the attributes of an expression, or of a recorded tensor; or the value.
        inputs: numbers of rows; of an expression that a call composed, with those of the call's operands after them.
    """

    kind: type | None
    content: Any
    inputs: tuple[int, ...]


def flatten(roots: Iterable[Any], inputs_of: Callable[[Any], Sequence[Any]]) -> tuple[list[Row], dict[int, int]]:
    """Return the nodes that the roots are computed from, inputs first, and the row number of each by its id."""
    def used(node: Any) -> tuple[Any, ...]:
        return (*inputs_of(node), *_operands_of_call(node))

    nodes = postorder(roots, used)
    numbers = {id(node): number for number, node in enumerate(nodes)}
    return [_row(node, tuple(numbers[id(x)] for x in used(node))) for node in nodes], numbers


def _operands_of_call(node: Any) -> tuple[Any, ...]:
    """Return the operands of the call that composed an expression."""
    call = getattr(node, "call", None)
    return () if call is None else tuple(call.operands)


def _row(node: Any, inputs: tuple[int, ...]) -> Row:
    if isinstance(node, Tensor) and node.op is not None and inputs:
        content = {"op": node.op, "data": node.numpy(), "name": node.name, "origin": node.origin}
        return Row(Tensor, content, inputs)
    if isinstance(node, Tensor) or not hasattr(node, "inputs"):
        return Row(None, node, ())
    content = {name: x for name, x in vars(node).items() if name != "inputs"}
    if content.get("call") is not None:
        content["call"] = node.call._replace(operands=(None,) * len(node.call.operands))
    return Row(type(node), content, inputs)


def rebuild(rows: Iterable[Row]) -> list[Any]:
    """Return the nodes of a list that `flatten` made."""
    nodes: list[Any] = []
    for kind, content, numbers in rows:
        inputs = tuple(nodes[number] for number in numbers)
        if kind is None:
            nodes.append(content)
        elif kind is Tensor:
            nodes.append(recorded(inputs=inputs, **content))
        else:
            node: Any = object.__new__(kind)
            vars(node).update(content)
            if node.call is not None:  # its operands are the last of the inputs
                first = len(inputs) - len(node.call.operands)
                node.call, inputs = node.call._replace(operands=inputs[first:]), inputs[:first]
            if inputs:
                node.inputs = inputs
            nodes.append(node)
    return nodes
