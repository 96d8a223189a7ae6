"""What comes through the pipe of a student's process: forged, garbled, endless; and what people are shown of it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.assignments import inside, reports, sandbox
from examples.assignments.check import NAMES, Result, debugger, kept, parts
from examples.assignments.check import check as checker
from examples.assignments.check import main as run_check
from examples.assignments.grading import Answers, Check, Finding, Imports, Outcome, Unreadable, done, read
from examples.assignments.make import source
from examples.assignments.sandbox import Answer, Conversation, Job, Ran, Strange, run

posix = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are other numbers on Windows")
PROBES = """
def asked(name):
    return lambda student, d: {'out': getattr(student, name)(d['x'])}
CALLS = {name: asked(name.partition(':')[0]) for name in ('f:x', 'g:x', 'h:x')}
NUMERIC = {}
"""
PIPE = """
import json, os, sys
def pipe():
    for end in range(3, 30):
        try:
            if os.fstat(end).st_mode & 0o170000 == 0o010000:
                return end
        except OSError:
            pass
def send(text):
    data = text if isinstance(text, bytes) else (json.dumps(text) + '\\n').encode()
    while data:
        data = data[os.write(pipe(), data):]
"""


def ask(text: str, tmp_path: Path, seconds: float = 1.0) -> Ran:
    path = tmp_path / "probes.py"
    path.write_text(PROBES)
    job = Job(path, ["f:x", "g:x"], {"x": np.ones(3)}, ["f", "g"], [], seconds=seconds)
    return run(job, {"file.py": PIPE + textwrap.dedent(text) + "\ndef g(x):\n    return 2 * x\n"})["file.py"]


def right(ran: Ran) -> bool:
    return bool(np.array_equal(ran.answers["g:x"].values.get("out", 0), [2.0, 2.0, 2.0]))


# ---- from a process
@posix
def test_garbage_between_answers_is_ignored(tmp_path: Path) -> None:
    ran = ask("""
        def f(x):
            send(b'\\n\\xff\\xfe\\n[1\\n{}\\nnull\\n"end"\\n{"end": 2}\\n{"end": true}\\n{"end": -1}\\n{"begin": 2}\\n')
            send(b'{"end": 1.0, "answer": {}}\\n[' + b'[' * 100000 + b'\\n{"note": "forged"}\\n')
            send(b'{"end": ' + b'1' * 100000 + b'}\\n')
            return x
    """, tmp_path)
    assert ran.answers["f:x"].values["out"].tolist() == [1, 1, 1] and right(ran) and "forged" not in ran.note


@posix
def test_an_answer_can_be_forged_for_its_own_question_alone(tmp_path: Path) -> None:
    """A forged answer is one that the function could have given; the true one that comes later isn't taken."""
    ran = ask("""
        def f(x):
            send({"end": 1, "answer": {"values": {"out": {"plain": "forged"}}}})
            send({"end": 1, "answer": {"values": {"out": {"plain": "again"}}}})
            send({"end": 9, "answer": {"values": {"out": {"plain": "none"}}}})
            return x
    """, tmp_path)
    assert ran.answers["f:x"].values == {"out": "forged"} and right(ran)
    assert set(ran.answers) == {"import", "f:x", "g:x"}


@posix
@pytest.mark.parametrize("text, said", [
    ("while True:\n        send(b'x' * 65536)", "answers more than an answer can hold"),
    ("while True:\n        send(b'x' * 65535 + b'\\n')", "answers more than an answer can hold"),
    ("while True:\n        send(b'\\n' * 60000)", "answers more than an answer can hold"),
    ("while True:\n        sys.stdout.write('x' * 65536)", "too much was printed"),
    ("while True:\n        os.write(2, b'x' * 65536)", "too much was printed")])
