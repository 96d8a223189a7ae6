"""NumPy's .npz files: zip archives with one member for each array, in the format .npy.

A file may be damaged or made to do harm, so nothing that it claims is believed: no pickle is loaded, and
an array is allocated only where the member is long enough for it. No file gets more memory than
MOST_EXPANSION times its length. Imported on first use, because zipfile is slow to import.
(NumPy enhancement proposal 1, A simple file format for NumPy arrays.)
"""

from __future__ import annotations

import ast
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MOST_EXPANSION = 1032  # times its length: no deflated content is longer (zlib, technical details)
LONGEST_HEADER = 10_000  # bytes; NumPy's own limit
CHUNK = 1 << 20  # bytes that are read at once
# The errors of zipfile and zlib. NotImplementedError and RecursionError are RuntimeErrors.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, IndexError,
           OverflowError, RuntimeError)


def pack(arrays: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return the bytes of a file with these arrays."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # np.savez takes no name such as "file", which is a parameter of it
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return content.getbuffer()


def read(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name.

    Raises:
        ValueError: for a file that is damaged, or holds anything but arrays of real numbers; it names the
            file and the member.
        OSError: if the file can't be read.
    """
    if os.path.isdir(path):
        raise ValueError(f"{os.fspath(path)} is a folder, not an .npz file")
    with open(path, "rb") as file:
        if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
            raise ValueError(f"{os.fspath(path)} is not an .npz file. (Pickled files are never loaded: "
                             "they can run any code)")
        length = file.seek(0, os.SEEK_END)
        try:
            archive = zipfile.ZipFile(file)
        except (*_DAMAGE, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} is damaged: {error}") from None
        with archive:
            members = archive.infolist()
            if sum(member.compress_size for member in members) > length:  # then they overlap, or end behind it
                raise ValueError(f"{os.fspath(path)} is damaged: its members are longer than the file")
            arrays: dict[str, NDArray[Any]] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                try:
                    if name in arrays:
                        raise ValueError(f"there are two arrays named {name!r}")
                    arrays[name] = _read_member(archive, member)
                except _DAMAGE as error:
                    raise ValueError(f"{os.fspath(path)} is damaged: {error} (in {member.filename!r})") from None
                except (ValueError, TypeError, SyntaxError, MemoryError) as error:
                    raise ValueError(f"{os.fspath(path)} can't be loaded: in {member.filename!r}, {error}") from None
    return arrays


def _read_member(archive: Any, member: Any) -> NDArray[Any]:
    """Return one array in NumPy's format .npy: a magic string, the header's length, the header, and the elements."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compression method {member.compress_type} is none that NumPy writes")
    if member.file_size > MOST_EXPANSION * member.compress_size + MOST_EXPANSION:
        raise ValueError(f"{member.compress_size} bytes can't hold the {member.file_size} that it claims")
    with archive.open(member) as file:
        magic = file.read(8)
        if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
            raise ValueError("this is no array of NumPy")
        width = 2 if magic[6] == 1 else 4
        header_length = int.from_bytes(file.read(width), "little")
        if header_length > LONGEST_HEADER:
            raise ValueError(f"a header of {header_length} bytes")
        header = ast.literal_eval(file.read(header_length).decode("utf-8" if magic[6] == 3 else "latin1"))
        dtype, shape, order = _parse_header(header)
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - 8 - width - header_length:
            raise ValueError(f"it claims an array of shape {shape} and type {dtype}, {size} bytes, and holds "
                             f"{member.file_size - 8 - width - header_length}")
        content = bytearray(size)
        for start in range(0, size, CHUNK):  # reading the last byte checks the CRC
            part = memoryview(content)[start:start + CHUNK]
            if file.readinto(part) != len(part):
                raise EOFError("it ends too early")
        array: NDArray[Any] = np.ndarray(shape, dtype, content, order=order)
        return array


def _parse_header(header: Any) -> tuple[np.dtype[Any], tuple[int, ...], Literal["C", "F"]]:
    """Return the dtype, shape and order that the header of an array gives, checked."""
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header isn't one of NumPy")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"it claims the shape {shape!r}")
    dtype = np.lib.format.descr_to_dtype(header["descr"])
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which can run any code when they are loaded. Only "
                         "arrays of numbers are: save them with minigrad.save or np.savez")
    if dtype.kind not in "biuf":
        raise ValueError(f"it holds {dtype}; only arrays of real numbers can be loaded")
    return dtype, shape, "F" if header["fortran_order"] else "C"
