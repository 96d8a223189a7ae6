"""How the operations of assignment 1 are called."""

import contextlib
import io
from typing import Any

import numpy as np

Data = dict[str, Any]
# operation -> its options, the inputs it is given, the names of its operands
OPERATIONS: dict[str, tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]] = {
    "Multiply": ((), ("p", "q"), ("a", "b")), "Sigmoid": ((), ("x",), ("x",)), "MatMul": ((), ("m", "w"), ("a", "b")),
    "Mean": ((1,), ("k",), ("x",)), "Softmax": ((), ("x",), ("x",))}
# of (4, 3, 2)
SHAPES = (2,), (3, 1), (3, 2), (), (1, 1, 2), (1, 3, 2), (4, 3, 2), (4, 1, 2), (4, 3, 1), (1,), (1, 1, 1)
UNBROADCAST: Data = {f"unbroadcast(grad, {shape})": (..., shape) for shape in SHAPES}  # part of grad, shape
# the operand has an axis of length 1 where the result has one, too
UNBROADCAST |= {f"unbroadcast(grad[:, :1], {shape})": (np.s_[:, :1], shape) for shape in ((1, 2), (4, 1, 1), (2,))}
UNBROADCAST |= {f"unbroadcast(grad[:1, :1, :1], {shape})": (np.s_[:1, :1, :1], shape) for shape in ((), (1, 1))}
LARGE, ZEROS, ONE = "large numbers", "zeros and equal numbers", "one element"
# further shapes and numbers: operation -> case -> its options and inputs
CASES: dict[str, dict[str, tuple[tuple[int, ...], tuple[str, ...]]]] = {
    "Multiply": {"both operands broadcast": ((), ("u", "v")), "an array and a number": ((), ("m", "s")),
                 ZEROS: ((), ("zeros", "zero_in")), LARGE: ((), ("large", "q")), ONE: ((), ("one", "s"))},
    "Sigmoid": {"three axes": ((), ("k",)), "a number": ((), ("s",)), ZEROS: ((), ("zeros",)),
                LARGE: ((), ("large",)), ONE: ((), ("one",))},
    "MatMul": {"a row and a column": ((), ("line", "u")), ZEROS: ((), ("zeros", "tall")),
               LARGE: ((), ("large", "tall")), ONE: ((), ("one", "one"))},
    "Mean": {"axis 0": ((0,), ("k",)), "axis -1": ((-1,), ("k",)), "a vector": ((0,), ("q",)),
             ZEROS: ((1,), ("zeros",)), LARGE: ((0,), ("large",)), ONE: ((1,), ("one",)),
             "an axis of length one": ((1,), ("u",))},
    "Softmax": {"three axes": ((), ("k",)), "a vector": ((), ("q",)), ZEROS: ((), ("zeros",)),
                LARGE: ((), ("large",)), ONE: ((), ("one",))}}


class Form(Exception):
    """A result of another form than the text describes; the message says which, after the name of the function."""


def kind(value: Any) -> str:
    """Return the name of a value's type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def unbroadcast(student: Any, d: Data) -> Data:
    return {name: student.unbroadcast(d["k"][part], shape) for name, (part, shape) in UNBROADCAST.items()}


def between(array: Any) -> Any:
    """Return the operand of another operation of the class, which is computed in between."""
    return 0.5 * array + 1


def upstream(d: Data, shape: tuple[int, ...], case: str) -> Any:
    """Return the upstream gradient of a case."""
    return np.resize(d["weights"], shape) * (1000 if case == LARGE else 1)


class Forward:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs, _ = OPERATIONS[self.name]
        return {"out": getattr(student, self.name)(*options).forward(*(d[name] for name in inputs))}


class Backward(Forward):
    """The gradients, by operand. As in a graph: forward comes before, and other operations of the class in between."""

    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs, operands = OPERATIONS[self.name]
        return self.gradients(student, options, [d[name] for name in inputs], d[f"out_{self.name}"],
                              d[f"grad_{self.name}"], operands)

    def gradients(self, student: Any, options: tuple[int, ...], arrays: list[Any], out: Any, grad: Any,
                  operands: tuple[str, ...]) -> Data:
        op, other = (getattr(student, self.name)(*options) for _ in range(2))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            op.forward(*arrays)
            other.forward(*map(between, arrays))
        found = op.backward(grad, out, *arrays)
        if found is None:
            raise Form("returned None: is `return` missing?")
        wanted = ", ".join(f"d{name}" for name in operands)
        of_arrays = tuple, np.ndarray, np.generic
        if isinstance(found, list) or (operands[1:] and not isinstance(found, of_arrays)):
            raise Form(f"returns {kind(found)}; {'gradients are a tuple' if operands[1:] else 'one array'}: "
                       f"return {wanted}")
        grads = found if isinstance(found, tuple) else (found,)
        if len(grads) != len(operands):
            raise Form(f"returns {'one array' if len(grads) == 1 else f'{len(grads)} gradients'} for {len(operands)} "
                       f"operand{'s' if operands[1:] else ''}: return {wanted}")
        return dict(zip(operands, grads))


class ForwardOf(Forward):
    """The same with other shapes."""

    def __init__(self, name: str, case: str) -> None:
        self.name, self.case = name, case

    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs = CASES[self.name][self.case]
        return {"out": getattr(student, self.name)(*options).forward(*(d[name] for name in inputs))}


class BackwardOf(Backward):
    """The same with other shapes."""

    def __init__(self, name: str, case: str) -> None:
        self.name, self.case = name, case

    def __call__(self, student: Any, d: Data) -> Data:
        options, inputs = CASES[self.name][self.case]
        out = d[f"out_{self.name}_{self.case}"]
        return self.gradients(student, options, [d[name] for name in inputs], out, upstream(d, out.shape, self.case),
                              OPERATIONS[self.name][2])


class Loss(Forward):
    def __call__(self, student: Any, d: Data) -> float:  # type: ignore[override]
        return float(np.sum(super().__call__(student, d)["out"] * d[f"grad_{self.name}"]))


class ExtremeForward(Forward):
    """Forward of numbers so large that exp overflows."""

    def __call__(self, student: Any, d: Data) -> Data:
        return {"out": getattr(student, self.name)().forward(d["extreme"])}


class ExtremeBackward(Backward):
    def __call__(self, student: Any, d: Data) -> Data:
        x = d["extreme"]
        return self.gradients(student, (), [x], d[f"extreme_{self.name}"], np.ones_like(x), ("x",))


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


NETWORK = "the network of all operations:gradients"
CALLS: Data = {"unbroadcast": unbroadcast, NETWORK: network}
NUMERIC: Data = {}
for name, row in OPERATIONS.items():
    CALLS |= {f"{name}.forward": Forward(name), f"{name}.backward": Backward(name)}
    for case in CASES[name]:
        CALLS |= {f"{name}.forward:{case}": ForwardOf(name, case), f"{name}.backward:{case}": BackwardOf(name, case)}
    NUMERIC[f"{name}.forward:numeric"] = (Loss(name), row[1])
for name in ("Sigmoid", "Softmax"):
    CALLS |= {f"{name}.forward:extremes": ExtremeForward(name), f"{name}.backward:extremes": ExtremeBackward(name)}