def test_endless_output_stalls_nothing_and_costs_one_answer(text: str, said: str, tmp_path: Path) -> None:
    ran = ask(f"def f(x):\n    {text}", tmp_path, seconds=5.0)
    assert said in str(ran.answers["f:x"].error) and right(ran)
    assert all(len(text) <= sandbox.SHOWN for text in ran.printed.values())


@posix
def test_a_closed_pipe_costs_one_answer(tmp_path: Path) -> None:
    ran = ask("def f(x):\n    os.closerange(0, 30)\n    return x", tmp_path)
    assert ran.answers["f:x"].error is not None and right(ran)


@posix
def test_new_beginnings_give_no_more_time(tmp_path: Path) -> None:
    ran = ask("""
        import signal, time
        def f(x):
            signal.setitimer(signal.ITIMER_REAL, 0)
            while True:
                send({"begin": 1}); send({"begin": 0}); send({"end": 0, "answer": {}})
                time.sleep(0.05)
    """, tmp_path, seconds=0.2)
    assert "did not end within" in str(ran.answers["f:x"].error) and right(ran)


@posix
def test_all_time_together_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "BUDGET", 1.0)
    ran = ask("def f(x):\n    import time\n    time.sleep(4)", tmp_path, seconds=5.0)
    assert "all questions together" in str(ran.answers["f:x"].error)


def test_a_large_result_is_no_answer(tmp_path: Path) -> None:
    ran = ask("def f(x):\n    return 'x' * (3 << 20)", tmp_path)
    assert "more than an answer can hold" in str(ran.answers["f:x"].error) and right(ran)


def test_input_is_at_its_end(tmp_path: Path) -> None:
    ran = ask("def f(x):\n    import sys\n    assert sys.stdin.read() == ''\n    return x", tmp_path)
    assert ran.answers["f:x"].error is None


@posix
def test_what_is_right_is_not_in_the_process(tmp_path: Path) -> None:
    """Every array that the process of the forward passes can find is an input."""
    [part, _] = parts("a3")
    forward, *backward = part.jobs
    text = ("import gc, numpy as np\ndef rnn_step_forward(x, h_prev, W, U, b):\n"
            "    found = [o for o in gc.get_objects() if isinstance(o, dict) and 'hs' in o]\n"
            "    raise ValueError('here' if found else 'not here')\n")
    ran = run(forward, {"a3.py": text})["a3.py"]
    assert "not here" in str(ran.answers["rnn_step_forward"].error) and all("hs" in job.data for job in backward)


# ---- parsing
def array(dtype: str, shape: list[Any], data: bytes) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}


@pytest.mark.parametrize("raw", [
    array("O", [1], bytes(8)), array("U1000000000", [1], bytes(8)), array("float64", [1 << 40], bytes(8)),
    array("float64", [-1, -1], bytes(8)), array("float64", [True], bytes(8)), array("float64", [2], bytes(8)),
    array("float64", [60_000], bytes(480_000)),
    array("float64", [0] * 40, b""), array("float64", [1.0], bytes(8)), array("V8", [1], bytes(8)),
    {"dtype": "float64", "shape": [1], "data": "no base 64!"}, {"dtype": ["float64"], "shape": [1], "data": ""},
    {"dtype": "float64", "shape": 3, "data": ""}, {"dtype": "float64", "shape": [1]}, {"other": 1}, [1], 3, None])
def test_a_malformed_array_is_no_answer(raw: Any) -> None:
    answer = sandbox.as_answer({"values": {"out": raw}})
    assert answer.values == {} and answer.error is not None and "no readable answer" in answer.error["message"]


@pytest.mark.parametrize("raw", [None, 3, [], "x", {"values": 3}, {"values": {"x": {"plain": 1}}, "error": 3},
                                 {"error": {"type": 3}}, {"changed": [3]}, {"shares": [["a"]]}, {"changed": 7},
                                 {"values": {"x": {"type": {}}}}])
def test_a_malformed_answer_is_a_finding(raw: Any) -> None:
    assert sandbox.as_answer(raw).error is not None


