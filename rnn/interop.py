"""Weights from and to other libraries, by the names of the gates.

    interop.from_torch(cell, layer.state_dict(), ["layer1", "layer2"])     # values: plain arrays
    state = interop.to_torch(cell, ["layer1", "layer2"])

PyTorch, ONNX and Keras stack the matrices of all gates into one array, each in its own order. Here the
stack is split by name. The orders of PyTorch and ONNX are documented, so they are known; for any other source
the order is an argument and never guessed:

    interop.from_stacked(cell, "layer1", W_x, W_h, b_x, order="ifgo")

Every function assigns all values, or if one is wrong none; the message names the entry. Imports no other
library, only arrays; rnn/export/onnx_reader.py reads files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from minigrad.interactive.completion import public_names
from rnn.language.cycles import layer_direction
from rnn.language.dependencies import layer_parameters, parameters
from rnn.language.equations import Definition

Array = NDArray[Any]

# PyTorch 2, documentation of nn.LSTM and nn.GRU: W_ii|W_if|W_ig|W_io, W_ir|W_iz|W_in.
TORCH = {"elman": "h", "lstm": "ifgo", "gru": "rzn"}
# ONNX, operators LSTM and GRU: W[iofc] (its c is the candidate, our g), W[zrh] (its h is our n); P[iof].
ONNX = {"elman": "h", "lstm": "iofg", "gru": "zrn"}
ONNX_PEEPHOLES = "iof"
TORCH_ENTRIES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class Gate(NamedTuple):
    """The parameters of one gate, W_x x + b_x + W_h h + b_h; a bias is None if there is none."""

    W_x: Array
    W_h: Array
    b_x: Array | None
    b_h: Array | None


class Layer:
    """The parameters of one cell of a definition, by label ("W_f", "b_f", ...), and its kind and sizes."""

    def __init__(self, cell: Definition, name: str) -> None:
        self.name = name
        self.parameters = {label: x for label, x in layer_parameters(cell, name).items() if "." not in label}
        labels = self.parameters.keys()
        if not labels:
            raise ValueError(f"{cell.name!r} has no parameters named {name}.*; it has {', '.join(parameters(cell))}")
        if {"W", "U"} <= labels:
            self.kind = "elman"
        elif {"W_i", "W_f", "W_g", "W_o"} <= labels:
            self.kind = "lstm"
        elif "W_r" in labels and ("W_z" in labels or "W_u" in labels):
            self.kind = "gru"
        else:
            raise ValueError(f"{name} is none of elman, lstm (with all its gates) and gru, which other libraries have "
                             f"too: its parameters are {', '.join(labels)}")
        self.replaces = "W_u" in labels  # a GRU's update gate replaces the state (u) in place of keeping it (z)
        self.resets_after = "W_hn" in labels  # a GRU resets after the matrix
        self.peephole = "diagonal" if "p_o" in labels else "full" if "P_o" in labels else None
        first = TORCH[self.kind][0]  # any gate but a GRU's candidate, which may have more biases
        self.biases = len(self._bias_labels(first))  # for each gate
        self.size = self.parameters[self._matrix_labels(first)[0]].shape[0]
        self.projected = "W_p" in labels
        self.state = self.parameters["W_p"].shape[0] if self.projected else self.size  # the length of h
        self.direction = layer_direction(cell, name, self.parameters.values())
        self.inputs = self._matrices(first)[0].shape[1]

    def values(self, gates: Mapping[str, Gate]) -> dict[str, Array]:
        """Return gates as this cell's parameters, by their full names."""
        found: dict[str, Array] = {}
        for gate, parts in gates.items():
            if (gate, self.replaces) in (("z", True), ("u", False)):
                gate, parts = ("u" if self.replaces else "z"), _complement(parts)
            matrices, biases = self._matrix_labels(gate), self._bias_labels(gate)
            if len(matrices) == 2:
                found |= zip(matrices, (parts.W_x, parts.W_h))
            else:
                found[matrices[0]] = np.concatenate([parts.W_h, parts.W_x], axis=1)
            if parts.b_x is None or parts.b_h is None:
                continue
            if len(biases) == 2:
                found |= zip(biases, (parts.b_x, parts.b_h))
            else:
                dtype = np.result_type(self.parameters[biases[0]].dtype, parts.b_x.dtype)
                found[biases[0]] = parts.b_x.astype(dtype) + parts.b_h
        return {f"{self.name}.{label}": value for label, value in found.items()}

    def gates(self) -> dict[str, Gate]:
        """Return this cell's parameters by gate, a GRU's with an update gate that keeps (z)."""
        found = {}
        for gate in TORCH[self.kind]:
            own = "u" if gate == "z" and self.replaces else gate
            biases: list[Any] = [self.parameters[label].numpy() for label in self._bias_labels(own)]
            if len(biases) == 1:
                biases.append(np.zeros_like(biases[0]))
            parts = Gate(*self._matrices(own), *(biases or (None, None)))
            found[gate] = _complement(parts) if own == "u" else parts
        return found

    def _matrices(self, gate: str) -> tuple[Array, Array]:
        """Return W_x and W_h."""
        arrays = [self.parameters[label].numpy() for label in self._matrix_labels(gate)]
        W_h, W_x = np.split(arrays[0], [self.state], axis=1) if len(arrays) == 1 else arrays[::-1]
        return W_x, W_h

    def _matrix_labels(self, gate: str) -> tuple[str, ...]:
        """Return the labels of W_x and W_h, or the single label of a matrix for [h, x]."""
        if self.kind == "elman":
            return "W", "U"
        return ("W_xn", "W_hn") if gate == "n" and self.resets_after else (f"W_{gate}",)

    def _bias_labels(self, gate: str) -> tuple[str, ...]:
        """Return the labels of b_x and b_h, the single label of their sum, or none."""
        end = "" if self.kind == "elman" else gate
        for labels in ((f"b_x{end}", f"b_h{end}"), (f"b_{end}" if end else "b",)):
            if labels[0] in self.parameters:
                return labels
        return ()


