"""Which tensor of a run each part of a picture stands for.

A signal's copies the run knows; an operation's are found from them, down through the recorded graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minigrad import Tensor
from rnn import Run, Signal

from .step_graph import Part, Parts

Copies = dict[Part, dict[int, Tensor | None]]


def copies_of(run: Run, parts: Parts, steps: Iterable[int]) -> Copies:
    """For each signal, its tensor at every step; for each operation, at those that are asked for.

    None stands for an operation that wasn't recorded.
    """
    asked = set(steps)
    copies: Copies = {}
    recorded: dict[tuple[Signal, int], dict[int, Tensor]] = {}
    for part in parts.parts:
        if part.node is None:
            copies[part] = dict(run[part.signal.name].tensors)
            continue
        copies[part] = {}
        for k in range(1 + part.lead, run.T + 1 + part.lead):
            if 1 <= k <= run.T and k not in asked:
                continue
            if (part.signal, k) not in recorded:
                recorded[part.signal, k] = _by_operation(run[part.signal.name].tensors, part, k)
            copies[part][k] = recorded[part.signal, k].get(id(part.node))
    return copies


def _by_operation(tensors: Mapping[int, Tensor], part: Part, k: int) -> dict[int, Tensor]:
    """The tensors of one copy of an equation, by their operation in the definition."""
    assert part.signal.equation is not None
    found: dict[int, Tensor] = {}
    pairs = [(part.signal.equation.expression, tensors[k])]
    while pairs:
        node, tensor = pairs.pop()
        operation = getattr(node, "op", None)
        if operation is None or isinstance(node, Tensor) or id(node) in found:
            continue
        while tensor.op is not operation and len(tensor.inputs) == 1 and tensor.t == k:
            tensor = tensor.inputs[0]  # a copy, or one made for every sequence of the batch
        if tensor.op is operation:
            found[id(node)] = tensor
            pairs += zip(node.inputs, tensor.inputs)
    return found
