"""How the functions of assignment 5 are called."""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.backward import ancestors

Data = dict[str, Any]
NAMES = ("W", "U", "b", "V")
LEFT, UPDATED = 0.25, 0.9  # a gradient that the caller leaves, and the factor of an update of the parameters


class Form(Exception):
    """A result of another form than the text describes; the message says which, after the name of the function."""


def kind(value: Any) -> str:
    """Return the name of a value's type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def parameters(d: Data, task: str = "") -> dict[str, mg.Tensor]:
    return {name: mg.Tensor(d[task + name], requires_grad=True, name=name) for name in NAMES}


def module(name: str) -> Any:
    return importlib.import_module(name)


class Watched:
    """Notes what every backward pass reaches, by backward() or mg.grad, and when it begins.

    Args:
        d: the numbers; a state is a node of its shape that is computed from U.
    """

    def __init__(self, d: Data) -> None:
        self.U, self.shape = d["U"], d["h0"].shape

    def __enter__(self) -> "Watched":
        self.outs: dict[int, Pass] = {}
        self.tensors: Any = mg.Tensor
        self.engine = module("minigrad.backward")
        self.plain, self.compute = self.tensors.backward, self.engine.compute_gradients

        def backward(out: mg.Tensor, grad: Any = None) -> None:
            self.note(out)
            self.plain(out, grad)

        def compute_gradients(out: mg.Tensor, *of: Any, **more: Any) -> Any:
            self.note(out)
            return self.compute(out, *of, **more)

        self.tensors.backward, self.engine.compute_gradients = backward, compute_gradients
        return self

    def note(self, out: mg.Tensor) -> None:
        """Note a pass; several from the same output are one."""
        nodes, states, of_U = ancestors(out), set(), set()
        for node in nodes:  # inputs first
            if node.op is None and node.requires_grad and np.array_equal(node.numpy(), self.U):
                of_U.add(node)
            elif any(x in of_U for x in node.inputs):
                of_U.add(node)
                states |= {node} if node.shape == self.shape else set()
        steps = sum(type(node.op).__name__ == "Tanh" for node in nodes)
        self.outs.setdefault(id(out), Pass(out, len(nodes), steps, states, mg.Tensor(0.0).order))

    @property
    def passes(self) -> list["Pass"]:
        """The passes that reach states; all passes where none does, as states may have another form."""
        return [one for one in self.outs.values() if one.states] or list(self.outs.values())

    @property
    def reached(self) -> list[list[int]]:
        """The numbers of nodes and of steps of each pass."""
        return [[one.nodes, one.steps] for one in self.passes]

    @property
    def early(self) -> list[int]:
        """Two passes, counted from 1, where the second has states of its own from before the first; [] if none."""
        for number, later in enumerate(self.passes, 1):
            for before, one in enumerate(self.passes[:number - 1], 1):
                if later.states.isdisjoint(one.states) and any(state.order < one.order for state in later.states):
                    return [before, number]
        return []

    def __exit__(self, *error: Any) -> None:
        self.tensors.backward, self.engine.compute_gradients = self.plain, self.compute


class Pass(NamedTuple):
    """A backward pass: its output, the numbers of nodes and steps, the states; the order of a tensor made before it."""

    out: mg.Tensor
    nodes: int
    steps: int
    states: set[mg.Tensor]
    order: int


def chunk(student: Any, d: Data) -> tuple[dict[str, mg.Tensor], mg.Tensor, mg.Tensor]:
    """Return the parameters, and the loss and the last state of the first chunk; checked."""
    p, k = parameters(d), d["k"]
    found = student.chunk_loss(d["x"][:k], d["target"][:k], mg.Tensor(d["h0"]), p)
    if found is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Form(f"returns {kind(found)}; it must be the loss and the last state: return loss, h")
    for what, x in zip(("loss", "last state"), found):
        if not isinstance(x, mg.Tensor):
            raise Form(f"returns {kind(x)} as the {what}; it must be a Tensor of the graph: .data, .item(), "
                       ".numpy() and float() leave it")
    return p, *found


def cut_off(out: mg.Tensor, p: dict[str, mg.Tensor], state: mg.Tensor, what: str) -> None:
    """Raise Form if parameters are not in the graph of a result; name the line where it ends."""
    nodes = ancestors(out)
    reached = set(nodes)
    missing = [name for name in NAMES if p[name] not in reached and (what == "loss" or name != "V")]
    if not missing:
        return
    inner = [x for x in nodes if x.op is None and not x.requires_grad and x.shape == state.shape
             and x.origin.place != "probes.py"]
    ends = f"; it ends at line {inner[-1].origin.line}, where a Tensor is made of plain numbers" if inner else ""
    raise Form(f"passes no gradient to {', '.join(missing)}: the graph of the {what} doesn't reach "
               f"{'it' if len(missing) == 1 else 'them'}{ends}. Operations on .data, .numpy() or a detached Tensor "
               "leave the graph")


def chunk_loss(student: Any, d: Data) -> Data:
    p, loss, h = chunk(student, d)
    cut_off(loss, p, h, "loss")
    if loss.shape != ():
        raise Form(f"returns a loss of shape {loss.shape}; it must be a single number: the sum over all steps")
    grads = mg.grad(loss, p)
    return {"loss": np.asarray(loss.numpy()), "h": h.numpy(), **{f"d{name}": grads[name] for name in NAMES}}


def last_state(student: Any, d: Data) -> Data:
    """Return the gradients of a weighted sum of the last state: it must be of the graph, too."""
    p, _, h = chunk(student, d)
    cut_off(h, p, h, "last state")
    grads = mg.grad(h, {name: p[name] for name in NAMES if name != "V"}, np.resize(d["V"], h.shape))
    return {f"d{name}": grad for name, grad in grads.items()}


def gradients(found: Any) -> dict[str, Any]:
    """Return the gradients by name."""
    if found is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(found, Mapping):
        wanted = ", ".join(f'"{name}": …' for name in NAMES)
        raise Form(f"returned {kind(found)}; a dict is wanted: {{{wanted}}}")
    missing = [name for name in NAMES if found.get(name) is None]
    if missing:
        raise Form(f"returned no gradient of {', '.join(missing)}: .grad is None where no gradient arrives")
    return {name: found[name] for name in NAMES}


def leave(p: dict[str, mg.Tensor]) -> None:
    """Leave gradients in parameters, as an earlier pass of the caller's does."""
    for x in p.values():
        x.grad = np.full(x.shape, LEFT)


