"""Weights from and to other libraries, by the names of the gates.

    interop.from_torch(cell, layer.state_dict(), ["layer1", "layer2"])     # values: plain arrays
    state = interop.to_torch(cell, ["layer1", "layer2"])

PyTorch, ONNX and Keras stack the matrices of all gates into one array, each in an order of its own.
Here they are cut apart by name. The orders of PyTorch and ONNX are documented, and known; of any
other source the order is asked for, not guessed:

    interop.from_stacked(cell, "layer1", W_x, W_h, b_x, order="ifgo")

A definition takes all values, or where anything is wrong none, and the message names the entry.
This room knows no other library, only its arrays; from_onnx.py reads files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from rnn.language.dependencies import parameters
from rnn.language.equations import Definition

Array = NDArray[Any]

# PyTorch 2, documentation of nn.LSTM and nn.GRU: W_ii|W_if|W_ig|W_io, W_ir|W_iz|W_in.
TORCH = {"elman": "h", "lstm": "ifgo", "gru": "rzn"}
# ONNX, operators LSTM and GRU: W[iofc] (its c is the candidate, our g), W[zrh] (its h is our n); P[iof].
ONNX = {"elman": "h", "lstm": "iofg", "gru": "zrn"}
ONNX_PEEPHOLES = "iof"


class Gate(NamedTuple):
    """What one gate multiplies and adds: W_x x + b_x + W_h h + b_h. A bias of None isn't there."""

    W_x: Array
    W_h: Array
    b_x: Array | None
    b_h: Array | None


class Layer:
    """The parameters that one cell has in a definition, by their names without the cell's.

    Attributes:
        kind: "elman", "lstm" or "gru".
        parameters: label ("W_f", "b_f", ...) -> Tensor.
        size, inputs: the lengths of the state and of the input.
        biases: 0, 1 or 2 for each gate.
    """

    def __init__(self, cell: Definition, name: str) -> None:
        self.name = name
        self.parameters = {label[len(name) + 1:]: tensor for label, tensor in parameters(cell).items()
                           if label.startswith(f"{name}.") and "." not in label[len(name) + 1:]}
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
        self.replaces = "W_u" in labels
        self.resets_after = "W_hn" in labels
        self.peephole = "diagonal" if "p_o" in labels else "full" if "P_o" in labels else None
        last = {"elman": "", "lstm": "o", "gru": "r"}[self.kind]
        self.biases = 2 if f"b_x{last}" in labels else 1 if (f"b_{last}" if last else "b") in labels else 0
        first = self.parameters["W" if self.kind == "elman" else f"W_{last}"]
        self.size = first.shape[0]
        self.inputs = first.shape[1] - (0 if self.kind == "elman" else self.size)

    def values(self, gates: Mapping[str, Gate]) -> dict[str, Array]:
        """Gates as this cell's parameters, by their full names."""
        found: dict[str, Array] = {}
        for gate, parts in gates.items():
            label, parts = self._named(gate, parts)
            if self.kind == "elman":
                found |= {"W": parts.W_x, "U": parts.W_h}
            elif label == "n" and self.resets_after:
                found |= {"W_xn": parts.W_x, "W_hn": parts.W_h}
            else:
                found[f"W_{label}"] = np.concatenate([parts.W_h, parts.W_x], axis=1)
            found |= self._biases(label, parts)
        return {f"{self.name}.{label}": value for label, value in found.items()}

    def gates(self) -> dict[str, Gate]:
        """This cell's parameters as gates; a gate u as the z that it is the opposite of."""
        found = {}
        for gate in TORCH[self.kind]:
            label = "u" if gate == "z" and self.replaces else gate
            if self.kind == "elman":
                W_x, W_h = self._array("W"), self._array("U")
            elif label == "n" and self.resets_after:
                W_x, W_h = self._array("W_xn"), self._array("W_hn")
            else:
                W_h, W_x = np.split(self._array(f"W_{label}"), [self.size], axis=1)
            one, of_x, of_h = _bias_labels(self.kind, label)
            if of_x in self.parameters:
                parts = Gate(W_x, W_h, self._array(of_x), self._array(of_h))
            elif one in self.parameters:
                b = self._array(one)
                parts = Gate(W_x, W_h, b, np.zeros_like(b))
            else:
                parts = Gate(W_x, W_h, None, None)
            found[gate] = _opposite(parts) if label == "u" else parts
        return found

    def _named(self, gate: str, parts: Gate) -> tuple[str, Gate]:
        """A gate as this cell has it: z and u are opposite, sigmoid(-a) = 1 - sigmoid(a)."""
        if (gate, self.replaces) in (("z", True), ("u", False)):
            return ("u" if self.replaces else "z"), _opposite(parts)
        return gate, parts

    def _biases(self, label: str, parts: Gate) -> dict[str, Array]:
        one, of_x, of_h = _bias_labels(self.kind, label)
        if parts.b_x is None or parts.b_h is None:
            return {}
        if of_x in self.parameters:
            return {of_x: parts.b_x, of_h: parts.b_h}
        dtype = np.result_type(self.parameters[one].dtype, parts.b_x.dtype)
        return {one: parts.b_x.astype(dtype) + parts.b_h}

    def _array(self, label: str) -> Array:
        return self.parameters[label].numpy()


