"""A step of a backward pass in an unrolled picture."""

from __future__ import annotations

import numpy as np
import pytest
from definitions import elman
from drawings import draw_run

import minigrad as mg
import viz
from minigrad.steps import Step
from rnn import Run
from viz.annotations.current_step import mark_step
from viz.render import palette
from viz.render.scene import Scene


def run_to(name: str, k: int) -> tuple[Run, mg.Tensor, Step]:
    """A backward pass over four steps, up to and with the step of one tensor."""
    run = elman().unroll(x=np.ones((4, 3)))
    loss = (run["y"].stack() ** 2).mean()
    for step in loss.backward_steps():
        step.run()
        if (step.name, step.t) == (name, k):
            return run, loss, step
    raise AssertionError


def marked(level: str, name: str, k: int) -> Scene:
    run, loss, step = run_to(name, k)
    drawing = draw_run(run, loss, range(1, 5), level, step=step)
    mark_step(drawing.scene, drawing.spec.tensors, drawing.boxes, step)
    drawing.add_title()
    return drawing.scene


def back(scene: Scene) -> set[str]:
    names = {box.key: box.label for box in scene.boxes}
    return {f"{names[a.target]} → {names[a.source]}" for a in scene.arrows if a.tooltip.startswith("gradient")}


def test_gradients_go_back_as_far_as_they_are_computed() -> None:
    from_loss = {f"loss → y[{k}]" for k in range(1, 5)}
    assert back(marked("signals", "h", 3)) == {
        *from_loss, "y[4] → h[4]", "y[3] → h[3]", "h[4] → h[3]"}
    found = back(marked("ops", "h", 3))
    assert {*from_loss, "V @ → h[3]", "h[3] → tanh", "U @ → h[3]", "tanh → + b", "+ → U @"} <= found
    assert "U @ → h[2]" not in found and "V @ → h[2]" not in found


def test_the_step_s_box_is_outlined_and_the_step_named() -> None:
    for level, label in (("signals", "h[3]"), ("ops", "tanh")):
        scene = marked(level, "h", 3)
        assert [(box.label, box.pen) for box in scene.boxes if box.paint.line == palette.BACKWARD] == [(label, 4.0)]
        assert any("backward: step" in text.text and "tanh in h[3]" in text.text for text in scene.texts)


@pytest.mark.parametrize("level", ["signals", "ops"])
def test_the_way_back_begins_and_ends_at_the_same_boxes_and_points_into_them(level: str) -> None:
    scene = marked(level, "h", 1)
    boxes = {box.key: box for box in scene.boxes}
    ways = [arrow for arrow in scene.arrows if arrow.tooltip.startswith("gradient")]
    assert len(ways) > 10
    for arrow in ways:
        (x, y), (x1, y1), box = arrow.points[-1], arrow.points[-2], boxes[arrow.source]
        assert box.left - 7 <= x <= box.right + 7 and box.bottom - 7 <= y <= box.top + 7
        assert (x - x1) * (box.x - x1) + (y - y1) * (box.y - y1) > 0


def test_a_step_that_is_not_drawn_is_refused() -> None:
    run, loss, step = run_to("h", 3)
    with pytest.raises(ValueError, match="has no box in this picture: give the loss too, and draw its time step"):
        viz.unrolled(run, step=loss.backward_steps()[0])
    other = elman().unroll(x=np.ones((2, 3)))
    with pytest.raises(ValueError, match="has no box in this picture"):
        viz.unrolled(other, step=step)
    assert "backward: step" in viz.unrolled(run, loss=loss, step=step, heat=True, dark=True).source
