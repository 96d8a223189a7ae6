"""viz.stepper: the file that it writes, and what is written in it."""

from __future__ import annotations

import ast
import base64
import hashlib
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, feedback
from elman_losses import long_loss, loss_of, run_of
from several_runs import chain

import minigrad as mg
import viz
from minigrad import numpy_ops, ops
from minigrad.backward import ancestors
from minigrad.debugger.inspection import source
from minigrad.debugger.walk import Walk
from rnn import Cell, t
from viz.stepper_page import page as stepper_page
from viz.stepper_page.arrays import BUDGET, Arrays, summarize
from viz.stepper_page.recording import Recording, local_derivative
from viz.stepper_page.scene import BackwardScene
from viz.stepper_page.source import Source

ROOT = Path(__file__).parents[2]


def data_of(page: viz.Page) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.DOTALL)
    assert block is not None
    data: dict[str, Any] = json.loads(block.group(1))
    return data


class Cube(mg.Op):
    """An operation of the user's own."""

    def forward(self, x: Any) -> Any:
        return x ** 3

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad * 3 * x ** 2  # the user's own words


def operations_of(*modules: Any) -> Iterator[type[mg.Op]]:
    """Yield the operations that modules define, with a derivative of their own."""
    for module in modules:
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, mg.Op) and "backward" in vars(kind) and kind is not mg.Op:
                yield kind


class TestTheFile:
    def test_is_written_whole_and_is_what_is_returned(self, tmp_path: Path) -> None:
        page = viz.stepper(loss_of(run_of()), tmp_path / "steps.html")
        assert page.path == tmp_path / "steps.html"
        assert str(page) == os.fspath(page) == str(tmp_path / "steps.html")
        assert page.path.read_text(encoding="utf-8") == page.html
        assert [file.name for file in tmp_path.iterdir()] == ["steps.html"]

    def test_is_not_touched_when_something_is_wrong(self, tmp_path: Path) -> None:
        file = tmp_path / "steps.html"
        file.write_text("precious")
        with pytest.raises(ValueError):
            viz.stepper(mg.Tensor(1.0), file)
        assert file.read_text() == "precious"
        with pytest.raises(FileNotFoundError, match="make the folder first"):
            viz.stepper(loss_of(run_of()), tmp_path / "nowhere" / "steps.html")

    @pytest.mark.slow
    def test_is_the_same_for_the_same_program(self) -> None:
        folders = [str(ROOT), str(ROOT / "tests" / "helpers")]
        program = (f"import sys; sys.path[:0] = {folders}\n"
                   "import hashlib, viz\nfrom elman_losses import loss_of, run_of\n"
                   "run_of(2)\nprint(hashlib.sha256(viz.stepper(loss_of(run_of())).html.encode()).hexdigest())")
        answers = {subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
                                  capture_output=True, text=True, check=True).stdout for seed in ("1", "2")}
        assert len(answers) == 1
        assert viz.stepper(loss_of(run_of())).html == viz.stepper(loss_of(run_of())).html

    def test_of_a_hundred_steps_is_under_two_megabytes(self) -> None:
        assert len(viz.stepper(long_loss(100)).html.encode()) < 2_000_000

    def test_grows_with_the_number_of_steps_and_not_with_the_arrays(self) -> None:
        small, large = (len(viz.stepper(loss_of(run_of(batch=batch))).html) for batch in (8, 4096))
        assert large < 1.1 * small

    def test_allows_only_its_own_script_and_style(self) -> None:
        html = viz.stepper(loss_of(run_of())).html
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
        assert policy is not None
        rules = dict(rule.strip().split(" ", 1) for rule in unescape(policy.group(1)).split(";"))
        assert rules["default-src"] == "'none'"
        for tag, rule in (("script", "script-src"), ("style", "style-src")):
            inside = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
            hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
            assert rules[rule] == " ".join(f"'sha256-{digest}'" for digest in hashes)
        assert not re.search(r'<[^>]* (style|on\w+)="', html.split("<script")[0])
        assert not re.search(r'(src|href)=|url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)', html)

    def test_takes_names_as_text(self) -> None:
        name = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\u2028\0\ud800"
        x = mg.Tensor([1.0, 2.0], requires_grad=True, name=name)
        html = viz.stepper((x * x).sum()).html
        assert html.count("<script") == html.count("</script>") == 2
        assert "<img" not in html and "\0" not in html
        html.encode()

    def test_shows_itself_in_a_notebook(self) -> None:
        page = viz.stepper(loss_of(run_of()))
        frame = page._repr_html_()
        assert page.path is None and "not written to a file" in str(page)
        assert 'sandbox="allow-scripts"' in frame
        inside = re.search(r'srcdoc="([^"]*)"', frame)
        assert inside is not None and unescape(inside.group(1)) == page.html
        with pytest.raises(TypeError, match="written to no file"):
            os.fspath(page)