def _bias_labels(kind: str, gate: str) -> tuple[str, str, str]:
    """How a gate's one bias is called; and its two."""
    return ("b", "b_x", "b_h") if kind == "elman" else (f"b_{gate}", f"b_x{gate}", f"b_h{gate}")


def _opposite(parts: Gate) -> Gate:
    return Gate(*(None if part is None else -part for part in parts))  # type: ignore[arg-type]


# ---- any parameters ------------------------------------------------------------------------


def assign(cell: Definition, values: Mapping[str, Tensor | ArrayLike]) -> None:
    """Give every parameter of a definition a value: another definition's `parameters`, or arrays by name.

    Raises:
        ValueError: where a parameter has no value, a value no parameter, or a shape or type doesn't
            fit. Then none is assigned.
    """
    _assign(parameters(cell), values, repr(cell.name))


def _assign(parameters: Mapping[str, Tensor], values: Mapping[str, Any], whose: str) -> None:
    """Check everything; then assign everything."""
    missing = [name for name in parameters if name not in values]
    extra = [name for name in values if name not in parameters]
    if missing:
        raise ValueError(f"no value for {', '.join(missing)} of {whose}; nothing was assigned")
    if extra:
        raise ValueError(f"{whose} has no parameter {', '.join(extra)}; nothing was assigned")
    arrays = {}
    for name, parameter in parameters.items():
        value = values[name].numpy() if isinstance(values[name], Tensor) else np.asarray(values[name])
        if value.shape != parameter.shape:
            raise ValueError(f"{name} has shape {parameter.shape}, its value {value.shape}; nothing was assigned")
        arrays[name] = value.astype(parameter.dtype)
        if not np.array_equal(arrays[name], value, equal_nan=value.dtype.kind == "f"):
            raise ValueError(f"{name} holds {parameter.dtype}, which can't hold its {value.dtype} values exactly: "
                             "convert them first; nothing was assigned")
    for name, parameter in parameters.items():
        parameter.data = arrays[name]


# ---- stacked gates -------------------------------------------------------------------------


def split(stack: ArrayLike, order: str | None, gates: str) -> dict[str, Array]:
    """Cut the rows of a stack of gates apart.

    Args:
        stack: all gates' matrices or vectors, one under the other.
        order: the gates from the top down, a letter each, e.g. "ifgo".
        gates: the letters that there are, in any order.

    Raises:
        ValueError: where the order is missing or has other letters; where the rows can't be shared.
    """
    order = _checked(order, gates)
    array = np.asarray(stack)
    if array.ndim == 0 or array.shape[0] % len(order):
        raise ValueError(f"an array of shape {array.shape} can't be cut into {len(order)} gates of equal size, {order}")
    return dict(zip(order, np.split(array, len(order))))


def join(parts: Mapping[str, Array], order: str | None) -> Array:
    """Gates in a stack: what `split` cuts apart.

    Raises:
        ValueError: where the order is missing or has other letters than the parts.
    """
    return np.concatenate([parts[gate] for gate in _checked(order, "".join(parts))])


def _checked(order: str | None, gates: str) -> str:
    if order is None:
        raise ValueError(f"in which order do the gates stand? Say it: order={gates!r}, or another order of these "
                         "letters. Libraries differ, and the arrays don't tell")
    if sorted(order) != sorted(gates):
        raise ValueError(f"order={order!r} isn't an order of the gates {', '.join(gates)}")
    return order


