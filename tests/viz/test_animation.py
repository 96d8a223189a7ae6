"""viz.animate: frames that differ in colours, numbers and arrows alone, and the GIF of them."""

from __future__ import annotations

import gc
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, lstm, parameter
from drawings import norm_text
from painters import painting

import minigrad as mg
import viz
from minigrad import Op
from minigrad.backward import ancestors
from minigrad.steps import Step
from rnn import Cell, Run, cells, t
from viz.annotations.heat import Norm
from viz.render import gif, palette
from viz.render.fonts import text_width

BOX = re.compile(r'^\t(\w+) \[.*?label="([^"]*)".*?pos="([^"]*)".*?width="([^"]*)"', re.MULTILINE)


def network(make: Any = elman, T: int = 3) -> tuple[Run, mg.Tensor]:
    """The same numbers at each call."""
    run = make().unroll(x=np.random.default_rng(0).normal(size=(T, 2, 3)))
    output = "y" if "y" in run else list(run.cell.signals)[-1]
    loss = mg.square(run[output].stack()).mean()
    loss.name = "loss"
    return run, loss


def labels(picture: viz.Picture) -> dict[str, str]:
    """Return the label of each box by its key."""
    return {key: label.replace("\\n", "\n").removesuffix("\\l") for key, label, *_ in BOX.findall(picture.source)}


def shown(picture: viz.Picture, name: str) -> str:
    """Return the words on the gradient in the box of a tensor, `h[3]`, or beside a parameter, `W`."""
    found = [re.search(r"(\|g\| |arrived: ).*$", text) for text in labels(picture).values()
             if text.startswith((f"{name}\n", f"{name} "))]
    words, = (match[0] for match in found if match)
    return words


def of_signal(x: mg.Tensor, steps: Sequence[Step], done: int) -> str:
    """Return the words for a signal's gradient after some steps; a sum of parts until its own step has run."""
    if any(step.node is x for step in steps[:done]):
        return norm_text(x.grad)
    parts = [part for step in steps[:done] for y, part in zip(step.node.inputs, step.input_grads) if y is x]
    return norm_text(sum(parts)).replace("|g|", "arrived:") if parts else "|g| not computed"


def of_parameter(x: mg.Tensor, steps: Sequence[Step], done: int) -> str:
    if x.grad is None:
        return "|g| not computed"
    more = any(y is x for step in steps[done:] for y in step.node.inputs)
    return norm_text(x.grad) + " so far" * more


# ---- a backward pass
@pytest.mark.parametrize("level, every", [("signals", None), ("ops", None), ("signals", 4), ("ops", 1)])
@pytest.mark.slow
def test_a_frame_shows_the_gradients_that_are_known_after_its_steps(level: str, every: int | None) -> None:
    _run, loss = network()
    animation = viz.animate(loss, level=level, every=every)
    other, other_loss = network()  # a pass of its own, step by step
    steps = list(other_loss.backward_steps())
    assert animation.numbers[0] == 0 and animation.numbers[-1] == len(steps) == animation.numbers[-2]
    done, words = 0, set()
    for number, frame in zip(animation.numbers, animation.frames):
        for step in steps[done:number]:
            step.run()
        done = max(done, number)
        for name, k in [(name, k) for name in "hy" for k in (1, 2, 3)]:
            assert shown(frame, f"{name}[{k}]") == of_signal(other[name][k], steps, done)
            words.add(shown(frame, f"{name}[{k}]").split(" ")[0])
        for name, tensor in other.parameters.items():
            assert shown(frame, name) == of_parameter(tensor, steps, done)
            words.add(shown(frame, name).split(" ")[-1])
    assert done == len(steps) and {"arrived:", "far", "computed"} < words


def test_a_frame_is_for_the_steps_of_one_box_or_for_some_number_of_steps() -> None:
    _, loss = network()
    signals = viz.animate(loss)
    assert [caption.split(", ")[-1] for caption in signals.captions[1:-1]] == [
        "loss", "y[3]", "h[3]", "y[2]", "h[2]", "y[1]", "h[1]"]
    assert signals.captions[0] == "before the backward pass"
    assert signals.captions[1] == "backward: steps 1 … 3 of 21, loss"
    assert signals.captions[-1] == "after the backward pass: 21 steps"
    assert viz.animate(loss, every=5).numbers == [0, 5, 10, 15, 20, 21, 21]
    assert len(viz.animate(loss, level="ops").frames) == 21 - 2 + 2  # mean, square and stack are one box


def gradient_arrows(picture: viz.Picture) -> int:
    return picture.source.count('tooltip="gradient: ')


