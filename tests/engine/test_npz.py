"""Files that are damaged or made to do harm: one clear error that names the file and the member."""

from __future__ import annotations

import copy
import io
import os
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg


def npy(shape: str = "(2,)", descr: str = "'<f8'", size: int = 16, version: bytes = b"\1\0", header: str = "") -> bytes:
    """An array in NumPy's format, whose header may claim anything, and `size` zeros."""
    text = (header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}").encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<I", len(text)) + text + bytes(size)


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return content.getvalue()


def patched(offset: int, value: bytes) -> bytes:
    """A good archive with some bytes of its central directory replaced."""
    whole = archive(("W.npy", npy()))
    start = whole.index(b"PK\1\2") + offset
    return whole[:start] + value + whole[start + len(value):]


CRAFTED = {
    "10^13 elements": (npy("(10000000000000,)"), "claims an array of shape .* 80000000000000 bytes, and holds 16"),
    "a negative shape": (npy("(-2,)"), r"claims the shape \(-2,\)"),
    "a shape of bools": (npy("(True,)", size=8), r"claims the shape \(True,\)"),
    "a shape of 10^28": (npy("(0, 10000000000000000000000000000)", size=0), "."),
    "a hundred axes": (npy("(" + 100 * "1," + ")", size=8), "."),
    "code in the header": (npy(header="{'descr': __import__('os').mkdir('exploded')}"), "malformed"),
    "a header that is no Python": (npy(header="}{"), "."), "NUL in the header": (npy(header="\0"), "."),
    "a deep header": (npy(header=3000 * "(" + 3000 * ")"), "."), "a number as header": (npy(header="3"), "header"),
    "a long header": (npy(header=60_000 * " "), "a header of 60000 bytes"),
    "too few elements": (npy(size=8), "16 bytes, and holds 8"), "too many": (npy(size=24), "16 bytes, and holds 24"),
    "strings": (npy(descr="'<U1'", size=8), "it holds <U1; only arrays of real numbers"),
    "complex numbers": (npy(descr="'<c16'", size=32), "it holds complex128"),
    "records": (npy(descr="[('a', '<f8')]"), "only arrays of real numbers"),
    "objects": (npy(descr="'|O'"), "pickled Python objects"), "no dtype": (npy(descr="None"), "."),
    "an unknown dtype": (npy(descr="'zz'"), "zz"), "an unknown version": (npy(version=b"\4\0"), "no array of NumPy"),
    "nothing": (b"", "no array of NumPy"), "text": (b"hello", "no array of NumPy")}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_member_is_an_error_that_names_it_and_the_file(name: str, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    member, message = CRAFTED[name]
    (tmp_path / "model.npz").write_bytes(archive(("good.npy", npy()), ("W.npy", member)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"(?s)model\.npz can't be loaded: in 'W\.npy', .*{message}"):
            mg.load("model.npz")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert os.listdir(tmp_path) == ["model.npz"]


@pytest.mark.parametrize(("content", "message"), [
    (archive(("W.npy", npy()), compression=zipfile.ZIP_BZIP2), "'W.npy', compression method 12 is none that NumPy"),
    (patched(10, struct.pack("<H", 97)), "'W.npy', compression method 97 is none that NumPy writes"),
    (patched(24, struct.pack("<I", 0xfffffff0)), "'W.npy', .* bytes can't hold the 4294967280 that it claims"),
    (patched(20, struct.pack("<II", 0xfffffff0, 0xfffffff0)), "its members are longer than the file"),
    (patched(8, b"\1"), "is damaged: .*encrypted.*'W.npy'"),
    (patched(42, struct.pack("<I", 0x7fffffff)), "is damaged: .*'W.npy'"),
    (archive(("W.npy", npy()), ("W", npy())), "there are two arrays named 'W'"),
    (archive(("W.npy", npy()), ("README", b"hello")), "'README', this is no array of NumPy")])
def test_a_crafted_archive_is_an_error_that_names_the_file(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)model\.npz .*{message}"):
        mg.load(tmp_path / "model.npz")


def test_members_that_overlap_are_refused_before_any_is_unpacked(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("W0.npy", npy("(300000,)", size=2_400_000))
        for number in range(1, 1000):  # 2.4 GB
            member = copy.copy(file.infolist()[0])
            member.filename = f"W{number}.npy"
            file.filelist.append(member)
    (tmp_path / "model.npz").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match=r"model\.npz is damaged: its members are longer than the file"):
        mg.load(tmp_path / "model.npz")


@pytest.mark.parametrize("version", [b"\1\0", b"\2\0", b"\3\0"])
def test_every_version_of_the_format_is_read(version: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(archive(("W.npy", npy("(1, 2)", version=version))))
    np.testing.assert_array_equal(mg.load(tmp_path / "model.npz")["W"], np.zeros((1, 2)), strict=True)


def test_orders_and_byte_orders_are_read(tmp_path: Path) -> None:
    arrays = {"columns": np.arange(6.0).reshape(2, 3).T, "big": np.arange(3, dtype=">f4"), "none": np.zeros((2, 0)),
              "long": np.arange(1 << 18, dtype=float)}
    np.savez_compressed(tmp_path / "model.npz", **arrays)
    for name, array in mg.load(tmp_path / "model.npz").items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)
        assert array.flags.writeable


@pytest.mark.parametrize("seed", range(300))
def test_bytes_changed_at_random_are_refused_or_harmless(seed: int, tmp_path: Path) -> None:
    mg.save(tmp_path / "model.npz", {"W": np.random.default_rng(1).normal(size=(3, 4)), "b": np.arange(3)})
    data = bytearray((tmp_path / "model.npz").read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] = rng.integers(256)
    (tmp_path / "model.npz").write_bytes(data)
    try:
        found = mg.load(tmp_path / "model.npz")
    except ValueError as error:
        assert re.search(r"model\.npz", str(error))
    else:
        assert sum(array.size for array in found.values()) in (12, 3, 15, 0)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a folder, not an \.npz file"):
        mg.load(tmp_path)


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_member_that_claims_more_than_deflated_bytes_can_hold_is_not_unpacked(beyond: int, tmp_path: Path) -> None:
    stored = len(npy())
    most = 1032 * stored + 1032  # https://zlib.net/zlib_tech.html: no more than 1032 times as long
    (tmp_path / "model.npz").write_bytes(patched(24, struct.pack("<I", most + beyond)))
    with pytest.raises(ValueError, match=r"model\.npz") as error:
        mg.load(tmp_path / "model.npz")
    assert (f"{stored} bytes can't hold the {most + beyond} that it claims" in str(error.value)) == (beyond > 0)
