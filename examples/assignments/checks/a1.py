"""Assignment 1: what is right of the operations, and what the usual mistakes are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments import a1_source as solution
from examples.assignments.comparisons.a1 import Drawing, Extreme, InMinigrad, Renamed, edges
from examples.assignments.grading import Assignment, Check, Imports, InTurn, SecondCall, Shapes, Unmodified, Values
from examples.assignments.graphs import a1 as graphs
from examples.assignments.naming import Candidate, unlike
from examples.assignments.probes import a1 as probes
from examples.assignments.sandbox import Job

Array = NDArray[Any]
Mistakes = dict[str, list[Candidate]]
SIGNATURES: dict[str, Sequence[str]] = {"unbroadcast": ["grad", "shape"]}
for _name, _operands in graphs.OPERANDS.items():
    SIGNATURES |= {f"{_name}.forward": ["self", *_operands], f"{_name}.backward": ["self", "grad", "out", *_operands]}


def of(*mistakes: tuple[str, Array]) -> list[Candidate]:
    """Return candidates without edges; the edge follows from the operand."""
    return [Candidate(text, np.asarray(gives)) for text, gives in mistakes]


def forward_mistakes(d: dict[str, Array]) -> dict[str, list[Candidate]]:
    """Return wrong variants of results, by operation."""
    x, e = d["x"], np.exp(d["x"])
    return {
        "Multiply": of(("it is the sum, but should be the product", d["p"] + d["q"])),
        "Sigmoid": of(("it is 1 / (1 + exp(x)): the sign of x is wrong", 1 / (1 + e)),
                      ("it is tanh(x)", np.tanh(x)), ("the factor 1/2 inside tanh is missing", 0.5 * (1 + np.tanh(x)))),
        "MatMul": [],
        "Mean": of(("it is the sum, not the mean", d["k"].sum(1)),
                   ("it is the sum divided by the number of all elements", d["k"].sum(1) / d["k"].size)),
        "Softmax": of(*(mistake for shifted in (e, e / e.max(-1, keepdims=True), e / e.max()) for mistake in (
            ("it is normalised over the first axis, but should be over the last", shifted / shifted.sum(0)),
            ("it is normalised over the whole array, but should be over each row", shifted / shifted.sum()),
            ("it is not normalised", shifted))))}


def backward_mistakes(d: dict[str, Array]) -> dict[str, Mistakes]:
    """Return wrong variants of gradients, by operation and operand."""
    p, q, x, k = (d[name] for name in "pqxk")
    g = {name: d[f"grad_{name}"] for name in graphs.OPERANDS}
    s, soft, m = d["out_Sigmoid"], d["out_Softmax"], g["Multiply"]
    wide = np.broadcast_to(g["Mean"][:, None], k.shape)
    gs = g["Softmax"]
    return {
        "Multiply": {
            "a": of(("da = grad * a, but should be grad * b: the factor is the other operand", m * p),
                    ("the factor b is missing", m), ("grad is unused: it is the local derivative alone", q + 0 * m),
                    ("da = grad / b", m / q)),
            "b": of(("it is one slice only: the sum over the broadcast axes is missing", (m * p)[0, 0]),
                    ("it is one slice only: the sum over the broadcast axes is missing", (m * p)[-1, -1]),
                    ("it is the mean over the broadcast axes, but should be the sum", (m * p).mean((0, 1))),
                    ("db = grad * b, but should be grad * a: the factor is the other operand", (m * q).sum((0, 1))),
                    ("the factor a is missing", m.sum((0, 1))))},
        "Sigmoid": {"x": of(
            ("the factor (1 - out) is missing: the derivative is out * (1 - out)", g["Sigmoid"] * s),
            ("the factor out is missing: the derivative is out * (1 - out)", g["Sigmoid"] * (1 - s)),
            ("grad is not multiplied: it is the local derivative alone", s * (1 - s)),
            ("it is the derivative of tanh, 1 - out**2", g["Sigmoid"] * (1 - s * s)),
            ("x * (1 - x) is of the wrong variable: the derivative is out * (1 - out)", g["Sigmoid"] * x * (1 - x)),
            ("grad goes through unchanged: the derivative is missing", g["Sigmoid"]))},
        "MatMul": {
            "a": of(("grad is unused: it is ones @ b.T", np.ones_like(g["MatMul"]) @ d["w"].T)),
            "b": of(("grad is unused: it is a.T @ ones", d["m"].T @ np.ones_like(g["MatMul"])))},
        "Mean": {"x": of(
            ("the factor 1/n is missing: that is the gradient of the sum", wide),
            ("it is divided by the number of all elements, but should be by the axis' length", wide / k.size),
            ("it is divided by the length of the wrong axis (axis 0)", wide / k.shape[0]),
            ("it is divided by the length of the wrong axis (the last)", wide / k.shape[-1]))},
        "Softmax": {"x": of(
            ("only the diagonal of the Jacobian is there, out * (1 - out): each result depends on its whole row",
             gs * soft * (1 - soft)),
            ("the sum over the row is missing: out * (grad - sum(grad * out))", gs * soft),
            ("the sum is over the first axis, but should be over the row", soft * (gs - (gs * soft).sum(0))),
            ("the sum is over the whole array, but should be over each row", soft * (gs - (gs * soft).sum())),
            ("the factor out in front is missing", gs - (gs * soft).sum(-1, keepdims=True)),
            ("inside the sum it is grad, but should be grad * out", soft * (gs - gs.sum(-1, keepdims=True))),
            ("it is sum(grad) * out, but should be sum(grad * out): the products are summed",
             soft * (gs - gs.sum(-1, keepdims=True) * soft)),
            ("inside the sum it is out, but should be grad * out", soft * (gs - soft.sum(-1, keepdims=True))))}}


def unbroadcast_mistakes(k: Array) -> Mistakes:
    """Return wrong variants of unbroadcast; k (4, 3, 2)."""
    found = {}
    for name, (part, shape) in probes.UNBROADCAST.items():
        grad = k[part]
        padded = (1,) * (grad.ndim - len(shape)) + shape
        axes = tuple(axis for axis, n in enumerate(padded) if n == 1)
        first = grad[tuple(slice(0, n) for n in padded)]
        found[name] = unlike(of(
            ("it is the mean over the broadcast axes, but should be the sum", grad.mean(axes).reshape(shape)),
            ("it is one slice only: the sum over the broadcast axes is missing", first.reshape(shape)),
            ("grad is reshaped to (-1, *shape) and summed over the first axis: elements of other rows are added",
             grad.reshape(-1, *shape).sum(0))), np.asarray(grad.sum(axes)).reshape(shape))
    return found


def class_mistakes(name: str, d: dict[str, Array]) -> Mistakes:
    """Return gradients of another instance's operands: of an operation that keeps these on the class."""
    options, inputs, operands = probes.OPERATIONS[name]
    arrays = [d[given] for given in inputs]
    others = [probes.between(array) for array in arrays]
    other = getattr(solution, name)(*options).forward(*others)
    found: Mistakes = {operand: [] for operand in operands}
    for used in (others, arrays):
        grads = getattr(solution, name)(*options).backward(d[f"grad_{name}"], other, *used)
        for operand, grad in zip(operands, grads if isinstance(grads, tuple) else (grads,)):
            found[operand] += of(("it is that of another instance's operands: what forward keeps belongs on self, not "
                                  "on the class", grad))
    return found