def test_the_arrows_of_gradients_grow_from_none_to_one_for_each_edge_with_a_gradient() -> None:
    _, loss = network()
    counts = [gradient_arrows(frame) for frame in viz.animate(loss).frames]
    assert counts == sorted(counts) and counts[0] == 0
    assert counts[-1] == 3 + 3 + 2  # loss → y, y → h, h → h


def test_the_tooltip_of_an_arrow_has_the_gradients_of_its_frame() -> None:
    _, loss = network()
    for frame in viz.animate(loss).frames:
        boxes = {label.replace("\n", " ") for label in labels(frame).values()}
        tips = re.findall(r'\ts\d_\d -> .*? tooltip="(?:gradient: )?([^"]+→[^"]*)"', frame.source)
        assert len(tips) > 8 and {end for tip in tips for end in tip.split(" → ")} <= boxes


def test_the_box_of_a_frame_is_outlined_except_in_the_first_and_the_last() -> None:
    _, loss = network()
    outlined = [re.findall(rf'color="{palette.BACKWARD}" [^\]]*label="([^"]*)"[^\]]*penwidth="4"', frame.source)
                for frame in viz.animate(loss, heat=False).frames]
    assert [[label[:1] for label in found] for found in outlined] == [
        [], *([letter] for letter in "lyhyhyh"), []]


def test_every_gradient_is_restored() -> None:
    run, loss = network()
    (run["h"].stack().sum() * 3).backward()  # of another loss
    tensors = [*ancestors(loss), *run.parameters.values()]
    before = [(x, x.grad, None if x.grad is None else x.grad.copy()) for x in tensors]
    first = viz.animate(loss, values=True)
    for x, grad, copy in before:
        assert x.grad is grad and (grad is None or np.array_equal(grad, copy))
    assert shown(first.frames[0], "W") == "|g| not computed"  # and not the other loss's
    assert [frame.source for frame in viz.animate(loss, values=True).frames] == [
        frame.source for frame in first.frames]


class Fails(Op):
    def forward(self, x: Any) -> Any:
        return x * 1.0

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        raise ZeroDivisionError("no derivative today")


def test_an_error_in_a_derivative_is_raised_and_every_gradient_restored() -> None:
    run, loss = network()
    loss.backward()
    before = {name: x.grad for name, x in run.parameters.items()}
    failing = mg.apply(Fails(), run["h"][2]).sum() + loss
    with pytest.raises(ZeroDivisionError, match="no derivative today"):
        viz.animate(failing)
    assert all(x.grad is before[name] for name, x in run.parameters.items())


# ---- one fixed frame
def tiny_and_huge() -> Cell:
    """Gradients from 1e-200 to infinity: their texts have all lengths."""
    W, V = mg.Tensor(1e-70, requires_grad=True, name="W"), mg.Tensor(1e160, requires_grad=True, name="V")
    cell = Cell("tiny and huge")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = W * h[t-1] + x[t]
    y[t] = V * h[t]
    return cell


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("make, options", [
    (elman, {}), (elman, {"values": True}), (elman, {"level": "ops", "values": True}), (elman, {"heat": False}),
    (tiny_and_huge, {"values": True}), (bidirectional, {}), (lstm, {"every": 7}), (elman, {"steps": [1, 3]})])
def test_no_box_text_or_title_moves_from_frame_to_frame(make: Any, options: Any) -> None:
    _, loss = network(make)
    frames = viz.animate(loss, **options).frames
    places = [{key: (pos, width) for key, _, pos, width in BOX.findall(frame.source)} for frame in frames]
    changing = {key for place in places for key, at in place.items() if at != places[0].get(key)}
    captions = {key for key, label in labels(frames[0]).items() if label == "before the backward pass"}
    assert changing == captions  # a caption is centred
    names = [re.findall(r'\t(\w+ -> \w+) .* label="(.*?)" lp="(.*?)"', frame.source) for frame in frames]
    assert all(name == names[0] for name in names)
    beside = [label for frame in frames for key, label, *_ in BOX.findall(frame.source) if re.match(r"p\d", key)]
    assert all(label.endswith("\\l") for label in beside)  # at the left side, where the name stays
    assert all("unrolled, T = 3" in frame.source for frame in frames)
    assert [frame.source.count('"backward: step') for frame in frames] == [0, *[1] * (len(frames) - 2), 0]
    assert len({frame.graph_attr["bb"] for frame in frames}) == 1


