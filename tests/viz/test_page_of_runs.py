"""The stepper page and the panel's picture for a loss that is computed from several runs."""

from __future__ import annotations

import gc
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawings import assert_arrows_pass_no_box, overlap, rectangle
from several_runs import SEVERAL, Runs, attention, bridge, chain, chunks, detached_chunks, encoder_decoder

import minigrad as mg
import viz
from minigrad.backward import ancestors
from minigrad.debugger.timeline import Timeline
from rnn.unrolling.run_key import run_key
from viz.render import palette
from viz.render.scene import Box
from viz.stepper_page.live import LivePicture
from viz.stepper_page.scene import BackwardScene

every = pytest.mark.parametrize("make", SEVERAL)


def drawn(loss: mg.Tensor) -> BackwardScene:
    return BackwardScene(ancestors(loss)).draw()


def box_of(scene: BackwardScene, tensor: mg.Tensor) -> Box:
    box, = (box for box in scene.scene.boxes if box.key == scene.keys[tensor])
    return box


def page_data(loss: mg.Tensor) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', viz.stepper(loss).html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@every
def test_every_tensor_has_one_box_and_every_edge_an_arrow(make: Callable[[], Runs]) -> None:
    _, loss = make()
    scene = drawn(loss)
    keys = [box.key for box in scene.scene.boxes]
    assert len(set(keys)) == len(keys) and set(scene.keys.values()) == set(keys)
    assert {x for x in scene.nodes if x.op is not None} <= set(scene.keys)
    owners: dict[str, list[mg.Tensor]] = {}
    for tensor, key in scene.keys.items():
        owners.setdefault(key, []).append(tensor)
    assert all(len(tensors) == 1 for tensors in owners.values())
    shared = set(scene.shared)
    edges = {(scene.keys[x], scene.keys[node]) for node in scene.nodes for x in node.inputs
             if x in scene.keys and node in scene.keys and x not in shared}
    arrows = {(arrow.source, arrow.target) for arrow in scene.scene.arrows if arrow.color != palette.CUT}
    assert arrows == edges


@every
def test_nothing_lies_on_a_box(make: Callable[[], Runs]) -> None:
    scene = drawn(make()[1]).scene
    for a, b in itertools.combinations(scene.boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} on {b.label!r}"
    assert_arrows_pass_no_box(scene)


@every
def test_the_tensors_of_a_step_are_in_its_frame(make: Callable[[], Runs]) -> None:
    runs, loss = make()
    scene = drawn(loss)
    frames = sorted(scene.scene.frames, key=lambda frame: frame.left)
    drawn_runs = [run for run in runs if any(x.op is not None and run_key(x) is run.key for x in scene.nodes)]
    assert [frame.caption for frame in frames] == [f"t = {k}" for run in drawn_runs for k in range(1, run.T + 1)]
    first = dict(zip(drawn_runs, itertools.accumulate([0, *(run.T for run in drawn_runs)])))
    for run in drawn_runs:
        for name in run.cell.signals:
            for k, tensor in run[name].tensors.items():
                if tensor in scene.keys and 1 <= k <= run.T:
                    frame, box = frames[first[run] + k - 1], box_of(scene, tensor)
                    assert frame.left < box.left and box.right < frame.right


def test_the_gradient_of_the_encoder_comes_along_the_link() -> None:
    runs, loss = encoder_decoder()
    scene = drawn(loss)
    last, start = box_of(scene, runs[0]["h"][3]), box_of(scene, runs[1]["h"][0])
    assert start.label == "h[0] = h[3] of encoder" and start.dashed
    assert [arrow.source for arrow in scene.scene.arrows if arrow.target == start.key] == [last.key]
    assert sum(box.label.startswith("h[0]") for box in scene.scene.boxes) == 2  # one of each run
    names = [text.text for text in scene.scene.texts]
    assert "encoder" in names and "decoder" in names


def test_what_is_between_two_runs_stands_between_them() -> None:
    runs, loss = bridge()
    scene = drawn(loss)
    tanh = runs[1]["h"][0].inputs[0]
    right = max(frame.right for frame in scene.scene.frames[:3])
    assert right < box_of(scene, tanh).left and box_of(scene, tanh).right < box_of(scene, runs[1]["h"][0]).left
    assert tanh not in scene.times


