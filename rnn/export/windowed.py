"""A sliding truncation on an engine: window after window, each from constants, as unroll.py computes them.

A dropout keeps the same elements of a step in every window.
"""

from __future__ import annotations

from minigrad.provenance import call_site
from rnn.ir.nodes import Shift, ordered
from rnn.unrolling.truncation import Windows

from .backend import Array
from .interpreter import Interpreter


class Windowed:
    """Runs an interpreter on one window of the steps at a time.

    Args:
        whole: the computation of all steps, not begun.

    Raises:
        ValueError: where a signal that is computed is read ahead of its step.
    """

    def __init__(self, whole: Interpreter, truncation: Windows) -> None:
        self.whole = whole
        self.truncation = truncation
        self.roots = whole.recipe.low.roots
        self.computed = [name for name, signal in whole.recipe.cell.signals.items() if not signal.given]
        self.pieces: dict[str, Array] = {}  # signal -> its values of all steps that are done
        every = ordered(self.roots[name] for name in whole.recipe.outputs)
        self.shifts = [(node.op.signal, node.op.delay) for node in every if isinstance(node.op, Shift)]
        for signal, delay in self.shifts:
            if delay < 0 and signal in self.computed:
                raise ValueError(f"window= cuts loops that run forward in time, but {signal} is read {-delay} ahead "
                                 f"(at {call_site()}). Use chunks= or last=")

    def run(self) -> dict[str, Array]:
        """Every signal at t = 1 … T."""
        whole, engine = self.whole, self.whole.engine
        for steps, owed in self.truncation.windows():
            given = {name: engine.steps(x, steps.start - 1, steps.stop - 1) for name, x in whole.given.items()}
            window = Interpreter(engine, whole.recipe, len(steps), whole.batch, given, whole.weights,
                                 self._boundary(steps), whole.zero)
            window.run()
            for name in self.computed:
                values = engine.steps(window.values[self.roots[name]], owed.start - steps.start, None)
                self.pieces[name] = values if owed.start == 1 else engine.concatenate(self.pieces[name], values, axis=0)
        whole.values.update((self.roots[name], x) for name, x in {**whole.given, **self.pieces}.items()
                            if name in self.roots)
        return {name: whole.output(name) for name in whole.recipe.outputs}

    def _boundary(self, steps: range) -> dict[tuple[str, int], Array]:
        """What a window starts from: constants, but for the initial values and the data."""
        never = self.whole.engine.constant(False, None)
        T, known, found = self.whole.T, {**self.pieces, **self.whole.given}, {}
        for signal, delay in self.shifts:
            assert signal is not None
            for step in range(1 - delay, 1) if delay > 0 else range(1, 1 - delay):
                at = step + (steps.start if step <= 0 else steps.stop) - 1  # the step of the whole sequence
                outside = signal, at if at < 1 else at - T
                if 1 <= at <= T:
                    value = known[signal][at - 1]
                elif outside in self.whole.boundary:
                    value = self.whole.boundary[outside]
                else:
                    continue
                constant = signal in self.computed and steps.start > 1
                found[signal, step] = self.whole.engine.cut(value, never) if constant else value
        return found
