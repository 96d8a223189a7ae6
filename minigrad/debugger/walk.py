"""Moves through a backward pass that return records and print nothing: the terminal, the adapter and the page use it.

    walk = Walk(loss, breakpoints=[parse("op tanh")])
    stop = walk.forward()
    stop.step.name, stop.step.gradient, stop.reasons

Positions are numbers of steps that have run; the current step is the one that has just run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import NamedTuple

from numpy.typing import ArrayLike

from minigrad.steps import Step
from minigrad.tensor import Tensor

from .breakpoints import Breakpoint
from .evaluation import Evaluator
from .records import GradientRecord, StepRecord, gradient_record, largest_chain, parameter_records, step_record
from .timeline import Timeline


class Cause(Enum):
    """Why a move ended."""

    STEP = "the number of steps was done"
    BREAKPOINT = "a breakpoint was hit"
    TIME = "the last operation of a time step has run"
    START = "the start of the pass was reached"
    END = "the end of the pass was reached"
    ERROR = "the next step raised an error"
    INTERRUPT = "the move was interrupted"


class Hit(NamedTuple):
    """A breakpoint that stopped the pass, and the reason that it gives."""

    breakpoint: Breakpoint
    reason: str


@dataclass(frozen=True, eq=False)
class Stop:
    """The end of a move.

    Attributes:
        cause: why it ended.
        position: the number of steps before the new position.
        step: the step that has just run; None at the start.
        hits: the breakpoints that stopped it.
        messages: log messages of breakpoints that were passed, and errors in their conditions.
        error: the error of the next step, if it can't run.
    """

    cause: Cause
    position: int
    step: StepRecord | None
    hits: tuple[Hit, ...] = ()
    messages: tuple[str, ...] = ()
    error: Exception | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the breakpoints stopped the pass."""
        return tuple(hit.reason for hit in self.hits)


def never() -> bool:
    """Return False: a move that is never interrupted."""
    return False