def numbers(seed: int) -> dict[str, Any]:
    """Return operands, upstream gradients, and right results."""
    d: dict[str, Any] = dict(graphs.numbers(seed))
    for name in graphs.OPERANDS:
        d[f"out_{name}"] = probes.Forward(name)(solution, d)["out"]
        d |= {f"out_{name}_{case}": probes.ForwardOf(name, case)(solution, d)["out"] for case in probes.CASES[name]}
    d |= {f"extreme_{name}": getattr(solution, name)().forward(d["extreme"]) for name in ("Sigmoid", "Softmax")}
    return d


def of_operation(name: str, d: dict[str, Any], right: dict[str, Any]) -> list[Check]:
    """Return the checks of one operation."""
    forward, backward = questions = f"{name}.forward", f"{name}.backward"
    own, others = backward_mistakes(d)[name], class_mistakes(name, d)
    mistakes = {operand: unlike([*own[operand], *others[operand]], right[backward][operand]) for operand in own}
    derivative = Values(backward, right[backward], mistakes, prefix="d", until="{}", edges=edges(name), graph=name)
    uses = (backward, "unbroadcast") if name == "Multiply" else (backward,)
    called = {given: operand for operand, given in graphs.OPERANDS[name].items()}
    of_inputs = dict(zip(probes.OPERATIONS[name][1], right[backward].values()))
    cases = probes.CASES[name]
    results = InTurn([Values(forward, right[forward], {"out": forward_mistakes(d)[name]}),
                      *(Values(f"{forward}:{case}", right[f"{forward}:{case}"], place=case) for case in cases)])
    derivatives = InTurn([derivative, *(Values(f"{backward}:{case}", right[f"{backward}:{case}"], place=case,
                                               prefix="d") for case in cases)])
    return [
        Check(f"{name}: shapes and dtypes", 1, Shapes({question: right[question] for question in questions}),
              of=(forward, *uses)),
        Check(f"{name}: forward", 1, results, of=(forward,)),
        Check(f"{name}: derivative", 2, derivatives, again=1, of=uses),
        Check(f"{name}: inputs unmodified, second call", 1, InTurn([
            Unmodified(questions, derivative, {f"grad_{name}": "grad", f"out_{name}": "out", **called}),
            SecondCall(questions, derivative)]), of=(*uses, forward)),
        Check(f"{name}: central differences", 1, Renamed(name, of_inputs), of=(*uses, forward))]


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Yield the parts of the assignment, with one set of numbers."""
    d = numbers(seed)
    right = {name: call(solution, d) for name, call in probes.CALLS.items()}
    network = right[probes.NETWORK]
    functions = "unbroadcast", *(f"{name}.{what}" for name in graphs.OPERANDS for what in ("forward", "backward"))
    checks = [Check("import and signatures", 0, Imports(SIGNATURES)),
              Check("unbroadcast: shapes and dtypes", 1, Shapes({"unbroadcast": right["unbroadcast"]}),
                    of=("unbroadcast",)),
              Check("unbroadcast: the sums", 1, Values(
                  "unbroadcast", right["unbroadcast"], unbroadcast_mistakes(d["k"]),
                  f"grad of shape {d['k'].shape}"), again=1, of=("unbroadcast",))]
    for name in graphs.OPERANDS:
        checks += of_operation(name, d, right)
    checks += [Check(f"{name}: extreme numbers", 1, InTurn([
        Values(f"{name}.forward:extremes", right[f"{name}.forward:extremes"]), Extreme(name, d["extreme"])]),
                     of=(f"{name}.forward", f"{name}.backward")) for name in ("Sigmoid", "Softmax")]
    checks += [Check("in minigrad", 2, InMinigrad(network.pop("order"), network), of=functions)]
    # backward gets right results of forward
    late = [question for question in probes.CALLS if ".backward" in question]
    early = [question for question in [*probes.CALLS, *(() if hidden else probes.NUMERIC)] if question not in late]
    jobs = [Job(Path(probes.__file__), questions, data, list(SIGNATURES), ["rnn", "viz", "torch", "jax"],
                others=[other])
            for questions, data, other in ((early, graphs.numbers(seed), graphs.numbers(seed + 1)),
                                           (late, d, numbers(seed + 1)))]
    yield Assignment("a1", "operations and their derivatives", jobs, checks, "a1.py", Drawing())
