"""Save and load named tensors: .npz files, as NumPy writes and reads them, without pickle.

A file is written whole or not at all, and loaded whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .formats.files import write_atomically
from .provenance import call_site
from .tensor import Tensor

Path = str | os.PathLike[str]


def save(path: Path, tensors: Mapping[str, Tensor | ArrayLike]) -> None:
    """Write tensors, or arrays, by name; `np.load(path)` reads them too.

    The new file replaces an old one in one step, so that an interruption leaves the old one as it was.

    Raises:
        TypeError: for a name that isn't a string, and for what isn't an array of numbers.
        OSError: if the file can't be written; the message says what to do.
    """
    from .formats import npz

    _require_mapping("save", tensors)
    write_atomically(path, npz.pack({name: _checked(name, value) for name, value in tensors.items()}))


def load(path: Path, into: Mapping[str, Tensor] | None = None) -> dict[str, NDArray[Any]]:
    """Read a file that `save` or np.savez wrote.

    Args:
        path: the file.
        into: tensors that take the values of their names, e.g. `cell.parameters`: all of them, or after
            an error none.

    Returns:
        The arrays by name.

    Raises:
        ValueError: for a file that is damaged, isn't an .npz or holds anything but arrays of numbers; if it
            lacks a name of `into` or has one more, or if a shape differs.
        TypeError: if a value isn't of a kind that the tensor can hold.
        FileNotFoundError: if there is no such file.
    """
    from .formats import npz

    if into is not None:
        _require_mapping("load into", into)
    arrays = npz.read(path)
    if into is None:
        return arrays
    faults = [f"  {name}: not in the file" for name in into if name not in arrays]
    faults += [f"  {name}: in the file, but not asked for" for name in arrays if name not in into]
    faults += [f"  {name}: the file has shape {arrays[name].shape}, the tensor {tensor.shape}"
               for name, tensor in into.items() if name in arrays and arrays[name].shape != tensor.shape]
    if faults:
        raise ValueError("\n".join([f"{os.fspath(path)} doesn't fit, and nothing was loaded:", *faults]))
    for name, tensor in into.items():
        if not np.can_cast(arrays[name].dtype, tensor.dtype, "same_kind"):
            raise TypeError(f"{os.fspath(path)}: {name} holds {arrays[name].dtype}, which {tensor!r} can't take; "
                            "nothing was loaded")
    for name, tensor in into.items():
        tensor.data = arrays[name].astype(tensor.dtype)
    return arrays


def _require_mapping(function: str, tensors: Any) -> None:
    if not isinstance(tensors, Mapping):
        raise TypeError(f"{function} needs tensors by name, e.g. {{'W': W}} or cell.parameters, not "
                        f"{tensors!r:.80} (at {call_site()})")


def _checked(name: Any, value: Any) -> NDArray[Any]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a name in a file is a string that isn't empty, not {name!r}")
    array = np.asarray(value._array if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {array.dtype}; only arrays of real numbers can be saved and loaded")
    return array
