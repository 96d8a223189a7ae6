"""Gradients in pictures: those of the run that is drawn, and of the step of the backward pass that is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, data, elman, feedback, lstm, unrolled
from drawings import assert_arrows_pass_no_box, draw_run, norm_text, overlap, rectangle, sampled, unrolled_drawing

import minigrad as mg
import viz
from minigrad.steps import Step
from rnn import Cell, Run, t
from rnn.unrolling.gradients import gradient_sums
from viz.annotations.current_step import mark_step
from viz.annotations.heat import UNREACHABLE
from viz.render.patterns import Pattern
from viz.render.scene import Scene


def shelf(scene: Scene) -> dict[str, str]:
    """Return the words beside each parameter, by its name."""
    labels = [box.label for box in scene.boxes if box.key[0] == "p"]
    return {label.split("  ")[0]: label.partition(")")[2].strip() for label in labels}


def tied() -> Cell:
    """A matrix that is read as it is and transposed."""
    E = mg.Tensor(np.random.default_rng(4).normal(size=(5, 3)), requires_grad=True, name="E")
    cell = Cell("tied")
    x, h, y = cell.input("x", 5), cell.signal("h", 3), cell.signal("y", 5)
    h[t] = np.tanh(E.T @ x[t] + 0.5 * h[t-1])
    y[t] = E @ h[t]
    return cell


# ---- parameters
@pytest.mark.parametrize("make", [elman, lstm, bidirectional, feedback, tied])
def test_what_a_run_contributes_is_the_gradient_of_a_pass_of_its_own(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make)
    alone = mg.grad(loss, dict(run.parameters))
    sums = gradient_sums(run)
    assert sums is not None and sums.keys() == run.parameters.keys()
    for name, total in sums.items():
        np.testing.assert_allclose(total, alone[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(total, run.contributions(name).sum(axis=0), rtol=1e-9, atol=1e-12)


def test_the_gradient_beside_a_parameter_is_of_the_run_that_is_drawn() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"].stack()).mean()
    loss.backward()
    before = shelf(unrolled_drawing(run, loss).scene)
    other = cell.unroll(**data(cell, T=9, seed=1))
    mg.square(other["y"].stack()).sum().backward()  # adds to the same .grad
    assert shelf(unrolled_drawing(run, loss).scene) == before == {
        name: norm_text(gradient) for name, gradient in mg.grad(loss, dict(run.parameters)).items()}


def test_a_run_without_a_backward_pass_has_no_number() -> None:
    cell = elman()
    first, second = (cell.unroll(**data(cell, seed=seed)) for seed in (0, 1))
    (first["y"].stack() ** 2).mean().backward()
    assert set(shelf(unrolled_drawing(second).scene).values()) == {""}


def test_after_an_optimiser_has_moved_the_parameters_there_is_no_number() -> None:
    run, loss = unrolled(elman)
    mg.optim.SGD(run.parameters, lr=0.1).step()
    assert gradient_sums(run) is None
    assert set(shelf(unrolled_drawing(run, loss).scene).values()) == {""}


def test_half_way_through_a_pass_a_sum_is_so_far() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"].stack()).mean()
    for step in loss.backward_steps():
        step.run()
        if (step.name, step.t) == ("h", 2):
            break
    rows = run.contributions("U")
    assert shelf(unrolled_drawing(run, loss).scene)["U"] == f"{norm_text(rows.sum(0))} so far"


# ---- signals
def test_what_the_loss_does_not_read_says_so_after_a_whole_pass() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"][4]).mean()
    assert "y[4]\n|g| not computed" in labels(run, loss)
    loss.backward()
    found = labels(run, loss)
    assert {f"y[{k}]\ndoes not reach the loss" for k in (1, 2, 3)} <= set(found)
    assert all(np.any(run["h"][k].grad) for k in range(1, 5)) and "not computed" not in " ".join(found)
    assert [found[f"y[{k}]\ndoes not reach the loss"] for k in (1, 2, 3)] == [UNREACHABLE] * 3


def labels(run: Run, loss: Any, **options: Any) -> dict[str, Pattern | None]:
    """Return the pattern of each box, by its label."""
    scene = draw_run(run, loss, range(1, run.T + 1), heat=True, **options).scene
    return {box.label: box.pattern for box in scene.boxes}


def test_the_gradient_of_another_loss_is_not_drawn_for_what_this_one_does_not_read() -> None:
    run, _ = unrolled(elman)
    loss = mg.square(run["y"][1]).sum()
    loss.backward()
    assert "y[3]\ndoes not reach the loss" in labels(run, loss)


def test_without_a_loss_a_box_says_that_no_gradient_came() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    mg.square(run["y"][4]).mean().backward()
    found = labels(run, None)
    assert found["y[1]\n|g| not reached"] == UNREACHABLE and "not computed" not in " ".join(found)


# ---- a step of a pass
def stopped(number: int, go_on: bool) -> tuple[Run, mg.Tensor, Step]:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"].stack()).mean()
    steps = loss.backward_steps()
    for step in steps:
        if step.number <= number or go_on:
            step.run()
    return run, loss, steps[number - 1]


@pytest.mark.parametrize("number", range(1, 21, 3))
@pytest.mark.parametrize("go_on", [False, True])
def test_a_step_shows_what_had_arrived_then(number: int, go_on: bool) -> None:
    """The sums are made again here, from the steps that had run."""
    run, loss, last = stopped(number, go_on)
    arrived: dict[mg.Tensor, Any] = {}
    for step in last.steps[:number]:
        for x, part in zip(step.node.inputs, step.input_grads):
            if part is not None:
                arrived[x] = arrived.get(x, 0) + part
    done = {step.node for step in last.steps[:number]}
    expected = set()
    for name in "hy":
        for k in range(1, 5):
            x = run[name][k]
            size = norm_text(arrived[x]) if x in arrived else ""
            expected.add(f"{name}[{k}]\n" + (size if x in done else size.replace("|g|", "arrived:") if size else
                                            "|g| not computed"))
    found = draw_run(run, loss, range(1, 5), heat=True, step=last)
    assert {box.label for box in found.scene.boxes if box.label[:1] in ("h", "y") and not box.dashed} == expected
    waiting = {x for step in last.steps[number:] for x in step.node.inputs}
    for name, words in shelf(found.scene).items():
        x = run.parameters[name]
        size = norm_text(arrived[x]) if x in arrived else "|g| not computed"
        assert words == (f"{size} so far" if x in waiting and x in arrived else size)


def test_a_step_counts_this_pass_alone() -> None:
    run, loss, step = stopped(20, go_on=True)
    once = shelf(draw_run(run, loss, range(1, 5), step=step).scene)
    again = loss.backward_steps()
    for step in again:
        step.run()
    assert shelf(draw_run(run, loss, range(1, 5), step=again[19]).scene) == once


def test_the_caption_has_the_time_step_and_is_under_the_title() -> None:
    run, loss, step = stopped(9, go_on=False)
    source = viz.unrolled(run, loss=loss, step=step).source
    assert step.name is None and f"in h[{step.t}]" in source
    drawing = unrolled_drawing(run, loss, step=step)
    y = {text.text.split(" ")[0]: text.y for text in drawing.scene.texts if text.size in (12, 14)}
    assert y["elman,"] > y["backward:"] > max(box.top for box in drawing.scene.boxes)


@pytest.mark.parametrize("number", [*range(3, 27, 4), 27])
def test_no_gradient_covers_the_name_of_a_parameter(number: int) -> None:
    run, loss, step = stopped(number, go_on=False)
    drawing = draw_run(run, loss, range(1, 5), step=step)
    mark_step(drawing.scene, drawing.spec.tensors, drawing.boxes, step)
    scene = drawing.scene
    for label in [arrow.label for arrow in scene.arrows if arrow.label is not None]:
        left, bottom, right, top = rectangle(label)
        for arrow in scene.arrows:
            x, y = sampled(arrow).T
            assert not ((left < x) & (x < right) & (bottom < y) & (y < top)).any(), (label.text, arrow.tooltip)


# ---- terms of the loss on parameters
def regularised(names: str) -> tuple[Run, mg.Tensor]:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"].stack()).mean()
    for name in names:
        loss = loss + 0.01 * mg.square(run.parameters[name]).sum()
    loss.backward()
    return run, loss


@pytest.mark.parametrize("names", ["U", "UV", "WUbV"])
def test_a_term_of_the_loss_on_a_parameter_has_an_arrow(names: str) -> None:
    run, loss = regularised(names)
    scene = unrolled_drawing(run, loss).scene
    boxes = {box.key: box for box in scene.boxes}
    found = [arrow for arrow in scene.arrows if arrow.target == "loss" and arrow.source[0] == "p"]
    assert [boxes[arrow.source].label[0] for arrow in found] == [name for name in run.parameters if name in names]
    assert_arrows_pass_no_box(scene)
    for arrow in found:
        (x0, y0), (x1, y1) = arrow.points[0], arrow.points[-1]
        assert (x0, y0) == (boxes[arrow.source].left, boxes[arrow.source].y) and x1 == boxes["loss"].right
        assert boxes["loss"].bottom < y1 < boxes["loss"].top
    ways = {tuple(arrow.points[-1]) for arrow in found} | {arrow.points[4][0] for arrow in found}
    assert len(ways) == 2 * len(found)  # they share neither an end nor a way up
    for text in scene.texts:
        for box in scene.boxes:
            assert not overlap(rectangle(text), rectangle(box))


def test_its_gradient_goes_back_along_the_arrow() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    loss = mg.square(run["y"].stack()).mean() + 0.01 * mg.square(run.parameters["U"]).sum()
    steps = loss.backward_steps()
    seen = []
    for step in steps:
        step.run()
        source = viz.unrolled(run, loss=loss, step=step).source
        seen.append('tooltip="gradient: U → loss"' in source)
        assert seen[-1] == any(x is run.parameters["U"] for before in steps[:step.number] for x in before.node.inputs
                               if before.t is None)
    assert seen[-1] and not seen[0]


def test_its_gradient_is_that_through_the_steps() -> None:
    run, loss = regularised("U")
    words = shelf(unrolled_drawing(run, loss).scene)
    assert words["U"] == f"{norm_text(run.contributions('U').sum(0))} through the steps"
    assert words["W"] == norm_text(mg.grad(loss, run.parameters["W"]))


def test_a_loss_of_the_run_alone_has_no_arrow_from_parameters() -> None:
    run, loss = unrolled(elman)
    assert not [arrow for arrow in unrolled_drawing(run, loss).scene.arrows if arrow.source[0] == "p"]