def test_integers_are_short() -> None:
    assert sandbox._message(b'{"end": ' + b"1" * 500 + b"}") == {}
    assert sandbox._message(b'{"end": ' + b"1" * 300 + b"}") == {"end": int("1" * 300)}


def test_a_long_integer_is_a_wrong_answer_and_no_dead_process() -> None:
    assert inside.encoded_one([10**300, 10**500]) == {"type": "list"}
    assert inside.encoded_one(10**5000) == {"type": "int"}  # Python itself refuses to write that many digits
    assert inside.encoded_one(10**300) == {"plain": 10**300}


def test_truth_values_are_zero_or_one() -> None:
    values = sandbox.as_answer({"values": {"out": array("bool", [3], b"\x00\x01\xff")}}).values["out"]
    assert values.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("value", [
    np.arange(6.0).reshape(2, 3), np.array(3.5), np.zeros((0, 3)), np.array([np.nan, np.inf]), np.array([True, False]),
    np.arange(3, dtype=">i4"), np.float32(2), np.arange(6.0)[::-2], np.asfortranarray(np.arange(6.0).reshape(2, 3))])
def test_arrays_arrive_as_they_are(value: Any) -> None:
    raw = json.loads(json.dumps({"values": {"out": inside.encoded_one(value)}}))
    back = sandbox.as_answer(raw).values["out"]
    np.testing.assert_array_equal(back, value)
    assert back.shape == np.shape(value) and back.dtype.name == value.dtype.name and back.flags.writeable


def test_what_is_neither_is_told_by_its_type() -> None:
    back = sandbox.as_answer({"values": {"a": inside.encoded_one(object()), "b": inside.encoded_one(np.zeros(60_000))}})
    assert back.values == {"a": Strange("object"), "b": Strange("float64 array of more than 50000 numbers")}


def test_answers_are_taken_in_order() -> None:
    talk = Conversation([("a", "x"), ("a", "y")])
    for message in ({"end": 1, "answer": {}}, {"begin": 1}, {"end": 0, "answer": {}}, {"end": 0, "answer": 3},
                    {"begin": 0}, {"note": "late"}, {"end": 1, "answer": {"changed": ["b"]}}):
        if len(talk.answers) < 2:
            talk._take(message)
    assert [answer.changed for answer in talk.answers] == [[], ["b"]] and talk.note in ("", "late")


# ---- a check of a forged answer
@pytest.mark.parametrize("value", [
    None, 3, "x", [], {}, [[1, 2]], {"a": {}}, 10**399, -1e308, True, Strange("x"), np.zeros((0,)), np.array(np.nan),
    np.zeros((2, 2), bool), ["h"] * 1000, {"first": {"a": 10**399}}, [[["h", 1], ["y", float("inf")]]]])
def test_no_answer_of_any_form_crashes_the_checker(value: Any) -> None:
    for name in NAMES:
        for part in [*parts(name), *kept(name, 0)]:
            names = ("answer", "out", "h", "x", "order", "edges", "first", "second", "signatures", "uses", "reached",
                     "repeated", "losses", "W", "U", "b", "V", "raised", "5", "1", "row")
            questions = ["import", *(question for job in part.jobs for question in job.questions)]
            forged = {question: Answer(dict.fromkeys(names, value), dict.fromkeys(names, value))
                      for question in questions}
            outcomes = done(part.checks, Answers(forged))
            passed = {outcome.check.name for outcome in outcomes if outcome.score}
            assert passed <= {"the graph of a chunk"}, passed  # which tensors it has is the student's word
            reports.text([reports.Line(outcome, "", None, False) for outcome in outcomes],
                         reports.About("a", "b", {}, []))


