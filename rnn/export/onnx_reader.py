"""Read weights from an ONNX file: by the names of a definition, or from its RNN, LSTM and GRU nodes.

How the arrays map to the parameters of cells is in interop.py. Needs the extra `onnx`. A file may be damaged or
made to do harm: nothing outside of it is read, and no array is larger than the file could hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnn.ir.nodes import ADDED
from rnn.language.graphs import postorder

from .frontend import import_extra

onnx = import_extra("onnx", "onnx")

Path = str | os.PathLike[str]
KINDS = ("RNN", "LSTM", "GRU")
# The attributes with which the operators compute what our cells compute.
USUAL: dict[str, Any] = {"clip": None, "input_forget": 0, "layout": 0,
                         "activations": [[], ["Tanh"], ["Sigmoid", "Tanh"], ["Sigmoid", "Tanh", "Tanh"]]}
# Exporters write weights in another order and let the file sort them: operators that only move elements.
MOVES = ("Identity", "Constant", "Cast", "Concat", "Slice", "Split", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
WIDEST = 8  # times as many bytes as the file has: a Cast from bytes to doubles


class Operator(NamedTuple):
    """A recurrent node.

    Attributes:
        tensors: by the operator's names, W, R, B, P.
        linear_before_reset: the attribute of a GRU; None for other nodes.
        direction: "forward", "reverse" or "bidirectional".
    """

    tensors: dict[str, NDArray[Any]]
    linear_before_reset: int | None
    direction: str


class Found(NamedTuple):
    """A recurrent node in the file's graph, or in a subgraph: the body of a loop, a branch of an If.

    Attributes:
        node: the NodeProto.
        path: the names of the nodes and attributes around it, and its own, with slashes.
        scope: what its inputs can be: name -> the TensorProto stored in the file, or the NodeProto that computes it.
    """

    node: Any
    path: str
    scope: Mapping[str, Any]


def parameters(path: Path) -> dict[str, NDArray[Any]]:
    """Return the parameters in a file that `Cell.to_onnx` wrote, by their names."""
    return {x.name: _array(x, path) for x in _load(path).graph.initializer if not x.name.startswith(ADDED)}


def recurrent(path: Path, node: str | None = None) -> Operator:
    """Return a recurrent node, wherever in the file it is.

    Args:
        node: its name, or its path in subgraphs, e.g. "If_1/then_branch/LSTM_5"; None for the only one.

    Raises:
        ValueError: if there is none or several; if its tensors aren't in the file; if it computes
            something that no cell here does; if the file isn't one of ONNX, or is damaged.
    """
    try:
        return _recurrent(path, node)
    except (AttributeError, TypeError, KeyError, IndexError) as error:  # a field of another type than ONNX defines
        raise ValueError(f"{os.fspath(path)} is damaged: {error}") from None


def _recurrent(path: Path, node: str | None) -> Operator:
    model = _load(path)
    every = list(_recurrent_nodes(model.graph))
    found = [x for x in every if node in (None, x.path)] or [x for x in every if node == x.node.name]
    if len(found) != 1:
        names = ", ".join(f"{x.path!r} ({x.node.op_type})" for x in every) or "none"
        which = "which one? Name it, node=" if found else f"no node {node!r}" if node else "no node"
        raise ValueError(f"{os.fspath(path)}: {which}; its recurrent nodes: {names}")
    only = found[0].node
    attributes = {x.name: onnx.helper.get_attribute_value(x) for x in only.attribute}
    _check(only, attributes, path)
    # The operator's inputs are X, W, R, B, the lengths, two initial states, P; one left out has no name.
    inputs = {label: only.input[i] for label, i in zip("WRBP", (1, 2, 3, 7)) if i < len(only.input) and only.input[i]}
    opsets = {x.domain: x.version for x in model.opset_import}
    tensors = {label: _value(name, found[0], path, opsets) for label, name in inputs.items()}
    missing = [label for label in "WR" if label not in tensors]
    if missing:
        raise ValueError(f"{os.fspath(path)}: {found[0].path!r} has no input {missing[0]}")
    reset = attributes.get("linear_before_reset", 0) if only.op_type == "GRU" else None
    return Operator(tensors, reset, attributes.get("direction", b"forward").decode())


def _load(path: Path) -> Any:
    """Return the model in a file, without data that it keeps in other files.

    Raises:
        ValueError: if it is a folder, or no ONNX file.
        OSError: if it can't be read.
    """
    if os.path.isdir(path):
        raise ValueError(f"{os.fspath(path)} is a folder, not an ONNX file")
    try:
        return onnx.load(path, format="protobuf", load_external_data=False)
    except OSError:
        raise
    except Exception as error:  # protobuf's DecodeError is no ValueError, and protobuf isn't imported here
        raise ValueError(f"{os.fspath(path)} is not an ONNX file, or it is damaged: {error}") from None


def _recurrent_nodes(graph: Any) -> Iterator[Found]:
    """Yield the recurrent nodes of a graph and of its subgraphs, outer ones first, in the file's order."""
    graphs: list[tuple[Any, str, Mapping[str, Any]]] = [(graph, "", {})]
    for part, prefix, outer in graphs:  # the list grows while it is walked
        nodes = list(part.node)
        scope = {**outer, **{x.name: x for x in part.initializer}, **{name: x for x in nodes for name in x.output}}
        for number, node in enumerate(nodes):
            own = prefix + (node.name or f"{node.op_type} {number}")
            if node.op_type in KINDS:
                yield Found(node, prefix + node.name, scope)
            for attribute in node.attribute:
                bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs
                graphs += [(body, f"{own}/{attribute.name}/", scope) for body in bodies]


