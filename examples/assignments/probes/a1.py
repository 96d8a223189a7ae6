"""How the operations of assignment 1 are called."""

from typing import Any

import numpy as np

Data = dict[str, Any]
# operation -> its options, the inputs it is given, what its operands are called
OPERATIONS: dict[str, tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]] = {
    "Multiply": ((), ("p", "q"), ("a", "b")), "Sigmoid": ((), ("x",), ("x",)), "MatMul": ((), ("m", "w"), ("a", "b")),
    "Mean": ((1,), ("k",), ("x",)), "Softmax": ((), ("x",), ("x",))}
SHAPES = {"row": (2,), "column": (3, 1), "matrix": (3, 2), "number": (), "ones": (1, 1, 2)}  # of (4, 3, 2)


def unbroadcast(student: Any, d: Data) -> Data:
    return {name: student.unbroadcast(d["k"], shape) for name, shape in SHAPES.items()}


class Forward:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs, _ = OPERATIONS[self.name]
        return {"out": getattr(student, self.name)(*options).forward(*(d[name] for name in inputs))}


class Backward(Forward):
    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs, operands = OPERATIONS[self.name]
        op = getattr(student, self.name)(*options)
        found = op.backward(d[f"grad_{self.name}"], d[f"out_{self.name}"], *(d[name] for name in inputs))
        return dict(zip(operands, found if isinstance(found, tuple) else (found,)))


class Loss(Forward):
    def __call__(self, student: Any, d: Data) -> float:  # type: ignore[override]
        return float(np.sum(super().__call__(student, d)["out"] * d[f"grad_{self.name}"]))


def extremes(student: Any, d: Data) -> Data:
    return {name: getattr(student, name)().forward(d["extreme"]) for name in ("Sigmoid", "Softmax")}


def network(student: Any, d: Data) -> Data:
    """Apply the operations in minigrad: the mean over rows of softmax(sigmoid(m w) * q), and its gradients."""
    import minigrad as mg

    m, w, q = (mg.Tensor(d[name], requires_grad=True, name=name) for name in ("m", "w", "q"))
    hidden = mg.apply(student.Sigmoid(), mg.apply(student.MatMul(), m, w))
    out = mg.apply(student.Mean(0), mg.apply(student.Softmax(), mg.apply(student.Multiply(), hidden, q)))
    out.backward(d["grad_network"])
    order, nodes = [], [out]
    while nodes:
        node = nodes.pop()
        order.append(type(node.op).__name__ if node.op else str(node.name))
        nodes += [x for x in node.inputs if x.op is not None or x.name]
    return {"order": sorted(order), "m": m.grad, "w": w.grad, "q": q.grad}


CALLS: Data = {"unbroadcast": unbroadcast, "an operation:extremes": extremes, "an operation:network": network}
NUMERIC: Data = {}
for name, row in OPERATIONS.items():
    CALLS |= {f"{name}.forward": Forward(name), f"{name}.backward": Backward(name)}
    NUMERIC[f"{name}.forward:numeric"] = (Loss(name), row[1])