def update(d: Data) -> Data:
    """Return the numbers with other parameters, as after an update."""
    return {**d, **{name: UPDATED * d[name] for name in NAMES}}


def truncated_gradients(student: Any, d: Data) -> Any:
    p = parameters(d)
    with Watched(d) as watched:
        found = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], p, d["k"]))
        found = {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in found.items()}  # as it is now
        reached, early = watched.reached, watched.early
        again = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], p, d["k"]))
        again = {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in again.items()}
    changed = [name for name in NAMES if not np.array_equal(p[name].numpy(), d[name])]
    for name, x in update(d).items():
        if name in NAMES:
            p[name].data = np.array(x)
    leave(p)
    later = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], p, d["k"]))
    return {**found, "reached": reached, "early": early, "changed": changed,
            **{f"{name} again": x for name, x in again.items()}, **{f"{name} later": x for name, x in later.items()}}


def lengths(d: Data) -> list[int]:
    """Return lengths of chunks: those that divide T, 1 and T too, and one longer than T."""
    T = len(d["x"])
    return [*(k for k in range(1, T + 1) if T % k == 0), T + 3]


def gradients_by_length(student: Any, d: Data) -> Data:
    found: Data = {}
    for k in lengths(d):
        gives = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], parameters(d), k))
        found |= {f"gradient of {name} with k = {k}": x for name, x in gives.items()}
    return found


def losses_by_length(student: Any, d: Data) -> Data:
    return {f"list of losses with k = {k}": np.array(losses_of(student.train(
        d["x"], d["target"], d["h0"], parameters(d), k, d["lr"], d["epochs"]))) for k in lengths(d)}


def own(p: dict[str, mg.Tensor], given: dict[str, mg.Tensor]) -> None:
    """Raise Form if a dict of parameters has other Tensors than those that were given."""
    if p.keys() != given.keys() or any(p[name] is not given[name] for name in given):
        raise Form("puts other Tensors into p; the caller's own must be trained, in place, by their .data")


def number(loss: Any) -> float:
    """Return a loss as a float; an array or a Tensor of one element is one."""
    plain = loss.numpy() if isinstance(loss, mg.Tensor) else loss
    if plain is None or isinstance(plain, (str, bytes)) or np.size(plain) != 1:
        raise Form(f"returned {plain!r:.60} among the losses; they must be numbers, one for each chunk")
    return float(np.reshape(plain, ()))


def losses_of(losses: Any) -> list[float]:
    """Return the losses of training, checked."""
    if losses is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(losses, Iterable) or isinstance(losses, (str, Mapping)):
        raise Form(f"returned {kind(losses)}; it must be a list with the loss of every chunk")
    return [number(loss) for loss in losses]


def train(student: Any, d: Data) -> Data:
    given = parameters(d)
    leave(given)
    p = dict(given)
    losses = student.train(d["x"], d["target"], d["h0"], p, d["k"], d["lr"], d["epochs"])
    own(p, given)
    return {"losses": np.array(losses_of(losses)), **{name: p[name].numpy() for name in NAMES}}


def task(student: Any, d: Data) -> Data:
    p = parameters(d, "task_")
    student.train(d["task_x"], d["task_target"], d["task_h0"], p, d["task_k"], d["task_lr"], d["task_epochs"])
    return {name: p[name].numpy() for name in NAMES}


CALLS: Data = {"chunk_loss": chunk_loss, "chunk_loss:state": last_state, "truncated_gradients": truncated_gradients,
               "truncated_gradients:lengths": gradients_by_length, "train": train, "train:lengths": losses_by_length,
               "train:task": task}
NUMERIC: Data = {}
