"""Where the gradient goes: the gradient map of each run, and tables of its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import viz
from minigrad import Tensor
from minigrad.formats.norms import norm
from rnn import Run
from rnn.unrolling.gradients import Find, contributions_to, has_gradients, loss_gradients
from viz.layout.folding import choose_steps
from viz.pictures.run_list import run_names
from viz.playground.running.program import Answer, Program

from .view import Choice, View, as_answer, attempt, missing_loss

NO_PASS = "There are no gradients yet: call {}.backward()."


class Gradients(View):
    """The gradient map of the runs behind the loss, with tables by time step."""

    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return `maps`, each a picture and its tables, or None after an error; `missing`, a sentence, without any.

        `changed` is a sentence if the loss was computed again.
        """
        missing = missing_loss(program, problems)
        loss = program.loss
        if missing is None and loss is not None and loss.grad is None:
            missing = NO_PASS.format(program.name_of(loss))
        if problems or missing or loss is None:
            return {"maps": None if problems else [], "missing": missing, "changed": None}
        found = attempt(problems, _maps, program.runs(), loss, choice)
        return {"maps": found["maps"] if found else None, "missing": None, "changed": program.changed}


def _maps(runs: Sequence[Run], loss: Tensor, choice: Choice) -> Answer:
    """Return the maps of the runs that the loss's gradient reaches."""
    found = loss_gradients(runs, loss)
    found.require()
    names = run_names(runs)
    return {"maps": [{"picture": as_answer(viz.gradient_map(run, loss=loss, dark=choice.dark), "signals"),
                      "tables": [_signals(run, name, found.of), _parameters(run, name, found.of)]}
                     for run, name in zip(runs, names) if has_gradients(run, found.of)]}


def _signals(run: Run, name: str, of: Find) -> Answer:
    """Return the table of |dL/dh[t]|, a row for each signal with a gradient."""
    rows = {signal: [None if of(copy) is None else norm(of(copy)) for copy in run[signal]]
            for signal in run.cell.signals if signal in run and any(of(copy) is not None for copy in run[signal])}
    title = f"{name}: |dL/ds[t]|, the norm of the gradient of each signal s at each time step"
    return _table(title, "signal", rows, run.T)


def _parameters(run: Run, name: str, of: Find) -> Answer:
    """Return the table of the contributions of the time steps to the gradient of each parameter."""
    rows = {parameter: [norm(row) for row in contributions_to(run, parameter, of)]
            for parameter, tensor in run.parameters.items() if tensor.requires_grad}
    title = f"{name}: the norm of what each time step contributes to the gradient of each parameter"
    return _table(title, "parameter", rows, run.T)


def _table(title: str, kind: str, rows: Mapping[str, Sequence[float | None]], T: int) -> Answer:
    """Return a table: of a long run the first and the last steps, and the largest number of all of them."""
    steps = choose_steps(T, True, None)
    return {"title": title, "heads": [kind, "largest at", *_heads(steps)],
            "rows": [{"name": name, "largest": _largest(sizes), "at": _place(sizes),
                      "cells": ["⋯" if k is None else _number(sizes[k - 1]) for k in _with_gap(steps)]}
                     for name, sizes in rows.items()]}


def _largest(sizes: Sequence[float | None]) -> int | None:
    """Return the step with the largest number; None if there is none but zeros, or one isn't a number."""
    known = [size or 0.0 for size in sizes]
    return known.index(max(known)) + 1 if max(known) > 0 and not any(map(math.isnan, known)) else None


def _place(sizes: Sequence[float | None]) -> str:
    """Return the words for the step with the largest number."""
    known = [size for size in sizes if size is not None]
    step = _largest(sizes)
    if step is not None:
        return f"t = {step}"
    return "NaN" if any(map(math.isnan, known)) else "all are 0" if known else "–"


def _heads(steps: Sequence[int]) -> list[str]:
    return ["⋯" if k is None else f"t = {k}" for k in _with_gap(steps)]


def _with_gap(steps: Sequence[int]) -> Iterator[int | None]:
    """Yield the steps, and None in the place of those that are left out between them."""
    for before, k in zip([0, *steps], steps):
        if k > before + 1:
            yield None
        yield k


def _number(size: float | None) -> str:
    """Return a number as the page writes it."""
    if size is None:
        return "–"
    if not math.isfinite(size):
        return "NaN" if math.isnan(size) else "Inf"
    return "0" if size == 0 else f"{size:.1e}"
