"""The layers of a definition: signals with a common prefix `enc.`, inputs excepted.

Of nested prefixes the innermost one names the layer, `g.1.forward.`; a single signal beside nested layers, as `g.1.h`,
is in none. A layer's signals can stand together if, within a time step, none elsewhere is both computed from them and
read by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rnn import Signal
from rnn.language.dependencies import links
from rnn.language.equations import Definition
from rnn.language.graphs import components, longest_paths

from .names import prefix


class Groups(NamedTuple):
    """The layers of a definition, by prefix.

    Attributes:
        together: the signals of each layer that can stand together, in the order of the definition.
        split: the other layers, each with the reason.
    """

    together: dict[str, list[Signal]]
    split: dict[str, str]


class _Dependency(NamedTuple):
    source: str  # the name of a signal, or the prefix of a layer
    target: str


def groups(cell: Definition) -> Groups:
    """Return the layers of a definition: those that can stand together, and those that can't."""
    found = Groups({}, {})
    for signal in cell.signals.values():
        if prefix(signal.name) and signal.equation is not None:
            found.together.setdefault(prefix(signal.name), []).append(signal)
    for outer in [name for name, own in found.together.items() if len(own) == 1]:
        if any(name.startswith(outer) and name != outer for name in found.together):
            del found.together[outer]
    within = [(link.source.name, link.target.name) for link in links(cell) if not link.delay]
    while cycle := _first_cycle(found.together, within):
        layer = next(name for name in found.together if any(name == edge.target for edge in cycle))
        others = dict.fromkeys(edge.source.removesuffix(".") for edge in cycle if edge.target == layer)
        found.split[layer] = f"it reads {' and '.join(others)}, computed from it in the same step"
        del found.together[layer]
    return found


def layers_above(cell: Definition, blocks: Mapping[Signal, str]) -> dict[Signal, int]:
    """Return the height of each signal within a step, where those of a block have one height: its longest path."""
    home = {signal.name: blocks.get(signal, signal.name) for signal in cell.signals.values()}
    ends = [(home[link.source.name], home[link.target.name]) for link in links(cell) if not link.delay]
    height = longest_paths(dict.fromkeys(home.values()), [(a, b) for a, b in ends if a != b])
    return {signal: height[home[signal.name]] for signal in cell.signals.values()}


def _first_cycle(together: dict[str, list[Signal]], within: list[tuple[str, str]]) -> list[_Dependency]:
    """Return the edges of a strongly connected component of several layers and signals; nothing if there is none."""
    home = {signal.name: layer for layer, members in together.items() for signal in members}
    edges = [_Dependency(home.get(a, a), home.get(b, b)) for a, b in within]
    between = [edge for edge in dict.fromkeys(edges) if edge.source != edge.target]
    ends = list(dict.fromkeys(end for edge in between for end in edge))
    return next(iter(components(ends, between)), [])