class TestTheRecording:
    def test_holds_every_step_with_what_it_adds(self) -> None:
        loss = loss_of(run_of())
        recording = Recording(loss)
        steps = list(loss.backward_steps())
        assert len(recording.steps) == len(steps)
        for step, found in zip(steps, recording.steps):
            step.run()
            assert recording.nodes[found["node"]] is step.node
            added = {i: (grad, total) for i, (grad, total) in enumerate(zip(step.input_grads, step.totals))
                     if grad is not None}
            assert [row["input"] for row in found["passed"]] == list(added)
            for row in found["passed"]:
                for word, array in zip(("contribution", "total"), added[row["input"]]):
                    assert summarize(array).items() <= recording.arrays.entries[row[word]].items()

    def test_leaves_every_gradient_as_it_was(self) -> None:
        run = run_of()
        loss = loss_of(run)
        U, b = run.parameters["U"], run.parameters["b"]
        U.grad = before = np.ones((4, 4))
        viz.stepper(loss)
        assert U.grad is before and (before == 1).all()
        assert b.grad is None and run["h"][2].grad is None and loss.grad is None

    def test_restores_every_gradient_when_a_derivative_raises(self) -> None:
        class Broken(Cube):
            def backward(self, grad: Any, out: Any, x: Any) -> Any:
                raise RuntimeError("on purpose")

        x = mg.Tensor([1.0], requires_grad=True, name="x")
        loss = mg.apply(Broken(), x * 2).sum()
        with pytest.raises(RuntimeError, match="on purpose"):
            viz.stepper(loss)
        assert loss.grad is None and x.grad is None

    def test_calls_hooks_once(self) -> None:
        x = mg.Tensor([1.0, 2.0], requires_grad=True)
        seen: list[Any] = []
        x.register_hook(seen.append)
        viz.stepper((x * x).sum())
        assert len(seen) == 1

    def test_of_a_tensor_that_no_gradient_reaches_says_so(self) -> None:
        class Blind(Cube):
            def backward(self, grad: Any, out: Any, x: Any) -> Any:
                return (None,)

        x = mg.Tensor([1.0], requires_grad=True)
        page = viz.stepper(mg.apply(Blind(), x * 2).sum())
        assert ["grad" in step for step in data_of(page)["steps"]] == [True, True, False]

    def test_adds_up_what_each_time_step_gives_to_a_parameter(self) -> None:
        W, U, b = (mg.Tensor(np.linspace(-1, 1, 9).reshape(shape), requires_grad=True, name=name)
                   for name, shape in (("W", (3, 3)), ("U", (3, 3)), ("b", (9,))))
        cell = Cell("U is used twice at each step")
        x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 2)
        h[t] = np.tanh(U @ h[t-1] + U @ x[t] + W @ x[t] + b[:3])
        y[t] = h[t][:2]
        run = cell.unroll(x=np.random.default_rng(0).normal(size=(4, 4, 3)))
        loss = loss_of(run)
        recording = Recording(loss)
        tape = BackwardScene(recording.nodes).draw()
        loss.backward()
        assert [x.name for x in tape.shared] == ["W", "U", "b", None]
        for x in tape.shared[:2]:
            assert x.name is not None and x.grad is not None
            last = {k: float(size) for _, k, size in recording.contributions(x, tape.times)}
            rows = run.contributions(x.name)
            assert last == pytest.approx({k: np.linalg.norm(rows[k - 1]) for k in last}, rel=1e-6)
            totals = [row["total"] for step in recording.steps for row in step.get("passed", ())
                      if recording.nodes[step["node"]].inputs[row["input"]] is x]
            assert float(recording.arrays.entries[totals[-1]]["norm"]) == pytest.approx(np.linalg.norm(x.grad))

    @pytest.mark.parametrize("op", [np.tanh, lambda x: x * 3.0, lambda x: mg.apply(Cube(), x)])
    def test_an_elementwise_step_is_upstream_times_local(self, op: Any) -> None:
        x = mg.Tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True)
        for step in (op(x) ** 2).sum().backward_steps():
            step.run()
            if step.node.shape == (3, 4):
                assert step.grad is not None
                factors = local_derivative(step, 0)
                np.testing.assert_allclose(step.grad * factors, step.input_grads[0])

    def test_a_broadcast_input_has_local_derivatives_too(self) -> None:
        x = mg.Tensor(np.ones((3, 4)), requires_grad=True)
        b = mg.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        step = (x * b).sum().backward_steps()
        for each in step:
            each.run()
        assert step[1].grad is not None
        np.testing.assert_allclose((step[1].grad * local_derivative(step[1], 1)).sum(axis=0), step[1].input_grads[1])

    @pytest.mark.parametrize("op", [
        lambda x: mg.softmax(x), lambda x: x @ np.ones((4, 4)), lambda x: np.cumsum(x, axis=0), lambda x: x.T,
        lambda x: x.sum(axis=0)])
    def test_others_have_none(self, op: Any) -> None:
        x = mg.Tensor(np.random.default_rng(0).normal(size=(4, 4)), requires_grad=True)
        steps = (op(x) * np.arange(4.0)).sum().backward_steps()
        for step in steps:
            step.run()
        assert any(local_derivative(step, 0) is None for step in steps[2:])

    def test_writes_large_arrays_as_numpy_does(self) -> None:
        large = np.arange(64 * 256.0).reshape(64, 256)
        found = summarize(large)
        assert found["shape"] == "64 × 256" and float(found["norm"]) == pytest.approx(np.linalg.norm(large), rel=1e-6)
        assert found["numbers"].splitlines() == ["0 1 … 254 255", "256 257 … 510 511", "⋮",
                                                 "1.61e4 1.61e4 … 1.64e4 1.64e4"]
        assert summarize(np.array(2.5)) == {"shape": "number", "norm": "2.5", "numbers": "2.5"}
        assert summarize(np.array([np.nan, -np.inf, 0, 1e-12]))["numbers"] == "nan -inf 0 1e-12"
        assert summarize(np.zeros((0, 3)))["numbers"] == ""
        assert summarize(np.arange(8.0).reshape(2, 2, 2))["numbers"] == "0 1\n2 3"