def from_stacked(cell: Definition, name: str, W_x: ArrayLike, W_h: ArrayLike, b_x: ArrayLike | None = None,
                 b_h: ArrayLike | None = None, *, order: str | None = None) -> None:
    """Give one cell the weights of any source that stacks its gates.

    Args:
        cell: the definition.
        name: the cell's name in it.
        W_x: the gates' matrices for the input, one under the other: (gates * size, inputs). Where a
            source multiplies from the right (Keras), pass its transpose.
        W_h: those for the state, (gates * size, size).
        b_x, b_h: the biases, (gates * size,), one vector or two; None: there are none.
        order: the gates from the top down, each by its letter here: of an LSTM f, i, g (the candidate),
            o; of a GRU r, n (the candidate) and z where 1 keeps the old state, u where 1 replaces it; of
            Elman's network "h".

    Raises:
        ValueError: for a missing or impossible order, and a wrong shape. Then nothing is assigned.
    """
    layer = Layer(cell, name)
    known = TORCH[layer.kind]
    if layer.kind == "gru" and (layer.replaces if order is None else "u" in order):
        known = known.replace("z", "u")
    stacks: dict[str, Any] = {"W_x": W_x, "W_h": W_h, "b_x": b_x, "b_h": b_h}
    if b_x is not None and b_h is None:
        stacks["b_h"] = np.zeros_like(b_x)
    gates = _cut(layer, _checked(order, known), stacks, {part: part for part in stacks})
    _assign_layers([layer], layer.values(gates))


def _cut(layer: Layer, order: str, stacks: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Gate]:
    """Stacks W_x, W_h, b_x, b_h as gates; messages call them by `keys`."""
    rows = len(order) * layer.size
    shapes = {"W_x": (rows, layer.inputs), "W_h": (rows, layer.size), "b_x": (rows,), "b_h": (rows,)}
    cut = {}
    for part, shape in shapes.items():
        value = stacks[part]
        if value is None and layer.biases and part.startswith("b"):
            raise ValueError(f"{keys[part]} is missing: {layer.name} has biases. Define it with biases=0 to have none; "
                             "nothing was assigned")
        if value is None:
            cut[part] = dict.fromkeys(order)
            continue
        if not layer.biases and part.startswith("b"):
            raise ValueError(f"{keys[part]} has no place: {layer.name} was defined with biases=0; nothing was assigned")
        if np.shape(value) != shape:
            raise ValueError(f"{keys[part]} has shape {np.shape(value)}, and {layer.name} needs {shape}; "
                             "nothing was assigned")
        cut[part] = split(value, order, order)  # type: ignore[assignment]
    return {gate: Gate(*(cut[part][gate] for part in shapes)) for gate in order}  # type: ignore[arg-type]


def _stacks(layer: Layer, order: str) -> dict[str, Array]:
    """A cell's W_x, W_h, b_x, b_h, with its gates in an order; without biases where it has none."""
    gates = layer.gates()
    found = {}
    for part in Gate._fields:
        arrays = {gate: getattr(parts, part) for gate, parts in gates.items()}
        if arrays[order[0]] is not None:
            found[part] = join(arrays, order)
    return found


def _assign_layers(layers: Sequence[Layer], values: Mapping[str, Any]) -> None:
    parameters = {f"{layer.name}.{label}": tensor for layer in layers for label, tensor in layer.parameters.items()}
    _assign(parameters, values, " and ".join(layer.name for layer in layers))


# ---- PyTorch -------------------------------------------------------------------------------


def from_torch(cell: Definition, state: Mapping[str, ArrayLike], names: Sequence[str], *,
               bidirectional: bool = False) -> None:
    """Give cells the weights of one nn.RNN, nn.LSTM or nn.GRU.

    Where a cell has one bias a gate, it takes the sum of PyTorch's two; with biases=2 it takes both.
    nn.RNN says nothing of its nonlinearity here: the definition's `activation` has to be the same.

    Args:
        cell: the definition.
        state: the layer's state_dict(), as arrays: {name: value.numpy() ...}.
        names: the cells, from the lowest layer up; of a bidirectional network forward, backward of the
            lowest, forward, backward of the next, ...
        bidirectional: whether every second name is that of a reversed cell.

    Raises:
        ValueError: for entries that are missing, left over or of a wrong shape, and for a cell that
            PyTorch doesn't have (peepholes, reset="before", ...). Then nothing is assigned.
    """
    layers = [_for_torch(Layer(cell, name)) for name in names]
    values: dict[str, Array] = {}
    seen: set[str] = set()
    for layer, suffix in zip(layers, _suffixes(names, bidirectional)):
        keys = _torch_keys(suffix)
        for part, key in keys.items():
            if key not in state and (layer.biases or part.startswith("W")):
                raise ValueError(f"{key} is missing, for {layer.name}; there are {', '.join(state)}. "
                                 "Nothing was assigned")
        seen.update(keys.values())
        gates = _cut(layer, TORCH[layer.kind], {part: state.get(key) for part, key in keys.items()}, keys)
        values |= layer.values(gates)
    extra = [key for key in state if key not in seen]
    if extra:
        raise ValueError(f"nothing takes {', '.join(extra)}: the cells named are {', '.join(names)}. "
                         "Nothing was assigned")
    _assign_layers(layers, values)