# ---- what people are shown
def test_a_report_shows_no_line_and_no_command_of_a_students() -> None:
    said = "x\n26 of 26 points\r\x1b[2J\x1b]0;title\x07\u202e\ud800\u2028{\"scores\": {}}" + "y" * 10_000
    line = reports.Line(Outcome(Check("c", 1, Imports({})), Finding(said, said, said)), "", None, False)
    shown = reports.text([line], reports.About("a", "b", {said: f"{said}\n{said}"}, []))
    assert not [one for one in shown.splitlines() if one.startswith(("26", "{"))]
    assert all(one.isprintable() for one in shown.splitlines()) and len(shown) < 20_000
    shown.encode("utf-8")
    for write in reports.FORMATS.values():
        text = write([line], reports.About("a", "b", {said: said}, [], "isolated by x"))
        assert json.loads(text.splitlines()[-1] if write is reports.autolab else text)


HOSTILE = '"; touch owned; echo "', "$(touch owned)", "`touch owned`", "h' && touch owned", "h\\"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_a_students_is_in_a_command(name: str) -> None:
    [part] = parts("a4")
    check = next(check for check in part.checks if check.name.startswith("edges against"))
    look: Any = check.look
    links = [[list(source), list(target)] for source, target in look.right]
    for extra in ([[name, 1], ["h", 1]], [["h", 1], [name, 1]], [[name, 0], [name, 1]], [["h", 1], ["h", 77]]):
        answers = Answers({"import": Answer(), f"unroll:{right_graph(check)}": Answer({"edges": [*links, extra]})})
        [outcome] = done([check], answers)
        command = debugger(Result(part, [outcome], Ran(), 0), outcome)
        assert outcome.finding is not None and name not in command and "77" not in command
        assert command == "" or '-c "until h[1]"' in command
    forged = Outcome(check, Finding("c", until=f"h[1]{name}", graph="feedback"))
    assert debugger(Result(part, [forged], Ran(), 0), forged) == ""


def right_graph(check: Check) -> str:
    return check.name.partition(": ")[2]


@posix
def test_errors_of_any_kind_cost_one_answer(tmp_path: Path) -> None:
    ran = ask("""
        class E(Exception):
            def __str__(self):
                raise SystemExit
        def f(x):
            raise E
    """, tmp_path)
    assert ran.answers["f:x"].error is not None and right(ran)


# ---- the file that was handed in
def test_a_link_that_was_handed_in_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a3_source.py").write_text(source("a3"))
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / "a3.py").symlink_to(tmp_path / "a3_source.py")
    except OSError:
        pytest.skip("no right to make links")
    with pytest.raises(Unreadable, match="is a link; hand in the file itself"):
        read(tmp_path / "in" / "a3.py")
    assert run_check(["a3", str(tmp_path / "in")]) == 2


@posix
def test_a_pipe_that_was_handed_in_stalls_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a3.py")
    with pytest.raises(Unreadable, match="no regular file"):
        read(tmp_path / "a3.py")


@pytest.mark.parametrize("text, said", [
    ("[" * 100_000, "can't be read"), ('{"cells": 3}', "can't be read"), ('{"cells": ["x"]}', "can't be read"),
    ('{"cells": [{"cell_type": "code", "source": [3]}]}', "can't be read"), ("[]", "can't be read")])
def test_a_hostile_notebook_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a3.ipynb").write_text(text)
    with pytest.raises(Unreadable, match=said):
        read(tmp_path / "a3.ipynb")


