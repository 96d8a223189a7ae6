"""Weights in ONNX files: in subgraphs, moved by the file, of another direction, and in files made to do harm."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from rnn import Cell, cells, interop  # noqa: E402

pytestmark = pytest.mark.exports

INPUTS, SIZE = 3, 4
SHAPES = {"W": (1, 4 * SIZE, INPUTS), "R": (1, 4 * SIZE, SIZE), "B": (1, 8 * SIZE)}


def arrays(seed: int, directions: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=(directions, *shape[1:])).astype(np.float32) for key, shape in SHAPES.items()}


def lstm(tensors: dict[str, Any], name: str = "layer", prefix: str = "", **attributes: Any) -> tuple[Any, list[Any]]:
    """A node, and the stored tensors that it reads."""
    node = helper.make_node("LSTM", ["X", *(prefix + key for key in "WRB")], ["Y"], name, hidden_size=SIZE,
                            **attributes)
    return node, [numpy_helper.from_array(array, prefix + key) for key, array in tensors.items()]


def value(name: str, shape: Any = None, kind: int = 1) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def written(nodes: list[Any], stored: list[Any], folder: Path, change: Callable[[Any], Any] | None = None) -> Path:
    graph = helper.make_graph(nodes, "others", [value("X", ["T", "batch", INPUTS]), value("c", [], 9)], [value("Y")],
                              stored)
    if change is not None:
        change(graph)
    path = folder / "others.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def definition(*reverse: bool) -> Cell:
    cell = Cell("c")
    x = cell.input("x", INPUTS)
    for name, backward in zip("ab", reverse or (False,)):
        cells.lstm(cell, x, SIZE, name=name, rng=np.random.default_rng(9), dtype=np.float32, biases=2,
                   reversed=backward)
    return cell


def assert_has(cell: Cell, tensors: dict[str, Any]) -> None:
    for key, array in interop.to_onnx(cell, ["a"]).items():
        np.testing.assert_array_equal(array, tensors[key])


# ---- subgraphs
def conditional(folder: Path, names: tuple[str, str], outside: bool = False) -> Path:
    """A file with one LSTM in each branch of an If, whose weights are in the branch or in the outer graph."""
    branches, outer = [], []
    for number, name in enumerate(names):
        node, stored = lstm(arrays(number), name, f"{number}_")
        outer += stored if outside else []
        branches.append(helper.make_graph([node], name, [], [value("Y")], [] if outside else stored))
    node = helper.make_node("If", ["c"], ["Y"], "If_1", then_branch=branches[0], else_branch=branches[1])
    return written([node], outer, folder)


@pytest.mark.parametrize("outside", [False, True])
def test_a_node_in_a_branch_is_found_by_its_name_or_its_path(outside: bool, tmp_path: Path) -> None:
    for node, seed in (("first", 0), ("second", 1), ("If_1/then_branch/first", 0), ("If_1/else_branch/second", 1)):
        cell = definition()
        interop.from_onnx_file(cell, ["a"], conditional(tmp_path, ("first", "second"), outside), node)
        assert_has(cell, arrays(seed))


def test_of_several_nodes_one_is_asked_for_by_path(tmp_path: Path) -> None:
    path = conditional(tmp_path, ("same", "same"))
    for node in (None, "same"):
        with pytest.raises(ValueError, match=r"which one\? Name it, node=; its recurrent nodes: .*"
                                             r"'If_1/else_branch/same' \(LSTM\)"):
            interop.from_onnx_file(definition(), ["a"], path, node)
    cell = definition()
    interop.from_onnx_file(cell, ["a"], path, "If_1/else_branch/same")
    assert_has(cell, arrays(1))


def test_a_node_in_the_body_of_a_loop_in_a_branch_is_found(tmp_path: Path) -> None:
    node, stored = lstm(arrays(0))
    body = helper.make_graph([node], "body", [value("i", [], 7), value("k", [], 9)], [value("k", [], 9), value("Y")],
                             stored)
    loop = helper.make_graph([helper.make_node("Loop", ["", "c"], ["Y"], "loop", body=body)], "then", [], [value("Y")])
    path = written([helper.make_node("If", ["c"], ["Y"], "", then_branch=loop, else_branch=loop)], [], tmp_path)
    cell = definition()
    interop.from_onnx_file(cell, ["a"], path, "If 0/then_branch/loop/body/layer")
    assert_has(cell, arrays(0))


# ---- weights that the file moves
def test_weights_that_the_file_sorts_are_read(tmp_path: Path) -> None:
    """As PyTorch's exporter writes them: rows i, f, g, o are cut and joined as i, o, f, c."""
    tensors = arrays(0)
    i, o, f, g = np.split(tensors["W"][0], 4)
    node, stored = lstm({key: array for key, array in tensors.items() if key != "W"})
    stored += [numpy_helper.from_array(np.concatenate([i, f, g, o]).T.copy(), "source"),
               *(numpy_helper.from_array(np.array([n]), f"n{n}") for n in (0, 4, 8, 12, 16))]
    turn = helper.make_node("Transpose", ["source"], ["turned"], perm=[1, 0])
    cuts = [helper.make_node("Slice", ["turned", f"n{4 * k}", f"n{4 * k + 4}", "n0"], [f"part{k}"]) for k in range(4)]
    join = helper.make_node("Concat", ["part0", "part3", "part1", "part2"], ["joined"], axis=0)
    first = helper.make_node("Constant", [], ["axis"], value=numpy_helper.from_array(np.array([0])))
    last = helper.make_node("Unsqueeze", ["joined", "axis"], ["W"])
    cell = definition()
    interop.from_onnx_file(cell, ["a"], written([first, turn, *cuts, join, last, node], stored, tmp_path))
    assert_has(cell, tensors)


