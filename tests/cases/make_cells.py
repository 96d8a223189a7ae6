"""Writes torch_cells.json, onnx_cells.json and scipy_lfilter.json: what others compute for the same weights.

    pip install torch==2.13.0 onnx onnxruntime scipy
    python tests/cases/make_cells.py

The tests read the files, and import none of these.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import scipy
import torch

HERE = Path(__file__).parent
T, BATCH, INPUTS, HIDDEN = 4, 2, 2, 3
CLASSES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def write(name, content):
    rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    (HERE / f"{name}.json").write_text("{" + rows + "}\n", encoding="utf-8")


def torch_layer(kind, **options):
    """A layer's weights, data, outputs, and the gradient of sum(y * weights) + sum(h_n) + sum(c_n)."""
    layer = CLASSES[kind](INPUTS, HIDDEN, dtype=torch.float64, **options)
    states = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    x = torch.randn(T, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    sizes = [options.get("proj_size", HIDDEN), HIDDEN]  # of h and of c
    start = [torch.randn(states, BATCH, size, dtype=torch.float64, requires_grad=True)
             for size in sizes[:2 if kind == "lstm" else 1]]
    y, end = layer(x, tuple(start) if kind == "lstm" else start[0])
    end = end if kind == "lstm" else (end,)
    weights = torch.randn_like(y)
    loss = (y * weights).sum() + sum(state.sum() for state in end)
    loss.backward()
    state = layer.state_dict()
    return {"kind": kind, "options": options,
            "state": {name: value.tolist() for name, value in state.items()},
            "x": x.tolist(), "start": [value.tolist() for value in start], "weights": weights.tolist(),
            "y": y.tolist(), "end": [value.tolist() for value in end], "loss": loss.item(),
            "grads": {"x": x.grad.tolist(), "start": [value.grad.tolist() for value in start],
                      **{name: parameter.grad.tolist() for name, parameter in layer.named_parameters()}}}


def torch_cells():
    torch.manual_seed(0)
    content = {"source": f"PyTorch {torch.__version__}, CPU, float64: torch.nn.RNN, LSTM, GRU ({INPUTS}, {HIDDEN}); "
                         "loss = sum(y * weights) + sum of the last states; written by make_cells.py"}
    content["rnn_relu"] = torch_layer("rnn", nonlinearity="relu")
    for kind in CLASSES:
        content[kind] = torch_layer(kind)
        content[f"{kind}_without_bias"] = torch_layer(kind, bias=False)
        content[f"{kind}_of_two_layers"] = torch_layer(kind, num_layers=2)
        content[f"{kind}_bidirectional"] = torch_layer(kind, bidirectional=True)
        content[f"{kind}_bidirectional_of_two_layers"] = torch_layer(kind, num_layers=2, bidirectional=True)
    content["lstm_projected"] = torch_layer("lstm", proj_size=2)
    content["lstm_projected_bidirectional_of_two_layers"] = torch_layer("lstm", proj_size=2, num_layers=2,
                                                                        bidirectional=True)
    write("torch_cells", content)


def onnx_layer(kind, directions=1, peepholes=False, **attributes):
    """One operator, computed by onnxruntime in float32."""
    rng = np.random.default_rng([directions, peepholes, *kind.encode(), *(map(int, attributes.values()))])
    rows = GATES[kind] * HIDDEN
    shapes = {"X": (T, BATCH, INPUTS), "W": (directions, rows, INPUTS), "R": (directions, rows, HIDDEN),
              "B": (directions, 2 * rows), "initial_h": (directions, BATCH, HIDDEN)}
    if kind == "lstm":
        shapes["initial_c"] = (directions, BATCH, HIDDEN)
    if peepholes:
        shapes["P"] = (directions, 3 * HIDDEN)
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    order = ["X", "W", "R", "B", "", "initial_h", *(["initial_c", "P"] if kind == "lstm" else [])]
    if not peepholes and "P" in order:
        order.remove("P")
    outputs = ["Y", "Y_h"] + (["Y_c"] if kind == "lstm" else [])
    node = onnx.helper.make_node(kind.upper(), order, outputs, hidden_size=HIDDEN,
                                 direction="bidirectional" if directions == 2 else "forward", **attributes)
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], kind, [onnx.helper.make_tensor_value_info(name, floats, shape) for name, shape in shapes.items()],
        [onnx.helper.make_tensor_value_info(name, floats, [None] * (4 if name == "Y" else 3)) for name in outputs])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(None, feeds)
    return {"kind": kind, "attributes": attributes, "inputs": {name: value.tolist() for name, value in feeds.items()},
            "outputs": {name: value.tolist() for name, value in zip(outputs, values)}}


def onnx_cells():
    content = {"source": f"onnxruntime {onnxruntime.__version__}, CPU, float32: the operators RNN, LSTM, GRU of "
                         "opset 14; written by make_cells.py"}
    for kind in CLASSES:
        for directions, words in ((1, ""), (2, "_bidirectional")):
            if kind == "gru":
                content[f"gru_reset_before{words}"] = onnx_layer("gru", directions, linear_before_reset=0)
                content[f"gru_reset_after{words}"] = onnx_layer("gru", directions, linear_before_reset=1)
            else:
                content[f"{kind}{words}"] = onnx_layer(kind, directions)
    content["lstm_with_peepholes"] = onnx_layer("lstm", 1, True)
    write("onnx_cells", content)


def scipy_lfilter():
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    b, a, x = [0.5, -0.3, 0.2], [1.0, -0.9, 0.4, 0.1], rng.normal(size=20)
    write("scipy_lfilter", {
        "source": f"SciPy {scipy.__version__}: scipy.signal.lfilter(b, a, x); written by make_cells.py",
        "b": b, "a": a, "x": x.tolist(), "y": lfilter(b, a, x).tolist()})


if __name__ == "__main__":
    torch_cells()
    onnx_cells()
    scipy_lfilter()
