"""Python names for the nodes of a program, from the names that the definition has."""

from __future__ import annotations

import keyword
import re

from minigrad.operators import UFUNCS
from rnn.ir.nodes import Node

TAKEN = {"T", "B", "S", "k", "whole", "rows", "steps", "part", "start", "stop", "t", "round", "np", "FLOAT", "dot",
         "copyto", "buffers", "forward", "backward", "matmul", "concatenate", "zeros", "empty", "ascontiguousarray",
         "range", "zip", "list", "reversed", "min", "max", "SimpleNamespace"} | {ufunc.__name__ for ufunc in UFUNCS}


class Names:
    """A Python name for each node, from the definition's names where there are some."""

    def __init__(self) -> None:
        self.taken = set(TAKEN)
        self.of: dict[Node, str] = {}

    def give(self, node: Node, wish: str | None = None) -> str:
        """The node's name, which no other one has."""
        if node not in self.of:
            self.of[node] = self.free(identifier(wish or node.name or "a"))
        return self.of[node]

    def free(self, wish: str) -> str:
        """A name that nothing has."""
        name, count = wish, 1
        while name in self.taken:
            count += 1
            name = f"{wish}{count}"
        self.taken.add(name)
        return name


def identifier(text: str) -> str:
    """A name that Python takes, from any text: letters, digits and underscores of it."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_")
    if not name or name[0].isdigit():
        name = f"v_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in TAKEN else name
