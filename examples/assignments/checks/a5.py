"""Assignment 5: the right truncated gradients and losses, and the names of usual mistakes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from examples.assignments import a5_source as solution
from examples.assignments.comparisons.a5 import NAMES, Drawing, Learned, Lengths, Losses, Reach, Repeated, Truncated
from examples.assignments.grading import Assignment, Check, Imports, SecondCall, Shapes, Unmodified, Values
from examples.assignments.graphs import a5 as graphs
from examples.assignments.naming import Candidate, Edge, unlike
from examples.assignments.probes import a5 as probes
from examples.assignments.sandbox import Job

Array = NDArray[Any]
SIGNATURES = {"chunk_loss": ["x", "target", "h", "p"], "truncated_gradients": ["x", "target", "h0", "p", "k"],
              "train": ["x", "target", "h0", "p", "k", "lr", "epochs"]}


@dataclass(frozen=True)
class Variant:
    """One variant of training or of summing gradients, right or wrong.

    Attributes:
        mistake: its name; "" for the right variant.
        k: the length of chunks.
        cut: every how many steps the gradient is cut; 0: never. By default at the borders.
        reset: the state starts from h0 (1) or from zero (2) in every chunk.
        zero: the first state is zero; late: a chunk's loss is that after its update.
        only: which chunks' gradients are kept.
        carry: whether the state is carried from epoch to epoch.
        clear: gradients are cleared before a backward pass; kept: but not before the first one.
        running: what .grad adds up is added up again, after each chunk.
        sign: of the update; frozen: the parameter without one; once: there is one for each epoch.
        mean: gradients are divided by k (1), or by the number of the chunk's steps (2); told: so are losses.
    """

    mistake: str
    k: int
    cut: int | None = None
    reset: int = 0
    only: slice = field(default_factory=lambda: slice(None))
    carry: bool = False
    clear: bool = True
    sign: float = -1.0
    zero: bool = False
    late: bool = False
    kept: bool = False
    running: bool = False
    frozen: str = ""
    once: bool = False
    mean: int = 0
    told: int = 0


def chunk(d: dict[str, Any], part: slice, h: Any, p: dict[str, Any], cut: int) -> tuple[Any, Any]:
    """Return the loss of some steps, whose gradient is cut after every `cut` of them, and the last state."""
    total, x, target = 0.0, d["x"][part], d["target"][part]
    for start in range(0, len(x), cut or len(x)):
        inside = slice(start, start + (cut or len(x)))
        loss, h = solution.chunk_loss(x[inside], target[inside], h, p)
        total = loss + total
        if cut and inside.stop < len(x):
            h = h.detach()
    return total, h


def gradients(d: dict[str, Any], variant: Variant) -> dict[str, Array]:
    """Return the gradients that a variant of truncation gives."""
    p, T = probes.parameters(d), len(d["x"])
    h: Any = mg.Tensor(d["h0"] * (not variant.zero))
    parts = [slice(start, min(start + variant.k, T)) for start in range(0, T, variant.k)]
    losses = []
    for number, part in enumerate(parts):
        if variant.reset and number:
            h = mg.Tensor(d["h0"] * (variant.reset == 1))
        loss, h = chunk(d, part, h, p, variant.cut or 0)
        losses.append(loss)
        if variant.cut != 0:
            h = h.detach()
    total = {name: np.zeros(x.shape) for name, x in p.items()}
    for loss in losses[variant.only]:
        loss.backward()
        total = {name: total[name] * variant.running + (0 if x.grad is None else x.grad) for name, x in p.items()}
    return total


def training(d: dict[str, Any], variant: Variant) -> Array:
    """Return the losses of a variant of training."""
    p, T = probes.parameters(d), len(d["x"])
    losses: list[float] = []
    probes.leave(p)
    h: Any = mg.Tensor(d["h0"])
    for _ in range(d["epochs"]):
        h = h if variant.carry else mg.Tensor(d["h0"] * (not variant.zero))
        for start in range(0, T, variant.k):
            if variant.reset and start:
                h = mg.Tensor(d["h0"] * (variant.reset == 1))
            part, first, steps = slice(start, start + variant.k), h, min(variant.k, T - start)
            loss, h = chunk(d, part, h, p, variant.cut or 0)
            if variant.clear and not (variant.kept and not losses) and not (variant.once and start):
                for x in p.values():
                    x.grad = None
            (loss / (1, variant.k, steps)[variant.mean]).backward()
            if not variant.once or start + variant.k >= T:
                for name, x in p.items():
                    x.data = x.data + variant.sign * d["lr"] * x.grad * (name != variant.frozen)
            h = h.detach()
            told = (chunk(d, part, first, p, 0)[0] if variant.late else loss).item()
            losses.append(told / (1, variant.k, steps)[variant.told])
    return np.array(losses)


def wrong_truncations(d: dict[str, Any]) -> list[Variant]:
    """Return known wrong variants of truncation."""
    k = d["k"]
    return [
        Variant("the gradient is never cut: the state that is carried on is not detached", k, cut=0),
        Variant("the gradient is cut at every step: the state is detached inside of a chunk", k, cut=1),
        Variant("the state is not carried on: every chunk starts from h0 again", k, reset=1),
        Variant("the state is not carried on: chunks after the first start from zero", k, reset=2),
        Variant("the first chunk starts from zero, but should from h0", k, zero=True),
        Variant("only the last chunk's gradient is there: the others are overwritten or cleared", k,
                only=slice(-1, None)),
        Variant("only the first chunk's gradient is there", k, only=slice(0, 1)),
        Variant("earlier chunks are counted several times: .grad adds up over backward passes, and is added to a sum "
                "after each of them", k, running=True),
        Variant("the last, shorter chunk is left out", k, only=slice(0, -1)),
        Variant(f"chunks have {k + 1} steps, but should have {k}: the cut is in the wrong place", k + 1),
        Variant(f"chunks have {k - 1} steps, but should have {k}: the cut is in the wrong place", k - 1)]


def wrong_trainings(d: dict[str, Any]) -> list[Variant]:
    """Return known wrong variants of training."""
    k = d["k"]
    return [
        Variant("the parameters are not updated", k, sign=0.0),
        Variant("each loss is that after the update, but should be the one before it", k, late=True),
        Variant("every epoch starts from zero, but should from h0", k, zero=True),
        Variant("the update adds the gradient: its sign is wrong", k, sign=1.0),
        Variant("gradients of earlier chunks are still in .grad: it must be cleared before each backward pass", k,
            clear=False),
        Variant("the first update adds what .grad held before the call: it must be cleared before each backward pass, "
                "the first one too", k, kept=True),
        *(Variant(f"{name} is not updated", k, frozen=name) for name in NAMES),
        Variant("there is one update for each epoch, but should be one for each chunk", k, once=True),
        *(Variant(f"the gradient is divided by {what}: a chunk's loss is the sum over its steps", k, mean=mean)
          for mean, what in ((1, "k"), (2, "the number of the chunk's steps"))),
        *(Variant(f"losses are divided by {what}: a chunk's loss is the sum over its steps", k, told=told)
          for told, what in ((1, "k"), (2, "the number of the chunk's steps"))),
        Variant("the state of the last epoch is carried on, but every epoch starts from h0", k, carry=True),
        Variant("the state is not carried from chunk to chunk: each starts from h0", k, reset=1),
        Variant("the state is not carried from chunk to chunk: each starts from zero", k, reset=2),
        Variant("the gradient is cut at every step: the state is detached inside of a chunk", k, cut=1),
        Variant(f"chunks have {k + 1} steps, but should have {k}", k + 1),
        Variant(f"chunks have {k - 1} steps, but should have {k}", k - 1)]


def border_edges(d: dict[str, Any], variant: Variant | None) -> list[Edge]:
    """Return the edges that a variant of truncation cuts wrongly."""
    T, k = len(d["x"]), d["k"]
    borders = set(range(k, T, k))
    mine = borders if variant is None or variant.cut is None else set() if variant.cut == 0 else set(range(1, T))
    if variant is not None and variant.k != k:
        mine = set(range(variant.k, T, variant.k))
    wrong = mine ^ borders or (borders if variant is not None and variant.reset else set())
    return [(f"h[{t}]", f"h[{t + 1}]") for t in sorted(wrong)]


def cut_mistakes(d: dict[str, Any]) -> dict[str, list[Candidate]]:
    """Return wrong variants of the truncated gradients, with the edges that each cuts wrongly."""
    found: dict[str, list[Candidate]] = {name: [] for name in NAMES}
    for variant in wrong_truncations(d):
        edges = border_edges(d, variant)
        for name, gives in gradients(d, variant).items():
            found[name].append(Candidate(variant.mistake, gives, *((edges[0], tuple(edges[1:])) if edges else ())))
    return found


def elman(d: dict[str, Any], part: slice, squash: Any = mg.tanh, output: Any = None, recurrent: Any = None,
          bias: float = 1.0, shift: int = 0, earlier: bool = False) -> dict[str, Array]:
    """Return the loss of a chunk, its last state and the gradients: of a variant of the network.

    Args:
        squash: the function that gives h; output: of h V; recurrent: of U. By default tanh, and none.
        bias: the weight of b.
        shift: which target is compared: 1 the next one, the last one twice; -1 the one before, at first the last one.
        earlier: y is computed from the state before the step.
    """
    p, h = probes.parameters(d), mg.Tensor(d["h0"])
    losses, every = [], range(len(d["x"][part]))
    for step in every:
        x, target = d["x"][part][step], d["target"][part][min(step + shift, every[-1])]
        U, before = p["U"] if recurrent is None else recurrent(p["U"]), h
        h = squash(x @ p["W"] + h @ U + bias * p["b"])
        y = (before if earlier else h) @ p["V"]
        losses.append(mg.losses.mse(y if output is None else output(y), target))
    loss = mg.stack(losses).sum()
    loss.backward()
    return {"loss": np.asarray(loss.numpy()), "h": h.numpy(),
            **{f"d{name}": x.grad if x.grad is not None else np.zeros(x.shape) for name, x in p.items()}}


def chunk_mistakes(d: dict[str, Any], right: dict[str, Array]) -> dict[str, list[Candidate]]:
    """Return wrong variants of one chunk's loss, state and gradients."""
    k, M = d["k"], d["target"].shape[-1]
    losses, h = [], mg.Tensor(d["h0"])
    for step in range(k):
        loss, h = solution.chunk_loss(d["x"][step:step + 1], d["target"][step:step + 1], h, probes.parameters(d))
        losses.append(loss.item())
    size = d["x"].shape[1] * M
    factors = [("it is the mean over the steps, but should be the sum", 1 / k),
               ("it is the sum over batch and outputs, but mse is the mean", size),
               ("it is half of the squared error, but mse has no factor 1/2", 0.5)]
    first = slice(0, k)
    networks = [
        ("y = h V has a function around it, tanh, but should have none", elman(d, first, output=mg.tanh)),
        ("y = h V has a function around it, sigmoid, but should have none", elman(d, first, output=mg.sigmoid)),
        ("h is a sigmoid, but should be a tanh", elman(d, first, squash=mg.sigmoid)),
        ("tanh is missing in h", elman(d, first, squash=lambda z: z)),
        ("it is h @ U.T, but should be h @ U", elman(d, first, recurrent=lambda U: U.T)),
        ("the recurrent term h @ U is missing", elman(d, first, recurrent=lambda U: 0 * U)),
        ("the bias b is not added", elman(d, first, bias=0.0)),
        ("the first state is zero, but should be the h that is given", elman(d | {"h0": 0 * d["h0"]}, first)),
        ("each output is compared with the next step's target", elman(d, first, shift=1)),
        ("each output is compared with the target of the step before", elman(d, first, shift=-1)),
        ("y is computed from the state before the step, h[t-1], but should be from h[t]",
         elman(d, first, earlier=True)),
        ("the first step is left out", elman(d, slice(1, k))),
        ("the last step is left out", elman(d, slice(0, k - 1)))]
    found = {name: [Candidate(text, gives[name]) for text, gives in networks] for name in right}
    cut = gradients(d | {"x": d["x"][:k], "target": d["target"][:k]}, Variant("", k, cut=1))
    found["loss"] += [Candidate("it is the last step's loss alone", np.asarray(losses[-1]))]
    for text, factor in factors:
        for name in right:
            if name != "h":
                found[name].append(Candidate(text, np.asarray(right[name] * factor)))
    for name in NAMES:
        found[f"d{name}"].append(Candidate("the gradient is cut at every step: is the state detached inside of the "
                                           "chunk?", cut[name], ("h[1]", "h[2]")))
    return found


