"""to_onnx(path, state=True): a file that is run step by step, or chunk by chunk, computes what unroll does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, lstm, parameter, three_delays
from exports import EVERY, stacked
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st
from random_definitions import Spec, defined, specs

import minigrad as mg
from rnn import Cell, DefinitionError, t
from rnn.cells import memory, modern

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.exports
CHUNKS = [(0, 1), (1, 2), (2, 5), (5, 6)]
LENGTHS = [np.array(row) for row in ([1, 0, 1, 1, 1], [0, 1, 1, 0, 1], [3, 2, 0, 1, 2], [1, 1, 0, 0, 1])]


class Runtime:
    """A file in ONNX Runtime."""

    def __init__(self, path: Any) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [x.name for x in self.session.get_inputs()]
        self.outputs = [x.name for x in self.session.get_outputs()]

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        return dict(zip(self.outputs, self.session.run(self.outputs, inputs)))


def kinds() -> Cell:
    """Return a definition with every kind of delay, leads, initial values, a matrix, numbers and the step number."""
    cell = Cell("kinds")
    x, word = cell.input("x", 3), cell.input("word", ())
    h, S, n = cell.signal("h", 3), cell.signal("S", (3, 2)), cell.signal("n", ())
    y, late = cell.signal("y", 3), cell.signal("late", 2)
    h[t] = np.tanh(parameter("A", 3, 3) @ h[t-2] + parameter("B", 3, 3) @ x[t-3] + h[t-1] / t)
    S[t] = 0.5 * S[t-1] + np.outer(h[t], parameter("C", 4, 2)[word[t-1]])
    n[t] = n[t-1] + h[t].sum() * np.cos(t - 1)
    y[t+1] = 0.3 * y[t] + S[t] @ parameter("D", 2) + h[t+0]
    late[t] = y[t-1][:2] * n[t-2]
    x[0], x[-1], x[-2], word[0] = np.ones(3), 0.5, 0.0, 2
    h[0], h[-1] = parameter("h0", 3), np.array([1.0, 2.0, 3.0])
    y[1], y[0] = parameter("y1", 3) * 2, 0.5
    n[0], n[-1] = 3.0, 0.0
    return cell


def remembers(make: Any, **options: Any) -> Callable[[], Cell]:
    """Return one of the cells of rnn.cells.modern or rnn.cells.memory."""
    def made() -> Cell:
        cell = Cell(make.__name__)
        make(cell, cell.input("x", 3), 4, name="a", rng=np.random.default_rng(0), **options)
        random = np.random.default_rng(2)
        for p in cell.parameters.values():
            p.data = 0.7 * random.normal(size=p.shape)
        return cell

    made.__name__ = f"{make.__name__}{'_'.join(map(str, options))}"
    return made


MEMORIES = [
    remembers(modern.linear_attention, keys=3), remembers(modern.delta_net, keys=3),
    remembers(modern.delta_net, keys=3, gated=True), remembers(modern.mlstm, keys=3), remembers(modern.slstm),
    remembers(modern.min_gru), remembers(modern.rwkv), remembers(modern.mamba, states=3, rank=2),
    remembers(modern.lru, states=3), remembers(memory.stack, depth=3),
    remembers(memory.turing_machine, slots=4, width=2)]
DEEP = [stacked("gru"), stacked("lstm"), stacked("elman")]
KINDS = [kinds, *EVERY, *DEEP, *MEMORIES]


def has_an_end(cell: Cell) -> bool:
    """Return whether some equation reads a value after the last step."""
    return any(x.delay < 0 for x in cell.edges())  # all of them read signals whose equations are of step t


def data(cell: Cell, batch: int = 5) -> dict[str, Any]:
    """Return random data of six steps."""
    random, found = np.random.default_rng(8), {}
    for name, signal in cell.signals.items():
        if signal.given:
            shape = (6, batch, *(signal.shape or ()))
            found[name] = random.integers(0, 4, shape) if name in ("label", "word") else random.normal(size=shape)
    return found


@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("make", KINDS)
def test_chunks_are_those_of_unroll(make: Callable[[], Cell], lengths: bool, tmp_path: Path) -> None:
    cell = make()
    if has_an_end(cell):
        with pytest.raises(DefinitionError, match=r"isn't known at the end of a call: a file with state=True"):
            cell.to_onnx(tmp_path / "m.onnx", state=True)
        assert not list(tmp_path.iterdir())
        return
    file = cell.to_onnx(tmp_path / "m.onnx", state=True, lengths=lengths)
    run, given, state = Runtime(file), data(cell), file.start(batch=5)
    before: Any = None if given else {"x": {1: state["x[1]"]}}  # without data the state alone tells the batch
    assert json.loads(run.session.get_modelmeta().custom_metadata_map["state"]) == file.state
    assert set(state) == set(file.state) and set(file.state) <= set(run.inputs)
    for (first, stop), own_steps in zip(CHUNKS, LENGTHS):
        part = {name: x[first:stop] for name, x in given.items()}
        options = {"lengths": own_steps} if lengths else {}
        found = run(**part, **state, **options, **({} if given else {"T": np.array([stop - first])}))
        whole = cell.unroll(T=stop - first, inputs=part, initial=before, **options)
        for name, signal in cell.signals.items():
            if not signal.given:
                check(found[name], whole[name].stack(), name)
        state, before = {name: found[after] for name, after in file.state.items()}, whole.state.detach()
        for name, steps in before.values.items():
            for k, value in steps.items():
                check(state[f"{name}[{k}]"], value, f"{name}[{k}]")
        if "t[0]" in state:
            np.testing.assert_array_equal(state["t[0]"], before.steps)


@settings(max_examples=25, deadline=None)
@given_by(spec=specs(), lengths=st.booleans())
def test_random_definitions(spec: Spec, lengths: bool) -> None:
    cell, _ = defined(spec)
    ahead = spec.sign < 0 and any(term.delay for terms in spec.terms for term in terms)
    ahead |= any(spec.leads[i] - term.delay > spec.leads[term.source]
                 for i, terms in enumerate(spec.terms) for term in terms)
    with tempfile.TemporaryDirectory() as folder:
        if ahead:
            with pytest.raises(DefinitionError, match="isn't known at the end of a call"):
                cell.to_onnx(Path(folder) / "m.onnx", state=True)
            return
        file = cell.to_onnx(Path(folder) / "m.onnx", state=True, lengths=lengths)
        run = Runtime(file)
    given, state, before = data(cell), file.start(5), None
    for (first, stop), own_steps in zip(CHUNKS, LENGTHS):
        options = {"lengths": own_steps} if lengths else {}
        part = {name: x[first:stop] for name, x in given.items()}
        found, whole = run(**part, **state, **options), cell.unroll(**part, initial=before, **options)
        state, before = {name: found[after] for name, after in file.state.items()}, whole.state.detach()
        for name, signal in cell.signals.items():
            if not signal.given:
                check(found[name], whole[name].stack(), name)


def check(found: Any, wanted: mg.Tensor, name: str) -> None:
    assert found.shape == wanted.shape, name
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("make", [kinds, lstm, three_delays])
def test_step_by_step_it_computes_the_whole_sequence(make: Callable[[], Cell], tmp_path: Path) -> None:
    cell = make()
    file = cell.to_onnx(tmp_path / "m.onnx", state=True)
    run, given, state = Runtime(file), data(cell), file.start(batch=5)
    whole = cell.unroll(**given)
    for k in range(6):
        found = run(**{name: x[k:k + 1] for name, x in given.items()}, **state)
        state = {name: found[after] for name, after in file.state.items()}
        for name, signal in cell.signals.items():
            if not signal.given:
                np.testing.assert_allclose(found[name][0], whole[name][k + 1].numpy(), rtol=1e-9, atol=1e-11)


class TestNames:
    def test_every_value_before_is_an_input_and_takes_the_place_of_one_after(self, tmp_path: Path) -> None:
        file = kinds().to_onnx(tmp_path / "m.onnx", state=True)
        assert file.state == {
            "x[0]": "x[T]", "x[-1]": "x[T-1]", "x[-2]": "x[T-2]", "word[0]": "word[T]",
            "h[0]": "h[T]", "h[-1]": "h[T-1]", "S[0]": "S[T]",
            "n[0]": "n[T]", "n[-1]": "n[T-1]", "y[1]": "y[T+1]", "y[0]": "y[T]", "t[0]": "t[T]"}
        model = onnx.load(str(file))
        onnx.checker.check_model(model, full_check=True)
        inputs = {x.name: [n.dim_param or n.dim_value for n in x.type.tensor_type.shape.dim] for x in model.graph.input}
        assert inputs["S[0]"] == ["batch", 3, 2] and inputs["n[-1]"] == ["batch"] and inputs["t[0]"] == ["batch"]
        assert list(inputs)[:2] == ["x", "word"] and set(list(inputs)[2:]) == set(file.state)
        integers = {x.name for x in model.graph.input if x.type.tensor_type.elem_type == onnx.TensorProto.INT64}
        assert integers == {"word", "word[0]", "t[0]"}

    def test_a_signal_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        cell = Cell("twice")
        x, h, other = cell.input("x", 2), cell.signal("h", 2), cell.signal("h[T]", 2)
        h[t] = 0.5 * h[t-1] + x[t]
        other[t] = h[t] * 2
        with pytest.raises(DefinitionError, match=r"'h\[T\]' is .* signal, made at test_onnx_state.py:\d+: rename"):
            cell.to_onnx(tmp_path / "m.onnx", state=True)
        cell.to_onnx(tmp_path / "m.onnx")

    def test_float32_stays_float32(self, tmp_path: Path) -> None:
        file = elman(np.float32).to_onnx(tmp_path / "m.onnx", state=True)
        start = file.start(batch=2)
        found = Runtime(file)(x=np.ones((1, 2, 3), np.float32), **start)
        assert {x.dtype for x in [*start.values(), *found.values()]} == {np.dtype(np.float32)}


class TestOutputs:
    def test_only_what_they_depend_on_has_a_state(self, tmp_path: Path) -> None:
        cell = Cell("two")
        x, a, b, ahead = cell.input("x", 2), cell.signal("a", 2), cell.signal("b", 2), cell.signal("ahead", 2)
        a[t] = 0.5 * a[t-1] + x[t]
        b[t] = 0.5 * b[t-1] + a[t-2]
        ahead[t] = b[t+1] + x[t]
        assert cell.to_onnx(tmp_path / "a.onnx", outputs=["a"], state=True).state == {"a[0]": "a[T]", "a[-1]": "a[T-1]"}
        file = cell.to_onnx(tmp_path / "b.onnx", outputs=["b"], state=True)
        assert Runtime(file).outputs == ["b", "a[T]", "a[T-1]", "b[T]"]

    def test_a_definition_without_delays_has_an_empty_state(self, tmp_path: Path) -> None:
        cell = Cell("plain")
        x, y = cell.input("x", 2), cell.signal("y", 2)
        y[t] = 2 * x[t]
        file = cell.to_onnx(tmp_path / "m.onnx", state=True)
        assert file.state == {} and file.start(3) == {}
        np.testing.assert_array_equal(Runtime(file)(x=np.ones((1, 3, 2)))["y"], np.full((1, 3, 2), 2.0))


class TestStart:
    def test_values_of_the_definition_and_zeros(self, tmp_path: Path) -> None:
        cell = kinds()
        start = cell.to_onnx(tmp_path / "m.onnx", state=True).start(batch=2)
        np.testing.assert_array_equal(start["h[0]"], [parameter("h0", 3).numpy()] * 2)
        np.testing.assert_array_equal(start["h[-1]"], [[1, 2, 3]] * 2)
        np.testing.assert_array_equal(start["y[1]"], [2 * parameter("y1", 3).numpy()] * 2)
        np.testing.assert_array_equal(start["S[0]"], np.zeros((2, 3, 2)))
        np.testing.assert_array_equal(start["word[0]"], [2, 2])
        np.testing.assert_array_equal(start["t[0]"], [0, 0])

    def test_from_a_run_of_unroll(self, tmp_path: Path) -> None:
        cell = kinds()
        file, given = cell.to_onnx(tmp_path / "m.onnx", state=True), data(cell)
        before = cell.unroll(**{name: x[:4] for name, x in given.items()}).state
        found = Runtime(file)(**{name: x[4:] for name, x in given.items()}, **file.start(5, initial=before))
        check(found["y"], cell.unroll(**given)["y"].stack()[4:], "y")

    def test_given_values_replace_those_of_the_definition(self, tmp_path: Path) -> None:
        cell = elman()
        file, x, h0 = cell.to_onnx(tmp_path / "m.onnx", state=True), data(cell)["x"], np.arange(20.0).reshape(5, 4)
        found = Runtime(file)(x=x, **file.start(5, initial={"h": h0}))
        check(found["y"], cell.unroll(x=x, initial={"h": h0})["y"].stack(), "y")

    def test_one_value_serves_for_all_sequences(self, tmp_path: Path) -> None:
        cell = elman()
        file, x = cell.to_onnx(tmp_path / "m.onnx", state=True), data(cell)["x"]
        check(Runtime(file)(x=x, **file.start(1, initial={"h": np.ones(4)}))["y"],
              cell.unroll(x=x, initial={"h": np.ones(4)})["y"].stack(), "y")

    def test_a_value_computed_from_a_static_alone_needs_no_input_of_the_file(self, tmp_path: Path) -> None:
        cell = Cell("captions")
        img, x, h = cell.static("img", 3), cell.input("x", 4), cell.signal("h", 4)
        h[t] = np.tanh(x[t] + h[t-1])
        h[0] = np.linalg.solve(parameter("A", 4, 4) + 2 * np.eye(4), parameter("W", 4, 3) @ img)   # which ONNX lacks
        file = cell.to_onnx(tmp_path / "m.onnx", state=True)
        run, images, given = Runtime(file), np.random.default_rng(3).normal(size=(5, 3)), data(cell)
        assert run.inputs == ["x", "h[0]"]
        check(run(**given, **file.start(5, img=images))["h"], cell.unroll(**given, img=images)["h"].stack(), "h")
        with pytest.raises(ValueError, match=r"computed from img, declared at .*: give it, start\(batch, img=...\)"):
            file.start(5)

    def test_a_state_of_another_batch_is_refused(self, tmp_path: Path) -> None:
        file = elman().to_onnx(tmp_path / "m.onnx", state=True)
        with pytest.raises(ValueError, match=r"batches don't fit together .*: x \(3,\), h\[0\] \(2,\)"):
            file.start(3, initial={"h": np.ones((2, 4))})

    def test_an_input_without_a_value_is_named(self, tmp_path: Path) -> None:
        cell = Cell("lag")
        x, y = cell.input("x", 2), cell.signal("y", 2)
        y[t] = x[t-1]
        file = cell.to_onnx(tmp_path / "m.onnx", state=True)
        with pytest.raises(ValueError, match=r"x\[0\] is read at test_onnx_state.py.*Set it"):
            file.start(3)
        assert file.start(3, initial={"x": 1.0})["x[0]"].tolist() == [[1.0, 1.0]] * 3


class TestReadsAhead:
    def test_the_edge_and_its_line_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(DefinitionError, match=r"hb reads hb\[t\+1\], at definitions.py:\d+, which isn't known at "
                                                  r"the end of a call: a file with state=True .* without hb, outputs="):
            bidirectional().to_onnx(tmp_path / "m.onnx", state=True)
        assert not list(tmp_path.iterdir())

    def test_an_equation_of_an_earlier_step(self, tmp_path: Path) -> None:
        cell = Cell("earlier")
        x, y = cell.input("x", 2), cell.signal("y", 2)
        y[t-1] = 2 * x[t]
        with pytest.raises(DefinitionError, match=r"equation of y, at test_onnx_state.py:\d+, defines a step before t"):
            cell.to_onnx(tmp_path / "m.onnx", state=True)

    def test_a_read_of_a_later_step_that_is_computed_before_is_none(self, tmp_path: Path) -> None:
        cell = Cell("known")
        x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
        h[t+1] = 0.5 * h[t] + x[t]
        y[t] = h[t+1] - h[t]
        file, given = cell.to_onnx(tmp_path / "m.onnx", state=True), data(cell)
        assert file.state == {"h[1]": "h[T+1]"}
        check(Runtime(file)(**given, **file.start(5))["y"], cell.unroll(**given)["y"].stack(), "y")
