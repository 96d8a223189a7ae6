"""What a definition is made of: its edges, delays, loops and parameters; and what can't be computed.

A definition is a graph of signals whose edges carry delays. It can be computed where in each
strongly connected component either every cycle has a total delay of at least one (it runs
forward in time) or every one of at most minus one (backward): Karp, Miller and Winograd, The
organization of computations for uniform recurrence equations (J. ACM 14, 1967). This room knows
no data and no length of a sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from minigrad import Tensor, ops

from .equations import Definition, Equation, Read, Signal
from .graphs import components, postorder


class DefinitionError(ValueError):
    """A definition that can't be computed: the message says which equations, and why."""


class Edge(NamedTuple):
    """`target[t]` is computed from `source[t - delay]`."""

    source: str
    target: str
    delay: int


class Link(NamedTuple):
    """An edge with the equation that it comes from."""

    source: Signal
    target: Signal
    delay: int
    equation: Equation

    def __str__(self) -> str:
        return f"{self.source.name}[{_step(self.equation.lead - self.delay)}]"


def _step(offset: int) -> str:
    return f"t{offset:+d}" if offset else "t"


def nodes(roots: Iterable[Any], into_tensors: bool = True) -> list[Any]:
    """Every distinct node that the roots are computed from, inputs before outputs, left to right.

    A Tensor that belongs to a run is taken as it is, without what it was computed from;
    `into_tensors=False` takes every Tensor so.
    """
    def inputs(node: Any) -> tuple[Any, ...]:
        closed = isinstance(node, Tensor) and (node.t is not None or not into_tensors)
        return () if closed else getattr(node, "inputs", ())

    return postorder(roots, inputs)


def roots(cell: Definition) -> list[Any]:
    """All that is written in a definition: its equations' expressions, then its boundary values."""
    return [*(equation.expression for equation in cell.equations),
            *(value for signal in cell.signals.values()
              for value in [*signal.initial.values(), *signal.final.values()])]


def reads(equation: Equation) -> list[Read]:
    """The signals that an equation reads, each at each step once, left to right."""
    found: dict[tuple[Signal, int], Read] = {}
    for node in nodes([equation.expression]):
        if isinstance(node, Read):
            found.setdefault((node.signal, node.offset), node)
    return list(found.values())


def links(cell: Definition) -> list[Link]:
    """Every edge, with its equation, in the order of the equations."""
    return [Link(read.signal, equation.signal, equation.lead - read.offset, equation)
            for equation in cell.equations for read in reads(equation)]


def edges(cell: Definition) -> list[Edge]:
    """The connections as (source, target, delay), in the order of the equations."""
    return [Edge(link.source.name, link.target.name, link.delay) for link in links(cell)]


def parameters(cell: Definition) -> dict[str, Tensor]:
    """The leaves that require a gradient, by name, in the order in which they are used.

    One without a name is called p1, p2, ...

    Raises:
        DefinitionError: where two different ones have the same name.
    """
    found: dict[str, Tensor] = {}
    unnamed = 0
    for node in nodes(roots(cell)):
        if not isinstance(node, Tensor) or not node.requires_grad or node.op is not None:
            continue
        name = node.name
        if name is None:
            unnamed += 1
            name = f"p{unnamed}"
        if name in found:
            raise DefinitionError(f"two parameters are named {name!r}: made at {found[name].origin} and at "
                                  f"{node.origin}. Give each a name of its own, Tensor(..., name=...)")
        found[name] = node
    return found


