"""Blocks of a graph of tensors: the tensors of each time step together, the others before, between and after them.

A time step is known by its number alone, and an encoder and a decoder both have a step 1. So tensors with a time
step are first divided into recurrences, and those into phases: a recurrence that is computed from another one comes
after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from minigrad import Tensor, ops

BEFORE, STEP, AFTER = range(3)
Inputs = Mapping[Tensor, Sequence[Tensor]]  # of each tensor of a graph, oldest first


class Key(NamedTuple):
    """The place of a block among all; sorted, they are in the order of computation."""

    phase: int
    kind: int  # BEFORE the time steps of the phase, one STEP, or AFTER them
    t: int = 0

    @property
    def before(self) -> Key:
        """The key of the block before the time steps."""
        return Key(self.phase, BEFORE)


def block_keys(inputs: Inputs) -> dict[Tensor, Key]:
    """Return the block of each tensor of a graph.

    A tensor without a time step belongs to that of its inputs or, if it has none from time steps, of its users.
    """
    if all(node.t is None for node in inputs):
        return dict.fromkeys(inputs, Key(0, AFTER))
    phases = _phases(inputs)
    keys = {node: Key(phases[node], STEP, node.t) for node in inputs if node.t is not None}
    own = set(keys)
    for node in inputs:
        found = [keys[x] for x in inputs[node] if x in keys]
        if node not in keys and found:
            keys[node] = _key_of_result(node, set(found))
    if len({keys[node] for node in keys if node not in own and keys[node].kind == STEP}) == 1:
        _move_after(keys, own)
    _place_by_users(inputs, keys)
    return keys


def _key_of_result(node: Tensor, inputs: set[Key]) -> Key:
    """Return the block of a result: of one time step, or of a running sum over them, that step; else after all."""
    last = max(inputs)
    near = [key for key in inputs if key.kind == STEP and key.phase == last.phase and last.t - key.t <= 1]
    if len(inputs) == 1 or (node.op is not None and node.op.elementwise and len(near) == len(inputs)):
        return last
    return Key(last.phase, AFTER)


def _move_after(keys: dict[Tensor, Key], own: set[Tensor]) -> None:
    """Put results that belong to a single time step, such as the loss of the last one, after all steps."""
    for node in keys:
        if node not in own:
            keys[node] = Key(keys[node].phase, AFTER)


def _place_by_users(inputs: Inputs, keys: dict[Tensor, Key]) -> None:
    """Add the blocks of tensors that no step computes: with their users, or before all time steps that use them."""
    users: dict[Tensor, set[Key]] = {}
    for node in reversed(list(inputs)):
        if node not in keys:
            own = users.get(node) or {max(keys.values())}
            first = min(own)
            keys[node] = first if first.kind != STEP or len(own) == 1 else first.before
        for x in inputs[node]:
            users.setdefault(x, set()).add(keys[node])


# ---- recurrences and phases
def _phases(inputs: Inputs) -> dict[Tensor, int]:
    """Return for each tensor how many recurrences were computed before its own, one after the other."""
    group = _recurrences(inputs)
    waiting = [0] * len(inputs)  # by the number of a group
    members: list[list[Tensor]] = [[] for _ in inputs]
    for node in inputs:
        members[group[node]].append(node)
        waiting[group[node]] += sum(group[x] != group[node] for x in inputs[node])
    users: dict[int, list[int]] = {}
    for node in inputs:
        for x in inputs[node]:
            if group[x] != group[node]:
                users.setdefault(group[x], []).append(group[node])
    phase = [0] * len(inputs)
    ready = [number for number, nodes in enumerate(members) if nodes and not waiting[number]]
    for number in ready:  # grows
        after = phase[number] + (members[number][0].t is not None)
        for user in users.get(number, ()):
            phase[user] = max(phase[user], after)
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return {node: phase[group[node]] for node in inputs}


def _recurrences(inputs: Inputs) -> dict[Tensor, int]:
    """Return the number of each tensor's group: a recurrence, or a tensor without a time step alone.

    Tensors with time steps are of one recurrence if one is an input of the other, unless it's a value at which the
    other begins. The number is that of the oldest.
    """
    number = {node: place for place, node in enumerate(inputs)}
    parent = list(range(len(inputs)))
    for node in inputs:
        for x in inputs[node]:
            if node.t is not None and x.t is not None and not _is_start(node, x):
                a, b = sorted((_root(parent, number[node]), _root(parent, number[x])))
                parent[b] = a
    return {node: _root(parent, place) for node, place in number.items()}


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _is_start(node: Tensor, x: Tensor) -> bool:
    """Whether a tensor is a value given for a step outside a recurrence, as in `initial={"h": run["s"][4]}`."""
    assert node.t is not None and x.t is not None
    return isinstance(node.op, ops.Identity) and (node.t <= 0 or abs(node.t - x.t) > 1)