def to_torch(cell: Definition, names: Sequence[str], *, bidirectional: bool = False) -> dict[str, Array]:
    """The weights of cells as the state_dict of one nn.RNN, nn.LSTM or nn.GRU, of NumPy arrays.

    One bias a gate becomes bias_ih, and bias_hh is 0. The arguments are those of `from_torch`.

    Raises:
        ValueError: for a cell that PyTorch doesn't have.
    """
    state = {}
    for name, suffix in zip(names, _suffixes(names, bidirectional)):
        layer = _for_torch(Layer(cell, name))
        keys = _torch_keys(suffix)
        state.update({keys[part]: stack for part, stack in _stacks(layer, TORCH[layer.kind]).items()})
    return state


def _torch_keys(suffix: str) -> dict[str, str]:
    return {"W_x": f"weight_ih_{suffix}", "W_h": f"weight_hh_{suffix}",
            "b_x": f"bias_ih_{suffix}", "b_h": f"bias_hh_{suffix}"}


def _suffixes(names: Sequence[str], bidirectional: bool) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"names is a list of cells, e.g. [{names!r}]")
    if bidirectional and len(names) % 2:
        raise ValueError(f"a bidirectional network has two cells a layer, forward and backward; named are "
                         f"{len(names)}: {', '.join(names)}")
    if bidirectional:
        return [f"l{i // 2}" + ("_reverse" if i % 2 else "") for i in range(len(names))]
    return [f"l{i}" for i in range(len(names))]


def _for_torch(layer: Layer) -> Layer:
    if layer.peephole:
        raise ValueError(f"{layer.name} has peepholes, and PyTorch's nn.LSTM has none")
    if layer.kind == "gru" and not layer.resets_after:
        raise ValueError(f"{layer.name} resets before the matrix, and PyTorch's nn.GRU after it: "
                         'define it with reset="after"')
    return layer


# ---- ONNX ----------------------------------------------------------------------------------


def from_onnx(cell: Definition, names: Sequence[str], W: ArrayLike, R: ArrayLike, B: ArrayLike | None = None,
              P: ArrayLike | None = None, *, linear_before_reset: int | None = None) -> None:
    """Give a cell, or the two of a bidirectional layer, the weights of ONNX's RNN, LSTM or GRU.

    Args:
        cell: the definition.
        names: one cell, or forward and backward.
        W, R, B, P: the operator's tensors: (directions, gates * size, inputs), (directions, gates *
            size, size), (directions, 2 * gates * size), and peepholes (directions, 3 * size). Without B the
            biases are zero.
        linear_before_reset: the GRU's attribute, 0 or 1, which the tensors don't tell: 0 resets before
            the matrix, 1 after it.

    Raises:
        ValueError: for a wrong shape, peepholes on one side only, and a GRU whose reset isn't said or
            is another one. Then nothing is assigned.
    """
    layers = [_for_onnx(Layer(cell, name)) for name in _directions(names)]
    arrays = {"W": np.asarray(W), "R": np.asarray(R)}
    if B is not None:
        arrays["B"] = np.asarray(B)
    if P is not None:
        arrays["P"] = np.asarray(P)
    for key, array in arrays.items():
        if array.shape[:1] != (len(layers),):
            raise ValueError(f"{key} has shape {array.shape}, and its first axis is that of the directions: "
                             f"{len(layers)}, for {', '.join(names)}; nothing was assigned")
    values: dict[str, Array] = {}
    for number, layer in enumerate(layers):
        if layer.kind == "gru":
            _check_reset(layer, linear_before_reset)
        order = ONNX[layer.kind]
        own = {key: array[number] for key, array in arrays.items()}
        own.setdefault("B", np.zeros(2 * len(order) * layer.size, own["W"].dtype))
        if own["B"].shape != (2 * len(order) * layer.size,):
            raise ValueError(f"B has shape {arrays['B'].shape}, and {layer.name} needs "
                             f"{(len(layers), 2 * len(order) * layer.size)}; nothing was assigned")
        b_x, b_h = np.split(own["B"], 2)
        if not layer.biases and not own["B"].any():
            b_x = b_h = None  # type: ignore[assignment]
        stacks = {"W_x": own["W"], "W_h": own["R"], "b_x": b_x, "b_h": b_h}
        values |= layer.values(_cut(layer, order, stacks, {"W_x": "W", "W_h": "R", "b_x": "B", "b_h": "B"}))
        if "P" in own:
            parts = split(own["P"], ONNX_PEEPHOLES, ONNX_PEEPHOLES)
            values |= {f"{layer.name}.p_{gate}": part for gate, part in parts.items()}
    _assign_layers(layers, values)


