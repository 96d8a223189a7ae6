"""Assignment 5: how the answers are compared with what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments.grading import EARNED, UNKNOWN, Answers, Finding, Unanswered
from examples.assignments.graphs import a5 as graphs
from examples.assignments.naming import Edge, Mistake, difference, known, named, same
from examples.assignments.pictures import of_run
from examples.assignments.probes import a5 as probes

Array = NDArray[Any]
NAMES = probes.NAMES
THRESHOLD = 0.06  # mean squared error of a step; without memory 0.49 can be had, the solution ends below 0.03


@dataclass(frozen=True)
class Reach:
    """One backward pass for each chunk, before the next one; where gradients are wrong, how far each pass goes back."""

    gradients: Truncated

    def __call__(self, answers: Answers) -> Finding | None:
        reached, right = answers.plain("truncated_gradients", "reached") or [], self.gradients.steps
        if len(reached) < len(right):
            return Finding(f"there are {len(reached)} backward passes, but should be {len(right)}, one for each chunk: "
                           "or else the graphs of all chunks are in memory together", "truncated_gradients",
                           follows=True)
        early = answers.plain("truncated_gradients", "early")
        if early:
            return Finding(f"backward pass {early[1]} goes through states that were computed before backward pass "
                           f"{early[0]}: each chunk's pass comes before the next chunk begins, or else the graphs of "
                           "several chunks are in memory together", "truncated_gradients", follows=True)
        if self.gradients(answers) is None:
            return None
        return self.gradients.beyond(answers) or self.gradients.short(answers) or Finding(
            EARNED, named=False, follows=True)


@dataclass(frozen=True)
class Truncated:
    """The sum of the chunks' gradients; known wrong ways, by parameter; the edges that are cut.

    Of T steps in chunks of k.
    """

    T: int
    k: int
    right: Mapping[str, Array]
    mistakes: Mapping[str, Sequence[Mistake]]
    borders: Sequence[Edge]

    @property
    def steps(self) -> list[int]:
        """The number of steps of each chunk."""
        return [min(self.k, self.T - start) for start in range(0, self.T, self.k)]

    def __call__(self, answers: Answers) -> Finding | None:
        wrong = [name for name in NAMES if not same(answers.array("truncated_gradients", name, self.right[name]),
                                                    self.right[name])]
        if not wrong:
            return None
        name = wrong[-2] if wrong[-1] == "V" and len(wrong) > 1 else wrong[-1]
        mine, right = answers.array("truncated_gradients", name, self.right[name]), self.right[name]
        hit = named(mine, right, self.mistakes[name])
        if hit is None and (found := self.beyond(answers)) is not None:
            return found
        edges = [hit.edge, *hit.more] if hit and hit.edge else list(self.borders)
        return Finding(f"dL/d{name} is wrong: {hit.mistake if hit else UNKNOWN}; wrong are {', '.join(wrong)}",
                       "truncated_gradients", difference(f"dL/d{name}", mine, right), edges[0] if edges else None,
                       f"param {name}", named=hit is not None, more=tuple(edges[1:]), follows=True,
                       mistakes=hit.all_mistakes if hit else ())

    def beyond(self, answers: Answers) -> Finding | None:
        """Return the first backward pass that goes back over a border.

        Steps are counted by their tanh; of a graph without it, or with several for a step, nothing is said.
        """
        for number, nodes, steps, wanted in self._reached(answers):
            border, last = (number - 1) * self.k, (number - 1) * self.k + wanted
            if wanted < steps <= last:
                edges = tuple((f"h[{t}]", f"h[{t + 1}]") for t in range(self.k, border + 1, self.k) if t > last - steps)
                return Finding(f"chunk {number}'s graph reaches back {steps} steps ({nodes} nodes) through h, over "
                               f"the border after t = {border}, to t = {last - steps + 1}: h is not detached there",
                               f"t = {border}, backward pass {number} of {len(self.steps)}", self._numbers(answers),
                               edges[-1], f"h[{border + 1}]", more=edges[:-1], follows=True)
        return None

    def short(self, answers: Answers) -> Finding | None:
        """Return the first backward pass that doesn't reach all steps of its chunk."""
        for number, _, steps, wanted in self._reached(answers):
            first = (number - 1) * self.k + wanted - steps + 1
            if 0 < steps < wanted:
                return Finding(f"the graph of chunk {number} reaches {steps} of its {wanted} steps: is it cut inside "
                               f"of the chunk, before t = {first}?", f"backward pass {number}", self._numbers(answers),
                               (f"h[{first - 1}]", f"h[{first}]"), f"h[{first - 1}]", follows=True)
        return None

    def _reached(self, answers: Answers) -> list[tuple[int, int, int, int]]:
        """Return the number of each pass, the nodes and steps that it reaches, and the steps of its chunk."""
        reached = answers.plain("truncated_gradients", "reached") or []
        return [(number, *found, wanted) for number, (found, wanted) in enumerate(zip(reached, self.steps), 1)]

    def _numbers(self, answers: Answers) -> str:
        return f"steps reached: {[steps for *_, steps, _ in self._reached(answers)]}, right {self.steps}"


@dataclass(frozen=True)
class Repeated:
    """A second call starts with cleared gradients; a third one after an update, with gradients that the caller left.

    `later` has the right results of the third.
    """

    earned: Truncated
    later: Mapping[str, Array]

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
        if self.earned(answers):
            return Finding(EARNED, named=False, follows=True)
        return next(filter(None, (self._later(answers, name, right) for name, right in self.later.items())), None)

    def _later(self, answers: Answers, name: str, right: Array) -> Finding | None:
        """Return a finding where the third call's gradient of a parameter is wrong."""
        mine = answers.array("truncated_gradients", f"{name} later", right)
        if same(mine, right):
            return None
        if same(mine, right + probes.LEFT):
            return Finding(f"the gradient of {name} has what .grad held before the call added to it: clear .grad "
                           "before the first backward pass, the caller may have left something there",
                           "truncated_gradients")
        kept = same(mine, answers.array("truncated_gradients", name, right))
        return Finding(f"after an update of the parameters, the gradient of {name} is "
                       f"{'that of the call before: something is kept from call to call' if kept else 'wrong'}",
                       "truncated_gradients", difference(f"dL/d{name}", mine, right))


@dataclass(frozen=True)
class Lengths:
    """Chunks of other lengths: the results by question and name."""

    T: int
    right: Mapping[str, Mapping[str, Array]]

    def __call__(self, answers: Answers) -> Finding | None:
        for question, results in self.right.items():
            function = question.partition(":")[0]
            for name, right in results.items():
                try:
                    mine = answers.array(question, name, right)
                except Unanswered as error:
                    return replace(error.finding, follows=True)
                if not same(mine, right):
                    return Finding(f"of T = {self.T} steps, the {name} is wrong", function,
                                   difference(name, mine, right), function=function, named=False, follows=True)
        return None


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
