"""The parameters of the cells: new ones, or those of another layer, and checks of a cell's arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from minigrad import Tensor
from minigrad.provenance import call_site
from rnn.language.dependencies import layer_parameters
from rnn.language.dependencies import parameters as parameters_by_name
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression

Biases = Literal[0, 1, 2]
Given = Mapping[str, Tensor] | None


class Parameters:
    """A factory of the parameters of one cell: `name.W_f`, `name.b_f`, ...

    It is the context in which a cell's equations are written: after an error the definition is as it was.

    Args:
        given: Tensors by label, "W_f", which take the place of new ones.
    """

    def __init__(self, cell: Definition, x: Signal, name: str, rng: np.random.Generator, dtype: DTypeLike,
                 given: Mapping[str, Tensor] | None, biases: int = 1) -> None:
        self.inputs = input_size(x)
        check_option("biases", biases, (0, 1, 2))
        self.cell = cell
        self.name = name
        self.rng = rng
        self.dtype = dtype
        self.biases = biases
        self.given = check_given(given)
        self.labels: list[str] = []  # of all parameters of the cell
        self.writing = cell.all_or_nothing()

    def __enter__(self) -> Parameters:
        self.writing.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        unknown = [label for label in self.given if label not in self.labels]
        if error is None and unknown:
            error = unknown_parameter(self.name, unknown[0], self.labels)
        self.writing.__exit__(None if error is None else type(error), error, trace)
        if kind is None and error is not None:
            raise error

    def take(self, label: str, shape: tuple[int, ...]) -> Tensor | None:
        """Return the parameter that is given for a label; None if a new one is to be created.

        Raises:
            ValueError: if it has another shape.
        """
        if label not in self.labels:
            self.labels.append(label)
        tensor = self.given.get(label)
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{self.name}.{label} has shape {shape}, and parameters= gives it {tensor!r}, of shape "
                             f"{tensor.shape}, made at {tensor.origin} (at {call_site()})")
        if tensor is not None:
            self.cell.tied[f"{self.name}.{label}"] = tensor
        return tensor

    def recurrent_matrix(self, label: str, rows: int, columns: int) -> Tensor:
        """Return a matrix that multiplies a state."""
        given = self.take(label, (rows, columns))
        return self._orthogonal(label, rows, columns) if given is None else given

    def input_matrix(self, label: str, rows: int, columns: int) -> Tensor:
        """Return a matrix that multiplies an input."""
        given = self.take(label, (rows, columns))
        return self._glorot(label, rows, columns) if given is None else given

    def joint_matrix(self, label: str, rows: int, state: int, state_first: bool = True) -> Tensor:
        """Return a matrix that multiplies a state and the input, concatenated."""
        given = self.take(label, (rows, state + self.inputs))
        if given is not None:
            return given
        if state_first:
            parts = [self._orthogonal(label, rows, state), self._glorot(label, rows, self.inputs)]
        else:
            parts = [self._glorot(label, rows, self.inputs), self._orthogonal(label, rows, state)]
        whole = np.concatenate([part.numpy() for part in parts], axis=1)
        return Tensor(whole, requires_grad=True, name=f"{self.name}.{label}")

    def bias(self, label: str, size: int, value: float = 0.0) -> Tensor:
        """Return a vector; all elements of a new one have one value."""
        given = self.take(label, (size,))
        if given is not None:
            return given
        return mg.init.constant((size,), value, name=f"{self.name}.{label}", dtype=self.dtype)

    def vector(self, label: str, size: int) -> Tensor:
        """Return a vector whose product with another one is a number, drawn as a matrix of one row."""
        given = self.take(label, (size,))
        if given is not None:
            return given
        bound = math.sqrt(6 / (size + 1))
        return mg.init.uniform((size,), self.rng, bound, name=f"{self.name}.{label}", dtype=self.dtype)

    def tensor(self, label: str, start: Any) -> Tensor:
        """Return a parameter of any shape; a new one starts at an array of that shape."""
        given = self.take(label, np.shape(start))
        if given is not None:
            return given
        return Tensor(start, requires_grad=True, name=f"{self.name}.{label}", dtype=self.dtype)

    def add_bias(self, total: Expression, gate: str = "", value: float = 0.0) -> Expression:
        """Return total + b; with two biases total + b_x + b_h (input's and state's); with none total."""
        assert total.shape is not None
        size = total.shape[0]
        if self.biases == 2:
            total = total + self.bias(f"b_x{gate}", size, value) + self.bias(f"b_h{gate}", size)
        elif self.biases == 1:
            total = total + self.bias(f"b_{gate}" if gate else "b", size, value)
        return total

    def preactivation(self, gate: str, hx: Expression, size: int, value: float = 0.0) -> Expression:
        """Return W [h, x] + b of a gate."""
        assert hx.shape is not None
        return self.add_bias(self.joint_matrix(f"W_{gate}", size, hx.shape[0] - self.inputs) @ hx, gate, value)

    def _orthogonal(self, label: str, rows: int, columns: int) -> Tensor:
        return mg.init.orthogonal((rows, columns), self.rng, name=f"{self.name}.{label}", dtype=self.dtype)

    def _glorot(self, label: str, rows: int, columns: int) -> Tensor:
        return mg.init.glorot((rows, columns), self.rng, name=f"{self.name}.{label}", dtype=self.dtype)


def parameters_of(cell: Definition, name: str) -> dict[str, Tensor]:
    """Return the parameters of a layer by label, "W_f" for "name.W_f": the argument `parameters` of a cell.

    Raises:
        ValueError: if there is none.
    """
    found = layer_parameters(cell, name)
    if not found:
        raise ValueError(f"{cell.name!r} has no parameters named {name}.* (at {call_site()}); "
                         f"it has {', '.join(parameters_by_name(cell)) or 'none'}")
    return found


def check_given(given: Any) -> Mapping[str, Tensor]:
    """Return the argument `parameters` of a cell, checked."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"parameters= is a dict from labels, such as 'W_f', to Tensors, not {given!r:.60} "
                        f"(at {call_site()}). cells.parameters_of(cell, 'layer1') makes that of a layer")
    for label, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"parameters= gives {label!r} {tensor!r:.60} (at {call_site()}): it takes Tensors, which "
                            "the equations of both layers then read")
    return given


