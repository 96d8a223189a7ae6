"""Read weights from an ONNX file: by the names of a definition, or from its RNN, LSTM and GRU nodes.

How the arrays map to the parameters of cells is in interop.py. Needs the extra `onnx`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from rnn.ir.nodes import ADDED

from .frontend import import_extra

onnx = import_extra("onnx", "onnx")

KINDS = ("RNN", "LSTM", "GRU")
# The attributes with which the operators compute what our cells compute.
USUAL: dict[str, Any] = {"clip": None, "input_forget": 0, "layout": 0,
                         "activations": [[], ["Tanh"], ["Sigmoid", "Tanh"], ["Sigmoid", "Tanh", "Tanh"]]}


def parameters(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the parameters in a file that `Cell.to_onnx` wrote, by their names."""
    tensors = _arrays(onnx.load(path).graph)
    return {name: array for name, array in tensors.items() if not name.startswith(ADDED)}


def recurrent(path: str | os.PathLike[str], node: str | None = None
              ) -> tuple[dict[str, NDArray[Any]], int | None]:
    """Return a recurrent node's tensors by the operator's names W, R, B, P, and a GRU's `linear_before_reset`.

    Args:
        node: its name; None for the only one.

    Raises:
        ValueError: if there is none or several; if its tensors aren't in the file; if it computes
            something that no cell here does.
    """
    graph = onnx.load(path).graph
    found = [x for x in graph.node if x.op_type in KINDS and node in (None, x.name)]
    if len(found) != 1:
        names = ", ".join(f"{x.name!r} ({x.op_type})" for x in graph.node if x.op_type in KINDS) or "none"
        which = "which one? Name it, node=" if node is None and found else f"no node {node!r}" if node else "no node"
        raise ValueError(f"{os.fspath(path)}: {which}; its recurrent nodes: {names}")
    only, attributes = found[0], {x.name: onnx.helper.get_attribute_value(x) for x in found[0].attribute}
    _check(only, attributes, path)
    arrays = _arrays(graph)
    # The operator's inputs are X, W, R, B, the lengths, two initial states, P; one left out has no name.
    tensors = {label: only.input[i] for label, i in zip("WRBP", (1, 2, 3, 7)) if i < len(only.input) and only.input[i]}
    missing = [key for key in tensors.values() if key not in arrays]
    if missing:
        raise ValueError(f"{os.fspath(path)}: {missing[0]!r}, which the node {only.name!r} reads, is computed by the "
                         "file and not stored in it")
    reset = attributes.get("linear_before_reset", 0) if only.op_type == "GRU" else None
    return {label: arrays[key] for label, key in tensors.items()}, reset


def _check(node: Any, attributes: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Raise ValueError for attributes that no cell here has."""
    each = [x.decode() for x in attributes.get("activations", [])]
    directions = 2 if attributes.get("direction") == b"bidirectional" else 1
    one = each[:len(each) // directions]
    if one * directions != each or one not in USUAL["activations"]:
        raise ValueError(f"{os.fspath(path)}: the activations of {node.name!r} are {', '.join(each)}; here a cell has "
                         "the usual ones, sigmoid and tanh")
    for key in ("clip", "input_forget", "layout"):
        if attributes.get(key, USUAL[key]) != USUAL[key]:
            raise ValueError(f"{os.fspath(path)}: {node.name!r} has {key}={attributes[key]}, which no cell here has")


def _arrays(graph: Any) -> dict[str, NDArray[Any]]:
    return {x.name: onnx.numpy_helper.to_array(x) for x in graph.initializer}
