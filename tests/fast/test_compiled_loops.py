"""What a program of the backend "numba" is to its caller: names, copies, streams, threads, types, memory, errors."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import called, compiled_in_full, distance
from definitions import above, data, elman, lstm, two_delays

import minigrad as mg
import rnn
from rnn import Cell, t

pytest.importorskip("numba")
pytest.importorskip("scipy")
pytest.importorskip("platformdirs")

LINE = r"test_compiled_loops\.py:\d+"


def compiled(cell: Cell, **options: Any) -> Any:
    return cell.compile(backend="numba", **options)


def functions(fast: Any) -> list[Any]:
    """Return the functions of the latest program that Numba has compiled."""
    loaded = fast._latest()
    return [loaded.forward.__globals__[name] for name in loaded.program.code.compiled]


def test_the_backend_is_named_before_the_first_call_too() -> None:
    fast = compiled(elman())
    assert fast.backend.name == "numba"
    assert fast.backend.loops == {"forward_loop": "numba", "backward_loop": "numba"}
    assert elman().compile().backend.loops == {}


def test_the_source_has_the_loops() -> None:
    fast = compiled(elman())
    fast(**data(fast.cell))
    assert "@njit(**OPTIONS)\ndef forward_loop(" in fast.source
    assert re.search(r"^ +forward_loop\(.*arrays\.h", fast.source, re.MULTILINE)


def test_functions_are_compiled_for_the_types_that_a_call_passes() -> None:
    fast = compiled(two_delays(), loss=None)
    called(fast, data(fast.cell))
    assert len(functions(fast)) > 1
    assert {len(function.signatures) for function in functions(fast)} == {1}


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"backend is 'numpy' or 'numba', not 'cuda' \(at {LINE}\)"):
        elman().compile(backend="cuda")  # type: ignore[arg-type]


def test_a_saved_program_needs_numpy_alone(tmp_path: Path) -> None:
    fast = compiled(elman())
    fast(**data(fast.cell))
    text = fast.save(tmp_path / "elman.py").read_text(encoding="utf-8")
    assert text == elman().compile().save(tmp_path / "plain.py").read_text(encoding="utf-8")


def test_a_stream_goes_on_from_a_call() -> None:
    fast = compiled(elman())
    x = np.random.default_rng(0).normal(size=(6, 2, 3))
    whole = fast(x=x)["y"]
    stream = fast.stream(batch=2)
    np.testing.assert_allclose([stream(x=row)["y"] for row in x], whole, rtol=1e-12)
    first = fast(x=x[:4]).state
    np.testing.assert_allclose(fast(x=x[4:], initial=first)["y"], whole[4:], rtol=1e-12)


def test_a_copy_is_compiled_by_the_same_backend() -> None:
    fast = compiled(elman())
    given = data(fast.cell)
    wanted = fast(**given)["y"]
    for again in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(again(**given)["y"], wanted)
        assert compiled_in_full(again)


def test_threads_have_arrays_of_their_own() -> None:
    fast = compiled(lstm())
    given = [data(fast.cell, T=20, seed=seed) for seed in range(4)]
    wanted = [fast(**one)["y"] for one in given]
    wrong = []

    def run(k: int) -> None:
        for _ in range(20):
            if not np.array_equal(fast(**given[k])["y"], wanted[k]):
                wrong.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_other_types_are_computed_by_numpy(dtype: str) -> None:
    cell = elman(dtype)
    given = {name: x.astype(dtype) for name, x in data(cell).items()}
    found = compiled(cell)
    assert distance(called(found, given), called(cell.compile(backend="numpy"), given)) == 0
    assert "numba" not in found.backend.loops.values()


def test_a_parameter_that_changes_is_used_from_the_next_call() -> None:
    fast = compiled(elman())
    given = data(fast.cell)
    fast(**given)
    fast.cell.parameters["U"].data[:] *= 2
    np.testing.assert_allclose(fast(**given)["y"], fast.cell.unroll(**given)["y"].stack().numpy(), rtol=1e-12)


def test_parameters_in_any_memory_layout() -> None:
    """Also one that can't be written."""
    cell, U = Cell(), np.asfortranarray(np.random.default_rng(0).normal(size=(4, 4)))
    frozen = np.broadcast_to(np.array(0.5), (4,))
    x, h = cell.input("x", 4), cell.signal("h", 4)
    h[t] = np.tanh(mg.Tensor(U, requires_grad=True, name="U") @ h[t-1] + x[t] * mg.Tensor(frozen, name="w"))
    given = data(cell)
    fast = compiled(cell)
    np.testing.assert_allclose(fast(**given)["h"], cell.unroll(**given)["h"].stack().numpy(), rtol=1e-12)
    assert compiled_in_full(fast)


def test_an_error_of_an_operation_outside_the_loop_names_its_line() -> None:
    cell = Cell("inverse")
    x, h, y = cell.input("x", (2, 2)), cell.signal("h", (2, 2)), cell.signal("y", (2, 2))
    h[t] = 0.5 * h[t-1] + x[t]
    y[t] = np.linalg.inv(h[t])
    line = above()
    with pytest.raises((ValueError, np.linalg.LinAlgError)) as info:
        compiled(cell)(x=np.zeros((3, 1, 2, 2)))
    assert line in "\n".join([str(info.value), *getattr(info.value, "__notes__", [])])


@pytest.mark.parametrize("T", [200, 1000])
def test_a_call_takes_no_more_memory_than_the_numpy_program(T: int) -> None:
    peaks = {}
    x = np.random.default_rng(0).normal(size=(T, 4, 3))
    for backend in ("numpy", "numba"):
        cell = lstm(hidden=16)
        L = cell.signal("L", ())
        L[t] = (cell.signals["y"][t] ** 2).sum(axis=-1)
        fast = cell.compile(loss="L", backend=backend)  # type: ignore[arg-type]
        with mg.no_grad():
            fast(x=x[:2])  # makes the program
        fast(x=x[:2])
        tracemalloc.start()
        fast(x=x)
        peaks[backend] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["numba"] <= peaks["numpy"]


# ---- what Numba can't compile
def test_a_loop_that_numba_refuses_is_computed_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnn.fast import formulas

    monkeypatch.setitem(formulas.WRITTEN, "multiply", "np.frombuffer({0}, {1})")
    fast = compiled(elman())
    given = data(fast.cell)
    assert distance(called(fast, given), called(elman().compile(backend="numpy"), given)) < 1e-15
    assert fast.backend.loops["backward_loop"].startswith("numpy: Numba can't compile it: ")
    assert fast.backend.loops["forward_loop"] == "numba"
    assert "backward_loop: numpy: Numba can't compile it: " in repr(fast.backend)


@pytest.mark.parametrize("missing", ["numba", "scipy", "llvmlite", "platformdirs"])
def test_without_a_library_one_line_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rnn.fast")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(rnn, "fast", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError) as info:
        elman().compile(backend="numba")
    line = above()
    for name in [name for name in sys.modules if name.startswith("rnn.fast")]:
        del sys.modules[name]  # a part of the package; monkeypatch puts the whole back
    vars(rnn).pop("fast", None)
    assert str(info.value) == (f"{missing} isn't installed (at {line}): backend='numba' needs pip install "
                               "'minigrad-rnn[fast]'")


def test_the_default_loads_no_numba() -> None:
    program = "import sys; sys.modules['numba'] = None; from definitions import *; f = elman().compile(); " \
        "f(**data(f.cell))"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1] / "helpers",
                   env={"PYTHONPATH": str(Path(__file__).parents[2])})