def expand_names(cell: Definition, names: Sequence[str]) -> list[str]:
    """Return the names of single cells, in the place of the name of a layer that has several."""
    waiting, found = list(names)[::-1], []
    while waiting:
        name = waiting.pop()
        parts = list(dict.fromkeys(label.partition(".")[0] for label in layer_parameters(cell, name)))
        if {"forward", "backward"} == set(parts):
            waiting += [f"{name}.backward", f"{name}.forward"]
        elif parts and all(part.isdecimal() for part in parts):
            waiting += [f"{name}.{part}" for part in sorted(parts, key=int, reverse=True)]
        else:
            found.append(name)
    return found


def _check_direction(layer: Layer, reverse: bool, entry: str) -> None:
    """Raise ValueError if a cell runs in the other direction of time than the weights that it is to take or to give."""
    if layer.direction and (layer.direction < 0) != reverse:
        here, there = ("backward", "forward") if layer.direction < 0 else ("forward", "backward")
        raise _refusal(f"{layer.name} runs {here} in time, and {entry} is of a layer that runs {there}: "
                       f"name a cell that was defined with reversed={reverse}")


def _complement(parts: Gate) -> Gate:
    """Return the parameters of 1 - gate: sigmoid(-a) = 1 - sigmoid(a)."""
    return Gate(*(None if part is None else -part for part in parts))  # type: ignore[arg-type]


# ---- any parameters ------------------------------------------------------------------------


def assign(cell: Definition, values: Mapping[str, Tensor | ArrayLike]) -> None:
    """Assign every parameter of a definition: from another definition's `parameters`, or arrays by name.

    Raises:
        ValueError: if a parameter has no value, a value no parameter, or a shape or dtype doesn't
            fit. Then nothing is assigned.
    """
    _assign(parameters(cell), values, repr(cell.name))


