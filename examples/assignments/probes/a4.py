"""How the functions of assignment 4 are called. Tuples go out as lists; the parent turns them back."""

from typing import Any

import numpy as np

Data = dict[str, Any]


def plain(value: Any) -> Any:
    """Return the Python number of a NumPy scalar; any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def copy(pair: Any) -> list[Any]:
    return [plain(x) for x in pair]


def listed(found: Any) -> list[Any]:
    """Return names as a list; text would be one of its letters."""
    if isinstance(found, str):
        raise TypeError("the result must be a list of names, not a text")
    return list(found)


def edges(d: Data, name: str) -> list[Any]:
    return [tuple(edge) for edge in d[name]]


class Unroll:
    def __init__(self, graph: str) -> None:
        self.graph = graph

    def __call__(self, student: Any, d: Data) -> Data:
        given = edges(d, self.graph)
        found = student.unroll(given, d["T"])
        return {"edges": [[copy(source), copy(target)] for source, target in found],
                "given": [list(edge) for edge in given]}


class Initial(Unroll):
    def __call__(self, student: Any, d: Data) -> Data:
        return {str(T): [copy(one) for one in student.initial_copies(edges(d, self.graph), T)] for T in (1, d["T"])}


class Order(Unroll):
    def __call__(self, student: Any, d: Data) -> Data:
        return {"order": listed(student.order_in_a_step(edges(d, self.graph)))}


class Loop(Unroll):
    def __call__(self, student: Any, d: Data) -> Data:
        try:
            return {"raised": "", "order": listed(student.order_in_a_step(edges(d, self.graph)))}
        except NotImplementedError:
            raise
        except Exception as error:
            return {"raised": type(error).__name__, "order": []}


class Paths(Unroll):
    def __call__(self, student: Any, d: Data) -> Data:
        given = edges(d, self.graph)
        ends = {(tuple(start), tuple(end)) for start, end in d[f"ends_{self.graph}"]}
        return {f"{start} {end}": student.count_paths(given, d["T"], start, end) for start, end in sorted(ends)}


CALLS: Data = {}
for name in ("feedback", "two_delays", "skips"):
    CALLS |= {f"unroll:{name}": Unroll(name), f"initial_copies:{name}": Initial(name),
              f"order_in_a_step:{name}": Order(name),
              f"count_paths:{name}": Paths(name)}
CALLS["order_in_a_step:loop"] = Loop("loop")
NUMERIC: Data = {}
