"""Arrays and other values as the rows of an editor's tree: shape, norm and first elements; expandable row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.debugger.evaluation import CommandError
from minigrad.formats.describe import tensor_summary
from minigrad.formats.norms import norm
from minigrad.tensor import Tensor

FIRST = 4  # elements of an array that its row shows
MOST_CHARACTERS = 200  # of a value
MOST_COPIED = 200_000  # elements of an array that are copied as text
MOST_ROWS = 1000  # that one answer holds, if the editor doesn't ask for fewer
GRADIENT, DATA = "|g|", "norm"  # what the norm of an array is called


class Item(NamedTuple):
    """A value with its name.

    Attributes:
        name, value: what the editor shows.
        expression: an expression that has this value; "" if there is none.
        symbol: what its norm is called, if it is an array.
        note: words after the value.
    """

    name: str
    value: Any
    expression: str = ""
    symbol: str = DATA
    note: str = ""


class Variables:
    """What the editor may expand at a stop, by number. A number is never given to another value.

    Attributes:
        containers: functions that return the items of a value, and the number of those counted from 0.
    """

    def __init__(self) -> None:
        self.last_number = 0
        self.containers: dict[int, Callable[[], Sequence[Item]]] = {}

    def clear(self) -> None:
        """Forget all numbers: the pass moves on."""
        self.containers.clear()

    def add(self, items: Callable[[], Sequence[Item]]) -> int:
        """Return a new number, by which the editor asks for these items."""
        self.last_number += 1
        self.containers[self.last_number] = items
        return self.last_number

    def row(self, item: Item) -> dict[str, Any]:
        """Return the protocol's Variable object for an item."""
        return {"name": item.name, **self.value(item),
                **({"evaluateName": item.expression} if item.expression else {})}

    def value(self, item: Item) -> dict[str, Any]:
        """Return value, type, and what may be expanded."""
        text = " ".join(filter(None, [value_text(item.value, item.symbol), item.note]))
        found: dict[str, Any] = {"value": text, "type": type(item.value).__name__, "variablesReference": 0}
        children = items_of(item)
        if children:
            found["variablesReference"] = self.add(lambda: children)
            counted = "indexedVariables" if isinstance(children, Elements) else "namedVariables"
            found[counted] = len(children)
        return found

    def rows(self, reference: int, start: int = 0, count: int = 0, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a value: `count` of them from number `start`; without a count all, up to MOST_ROWS."""
        if reference not in self.containers:
            raise CommandError(f"there is nothing to expand with the number {reference}: the pass has moved on since")
        items = self.containers[reference]()
        start = max(start, 0)
        if kind is not None and (kind == "indexed") != isinstance(items, Elements):
            return []
        end = min(len(items), start + count if count else len(items))
        shown = [self.row(items[i]) for i in range(start, min(end, start + MOST_ROWS))]
        if end - start > MOST_ROWS:
            shown.append({"name": "…", "value": f"{end - start - MOST_ROWS:,} more", "variablesReference": 0})
        return shown


class Elements(Sequence[Item]):
    """The elements of an array along its first axis, or those of a list, made when they are asked for."""

    def __init__(self, item: Item) -> None:
        self.item = item

    def __len__(self) -> int:
        return len(self.item.value)

    def __getitem__(self, index: Any) -> Any:
        expression = self.item.expression
        return Item(f"[{index}]", self.item.value[index], f"{expression}[{index}]" if expression else "",
                    self.item.symbol)


def items_of(item: Item) -> Sequence[Item]:
    """Return the items into which a value expands."""
    value = item.value
    if isinstance(value, np.ndarray):
        return Elements(item) if value.ndim else []
    if isinstance(value, (list, tuple)):
        return Elements(item)
    if isinstance(value, Tensor):
        return _tensor_items(item)
    if isinstance(value, Mapping):
        return [Item(repr(key), element, f"{item.expression}[{key!r}]" if item.expression else "", item.symbol)
                for key, element in list(value.items())]
    attributes = getattr(value, "__dict__", None)
    if not isinstance(attributes, dict) or isinstance(value, type) or callable(value):
        return []
    return [Item(name, element, f"{item.expression}.{name}" if item.expression else "")
            for name, element in list(attributes.items())]


def _tensor_items(item: Item) -> list[Item]:
    """Return data and gradient of a tensor. Properties that compute are not read: they record operations."""
    tensor, expression = item.value, item.expression
    return [Item("data", tensor._array, expression and f"{expression}.data"),
            Item("grad", tensor.grad, expression and f"{expression}.grad", GRADIENT)]


def value_text(value: Any, symbol: str = DATA) -> str:
    """Return a value in one line: of an array norm, shape, dtype, NaNs and infinities, and the first elements."""
    if value is None and symbol == GRADIENT:
        return "none"
    if isinstance(value, Tensor):
        return f"{tensor_summary(value)}  {value_text(value._array)}"
    if isinstance(value, np.ndarray) and value.ndim:
        return _array_text(value, symbol)
    if isinstance(value, np.ndarray):
        return str(value[()])
    if isinstance(value, np.generic):
        return str(value)
    try:
        text = " ".join(repr(value).split())
    except (Exception, SystemExit) as error:
        return f"<{type(value).__name__}; its repr raises {type(error).__name__}>"
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS - 1] + "…"


def _array_text(array: NDArray[Any], symbol: str) -> str:
    words = [str(array.shape) if array.dtype == float else f"{array.shape} {array.dtype}"]
    if array.dtype.kind in "fciu":  # the norm comes first: the end of a long row is not seen
        size = norm(array)
        words.insert(0, f"{symbol} {size:.1e}" if size else f"{symbol} 0")
    if array.dtype.kind in "fc" and not math.isfinite(norm(array)):
        nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        words.append(", ".join([f"{nans:,} NaN"] * bool(nans) + [f"{infinities:,} infinite"] * bool(infinities)))
    first = [_element_text(array.flat[i]) for i in range(min(FIRST, array.size))]
    words.append(f"[{', '.join([*first, '…'][:None if array.size > FIRST else len(first)])}]")
    return "  ".join(filter(None, words))


def _element_text(element: Any) -> str:
    return f"{element:.4g}" if isinstance(element, (np.floating, np.complexfloating)) else str(element)


def full_text(value: Any) -> str:
    """Return a value as it is copied: all elements of an array, with all digits. Raise CommandError for too many."""
    if isinstance(value, Tensor):
        return full_text(value._array)
    if isinstance(value, np.ndarray):
        if value.size > MOST_COPIED:
            raise CommandError(f"{value.size:,} numbers are too many to copy as text; np.save('file.npy', ...) in the "
                               "debug console writes them to a file")
        with np.printoptions(threshold=max(value.size + 1, 1000), floatmode="unique"):
            return repr(value)
    return repr(value)
