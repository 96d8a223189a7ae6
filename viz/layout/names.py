"""The names that a picture writes: of parameters without one, and in a layer without its prefix.

A layer is the signals with a common prefix, `enc.h` and `enc.c`. Its prefix is left out where something else tells it:
in the labels of arrows to its boxes, in equations under its heading, and in a picture of one layer, whose title has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad import Tensor
from rnn.language.dependencies import nodes, parameters, roots
from rnn.language.equations import Definition
from rnn.language.expressions import Read, Static
from rnn.language.formula import to_text


class Names:
    """The names of one definition.

    Args:
        full: whether to write all prefixes.

    Attributes:
        full: whether all prefixes are written.
        parameters: the full name of each parameter; p1, p2, ... for one without a name.
        only: the prefix, "enc.", if the picture has one layer and writes its names without; otherwise "".
    """

    def __init__(self, cell: Definition, full: bool = False) -> None:
        self.full = full
        self.parameters: dict[Tensor, str] = {tensor: name for name, tensor in parameters(cell).items()}
        known = [*cell.signals, *cell.statics, *self.parameters.values()]
        prefixes = {} if full else dict.fromkeys(prefix(name) for name in cell.signals if prefix(name))
        self.layers = [layer for layer in prefixes if _is_clear(layer, known)]
        self.only = self.layers[0] if len(self.layers) == len(prefixes) == 1 else ""
        self._within: dict[str, dict[int, str]] = {}
        self._expressions = [node for node in nodes(roots(cell)) if isinstance(node, (Read, Static))]

    def heading(self, signal: str) -> str:
        """Return the prefix of a signal, "enc."; "" if it is in no layer, or if its prefix can't be left out."""
        found = prefix(signal)
        return found if found in self.layers else ""

    def layer(self, signal: str) -> str:
        """Return the prefix that a signal's equation is written without: that of its layer, or of the only one."""
        return self.heading(signal) or self.only

    def short(self, name: str, layer: str) -> str:
        """Return a name without the prefix of a layer."""
        return name.removeprefix(layer) if layer else name

    def within(self, layer: str) -> dict[int, str]:
        """Return by id the texts of signals, statics and parameters in the formulas of a layer."""
        if layer not in self._within:
            found = {id(tensor): self.short(name, layer) for tensor, name in self.parameters.items()}
            found.update((id(x), self.short(x.text[0], layer)) for x in self._expressions if layer)
            self._within[layer] = found
        return self._within[layer]

    def text(self, x: Any, layer: str) -> str:
        """Return the formula of an expression in a layer."""
        names = self.within(layer)
        return names.get(id(x)) or to_text(x, names)


def prefix(name: str) -> str:
    """Return `enc.` of `enc.h`; "" without one."""
    return name[:name.rfind(".") + 1]


def _is_clear(layer: str, known: Iterable[str]) -> bool:
    """Whether the names of a layer without its prefix are no names of others."""
    inside = {name.removeprefix(layer) for name in known if name.startswith(layer)}
    return inside.isdisjoint(name for name in known if not name.startswith(layer))