def check(cell: Definition) -> None:
    """Raise where the definition can't be computed, whatever the data.

    Raises:
        DefinitionError: a signal that is read and never defined; a loop without delay; loops in
            both directions of time over the same signals.
    """
    if not cell.equations:
        raise DefinitionError(f"{cell.name!r} has no equation: write one, e.g. h[t] = ...")
    every = links(cell)
    undefined: dict[Signal, list[Link]] = {}
    for link in every:
        if not link.source.given and link.source.equation is None:
            undefined.setdefault(link.source, []).append(link)
    if undefined:
        lines = ["a signal is used but never defined:"]
        for signal, users in undefined.items():
            lines.append(f"  {signal.name}, declared at {signal.origin}")
            lines += [f"    {link.equation.origin}: {link.target.name} reads {link}" for link in users]
        lines.append("Write its equation, or declare it with .input(...) where its values are given.")
        raise DefinitionError("\n".join(lines))
    loop = _shortest([link for link in every if link.delay == 0])
    if loop is not None:
        raise _undelayed(loop)
    for component in components(list(cell.signals.values()), every):
        direction(component)


def direction(component: Sequence[Link]) -> int:
    """+1 where a component's loops run forward in time, -1 where they run backward.

    Raises:
        DefinitionError: where neither holds; names a loop of total delay 0 if there is one.
    """
    backward = _cycle(component, 1)
    if backward is None:
        return 1
    forward = _cycle(component, -1)
    if forward is None:
        return -1
    for loop in (backward, forward):
        if sum(link.delay for link in loop) == 0:
            raise _undelayed(loop)
    raise DefinitionError("\n".join([
        "the definition has loops in both directions of time over the same signals:",
        *(f"  {_path(cycle)}" for cycle in (forward, backward)),
        "A value in them needs its own past and its own future. Take one loop away:",
        *_suggestions([*forward, *backward], [])]))


def _undelayed(loop: Sequence[Link]) -> DefinitionError:
    return DefinitionError("\n".join([
        "the definition has a loop without delay:", f"  {_path(loop)}",
        "Each value in it needs itself at the same time step. Delay one of these reads:",
        *_suggestions(loop, loop)]))


def _path(cycle: Sequence[Link]) -> str:
    names = " -> ".join([*(link.source.name for link in cycle), cycle[0].source.name])
    return f"{names}   (total delay {sum(link.delay for link in cycle)})"


def _suggestions(cycle: Sequence[Link], delayed: Sequence[Link]) -> list[str]:
    """One row a read: its line, what it reads, and how it would read delayed."""
    rows = [(f"  {link.equation.origin}: {link.target.name} reads {link}",
             f"e.g. {link.source.name}[{_step(link.equation.lead - link.delay - 1)}]" if link in delayed else "")
            for link in dict.fromkeys(cycle)]
    width = max(len(row[0]) for row in rows)
    return [f"{left:<{width}}     {right}".rstrip() for left, right in rows]


def _shortest(some: Sequence[Link]) -> list[Link] | None:
    """The shortest cycle over some links, by breadth-first search from each signal."""
    leaving: dict[Signal, list[Link]] = {}
    for link in some:
        leaving.setdefault(link.source, []).append(link)
    best: list[Link] | None = None
    for start in leaving:
        came_by: dict[Signal, Link] = {}
        queue = deque([start])
        while queue and start not in came_by:
            for link in leaving.get(queue.popleft(), []):
                if link.target not in came_by:
                    came_by[link.target] = link
                    queue.append(link.target)
        if start in came_by:
            cycle = [came_by[start]]
            while cycle[-1].source is not start:
                cycle.append(came_by[cycle[-1].source])
            if best is None or len(cycle) < len(best):
                best = cycle[::-1]
    return best


def _cycle(component: Sequence[Link], sign: int) -> list[Link] | None:
    """A cycle whose total delay, times `sign`, is 0 or less; None where there is none.

    Bellman and Ford's search for a negative cycle: delays are scaled so that a total of 0 counts
    as negative and one of 1 doesn't (a cycle has at most as many links as there are signals).
    """
    signals = list(dict.fromkeys(link.target for link in component))
    scale = len(signals) + 1
    distance = dict.fromkeys(signals, 0)
    came_by: dict[Signal, Link] = {}
    last = None
    for _ in range(len(signals)):
        last = None
        for link in component:
            reached = distance[link.source] + sign * link.delay * scale - 1
            if reached < distance[link.target]:
                distance[link.target] = reached
                came_by[link.target] = link
                last = link.target
        if last is None:
            return None
    assert last is not None
    for _ in signals:  # back far enough to stand on the cycle itself
        last = came_by[last].source
    cycle = [came_by[last]]
    while cycle[-1].source is not last:
        cycle.append(came_by[cycle[-1].source])
    return cycle[::-1]