class TestExactElements:
    @pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
    def test_are_those_of_a_small_array(self, dtype: str) -> None:
        array = (np.random.default_rng(0).normal(size=(3, 4)) * 3).astype(dtype)
        arrays = Arrays()
        arrays.add(array)
        entry = arrays.data()[0]
        kind = "float32" if dtype == "float16" else dtype
        assert entry["whole"] and entry["dtype"] == dtype
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(entry["exact"]), kind).reshape(3, 4), array)

    def test_are_those_of_the_corners_of_a_large_one(self) -> None:
        array = np.random.default_rng(0).normal(size=(3, 200, 300))
        arrays = Arrays()
        arrays.add(array)
        entry = arrays.data()[0]
        found = np.frombuffer(base64.b64decode(entry["exact"])).reshape(3, 4)
        assert "whole" not in entry
        np.testing.assert_array_equal(found, array[0][[0, 1, 199]][:, [0, 1, 298, 299]])

    def test_of_whole_arrays_are_kept_while_there_is_room_the_smallest_first(self) -> None:
        arrays = Arrays()
        rng = np.random.default_rng(0)
        sizes = [10, 1000] * (BUDGET // 8000 - 5) + [10] * 700
        for size in sizes:
            arrays.add(rng.normal(size=size))
        whole = [bool(entry.get("whole")) for entry in arrays.data()]
        assert whole == [size == 10 for size in sizes]
        assert len(arrays.data()) == len(sizes)

    def test_equal_arrays_are_recorded_once_and_others_are_not(self) -> None:
        arrays = Arrays()
        a = np.array([1.0, 2.0])
        numbers = [arrays.add(x) for x in (a, a.copy(), a + 1e-13, a[None], a.astype("f4"), -0.0 * a, 0.0 * a)]
        assert numbers == [0, 0, 1, 2, 3, 4, 5]


class TestTheSource:
    def test_of_a_derivative_is_its_own_the_user_s_too(self) -> None:
        x = mg.Tensor([1.0], requires_grad=True)
        shown = {op["class"]: op for op in data_of(viz.stepper(mg.apply(Cube(), np.tanh(x)).sum()))["ops"]}
        assert "# the user's own words" in shown["Cube"]["backward"]
        assert "return grad * (1 - out * out)" in shown["Tanh"]["backward"]
        assert shown["Tanh"]["operands"] == ["grad", "out", "x"]
        assert shown["Cube"]["backward"].startswith("def backward(self, grad, out, x):\n    return")  # no annotations

    def test_has_a_short_signature_and_is_else_as_it_is_written(self) -> None:
        for kind in operations_of(ops, numpy_ops):
            try:
                written = textwrap.dedent(inspect.getsource(kind.backward)).rstrip()
            except TypeError:
                continue
            shown = Source(kind)
            head, tail = (ast.parse(text).body[0] for text in (written, shown.text))
            assert isinstance(head, ast.FunctionDef) and isinstance(tail, ast.FunctionDef)
            assert list(map(ast.dump, head.body)) == list(map(ast.dump, tail.body))
            assert [x.arg for x in head.args.args] == [x.arg for x in tail.args.args]
            assert shown.lines[0].endswith(":") and "->" not in shown.lines[0] and "Array" not in shown.lines[0]
            assert written.endswith("\n".join(shown.lines[1:]))

    def test_of_a_signature_that_is_unusual_is_shortened_too(self) -> None:
        class Strange(Cube):
            def backward(
                self, grad: Any, out: dict[str, Any] | Any, x: Any = {1: 2}[1],  # a comment: with a colon
            ) -> tuple[
                Any
            ]: return (grad * 3
                       * x ** 2,)

        x = mg.Tensor([1.0], requires_grad=True)
        found = data_of(viz.stepper(mg.apply(Strange(), x).sum()))
        source = next(op["backward"] for op in found["ops"] if op["class"] == "Strange")
        assert source.split("\n")[0] == "def backward(self, grad, out, x={1: 2}[1]): return (grad * 3"
        assert [step["ran"] for step in found["steps"]][1] == [0, 1]

    def test_marks_the_lines_that_ran(self) -> None:
        class Branches(Cube):
            def backward(self, grad: Any, out: Any, x: Any) -> Any:
                if x.ndim > 1:
                    factor = 3.0
                else:
                    factor = 2.0
                    factor += 1.0
                return (grad * factor
                        * x ** 2)

        for shape, ran in (((2, 2), [1, 2, 6, 7]), ((2,), [1, 4, 5, 6, 7])):
            x = mg.Tensor(np.ones(shape), requires_grad=True)
            steps = data_of(viz.stepper(mg.apply(Branches(), x).sum()))["steps"]
            assert steps[1]["ran"] == ran

    def test_marks_the_same_lines_as_the_terminal(self) -> None:
        loss = loss_of(run_of())
        recording = Recording(loss)
        walk = Walk(loss)
        for stop, found in zip(walk.run(), recording.steps):
            assert stop.step is not None
            marked = [line.split("-> ", 1)[1].strip() for line in source(stop.step)[2:] if " -> " in line[:9]]
            lines = Source(type(stop.step.step.op)).lines
            assert marked == [lines[i].strip() for i in found["ran"]]
        walk.timeline.rewind()

    def test_that_cannot_be_read_is_said_to_be_so(self) -> None:
        namespace: dict[str, Any] = {"mg": mg}
        exec("class Typed(mg.Op):\n    def forward(self, x): return x * 1\n"
             "    def backward(self, grad, out, x): return grad", namespace)
        x = mg.Tensor([1.0], requires_grad=True)
        shown = data_of(viz.stepper(mg.apply(namespace["Typed"](), x).sum()))["ops"]
        assert any("the source of Typed.backward can't be read" in op["backward"] for op in shown)
        assert [step["ran"] for step in data_of(viz.stepper(mg.apply(namespace["Typed"](), x).sum()))["steps"]][1] == []

    def test_the_user_s_line_is_recorded_too(self) -> None:
        nodes = data_of(viz.stepper(loss_of(run_of())))["nodes"]
        assert any(node["name"] == "h[2]" and "np.tanh(W @ x[t]" in node["code"]
                   and node["line"].startswith("definitions.py:") for node in nodes)


class TestThePicture:
    @pytest.mark.parametrize("make", [
        lambda: loss_of(run_of()), lambda: loss_of(run_of(6, chunks=2)), lambda: loss_of(run_of(6, window=(2, 3))),
        lambda: loss_of(run_of(6, last=2)), lambda: loss_of(feedback().unroll(x=np.ones((4, 2, 3)))),
        lambda: loss_of(bidirectional().unroll(x=np.ones((4, 2, 3)))), lambda: loss_of(run_of(T=1)),
        lambda: mg.losses.mse(run_of()["h"][4], np.zeros((4, 4))), lambda: loss_of(run_of(3, lengths=[3, 2, 1, 1])),
        lambda: sum((run_of()["y"][k] ** 2).mean() for k in (1, 2, 3)), lambda: run_of(2)["y"][2].sum() ** 2])
    def test_has_a_box_for_every_step_and_an_arrow_for_every_edge(self, make: Any) -> None:
        loss = make()
        nodes = ancestors(loss)
        tape = BackwardScene(nodes).draw()
        boxes = [box.key for box in tape.scene.boxes]
        assert len(set(boxes)) == len(boxes)
        made = [node for node in nodes if node.op is not None]
        assert {tape.keys[node] for node in made} <= set(boxes)
        assert len({tape.keys[node] for node in made}) == len(made)
        arrows = {(arrow.source, arrow.target) for arrow in tape.scene.arrows}
        recorded = {(tape.keys[x], tape.keys[node]) for node in made for x in node.inputs
                    if x in tape.keys and x.requires_grad and (x in tape.times or node not in tape.times)}
        assert recorded <= arrows
        known = {(tape.keys[x], tape.keys[node]) for node in made for x in node.inputs if x in tape.keys}
        assert arrows <= known

    def test_of_a_truncated_run_has_its_cuts(self) -> None:
        scene = BackwardScene(ancestors(loss_of(run_of(6, chunks=2)))).draw().scene
        assert sum(text.text == "✂" for text in scene.texts) == 2

    def test_puts_a_loss_at_every_step_into_its_frame(self) -> None:
        run = run_of()
        loss = sum((run["y"][k] ** 2).mean() for k in range(1, 5))
        tape = BackwardScene(ancestors(loss)).draw()
        squares = [node for node in tape.times if "Square" in repr(node.op) or "Power" in repr(node.op)]
        assert [tape.times[node] for node in squares] == [1, 2, 3, 4]

    def test_of_a_graph_without_time_goes_from_left_to_right(self) -> None:
        x, w = (mg.Tensor([1.0, 2.0], requires_grad=True, name=name) for name in "xw")
        nodes = ancestors((np.tanh(x * w) * x).sum())
        tape = BackwardScene(nodes).draw()
        boxes = {box.key: box for box in tape.scene.boxes}
        assert all(boxes[tape.keys[a]].right < boxes[tape.keys[node]].left for node in nodes for a in node.inputs)
        assert not tape.scene.frames

    def test_of_a_long_loop_without_time_is_drawn_at_once(self) -> None:
        U, h = mg.Tensor(np.eye(2), requires_grad=True, name="U"), mg.Tensor(np.ones((1, 2)))
        for _ in range(300):
            h = np.tanh(h @ U + 1.0)
        scene = BackwardScene(ancestors(h.sum())).draw().scene
        assert len({(box.x, box.y) for box in scene.boxes}) == len(scene.boxes) > 900
        assert "@ U" in [box.label for box in scene.boxes]

    def test_shows_what_parameters_alone_make(self) -> None:
        W = mg.Tensor(np.ones((3, 4)), requires_grad=True, name="W")
        cell = Cell("transposed")
        x, h = cell.input("x", 3), cell.signal("h", 4)
        h[t] = np.tanh(W.T @ x[t] + h[t-1])
        tape = BackwardScene(ancestors(cell.unroll(x=np.ones((3, 3)))["h"][3].sum())).draw()
        assert "computed once" in [text.text for text in tape.scene.texts]
        assert [x.name or repr(x.op) for x in tape.shared] == ["W", "Transpose(axes=None)"]


    @pytest.mark.parametrize("make, words", [
        (lambda: loss_of(run_of()), ["computed from W, U, b, V", "time steps t = 1 … 4 of x, h, y."]),
        (lambda: chain()[1], ["elman, run 1: t = 1 … 2 of h, x, y.", "elman, run 3: t = 1 … 2 of"]),
        (lambda: (mg.Tensor([1.0], requires_grad=True, name="w<") ** 2).sum(), ["3 tensors, computed from w&lt;."])])
    def test_is_told_in_words(self, make: Any, words: list[str]) -> None:
        found = re.search(r'role="img" aria-label="([^"]*)"', viz.stepper(make()).html)
        assert found is not None and found[1].startswith("The graph from which the loss is computed: ")
        for text in words:
            assert text in found[1]


class TestRefusals:
    def test_an_argument_that_is_no_tensor(self) -> None:
        with pytest.raises(TypeError, match="takes the loss, a Tensor, not float"):
            viz.stepper(1.0)  # type: ignore[arg-type]

    def test_a_file_that_is_no_page(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"the page is HTML, and .*steps\.png' ends in another format"):
            viz.stepper(loss_of(run_of()), tmp_path / "steps.png")
        assert list(tmp_path.iterdir()) == []
        assert viz.stepper(loss_of(run_of()), tmp_path / "steps").path == tmp_path / "steps"

    def test_a_loss_that_is_no_single_number(self) -> None:
        with pytest.raises(ValueError, match=r"has shape \(2,\): step through its sum or its mean"):
            viz.stepper(mg.Tensor([1.0, 2.0], requires_grad=True) * 2)

    def test_a_loss_that_needs_no_gradient(self) -> None:
        with pytest.raises(ValueError, match="computed from no tensor that requires a gradient"):
            viz.stepper(mg.Tensor([1.0, 2.0]).sum())

    def test_graphs_that_are_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loss = loss_of(run_of())
        with pytest.raises(ValueError, match=r"more than 10 tensors, too many for a page. Unroll fewer steps"):
            viz.stepper(loss, most=10)
        monkeypatch.setattr(stepper_page, "MAX_BYTES", 1000)
        with pytest.raises(ValueError, match=r"GB of memory. Make the batch or the layers smaller"):
            viz.stepper(loss)

    def test_a_leaf_has_no_steps_and_that_is_no_error(self) -> None:
        assert viz.stepper(mg.Tensor(2.0, requires_grad=True, name="x")).steps == 0