def _assign(parameters: Mapping[str, Tensor], values: Mapping[str, Any], owner: str) -> None:
    """Check everything, then assign everything."""
    missing = [name for name in parameters if name not in values]
    extra = [name for name in values if name not in parameters]
    if missing:
        raise _refusal(f"no value for {', '.join(missing)} of {owner}")
    if extra:
        raise _refusal(f"{owner} has no parameter {', '.join(extra)}")
    arrays = {}
    names: dict[Tensor, str] = {}
    for name, parameter in parameters.items():
        if parameter.op is not None:
            raise _refusal(f"{name} is computed by {parameter!r}, so it has no value of its own: set what it is "
                           "computed from")
        value = values[name].numpy() if isinstance(values[name], Tensor) else np.asarray(values[name])
        if value.shape != parameter.shape:
            raise _refusal(f"{name} has shape {parameter.shape}, its value {value.shape}")
        arrays[name] = value.astype(parameter.dtype)
        if not np.array_equal(arrays[name], value, equal_nan=value.dtype.kind == "f"):
            raise _refusal(f"{name} holds {parameter.dtype}, which can't hold its {value.dtype} values exactly: "
                           "convert them first")
        first = names.setdefault(parameter, name)
        if not np.array_equal(arrays[first], arrays[name], equal_nan=arrays[name].dtype.kind == "f"):
            raise _refusal(f"{first} and {name} are one tensor, and their values differ")
    for name, parameter in parameters.items():
        parameter.data = arrays[name]


def _assign_layers(layers: Sequence[Layer], values: Mapping[str, Any]) -> None:
    parameters = {f"{layer.name}.{label}": tensor for layer in layers for label, tensor in layer.parameters.items()}
    _assign(parameters, values, " and ".join(layer.name for layer in layers))


def _refusal(message: str) -> ValueError:
    return ValueError(f"{message}; nothing was assigned")


# ---- stacked gates -------------------------------------------------------------------------


def split(stack: ArrayLike, order: str | None, gates: str) -> dict[str, Array]:
    """Split the rows of a stack of gates.

    Args:
        stack: all gates' matrices or vectors, one under the other.
        order: the gates from the top down, a letter each, e.g. "ifgo".
        gates: the letters of all gates, in any order.

    Raises:
        ValueError: if the order is missing or has other letters, or the rows can't be divided equally.
    """
    order = _check_order(order, gates)
    array = np.asarray(stack)
    if array.ndim == 0 or array.shape[0] % len(order):
        raise ValueError(f"an array of shape {array.shape} can't be cut into {len(order)} gates of equal size, {order}")
    return dict(zip(order, np.split(array, len(order))))


def join(parts: Mapping[str, Array], order: str | None) -> Array:
    """Stack gates: the inverse of `split`.

    Raises:
        ValueError: if the order is missing or has other letters than the parts.
    """
    return np.concatenate([parts[gate] for gate in _check_order(order, "".join(parts))])


def _check_order(order: str | None, gates: str) -> str:
    if order is None:
        raise ValueError(f"in which order are the gates stacked? Pass order={gates!r}, or another order of these "
                         "letters: libraries differ, and the arrays don't show it")
    if sorted(order) != sorted(gates):
        raise ValueError(f"order={order!r} isn't an order of the gates {', '.join(gates)}")
    return order


def from_stacked(cell: Definition, name: str, W_x: ArrayLike, W_h: ArrayLike, b_x: ArrayLike | None = None,
                 b_h: ArrayLike | None = None, *, order: str | None = None, W_p: ArrayLike | None = None) -> None:
    """Assign the weights of one cell from any source that stacks its gates.

    Args:
        name: the cell's name in it.
        W_x: the gates' matrices for the input, one under the other: (gates * size, inputs). For a source
            that multiplies from the right (Keras), pass the transpose.
        W_h: those for the state, (gates * size, size).
        b_x, b_h: the biases, (gates * size,), one vector or two; None: there are none.
        order: the gates from the top down, each by its letter here: for an LSTM f, i, g (the candidate),
            o; for a GRU r, n (the candidate) and z if 1 keeps the old state, u if 1 replaces it; for
            Elman's network "h".
        W_p: the matrix of an LSTM's projection, (projection, size).

    Raises:
        ValueError: for a missing or impossible order, and a wrong shape. Then nothing is assigned.
    """
    layer = Layer(cell, name)
    known = TORCH[layer.kind]
    if layer.kind == "gru" and (layer.replaces if order is None else "u" in order):
        known = known.replace("z", "u")
    if b_x is not None and b_h is None:
        b_h = np.zeros_like(b_x)
    gates = _split_stacks(layer, _check_order(order, known), (W_x, W_h, b_x, b_h), Gate._fields)
    _assign_layers([layer], layer.values(gates) | _projection(layer, W_p, "W_p"))


