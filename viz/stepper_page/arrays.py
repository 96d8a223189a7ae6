"""Arrays as a page holds them: shape, norm, the elements at the corners as text, and exact elements to copy.

The exact elements are those of the whole array where all such arrays take BUDGET bytes at most; of larger arrays
they are those that are shown. So a page of a small network holds everything, and no page gets large by its arrays.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from minigrad.formats.norms import norm

ROWS, COLUMNS = 4, 5  # of an array that are shown
BUDGET = 400_000  # bytes of all arrays that are recorded whole
EXTENDED = ("longdouble", "float128", "float96")  # names of one type, on different machines


class Arrays:
    """The arrays of a recording, each once.

    Attributes:
        entries: the data of each array, by number.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._numbers: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._whole: dict[int, bytes] = {}  # the elements of the arrays of which all may be recorded
        self._size = 0
        self._limit = BUDGET  # bytes of the largest such array

    def add(self, value: Any) -> int:
        """Record an array, unless an equal one is recorded, and return its number."""
        array = np.ascontiguousarray(value)
        key = array.dtype.str, np.shape(value), blake2b(array.tobytes(), digest_size=16).digest()
        if key not in self._numbers:
            number = self._numbers[key] = len(self.entries)
            array = array.reshape(np.shape(value))
            self.entries.append({**summarize(array), "exact": encoded(shown(array)), "dtype": array.dtype.name})
            self._keep(number, array)
        return self._numbers[key]

    def data(self) -> list[dict[str, Any]]:
        """Return the entries; `exact` is base64 of the whole array where `whole` is true, else of what is shown."""
        whole = {number: {"exact": base64.b64encode(elements).decode(), "whole": True}
                 for number, elements in self._whole.items()}
        return [entry | whole.get(number, {}) for number, entry in enumerate(self.entries)]

    def _keep(self, number: int, array: Any) -> None:
        """Keep all elements; if that is too much in total, forget those of the largest arrays."""
        if array.nbytes > self._limit:
            return
        self._whole[number] = exact_bytes(array)
        self._size += len(self._whole[number])
        while self._size > BUDGET:
            self._limit = max(map(len, self._whole.values())) - 1
            self._whole = {i: elements for i, elements in self._whole.items() if len(elements) <= self._limit}
            self._size = sum(map(len, self._whole.values()))


def summarize(array: Any) -> dict[str, Any]:
    """Return shape, norm and corners of an array; with more than two axes, the corners of the first matrix."""
    rows, down, across = _corners(array)
    text = "\n".join("⋮" if i is None else " ".join("…" if j is None else _short(rows[i, j]) for j in across)
                     for i in down)
    shape = " × ".join(map(str, array.shape)) or "number"
    return {"shape": shape, "norm": repr(norm(array)), "numbers": text}


def shown(array: Any) -> Any:
    """Return the elements that summarize() writes, as a matrix."""
    rows, down, across = _corners(array)
    return rows[np.ix_([i for i in down if i is not None], [j for j in across if j is not None])]


def encoded(array: Any) -> str:
    """Return the elements of an array in base64."""
    return base64.b64encode(exact_bytes(array)).decode()


def exact_bytes(array: Any) -> bytes:
    """Return the elements of an array as little-endian bytes; those of float16 as float32, of longdouble as text.

    Browsers have no arrays of these two.
    """
    if array.dtype.name in EXTENDED:
        return " ".join(str(number) for number in array.ravel()).encode()
    kind = "<f4" if array.dtype.name == "float16" else array.dtype.newbyteorder("<")
    return bytes(array.astype(kind).tobytes())


def _corners(array: Any) -> tuple[Any, Sequence[int | None], Sequence[int | None]]:
    """Return the matrix that is shown of an array, and its rows and columns that are; None for those left out."""
    matrix = array
    while matrix.ndim > 2 and len(matrix):
        matrix = matrix[0]
    rows = np.atleast_2d(matrix) if matrix.ndim <= 2 else np.zeros((0, 0))
    return rows, _visible(rows.shape[0], ROWS), _visible(rows.shape[1], COLUMNS)


def _visible(length: int, limit: int) -> Sequence[int | None]:
    """Return the indices of at most `limit` rows or columns; None represents those left out."""
    if length <= limit:
        return range(length)
    after = (limit - 1) // 2
    return [*range(limit - 1 - after), None, *range(length - after, length)]


def _short(number: Any) -> str:
    value = float(number)
    text = f"{value:.3g}" if not value or not 1e-7 < abs(value) < 1e-3 else f"{value:.2e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