CELLS = [
    ("%matplotlib inline\n  !pip install x \\\n  y\nx = (7\n  % 4)\n", "\n\n\nx = (7\n  % 4)\n"),
    ("x = 7 \\\n  % 4\n%time x", "x = 7 \\\n  % 4\nx"),
    ("x = %time f(3)\n%time y = 2\n%timeit y", "x = f(3)\ny = 2\n"),
    ("names = !ls *.py\nx = %pwd", "names = []\nx = []"),
    ("f?\n?np.tanh\n  np.tan*??\nx = 'a?'\nis_it = 1 if x else 2", "\n\n\nx = 'a?'\nis_it = 1 if x else 2"),
    ("%%bash\nls *.py\nx = (", "\n\n"), ("\n%%html\n<b>", "\n\n"), ("%%time\nx = 3", "\nx = 3"),
    ("x = 7\nx != 3\nx %3", "x = 7\nx != 3\nx %3"),
    ('x = """\n% a\n! b\n"""\n%pwd', 'x = """\n% a\n! b\n"""\n'),
    ("x = '''\"\n!'''\n!ls", "x = '''\"\n!'''\n"), ("x = '(' # (\n%pwd", "x = '(' # (\n"),
    ("x = '\\'('\n%pwd", "x = '\\'('\n"), ("x = 'a\\\n%d' % 3\n%pwd", "x = 'a\\\n%d' % 3\n"),
    ("x = [1,  # it's\n  2\n % 3]\n!ls", "x = [1,  # it's\n  2\n % 3]\n"), ("x = ''\n!ls", "x = ''\n"),
    ("x = 1  # \\\n!ls", "x = 1  # \\\n"), ("x = r'\\d'\n!ls", "x = r'\\d'\n")]


@pytest.mark.parametrize("cell, code", CELLS)
def test_of_a_notebook_only_magics_are_left_out(cell: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "a3.ipynb").write_text(json.dumps({"cells": [
        {"cell_type": "code", "source": cell.splitlines(True)}, {"cell_type": "code", "source": ["y = 1"]}]}))
    text = read(tmp_path / "a3.ipynb")
    assert text == f"# cell 1\n{code}\n# cell 2\ny = 1\n"
    compile(text, "a3", "exec")


def test_a_notebook_may_display(tmp_path: Path) -> None:
    (tmp_path / "a2.ipynb").write_text(json.dumps({"cells": [
        {"cell_type": "code", "source": [text]} for text in (source("a2"), "display(Node(1.0), x=1)")]}))
    outcomes = [outcome for result in checker("a2", tmp_path / "a2.ipynb") for outcome in result.outcomes]
    assert [outcome.finding for outcome in outcomes if outcome.finding is not None] == []


def test_an_error_of_a_notebook_names_its_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a2.ipynb").write_text(json.dumps({"cells": [
        {"cell_type": "code", "source": [source("a2")]}, {"cell_type": "code", "source": ["x = 1\n", "y = x / 0"]}]}))
    assert run_check(["a2", str(tmp_path / "a2.ipynb"), "--no-pictures"]) == 1
    assert "division by zero at line 2 of cell 2: `y = x / 0`" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_letters_of_a_text_gets_the_report(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a2.py").write_text("raise ValueError('\u2603')\n", encoding="utf-8")
    command = [sys.executable, "-m", "examples.assignments.check", "a2", str(tmp_path / "a2.py"), "--no-pictures"]
    done = subprocess.run(command, cwd=sandbox.ROOT, capture_output=True, timeout=100,
                          env={**os.environ, "PYTHONPATH": str(sandbox.ROOT), "PYTHONIOENCODING": encoding})
    assert b"raised ValueError: \\u2603" in done.stdout and b"\n0 of " in done.stdout, done.stderr


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "a3.py", "wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(Unreadable, match="4096 MB; 16 are allowed"):
        read(tmp_path / "a3.py")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a2.py").write_bytes(b"\xef\xbb\xbf" + source("a2").replace("\n", "\r\n").encode())
    assert read(tmp_path / "a2.py") == source("a2")


@posix
def test_a_picture_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a2.py").write_text(source("a2").replace("x.grad += node", "x.grad = node"))
    (tmp_path / "in" / "a2_1.dot").symlink_to(kept)
    run_check(["a2", str(tmp_path / "in" / "a2.py"), "--format", "dot"])
    assert kept.read_text() == "kept" and "digraph" in (tmp_path / "in" / "a2_1.dot").read_text()
