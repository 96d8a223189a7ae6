"""cell.to_onnx(path): a file that ONNX's checker passes, and that ONNX Runtime computes as unroll does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import case, elman, lstm, own_output, parameter
from exports import EVERY, LENGTHS, expected, largest_difference, name_of, taken_by
from onnx_operators import onnx_definition
from own_operations import swish

import minigrad as mg
from rnn import Cell, DefinitionError, interop, t

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

from rnn.export.onnx import IR_VERSION, OPSET, OnnxBackend, Value, info  # noqa: E402


def run(model: Path | bytes, **inputs: Any) -> dict[str, Any]:
    """What ONNX Runtime computes, by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options,
                                           providers=["CPUExecutionProvider"])
    return dict(zip([x.name for x in session.get_outputs()], session.run(None, inputs)))


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("make", EVERY)
def test_values_are_those_of_the_unrolled_graph(make: Callable[[], Cell], lengths: bool, tmp_path: Path) -> None:
    cell, data, values, _ = expected(make, {"lengths": LENGTHS} if lengths else {})
    path = cell.to_onnx(tmp_path / "model.onnx", lengths=lengths)
    onnx.checker.check_model(str(path), full_check=True)
    if "T" in data:
        data["T"] = np.array([data["T"]])
    if lengths:
        data["lengths"] = LENGTHS
    computed = {name: x for name, x in values.items() if not cell.signals[name].given}
    assert largest_difference(run(path, **data), computed) < 1e-12


