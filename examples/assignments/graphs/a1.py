"""The operations of assignment 1 in minigrad, over the numbers that the checker uses.

    python -m minigrad.debugger -c "until x" examples/assignments/graphs/a1.py Softmax [SEED]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg

OPERANDS = {"Multiply": {"a": "p", "b": "q"}, "Sigmoid": {"x": "x"}, "MatMul": {"a": "m", "b": "w"}, "Mean": {"x": "k"},
            "Softmax": {"x": "x"}}  # what forward calls them, and which of the numbers they are


def numbers(seed: int) -> dict[str, NDArray[np.float64]]:
    """Return operands, none of them square, and upstream gradients."""
    rng = np.random.default_rng(seed)
    shapes = {"p": (5, 3, 4), "q": (4,), "x": (3, 5), "m": (3, 2), "w": (2, 4), "k": (4, 3, 2),
              "grad_Multiply": (5, 3, 4),
              "grad_Sigmoid": (3, 5), "grad_MatMul": (3, 4), "grad_Mean": (4, 2), "grad_Softmax": (3, 5),
              "grad_network": (4,)}
    d = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    more = {"u": (3, 1), "v": (2, 1, 4), "s": (), "line": (1, 3), "weights": (60,), "tall": (4, 2), "one": (1, 1)}
    d |= {name: np.asarray(rng.normal(size=shape)) for name, shape in more.items()}
    d["zeros"] = rng.normal(size=(3, 4)) * [[0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 1, 0]]
    d["zeros"][1, 2:] = 1.5  # two equal ones
    d["zero_in"] = rng.normal(size=4) * [1, 0, 1, 1]
    d["large"] = 6 * rng.normal(size=(3, 4))
    d["extreme"] = np.array([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -999.0]])
    return d


def graph(name: str, d: dict[str, Any]) -> mg.Tensor:
    """Return a loss whose gradient for the operation's result is the upstream gradient."""
    inputs = [mg.Tensor(d[given], requires_grad=True, name=operand) for operand, given in OPERANDS[name].items()]
    compute: dict[str, Any] = {"Multiply": mg.multiply, "Sigmoid": mg.sigmoid, "MatMul": mg.matmul, "Softmax": softmax}
    out: mg.Tensor = mg.mean(inputs[0], axis=1) if name == "Mean" else compute[name](*inputs)
    out.name = name
    loss: mg.Tensor = (out * d[f"grad_{name}"]).sum()
    return loss


def softmax(x: mg.Tensor) -> mg.Tensor:
    """Return exp(x) / sum(exp(x)) in the steps of the text; minigrad's own takes the exponential of a logarithm."""
    e = mg.exp(x - x.data.max(axis=-1, keepdims=True))
    quotient: mg.Tensor = e / e.sum(axis=-1, keepdims=True)
    return quotient


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated."""
    return graph(name, numbers(seed))


if __name__ == "__main__":
    output(sys.argv[1] if len(sys.argv) > 1 else "Multiply", int(sys.argv[2]) if len(sys.argv) > 2 else 0).backward()
