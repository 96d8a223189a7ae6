"""The picture of a backward pass that is under way: its state at each position, in both directions."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elman_losses import long_loss, loss_of, run_of

import minigrad as mg
from minigrad.debugger.timeline import Timeline
from viz.stepper_page.live import MAX_BOXES, LivePicture

ROOT = Path(__file__).parents[2]


def stepped(loss: mg.Tensor, count: int) -> LivePicture:
    """Return the picture after some steps."""
    timeline = Timeline(loss)
    picture = LivePicture(timeline)
    for _ in range(count):
        assert timeline.forward()
    return picture


def keys(picture: LivePicture, word: str) -> set[str]:
    """Return the keys of the svg's boxes ("box") or gradient arrows ("back")."""
    return set(re.findall(rf'<g class="{word}" id="{word}-([^"]+)">', picture.svg))


def naive_gradients(loss: mg.Tensor, count: int) -> dict[mg.Tensor, Any]:
    """Return the gradients after some steps: the same additions, from `backward_steps` of an equal loss."""
    gradients = {loss: np.ones(())}
    steps = loss.backward_steps()
    for step in steps[:count]:
        step.run()
        for x, grad in zip(step.node.inputs, step.input_grads):
            if grad is not None:
                gradients[x] = gradients.get(x, 0) + grad
    return gradients


def test_minigrad_finds_it_by_its_entry_point() -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    value = declared["minigrad.pictures"]["backward"]
    assert EntryPoint("backward", value, "minigrad.pictures").load() is LivePicture


def test_every_box_and_arrow_of_the_state_is_in_the_picture() -> None:
    loss = loss_of(run_of())
    count = len(loss.backward_steps())
    state = stepped(loss, count).state()
    picture = stepped(loss, count)
    assert set(state["boxes"]) <= keys(picture, "box") and len(state["boxes"]) == count
    assert set(state["now"]) <= set(state["arrows"])
    assert keys(picture, "back") <= set(state["arrows"])  # at the end every arrow has been used


@pytest.mark.parametrize("count", [0, 1, 6, 13, 28])
def test_its_state_is_that_of_the_gradients(count: int) -> None:
    loss = loss_of(run_of())
    expected = naive_gradients(loss, count)
    picture = stepped(loss, count)
    state = picture.state()
    assert (state["step"], state["steps"]) == (count, 28)
    numbers = {step.node: step.number for step in loss.backward_steps()}
    of_box = {key: x for x, key in picture.boxes.items()}
    known = {of_box[key] for key, box in state["boxes"].items() if box["look"] != "waiting"}
    assert known == {x for x in expected if x.op is not None}
    for key, box in state["boxes"].items():
        x = of_box[key]
        size = f"{np.linalg.norm(expected[x]):.3g}" if x in expected else "not yet"
        assert box["size"].removesuffix(" so far") == size and box["title"].endswith(f"|g| {box['size']}")
        assert box["step"] == numbers[x]
    for row in state["shared"]:
        [x] = [x for x in picture.timeline.tensors if x.name == row["name"]]
        assert row["size"] == (f"{np.linalg.norm(expected[x]):.3g}" if x in expected else "not yet") + (
            " so far" if x in expected and row["partly"] else "")


def test_the_current_box_and_the_arrows_of_its_step() -> None:
    picture = stepped(loss_of(run_of()), 6)
    state = picture.state()
    assert state["title"] == "h[4] tanh"
    assert picture.boxes[picture.timeline.steps[5].node] == state["current"]
    assert state["now"] == ["6-0"] and "6-0" in state["arrows"] and "7-0" not in state["arrows"]
    start = stepped(loss_of(run_of()), 0).state()
    assert start["current"] is None and start["arrows"] == [] and start["start"] in start["boxes"]


def test_a_step_back_restores_the_state_but_for_the_colours() -> None:
    """Colours are by the range of all norms that were computed, which a step back doesn't make smaller."""
    picture = stepped(loss_of(run_of()), 11)

    def without_colours() -> dict[str, Any]:
        state = picture.state()
        for entry in [*state["boxes"].values(), *state["shared"]]:
            entry.pop("color", None)
        return {name: part for name, part in state.items() if name != "scale"}

    before = without_colours()
    for _ in range(7):
        picture.timeline.forward()
    assert without_colours() != before
    for _ in range(7):
        picture.timeline.back()
    assert without_colours() == before


def test_a_parameter_leads_to_the_next_step_that_adds_to_it() -> None:
    picture = stepped(loss_of(run_of()), 6)
    [V] = [row for row in picture.state()["shared"] if row["name"] == "V"]
    users = [step.number for step in picture.timeline.steps if any(x.name == "V" for x in step.node.inputs)]
    assert V["step"] == next(number for number in users if number > 6) and not V["now"]
    [V] = [row for row in stepped(loss_of(run_of()), 5).state()["shared"] if row["name"] == "V"]
    assert V["now"] and V["partly"]


def test_zero_nan_and_no_gradient_have_looks_of_their_own() -> None:
    w = mg.Tensor(np.array([1.0, 2.0]), requires_grad=True, name="w")
    zero, bad = w * 0.0, np.sqrt(w * 0.0)
    with np.errstate(all="ignore"):
        picture = stepped((zero * bad).sum(), 5)
        looks = {x: picture.state()["boxes"][key]["look"] for x, key in picture.boxes.items()}
    assert looks[bad] == "zero" and looks[zero] == "zero"
    assert looks[bad.inputs[0]] == "bad"  # 0 * inf
    assert looks[w] == "bad"


def test_the_state_is_plain_json_and_names_are_escaped() -> None:
    w = mg.Tensor(np.ones(2), requires_grad=True, name="<script>&")
    picture = stepped((w * w).sum(), 1)
    assert json.loads(json.dumps(picture.state(), allow_nan=False)) == picture.state()
    assert "<script>" not in picture.svg and "style=" not in picture.svg


def test_a_pass_that_is_too_large_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_BOXES:,} tensors, too many for a picture"):
        LivePicture(Timeline(long_loss(MAX_BOXES // 4)))