def _split_stacks(layer: Layer, order: str, stacks: Sequence[Any], keys: Sequence[str]) -> dict[str, Gate]:
    """Return the stacks W_x, W_h, b_x, b_h as gates; messages name them by `keys`."""
    rows = len(order) * layer.size
    split_parts: list[Mapping[str, Array | None]] = []
    for key, stack, shape in zip(keys, stacks, ((rows, layer.inputs), (rows, layer.state), (rows,), (rows,))):
        is_bias = len(shape) == 1
        if is_bias and stack is None and layer.biases:
            raise _refusal(f"{key} is missing: {layer.name} has biases. Define it with biases=0 to have none")
        if is_bias and stack is not None and not layer.biases:
            raise _refusal(f"there is no parameter for {key}: {layer.name} was defined with biases=0")
        if stack is not None and np.shape(stack) != shape:
            raise _refusal(f"{key} has shape {np.shape(stack)}, and {layer.name} needs {shape}")
        split_parts.append(dict.fromkeys(order) if stack is None else split(stack, order, order))
    return {gate: Gate(*(part[gate] for part in split_parts)) for gate in order}  # type: ignore[arg-type]


def _projection(layer: Layer, W_p: Any, key: str) -> dict[str, Any]:
    """Return the matrix of an LSTM's projection by its full name; messages name it by `key`."""
    if (W_p is not None) != layer.projected:
        raise _refusal(f"{key} is missing: {layer.name} has a projection" if layer.projected else
                       f"there is no parameter for {key}: {layer.name} was defined without projection=")
    return {f"{layer.name}.W_p": W_p} if layer.projected else {}


def _join_stacks(layer: Layer, order: str) -> list[Array]:
    """Return a cell's W_x, W_h, b_x, b_h with its gates in an order; without the biases if it has none."""
    gates = layer.gates()
    parts = Gate._fields if layer.biases else Gate._fields[:2]
    return [join({gate: getattr(gates[gate], part) for gate in gates}, order) for part in parts]


# ---- PyTorch -------------------------------------------------------------------------------


def from_torch(cell: Definition, state: Any, names: Sequence[str], *, bidirectional: bool = False) -> None:
    """Assign the weights of cells from one nn.RNN, nn.LSTM or nn.GRU, or an nn.RNNCell, nn.LSTMCell or nn.GRUCell.

    A cell with one bias per gate takes the sum of PyTorch's two; with biases=2 it takes both. The state_dict of
    nn.RNN doesn't contain its nonlinearity: the definition's `activation` has to be the same.

    Args:
        state: the layer itself, its state_dict() or named_parameters(), or arrays by the same names.
        names: the cells, from the lowest layer up; for a bidirectional network forward, backward of the
            lowest, forward, backward of the next, ... The name of a layer that `cells.bidirectional` or
            `cells.stacked` made stands for its cells.
        bidirectional: whether every second name is that of a reversed cell.

    Raises:
        ValueError: for entries that are missing, left over or of a wrong shape; for a cell that
            PyTorch doesn't have (peepholes, reset="before", ...), or that runs in the other direction of
            time. Then nothing is assigned.
    """
    given = _torch_arrays(state)
    names, keys_of = _torch_names(cell, names, bidirectional)
    layers = [_torch_layer(cell, name) for name in names]
    values: dict[str, Array] = {}
    for layer, keys in zip(layers, keys_of):
        needed = [*keys[:2], *keys[2:4] * bool(layer.biases), *keys[4:] * layer.projected]
        missing = [key for key in needed if key not in given]
        if missing:
            raise _refusal(f"{missing[0]} is missing, for {layer.name}; there are {', '.join(given)}"
                           + _part_of_a_model(given, missing[0]))
        _check_direction(layer, keys[0].endswith("_reverse"), keys[0])
        if keys[4] in given and not layer.projected and np.shape(given[keys[1]])[1:] != (layer.state,):
            raise _refusal(f"{keys[4]} is the matrix of a projection: define {layer.name} with "
                           f"projection={len(given[keys[4]])}")
        stacks = [given.get(key) for key in keys[:4]]
        values |= layer.values(_split_stacks(layer, TORCH[layer.kind], stacks, keys))
        if layer.projected:
            values |= _projection(layer, given[keys[4]], keys[4])
    taken = {key for layer, keys in zip(layers, keys_of) for key in (keys if layer.projected else keys[:4])}
    extra = [key for key in given if key not in taken]
    if extra:
        hint = "; pass bidirectional=True" if not bidirectional and any("_reverse" in key for key in extra) else ""
        raise _refusal(f"nothing takes {', '.join(extra)}: the cells named are {', '.join(names)}{hint}")
    _assign_layers(layers, values)