@pytest.mark.parametrize("case", taken_by("ONNX"), ids=name_of)
def test_operations_are_ours_at_kinks_too(case: Any) -> None:
    op, *arrays = case
    if 0 in [x.size for x in arrays] and type(op).__name__ in ("Max", "Min", "MatMul", "EinSum", "LogSumExp"):
        pytest.skip("ONNX Runtime has no result for nothing")
    backend = OnnxBackend(np.dtype(float))
    values = [Value(backend, f"x{number}", x.shape, x.dtype) for number, x in enumerate(arrays)]
    out = backend.compute(op, *values)
    wanted = np.asarray(op.forward(*arrays))
    assert out.shape == wanted.shape
    backend.emit("Identity", out, shape=out.shape, name="out")
    tensors = [numpy_helper.from_array(array, name) for name, array in backend.initializers.items()]
    graph = helper.make_graph(backend.graphs[0], "operation", [info(x) for x in values],
                              [info(Value(backend, "out", out.shape, out.dtype))], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    found = run(model.SerializeToString(), **{f"x{number}": x for number, x in enumerate(arrays)})["out"]
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


class TestFile:
    def test_a_loop_is_a_scan_and_the_names_are_the_definitions(self, tmp_path: Path) -> None:
        cell = lstm()
        graph = onnx.load(cell.to_onnx(tmp_path / "m.onnx")).graph
        assert [node.op_type for node in graph.node].count("Scan") == 1
        assert [x.name for x in graph.input] == ["x"] and [x.name for x in graph.output] == ["h", "c", "y"]
        assert set(cell.parameters) <= {x.name for x in graph.initializer}
        scan = next(node for node in graph.node if node.op_type == "Scan")
        lines = {node.doc_string for node in scan.attribute[0].g.node}
        assert str(cell.equations[0].origin) in lines and str(cell.equations[1].origin) in lines

    def test_products_that_are_joined_say_from_which_line_they_come(self, tmp_path: Path) -> None:
        cell = lstm()
        graph = onnx.load(cell.to_onnx(tmp_path / "m.onnx")).graph
        scan = next(node for node in graph.node if node.op_type == "Scan")
        products = [node for node in [*graph.node, *scan.attribute[0].g.node] if node.op_type == "MatMul"]
        assert len(products) == 3
        assert all(node.doc_string.startswith("definitions.py:") for node in products)

    def test_every_constant_is_read(self, tmp_path: Path) -> None:
        graph = onnx.load(elman().to_onnx(tmp_path / "m.onnx", state=True)).graph
        scan = next(node for node in graph.node if node.op_type == "Scan")
        read = {name for node in [*graph.node, *scan.attribute[0].g.node] for name in node.input}
        assert {x.name for x in graph.initializer} <= read

    def test_any_number_of_steps_and_sequences_fits(self, tmp_path: Path) -> None:
        cell = elman()
        path = cell.to_onnx(tmp_path / "m.onnx", outputs=["y"])
        for T, batch in ((1, 1), (9, 2)):
            x = np.random.default_rng(T).normal(size=(T, batch, 3))
            np.testing.assert_allclose(run(path, x=x)["y"], cell.unroll(x=x)["y"].stack().numpy(), rtol=1e-12)
            assert list(run(path, x=x)) == ["y"]
        path = own_output().to_onnx(tmp_path / "own.onnx")
        assert run(path, T=np.array([7]))["x"].shape == (7, 3)

    def test_float32_stays_float32(self, tmp_path: Path) -> None:
        cell = elman(np.float32)
        x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
        found = run(cell.to_onnx(tmp_path / "m.onnx"), x=x)["y"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, cell.unroll(x=x)["y"].stack().numpy(), rtol=1e-4, atol=1e-6)

    def test_what_a_dropout_keeps_is_an_input(self, tmp_path: Path) -> None:
        cell = Cell("dropped")
        x, y = cell.input("x", 3), cell.signal("y", 3)
        y[t] = mg.dropout(x[t], 0.5, np.random.default_rng(7)) + y[t-1]
        data = np.random.default_rng(0).normal(size=(4, 5, 3))
        kept = data > 0
        found = run(cell.to_onnx(tmp_path / "m.onnx"), **{"x": data, "~drawn 1": kept})["y"]
        np.testing.assert_allclose(found, np.cumsum(2 * data * kept, 0), rtol=1e-12)

    def test_the_parameters_come_back_with_every_bit(self, tmp_path: Path) -> None:
        cell, other = lstm(), lstm()
        for x in other.parameters.values():
            x.data = np.zeros(x.shape)
        interop.assign(other, interop.onnx_parameters(cell.to_onnx(tmp_path / "m.onnx")))
        for name, x in cell.parameters.items():
            assert other.parameters[name].numpy().tobytes() == x.numpy().tobytes()


class TestErrors:
    def test_an_operation_that_onnx_lacks_is_said_with_its_line_and_nothing_is_written(self, tmp_path: Path) -> None:
        cell = Cell("own")
        x, h = cell.input("x", 2), cell.signal("h", 2)
        h[t] = swish(x[t] + h[t-1])
        with pytest.raises(DefinitionError, match=r"ONNX has no Swish, used at own_operations.py:\d+: "):
            cell.to_onnx(tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())

    def test_one_name_for_two_things_is_refused(self, tmp_path: Path) -> None:
        cell = Cell("twice")
        x, h = cell.input("x", 3), cell.signal("h", 4)
        h[t] = parameter("h", 4, 3) @ x[t]
        with pytest.raises(DefinitionError, match=r"'h' is a parameter and a signal, made at test_to_onnx\.py:"):
            cell.to_onnx(tmp_path / "m.onnx")

    def test_an_unknown_output_is_named_with_those_there_are(self, tmp_path: Path) -> None:
        message = r"'elman' computes no signal 'x' \(at test_to_onnx.py:\d+\): it computes h, y"
        with pytest.raises(ValueError, match=message):
            elman().to_onnx(tmp_path / "m.onnx", outputs=["x"])


# ---- weights from files of others
STORED = {name: stored for name, stored in case("onnx_cells").items() if name != "source"}


def file_of(kind: str, inputs: dict[str, Any], folder: Path, **attributes: Any) -> Path:
    """A file with one recurrent node, as other tools write it."""
    tensors = {key: np.array(inputs[key], np.float32) for key in "WRBP" if key in inputs}
    size = tensors["R"].shape[-1]
    keys = ["X", "W", "R", "B" if "B" in tensors else "", *(["", "", "", "P"] if "P" in tensors else [])]
    direction = "bidirectional" if len(tensors["W"]) == 2 else "forward"
    node = helper.make_node(kind, keys, ["Y"], "layer", hidden_size=size, direction=direction, **attributes)
    graph = helper.make_graph([node], "others", [helper.make_tensor_value_info("X", 1, ["T", "batch", 2])],
                              [helper.make_tensor_value_info("Y", 1, ["T", "directions", "batch", size])],
                              [numpy_helper.from_array(array, key) for key, array in tensors.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path = folder / "others.onnx"
    path.write_bytes(model.SerializeToString())
    return path


class TestFilesOfOthers:
    @pytest.mark.parametrize("name", STORED)
    def test_a_cell_with_the_weights_of_a_node_computes_what_the_node_does(self, name: str, tmp_path: Path) -> None:
        stored = STORED[name]
        cell, names, output = onnx_definition(stored)
        path = file_of({"elman": "RNN"}.get(stored["kind"], stored["kind"].upper()), stored["inputs"], tmp_path,
                       **stored["attributes"])
        interop.from_onnx_file(cell, names, path)
        x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
        wanted = np.concatenate(list(np.moveaxis(run(path, X=x)["Y"], 1, 0)), axis=-1)
        np.testing.assert_allclose(cell.unroll(x=x)[output].stack().numpy(), wanted, atol=1e-6)

    @pytest.mark.parametrize(("attributes", "message"), [
        ({"activations": ["Sigmoid", "Relu", "Tanh"]}, "the activations of 'layer' are Sigmoid, Relu, Tanh"),
        ({"clip": 3.0}, r"'layer' has clip=3\.0, which no cell here has"),
        ({"input_forget": 1}, "'layer' has input_forget=1")])
    def test_what_no_cell_here_does_is_refused(self, attributes: Any, message: str, tmp_path: Path) -> None:
        stored = STORED["lstm"]
        cell, names, _ = onnx_definition(stored)
        before = {name: x.numpy().copy() for name, x in cell.parameters.items()}
        with pytest.raises(ValueError, match=message):
            interop.from_onnx_file(cell, names, file_of("LSTM", stored["inputs"], tmp_path, **attributes))
        for name, x in cell.parameters.items():
            np.testing.assert_array_equal(x.numpy(), before[name])

    def test_a_node_that_is_not_there_is_named_with_those_that_are(self, tmp_path: Path) -> None:
        stored = STORED["lstm"]
        path = file_of("LSTM", stored["inputs"], tmp_path)
        with pytest.raises(ValueError, match=r"others.onnx: no node 'other'; its recurrent nodes: 'layer' \(LSTM\)"):
            interop.from_onnx_file(Cell("c"), ["a"], path, node="other")
