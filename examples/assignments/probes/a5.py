"""How the functions of assignment 5 are called."""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.backward import ancestors

Data = dict[str, Any]
NAMES = ("W", "U", "b", "V")


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
    """Counts what every backward pass reaches, by backward() or mg.grad: all nodes, and those that compute tanh."""

    def __enter__(self) -> "Watched":
        self.outs: dict[int, tuple[Any, int, int]] = {}
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
        nodes = ancestors(out)
        self.outs[id(out)] = out, len(nodes), sum(type(node.op).__name__ == "Tanh" for node in nodes)

    @property
    def reached(self) -> list[list[int]]:
        """The numbers of nodes and of steps of each pass."""
        return [[nodes, steps] for _, nodes, steps in self.outs.values()]

    def __exit__(self, *error: Any) -> None:
        self.tensors.backward, self.engine.compute_gradients = self.plain, self.compute


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


def truncated_gradients(student: Any, d: Data) -> Any:
    p = parameters(d)
    with Watched() as watched:
        found = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], p, d["k"]))
        found = {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in found.items()}  # as it is now
        reached = watched.reached
        again = gradients(student.truncated_gradients(d["x"], d["target"], d["h0"], p, d["k"]))
    changed = [name for name in NAMES if not np.array_equal(p[name].numpy(), d[name])]
    return {**found, "reached": reached, "changed": changed,
            **{f"{name} again": x for name, x in again.items()}}


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


def train(student: Any, d: Data) -> Data:
    given = parameters(d)
    p = dict(given)
    losses = student.train(d["x"], d["target"], d["h0"], p, d["k"], d["lr"], d["epochs"])
    own(p, given)
    if losses is None:
        raise Form("returned None: is `return` missing?")
    if not isinstance(losses, Iterable) or isinstance(losses, (str, Mapping)):
        raise Form(f"returned {kind(losses)}; it must be a list with the loss of every chunk")
    losses = list(losses)
    return {"losses": np.array([number(loss) for loss in losses]), **{name: p[name].numpy() for name in NAMES}}


def task(student: Any, d: Data) -> Data:
    p = parameters(d, "task_")
    student.train(d["task_x"], d["task_target"], d["task_h0"], p, d["task_k"], d["task_lr"], d["task_epochs"])
    return {name: p[name].numpy() for name in NAMES}


CALLS: Data = {"chunk_loss": chunk_loss, "chunk_loss:state": last_state, "truncated_gradients": truncated_gradients,
               "train": train, "train:task": task}
NUMERIC: Data = {}
