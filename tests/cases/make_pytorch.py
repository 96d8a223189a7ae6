"""Writes pytorch.json: losses, optimisers, clipping, bounds of initialisers and activations, as PyTorch computes them.

    pip install torch==2.13.0
    python tests/cases/make_pytorch.py
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
PREDICTION = torch.tensor([[0.5, -1.25, 3.0], [2.0, 0.25, -0.75]], requires_grad=True)
REAL = torch.tensor([[0.25, 0.75, -1.0], [2.0, 0.5, 0.5]])
PROBABILITY = torch.tensor([[0.0, 1.0, 1.0], [0.25, 0.0, 1.0]])
LABELS = torch.tensor([2, 0])
LOSSES = {
    "mse": (F.mse_loss, REAL, {}), "mae": (F.l1_loss, REAL, {}), "huber": (F.huber_loss, REAL, {}),
    "huber_delta_2.5": (F.huber_loss, REAL, {"delta": 2.5}), "cross_entropy": (F.cross_entropy, LABELS, {}),
    "binary_cross_entropy": (F.binary_cross_entropy_with_logits, PROBABILITY, {})}

START = [[0.5, -1.0], [2.0, 0.25]]
GRADIENTS = [[[0.1, -0.2], [0.3, 1.5]], [[-0.4, 0.2], [0.05, -1.0]], [[0.0, 0.7], [-0.3, 0.2]],
             [[0.25, -0.1], [0.6, 0.4]], [[-1.0, 0.3], [0.2, 0.0]]]
OPTIMISERS = [
    "SGD(lr=0.1)", "SGD(lr=0.1, momentum=0.9)", "SGD(lr=0.1, momentum=0.9, nesterov=True)",
    "SGD(lr=0.1, momentum=0.9, weight_decay=0.05)", "SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)",
    "Adagrad(lr=0.1)", "Adagrad(lr=0.1, eps=0.001, weight_decay=0.05)", "RMSprop(lr=0.1)",
    "RMSprop(lr=0.1, alpha=0.9, eps=0.001, momentum=0.5, weight_decay=0.05)", "Adam(lr=0.1)",
    "Adam(lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.05)", "AdamW(lr=0.1)",
    "AdamW(lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.5)"]

X = torch.tensor([-3.0, -0.7, 0.0, 0.4, 2.5], requires_grad=True)
WEIGHTS = torch.tensor([1.0, -2.0, 3.0, 0.5, -1.0])


def gelu(x):
    return F.gelu(x, approximate="tanh")


def log_softmax(x):
    return F.log_softmax(x, -1)


def softmax(x):
    return F.softmax(x, -1)


def logsumexp(x):
    return torch.logsumexp(x, -1)


FUNCTIONS = {"sigmoid": torch.sigmoid, "softplus": F.softplus, "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu,
             "gelu": gelu, "log_softmax": log_softmax, "softmax": softmax, "logsumexp": logsumexp}


def losses():
    found = {}
    for name, (loss, target, options) in LOSSES.items():
        rows = found[name] = {}
        for reduction in ("none", "mean", "sum"):
            PREDICTION.grad = None
            value = loss(PREDICTION, target, reduction=reduction, **options)
            value.sum().backward()
            rows[reduction] = value.tolist()
            rows[f"{reduction}_grad"] = PREDICTION.grad.tolist()
    logits = torch.tensor([[[0.5, -1.25, 3.0], [2.0, 0.25, -0.75]], [[0.1, 0.2, 0.3], [-1, 0, 1]]], requires_grad=True)
    masked = F.cross_entropy(logits.reshape(-1, 3), torch.tensor([2, -100, 1, 0]), ignore_index=-100)
    masked.backward()
    found["masked_cross_entropy"] = {"mean": masked.item(), "mean_grad": logits.grad.tolist()}
    return found


def optimisers():
    found = {}
    for text in OPTIMISERS:
        w = torch.tensor(START, requires_grad=True)
        optimizer = eval(f"torch.optim.{text.replace('(', '([w], ', 1)}", {"torch": torch, "w": w})
        rows = found[text] = []
        for grad in GRADIENTS:
            w.grad = torch.tensor(grad)
            optimizer.step()
            rows.append(w.tolist())
    return found


def clip_norm():
    a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0, -4.0]], requires_grad=True)
    a.grad, b.grad = torch.tensor([1.0, -2.0]), torch.tensor([[3.0, -4.0]])
    norm = torch.nn.utils.clip_grad_norm_([a, b], 2.0)
    return {"norm": norm.item(), "a": a.grad.tolist(), "b": b.grad.tolist()}


class Recorded(torch.Tensor):
    """Records the values with which it is filled."""

    def uniform_(self, low, high, generator=None):
        self.asked = {"bound": high}
        return self

    def normal_(self, mean, std, generator=None):
        self.asked = {"std": std}
        return self


def initialisers():
    init = torch.nn.init
    makers = {"glorot": (init.xavier_uniform_, {}), "glorot_normal": (init.xavier_normal_, {}),
              "he": (init.kaiming_normal_, {"nonlinearity": "relu"}),
              "he_uniform": (init.kaiming_uniform_, {"nonlinearity": "relu"}),
              "lecun": (init.kaiming_normal_, {"nonlinearity": "linear"})}
    found = {}
    for shape in ((8, 3), (2, 5)):
        found[str(shape)] = {}
        for name, (maker, options) in makers.items():
            tensor = torch.empty(shape).as_subclass(Recorded)
            maker(tensor, **options)
            found[str(shape)][name] = tensor.asked
    return found


def functions():
    found = {}
    for name, function in FUNCTIONS.items():
        X.grad = None
        value = function(X)
        (value * (WEIGHTS if value.ndim else 1)).sum().backward()
        found[name] = {"value": value.tolist(), "grad": X.grad.tolist()}
    return found


def written(value, depth=0):
    """JSON with short rows."""
    if not isinstance(value, dict) or len(json.dumps(value)) < 110:
        return json.dumps(value)
    space = " " * (depth + 1)
    rows = [f"{space}{json.dumps(name)}: {written(part, depth + 1)}" for name, part in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"


if __name__ == "__main__":
    cases = {"source": f"PyTorch {torch.__version__.split('+')[0]}, CPU, float64", "losses": losses(),
             "optimisers": optimisers(), "clip_norm": clip_norm(), "initialisers": initialisers(),
             "functions": functions()}
    Path(__file__).with_name("pytorch.json").write_text(written(cases) + "\n", encoding="utf-8")