def to_torch(cell: Definition, names: Sequence[str], *, bidirectional: bool = False) -> dict[str, Array]:
    """Return the weights of cells as the state_dict of one nn.RNN, nn.LSTM or nn.GRU, of NumPy arrays.

    A single bias per gate becomes bias_ih, and bias_hh is 0. The arguments are those of `from_torch`.

    Raises:
        ValueError: for a cell that PyTorch doesn't have.
    """
    state: dict[str, Array] = {}
    for name, keys in zip(*_torch_names(cell, names, bidirectional)):
        layer = _torch_layer(cell, name)
        _check_direction(layer, keys[0].endswith("_reverse"), keys[0])
        state |= zip(keys, _join_stacks(layer, TORCH[layer.kind]))
        if layer.projected:
            state[keys[4]] = layer.parameters["W_p"].numpy()
    return state


def _torch_arrays(state: Any) -> dict[str, Any]:
    """Return the weights of a module, its state_dict() or named_parameters(), by PyTorch's names, as arrays.

    PyTorch isn't imported: its tensors are known by their methods.
    """
    found = state.state_dict() if callable(getattr(state, "state_dict", None)) else state
    try:
        found = dict(found)
    except (TypeError, ValueError):
        found = None
    if found is None or not all(isinstance(key, str) for key in found):
        raise TypeError("from_torch takes a layer of PyTorch, its state_dict() or named_parameters(), or arrays by "
                        f"the same names, not {type(state).__name__}")
    arrays = {key: _plain_array(value) for key, value in found.items()}
    if arrays.keys() <= set(TORCH_ENTRIES):  # nn.LSTMCell and its like have one layer, and don't number it
        arrays = {f"{key}_l0": array for key, array in arrays.items()}
    return arrays


def _plain_array(value: Any) -> Any:
    """Return a tensor of PyTorch as an array; any other value as it is."""
    if isinstance(value, Tensor) or not callable(getattr(value, "detach", None)):
        return value
    value = value.detach().cpu()
    return np.asarray(value.float() if "bfloat16" in str(value.dtype) else value)  # float32 holds it exactly


def _part_of_a_model(given: Mapping[str, Any], key: str) -> str:
    """Return a remedy where entries have the name of a module before theirs, "lstm.weight_ih_l0"."""
    modules = [name[:-len(key) - 1] for name in given if name.endswith(f".{key}")]
    return f". Give the layer alone, e.g. model.{modules[0]}" if modules else ""


