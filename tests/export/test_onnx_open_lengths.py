"""Statics whose lengths each call binds, in ONNX files: one file computes what unroll does for every length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, DefinitionError, t
from rnn.cells import memory
from rnn.export.open_lengths import stand_ins

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnxruntime.capi import onnxruntime_pybind11_state as failures  # noqa: E402

pytestmark = pytest.mark.exports
LENGTHS = (1, 2, 3, 11, 30)
OWN = np.array([6, 3, 1])  # the numbers of steps of three sequences


def attention(score: Any) -> Callable[[], Cell]:
    """Return a decoder with attention, the state of which begins with a value computed from the source."""
    def make() -> Cell:
        cell = Cell(score)
        enc, valid, x = cell.static("enc", (None, 3)), cell.static("valid", (None,)), cell.input("x", 3)
        s = cell.signal("s", 3)
        c = memory.attention(cell, enc, s, 5, name="att", rng=np.random.default_rng(0), score=score, valid=valid)
        s[t] = np.tanh(parameter("V", 3, 6) @ np.concatenate([x[t], c[t]]) + 0.5 * s[t-1])
        s[0] = np.tanh(parameter("W0", 3, 3) @ enc.mean(axis=0))
        return cell

    make.__name__ = score
    return make


def two_sources() -> Cell:
    """Return a definition with two sources whose lengths are independent."""
    cell = Cell("two sources")
    a, b, x, h = cell.static("a", (None, 3)), cell.static("b", (None, 3)), cell.input("x", 3), cell.signal("h", 3)
    scores = cell.signal("scores")
    scores[t] = (a @ h[t-1])[:, None] + (b @ x[t])[None, :]
    h[t] = np.tanh(x[t] + mg.softmax(scores[t].max(axis=1)) @ a + mg.softmax(scores[t].max(axis=0)) @ b)
    return cell


def functions() -> Cell:
    """Return a definition with operations along an open axis: reductions, parts, shapes, products."""
    cell = Cell("functions")
    enc, square, x = cell.static("enc", (None, 4)), cell.static("square", (None, None)), cell.input("x", 4)
    h, weights, total = cell.signal("h", 4), cell.signal("weights"), cell.signal("total", ())
    moved, parts, last = cell.signal("moved"), cell.signal("parts", 4), cell.signal("last")
    weights[t] = mg.softmax(enc @ h[t-1] + (square @ enc).sum(axis=-1))
    h[t] = np.tanh(x[t] + np.einsum("s,sd->d", weights[t], enc) + enc.std(axis=0) + enc[0] * enc[-1])
    row = parameter("row", 1, 4)  # NumPy's einsum repeats its one row as often as enc is long
    total[t] = np.einsum("sd,sd->", enc, row) + (enc * h[t]).mean() + np.var(weights[t]) + mg.logsumexp(
        enc.T.reshape(-1) * h[t].sum(), axis=-1)
    moved[t] = np.concatenate([np.flip(weights[t], 0), h[t]])
    parts[t] = enc[:2].sum(axis=0) + enc[::-2].mean(axis=0) + enc[1:].sum(axis=0) + enc[[0, -1]].sum(axis=0)
    last[t] = mg.stack([weights[t] ** 2, np.cumsum(weights[t], axis=0)]) * np.argmax(weights[t], axis=-1)
    return cell


def delayed() -> Cell:
    """Return a definition that reads a value as long as the source of the step before. (unroll has no zeros for it.)"""
    cell = Cell("delayed")
    enc, x, a, y = cell.static("enc", (None,)), cell.input("x", ()), cell.signal("a"), cell.signal("y")
    a[t] = enc * x[t]
    y[t] = a[t] + 10 * a[t-1]
    return cell


MAKE = [attention("additive"), attention("dot"), two_sources, functions]


def data(cell: Cell, length: int, batch: int = 3) -> dict[str, Any]:
    """Return random data, with sources of a length, and of one more for every second of them."""
    random = np.random.default_rng(length)
    found: dict[str, Any] = {name: random.normal(size=(6, batch, *(x.shape or ())))
                             for name, x in cell.signals.items() if x.given}
    for name, static in cell.statics.items():
        found[name] = random.normal(size=(batch, *(n or length + (name == "b") for n in static.lengths)))
    if "valid" in found:
        found["valid"] = (np.arange(length) < random.integers(1, length + 1, batch)[:, None]).astype(float)
    return found


def run(path: Any, **inputs: Any) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))


def check(found: dict[str, Any], wanted: Any, cell: Cell) -> None:
    for name, signal in cell.signals.items():
        if not signal.given:
            stacked = wanted[name].stack().numpy()
            assert found[name].shape == stacked.shape, name
            np.testing.assert_allclose(found[name], stacked, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("make", MAKE)
def test_one_file_serves_every_length(make: Callable[[], Cell], lengths: bool, tmp_path: Path) -> None:
    cell = make()
    path = cell.to_onnx(tmp_path / "m.onnx", lengths=lengths)
    for length in LENGTHS:
        given, options = data(cell, length), {"lengths": OWN} if lengths else {}
        with np.errstate(all="ignore"):
            check(run(path, **given, **options), cell.unroll(**given, **options), cell)


@pytest.mark.parametrize("make", MAKE)
def test_step_by_step(make: Callable[[], Cell], tmp_path: Path) -> None:
    cell = make()
    file = cell.to_onnx(tmp_path / "m.onnx", state=True)
    for length in (2, 7):
        given = data(cell, length)
        whole, statics = cell.unroll(**given), {name: given.pop(name) for name in cell.statics}
        state = file.start(3, **statics)
        for k in range(6):
            found = run(file, **{name: x[k:k + 1] for name, x in given.items()}, **statics, **state)
            state = {name: found[after] for name, after in file.state.items()}
            for name, signal in cell.signals.items():
                if not signal.given:
                    np.testing.assert_allclose(found[name][0], whole[name][k + 1].numpy(), rtol=1e-9, atol=1e-11)


def test_the_axes_are_named_after_the_static_and_axes_of_one_length_have_one_name(tmp_path: Path) -> None:
    graph = onnx.load(str(attention("dot")().to_onnx(tmp_path / "m.onnx"))).graph
    dims = {x.name: [n.dim_param or n.dim_value for n in x.type.tensor_type.shape.dim]
            for x in [*graph.input, *graph.output]}
    assert dims == {"enc": ["batch", "enc.0", 3], "valid": ["batch", "enc.0"], "x": ["T", "batch", 3],
                    "s": ["T", "batch", 3], "att.a": ["T", "batch", "enc.0"], "att.c": ["T", "batch", 3]}
    graph = onnx.load(str(two_sources().to_onnx(tmp_path / "n.onnx"))).graph
    (scores,) = (x for x in graph.output if x.name == "scores")
    assert [n.dim_param for n in scores.type.tensor_type.shape.dim] == ["T", "batch", "a.0", "b.0"]


def test_sizes_of_the_definition_that_are_those_of_stand_ins(tmp_path: Path) -> None:
    cell = Cell("eleven")
    enc, x, y = cell.static("enc", (None, 11)), cell.input("x", 11), cell.signal("y", 13)
    y[t] = parameter("W", 13, 11) @ (x[t] + enc.mean(axis=0)) + parameter("c", 101)[:13]
    path = cell.to_onnx(tmp_path / "m.onnx")
    for length in (1, 11, 13):
        given = data(cell, length)
        check(run(path, **given), cell.unroll(**given), cell)


def test_the_draws_of_a_dropout_are_as_long_as_the_source(tmp_path: Path) -> None:
    cell = Cell("dropped")
    enc, x, a, y = cell.static("enc", (None,)), cell.input("x", ()), cell.signal("a"), cell.signal("y", ())
    a[t] = mg.dropout(enc * x[t], 0.5, np.random.default_rng(0))
    y[t] = a[t].sum()
    path = cell.to_onnx(tmp_path / "m.onnx")
    dims = {i.name: [n.dim_param for n in i.type.tensor_type.shape.dim] for i in onnx.load(str(path)).graph.input}
    assert dims["~drawn 1"] == ["T", "batch", "enc.0"]
    for length in (1, 4):
        given = data(cell, length)
        kept = np.random.default_rng(1).random((6, 3, length)) < 0.5
        wanted = (2 * kept * given["enc"] * given["x"][..., None]).sum(-1)
        np.testing.assert_allclose(run(path, **given, **{"~drawn 1": kept})["y"], wanted, rtol=1e-12)


def test_parts_that_only_long_sources_have(tmp_path: Path) -> None:
    cell = Cell("long")
    enc, x, y = cell.static("enc", (None, 3)), cell.input("x", 3), cell.signal("y", 3)
    y[t] = x[t] * enc[40] + enc[:20].mean(axis=0)
    path, given = cell.to_onnx(tmp_path / "m.onnx"), data(cell, 50)
    check(run(path, **given), cell.unroll(**given), cell)


@pytest.mark.parametrize("length", [1, 5])
def test_a_state_as_long_as_the_source(length: int, tmp_path: Path) -> None:
    cell, random = delayed(), np.random.default_rng(0)
    enc, x = random.normal(size=(3, length)), random.normal(size=(6, 3))
    wanted = enc * x[:, :, None]
    wanted[1:] += 10 * (enc * x[:-1, :, None])
    np.testing.assert_allclose(run(cell.to_onnx(tmp_path / "m.onnx"), enc=enc, x=x)["y"], wanted, rtol=1e-12)
    file = cell.to_onnx(tmp_path / "s.onnx", state=True)
    state = file.start(3, enc=enc)
    assert state["a[0]"].shape == (3, length)
    for k in range(6):
        found = run(file, enc=enc, x=x[k:k + 1], **state)
        state = {name: found[after] for name, after in file.state.items()}
        np.testing.assert_allclose(found["y"][0], wanted[k], rtol=1e-12)


def test_a_length_that_must_be_another(tmp_path: Path) -> None:
    cell = Cell("three")
    enc, x, y, z = cell.static("enc", (None,)), cell.input("x", 3), cell.signal("y", 3), cell.signal("z", 3)
    y[t] = x[t] * enc
    z[t] = (enc + 1) * np.ones(3)
    path = cell.to_onnx(tmp_path / "m.onnx")
    check(run(path, **data(cell, 3)), cell.unroll(**data(cell, 3)), cell)
    with pytest.raises(failures.InvalidArgument, match=r"invalid dimensions for input: enc(.|\n)*Expected: 3"):
        run(path, **data(cell, 4))


def test_the_numbers_that_stand_for_open_lengths_occur_nowhere_else_in_the_definition() -> None:
    cell = Cell("eleven")
    enc, x, y = cell.static("enc", (None, 11)), cell.input("x", 13), cell.signal("y", 17)
    y[t] = parameter("W", 17, 19) @ parameter("V", 19, 13) @ x[t] + enc.sum()
    one, other = next(stand_ins(cell, {"x": (13,)}))
    assert (one.shapes, other.shapes) == ({"enc": (23, 11)}, {"enc": (29, 11)})


class TestRefused:
    def test_a_size_that_is_computed_from_an_open_length(self, tmp_path: Path) -> None:
        cell = Cell("derived")
        enc, x, a, b = cell.static("enc", (None,)), cell.input("x", ()), cell.signal("a"), cell.signal("b")
        a[t] = np.concatenate([enc, enc]) * x[t]
        b[t] = a[t-1] * 2
        a[0] = 0.5  # twice as often as enc is long
        with pytest.raises(DefinitionError, match=r"can't leave the lengths of enc, declared at test_onnx_open_lengths"
                           r".py:\d+ open: the \w+ at test_onnx_open_lengths.py:\d+ .* Declare a number"):
            cell.to_onnx(tmp_path / "m.onnx")
        with pytest.raises(DefinitionError, match=r"open: the size of the input a\[0\] is computed from them"):
            cell.to_onnx(tmp_path / "m.onnx", state=True)
        assert not list(tmp_path.iterdir())

    def test_an_index_of_bools(self, tmp_path: Path) -> None:
        cell = Cell("bools")
        enc, x, y = cell.static("enc", (None, 3)), cell.input("x", 3), cell.signal("y")
        y[t] = x[t] * enc[[0, 1], [1, 2]].sum()
        with pytest.raises(DefinitionError, match=r"not by the index at test_onnx_open_lengths.py:\d+: declare its"):
            cell.to_onnx(tmp_path / "m.onnx")

    def test_the_start_of_a_state_as_long_as_the_source_needs_the_source(self, tmp_path: Path) -> None:
        file = delayed().to_onnx(tmp_path / "m.onnx", state=True)
        with pytest.raises(ValueError, match=r"a\[0\] is as long as enc, declared at .*:\d+: give it, start"):
            file.start(3)
        with pytest.raises(ValueError, match="enc"):
            file.start(3, enc=np.ones((2, 5)))