class Walk:
    """A position in a backward pass, and moves to others.

    Args:
        out, grad: as for `backward`.
        breakpoints: a list that may change while the pass is debugged.
        frame: the frame that called backward(), whose variables expressions see.

    Attributes:
        timeline: the pass and the position.
        interrupted: a function that is asked after each step whether to stop there.
    """

    def __init__(self, out: Tensor, grad: ArrayLike | None = None, breakpoints: list[Breakpoint] | None = None,
                 frame: FrameType | None = None) -> None:
        self.timeline = Timeline(out, grad)
        self.breakpoints: list[Breakpoint] = [] if breakpoints is None else breakpoints
        self.interrupted: Callable[[], bool] = never
        self._met: dict[tuple[Breakpoint, int], int] = {}  # the number of the hit at each step that a breakpoint met
        self.evaluator = Evaluator(self.timeline, frame)

    # ---- the current position
    @property
    def position(self) -> int:
        """The number of steps that have run before the current position."""
        return self.timeline.position

    @property
    def count(self) -> int:
        """The number of all steps."""
        return len(self.timeline.steps)

    @property
    def current(self) -> StepRecord | None:
        """The step that has just run; None at the start."""
        step = self.timeline.current
        return None if step is None else self.record(step)

    def record(self, step: Step) -> StepRecord:
        """Return the record of a step."""
        return step_record(self.timeline, step)

    def gradient(self, tensor: Tensor) -> GradientRecord:
        """Return the gradient of a tensor at the current position."""
        return gradient_record(self.timeline, tensor)

    def parameters(self) -> list[GradientRecord]:
        """Return the gradients of the leaves at the current position."""
        return parameter_records(self.timeline)

    def chain(self) -> list[StepRecord]:
        """Return the steps on the chain of largest contributions, from the current one back to the loss."""
        step = self.timeline.current
        if step is None:
            return []
        numbers = self.timeline.numbers
        return [self.record(self.timeline.steps[numbers[x] - 1]) for x in largest_chain(self.timeline, step.node)]

    # ---- moves
    def forward(self, limit: int | None = None, until: Sequence[Breakpoint] = ()) -> Stop:
        """Move forward to a breakpoint, at most `limit` steps; `until` are further breakpoints for this move."""
        return self._move(self.timeline.forward, limit, until)

    def back(self, limit: int | None = None) -> Stop:
        """Move back to a breakpoint, at most `limit` steps."""
        return self._move(self.timeline.back, limit)

    def goto(self, position: int) -> Stop:
        """Move to a position in either direction; breakpoints don't stop it."""
        distance = position - self.position
        if not distance:
            return self._stop(Cause.STEP)
        return self._move(self.timeline.forward if distance > 0 else self.timeline.back, abs(distance), None)

    def to_end_of_time(self) -> Stop:
        """Move forward to the last step of this time step, or of the next one if this is it."""
        return self._move(self.timeline.forward, None, (), self._ends_time)

    def run(self) -> Iterator[Stop]:
        """Move to the end and yield a stop after each step; raise the error of a step that can't run."""
        while not self.timeline.finished:
            stop = self.forward(1)
            if stop.error is not None:
                raise stop.error
            yield stop

    def _move(self, advance: Callable[[], bool], limit: int | None, until: Sequence[Breakpoint] | None = (),
              ends: Callable[[], bool] = never) -> Stop:
        """Move until something stops it; no breakpoint does if `until` is None. Breakpoints may change meanwhile."""
        messages: list[str] = []
        while advance():
            limit = None if limit is None else limit - 1
            hits = [] if until is None else self._hits([*until, *self.breakpoints], messages, advance)
            if hits:
                return self._stop(Cause.BREAKPOINT, hits, messages)
            if ends():
                return self._stop(Cause.TIME, (), messages)
            if self.interrupted():
                return self._stop(Cause.INTERRUPT, (), messages)
            if limit == 0:
                return self._stop(Cause.STEP, (), messages)
        if advance == self.timeline.back:
            return self._stop(Cause.START, (), messages)
        return self._stop(Cause.ERROR if self.timeline.failed else Cause.END, (), messages)

    def _stop(self, cause: Cause, hits: Sequence[Hit] = (), messages: Sequence[str] = ()) -> Stop:
        error = self.timeline.error if self.timeline.failed else None
        return Stop(cause, self.position, self.current, tuple(hits), tuple(messages), error)

    def _ends_time(self) -> bool:
        """Return whether the next step belongs to another time step than the current one."""
        step = self.timeline.current
        return step is not None and not self.timeline.finished and self.timeline.steps[self.position].t != step.t

    def _hits(self, breakpoints: Sequence[Breakpoint], messages: list[str], advance: Callable[[], bool]) -> list[Hit]:
        """Return the breakpoints that stop the pass at the current step; collect the messages of the others.

        Messages are logged on the way forward.
        """
        step = self.timeline.current
        if step is None:
            return []
        hits = []
        for place in breakpoints:
            reason = place.is_hit(step, self.timeline, self.evaluator) if place.enabled else None
            condition = place.condition
            if condition is not None and condition.error and not condition.reported:
                condition.reported = True
                messages.append(f"*** the condition of breakpoint {place.number} raises an error:\n"
                                f"    {condition.error}")
            if reason is None or not self._counts(place, step):
                continue
            if place.log is None:
                hits.append(Hit(place, reason))
            elif advance == self.timeline.forward:
                messages.append(place.log.format(self.evaluator.names(step)))
        for place in (hit.breakpoint for hit in hits if hit.breakpoint.temporary):
            self.breakpoints[:] = [other for other in self.breakpoints if other is not place]
        return hits

    def _counts(self, place: Breakpoint, step: Step) -> bool:
        """Return whether a hit stops the pass. A step that was met before keeps the number of its hit."""
        key = place, step.number
        if key in self._met:
            return place.includes(self._met[key])
        stops = place.counts()
        self._met[key] = place.hits
        return stops