def test_a_static_of_the_decoder_is_no_parameter() -> None:
    scene = drawn(attention()[1])
    static = next(x for x in scene.nodes if x.name == "enc")
    assert static in scene.between and static not in set(scene.shared)
    assert {x.name for x in scene.shared} == {"W", "U", "S"}


def test_detached_chunks_have_a_cut_link() -> None:
    runs, loss = detached_chunks()
    scene = drawn(loss)
    arrow, = (arrow for arrow in scene.scene.arrows if arrow.color == palette.CUT)
    assert (arrow.source, arrow.target) == (scene.keys[runs[0]["h"][2]], scene.keys[runs[1]["h"][0]])
    alone = drawn(np.square(runs[1]["y"].stack()).mean())
    assert len(alone.scene.frames) == 2
    assert box_of(alone, runs[1]["h"][0]).label == "h[0] = h[2] of another run"


def test_arrows_to_several_terms_of_the_loss_go_up_side_by_side() -> None:
    runs, loss = chain()
    scene = drawn(loss)
    ups: dict[str, set[float]] = {}
    for run in runs:
        for k in (1, 2):
            arrow, = (arrow for arrow in scene.scene.arrows if arrow.source == scene.keys[run["y"][k]])
            last = [x for (x, y), (x1, y1) in itertools.pairwise(arrow.points) if abs(x - x1) < 0.1 and y1 - y > 1][-1]
            ups.setdefault(arrow.target, set()).add(round(last, 3))
    assert len(ups) == 3 and all(len(xs) == 1 for xs in ups.values())
    assert len(set.union(*ups.values())) == 3


def test_runs_need_not_exist_any_more() -> None:
    before = drawn(encoder_decoder()[1]).scene
    loss = encoder_decoder()[1]
    gc.collect()
    assert drawn(loss).scene == before


def test_the_steps_of_several_runs_are_told_apart() -> None:
    data = page_data(chain()[1])
    steps = [f"{k} of elman, run {run}" for run in (1, 2, 3) for k in (1, 2)]
    assert data["times"] == steps
    for shared in data["shared"]:
        assert {row[1] for row in shared["contributions"]} == set(steps) == set(shared["times"])
    runs = {(node["signal"], node["run"]) for node in data["nodes"] if "signal" in node and "op" in node}
    assert {("h", f"elman, run {run}") for run in (1, 2, 3)} < runs and "h" in data["repeated"]


def test_parameters_have_the_steps_of_the_runs_that_use_them() -> None:
    data = page_data(encoder_decoder()[1])
    names = {data["nodes"][shared["node"]]["name"]: shared["times"] for shared in data["shared"]}
    assert names["W"] == [f"{k} of encoder" for k in (1, 2, 3)]
    assert names["V"] == [f"{k} of decoder" for k in (1, 2, 3)]


def test_what_a_step_adds_is_what_its_run_contributes() -> None:
    runs, loss = chain()
    data = page_data(loss)
    loss.backward()
    shared = next(x for x in data["shared"] if data["nodes"][x["node"]]["name"] == "V")
    last = {row[1]: float(row[2]) for row in shared["contributions"]}
    for number, run in enumerate(runs, 1):
        for k, part in enumerate(run.contributions("V"), 1):
            assert last[f"{k} of elman, run {number}"] == pytest.approx(np.linalg.norm(part), rel=1e-6)


def test_one_run_has_plain_steps() -> None:
    data = page_data(chunks(1, lambda state: state)[1])
    assert data["times"] == [0, 1, 2] and "times" not in data["shared"][0]


@every
def test_the_panel_follows_the_pass(make: Callable[[], Runs]) -> None:
    _, loss = make()
    picture = LivePicture(Timeline(loss))
    names = set(re.findall(r'id="back-([0-9]+-[0-9]+)"', picture.svg))
    while picture.timeline.position < len(picture.timeline.steps):
        picture.timeline.forward()
    state = picture.state()
    assert set(state["arrows"]) & names == names
    assert all(f'id="box-{key}"' in picture.svg for key in state["boxes"])
