"""Recurrent cells: functions that add a few equations to a definition.

    h1 = cells.lstm(cell, x, 64, name="layer1", rng=rng)
    h2 = cells.gru(cell, h1, 32, name="layer2", rng=rng)

Each function returns the signal that others read. Every gate is a signal of its own
(`run["layer1.f"]`), every matrix and bias a parameter of its own (`cell.parameters["layer1.W_f"]`): none
is a slice of another. A state starts at zero unless it is set, `cell.signals["layer1.c"][0] = c0`, or
given, `unroll(initial={"layer1.c": c0})`.

Arguments of all of them:

    cell, x, size    the definition, the input signal, and the length of the state;
    name             the prefix of the names of signals and parameters;
    rng, dtype       the generator of the initial values, and their dtype. A matrix that multiplies a
                     state is orthogonal, one that multiplies an input is drawn by Glorot's formula, a
                     bias is zero (see minigrad.init);
    reversed         True reads the state at t+1 in place of t-1: the cell runs from the end to the start;
    parameters       Tensors by label, {"W_f": W, "b_f": b}, in the place of new ones. Two layers are tied that use
                     the same: parameters=cells.parameters_of(cell, "layer1") are all of another layer's. Their names
                     stay what they are. (`abstract` takes none: its functions bring them.)

Errors of all of them: TypeError if x is no signal; ValueError if its size isn't known, if the name is
taken, if an option isn't one of those listed, if a given parameter has another label or shape. The definition
is then as it was.

Recurrences with a matrix in their state, or a linear loop, are in `rnn.cells.modern`; attention, a stack and a
Turing machine in `rnn.cells.memory`.
"""

from minigrad.interactive.completion import public_names

from . import memory, modern
from .classic import abstract, bidirectional, elman, gru, jordan, lstm, neurons, stacked, vanilla
from .parameters import parameters_of

__all__ = [
    "abstract", "bidirectional", "elman", "gru", "jordan", "lstm", "memory", "modern", "neurons", "parameters_of",
    "stacked", "vanilla",
]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
