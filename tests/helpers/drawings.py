"""Scenes of definitions and runs, with the parts and edges that their boxes and arrows stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import Tensor
from rnn import Cell, Run
from viz.layout.step_graph import step_graph
from viz.pictures.rolled import RolledDrawing
from viz.pictures.unrolled import UnrolledDrawing, unrolled_spec


def draw_rolled(cell: Cell, level: str = "signals") -> RolledDrawing:
    return RolledDrawing(step_graph(cell, level), cell.name, level == "ops").draw()


def draw_run(run: Run, loss: Tensor | None, steps: Sequence[int], level: str = "signals",
             **options: Any) -> UnrolledDrawing:
    return UnrolledDrawing(unrolled_spec(run, steps, level, loss, **options)).draw()
