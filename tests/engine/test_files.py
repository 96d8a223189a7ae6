"""Every writer of the project: permissions, links, and what is no regular file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman, unrolled

import minigrad as mg
import viz
from minigrad.formats.files import write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def save(path: Path) -> None:
    mg.save(path, {"W": np.ones(2)})


def render(path: Path) -> None:
    viz.rolled(elman()).render(outfile=path, format="svg")


def render_as_graphviz_does(path: Path) -> None:
    os.rename(viz.rolled(elman()).render(path.with_name("picture"), format="dot"), path)


def page(path: Path) -> None:
    viz.stepper(unrolled(elman, 2)[1], path)


def compiled(path: Path) -> None:
    elman().compile().save(path)


def written(path: Path) -> None:
    write_atomically(path, b"content")


WRITERS = (save, render, page, compiled, written)


def permissions(path: Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("write", [*WRITERS, render_as_graphviz_does])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_a_new_file_gets_the_permissions_of_any_new_file(write: Callable[[Any], None], mask: int,
                                                         tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "new")
        assert permissions(tmp_path / "new") == 0o666 & ~mask
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_an_existing_file_keeps_its_permissions_also_through_a_link(write: Callable[[Any], None], mode: int,
                                                                    tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(mode)
    (tmp_path / "link").symlink_to("old")
    write(tmp_path / "link")
    assert permissions(tmp_path / "old") == mode and (tmp_path / "link").is_symlink()
    assert (tmp_path / "old").read_bytes() != b"old"
    assert sorted(os.listdir(tmp_path)) == ["link", "old"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o444)
    with pytest.raises(PermissionError, match=r"can't write .*old: .*; choose another place"):
        save(tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old" and os.listdir(tmp_path) == ["old"]


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("old")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"can't write .*old: .*; choose another place"):
        save(tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old" and os.listdir(tmp_path) == ["old"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(tmp_path / "pipe", b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"can't write .*folder"):
        save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]
