"""How the functions of assignment 6 are called. Answers in words and numbers go out as plain lists."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.backward import ancestors
from rnn import Cell

Data = dict[str, Any]
SIGNALS = ("e", "h", "y")


class Form(Exception):
    """A result of another form than the text describes; the message says which, after the name of the function."""


def kind(value: Any) -> str:
    """Return the name of a value's type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plain(value: Any, what: str) -> Any:
    """Return a number of NumPy as Python's, whole ones as int; text and None unchanged."""
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) and np.size(value) == 1 else value
    if value is not None and not isinstance(value, (str, int, float)):
        raise Form(f"returns {kind(value)} among the others; it must be {what}")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def listed(found: Any, what: str) -> list[Any]:
    """Return a list of what a function returns; a dict, text or None is none."""
    if found is None:
        raise Form("returned None: is `return` missing?")
    if isinstance(found, (str, bytes, dict)) or not hasattr(found, "__iter__"):
        raise Form(f"returns {kind(found)}; it must be {what}")
    return [listed(one, what) if isinstance(one, (list, tuple)) or (isinstance(one, np.ndarray) and one.size > 1)
            else plain(one, what) for one in found]


def parameters(d: Data) -> list[mg.Tensor]:
    return [mg.Tensor(d[name], requires_grad=True, name=name) for name in "WUV"]


def made(student: Any, of: list[mg.Tensor]) -> Cell:
    """Return the student's definition with these parameters."""
    cell = student.definition(*of)
    if cell is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(cell, Cell):
        raise Form(f"returns {kind(cell)}; it must be the definition: return cell")
    return cell


def definition(student: Any, d: Data) -> Data:
    cell = made(student, parameters(d))
    return {"edges": [list(edge) for edge in cell.edges()], "names": list(cell.signals)}


def values(student: Any, d: Data) -> Data:
    of = parameters(d)
    cell = made(student, of)
    missing = [name for name in SIGNALS if name not in cell.signals]
    if missing:
        raise Form(f"has no signal named {' and none named '.join(missing)}")
    run = cell.unroll(x=d["x"])
    used = {id(node) for node in ancestors(run["y"][run.T])}
    return {**{f"{name}[{k}]": run[name][k].numpy() for k in range(1, run.T + 1) for name in SIGNALS},
            "lost": [one.name for one in of if id(one) not in used]}


def answer(name: str, what: str) -> Any:
    return lambda student, d: {"answer": listed(getattr(student, name)(), what)}


STOP = "the number of a step and the name of an operation, such as (3, 'tanh')"
LARGEST = "a time step and a norm, such as (2, 0.731)"
CALLS: Data = {"definition:edges": definition, "definition": values}
for name, what in {"unrolled_edges": "a list of pairs of names, such as ('h[1]', 'y[1]')",
                   "delay_free_loop": "a list of names of signals", "repair": "two names of signals",
                   "vanishing": STOP, "nan": STOP, "contributions": LARGEST,
                   "my_vanishing": STOP, "my_nan": STOP, "my_contributions": LARGEST}.items():
    CALLS[f"{name}:"] = answer(name, what)
NUMERIC: Data = {}
