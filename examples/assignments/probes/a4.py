"""How the functions of assignment 4 are called. Tuples go out as lists; the parent turns them back."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

Data = dict[str, Any]
Edges = list[Any]


class Form(Exception):
    """A result of another form than the text describes; the message says which, after the name of the function."""


def kind(value: Any) -> str:
    """Return the name of a value's type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plain(value: Any) -> Any:
    """Return the Python number of a NumPy scalar; any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def listed(found: Any, wanted: str) -> list[Any]:
    """Return the elements of any collection that has them in a row; text would be one of its letters."""
    if found is None:
        raise Form("returned None: is `return` missing?")
    if isinstance(found, (str, bytes, Mapping)) or not isinstance(found, Iterable):
        raise Form(f"returns {kind(found)}; it must be {wanted}")
    return list(found)


def copies(found: Any, wanted: str) -> list[Any]:
    """Return pairs (signal, step) as lists."""
    pairs = []
    for one in listed(found, wanted):
        if isinstance(one, (str, bytes)) or not hasattr(one, "__len__") or len(one) != 2:
            raise Form(f"returns {one!r:.60} among others; it must be {wanted}")
        pairs.append([plain(x) for x in one])
    return pairs


def count(student: Any, edges: Edges, T: int, start: Any, end: Any) -> Any:
    value = plain(student.count_paths(edges, T, start, end))
    value = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    if value is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(value, (int, float, str)):
        raise Form(f"returns {value!r:.60}; it must be a whole number")
    return value


def unroll(student: Any, edges: Edges, T: int) -> Any:
    wanted = "a list of pairs ((source, step), (target, step))"
    return [copies(link, wanted) for link in copies(student.unroll(edges, T), wanted)]


def initial(student: Any, edges: Edges, T: int) -> Any:
    return copies(student.initial_copies(edges, T), "a set of pairs (signal, step)")


def order(student: Any, edges: Edges, T: int) -> Any:
    return listed(student.order_in_a_step(edges), "a list of names")


def given(edges: Any) -> Edges:
    """Return edges as the caller has them: a list of tuples."""
    return [tuple(edge) for edge in edges]


class Asked:
    """One function of one network; and the caller's list afterwards."""

    def __init__(self, ask: Callable[[Any, Edges, int], Any], graph: str) -> None:
        self.ask, self.graph = ask, graph

    def __call__(self, student: Any, d: Data) -> Data:
        mine = given(d[self.graph])
        return {"found": self.ask(student, mine, d["T"]), "given": [list(edge) for edge in mine]}


class Initial(Asked):
    def __call__(self, student: Any, d: Data) -> Data:
        mine = given(d[self.graph])
        return {**{str(T): initial(student, mine, T) for T in (1, d["T"])}, "given": [list(edge) for edge in mine]}


class Paths(Asked):
    def __call__(self, student: Any, d: Data) -> Data:
        mine, found = given(d[self.graph]), []
        for start, end in d[f"ends_{self.graph}"]:
            found.append(count(student, mine, d["T"], tuple(start), tuple(end)))
        return {"found": found, "given": [list(edge) for edge in mine]}


class InTurn(Asked):
    """One function of several small networks, one after another in the same process."""

    def __call__(self, student: Any, d: Data) -> Data:
        return {"found": [self.ask(student, given(edges), T) for edges, T in d["turns"]]}


def paths(student: Any, edges: Edges, T: int) -> Any:
    signals = sorted({signal for edge in edges for signal in edge[:2]}) or ["h"]
    return [count(student, edges, T, (a, start), (b, T)) for a in signals for b in signals
            for start in range(min(T, 1), T + 1)]


def loops(student: Any, d: Data) -> Data:
    """Ask for orders of definitions with a loop without delay: the classes of the errors, with the classes above."""
    raised: list[Any] = []
    for edges in d["loops"]:
        try:
            found = student.order_in_a_step(given(edges))
            found = list(found) if isinstance(found, Iterator) else found  # a generator raises when it is read
            raised.append(f"returns {found!r:.80}")
        except NotImplementedError:
            raise
        except Exception as error:
            raised.append([one.__name__ for one in type(error).__mro__])
    return {"raised": raised}


ASK = {"unroll": unroll, "initial_copies": initial, "order_in_a_step": order, "count_paths": paths}
CALLS: Data = {}
for name in ("feedback", "two_delays", "branches", "skips"):
    CALLS |= {f"unroll:{name}": Asked(unroll, name), f"initial_copies:{name}": Initial(initial, name),
              f"order_in_a_step:{name}": Asked(order, name), f"count_paths:{name}": Paths(paths, name)}
CALLS |= {f"{function}:turns": InTurn(ask, "") for function, ask in ASK.items()}
CALLS["order_in_a_step:loops"] = loops
NUMERIC: Data = {}
