"""Save and load named tensors: .npz files, as NumPy writes and reads them, without pickle.

A file is written whole or not at all, and loaded whole or not at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .files import write_atomically
from .tensor import Tensor

Path = str | os.PathLike[str]


def save(path: Path, tensors: Mapping[str, Tensor | ArrayLike]) -> None:
    """Write tensors, or arrays, by name; `np.load(path)` reads them too.

    The new file replaces an old one in one step, so that an interruption leaves the old one as it was.

    Raises:
        TypeError: for a name that isn't a string, and for what isn't an array of numbers.
        OSError: if the file can't be written; the message says what to do.
    """
    import zipfile

    arrays = {name: _checked(name, value) for name, value in tensors.items()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # np.savez takes no name such as "file", which is a parameter of it
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    write_atomically(path, content.getbuffer())


def load(path: Path, into: Mapping[str, Tensor] | None = None) -> dict[str, NDArray[Any]]:
    """Read a file that `save` or np.savez wrote.

    Args:
        path: the file.
        into: tensors that take the values of their names, e.g. `cell.parameters`: all of them, or after
            an error none.

    Returns:
        The arrays by name.

    Raises:
        ValueError: for a file that is damaged, isn't an .npz or holds pickled objects; if it lacks a name
            of `into` or has one more, or if a shape differs.
        TypeError: if a value isn't a number, or not of a kind that the tensor can hold.
    """
    arrays = _read(path)
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


def _read(path: Path) -> dict[str, NDArray[Any]]:
    import zipfile
    import zlib

    arrays = {}
    try:
        with open(path, "rb") as file:
            if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
                raise ValueError(f"{os.fspath(path)} is not an .npz file. (Pickled files are never loaded: "
                                 "they can run any code)")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                for name in archive.files:
                    arrays[name] = archive[name]
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged: {error}") from error
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(f"{os.fspath(path)} holds pickled Python objects, which can run any code when they are "
                         "loaded. Only arrays of numbers are: save them with minigrad.save or np.savez") from None
    for name, array in arrays.items():
        _checked(name, array)
    return arrays


def _checked(name: Any, value: Any) -> NDArray[Any]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a name in a file is a string that isn't empty, not {name!r}")
    array = np.asarray(value._array if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {array.dtype}; only arrays of real numbers can be saved and loaded")
    return array