def from_onnx_file(cell: Definition, names: Sequence[str], path: str | os.PathLike[str],
                   node: str | None = None) -> None:
    """Give a cell, or the two of a bidirectional layer, the weights of an RNN, LSTM or GRU node of an ONNX file.

    Args:
        cell, names: as for `from_onnx`. Of a node whose direction is "reverse" the cell is a reversed one.
        path: the file.
        node: the node's name; None where it is the only one.

    Raises:
        ValueError: as for `from_onnx`; and where there is no such node, or one with options that no cell
            here has. Then nothing is assigned.
        ModuleNotFoundError: without the extra `onnx`.
    """
    from rnn.export.onnx_reader import recurrent

    _, tensors, reset = recurrent(path, node)
    from_onnx(cell, names, **tensors, linear_before_reset=reset)


def onnx_parameters(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The parameters in a file that `Cell.to_onnx` wrote, by name: `assign` takes them.

    Raises:
        ModuleNotFoundError: without the extra `onnx`.
    """
    from rnn.export.onnx_reader import parameters

    return parameters(path)


def to_onnx(cell: Definition, names: Sequence[str]) -> dict[str, Array]:
    """A cell, or the two of a bidirectional layer, as the tensors W, R, B (and P) of ONNX's operator.

    The operator's attributes are for the caller to set: hidden_size, direction, and for a GRU
    linear_before_reset: 1 for a cell that resets after the matrix, 0 for one that resets before it.

    Raises:
        ValueError: for a cell that ONNX doesn't have.
    """
    found: dict[str, list[Array]] = {}
    for name in _directions(names):
        layer = _for_onnx(Layer(cell, name))
        stacks = _stacks(layer, ONNX[layer.kind])
        found.setdefault("W", []).append(stacks["W_x"])
        found.setdefault("R", []).append(stacks["W_h"])
        if layer.biases:
            found.setdefault("B", []).append(np.concatenate([stacks["b_x"], stacks["b_h"]]))
        if layer.peephole:
            parts = {gate: layer.parameters[f"p_{gate}"].numpy() for gate in ONNX_PEEPHOLES}
            found.setdefault("P", []).append(join(parts, ONNX_PEEPHOLES))
    return {key: np.stack(arrays) for key, arrays in found.items()}


def _directions(names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str) or len(names) not in (1, 2):
        raise ValueError(f"names is a list of one cell, or of two, forward and backward; not {names!r}")
    return names


def _for_onnx(layer: Layer) -> Layer:
    if layer.peephole == "full":
        raise ValueError(f'{layer.name} has full peepholes, and ONNX\'s LSTM diagonal ones: peephole="diagonal"')
    return layer


def _check_reset(layer: Layer, linear_before_reset: int | None) -> None:
    if linear_before_reset not in (0, 1):
        raise ValueError("where does this GRU reset? Say it: linear_before_reset=0 (before the matrix) or 1 (after "
                         "it), as the operator's attribute has it; nothing was assigned")
    if bool(linear_before_reset) != layer.resets_after:
        own = "after" if layer.resets_after else "before"
        raise ValueError(f"{layer.name} resets {own} the matrix, and with linear_before_reset={linear_before_reset} "
                         "the operator doesn't; nothing was assigned")