def _torch_names(cell: Definition, names: Sequence[str], bidirectional: bool
                 ) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the names of all cells, and for each the names of W_x, W_h, b_x, b_h and W_p in a state_dict."""
    if isinstance(names, str):
        raise TypeError(f"names is a list of cells, e.g. [{names!r}]")
    names = expand_names(cell, names)
    if bidirectional and len(names) % 2:
        raise ValueError(f"a bidirectional network has two cells a layer, forward and backward; named are "
                         f"{len(names)}: {', '.join(names)}")
    ends = ["", "_reverse"] if bidirectional else [""]
    return names, [tuple(f"{part}_l{i // len(ends)}{ends[i % len(ends)]}" for part in TORCH_ENTRIES)
                   for i in range(len(names))]


def _torch_layer(cell: Definition, name: str) -> Layer:
    layer = Layer(cell, name)
    if layer.peephole:
        raise ValueError(f"{name} has peepholes, and PyTorch's nn.LSTM has none")
    if layer.kind == "gru" and not layer.resets_after:
        raise ValueError(f"{name} resets before the matrix, and PyTorch's nn.GRU after it: "
                         'define it with reset="after"')
    return layer


# ---- ONNX ----------------------------------------------------------------------------------


def from_onnx(cell: Definition, names: Sequence[str], W: ArrayLike, R: ArrayLike, B: ArrayLike | None = None,
              P: ArrayLike | None = None, *, linear_before_reset: int | None = None,
              direction: str | None = None) -> None:
    """Assign the weights of a cell, or of the two of a bidirectional layer, from ONNX's RNN, LSTM or GRU.

    Args:
        names: one cell, or forward and backward; or the name of a layer that `cells.bidirectional` made.
        W, R, B, P: the operator's tensors: (directions, gates * size, inputs), (directions, gates *
            size, size), (directions, 2 * gates * size), and peepholes (directions, 3 * size). Without B the
            biases are zero.
        linear_before_reset: the GRU's attribute, 0 or 1, which the tensors don't contain: 0 resets before
            the matrix, 1 after it.
        direction: the operator's attribute, "forward", "reverse" or "bidirectional", for which the cells must
            be defined; None doesn't check the direction of a single cell.

    Raises:
        ValueError: for a wrong shape, peepholes on one side only, a GRU with a missing or different
            linear_before_reset, and a cell that runs in the other direction. Then nothing is assigned.
    """
    layers = _onnx_layers(cell, names)
    if direction not in (None, "forward", "reverse", "bidirectional"):
        raise _refusal(f"direction is 'forward', 'reverse' or 'bidirectional', not {direction!r}")
    if direction is not None and (direction == "bidirectional") != (len(layers) == 2):
        count = "one cell" if len(layers) == 2 else "two cells, forward and backward"
        raise _refusal(f"an operator whose direction is {direction!r} has {count}; named are "
                       f"{', '.join(layer.name for layer in layers)}")
    if direction is not None and len(layers) == 1:
        _check_direction(layers[0], direction == "reverse", f"the {direction} operator")
    tensors = {key: np.asarray(value) for key, value in (("W", W), ("R", R), ("B", B), ("P", P)) if value is not None}
    for key, array in tensors.items():
        if array.shape[:1] != (len(layers),):
            raise _refusal(f"{key} has shape {array.shape}, and its first axis is that of the directions: "
                           f"{len(layers)}, for {', '.join(layer.name for layer in layers)}")
    values: dict[str, Array] = {}
    for number, layer in enumerate(layers):
        if layer.kind == "gru":
            _check_reset(layer, linear_before_reset)
        values |= _onnx_values(layer, {key: array[number] for key, array in tensors.items()}, len(layers))
    _assign_layers(layers, values)


def _onnx_values(layer: Layer, tensors: Mapping[str, Array], directions: int) -> dict[str, Array]:
    """Return the parameters of one cell from its direction of W, R, B, P."""
    order = ONNX[layer.kind]
    length = 2 * len(order) * layer.size
    B = tensors.get("B", np.zeros(length, tensors["W"].dtype))
    if B.shape != (length,):
        raise _refusal(f"B has shape {(directions, *B.shape)}, and {layer.name} needs {(directions, length)}")
    biases = np.split(B, 2) if layer.biases or B.any() else (None, None)
    values = layer.values(_split_stacks(layer, order, (tensors["W"], tensors["R"], *biases), "WRBB"))
    if "P" in tensors:
        peepholes = split(tensors["P"], ONNX_PEEPHOLES, ONNX_PEEPHOLES)
        values |= {f"{layer.name}.p_{gate}": part for gate, part in peepholes.items()}
    return values


def from_onnx_file(cell: Definition, names: Sequence[str], path: str | os.PathLike[str],
                   node: str | None = None) -> None:
    """Assign the weights of a cell, or of the two of a bidirectional layer, from an RNN, LSTM or GRU node of a file.

    Args:
        cell, names: as for `from_onnx`. For a node whose direction is "reverse" the cell is a reversed one.
        path: the file.
        node: the node's name; of one in a subgraph (the body of a loop, a branch) also its path, such as
            "If_1/then_branch/LSTM_5". None if it is the only one.

    Raises:
        ValueError: as for `from_onnx`; if there is no such node, or it has options that no cell here has;
            if the file is damaged, or keeps its data in others. Then nothing is assigned.
        ModuleNotFoundError: without the extra `onnx`.
    """
    from rnn.export.onnx_reader import recurrent

    tensors, reset, direction = recurrent(path, node)
    from_onnx(cell, names, **tensors, linear_before_reset=reset, direction=direction)


def onnx_parameters(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return the parameters in a file that `Cell.to_onnx` wrote, by name, as `assign` takes them.

    Raises:
        ModuleNotFoundError: without the extra `onnx`.
    """
    from rnn.export.onnx_reader import parameters

    return parameters(path)


