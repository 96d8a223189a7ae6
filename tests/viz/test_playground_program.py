"""Programs of the playground without a browser: what is drawn, what a box stands for, where an error is."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import numpy as np
import pytest

import viz
from rnn.language.dependencies import DefinitionError
from viz.playground.build import EXAMPLES
from viz.playground.examples import TITLES
from viz.playground.running.deadline import LONG, TOOL, parts
from viz.playground.running.program import MOST_PRINTED
from viz.playground.session import Session
from viz.playground.views.pictures import MOST_TENSORS

DEFINITION = """\
import numpy as np
import minigrad as mg
from rnn import Cell, t

net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
U = mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="U")
h[t] = np.tanh(x[t] + U @ h[t-1])
"""
LOSS = """\
run = net.unroll(x=np.ones((3, 1, 2)))
loss = (run["h"][3] ** 2).sum()
loss.backward()
"""


def ask(session: Session, source: str, **choice: Any) -> Any:
    question = {"view": "pictures", "ask": "show", "source": source, "steps": 4, "level": "signals", "heat": False,
                "dark": False} | choice
    return json.loads(session.answer(json.dumps(question)))


def box(session: Session, picture: str, key: str) -> Any:
    return json.loads(session.answer(json.dumps({"view": "pictures", "ask": "box", "picture": picture, "key": key})))


def drawn(source: str, **choice: Any) -> Any:
    return ask(Session(), source, **choice)


def labels(picture: Any) -> list[str]:
    return re.findall(r'label="([^"]+)"', picture["dot"])


def box_of(picture: Any, label: str) -> str:
    """Return the key of the box with a label."""
    [key] = re.findall(rf'^\s*(\w+) \[[^\n]*label="{re.escape(label)}"', picture["dot"], re.MULTILINE)
    return str(key)


class TestExamples:
    def test_the_menu_has_all_of_them(self) -> None:
        assert {file.stem for file in EXAMPLES.glob("[!_]*.py")} == set(TITLES)

    @pytest.mark.parametrize("level", ["signals", "ops", "layers"])
    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_are_drawn_rolled_and_unrolled(self, name: str, level: str) -> None:
        answer = drawn((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"), level=level, heat=True)
        assert answer["problems"] == []
        assert len(answer["rolled"]) == 1 + (name == "encoder_decoder")
        for picture in (*answer["rolled"], answer["unrolled"]):
            assert "layout=nop2" in picture["dot"] and picture["title"] and picture["alt"]

    def test_the_loop_without_a_delay_is_an_error_that_names_both_lines(self) -> None:
        source = (EXAMPLES / "no_delay.py").read_text(encoding="utf-8")
        lines = [number for number, line in enumerate(source.splitlines(), 1) if line.startswith(("h[t]", "y[t]"))]
        for level in ("signals", "ops", "layers"):
            answer = drawn(source, level=level)
            [problem] = answer["problems"]
            assert (problem["kind"], problem["line"]) == ("DefinitionError", lines[0])
            assert problem["lines"] == [*lines, len(source.splitlines())], "the last one unrolls it"
            assert answer["rolled"] == [] and answer["unrolled"] is None

    def test_the_loop_without_a_delay_is_an_error_without_the_page_too(self) -> None:
        with pytest.raises(DefinitionError, match="loop without delay"):
            exec((EXAMPLES / "no_delay.py").read_text(encoding="utf-8"), {})

    def test_a_gradient_vanishes_and_a_value_is_not_a_number(self) -> None:
        printed = drawn((EXAMPLES / "vanishing.py").read_text(encoding="utf-8"))["printed"]
        norms = [float(text) for text in re.findall(r"= (\S+)", printed)]
        assert len(norms) == 10 and norms == sorted(norms) and norms[0] < 1e-4 * norms[-1]
        assert "nan" in drawn((EXAMPLES / "not_a_number.py").read_text(encoding="utf-8"))["printed"]


class TestPictures:
    def test_a_definition_alone_is_unrolled_over_as_many_steps_as_are_chosen(self) -> None:
        for steps in (1, 3):
            answer = drawn(DEFINITION, steps=steps)
            assert {"h[t]", "x[t]"} <= set(labels(answer["rolled"][0]))
            found = labels(answer["unrolled"])
            assert f"h[{steps}]" in found and f"h[{steps + 1}]" not in found

    def test_a_run_of_the_program_is_drawn_with_its_own_steps_and_loss(self) -> None:
        found = labels(drawn(DEFINITION + LOSS, steps=9)["unrolled"])
        assert "h[3]" in found and "h[4]" not in found and any(text.startswith("loss") for text in found)

    def test_other_choices_do_not_run_the_program_again(self) -> None:
        session, source = Session(), DEFINITION + LOSS + "print('ran')"
        ask(session, source)
        first = session.program
        assert ask(session, source, level="ops", heat=True, dark=True)["printed"] == "ran\n"
        assert session.program is first
        ask(session, source + " ")
        assert session.program is not first

    def test_each_run_of_a_program_begins_anew(self) -> None:
        session = Session()
        ask(session, "a = 1")
        assert ask(session, "print(a)")["problems"][0]["kind"] == "NameError"

    def test_heat_needs_a_backward_pass(self) -> None:
        answer = drawn(DEFINITION + LOSS.replace("loss.backward()\n", ""), heat=True)
        assert "backward" in answer["problems"][0]["text"] and answer["unrolled"] is None
        assert len(answer["rolled"]) == 1

    def test_an_unfinished_program_has_no_picture_and_no_problem(self) -> None:
        for source in ("", "x = 1", DEFINITION.rpartition("h[t]")[0]):
            assert drawn(source) == {"printed": "", "rolled": [], "unrolled": None, "notes": [], "problems": [],
                                     "steps": None, "trained": 0}

    def test_a_definition_that_only_its_run_knows_is_drawn(self) -> None:
        source = DEFINITION.replace("net", "cell") + LOSS.replace("net", "cell") + "del cell, x, h\n"
        answer = drawn(source)
        assert len(answer["rolled"]) == 1 and "h[t]" in labels(answer["rolled"][0])

    def test_definitions_that_are_not_drawn_are_told(self) -> None:
        many = "".join(DEFINITION.replace("net", f"net{k}") for k in range(6))
        answer = drawn(many)
        assert len(answer["rolled"]) == 4
        assert answer["notes"] == ["The first 4 definitions are drawn, and 2 more are not: net4, net5."]
        assert drawn(DEFINITION)["notes"] == []

    def test_a_level_that_a_definition_does_not_have_is_told(self) -> None:
        answer = drawn(DEFINITION + LOSS, level="layers")
        assert answer["rolled"][0]["level"] == answer["unrolled"]["level"] == "signals"
        [note] = answer["notes"]
        assert note.startswith("Drawn as signals, because none of them") and note.endswith(": net.")
        assert drawn(DEFINITION + LOSS, level="ops")["notes"] == []
        layer = DEFINITION.replace('"h", 2)', '"enc.h", 2)') + 'c = net.signal("enc.c", 2)\nc[t] = c[t-1] + h[t]\n'
        answer = drawn(layer, level="layers")
        assert answer["notes"] == [] and answer["rolled"][0]["level"] == "layers"

    def test_markup_in_names_stays_text(self) -> None:
        name = "<img src=x onerror=alert(1)>"
        answer = drawn(DEFINITION.replace('"net"', repr(name)))
        assert "<img" not in answer["rolled"][0]["dot"].replace('"<img', "").replace("\\<", "")


class TestBoxes:
    def test_have_the_value_the_gradient_and_the_line_of_their_tensor(self) -> None:
        session = Session()
        answer = ask(session, DEFINITION + LOSS)
        h = np.zeros(2)
        values = [h := np.tanh(1 + 0.5 * h) for _ in range(3)]
        for k, value in enumerate(values, 1):
            found = box(session, "unrolled", box_of(answer["unrolled"], f"h[{k}]"))
            [shown] = found["tensors"]
            assert (shown["title"], shown["shape"], found["line"]) == (f"h[{k}]", [1, 2], 8)
            assert np.allclose([float(text) for text in re.findall(r"\d\.\d+", shown["value"])], value, atol=1e-4)
        [last] = box(session, "unrolled", box_of(answer["unrolled"], "h[3]"))["tensors"]
        gradient = re.findall(r"\d\.\d+", last["gradient"])
        assert np.allclose(np.array(gradient, float), 2 * values[2], atol=1e-4)

    def test_have_the_gradient_of_the_loss_that_is_drawn_and_the_sum_of_all_passes_if_it_differs(self) -> None:
        def gradients(source: str) -> tuple[Any, Any]:
            session = Session()
            picture = ask(session, source)["unrolled"]
            [label] = [text for text in labels(picture) if text.startswith("U  ")]
            [shown] = box(session, "unrolled", box_of(picture, label))["tensors"]
            return tuple(text and np.array(re.findall(r"-?\d\.\d*", text), float)
                         for text in (shown["gradient"], shown["accumulated"]))  # type: ignore[return-value]

        once, accumulated = gradients(DEFINITION + LOSS)
        assert accumulated is None
        other = '\nother = (run["h"][3] ** 2).sum()\nother.backward()\n'
        for source in (DEFINITION + LOSS + other, DEFINITION + LOSS.replace("loss =", other + "loss =")):
            gradient, accumulated = gradients(source)
            np.testing.assert_array_equal(gradient, once)
            np.testing.assert_allclose(accumulated, 2 * once, atol=2e-4)
        gradient, accumulated = gradients(DEFINITION + LOSS.replace("loss.backward()", "") + other)
        assert gradient is None, "the drawn loss was not differentiated"
        np.testing.assert_array_equal(accumulated, once)

    def test_of_the_rolled_picture_have_the_line_of_their_equation(self) -> None:
        session = Session()
        answer = ask(session, DEFINITION)
        assert box(session, "rolled0", box_of(answer["rolled"][0], "h[t]")) == {"line": 8}
        assert box(session, "rolled0", box_of(answer["rolled"][0], "x[t]")) == {"line": 6}

    def test_with_many_values_are_shortened(self) -> None:
        session = Session()
        answer = ask(session, DEFINITION.replace("2", "2000").replace("np.eye(2000) * 0.5", "0.5").replace("@", "*"))
        value = box(session, "unrolled", box_of(answer["unrolled"], "h[1]"))["tensors"][0]["value"]
        assert "..." in value and len(value) < 300

    def test_that_do_not_exist_have_nothing(self) -> None:
        session = Session()
        ask(session, DEFINITION)
        assert box(session, "unrolled", "nothing")["tensors"] == [] and box(session, "rolled7", "s0") == {}

    def test_of_parameters_have_their_value_and_line(self) -> None:
        session = Session()
        picture = ask(session, DEFINITION + LOSS)["unrolled"]
        [label] = [text for text in labels(picture) if text.startswith("U  ")]
        found = box(session, "unrolled", box_of(picture, label))
        assert found["tensors"][0]["title"] == "U" and found["line"] == 7

    def test_of_folded_steps_have_the_values_of_the_first_of_them(self) -> None:
        session = Session()
        answer = ask(session, DEFINITION + LOSS.replace("(3, 1, 2)", "(40, 1, 2)"))
        [label] = [text for text in labels(answer["unrolled"]) if text.endswith("× 34 steps") and "⋯" in text]
        found = box(session, "unrolled", box_of(answer["unrolled"], label))
        assert [tensor["title"] for tensor in found["tensors"]] == [f"h[{k}]" for k in range(4, 4 + MOST_TENSORS)]
        assert found["more"] == 34 - MOST_TENSORS

    def test_of_several_runs_have_values(self) -> None:
        session = Session()
        answer = ask(session, (EXAMPLES / "encoder_decoder.py").read_text(encoding="utf-8"))
        for label, name in (("h[2]", "h[2]"), ("s[0] = h[3]", "s[0]"), ("loss", "loss")):
            [shown] = box(session, "unrolled", box_of(answer["unrolled"], label))["tensors"]
            assert shown["title"].startswith(name) and shown["value"]

    @pytest.mark.parametrize("level", ["signals", "ops", "layers"])
    @pytest.mark.parametrize("name", [name for name in TITLES if name not in ("no_delay", "not_a_number")])
    def test_every_box_of_an_example_has_a_value(self, name: str, level: str) -> None:
        session = Session()
        picture = ask(session, (EXAMPLES / f"{name}.py").read_text(encoding="utf-8"), level=level)["unrolled"]
        keys = [key for key in re.findall(r"^\t(\w+) \[", picture["dot"], re.MULTILINE)
                if not key.startswith(("text", "node", "edge", "graph"))]
        assert len(keys) > 8
        assert [key for key in keys if not box(session, "unrolled", key)["tensors"]] == []


class TestNextProgram:
    @pytest.mark.parametrize("change, look", [
        ("np.tanh = np.sin", "np.tanh(1)"), ("np.own = 1", "hasattr(np, 'own')"),
        ("del np.tanh", "np.tanh(1)"), ("np.linalg.norm = max", "np.linalg.norm([3, 4])"),
        ("np.seterr(all='raise')", "np.geterr()"), ("np.set_printoptions(precision=1)", "np.array([0.123])"),
        ("np.random.seed(7)", "np.random.normal()"), ("mg.Tensor.sum = mg.Tensor.mean", "mg.Tensor([1, 2]).sum()"),
        ("mg.Tensor.own = 1", "hasattr(mg.Tensor, 'own')"), ("mg.losses.mse = max", "mg.losses.mse.__name__"),
        ("mg.no_grad().__enter__()", "(2 * mg.Tensor([1.0], requires_grad=True)).op"),
        ("builtins.len = builtins.isinstance = lambda *x: 0", "len([3, 4])"),
        ("sys.modules['numpy'] = mg", "__import__('numpy').__name__"), ("del sys.modules['minigrad.ops']", "mg.ops")])
    def test_finds_the_libraries_as_they_are(self, change: str, look: str) -> None:
        session, start = Session(), "import builtins, sys\nimport numpy as np\nimport minigrad as mg\n"
        look = f"{start}print({look})\n"
        before = np.random.get_state()
        expected = ask(session, look)
        assert expected["problems"] == []
        np.random.set_state(before)
        assert ask(session, f"{start}{change}\nprint('changed')\n")["printed"] == "changed\n"
        assert ask(session, look) == expected

    def test_may_import_a_module_that_the_first_one_imported(self) -> None:
        source = "import numpy.f2py\nimport numpy\nprint(numpy.f2py.__name__)\n"
        session = Session()
        assert ask(session, source) == ask(session, source + " ") and ask(session, source)["printed"] == "numpy.f2py\n"


class TestFilesAndTerminals:
    """Calls of a program for a computer of its own, for which the page has views."""

    @pytest.mark.parametrize("call", [
        "viz.rolled(net).render(outfile='loop.png')", "viz.unrolled(run).render('loop.svg')",
        "viz.animate(loss, 'bptt.gif')", "viz.gradient_map(run).render('h', format='pdf')"])
    def test_a_picture_is_not_painted_but_shown(self, call: str) -> None:
        answer = drawn(f"{DEFINITION}{LOSS}import viz\n{call}\n{call}\nprint('end')\n")
        assert answer["problems"] == [] and answer["unrolled"]
        [sentence, end] = answer["printed"].splitlines()
        assert "shows them beside the program" in sentence and end == "end"

    def test_the_steps_are_in_their_view(self) -> None:
        for name in ("viz.stepper", "stepper"):
            end = f"import viz\nfrom viz import stepper\nprint({name}(loss, 's.html').steps)\n"
            [sentence, steps] = drawn(DEFINITION + LOSS + end)["printed"].splitlines()
            assert 'its tab "steps" shows them' in sentence and int(steps) > 3

    def test_the_bytes_of_a_picture_cannot_be_had(self) -> None:
        [problem] = drawn(DEFINITION + "import viz\nviz.rolled(net).pipe('png')\n")["problems"]
        assert problem["kind"] == "PaintError" and "buttons to save" in problem["text"]
        assert drawn(DEFINITION + "import viz\nprint('digraph' in viz.rolled(net).source)\n")["printed"] == "True\n"

    @pytest.mark.parametrize("call", ["input('? ')", "breakpoint()", "mg.set_trace(loss)"])
    def test_there_is_no_terminal(self, call: str) -> None:
        [problem] = drawn(f"{DEFINITION}{LOSS}{call}\n")["problems"]
        assert 'in the tab "steps"' in problem["text"] and problem["line"] == 12

    def test_a_debugger_with_commands_asks_nothing(self) -> None:
        answer = drawn(f"{DEFINITION}{LOSS}mg.set_trace(loss, commands=['continue'])\n")
        assert answer["problems"] == [] and "continue" in answer["printed"]

    def test_a_package_that_the_page_does_not_have_is_told(self) -> None:
        [problem] = drawn("import nothing_of_this_name.inside")["problems"]
        assert "The page has NumPy, minigrad, rnn and viz" in problem["text"]
        [problem] = drawn("import minigrad.nothing")["problems"]
        assert problem["text"] == "No module named 'minigrad.nothing'"

    def test_are_those_of_the_computer_afterwards(self) -> None:
        session = Session()
        ask(session, DEFINITION)
        assert session.program is not None
        picture = viz.rolled(session.program.variables["net"])
        assert picture.pipe(format="svg").startswith(b"<?xml") and type(input).__name__ == "builtin_function_or_method"


class TestErrors:
    @pytest.mark.parametrize("source, kind, line", [
        ("a = 1\nb = (", "SyntaxError", 2), ("a = 1\n\n1 / 0", "ZeroDivisionError", 3),
        ("def f():\n    return g\n\nf()", "NameError", 2), ("import nothing_of_this_name", "ModuleNotFoundError", 1),
        ("\nimport sys\nsys.exit(3)", "SystemExit", 3), ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
        (DEFINITION + "net.unroll(x=np.ones((3, 1, 5)))", "ValueError", 9),
        (DEFINITION.replace("U @ h", "U @ np.ones(3) @ h"), "ValueError", 8)])
    def test_are_told_with_their_line(self, source: str, kind: str, line: int) -> None:
        [problem] = drawn(source)["problems"]
        assert (problem["kind"], problem["line"]) == (kind, line) and problem["line"] in problem["lines"]

    def test_keep_what_was_printed_and_defined_before(self) -> None:
        answer = drawn("print('before')\n" + DEFINITION + "1 / 0")
        assert answer["printed"] == "before\n" and len(answer["rolled"]) == 1 and answer["unrolled"] is None

    def test_a_very_long_output_is_cut(self) -> None:
        printed = drawn("for i in range(100_000):\n    print('line', i)")["printed"]
        assert MOST_PRINTED <= len(printed) < MOST_PRINTED + 100 and printed.endswith("(more was printed)\n")


class TestTimeLimit:
    def test_covers_functions_inside_of_functions(self) -> None:
        code = compile("def f():\n    def g(): return [x for x in y]\nclass A:\n    def h(self): pass", "p", "exec")
        assert {"<module>", "f", "g", "A", "h"} <= {part.co_name for part in parts([code])}

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
    @pytest.mark.parametrize("loop", ["while True: pass", "def f():\n    while True:\n        1\nf()",
                                      "while True:\n    try:\n        1\n    except Exception:\n        2"])
    def test_stops_loops_that_do_not_end(self, loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("viz.playground.session.SECONDS", 0.05)
        [problem] = drawn(loop)["problems"]
        assert problem["kind"] == "Stopped" and problem["line"] is not None

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
    @pytest.mark.parametrize("source, line", [
        ("import time\ntime.sleep(0.3)\na = 1\n", 2), ("import time\ndef f():\n    time.sleep(0.3)\n\nf()\na = 1\n", 3),
        ("import time\nfor i in range(3):\n    i\n    time.sleep(0.3)\n", 4)])
    def test_names_the_line_whose_call_took_it(self, source: str, line: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("viz.playground.session.SECONDS", 0.2)
        [problem] = drawn(source)["problems"]
        assert (problem["kind"], problem["line"], problem["lines"]) == ("Stopped", line, [line])
        assert re.match(rf"line {line} took 0\.\d+ s, .*very large", problem["text"])

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
    def test_ends_an_unroll_over_too_many_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("viz.playground.session.SECONDS", 0.2)
        session = Session()
        [problem] = ask(session, DEFINITION + "run = net.unroll(x=np.ones((100_000, 1, 2)))\n")["problems"]
        assert (problem["kind"], problem["line"], problem["lines"]) == ("Stopped", 9, [9])
        assert session.program is not None and "run" not in session.program.variables

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
    def test_holds_for_the_program_alone_and_not_for_what_calls_its_functions_later(self) -> None:
        session = Session()
        ask(session, "def f(): pass\n" + DEFINITION + LOSS)
        assert session.program is not None
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
        monitoring.use_tool_id(TOOL, "test")
        try:
            codes = parts([*LONG, session.program.variables["f"].__code__])
            assert [monitoring.get_local_events(TOOL, code) for code in codes] == [0] * len(codes)
            assert monitoring.register_callback(TOOL, monitoring.events.LINE, None) is None
        finally:
            monitoring.free_tool_id(TOOL)
