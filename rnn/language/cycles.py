"""The cycles of a definition: whether it can be computed, in which order and direction of time.

An equation that reads `source[t - d]` is an edge of delay d. A definition can be computed if in each
strongly connected component every cycle has a total delay of at least one (it runs forward in time), or every
cycle one of at most minus one (backward): Karp, Miller and Winograd, The organization of computations for
uniform recurrence equations (Journal of the ACM 14, 1967). The edges come from dependencies.py, the
algorithms from graphs.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from minigrad import Tensor, ops
from minigrad.provenance import Origin

from .dependencies import DefinitionError, Link, layers, links, nodes
from .equations import Definition, Signal
from .expressions import Apply, Read, t
from .graphs import components, nonpositive_cycle, shortest_cycle, simple_cycles, smallest_offsets, topological_order

MOST_LOOPS = 1000


class Loop(NamedTuple):
    """A path from a signal back to itself that visits no other signal twice.

    Attributes:
        signals: in the order of the data's flow; the last one is read by the first.
        origins: the line of the equation that reads each of them.
        delay: the total: how many steps later the loop closes.
        affine: whether all signals that share loops with these are affine functions of their own values at other
            steps, everything else being constant: A[t] h[t-1] + b[t], with A and b that don't depend on h.
    """

    signals: tuple[str, ...]
    origins: tuple[Origin, ...]
    delay: int
    affine: bool


class Stage(NamedTuple):
    """Signals that are computed together.

    Attributes:
        signals: in an order in which they can be computed within a step.
        direction: 1 if they must be computed from t = 1 on, -1 if from t = T back, 0 if in any order.
    """

    signals: tuple[str, ...]
    direction: int


def check(cell: Definition) -> None:
    """Check that the definition can be computed, for any data.

    Raises:
        DefinitionError: for a definition without equations; a signal that is read and never defined; a
            loop without delay; loops in both directions of time over the same signals.
    """
    if not cell.equations:
        raise DefinitionError(f"{cell.name!r} has no equation: write one, e.g. h[t] = ...")
    all_links = links(cell)
    _check_defined(all_links)
    loop = shortest_cycle([link for link in all_links if link.delay == 0])
    if loop is not None:
        raise _loop_without_delay(loop)
    for component in components(list(cell.signals.values()), all_links):
        direction(component)


def _check_defined(all_links: Sequence[Link]) -> None:
    undefined: dict[Signal, list[Link]] = {}
    for link in all_links:
        if not link.source.given and link.source.equation is None:
            undefined.setdefault(link.source, []).append(link)
    if undefined:
        lines = ["a signal is used but never defined:"]
        for signal, readers in undefined.items():
            lines.append(f"  {signal.name}, declared at {signal.origin}")
            lines += [f"    {link.equation.origin}: {link.target.name} reads {link}" for link in readers]
        lines.append("Write its equation, or declare it with .input(...) where its values are given.")
        raise DefinitionError("\n".join(lines))


def direction(component: Sequence[Link]) -> int:
    """Return 1 if the cycles of a strongly connected component run forward in time, -1 if backward.

    Raises:
        DefinitionError: if neither holds; it names a loop of total delay 0 if there is one.
    """
    delays = [link.delay for link in component]
    backward = nonpositive_cycle(component, delays)
    if backward is None:
        return 1
    forward = nonpositive_cycle(component, [-delay for delay in delays])
    if forward is None:
        return -1
    for loop in (backward, forward):
        if sum(link.delay for link in loop) == 0:
            raise _loop_without_delay(loop)
    raise DefinitionError("\n".join([
        "the definition has loops in both directions of time over the same signals:",
        *(f"  {_path(loop)}" for loop in (forward, backward)),
        "A value in them needs its own past and its own future. Remove one of the loops:",
        *_suggestions([*forward, *backward], delayed=[])]))


def layer_direction(cell: Definition, name: str, tensors: Iterable[Tensor]) -> int:
    """Return 1 for a layer that runs forward in time, -1 for backward; 0 if it is in no loop, or in both kinds.

    Args:
        name: the prefix of its signals, `name.h`.
        tensors: its parameters; where no signal has that prefix, those of equations that use them are its own.
    """
    own = {signal for signal in cell.signals.values() if signal.name.startswith(f"{name}.")}
    used = {id(tensor) for tensor in tensors}
    own = own or {equation.signal for equation in cell.equations
                  if any(id(node) in used for node in nodes([equation.expression]))}
    found = {direction(component) for component in components(list(cell.signals.values()), links(cell))
             if any(link.target in own for link in component)}
    return found.pop() if len(found) == 1 else 0


def _loop_without_delay(loop: Sequence[Link]) -> DefinitionError:
    return DefinitionError("\n".join([
        "the definition has a loop without delay:", f"  {_path(loop)}",
        "Each value in it needs itself at the same time step. Delay one of these reads:",
        *_suggestions(loop, delayed=loop)]))


def _path(loop: Sequence[Link]) -> str:
    names = " -> ".join([*(link.source.name for link in loop), loop[0].source.name])
    return f"{names}   (total delay {sum(link.delay for link in loop)})"


def _suggestions(loop: Sequence[Link], delayed: Sequence[Link]) -> list[str]:
    """Return one row per read: its line, the read, and for those in `delayed` the read with one more delay."""
    rows, hashed = [], set(delayed)  # Link has no == : signals have none
    for link in dict.fromkeys(loop):
        later = f"e.g. {link.source.name}[{t + (link.equation.lead - link.delay - 1)}]"
        rows.append((f"  {link.equation.origin}: {link.target.name} reads {link}", later if link in hashed else ""))
    width = max(len(row[0]) for row in rows)
    return [f"{left:<{width}}     {right}".rstrip() for left, right in rows]


def loops(cell: Definition) -> list[Loop]:
    """Return every loop of a definition, the shortest first.

    Raises:
        DefinitionError: for more than a thousand loops (their number can grow exponentially).
    """
    signals = list(cell.signals.values())
    in_components: list[Link] = []
    affine: dict[Signal, bool] = {}
    for component in components(signals, links(cell)):
        in_components += component
        affine.update(dict.fromkeys((link.target for link in component), _is_affine(component)))
    found: list[Loop] = []
    for path in simple_cycles(signals, in_components):
        if len(found) == MOST_LOOPS:
            raise DefinitionError(f"{cell.name!r} has more than {MOST_LOOPS} loops: too many to list")
        found.append(Loop(tuple(link.source.name for link in path), tuple(link.equation.origin for link in path),
                          sum(link.delay for link in path), affine[path[0].target]))
    return sorted(found, key=lambda loop: len(loop.signals))


def _is_affine(component: Sequence[Link]) -> bool:
    """Return whether the signals of a strongly connected component are affine functions of their values elsewhere."""
    state = {link.target for link in component}
    varying: set[int] = set()  # ids of expressions that depend on the state, all of them affine
    for node in nodes(dict.fromkeys(link.equation.expression for link in component)):
        if isinstance(node, Read) and node.signal in state:
            varying.add(id(node))
        op = node.op if isinstance(node, Apply) else None
        if op is None or isinstance(op, ops.DropoutMask):  # a mask depends on the shape alone
            continue
        positions = [position for position, x in enumerate(node.inputs) if id(x) in varying]
        if any(position not in op.affine for position in positions) or (len(positions) > 1 and not op.jointly_affine):
            return False
        if positions:
            varying.add(id(node))
    return True


def order(cell: Definition) -> list[Stage]:
    """Return the stages in an order in which they can be computed; the signals of a loop are one stage.

    Raises:
        DefinitionError: if the definition can't be computed.
    """
    check(cell)
    all_links = links(cell)
    # Contract each strongly connected component to one number; signals outside of all get negative ones.
    group = {signal: -1 - number for number, signal in enumerate(cell.signals.values())}
    directions: dict[int, int] = {}
    for number, component in enumerate(components(list(group), all_links)):
        directions[number] = direction(component)
        group.update((link.target, number) for link in component)
    members: dict[int, list[Signal]] = {}
    for signal, number in group.items():
        members.setdefault(number, []).append(signal)
    edges = {(group[link.source], group[link.target]) for link in all_links}
    height = layers(cell)
    return [Stage(tuple(signal.name for signal in sorted(members[number], key=height.__getitem__)),
                  directions.get(number, 0))
            for number in topological_order(members, sorted(edge for edge in edges if edge[0] != edge[1]))]


def held_signals(cell: Definition) -> dict[Signal, int]:
    """Return the signals on cycles, which hold their value at masked steps, with the direction of their cycles.

    1: a masked step takes the value of the step before; -1: that of the step after.
    """
    return {link.target: direction(component) for component in components(list(cell.signals.values()), links(cell))
            for link in component}


def retiming(cell: Definition) -> dict[Signal, int]:
    """Return by how many steps each signal must be stored later so that no cycle reads against its direction.

    Only signals on cycles are listed. Steps are those of the equations; of a cycle that runs backward the numbers
    are negative.
    """
    found: dict[Signal, int] = {}
    for component in components(list(cell.signals.values()), links(cell)):
        sign = direction(component)
        delays = [sign * (link.source.lead - link.equation.lead + link.delay) for link in component]
        offsets = smallest_offsets(component, delays) or {}
        found.update((signal, sign * offset) for signal, offset in offsets.items())
    return found