def to_onnx(cell: Definition, names: Sequence[str]) -> dict[str, Array]:
    """Return a cell, or the two of a bidirectional layer, as the tensors W, R, B (and P) of ONNX's operator.

    The caller sets the operator's attributes: hidden_size, direction, and for a GRU linear_before_reset, 1
    for a cell that resets after the matrix, 0 for one that resets before it.

    Raises:
        ValueError: for a cell that ONNX doesn't have.
    """
    found: dict[str, list[Array]] = {}
    for layer in _onnx_layers(cell, names):
        W, R, *biases = _join_stacks(layer, ONNX[layer.kind])
        tensors = {"W": W, "R": R}
        if biases:
            tensors["B"] = np.concatenate(biases)
        if layer.peephole:
            peepholes = {gate: layer.parameters[f"p_{gate}"].numpy() for gate in ONNX_PEEPHOLES}
            tensors["P"] = join(peepholes, ONNX_PEEPHOLES)
        for key, tensor in tensors.items():
            found.setdefault(key, []).append(tensor)
    return {key: np.stack(arrays) for key, arrays in found.items()}


def _onnx_layers(cell: Definition, names: Sequence[str]) -> list[Layer]:
    """Return the cells that make up one operator, checked."""
    every = [] if isinstance(names, str) else expand_names(cell, names)
    if len(every) not in (1, 2):
        raise ValueError(f"names is a list of one cell, or of two, forward and backward; not {names!r}")
    layers = [Layer(cell, name) for name in every]
    if len(layers) == 2:
        _check_direction(layers[0], False, "the first of two directions")
        _check_direction(layers[1], True, "the second of two directions")
    for layer in layers:
        if layer.projected:
            raise ValueError(f"{layer.name} has a projection, and ONNX's LSTM has none")
        if layer.peephole == "full":
            raise ValueError(f'{layer.name} has full peepholes, and ONNX\'s LSTM diagonal ones: peephole="diagonal"')
    return layers


def _check_reset(layer: Layer, linear_before_reset: int | None) -> None:
    if linear_before_reset not in (0, 1):
        raise _refusal("does this GRU reset before or after the matrix? Pass linear_before_reset=0 (before) or 1 "
                       "(after), as the operator's attribute has it")
    if bool(linear_before_reset) != layer.resets_after:
        own = "after" if layer.resets_after else "before"
        raise _refusal(f"{layer.name} resets {own} the matrix, and with linear_before_reset={linear_before_reset} "
                       "the operator doesn't")


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