def unknown_parameter(name: str, label: str, known: Sequence[str]) -> ValueError:
    return ValueError(f"{name} has no parameter {label!r} (at {call_site()}): it has {', '.join(known)}")


def parameters_of_part(given: Mapping[str, Tensor], part: str, name: str, parts: Sequence[str]) -> dict[str, Any]:
    """Return the argument `parameters` of one of the cells of a layer; without any parameters no argument.

    Raises:
        ValueError: for a label that belongs to none of the parts.
    """
    for label in given:
        if label.partition(".")[0] not in parts:
            raise unknown_parameter(name, label, [f"{other}.*" for other in parts])
    own = {label[len(part) + 1:]: tensor for label, tensor in given.items() if label.startswith(f"{part}.")}
    return {"parameters": own} if own else {}


# ---- arguments ---------------------------------------------------------------------------------


def input_size(x: Any) -> int:
    """Return the length of the input's vector."""
    if not isinstance(x, Signal):
        raise TypeError(f"a cell reads a signal, e.g. cell.input('x', 3), not {x!r:.60} (at {call_site()})")
    if x.shape is None or x.shape == ():
        known = "isn't known" if x.shape is None else "is (), a number"
        raise ValueError(f"the size of {x.name} {known} (at {call_site()}): a cell reads a vector. Declare it with a "
                         f"size where it is made, at {x.origin}")
    return x.shape[0]


def check_option(option: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {' or '.join(map(repr, known))}, not {value!r} (at {call_site()})")
