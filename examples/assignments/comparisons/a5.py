"""Assignment 5: how the answers are compared with what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments.grading import EARNED, UNKNOWN, Answers, Finding
from examples.assignments.graphs import a5 as graphs
from examples.assignments.naming import Edge, Mistake, difference, known, named, same
from examples.assignments.pictures import of_run
from examples.assignments.probes import a5 as probes

Array = NDArray[Any]
NAMES = probes.NAMES
THRESHOLD = 0.06  # mean squared error of a step; without memory 0.49 can be had, the solution ends below 0.03


@dataclass(frozen=True)
class Reach:
    """One backward pass for each chunk; where gradients are wrong, how far each pass goes back.

    Of T steps in chunks of k. Steps are counted by their tanh; of a graph without it nothing is said.
    """

    T: int
    k: int
    gradients: Truncated

    def __call__(self, answers: Answers) -> Finding | None:
        T, k = self.T, self.k
        reached = answers.plain("truncated_gradients", "reached") or []
        right = [min(k, T - start) for start in range(0, T, k)]
        if len(reached) < len(right):
            return Finding(f"there are {len(reached)} backward passes, but should be {len(right)}, one for each chunk: "
                           "or else the graphs of all chunks are in memory together", "truncated_gradients",
                           follows=True)
        if self.gradients(answers) is None:
            return None
        for number, ((nodes, steps), wanted) in enumerate(zip(reached, right), 1):
            last = (number - 1) * k + wanted
            if steps > wanted:
                border = (number - 1) * k
                edges = tuple((f"h[{t}]", f"h[{t + 1}]") for t in range(k, border + 1, k))
                return Finding(f"chunk {number}'s graph reaches back {steps} steps ({nodes} nodes) through h, over "
                               f"the border after t = {border}, to t = {last - steps + 1}: h is not detached there",
                               f"t = {border}, backward pass {number} of {len(right)}",
                               f"steps reached: {[s for _, s in reached]}, "
                               f"right {right}", edges[-1] if edges else None, f"h[{border + 1}]", more=edges[:-1],
                               follows=True)
            if 0 < steps < wanted:
                edge = f"h[{last - steps}]", f"h[{last - steps + 1}]"
                return Finding(f"the graph of chunk {number} reaches back {steps} of its {wanted} steps: it is cut "
                               f"inside of the chunk, before t = {last - steps + 1}",
                               f"t = {last - steps + 1}, backward pass {number}",
                               f"steps reached: {[s for _, s in reached]}, right {right}", edge, edge[0], follows=True)
        return Finding(EARNED, named=False, follows=True)


@dataclass(frozen=True)
class Truncated:
    """The sum of the chunks' gradients; known wrong ways, by parameter; the edges that are cut."""

    right: Mapping[str, Array]
    mistakes: Mapping[str, Sequence[Mistake]]
    borders: Sequence[Edge]

    def __call__(self, answers: Answers) -> Finding | None:
        wrong = [name for name in NAMES if not same(answers.array("truncated_gradients", name, self.right[name]),
                                                    self.right[name])]
        if not wrong:
            return None
        name = wrong[-2] if wrong[-1] == "V" and len(wrong) > 1 else wrong[-1]
        mine, right = answers.array("truncated_gradients", name, self.right[name]), self.right[name]
        hit = named(mine, right, self.mistakes[name])
        edges = [hit.edge, *hit.more] if hit and hit.edge else list(self.borders)
        return Finding(f"dL/d{name} is wrong: {hit.mistake if hit else UNKNOWN}; wrong are {', '.join(wrong)}",
                       "truncated_gradients", difference(f"dL/d{name}", mine, right), edges[0] if edges else None,
                       f"param {name}", named=hit is not None, more=tuple(edges[1:]), follows=True,
                       mistakes=hit.all_mistakes if hit else ())


@dataclass(frozen=True)
class Repeated:
    """A second call starts with cleared gradients."""

    earned: Truncated

    def __call__(self, answers: Answers) -> Finding | None:
        changed = answers.plain("truncated_gradients", "changed")
        if changed:
            return Finding(f"truncated_gradients changes the parameters {', '.join(map(str, changed))}: it must only "
                           "compute their gradients")
        for name, right in self.earned.right.items():
            mine = answers.array("truncated_gradients", name, right)
            again = answers.array("truncated_gradients", f"{name} again", right)
            if not same(again, mine):
                twice = "exactly twice" if same(again, 2 * mine) else "other values than"
                return Finding(f"a second call with the same parameters gives {twice} the gradient of {name}: .grad of "
                               "the first call was not cleared", "truncated_gradients")
        return Finding(EARNED, named=False, follows=True) if self.earned(answers) else None


@dataclass(frozen=True)
class Losses:
    """The losses of training, chunk by chunk: of T steps in chunks of k; and of known wrong ways."""

    T: int
    k: int
    right: Array
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        value = answers.get("train").values.get("losses")
        T, k = self.T, self.k
        if isinstance(value, np.ndarray) and value.shape != self.right.shape:
            hit = known(value, self.mistakes)
            return Finding(f"train returns {value.size} losses, but should return {self.right.size}, one for each chunk"
                           f"{': ' + hit.mistake if hit else ''}", "train",
                           mistakes=hit.all_mistakes if hit else (), follows=True)
        mine = answers.array("train", "losses", self.right)
        wrong = np.flatnonzero(~np.isclose(mine, self.right, rtol=1e-9, atol=0))
        if not wrong.size:
            return None
        first = int(wrong[0])
        per_epoch = -(-T // k)
        hit = named(mine, self.right, self.mistakes)
        begin = first % per_epoch * k + 1
        edge = (f"h[{begin - 1}]", f"h[{begin}]")
        why = hit.mistake if hit else UNKNOWN
        before = f"{'the first loss is' if first == 1 else f'the first {first} losses are'} right, " if first else ""
        return Finding(f"{before}that of update {first + 1} is wrong: {why}",
                       f"epoch {first // per_epoch + 1}, chunk {first % per_epoch + 1} (t = {begin} …)",
                       difference("losses", mine, self.right), edge, f"h[{begin}]", named=hit is not None,
                       mistakes=hit.all_mistakes if hit else (), follows=True)


@dataclass(frozen=True)
class Learned:
    """The loss after training, of the parameters that training has left, computed here."""

    task: Mapping[str, Any]

    def __call__(self, answers: Answers) -> Finding | None:
        task = self.task
        after = {name: answers.array("train:task", name, task[name]) for name in NAMES}
        _, loss = graphs.network({**task, **after})
        reached = loss.item() / len(task["x"])
        if not reached < THRESHOLD:
            return Finding(f"after {task['epochs']} epochs the mean squared error is {reached:.3g}, but must be below "
                           f"{THRESHOLD}: the network has not learned to remember its last input", "train", named=False,
                           follows=True)
        return None


@dataclass(frozen=True)
class Drawing:
    """The network with its cuts."""

    d: Mapping[str, Any]

    def __call__(self, finding: Finding) -> Any:
        return of_run(graphs.network(dict(self.d), self.d["k"])[0], finding)
