"""A part of a definition: the equations that some signals need, or those that some inputs suffice for.

Independent of data and of the length of a sequence.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable

from .dependencies import Link, links, nodes, roots
from .equations import Definition, Signal
from .expressions import Static


def needed_for(cell: Definition, outputs: Iterable[str]) -> set[Signal]:
    """Return some signals, by their names, and all that they are computed from, at any step."""
    return _reached((cell.signals[name] for name in outputs),
                    [(link.target, link.source) for link in links(cell)])


def computable_from(cell: Definition, inputs: Collection[str]) -> set[Signal]:
    """Return the inputs with these names, and the signals that need no other input at any step."""
    missing = [signal for name, signal in cell.signals.items() if signal.given and name not in inputs]
    return set(cell.signals.values()) - computed_from(cell, missing)


def computed_from(cell: Definition, signals: Iterable[Signal]) -> set[Signal]:
    """Return some signals, and all that is computed from them, at any step."""
    return _reached(signals, [(link.source, link.target) for link in links(cell)])


def reads_ahead(cell: Definition, signals: Collection[Signal]) -> list[Link]:
    """Return the reads, by the equations of some signals, of a step later than the one that is being computed."""
    return [link for link in links(cell) if link.target in signals
            and link.equation.lead - link.delay > link.source.lead]


def _reached(start: Iterable[Signal], edges: Iterable[tuple[Signal, Signal]]) -> set[Signal]:
    """Return the signals to which edges (from, to) lead, the start included."""
    after: dict[Signal, list[Signal]] = {}
    for signal, other in edges:
        after.setdefault(signal, []).append(other)
    waiting = list(start)
    found = set(waiting)
    for signal in waiting:  # grows
        new = [other for other in after.get(signal, ()) if other not in found]
        found.update(new)
        waiting += new
    return found


def part_of(cell: Definition, signals: Collection[Signal]) -> Definition:
    """Return a definition of some signals of another one, with their equations and the statics that these read.

    The signals and equations are the same objects. It doesn't follow later changes of the other definition.
    """
    part = copy.copy(cell)
    part.signals = {name: signal for name, signal in cell.signals.items() if signal in signals}
    part.equations = [equation for equation in cell.equations if equation.signal in signals]
    read = {x.name for x in nodes(roots(part), into_tensors=False) if isinstance(x, Static)}
    part.statics = {name: static for name, static in cell.statics.items() if name in read}
    return part
