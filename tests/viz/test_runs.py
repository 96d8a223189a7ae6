"""Several runs in one picture: one after another or above each other, and the links between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawings import assert_arrows_pass_no_box, overlap, rectangle
from several_runs import (
    SEVERAL,
    Runs,
    attention,
    bridge,
    chain,
    chunks,
    deep_encoder_decoder,
    detached_chunks,
    encoded,
    encoder_decoder,
    layer,
    reversed_input,
    skipping,
    two_layers,
)

import minigrad as mg
import viz
from minigrad.formats.norms import norm
from rnn import Cell, Run, cells, t
from viz.layout.options import Options
from viz.pictures.runs import RunsDrawing
from viz.pictures.unrolled import draw_runs
from viz.render import palette
from viz.render.scene import Box
from viz.render.typography import true_minus

LEVELS = ("signals", "ops")
Place = tuple[int, str, int]  # run, signal, step

every = pytest.mark.parametrize("make", SEVERAL)


def copies(runs: list[Run]) -> dict[mg.Tensor, Place]:
    """The signals at their steps."""
    return {tensor: (i, name, k) for i, run in enumerate(runs) for name in run.cell.signals if name in run
            for k, tensor in run[name].tensors.items()}


def recorded_links(runs: list[Run]) -> set[tuple[Place, Place]]:
    """Which signals of one run are computed from which of another, by a walk that ends at the first signals.

    A sequence that is stacked is an operand of each of its steps, of which the gradient tells those that count.
    """
    where, found = copies(runs), set()
    for tensor, place in where.items():
        stack = list(tensor.inputs)
        seen = set(stack)
        while stack:
            x = stack.pop()
            if x in where:
                found |= {(where[x], place)} if where[x][0] != place[0] else set()
                continue
            inputs = x.inputs
            if isinstance(x.op, mg.ops.Stack) and runs[place[0]].cell.signals[place[1]].given:
                inputs = tuple(y for y, row in zip(inputs, mg.grad(tensor.sum(), x)) if row.any())
            stack += [y for y in inputs if y not in seen]
            seen.update(inputs)
    return found


def box_places(drawing: RunsDrawing) -> dict[str, tuple[int, str, int | None]]:
    """The run, the signal and the step of each box; None as the step of a static."""
    found: dict[str, tuple[int, str, int | None]] = {}
    for i, one in enumerate(drawing.drawings):
        found |= {box.key: (i, part.signal, k) for (part, k), box in one.boxes.items()}
        found |= {box.key: (i, part.signal, None) for part, box in one.beside.items()}
    return found


def drawn_links(drawing: RunsDrawing) -> set[tuple[Any, Any]]:
    """The arrows from one run to another; those to a static go on to what reads it."""
    places = box_places(drawing)
    arrows = {(places[arrow.source], places[arrow.target]) for arrow in drawing.scene.arrows
              if arrow.source in places and arrow.target in places}
    across = {(a, b) for a, b in arrows if a[0] != b[0]}
    through = {(a, c) for a, b in across if b[2] is None for d, c in arrows if d == b}
    return {(a, b) for a, b in across if b[2] is not None} | through


def boxes_of(drawing: RunsDrawing, run: int) -> list[Box]:
    return drawing.drawings[run].scene.boxes


# ---- links
@every
@pytest.mark.parametrize("level", LEVELS)
def test_the_links_are_those_of_the_recorded_graph(make: Callable[[], Runs], level: str) -> None:
    runs, loss = make()
    drawing = draw_runs(runs, loss, level)
    cut = {(arrow.source, arrow.target) for arrow, link in drawing.arrows if link.cut}
    places = box_places(drawing)
    detached = {(places[source], places[target]) for source, target in cut}
    assert drawn_links(drawing) - detached == recorded_links(runs)


def test_values_without_a_gradient_have_a_cut_link() -> None:
    runs, loss = detached_chunks()
    drawing = draw_runs(runs, loss)
    assert [(arrow.color, arrow.dashed) for arrow, _ in drawing.arrows] == [(palette.CUT, True)]
    assert drawn_links(drawing) == {((0, "h", 2), (1, "h", 0))}
    assert [text.text for text in drawing.scene.texts].count("✂") == 1
    assert "✂" not in [text.text for text in draw_runs(*chain()).scene.texts]


def test_an_initial_value_tells_which_value_it_is() -> None:
    runs, loss = encoder_decoder()
    labels = [box.label for box in draw_runs(runs, loss).scene.boxes if box.dashed]
    assert labels == ["h[0] = 0", "h[0] = h[3] of encoder"]  # the decoder has an h[3] too


def test_what_is_computed_between_two_runs_is_at_their_link() -> None:
    runs, loss = bridge()
    loss.backward()
    drawing = draw_runs(runs, loss)
    (arrow, _), = drawing.arrows
    assert arrow.label is not None and arrow.label.text == "tanh(h[3] @ P)"
    shelf = [box.label for box in drawing.scene.boxes if box.key.startswith("p")]
    P = next(x for x in mg.backward.ancestors(loss) if x.name == "P")
    assert f"P  (3, 3)   |g| {true_minus(f'{norm(P.grad):.1e}')}" in shelf


def test_all_states_lead_to_the_static_that_holds_them() -> None:
    drawing = draw_runs(*attention())
    static, = (box for box in drawing.scene.boxes if box.label.startswith("enc "))
    sources = [arrow.source for arrow in drawing.scene.arrows if arrow.target == static.key]
    places = box_places(drawing)
    assert sorted(places[key] for key in sources) == [(0, "h", 1), (0, "h", 2), (0, "h", 3)]


# ---- boxes
@every
@pytest.mark.parametrize("level", LEVELS)
def test_boxes_have_places_of_their_own(make: Callable[[], Runs], level: str) -> None:
    runs, loss = make()
    drawing = draw_runs(runs, loss, level)
    boxes = drawing.scene.boxes
    assert len({box.key for box in boxes}) == len(boxes)
    for a, b in itertools.combinations(boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} on {b.label!r}"
    assert_arrows_pass_no_box(drawing.scene)


@every
def test_a_tensor_has_one_box(make: Callable[[], Runs]) -> None:
    runs, loss = make()
    drawing = draw_runs(runs, loss)
    tensors = [tensor for one in drawing.drawings for part, steps in one.spec.tensors.items()
               for k, tensor in steps.items() if (part, k) in one.boxes]
    assert len(set(tensors)) == len(tensors)
    given = [tensor for run in runs for name in run.cell.signals for tensor in run[name].tensors.values()]
    assert set(tensors) <= set(given) and {x for x in given if x.op} <= set(tensors)


@every
def test_each_run_has_frames_and_a_name_of_its_own(make: Callable[[], Runs]) -> None:
    runs, loss = make()
    drawing = draw_runs(runs, loss)
    names = {text.text for text in drawing.scene.texts}
    counts = [run.cell.name for run in runs]
    for i, (run, one) in enumerate(zip(runs, drawing.drawings)):
        frames = sorted(one.scene.frames, key=lambda frame: frame.left)
        above = any(i in group[1:] for group in drawing.groups)
        assert [frame.caption.split("  ")[0] for frame in frames] == [
            "" if above else f"t = {k}" for k in range(1, run.T + 1)]
        number = counts[:i + 1].count(run.cell.name)
        assert (f"{run.cell.name}, run {number}" if counts.count(run.cell.name) > 1 else run.cell.name) in names
    for one, other in itertools.combinations(drawing.drawings, 2):
        for a, b in itertools.product(one.scene.frames, other.scene.frames):
            assert not overlap((a.left, a.bottom, a.right, a.top), (b.left, b.bottom, b.right, b.top))


def test_later_runs_are_further_right_and_frames_stand_on_one_line() -> None:
    drawing = draw_runs(*chain())
    for one, other in itertools.pairwise(range(3)):
        assert max(box.right for box in boxes_of(drawing, one)) < min(box.left for box in boxes_of(drawing, other))
    assert len({frame.bottom for frame in drawing.scene.frames}) == 1


def test_a_run_that_reads_each_step_stands_above() -> None:
    drawing = draw_runs(*two_layers())
    low, high = ({part.signal: [one.boxes[part, k] for k in (1, 2, 3)] for part in one.spec.graph.parts}
                 for one in drawing.drawings)
    for lower, upper in zip(low["h"], high["x"]):
        assert lower.x == pytest.approx(upper.x) and lower.top < upper.bottom
    assert draw_runs(*deep_encoder_decoder()).groups == [[0, 1], [2, 3]]
    assert draw_runs(*reversed_input()).groups == [[0], [1]]


# ---- parameters and gradients
def test_shared_parameters_are_listed_once_with_what_all_runs_add() -> None:
    runs, loss = chain()
    loss.backward()
    boxes = {box.key: box.label for box in draw_runs(runs, loss).scene.boxes}
    shelf = {label.split()[0]: label.split()[-1] for key, label in boxes.items() if key[0] == "p"}
    assert shelf == {name: true_minus(f"{norm(x.grad):.1e}") for name, x in runs[0].parameters.items()}


def test_a_parameter_of_the_decoder_that_is_used_between_counts_once() -> None:
    rng = np.random.default_rng(0)
    encoder, cell = encoded(rng), layer(rng, "decoder", inputs=False)
    U = next(x for name, x in encoder.parameters.items() if name == "U")
    own = encoder.cell.unroll(x=np.ones((2, 2, 3)), initial={"h": np.tanh(encoder["h"][3] @ U)})
    last = cell.unroll(T=2, initial={"h": np.tanh(own["h"][2] @ U)})
    loss = np.square(last["h"].stack()).mean()
    loss.backward()
    shelf = [box.label for box in draw_runs([encoder, own, last], loss).scene.boxes if box.key[0] == "p"]
    end = true_minus(f"|g| {norm(U.grad):.1e}")
    assert any(label.startswith("U of encoder") and label.endswith(end) for label in shelf)


def test_links_side_by_side_do_not_touch() -> None:
    drawing = draw_runs(*attention())
    places = box_places(drawing)
    starts = {places[arrow.target][1]: arrow.points[0][1] for arrow, _ in drawing.arrows
              if places[arrow.source] == (0, "h", 3)}
    assert abs(starts["s"] - starts["enc"]) >= 6
    for make in SEVERAL:
        drawing = draw_runs(*make())
        ways: dict[Any, set[float]] = {}
        for arrow, link in drawing.arrows:
            upright = {round(x0, 3) for (x0, y0), (x1, y1) in itertools.pairwise(arrow.points)
                       if abs(x0 - x1) < 0.1 and abs(y1 - y0) > 12}
            key = link.target if sum(other.target == link.target for _, other in drawing.arrows) > 1 else link.source
            ways.setdefault((key[0].signal, id(key[0]), key[1]), set()).update(upright)
        for one, other in itertools.combinations(ways.values(), 2):
            assert all(abs(x - y) > 4 for x, y in itertools.product(one, other)), make.__name__
        for group in range(1, len(drawing.groups)):
            left = min(box.left for i in drawing.groups[group] for box in boxes_of(drawing, i))
            right = max(box.right for i in drawing.groups[group - 1] for box in boxes_of(drawing, i))
            between = [x for xs in ways.values() for x in xs if right < x < left]
            assert all(right + 10 < x < left - 10 for x in between), make.__name__


def test_there_is_room_for_many_links() -> None:
    cell = Cell("six states")
    x = cell.input("x", 3)
    for number in range(6):
        s = cell.signal(f"s{number}", 3)
        s[t] = np.tanh(mg.init.glorot((3, 3), np.random.default_rng(number), name=f"W{number}") @ x[t] + s[t-1])
    first = cell.unroll(x=np.ones((2, 4, 3)))
    drawing = draw_runs([first, cell.unroll(x=np.ones((2, 4, 3)), initial=first.state)])
    assert len(drawing.arrows) == 6
    assert_arrows_pass_no_box(drawing.scene)
    right, left = max(box.right for box in boxes_of(drawing, 0)), min(box.left for box in boxes_of(drawing, 1))
    for arrow, _ in drawing.arrows:
        assert arrow.points[-1][0] - 10 > max(x for x, _ in arrow.points[:-4]) > right, (right, left)


def test_parameters_of_one_name_tell_their_definition() -> None:
    runs, loss = encoder_decoder()
    listed = [box for box in draw_runs(runs, loss).scene.boxes if box.key[0] == "p"]
    assert [box.label.split("  ")[0] for box in listed] == ["W", "U of encoder", "U of decoder", "V"]
    assert len({box.paint.line for box in listed}) == 4


def test_the_heat_has_one_scale() -> None:
    runs, loss = chain()
    loss.backward()
    drawing = draw_runs(runs, loss, heat=True)
    assert len({id(one.labels.scale) for one in drawing.drawings}) == 1
    assert len([text for text in drawing.scene.texts if text.text == "|gradient|"]) == 1


@every
def test_a_gradient_goes_back_along_each_link(make: Callable[[], Runs]) -> None:
    runs, loss = make()
    steps = loss.backward_steps()
    for step in steps:
        step.run()
    last = next(step for step in reversed(steps) if step.node in copies(runs) or step.node.t is not None)
    drawing = draw_runs(runs, loss, step=last)
    back = {(arrow.source, arrow.target) for arrow in drawing.scene.arrows if arrow.color == palette.BACKWARD}
    assert back >= {(arrow.source, arrow.target) for arrow, link in drawing.arrows if not link.cut}
    assert back.isdisjoint((arrow.source, arrow.target) for arrow, link in drawing.arrows if link.cut)


def test_no_gradient_has_gone_back_before_its_step() -> None:
    runs, loss = encoder_decoder()
    steps = loss.backward_steps()
    for step in steps[:5]:
        step.run()
    drawing = draw_runs(runs, loss, step=steps[4])
    (link, _), = drawing.arrows
    assert not any((arrow.source, arrow.target, arrow.color) == (link.source, link.target, palette.BACKWARD)
                   for arrow in drawing.scene.arrows)


def test_the_highlight_goes_from_run_to_run() -> None:
    runs, loss = encoder_decoder()
    drawing = draw_runs(runs, loss, highlight=[runs[0]["h"][3], runs[1]["h"][0]])
    (arrow, _), = drawing.arrows
    assert arrow.color == palette.MARK
    with pytest.raises(ValueError, match="not in the picture"):
        viz.unrolled(runs, highlight=[mg.Tensor(1.0)])


# ---- options
def test_long_runs_are_folded_and_links_go_to_folds() -> None:
    runs, loss = encoder_decoder(T=14, S=20)
    drawing = draw_runs(runs, loss)
    assert [len(one.scene.frames) for one in drawing.drawings] == [7, 7]
    assert drawn_links(drawing) == {((0, "h", 20), (1, "h", 0))}
    assert "T = 20 and 14: 22 steps folded" in viz.unrolled(runs).source


def test_steps_are_those_of_all_runs_or_a_list_for_each() -> None:
    runs, _ = encoder_decoder(T=5, S=3)
    assert [len(one.spec.steps) for one in draw_runs(runs, steps=[1, 2, 5]).drawings] == [2, 3]
    assert [list(one.spec.steps) for one in draw_runs(runs, steps=[[3], [1, 4]]).drawings] == [[3], [1, 4]]
    with pytest.raises(ValueError, match="1 lists for 2 runs"):
        viz.unrolled(runs, steps=[[1]])
    with pytest.raises(ValueError, match="choose one or more of the run's steps"):
        viz.unrolled(runs, steps=[6])


@every
def test_the_picture_is_the_same_every_time(make: Callable[[], Runs]) -> None:
    def source() -> str:
        runs, loss = make()
        loss.backward()
        return viz.unrolled(runs, loss=loss, values=True, heat=True, contributions=True, notation="math",
                            dark=True).source
    assert source() == source()


def test_one_run_in_a_list_is_that_run() -> None:
    runs, loss = encoder_decoder()
    assert viz.unrolled(runs[1:], loss=loss).source == viz.unrolled(runs[1], loss=loss).source


# ---- one run alone
def test_an_initial_value_of_a_run_that_is_not_drawn_tells_its_definition() -> None:
    assert "h[0] = h[3] of encoder" in viz.unrolled(encoder_decoder()[0][1]).source
    assert "h[0] = h[2] of another run" in viz.unrolled(detached_chunks()[0][1]).source


# ---- what can't be drawn
def test_runs_that_have_nothing_in_common_are_beside_each_other() -> None:
    rng = np.random.default_rng(0)
    runs = [layer(rng, name).unroll(x=np.ones((2, 3, 3))) for name in ("one", "other")]
    assert not draw_runs(runs).arrows and "one, other, unrolled, T = 2 and 2" in viz.unrolled(runs).source


def test_arguments_that_are_no_runs() -> None:
    runs, loss = encoder_decoder()
    with pytest.raises(ValueError, match="a list of runs with one run or more"):
        viz.unrolled([])
    with pytest.raises(TypeError, match="not Tensor"):
        viz.unrolled(loss)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="in this list is Cell"):
        viz.unrolled([runs[0], runs[1].cell])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"<Run of 'encoder'.*more than once"):
        viz.unrolled([runs[0], runs[0]])


def test_runs_in_another_order_than_they_were_computed() -> None:
    runs, loss = encoder_decoder()
    with pytest.raises(ValueError, match=r"'decoder'.* reads h\[3\] of <Run of 'encoder'"):
        viz.unrolled(runs[::-1], loss=loss)


def test_a_loss_of_none_of_them() -> None:
    runs, _ = encoder_decoder()
    with pytest.raises(ValueError, match="wasn't computed from"):
        viz.unrolled(runs, loss=chunks(1, lambda state: state)[1])


def test_gradients_that_nobody_computed() -> None:
    runs, loss = encoder_decoder()
    with pytest.raises(ValueError, match=r"call loss\.backward"):
        viz.unrolled(runs, loss=loss, heat=True)


def test_the_loss_of_a_run_that_is_not_drawn_is_told() -> None:
    runs, loss = encoder_decoder()
    assert "from here to the loss: by decoder, not drawn" in viz.unrolled(runs[0], loss=loss).source
    assert "not drawn" not in viz.unrolled(runs, loss=loss).source
    other = loss + chunks(1, lambda state: state)[1]  # a term that has nothing to do with the runs
    assert "not drawn" not in viz.unrolled(runs, loss=other).source


def test_what_is_computed_from_two_runs_is_told_once() -> None:
    drawing = draw_runs(*skipping())
    assert [arrow.label.text for arrow, _ in drawing.arrows if arrow.label] == ["add"]


# ---- levels and options
def lstm_pair() -> Runs:
    """An encoder and a decoder with one LSTM layer each."""
    rng = np.random.default_rng(0)
    found = []
    for name in ("e", "d"):
        cell = Cell("encoder" if name == "e" else "decoder")
        cells.lstm(cell, cell.input("x", 3), 4, name=name, rng=rng)
        start = {f"d.{state}": found[0][f"e.{state}"][3] for state in "hc"} if found else {}
        found.append(cell.unroll(x=rng.normal(size=(3, 2, 3)), initial=start))
    return found, np.square(found[1]["d.h"].stack()).mean()


def test_layers_of_several_runs_are_boxes_with_one_arrow_from_run_to_run() -> None:
    runs, loss = lstm_pair()
    loss.backward()
    drawing = draw_runs(runs, loss, "layers")
    (arrow, _), = drawing.arrows  # of h and c together
    boxes = {box.key: box.label for box in drawing.scene.boxes}
    assert (boxes[arrow.source], boxes[arrow.target]) == ("e", "h[0] = e.h[3]\nc[0] = e.c[3]")
    assert sorted(label for label in boxes.values() if label in "ed") == ["d"] * 3 + ["e"] * 3
    norms = {run: np.sqrt(sum(norm(x.grad) ** 2 for x in runs[i].parameters.values())) for i, run in enumerate("ed")}
    listed = [label for key, label in boxes.items() if key[0] == "p"]
    assert listed == [f"{run}  128 numbers   {true_minus(f'|g| {size:.1e}')}" for run, size in norms.items()]


@pytest.mark.slow
def test_each_step_of_a_pass_is_marked_at_the_layers_of_several_runs() -> None:
    runs, loss = lstm_pair()
    steps = loss.backward_steps()
    marked = set()
    for step in steps:
        step.run()
        scene = draw_runs(runs, loss, "layers", step=step).scene
        marked |= {box.label.split("\n")[0] for box in scene.boxes if box.paint.line == palette.BACKWARD}
    assert marked == {"loss", "d", "e", "h[0] = e.h[3]"}


def test_options_apply_to_the_picture_of_all_runs() -> None:
    runs, loss = encoder_decoder()
    loss.backward()

    def texts(**options: Any) -> list[str]:
        return [text.text for text in draw_runs(runs, loss, options=Options(**options)).scene.texts]
    assert not any("unrolled, T" in text for text in texts(title=False)) and "mine" in texts(title="mine")
    assert not any("parameters" in text for text in texts(parameters=False))
    assert {"boxes and arrows", "arrow to the loss"} <= set(texts(legend=True))
    equations = texts(equations=True)
    for run in runs:
        assert f"{run.cell.name}:" in equations
        assert sum(text.startswith(tuple(f"{name}[t" for name in run.cell.signals)) for text in equations)
    shaped = draw_runs(runs, loss, options=Options(shapes=True, biases=True)).scene
    assert all("(" in box.label for box in shaped.boxes if box.label[:2] in ("h[", "s["))


def test_the_letters_are_larger_on_a_slide() -> None:
    runs, loss = deep_encoder_decoder()

    def letters(**options: Any) -> float:
        left, bottom, right, top = draw_runs(runs, loss, options=Options(**options)).scene.bounds()
        return min(1920 / (right - left), 1080 / (top - bottom))
    assert letters(aspect="slide") > letters()


def test_rows_of_several_runs_are_refused() -> None:
    runs, loss = encoder_decoder()
    with pytest.raises(ValueError, match="per_row= is for one run"):
        viz.unrolled(runs, loss=loss, per_row=2)


def test_the_text_for_a_picture_names_all_runs() -> None:
    runs, loss = encoder_decoder()
    drawn = viz.unrolled(runs, loss=loss, title=False)
    assert all(f"{run.cell.name}: {run.T} time steps" in drawn.alt for run in runs)
    assert "unrolled, T = " in drawn.title


@pytest.mark.parametrize(("reads", "title"), [((0, 1), "net, right → dec"), ((1,), "net, right → dec"),
                                              ((0,), "net, right, dec"), ((), "net, right, dec")])
def test_the_title_joins_the_names_of_runs_of_which_one_reads_the_other(reads: tuple[int, ...], title: str) -> None:
    rng = np.random.default_rng(0)
    runs = [layer(rng, name).unroll(x=rng.normal(size=(2, 3))) for name in ("net", "right")]
    start = sum((runs[i]["h"][2] for i in reads), mg.Tensor(np.zeros(3)))
    runs.append(layer(rng, "dec", inputs=False).unroll(T=2, initial={"h": start}))
    assert viz.unrolled(runs).title.startswith(f"{title}, unrolled, T = ")


@pytest.mark.parametrize("first", [False, True])
def test_a_run_without_layers_has_its_signals_beside_the_layers_of_another(first: bool) -> None:
    rng = np.random.default_rng(0)
    cell = Cell("stack")
    cells.lstm(cell, cell.input("x", 3), 3, name="read", rng=rng)
    plain = layer(rng, "plain").unroll(x=rng.normal(size=(2, 3)))
    start = {"read.h": plain["h"][2]} if first else {}
    layered = cell.unroll(x=rng.normal(size=(2, 3)), initial=start)
    runs = [plain, layered] if first else [layered, plain]
    labels = [{box.label for box in drawing.scene.boxes if not box.dashed}
              for drawing in draw_runs(runs, level="layers").drawings]
    assert labels[not first] == {"x[1]", "x[2]", "h[1]", "h[2]"} and labels[first] == {"x[1]", "x[2]", "read"}
    with pytest.raises(ValueError, match="'plain' has no layers"):
        draw_runs([plain, layer(rng, "other").unroll(x=np.ones((2, 3)))], level="layers")


def test_links_have_the_colour_of_what_they_lead_to() -> None:
    colors = {make: {arrow.color for arrow, _ in draw_runs(make()[0]).arrows} for make in (encoder_decoder, two_layers,
                                                                                         attention)}
    assert colors[encoder_decoder] == {palette.STATE.line} and colors[two_layers] == {palette.INPUT.line}
    assert palette.STATIC.line in colors[attention]