def by_length(d: dict[str, Any]) -> dict[str, dict[str, Array]]:
    """Return the right results with chunks of other lengths, by question."""
    found: dict[str, dict[str, Array]] = {"truncated_gradients:lengths": {}, "train:lengths": {}}
    for k in probes.lengths(d):
        for name, x in gradients(d, Variant("", k)).items():
            found["truncated_gradients:lengths"][f"gradient of {name} with k = {k}"] = x
        found["train:lengths"][f"list of losses with k = {k}"] = training(d, Variant("", k))
    return found


SIZES_OF_ONE = "one step, one sequence, and one of each size"
FUNCTIONS = {"chunk_loss": ("chunk_loss",), "truncated_gradients": ("truncated_gradients", "chunk_loss"),
             "train": ("train", "chunk_loss")}


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Truncation and training, with one set of numbers."""
    d, other = (graphs.numbers(number, graphs.HIDDEN_SIZES if hidden else graphs.SIZES) for number in (seed, seed + 1))
    ones = graphs.numbers(seed, graphs.ONES)
    one = probes.chunk_loss(solution, d)
    right = gradients(d, Variant("", d["k"]))
    wrong = {name: unlike(some, right[name]) for name, some in cut_mistakes(d).items()}
    truncated = Truncated(len(d["x"]), d["k"], right, wrong, border_edges(d, None))
    losses = Losses(len(d["x"]), d["k"], training(d, Variant("", d["k"])),
                    [Candidate(variant.mistake, training(d, variant)) for variant in wrong_trainings(d)])
    task = {name.removeprefix("task_"): x for name, x in d.items() if name.startswith("task_")}
    mistakes = {name: unlike(some, one[name]) for name, some in chunk_mistakes(d, one).items()}
    values = Values("chunk_loss", one, mistakes, "steps 1 … k", until="h[1]")
    state = Values("chunk_loss:state", probes.last_state(solution, d), place="the last state")
    of_chunk, of_cut, of_train = FUNCTIONS.values()
    of_ones = {"truncated_gradients": gradients(ones, Variant("", ones["k"])),
               "train": {"losses": training(ones, Variant("", ones["k"]))}}
    checks = [
        Check("import and signatures", 0, Imports(SIGNATURES)),
        Check("shapes and dtypes", 1, Shapes({"chunk_loss": one, "truncated_gradients": right}), of=of_cut),
        Check("one chunk: loss, state and gradients", 2, values, of=of_chunk),
        Check("truncated gradients", 3, truncated, again=2, of=of_cut),
        Check("second call", 1, Repeated(truncated, gradients(probes.update(d), Variant("", d["k"]))), of=of_cut),
        Check("the last state is of the graph", 1, state, of=of_chunk),
        Check("one backward pass for each chunk", 2, Reach(truncated), of=of_cut),
        Check("the losses of training", 3, losses, again=2, of=of_train),
        Check("chunks of 1 step, of lengths that divide T, and longer than T", 1, Lengths(len(d["x"]), by_length(d)),
              of=(*of_cut, "train")),
        Check("inputs unmodified", 1, Unmodified(list(SIGNATURES), truncated), of=of_cut),
        Check("second call of all functions", 1, SecondCall(
            list(SIGNATURES), values, (), of_ones, SIZES_OF_ONE, {"truncated_gradients": truncated, "train": losses}),
              of=(*of_chunk, *of_cut, "train")),
        Check("it learns", 2, Learned(task), of=of_train)]
    others = [{name: x for name, x in some.items() if not name.startswith("task_")} for some in (other, ones)]
    job = Job(Path(probes.__file__), list(probes.CALLS), d, list(SIGNATURES), ["rnn", "viz", "torch", "jax"],
              others=others)
    yield Assignment("a5", "truncated backpropagation and training", [job], checks, "a5.py", Drawing(d))
