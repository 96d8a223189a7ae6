"""The files of generated functions and of their machine code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import data, elman

pytest.importorskip("numba")
pytest.importorskip("scipy")
pytest.importorskip("platformdirs")

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = """
from definitions import data, elman
fast = elman().compile(backend="numba")
values = fast(**data(fast.cell))["y"]
functions = [fast._latest().forward.__globals__[name] for name in fast.backend.loops]
print(values.sum(), sum(sum(x.stats.cache_hits.values()) for x in functions),
      sum(sum(x.stats.cache_misses.values()) for x in functions))
"""
LINE = "compiling 2 loops of 'elman' with Numba: some seconds, once\n"


def environment(folder: Path, **more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS / "helpers")])
    return {**os.environ, "PYTHONPATH": paths, "MINIGRAD_CACHE": str(folder), **more}


def start(folder: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment(folder, **more))


def ended(process: subprocess.Popen[str]) -> tuple[float, int, int, str]:
    """Return the sum of the outputs, how many functions came from the cache and were compiled, and what was printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    total, hits, misses = out.split()
    return float(total), int(hits), int(misses), err


def total() -> float:
    fast = elman().compile(backend="numpy")
    return float(fast(**data(fast.cell))["y"].sum())


def texts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the loops of one definition."""
    folder = tmp_path_factory.mktemp("cache")
    value, hits, misses, printed = ended(start(folder))
    assert value == pytest.approx(total(), rel=1e-12)
    assert (hits, misses, printed) == (0, 2, LINE)
    return folder


def test_a_second_process_compiles_nothing_and_says_nothing(filled: Path) -> None:
    value, *rest = ended(start(filled))
    assert value == pytest.approx(total(), rel=1e-12)
    assert rest == [2, 0, ""]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbc", "nbi"])
def test_a_damaged_file_is_made_anew(filled: Path, ending: str) -> None:
    for path in filled.rglob(f"*.{ending}"):
        path.write_bytes(path.read_bytes()[:10])
    value, *_ = ended(start(filled))
    assert value == pytest.approx(total(), rel=1e-12)
    assert ended(start(filled))[1:] == (2, 0, "")


@pytest.mark.slow
def test_a_damaged_text_is_written_anew(filled: Path) -> None:
    [path] = texts(filled)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    value, *_ = ended(start(filled))
    assert value == pytest.approx(total(), rel=1e-12)
    assert path.read_bytes() == content


@pytest.mark.slow
def test_machine_code_that_is_missing_is_announced(filled: Path) -> None:
    for path in filled.rglob("*.nbi"):
        path.unlink()
    assert ended(start(filled))[1:] == (0, 2, LINE)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    found = [ended(process) for process in [start(tmp_path) for _ in range(3)]]
    assert len({value for value, *_ in found}) == 1
    assert len(texts(tmp_path)) == 1
    assert ended(start(tmp_path))[0] == found[0][0]


def test_another_version_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn.fast import files

    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    files.module_of("x = 1")
    monkeypatch.setattr(files, "_versions", lambda: ("another",))
    files.module_of("x = 1")
    files.module_of("x = 1")
    assert len(texts(tmp_path)) == 2


def test_the_hash_contains_every_version_and_the_source_of_called_functions() -> None:
    import llvmlite
    import numba

    import minigrad as mg
    from rnn.fast import files

    found = files._versions()
    assert {mg.__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version} <= set(found)
    sources = Path(files.__file__).parent.glob("*.py")
    called = {path.name for path in sources if "@compiled(" in path.read_text(encoding="utf-8")}
    assert called == set(files.SOURCES)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Neither that of the cache, nor the home, nor that of the package: each name is that of a file."""
    file = tmp_path / "file"
    file.touch()
    value, hits, misses, printed = ended(start(file / "cache", HOME=str(file), XDG_CACHE_HOME=str(file),
                                               TMPDIR=str(tmp_path)))
    assert value == pytest.approx(total(), rel=1e-12)
    assert (hits, misses, printed) == (0, 2, LINE)
    assert list(tmp_path.iterdir()) == [file]  # the folder of the process is gone


@pytest.mark.slow
def test_a_package_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """In a copy of the package a file is where Numba's folder would be."""
    for package in ("minigrad", "rnn"):
        shutil.copytree(TESTS.parent / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("file", "rnn/fast/__pycache__"):
        (tmp_path / name).touch()
    file, paths = str(tmp_path / "file"), os.pathsep.join([str(tmp_path), str(TESTS / "helpers")])
    value, *rest = ended(start(tmp_path / "file" / "x", HOME=file, XDG_CACHE_HOME=file, PYTHONPATH=paths))
    assert value == pytest.approx(total(), rel=1e-12)
    assert rest == [0, 2, LINE]


def test_the_variable_may_name_a_folder_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn.fast import files

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIGRAD_CACHE", "~/loops")
    assert files.folder() == tmp_path / "loops"


def test_without_a_variable_the_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    from rnn.fast import files

    monkeypatch.delenv("MINIGRAD_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert files.folder() == tmp_path / "minigrad" / "loops"


def test_a_module_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn.fast import files

    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    assert files.module_of("y = object()") is files.module_of("y = object()")


def test_a_text_with_an_error_leaves_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn.fast import files

    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    before: Any = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        files.module_of("1 / 0")
    assert set(sys.modules) == before
