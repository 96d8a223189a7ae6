"""Writes torch_*.json: losses and gradients of recurrent networks as PyTorch computes them.

Run once, with PyTorch 2.13 installed: python tests/cases/make_torch_cases.py. The tests read the
files and never import torch. All numbers are float64; data are (T, batch, size); the loss is the
mean squared error of y at all steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

HERE = Path(__file__).parent
Values = dict[str, torch.Tensor]


def drawn(seed: int, shapes: dict[str, tuple[int, ...]]) -> Values:
    generator = torch.Generator().manual_seed(seed)
    return {name: (torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5).requires_grad_()
            for name, shape in shapes.items()}


def write(name: str, source: str, values: Values, y_of: Callable[[Values], torch.Tensor]) -> None:
    y = y_of(values)
    target = values["target"].detach()
    loss = ((y - target) ** 2).mean()
    loss.backward()
    case = {"id": name, "source": f"PyTorch {torch.__version__}, CPU, float64: {source}",
            "values": {key: value.tolist() for key, value in values.items()}, "y": y.tolist(), "loss": loss.item(),
            "grads": {key: value.grad.tolist() for key, value in values.items() if value.grad is not None},
            "tolerance": {"rel": 1e-9}}
    (HERE / f"{name}.json").write_text(json.dumps(case) + "\n")


def library(kind: type[torch.nn.RNNBase], hidden: int, bidirectional: bool = False) -> Callable[[Values], torch.Tensor]:
    """y = h V.T of torch.nn.RNN (tanh) or torch.nn.LSTM, whose weights are the values of the same names."""
    def y_of(values: Values) -> torch.Tensor:
        net = kind(values["x"].shape[-1], hidden, bidirectional=bidirectional, dtype=torch.float64)
        weights = {name: values[name] for name, _ in net.named_parameters()}
        h0 = values["h0"].expand(values["x"].shape[1], hidden)[None] if "h0" in values else None
        h, _ = torch.func.functional_call(net, weights, (values["x"], h0) if h0 is not None else (values["x"],))
        return h @ values["V"].T
    return y_of


def feedback(delay: int) -> Callable[[Values], torch.Tensor]:
    """Three layers; the third feeds back to the second."""
    def y_of(v: Values) -> torch.Tensor:
        batch = v["x"].shape[1]
        h1, h2 = (v["x"].new_zeros(batch, v[name].shape[0]) for name in ("U1", "U2"))
        past = [v["x"].new_zeros(batch, v["U3"].shape[0])] * delay
        out = []
        for x in v["x"]:
            h1 = torch.tanh(x @ v["W1"].T + h1 @ v["U1"].T)
            h2 = torch.tanh(h1 @ v["W2"].T + h2 @ v["U2"].T + past[-delay] @ v["F"].T)
            past.append(torch.tanh(h2 @ v["W3"].T + past[-1] @ v["U3"].T))
            out.append(past[-1] @ v["V"].T)
        return torch.stack(out)
    return y_of


def main() -> None:
    data = {"x": (5, 2, 3), "target": (5, 2, 2)}
    rnn = {"weight_ih_l0": (4, 3), "weight_hh_l0": (4, 4), "bias_ih_l0": (4,), "bias_hh_l0": (4,)}
    write("torch_elman", "torch.nn.RNN(3, 4, nonlinearity='tanh') from h0, y = h V.T",
          drawn(1, {**data, **rnn, "h0": (4,), "V": (2, 4)}), library(torch.nn.RNN, 4))
    reverse = {f"{name}_reverse": shape for name, shape in rnn.items()}
    write("torch_bidirectional", "torch.nn.RNN(3, 4, bidirectional=True), y = [forward, backward] V.T",
          drawn(2, {**data, **rnn, **reverse, "V": (2, 8)}), library(torch.nn.RNN, 4, bidirectional=True))
    lstm = {name: (16, *shape[1:]) for name, shape in rnn.items()}
    write("torch_lstm", "torch.nn.LSTM(3, 4), gates in the order i, f, g, o, y = h V.T",
          drawn(3, {**data, **lstm, "V": (2, 4)}), library(torch.nn.LSTM, 4))
    layers = {"W1": (4, 3), "U1": (4, 4), "W2": (5, 4), "U2": (5, 5), "F": (5, 6), "W3": (6, 5), "U3": (6, 6),
              "V": (2, 6)}
    for delay in (1, 2):
        write(f"torch_feedback_{delay}", f"a loop in Python over three tanh layers, the third read {delay} step(s) "
              "before by the second", drawn(3 + delay, {**data, **layers}), feedback(delay))


if __name__ == "__main__":
    main()
