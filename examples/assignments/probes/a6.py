"""How the functions of assignment 6 are called. Answers in words and numbers go out as plain lists."""

from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell

Data = dict[str, Any]
SIGNALS = ("e", "h", "y")


def plain(value: Any) -> Any:
    """Return a number of NumPy as Python's, whole ones as int; any other value unchanged."""
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) and np.size(value) == 1 else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def listed(found: Any, what: str) -> list[Any]:
    """Return a list of what a function returns; a dict, text or None is none."""
    if isinstance(found, (str, bytes, dict)) or not hasattr(found, "__iter__"):
        raise TypeError(f"the result must be {what}, not {found!r:.100}")
    return [listed(one, what) if isinstance(one, (list, tuple)) else plain(one) for one in found]


def made(student: Any, d: Data) -> Cell:
    """Return the student's definition."""
    cell = student.definition(*(mg.Tensor(d[name], requires_grad=True, name=name) for name in "WUV"))
    if not isinstance(cell, Cell):
        raise TypeError(f"the result must be a Cell, not {cell!r:.100}" + (
            ": is `return` missing?" if cell is None else ""))
    return cell


def definition(student: Any, d: Data) -> Data:
    return {"edges": [list(edge) for edge in made(student, d).edges()]}


def values(student: Any, d: Data) -> Data:
    cell = made(student, d)
    missing = [name for name in SIGNALS if name not in cell.signals]
    if missing:
        raise ValueError(f"there is no signal named {' and none named '.join(map(repr, missing))}")
    run = cell.unroll(x=d["x"])
    return {f"{name}[{k}]": run[name][k].numpy() for k in range(1, run.T + 1) for name in SIGNALS}


def answer(name: str, what: str) -> Any:
    return lambda student, d: {"answer": listed(getattr(student, name)(), what)}


STOP = "the number of a step and the name of an operation, such as (3, 'tanh')"
LARGEST = "a time step and a norm, such as (2, 0.731)"
CALLS: Data = {"definition:edges": definition, "definition:values": values}
for name, what in {"unrolled_edges": "a list of pairs of names, such as ('h[1]', 'y[1]')",
                   "delay_free_loop": "a list of names of signals", "repair": "two names of signals",
                   "vanishing": STOP, "nan": STOP, "contributions": LARGEST,
                   "my_vanishing": STOP, "my_nan": STOP, "my_contributions": LARGEST}.items():
    CALLS[f"{name}:"] = answer(name, what)
NUMERIC: Data = {}
