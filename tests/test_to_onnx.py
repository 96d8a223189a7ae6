"""cell.to_onnx(path): a file that ONNX's checker passes, and that ONNX Runtime computes as unroll does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman, lstm, own_output, parameter
from exports import EVERY, LENGTHS, OPERATIONS, expected, largest_difference, name_of
from test_own_operation import swish

import minigrad as mg
from rnn import Cell, DefinitionError, interop, t

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

from rnn.to_onnx import IR_VERSION, OPSET, OnnxEngine, Value, _info  # noqa: E402


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


@pytest.mark.parametrize("case", OPERATIONS, ids=name_of)
def test_operations_are_ours_at_kinks_too(case: Any) -> None:
    op, *arrays = case
    if 0 in [x.size for x in arrays] and type(op).__name__ in ("Max", "Min", "MatMul", "EinSum", "LogSumExp"):
        pytest.skip("ONNX Runtime has no result for nothing")
    engine = OnnxEngine(np.dtype(float))
    values = [Value(engine, f"x{number}", x.shape, x.dtype) for number, x in enumerate(arrays)]
    out = engine.compute(op, *values)
    wanted = np.asarray(op.forward(*arrays))
    assert out.shape == wanted.shape
    engine.emit("Identity", out, shape=out.shape, name="out")
    tensors = [numpy_helper.from_array(array, name) for name, array in engine.initializers.items()]
    graph = helper.make_graph(engine.graphs[0], "operation", [_info(x) for x in values],
                              [_info(Value(engine, "out", out.shape, out.dtype))], tensors)
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
        with pytest.raises(DefinitionError, match=r"ONNX has no Swish, which stands at test_own_operation.py:\d+: "):
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