def test_subscripted_names_of_parameters_begin_inside_their_boxes() -> None:
    cell = Cell("gates")
    cells.lstm(cell, cell.input("x", 3), 3, name="m", rng=np.random.default_rng(0))
    run = cell.unroll(x=np.ones((2, 3)))
    loss = np.square(run["m.h"].stack()).mean()
    boxes = re.findall(r'\tp\d+ \[.*WIDTH="(\d+)".* width="(.*?)" margin="(.*?),0"', viz.animate(
        loss, run=run, notation="math", every=50).frames[1].source)
    assert len(boxes) > 3
    for cell_width, width, margin in boxes:  # the cell of a label's table is centred in its box
        assert 72 * float(width) - float(cell_width) == pytest.approx(2 * 72 * float(margin), abs=1.0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("make, unknown", [(elman, "not computed"), (tiny_and_huge, "not computed"), (elman, "?"),
                                           (bidirectional, "?")])
def test_every_label_of_every_frame_fits_into_its_box(make: Any, unknown: str,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Norm, "__str__", lambda norm: unknown if norm.value is None else f"{norm.value:.12e}")
    _, loss = network(make)
    for frame in viz.animate(loss, values=True).frames:
        for key, label, _, width in BOX.findall(frame.source):
            if re.match(r"s\d|p\d|loss", key):
                size = 11 if key[0] == "p" else 10 if "\\n" in label else 12
                text = label.replace("\\n", "\n").removesuffix("\\l")
                assert text_width(text, size) < float(width) * 72, (key, label)


def test_the_colour_of_a_gradient_that_is_known_stays() -> None:
    _, loss = network(fading)
    known: dict[str, str] = {}
    for frame in viz.animate(loss).frames:
        for fill, label in re.findall(r'fillcolor="([^"]*)"[^\]]*label="(h[^"]*\|g\| \d[^"]*)"', frame.source):
            assert known.setdefault(label, fill) == fill
    assert len(known) == len(set(known.values())) == 3


def fading() -> Cell:
    """Gradients that are smaller by a factor of 100 at each step."""
    U = mg.Tensor(np.eye(3) / 100, requires_grad=True, name="U")
    cell = Cell("fading")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = U @ h[t-1] + x[t]
    y[t] = t / 3 // 1 * h[t]
    return cell


def test_the_colours_of_the_gradient_have_one_scale_in_all_frames() -> None:
    _, loss = network()
    legends = [re.findall(rf'\[fontcolor="{palette.QUIET}" fontsize="10"[^\]]*label="(1e[^"]*)"', frame.source)
               for frame in viz.animate(loss).frames]
    assert legends[0] and all(legend == legends[0] for legend in legends)


# ---- an unroll
def test_each_frame_of_an_unroll_adds_a_time_step() -> None:
    animation = viz.animate(elman(), T=3)
    assert animation.numbers == [0, 1, 2, 3]
    for k, frame in zip(animation.numbers, animation.frames):
        found = {tuple(map(int, key[1:].split("_"))) for key in labels(frame) if re.match(r"s\d+_\d+$", key)}
        assert {step for _, step in found} == set(range(k + 1))
        assert len(found) == 3 * k + 1  # x, h and y at each step; h[0]
        arrows = re.findall(r"\t(s\w+) -> (\w+)", frame.source)
        assert len(arrows) == 3 * k and {key for ends in arrows for key in ends} <= set(labels(frame))
        assert frame.source.count("subgraph cluster") == k
    assert animation.captions == ["before the first step", *(f"unrolled to t = {k} of 3" for k in (1, 2, 3))]


def test_a_cell_is_unrolled_beside_its_rolled_picture_and_a_run_alone() -> None:
    rolled = {"r_s0": "x(t)", "r_s1": "h(t)", "r_s2": "y(t)"}
    for frame in viz.animate(elman(), T=2).frames:
        found = labels(frame)
        assert {key: found[key].replace("[", "(").replace("]", ")") for key in rolled} == rolled
        heights = {key: pos.split(",")[1] for key, _, pos, _ in BOX.findall(frame.source)}
        assert all(heights.get(f"s{i}_1", heights[f"r_s{i}"]) == heights[f"r_s{i}"] for i in range(3))
    run, _ = network()
    assert not any(key.startswith("r_") for frame in viz.animate(run).frames for key in labels(frame))


def test_values_after_the_end_come_with_the_last_step_and_folds_are_one_frame() -> None:
    last, before = (labels(frame).values() for frame in viz.animate(bidirectional(), T=3).frames[:-3:-1])
    assert any("hb[4]" in label for label in last) and not any("hb[4]" in label for label in before)
    run, _ = network(T=30)
    assert viz.animate(run, steps=[1, 2, 30]).numbers == [0, 1, 2, 29, 30]
    assert viz.animate(run, steps=[1, 2, 30], every=3).numbers == [0, 29, 30]
    shown_values = viz.animate(run, steps=[1, 2, 30], values=True).frames[2]
    assert any(re.match(r"h.2.\n\S+ … \S+", label) for label in labels(shown_values).values())


def without_parameters() -> Cell:
    cell = Cell("sum")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = h[t-1] + x[t]
    return cell


@pytest.mark.parametrize("make", [elman, bidirectional, without_parameters])
def test_no_box_moves_while_a_definition_is_unrolled(make: Any) -> None:
    animation = viz.animate(make(), level="ops")
    frames = animation.frames
    last = {key: (label, *place) for key, label, *place in BOX.findall(frames[-1].source) if key[0] != "t"}
    texts = {(label, *place) for key, label, *place in BOX.findall(frames[-1].source) if key[0] == "t"}
    for frame, caption in zip(frames, animation.captions):
        for key, label, *place in BOX.findall(frame.source):
            assert label == caption or (label, *place) in texts or (label, *place) == last[key]
        arrows = re.findall(r"(\w+) -> (\w+)", frame.source)
        assert {key for ends in arrows for key in ends} <= set(labels(frame))
    assert len({frame.graph_attr["bb"] for frame in frames}) == 1


def test_a_long_run_is_folded_and_the_steps_of_the_fold_have_no_frame() -> None:
    _run, loss = network(T=20)
    captions = viz.animate(loss).captions
    named = [name for caption in captions for name in re.findall(r", ([hy]\[.*\])$", caption)]
    assert named == [f"{name}[{k}]" for k in (20, 19, 18, "4 … 17", 3, 2, 1) for name in "yh"]


# ---- files
@painting
def test_a_gif_has_the_frames_in_one_size_and_nearly_their_colours(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    _, loss = network()
    animation = viz.animate(loss, tmp_path / "bptt.gif", seconds=0.5, dpi=50)
    assert animation.files == [tmp_path / "bptt.gif"] and animation.files[0].read_bytes() == animation.gif
    pngs = [image.open(io.BytesIO(frame.pipe_at("png", 50))).convert("RGB") for frame in animation.frames]
    assert len({png.size for png in pngs}) == 1
    with image.open(tmp_path / "bptt.gif") as played:
        assert played.n_frames == len(pngs) == 9 and played.size == pngs[0].size and played.info["loop"] == 0
        for number, png in enumerate(pngs):
            played.seek(number)
            assert played.info["duration"] == (500 if number < 8 else 1500)
            off = np.abs(np.asarray(played.convert("RGB"), int) - np.asarray(png, int)).max(axis=2)
            assert off.max() < 80 and (off == 0).mean() > 0.95


@painting
def test_a_frame_is_as_wide_as_a_slide_at_most(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for T, steps, wide in (2, None, False), (12, range(1, 13), True):
        png = viz.animate(elman(), T=T, steps=steps, level="ops")._repr_png_()
        width = image.open(io.BytesIO(png)).size[0]
        assert 1840 < width <= 1920 if wide else width < 1500


@painting
@pytest.mark.slow
def test_equal_animations_are_equal_bytes() -> None:
    pytest.importorskip("PIL")
    gifs = []
    for _ in range(2):
        run, loss = network()
        gifs.append(viz.animate(loss, run=run, dpi=40, values=True).gif)
    assert gifs[0] == gifs[1]


@painting
def test_frames_are_numbered_files_and_a_notebook_plays_them(tmp_path: Path) -> None:
    _, loss = network()
    animation = viz.animate(loss, tmp_path / "bptt.svg", every=2)
    assert len(animation) == 13
    assert animation.files == [tmp_path / f"bptt-{number:02}.svg" for number in range(1, 14)]
    assert sorted(tmp_path.iterdir()) == animation.files
    assert "before the backward pass" in animation.files[0].read_text(encoding="utf-8")
    assert "after the backward pass" in animation.files[-1].read_text(encoding="utf-8")
    pytest.importorskip("PIL")
    small = viz.animate(elman(), T=2, dpi=40)
    assert re.match(r'<img style="max-width:100%" alt="elman, unrolled step by step" src="data:image/gif;base64,R0lG',
                    small._repr_html_())
    assert small._repr_png_() == small.frames[-1].pipe_at("png", 40)
    assert repr(small) == "<Animation: elman, unrolled step by step, 3 frames, 4.0 s>"


@painting
def test_a_gif_needs_pillow_and_its_frames_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    animation = viz.animate(elman(), T=1)
    with pytest.raises(viz.PaintError, match="Pillow writes GIFs, and it isn't installed here: pip install pillow"):
        animation.render(tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
    assert [path.name for path in animation.render(tmp_path / "a.png")] == ["a-1.png", "a-2.png"]


# ---- what is refused
@painting
def test_too_many_frames_and_too_much_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, loss = network()
    loss.backward()
    before = run.parameters["W"].grad
    with pytest.raises(ValueError, match=r"would have 9 frames, more than most=8: take several steps .* every=4"):
        viz.animate(loss, most=8)
    assert run.parameters["W"].grad is before and len(viz.animate(loss, most=8, every=4)) == 8
    with pytest.raises(ValueError, match=r"would have 4 frames, more than most=3: .* every=2"):
        viz.animate(run, most=3)
    assert len(viz.animate(run, most=3, every=2)) == 3
    pytest.importorskip("PIL")
    monkeypatch.setattr(gif, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"4 frames of \d+ × \d+ pixels need .* MB, more than .*: make fewer frames"):
        viz.animate(run, tmp_path / "a.gif", dpi=30)
    assert not list(tmp_path.iterdir())


def generator() -> Cell:
    A, B = parameter("A", 4, 4), parameter("B", 4, 3)
    cell = Cell("generator")
    v, s = cell.input("v", 3), cell.signal("s", 4)
    s[t] = np.tanh(B @ v[t] + A @ s[t-1])
    return cell


def test_of_a_loss_of_two_runs_one_is_drawn() -> None:
    run, _ = network()
    after = generator().unroll(v=np.ones((2, 2, 3)), initial={"s": run["h"][3]})
    loss = after["s"].stack().sum()
    with pytest.raises(ValueError, match=r"was computed from 2 runs, <Run of 'elman'.*<Run of 'generator'.*run="):
        viz.animate(loss)
    captions = viz.animate(loss, run=after).captions
    assert [caption.split(", ")[-1] for caption in captions[1:-1]] == ["loss", "s[2]", "s[1]", "s[0]"]


def test_of_two_runs_with_the_same_names_only_one_is_marked() -> None:
    run, _ = network()
    same, second = network()
    captions = viz.animate(second + np.square(run["y"].stack()).sum(), run=same).captions
    assert [caption.split(", ")[-1] for caption in captions[1:-1]] == [
        caption.split(", ")[-1] for caption in viz.animate(second, run=same).captions[1:-1]]


def test_what_is_computed_before_a_run_belongs_to_its_initial_value() -> None:
    run, _ = network()
    start = np.tanh(run["h"][3] * 2.0)
    after = generator().unroll(v=np.ones((2, 2, 3)), initial={"s": start})
    captions = viz.animate(after["s"].stack().sum(), run=after).captions
    assert [caption.split(", ")[-1] for caption in captions[1:-1]] == ["loss", "s[2]", "s[1]", "s[0]"]


def test_a_loss_without_a_run_is_refused() -> None:
    run, loss = network()
    with pytest.raises(ValueError, match="wasn't computed from a run that still exists: keep the run in a variable"):
        viz.animate((parameter("a", 3) ** 2).sum())
    assert len(viz.animate(loss)) == 9
    del run
    gc.collect()
    with pytest.raises(ValueError, match="wasn't computed from a run that still exists"):
        viz.animate(loss)


@pytest.mark.parametrize("options, message", [
    ({"every": 0}, "every=0: one step or more"), ({"seconds": 0.0}, r"seconds=0.0: a frame of a GIF is shown for 0.02"),
    ({"heat": True}, "heat= is for a backward pass: animate the loss"), ({"T": 0}, "T=0: unroll one step or more"),
    ({"level": "bits"}, "bits"), ({"steps": [9]}, "choose one or more of the run's steps, 1 … 4")])
def test_a_wrong_option_is_named(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        viz.animate(elman(), **options)


def test_what_cannot_be_animated_is_named() -> None:
    run, loss = network()
    with pytest.raises(ValueError, match=r"starts from a single number, and .*: animate its sum or its mean"):
        viz.animate(run["y"].stack())
    for given in (run, loss):
        with pytest.raises(ValueError, match="T=9 is for a Cell"):
            viz.animate(given, T=9)
    with pytest.raises(TypeError, match="takes a loss, a Cell or a run, not list"):
        viz.animate([run])
    with pytest.raises(ValueError, match=r"end in a format: bptt.gif is an animation, bptt.png gives bptt-1.png"):
        viz.animate(run).render("bptt")