class Boundary(NamedTuple):
    """The steps of a signal that equations read and none computes.

    Attributes:
        before: steps before the first computed one, e.g. range(0, 1) for h[0].
        after: k for the steps T + k after the last computed one.
    """

    before: range
    after: range


def boundaries(cell: Definition) -> dict[str, Boundary]:
    """For every signal with steps that no equation computes and no data bring, which."""
    offsets = {signal: [0] for signal in cell.signals.values()}  # every signal has the steps 1 … T
    for equation in cell.equations:
        for read in reads(equation):
            offsets[read.signal].append(read.offset)
    found = {}
    for signal, seen in offsets.items():
        lead = signal.equation.lead if signal.equation else 0
        boundary = Boundary(range(1 + min(seen), 1 + lead), range(1 + lead, 1 + max(seen)))
        if any(boundary):
            found[signal.name] = boundary
    return found


def layers(cell: Definition) -> dict[Signal, int]:
    """How many signals stand below each one within a time step: the longest path without delay."""
    undelayed = [link for link in links(cell) if link.delay == 0]
    height = dict.fromkeys(cell.signals.values(), 0)
    for _ in height:
        for link in undelayed:
            height[link.target] = max(height[link.target], height[link.source] + 1)
    return height


def labels(cell: Definition) -> set[str]:
    """The inputs whose values are integers: the classes that a cross entropy picks."""
    picked = (node.inputs[1] for node in nodes(roots(cell)) if isinstance(getattr(node, "op", None), ops.Gather))
    return {x.signal.name for x in picked if isinstance(x, Read) and x.signal.given}


def states(cell: Definition) -> dict[Signal, int]:
    """The signals that are read at another step than their own, and from which side they are held.

    1: a finished sequence keeps the value of the step before; -1: that of the step after. In a loop it
    is the way in which the loop runs; else 1, or -1 where a signal is read from later steps alone.
    """
    found: dict[Signal, int] = {}
    every = links(cell)
    for link in every:
        if link.delay and not link.source.given:
            found[link.source] = max(found.get(link.source, -1), 1 if link.delay > 0 else -1)
    for component in components(list(cell.signals.values()), every):
        way = direction(component)
        found.update((link.target, way) for link in component if link.target in found)
    return found


def weights(equation: Equation) -> dict[tuple[Signal, int], list[Tensor]]:
    """For each (signal, offset) that an equation reads, the parameters that multiply it first."""
    products = (ops.MatMul, ops.MatVec, ops.Mul, ops.VecDot)
    found: dict[tuple[Signal, int], dict[Tensor, None]] = {}
    open_reads: dict[int, list[tuple[Signal, int]]] = {}  # node -> reads under it, multiplied by nothing yet
    for node in nodes([equation.expression], into_tensors=False):
        if isinstance(node, Read):
            open_reads[id(node)] = [(node.signal, node.offset)]
            found.setdefault((node.signal, node.offset), {})
            continue
        under = [read for x in getattr(node, "inputs", ()) for read in open_reads.get(id(x), [])]
        factors = [x for x in getattr(node, "inputs", ()) if isinstance(x, Tensor) and x.requires_grad]
        if isinstance(getattr(node, "op", None), products) and factors:
            leaves = [leaf for leaf in nodes(factors) if leaf.requires_grad and leaf.op is None]
            for read in under:
                found[read].update(dict.fromkeys(leaves))
            under = []
        open_reads[id(node)] = list(dict.fromkeys(under))
    return {read: list(tensors) for read, tensors in found.items()}