def test_weights_that_the_file_computes_otherwise_are_refused(tmp_path: Path) -> None:
    node, stored = lstm(arrays(0))
    stored[0].name = "source"
    for kind, source in (("Relu", "source"), ("Identity", "X"), ("Identity", "nothing")):
        path = written([helper.make_node(kind, [source], ["W"]), node], stored, tmp_path)
        with pytest.raises(ValueError, match=r"others\.onnx: 'W', which the node 'layer' reads, is computed"):
            interop.from_onnx_file(definition(), ["a"], path)


# ---- directions
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("reverse", [(False, False), (True, True), (False, True), (True, False)])
@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_only_cells_of_the_nodes_direction_take_its_weights(direction: str, reverse: tuple[bool, bool],
                                                            names: list[str], tmp_path: Path) -> None:
    node, stored = lstm(arrays(0, 2 if direction == "bidirectional" else 1), direction=direction)
    path, cell = written([node], stored, tmp_path), definition(*reverse)
    wanted = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    if wanted == list(reverse[:len(names)]):
        interop.from_onnx_file(cell, names, path)
    else:
        with pytest.raises(ValueError, match=r"runs|one cell|two cells"):
            interop.from_onnx_file(cell, names, path)


# ---- damage
def external(graph: Any) -> None:
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def dimensions(*lengths: int) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        graph.initializer[0].dims[:] = lengths
    return change


def strings(graph: Any) -> None:
    graph.initializer[0].CopyFrom(helper.make_tensor("W", onnx.TensorProto.STRING, [1], [b"x"]))


def cycle(graph: Any) -> None:
    graph.initializer.pop(0)
    graph.node.extend([helper.make_node("Identity", ["Q"], ["W"]), helper.make_node("Identity", ["W"], ["Q"])])


def doubling(graph: Any) -> None:
    graph.initializer[0].name = "W0"
    graph.node.extend(helper.make_node("Concat", [f"W{k}", f"W{k}"], [f"W{k + 1}" if k < 59 else "W"], axis=0)
                      for k in range(60))


def wide(graph: Any) -> None:
    graph.initializer[0].name = "W0"
    graph.node.append(helper.make_node("Concat", ["W0"] * 100_000, ["W"], axis=0))


def without(graph: Any) -> None:
    graph.node[0].input[1] = ""


@pytest.mark.parametrize(("change", "message"), [
    (external, "the data of 'W' are in another file, which isn't read"),
    (dimensions(1, 10 ** 13, 3), "the tensor 'W' is damaged"), (dimensions(1, -16, 3), "the tensor 'W' is damaged"),
    (dimensions(), "the tensor 'W' is damaged"), (strings, "'W' holds object, not real numbers"),
    (cycle, "'W', which the node 'layer' reads, can't be computed: the graph has a cycle"),
    (doubling, "it moves more than the file holds"), (wide, "it moves more than the file holds"),
    (without, "'layer' has no input W")])
def test_a_crafted_file_is_an_error_that_names_it(change: Any, message: str, tmp_path: Path) -> None:
    node, stored = lstm(arrays(0))
    path = written([node], stored, tmp_path, change)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"others\.onnx: .*{message}"):
            interop.from_onnx_file(definition(), ["a"], path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [1, 100, -5])
def test_a_file_that_is_no_model_is_refused(cut: int, tmp_path: Path) -> None:
    node, stored = lstm(arrays(0))
    path = written([node], stored, tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    for read in (lambda: interop.from_onnx_file(definition(), ["a"], path), lambda: interop.onnx_parameters(path)):
        with pytest.raises(ValueError, match=r"others\.onnx is not an ONNX file, or it is damaged"):
            read()
    with pytest.raises(ValueError, match="is a folder, not an ONNX file"):
        interop.onnx_parameters(tmp_path)
    with pytest.raises(FileNotFoundError):
        interop.onnx_parameters(tmp_path / "none.onnx")


@pytest.mark.parametrize("seed", range(200))
def test_bytes_changed_at_random_are_refused_or_harmless(seed: int, tmp_path: Path) -> None:
    node, stored = lstm(arrays(0))
    path = written([node], stored, tmp_path)
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    cell = definition()
    before = {name: tensor.numpy() for name, tensor in cell.parameters.items()}
    try:
        interop.from_onnx_file(cell, ["a"], path)
    except ValueError:
        for name, tensor in cell.parameters.items():
            np.testing.assert_array_equal(tensor.numpy(), before[name])
