"""Facts about definitions and unrolled graphs: their loops, their order, their shape.

Asks analysis.py for the edges; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from minigrad.provenance import Origin

from .dependencies import DefinitionError, Link, check, direction, layers, links
from .equations import Definition, Signal
from .graphs import components

MOST_LOOPS = 1000


class Loop(NamedTuple):
    """A way from a signal back to itself that passes no other signal twice.

    Attributes:
        signals: in the order of the data's flow; the first one is read by the last.
        origins: the line of the equation that reads each of them.
        delay: the total: how many steps later the loop closes.
    """

    signals: tuple[str, ...]
    origins: tuple[Origin, ...]
    delay: int


class Stage(NamedTuple):
    """Signals that are computed together.

    Attributes:
        signals: in an order in which they can be computed within a step.
        direction: 1 where they must be computed from t = 1 on, -1 from t = T back, 0 in any order.
    """

    signals: tuple[str, ...]
    direction: int


def loops(cell: Definition) -> list[Loop]:
    """Every loop of a definition, the shortest first.

    Raises:
        DefinitionError: where there are more than a thousand (their number can grow exponentially).
    """
    place = {signal: number for number, signal in enumerate(cell.signals.values())}
    leaving: dict[Signal, list[Link]] = {signal: [] for signal in place}
    for component in components(list(place), links(cell)):
        for link in component:
            leaving[link.source].append(link)
    found: list[Loop] = []
    for start in place:
        for path in _cycles_from(start, leaving, place):
            if len(found) == MOST_LOOPS:
                raise DefinitionError(f"{cell.name!r} has more than {MOST_LOOPS} loops: too many to list")
            found.append(Loop(tuple(link.source.name for link in path), tuple(link.equation.origin for link in path),
                              sum(link.delay for link in path)))
    return sorted(found, key=_length)


def _length(loop: Loop) -> int:
    return len(loop.signals)


def _cycles_from(start: Signal, leaving: dict[Signal, list[Link]], place: dict[Signal, int]) -> Iterator[list[Link]]:
    """The loops through `start` that pass no signal declared before it: each loop is found once."""
    path: list[Link] = []
    choices = [iter(leaving[start])]
    while choices:
        link = next(choices[-1], None)
        if link is None:
            choices.pop()
            if path:
                path.pop()
        elif link.target is start:
            yield [*path, link]
        elif place[link.target] > place[start] and all(link.target is not passed.target for passed in path):
            path.append(link)
            choices.append(iter(leaving[link.target]))


def order(cell: Definition) -> list[Stage]:
    """The order in which the signals can be computed: loops stay together.

    Raises:
        DefinitionError: where the definition can't be computed.
    """
    check(cell)
    group: dict[Signal, int] = {signal: -1 - number for number, signal in enumerate(cell.signals.values())}
    ways: dict[int, int] = {}
    for number, component in enumerate(components(list(group), links(cell))):
        ways[number] = direction(component)
        group.update(dict.fromkeys((link.target for link in component), number))
    height = layers(cell)
    members: dict[int, list[Signal]] = {}
    for signal, number in group.items():
        members.setdefault(number, []).append(signal)
    waiting = dict.fromkeys(members, 0)
    edges = {(group[link.source], group[link.target]) for link in links(cell)}
    edges = {(source, target) for source, target in edges if source != target}
    for _, target in edges:
        waiting[target] += 1
    stages = []
    ready = [number for number in members if not waiting[number]]
    while ready:
        number = ready.pop(0)
        stages.append(Stage(tuple(signal.name for signal in sorted(members[number], key=height.__getitem__)),
                            ways.get(number, 0)))
        for target in [target for source, target in sorted(edges) if source == number]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return stages
