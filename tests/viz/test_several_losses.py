"""Several losses on one run: a picture shows the gradients of its own loss, whichever pass was the last.

Each expectation is from `mg.grad`, or from a fresh run on which the loss alone is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import data, deep_lstm, elman, parameter
from drawings import draw_run, norm_text

import minigrad as mg
import viz
from minigrad.backward import ancestors
from rnn import Cell, Run, t
from viz.pictures.gradient_map import map_scene
from viz.pictures.graph import GraphDrawing
from viz.pictures.unrolled import draw_runs
from viz.render.scene import Scene

SHOW = ("name", "operation", "shape", "gradient")
NAMES = "A", "B"


def losses(cell: Cell, together: bool = False) -> tuple[Run, dict[str, mg.Tensor]]:
    """Return a run with the losses A, of step 1, and B, of step 3; or both of all steps."""
    run = cell.unroll(**data(cell))
    found = {"A": mg.square(run["y"].stack() if together else run["y"][1]).mean(),
             "B": np.abs(run["y"].stack() if together else run["y"][3]).sum()}
    for name, loss in found.items():
        loss.name = name
    return run, found


def looks(scene: Scene) -> list[tuple[Any, ...]]:
    """Return what a reader sees of the gradients: text, colour and pattern of boxes, width of arrows."""
    boxes = [(box.key, box.label, box.paint.fill, box.pattern) for box in scene.boxes]
    return [*boxes, *((arrow.source, arrow.target, arrow.pen) for arrow in scene.arrows)]


# ---- one run
@pytest.mark.parametrize("shown", NAMES)
@pytest.mark.parametrize("order", mostly_slow(["BA", "ABA", "AB"], 2))
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("level", ["signals", "ops"])
def test_a_picture_with_a_loss_is_that_of_a_run_on_which_it_alone_was_differentiated(
        shown: str, order: str, together: bool, level: str) -> None:
    cell = elman()
    run, mixed = losses(cell, together=together)
    for name in order:
        mixed[name].backward()
    fresh, alone = losses(cell, together=together)
    alone[shown].backward()
    options: dict[str, Any] = {"heat": True, "values": True, "contributions": level == "signals", "level": level}
    assert looks(draw_run(run, mixed[shown], range(1, 5), **options).scene) == looks(
        draw_run(fresh, alone[shown], range(1, 5), **options).scene)
    assert viz.unrolled(run, mixed[shown], **options).source == viz.unrolled(fresh, alone[shown], **options).source


@pytest.mark.parametrize("shown", NAMES)
def test_layers_too(shown: str) -> None:
    cell = deep_lstm(2)
    run, mixed = losses(cell)
    for name in NAMES:
        mixed[name].backward()
    fresh, alone = losses(cell)
    alone[shown].backward()
    options: dict[str, Any] = {"heat": True, "level": "layers", "contributions": True}
    assert looks(draw_run(run, mixed[shown], range(1, 5), **options).scene) == looks(
        draw_run(fresh, alone[shown], range(1, 5), **options).scene)


def test_a_part_of_the_loss_that_was_differentiated_shows_its_own_part() -> None:
    run, mixed = losses(elman(), together=True)
    (mixed["A"] + mixed["B"]).backward()
    expected = mg.grad(mixed["A"], run["h"][2])
    labels = [box.label for box in draw_run(run, mixed["A"], range(1, 5), heat=True).scene.boxes]
    assert f"h[2]\n{norm_text(expected)}" in labels


def test_no_gradient_changes_and_no_hook_runs() -> None:
    run, mixed = losses(elman())
    called: list[Any] = []
    run["h"][1].register_hook(called.append)
    for name in NAMES:
        mixed[name].backward()
    nodes = ancestors(mixed["A"] + mixed["B"])
    before, count = [None if x.grad is None else x.grad.copy() for x in nodes], len(called)
    viz.unrolled(run, mixed["A"], heat=True)
    viz.graph(mixed["A"])
    assert len(called) == count == 2
    for x, grad in zip(nodes, before):
        np.testing.assert_array_equal(x.grad, grad)


def test_a_hook_that_replaces_a_gradient_is_followed() -> None:
    run, mixed = losses(elman())
    run["h"][1].register_hook(lambda grad: 3 * grad)
    mixed["A"].backward()
    labels = {box.label for box in draw_run(run, mixed["A"], range(1, 5), heat=True).scene.boxes}
    assert f"h[1]\n{norm_text(run['h'][1].grad)}" in labels
    np.testing.assert_allclose(run.contributions("W", mixed["A"]).sum(0), run.parameters["W"].grad)


# ---- a loss that was not differentiated
def test_without_its_own_pass_a_loss_shows_no_number_and_a_note() -> None:
    run, mixed = losses(elman())
    mixed["A"].backward()
    labels = {box.label for box in draw_run(run, mixed["B"], range(1, 5), values=True).scene.boxes}
    assert not any("|g|" in label and "not computed" not in label for label in labels)
    assert "B has no gradients yet, those of the run are of another loss" in viz.unrolled(
        run, mixed["B"], values=True).source
    for options in ({"heat": True}, {"contributions": True}):
        with pytest.raises(ValueError, match=r"^B has no gradients yet.*call B\.backward\(\) first"):
            viz.unrolled(run, mixed["B"], **options)
    mixed["B"].backward()
    assert "no gradients" not in viz.unrolled(run, mixed["B"], values=True, heat=True).source


def test_before_any_pass_there_is_no_note() -> None:
    run, mixed = losses(elman())
    assert "gradients yet" not in viz.unrolled(run, mixed["B"], values=True).source


# ---- after an optimiser's step
def test_one_loss_is_drawn_after_the_optimiser_too() -> None:
    run, mixed = losses(elman())
    mixed["A"].backward()
    expected = norm_text(run["h"][1].grad)
    mg.optim.SGD(run.parameters, lr=0.1).step()
    assert f"h[1]\n{expected}" in [box.label for box in draw_run(run, mixed["A"], range(1, 5), heat=True).scene.boxes]
    viz.unrolled(run, mixed["A"], heat=True)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("shown, last", ["AB", "BA"])
def test_overwritten_gradients_are_not_drawn_after_the_optimiser(shown: str, last: str, together: bool) -> None:
    run, mixed = losses(elman(), together=together)
    for name in (shown, last):
        mixed[name].backward()
    mg.optim.SGD(run.parameters, lr=0.1).step()
    labels = [box.label for box in draw_run(run, mixed[shown], range(1, 5), values=True).scene.boxes]
    assert norm_text(run["h"][1].grad) not in " ".join(labels)
    assert any(label.startswith("h[1]") and label.endswith("not computed") for label in labels)
    with pytest.raises(ValueError, match=f"^{shown} lacks gradients.*before the optimiser's step"):
        viz.unrolled(run, mixed[shown], heat=True)
    with pytest.raises(ValueError, match=f"^{shown} lacks gradients"):
        run.contributions("W", mixed[shown])


def test_nothing_that_follows_from_an_overwritten_gradient_is_drawn() -> None:
    run = elman().unroll(x=np.ones((4, 3)))
    first, last = mg.square(run["y"][3]).mean(), np.abs(run["y"][3]).sum()
    for loss in (first, last):
        loss.backward()
    expected = norm_text(mg.grad(first, run["y"][3]))
    run.parameters["V"].data = 2 * run.parameters["V"].data  # which y alone reads
    labels = [box.label for box in draw_run(run, first, range(1, 5), values=True).scene.boxes]
    gradients = {label.split("\n")[0]: label.split("\n")[-1] for label in labels}
    assert [gradients[f"h[{k}]"] for k in (1, 2, 3)] == ["|g| not computed"] * 3
    assert gradients["y[3]"] == expected


def test_chunks_that_are_detached_do_not_disturb_each_other() -> None:
    cell = elman()
    first, mixed = losses(cell)
    second = cell.unroll(x=np.ones((2, 3)), initial=first.state.detach())
    loss = mg.square(second["y"][2]).mean()
    for each in (loss, mixed["A"]):
        each.backward()
    expected = norm_text(second["h"][1].grad)
    mg.optim.SGD(cell.parameters, lr=0.1).step()
    labels = [box.label for box in draw_runs([first, second], loss, heat=True).scene.boxes]
    assert f"h[1]\n{expected}" in labels
    assert norm_text(first["h"][1].grad) not in " ".join(labels)


# ---- a step of another pass
@pytest.mark.parametrize("several", [False, True])
def test_a_step_of_another_loss_is_refused(several: bool) -> None:
    run, mixed = losses(elman())
    step = mixed["B"].backward_steps()[0]
    step.run()
    drawn = [run, run.cell.unroll(x=np.ones((2, 3)), initial=run.state)] if several else run
    with pytest.raises(ValueError, match=r"^step= is step 1 .*<B .*and loss= is <A "):
        viz.unrolled(drawn, mixed["A"], step=step)
    viz.unrolled(run, mixed["B"], step=step)


def test_a_step_has_the_contributions_of_its_own_pass() -> None:
    cell = elman()
    run, mixed = losses(cell)
    mixed["A"].backward()
    fresh, alone = losses(cell)
    pictures = []
    for drawn, loss in ((run, mixed["B"]), (fresh, alone["B"])):
        steps = loss.backward_steps()
        for step in steps:
            step.run()
        pictures.append(viz.unrolled(drawn, step=steps[-1], contributions=True, heat=True).source)
    assert pictures[0] == pictures[1]


# ---- several runs
@pytest.mark.parametrize("shown", NAMES)
def test_several_runs_show_the_gradients_of_one_loss(shown: str) -> None:
    def chunks() -> tuple[list[Run], dict[str, mg.Tensor]]:
        first, found = losses(cell)
        second = cell.unroll(x=np.ones((2, 3)), initial=first.state)
        found["A"] = found["A"] + mg.square(second["y"][1]).sum()
        found["B"] = found["B"] + mg.square(second["y"][2]).sum()
        return [first, second], found

    cell = elman()
    (runs, mixed), (fresh, alone) = chunks(), chunks()
    for name in NAMES:
        mixed[name].backward()
    alone[shown].backward()
    options: dict[str, Any] = {"heat": True, "values": True, "contributions": True}
    assert looks(draw_runs(runs, mixed[shown], **options).scene) == looks(
        draw_runs(fresh, alone[shown], **options).scene)


def test_what_is_between_runs_is_of_the_loss_too() -> None:
    def linked() -> tuple[list[Run], list[mg.Tensor]]:
        first = encoder.unroll(x=np.ones((3, 3)))
        second = decoder.unroll(2, initial={"s": P @ first["h"][3]})
        return [first, second], [mg.square(second["s"][1]).sum(), mg.square(second["s"][2]).mean()]

    encoder, P, decoder = elman(), parameter("P", 2, 4), Cell("decoder")
    s = decoder.signal("s", 2)
    s[t] = np.tanh(parameter("D", 2, 2) @ s[t-1])
    (runs, mixed), (fresh, alone) = linked(), linked()
    for loss in mixed:
        loss.backward()
    alone[0].backward()
    labels = [box.label for box in draw_runs(runs, mixed[0], values=True).scene.boxes]
    assert labels == [box.label for box in draw_runs(fresh, alone[0], values=True).scene.boxes]
    assert any(label.startswith("P") and norm_text(mg.grad(mixed[0], P)) in label for label in labels)


# ---- numbers and the gradient map
@pytest.mark.parametrize("shown", NAMES)
def test_contributions_norms_and_map_of_a_loss(shown: str) -> None:
    cell = elman()
    run, mixed = losses(cell)
    for name in NAMES:
        mixed[name].backward()
    fresh, alone = losses(cell)
    alone[shown].backward()
    for name in run.parameters:
        np.testing.assert_allclose(run.contributions(name, loss=mixed[shown]), fresh.contributions(name), atol=1e-15)
    np.testing.assert_allclose(run.gradient_norms("h", mixed[shown]), fresh.gradient_norms("h"))
    assert looks(map_scene(run, loss=mixed[shown])) == looks(map_scene(fresh, loss=alone[shown]))


def test_the_map_of_a_loss_that_was_not_differentiated_is_refused() -> None:
    run, mixed = losses(elman())
    mixed["A"].backward()
    for ask in (lambda: viz.gradient_map(run, loss=mixed["B"]), lambda: run.contributions("W", mixed["B"])):
        with pytest.raises(ValueError, match=r"call B\.backward\(\) first"):
            ask()


# ---- graphs
def leaves(loss: mg.Tensor) -> dict[str, str]:
    """Return the gradients in a graph, by the label of the leaf."""
    scene = GraphDrawing(ancestors(loss), SHOW).draw()
    found = [box.label.replace("\n", "  ") for box in scene.boxes]
    return {label.split("  ")[0]: label[label.index("|g|"):] for label in found if "|g|" in label}


@pytest.mark.parametrize("make", [lambda run: mg.square(run["y"].stack()).mean(), lambda run: run["y"][1].sum()])
def test_the_leaves_of_a_graph_have_what_this_graph_added(make: Callable[[Run], mg.Tensor]) -> None:
    cell = elman()
    run, other = (cell.unroll(**data(cell, seed=seed)) for seed in (0, 1))
    loss = make(run)
    loss.backward()
    make(other).backward()  # adds to .grad of the same leaves
    found = leaves(loss)
    for name, gradient in mg.grad(loss, dict(cell.parameters)).items():
        if name != "U" or np.any(gradient):
            assert found[name] == norm_text(gradient) != norm_text(cell.parameters[name].grad)
    assert leaves(make(cell.unroll(**data(cell)))) == {}


def test_the_leaves_of_a_graph_have_none_once_they_were_modified() -> None:
    run, mixed = losses(elman())
    mixed["B"].backward()
    assert leaves(mixed["B"]).keys() >= set("WUbV")
    mg.optim.SGD(run.parameters, lr=0.1).step()
    found = leaves(mixed["B"])
    assert not found.keys() & set("WUbV") and found["h[3]"] == norm_text(run["h"][3].grad)


def test_a_leaf_of_which_a_part_is_unknown_has_none() -> None:
    run, mixed = losses(elman())
    mixed["B"].backward()
    expected = norm_text(run.parameters["V"].grad)
    run.parameters["U"].data = 2 * run.parameters["U"].data  # so the terms of W at steps 1 and 2 are unknown
    found = leaves(mixed["B"])
    assert found["V"] == expected and not found.keys() & set("WUb")


def test_a_pass_that_is_half_way_shows_what_it_has_reached() -> None:
    _, mixed = losses(elman())
    for step in mixed["B"].backward_steps():
        step.run()
        if (step.name, step.t) == ("h", 3):
            break
    found = leaves(mixed["B"])
    assert {"y[3]", "h[3]"} <= found.keys() and not {"h[2]", "h[1]", "W"} & found.keys()