def _value(name: str, found: Found, path: Path, opsets: Mapping[str, int]) -> NDArray[Any]:
    """Return the array that a node reads: one that is stored, or whose elements the file moves, by ONNX's reference.

    Raises:
        ValueError: if the file computes it from its inputs, or in another way than by MOVES.
    """
    computed = ValueError(f"{os.fspath(path)}: {name!r}, which the node {found.path!r} reads, is computed by the file "
                          "and not stored in it")
    values: dict[str, NDArray[Any]] = {}
    try:
        for node in postorder([found.scope.get(name)], partial(_sources, scope=found.scope)):
            if isinstance(node, onnx.TensorProto):
                values[node.name] = _array(node, path)
            elif isinstance(node, onnx.NodeProto) and node.op_type in MOVES and node.domain in ("", "ai.onnx"):
                operands = [x for x in node.input if x]
                if sum(values[x].nbytes for x in operands) > WIDEST * os.path.getsize(path):
                    raise ValueError("it moves more than the file holds")
                moved = _evaluator(node, opsets).run(None, {x: values[x] for x in operands})
                values.update(zip(node.output, moved))
            else:
                raise computed
    except Exception as error:  # of the reference implementation, which raises all kinds
        if error is computed or str(error).startswith(os.fspath(path)):
            raise
        raise ValueError(f"{os.fspath(path)}: {name!r}, which the node {found.path!r} reads, can't be computed: {error}"
                         ) from None
    return values[name]


def _evaluator(node: Any, opsets: Mapping[str, int]) -> Any:
    return import_extra("onnx.reference", "onnx").ReferenceEvaluator(node, opsets=dict(opsets))


def _sources(node: Any, scope: Mapping[str, Any]) -> list[Any]:
    """Return what the inputs of a node are; None for one that isn't in the file."""
    moves = isinstance(node, onnx.NodeProto) and node.op_type in MOVES
    return [scope.get(name) for name in node.input if name] if moves else []


def _array(tensor: Any, path: Path) -> NDArray[Any]:
    """Return a stored tensor.

    Raises:
        ValueError: if its data are in another file, aren't real numbers, or don't fit its shape.
    """
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"{os.fspath(path)}: the data of {tensor.name!r} are in another file, which isn't read: save "
                         "the model as one file, onnx.save(onnx.load(path), path)")
    try:
        if any(length < 0 for length in tensor.dims):
            raise ValueError(f"its shape is {(*tensor.dims,)}")
        array: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    except Exception as error:
        raise ValueError(f"{os.fspath(path)}: the tensor {tensor.name!r} is damaged: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{os.fspath(path)}: {tensor.name!r} holds {array.dtype}, not real numbers")
    return np.array(array)


def _check(node: Any, attributes: Mapping[str, Any], path: Path) -> None:
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
