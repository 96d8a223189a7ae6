"""What a student reads: one headline for one mistake, what they print, and nothing of the checker's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.assignments import reports
from examples.assignments.check import check, parts
from examples.assignments.check import main as run_check
from examples.assignments.grading import Answers, Check, Finding, Imports, Outcome, SecondCall, Settings, done
from examples.assignments.graphs import a3 as cells
from examples.assignments.make import source, stub
from examples.assignments.naming import Candidate, difference, named
from examples.assignments.pictures import of_run
from examples.assignments.probes.a1 import OPERATIONS
from examples.assignments.sandbox import Answer

INTERNALS = re.compile(r"probes\.py|inside\.py|check_\w{8}|/packages/|NoneType|Traceback|_asked|KeyError")


def report(name: str, code: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The report on the solution with further code."""
    (folder / f"{name}.py").write_text(f"{source(name)}\n{code}\n", encoding="utf-8")
    run_check([name, str(folder / f"{name}.py"), "--no-pictures"])
    return capsys.readouterr().out


# ---- one mistake, one headline
def test_a_mistake_has_one_headline_and_its_consequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a1.py").write_text(source("a1").replace("grad * out * (1 - out)", "-grad * out * (1 - out)"))
    run_check(["a1", str(tmp_path / "a1.py"), "--no-pictures"])
    said = capsys.readouterr().out
    assert said.count("FAIL") == 1
    assert re.search(r"follows: +0/1  Sigmoid: inputs unmodified, second call\n +0/1  Sigmoid: central differences\n"
                     r" +0/2  in minigrad\n", said)


def test_two_mistakes_have_two_headlines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = source("a1").replace("grad * out * (1 - out)", "grad * out").replace(" / x.shape[self.axis] *", " *")
    (tmp_path / "a1.py").write_text(text)
    run_check(["a1", str(tmp_path / "a1.py"), "--no-pictures"])
    said = capsys.readouterr().out
    assert said.count("FAIL") == 2 and "the factor (1 - out) is missing" in said and "the factor 1/n is missing" in said


def test_a_mistake_in_what_an_operation_does_not_use_is_not_folded_away(tmp_path: Path,
                                                                        capsys: pytest.CaptureFixture[str]) -> None:
    text = source("a1").replace("grad.sum(axis=axes, keepdims=True).reshape(shape)", "grad.sum(axis=0)")
    (tmp_path / "a1.py").write_text(text.replace("grad @ b.T, a.T @ grad", "grad @ b.T, a.T @ (2 * grad)"))
    run_check(["a1", str(tmp_path / "a1.py"), "--no-pictures"])
    said = capsys.readouterr().out
    assert said.count("FAIL") == 2
    assert re.search(r"FAIL +0/2  MatMul: derivative\n +db is wrong: exactly double", said)


def test_a_function_that_is_not_written_is_not_folded_under_another(tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a1.py").write_text(stub(source("a1")))
    run_check(["a1", str(tmp_path / "a1.py"), "--no-pictures"])
    said = capsys.readouterr().out
    unwritten = ["unbroadcast", *(f"{name}.{what}" for name in OPERATIONS for what in ("forward", "backward"))]
    assert re.findall(r"^ +(.*) isn't written yet$", said, re.M) == unwritten
    groups = dict(re.findall(r"FAIL +\S+  (.*)\n +.*\n((?: +(?:follows:)? .*\n)*)", said))
    assert "Softmax" not in groups["unbroadcast: shapes and dtypes"]


def test_an_unwritten_function_that_others_call_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = report("a1", "def unbroadcast(grad, shape):\n    raise NotImplementedError", tmp_path, capsys)
    assert said.count("FAIL") == 1 and "Multiply.backward isn't written" not in said


@pytest.mark.parametrize("name, find, put, said", [
    ("a3", "    for name in (\"W\", \"U\", \"b\"):\n            d[name] += step[name]",
     "    for name in (\"W\", \"U\", \"b\"):\n            d[name] += step[name] / len(x)", "exactly 1/5 of the sum"),
    ("a3", "d[\"h\"][t], d[\"c\"][t], d[\"x\"][t] = dh,", "d[\"h\"][t], d[\"c\"][t], d[\"x\"][t] = dh - dhs[t],",
     "the direct gradient dhs[4] is missing")])
def test_with_another_number_of_steps_it_is_the_same_mistake(name: str, find: str, put: str, said: str, tmp_path: Path
                                                             ) -> None:
    assert find in source(name)
    (tmp_path / f"{name}.py").write_text(source(name).replace(find, put))
    results = check(name, tmp_path / f"{name}.py", Settings(others=True, seed=3))
    heads = [one.finding.cause for result in results for one in result.outcomes if one.finding and not one.follows]
    assert len(heads) == 1 and said in heads[0]


FIRST = Finding("x is wrong: a sign is wrong", mistakes=("a sign is wrong",), function="f")
BROKEN = Finding("f raised an error", function="f", broken=True, named=False)


@pytest.mark.parametrize("first, second, of, follows", [
    (FIRST, Finding("y is wrong: a sign is wrong"), ("g", "f"), True),  # the same mistake
    (FIRST, Finding("y is wrong: a sign is wrong"), ("g",), False),  # of a function that doesn't use the first
    (FIRST, Finding("nothing known", named=False), ("g", "f"), True),
    (FIRST, Finding("y is wrong: a factor is wrong", mistakes=("a factor is wrong",)), ("g", "f"), False),
    (FIRST, Finding("both fit", mistakes=("a factor is wrong", "a sign is wrong")), ("g", "f"), True),
    (FIRST, Finding("g raised an error", function="g", broken=True, named=False), ("g", "f"), False),
    (BROKEN, Finding("g raised an error", function="g", broken=True, named=False), ("g", "f"), True),
    (FIRST, Finding("its points come later", follows=True), ("g", "f"), True),
    (FIRST, Finding(FIRST.cause), (), True),
    (BROKEN, Finding("g isn't written yet", function="g", broken=True), ("g", "f"), False),
    (Finding("M.forward raised TypeError: M() takes no arguments", function="M.forward", broken=True, named=False),
     Finding("M.backward raised TypeError: M() takes no arguments", function="M.backward", broken=True, named=False),
     ("M.backward",), True),
    (Finding("M.backward returns one array", function="M.backward", broken=True, named=False),
     Finding("N.backward returns one array", function="N.backward", broken=True, named=False), ("N.backward",), False),
    (Finding("x is exactly 1/5", mistakes=("exactly 1/5",), function="f"), Finding("exactly 1/6", named=True), ("f",),
     True)])
def test_findings_follow_from_those_of_functions_that_they_use(first: Finding, second: Finding, of: tuple[str, ...],
                                                               follows: bool) -> None:
    checks = [Check("first", 1, lambda answers: first, of=("f",)), Check("second", 1, lambda answers: second, of=of)]
    assert [one.follows for one in done(checks, Answers({}))] == ["", "first" if follows else ""]


def test_a_hidden_check_follows_from_the_visible_one(tmp_path: Path) -> None:
    (tmp_path / "a2.py").write_text(source("a2").replace("x.grad += node", "x.grad = node"))
    results = check("a2", tmp_path / "a2.py", Settings(others=True, seed=3))
    hidden = [one for one in results[-1].outcomes if one.finding is not None]
    assert hidden and {one.follows for one in hidden} == {"gradients: a small graph"}


def test_a_withheld_check_stands_for_itself() -> None:
    outcome = Outcome(Check("other numbers: second", 1, Imports({}), hidden=True), Finding("secret"), "first")
    head = Outcome(Check("first", 1, Imports({})), Finding("said"))
    lines = [reports.Line(head, "", None, True), reports.Line(outcome, "", None, True)]
    said = reports.text(lines, reports.About("a", "b", {}, []))
    assert "follows" not in said and "secret" not in said and said.count("FAIL") == 2


# ---- a cause is named only where its numbers fit
@pytest.mark.parametrize("factor, known", [(-1.0, True), (2.0, True), (0.5, True), (1.0005, False), (-1.0005, False)])
def test_a_factor_is_named_where_it_is_exact(factor: float, known: bool) -> None:
    right = np.random.default_rng(0).normal(size=(3, 4))
    assert (named(factor * right, right) is not None) == known


@pytest.mark.parametrize("wrong, said", [
    (lambda right: right.astype(np.float32).astype(float), "it is rounded to float32"),
    (lambda right: right * (1 + 1e-7), "right to about 7 digits only"),
    (lambda right: np.round(right) + 1e-7, None), (lambda right: np.clip(right, -0.5, 0.5), "it is clipped to ±0.5"),
    (lambda right: np.where(right == right.max(), 0.9 * right, right), None)])
def test_a_result_that_is_nearly_right_is_called_float32_where_it_is(wrong: Callable[[Any], Any], said: str | None
                                                                     ) -> None:
    right = np.random.default_rng(0).normal(size=(3, 4))
    hit = named(wrong(right), right)
    assert (hit is None) == (said is None) and (hit is None or said in hit.mistake)  # type: ignore[operator]


def test_one_is_not_taken_for_float32() -> None:
    hit = named(np.ones((2, 1)), np.full((2, 1), 1 - 1e-9 * 2))
    assert hit is not None and "right to about 9 digits only" in hit.mistake


def test_numbers_that_differ_are_shown_with_the_digits_that_do() -> None:
    assert difference("x", np.array(0.25), np.array(0.5)) == "x: yours 0.25, right 0.5"
    assert difference("x", np.array(1.0), np.array(1 - 2e-9)) == "x: yours 1, right 0.999999998"


def test_all_mistakes_that_give_the_numbers_are_known() -> None:
    right, wrong = np.ones(3), np.zeros(3)
    hit = named(wrong, right, [Candidate("one", wrong), Candidate("other", wrong), Candidate("third", 2 * right)])
    assert hit is not None and hit.all_mistakes == ("one", "other")


# ---- calls in turn
@pytest.mark.parametrize("answer, said", [
    (Answer({"h": np.ones(2)}, again={"h": 2 * np.ones(2)}), "gives another h: exactly twice the first"),
    (Answer({"h": np.ones(2)}, {"0 h": np.ones(2)}, {"h": np.ones(2)}, {"0 h": np.zeros(2)}),
     "with other inputs gives a wrong h"),
    (Answer({"h": np.ones(2)}, {}, {}, {}, {"type": "IndexError", "message": "no", "line": 3, "text": "x[9]"}),
     "in a second call, f raised IndexError: no at line 3: `x[9]`"),
    (Answer({"h": np.ones(2)}, {"0 h": np.ones(1)}, {"h": np.ones(2)}, {"0 h": np.ones(1)}),
     "with the smallest sizes, h of f has shape (1,); it must be (1, 1)"),
    (Answer({"h": np.ones(2)}, {"0 h": np.zeros((1, 1))}, {"h": np.ones(2)}, {"0 h": np.zeros((1, 1))}),
     "with the smallest sizes, h of f is wrong")])
def test_calls_in_turn_are_compared(answer: Answer, said: str) -> None:
    right = {"f": {"h": np.ones((1, 1))}} if "sizes" in said else {}
    look = SecondCall(["f"], lambda answers: None, right=right, sizes="the smallest sizes")
    finding = look(Answers({"import": Answer(), "f": answer}))
    assert finding is not None and said in finding.cause


# ---- what is printed
def test_prints_of_both_passes_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = report("a3", """
import sys
print("at the top")
_forward, _backward = rnn_forward, rnn_backward
def rnn_forward(*of):
    print("forward", len(of))
    for k in range(1000):
        print(k)
    return _forward(*of)

def rnn_backward(*of):
    print("backward", file=sys.stderr)
    return _backward(*of)
""", tmp_path, capsys)
    assert "printed by the file:\n  | at the top\nprinted by rnn_forward:\n  | forward 5\n  | 0\n" in said
    assert "printed by rnn_backward:\n  | backward\n" in said
    assert said.count("at the top") == 1 and said.count("| backward\n") == 1 and "  | …\n" in said


def test_prints_are_shown_by_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several questions about one function, none of whose names a student knows, the first that has a text."""
    said = report("a6", """
_definition = definition
def definition(W, U, V):
    print("sizes", W.shape, U.shape)
    return _definition(W, U, V)

def nan():
    print("nan")
    return 53, "log"
""", tmp_path, capsys)
    assert said.count("printed by") == 2
    assert "printed by definition:\n  | sizes (3, 2) (3, 3)\nprinted by nan:\n  | nan\n" in said


# ---- nothing of the checker's own
FORMS = [
    ("a1", "class Sigmoid(Sigmoid):\n    def backward(self, *of): return 'text'", "dx of Sigmoid.backward is a str"),
    ("a1", "class Sigmoid(Sigmoid):\n    def backward(self, *of): pass", "Sigmoid.backward returned None"),
    ("a1", "class MatMul(MatMul):\n    def backward(self, grad, *of): return grad, grad, grad",
     "returns 3 gradients for 2 operands: return da, db"),
    ("a1", "Mean = None", "there is no Mean.forward"),
    ("a1", "def unbroadcast(grad, shape): return None", "unbroadcast(grad, (2,)) is None: is `return` missing?"),
    ("a2", "def topological_order(out): return 3", "returns an int; it must be a list of nodes"),
    ("a2", "def backward(out): out.grad = None", "it must be a number"),
    ("a3", "def rnn_backward(*of): return []", "rnn_backward returned a list; a dict is wanted"),
    ("a3", "def rnn_step_forward(x): return x", "rnn_step_forward takes (x); it must take (x, h_prev, W, U, b)"),
    ("a3", "def rnn_forward(W, x, h0, U, b): return x", "it must take (x, h0, W, U, b)"),
    ("a3", "def lstm_forward(*of): return dict(h=[[1]])", "lstm_forward returned no 'i'"),
    ("a4", "def unroll(edges, T): return 3", "unroll returns an int; it must be a list of pairs"),
    ("a4", "def unroll(edges, T): return [('h', 1)]", "it must be a list of pairs ((source, step), (target, step))"),
    ("a4", "def initial_copies(edges, T): return {1: 2}", "initial_copies returns a dict"),
    ("a4", "def order_in_a_step(edges): return None", "order_in_a_step returned None: is `return` missing?"),
    ("a5", "def chunk_loss(*of): return 1.0, 2.0", "returns a float as the loss; it must be a Tensor"),
    ("a5", "def chunk_loss(*of): return None", "chunk_loss returned None: is `return` missing?"),
    ("a5", "def truncated_gradients(*of): return None", "truncated_gradients returned None: is `return` missing?"),
    ("a6", "def definition(W, U, V): pass", "definition returned None: is `return` missing?"),
    ("a6", "def definition(W, U, V): return 3", "definition returns an int; it must be the definition: return cell"),
    ("a6", "def unrolled_edges(): return None", "unrolled_edges returned None: is `return` missing?"),
    ("a6", "def unrolled_edges(): return 'h[1] y[1]'", "returns a str; it must be a list of pairs of names"),
    ("a6", "def nan(): return 3, np.tanh", "nan returns an ufunc among the others; it must be the number of a step"),
    ("a6", "def repair(): return {'s': 'p'}", "repair returns a dict; it must be two names of signals"),
    ("a6", "def contributions(): return 4", "contributions returns an int; it must be a time step and a norm"),
    ("a5", "def train(*of): return 3", "train returned an int; it must be a list with the loss of every chunk")]


@pytest.mark.parametrize("name, code, said", FORMS)
def test_a_result_of_another_form_is_named(name: str, code: str, said: str, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(name, code, tmp_path, capsys)
    assert said in shown and not INTERNALS.search(shown), shown


@pytest.mark.parametrize("code, said", [
    ("x = 1\n  y = 2", "the file raised IndentationError: unexpected indent at line"),
    ("x = (1", "the file raised SyntaxError: '(' was never closed at line"),
    ("if 1:\n\tx = 1\n        y = 2", "TabError: inconsistent use of tabs and spaces in indentation at line")])
def test_an_error_of_syntax_has_its_line_once(code: str, said: str, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    shown = report("a4", code, tmp_path, capsys)
    assert said in shown and "a4.py, line" not in shown, shown


@pytest.mark.parametrize("name, code", [
    ("a1", "class Multiply(Multiply):\n    def backward(self, *of): return np.ones((7, 7)), np.ones(3)"),
    ("a1", "class Softmax(Softmax):\n    def forward(self, x): return object()"),
    ("a3", "def rnn_forward(*of): return {}"), ("a3", "def lstm_backward(*of): return {'h': 'x', 'c': None}"),
    ("a4", "def count_paths(*of): return object()"), ("a5", "def train(*of): return [object()]"),
    ("a5", "def chunk_loss(x, target, h, p): return mg.Tensor([1.0]), h"),
    ("a5", "def truncated_gradients(*of): return dict.fromkeys('WUbV')"),
    ("a2", "def topological_order(out): return [1, 2]"), ("a4", "def unroll(edges, T): return [1]"),
    ("a4", "unroll = 3"), ("a1", "class MatMul(mg.Op): pass"),
    ("a6", "definition = 3"), ("a6", "def definition(W, U, V): return Cell('empty')"),
    ("a6", "def definition(W, U, V):\n    c = Cell('c')\n    for name in 'xehy': c.signal(name, 2)\n    return c"),
    ("a6", "_d = definition\ndef definition(*of):\n    c = _d(*of)\n    c.input('z', 2)\n    return c"),
    ("a6", "_d = definition\ndef definition(W, U, V): return _d(W, U.T @ V.T, V)"),
    ("a6", "def unrolled_edges(): return [[[[]]]]"), ("a6", "def delay_free_loop(): return [['p'], 1, None]"),
    ("a6", "def vanishing(): return object(), {}"), ("a6", "def contributions(): return float('nan'), float('inf')"),
    ("a6", "def repair(): return range(10**9)")])
def test_no_error_and_no_file_of_the_checkers_is_shown(name: str, code: str, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    shown = report(name, code, tmp_path, capsys)
    assert "FAIL" in shown and not INTERNALS.search(shown), shown


@pytest.mark.parametrize("code, said", [
    ("def f(:\n    pass", r"the file raised SyntaxError: invalid syntax at line \d+: `def f\(:`$"),
    ("class Multiply:\n    forward, backward = Multiply.forward, Multiply.backward", "not an object of Multiply$"),
    ("class Mean(Mean):\n    def backward(self, grad, out, x): return np.array([grad] * 3, object)",
     r"dx of Mean.backward is an object array; it must be an array of shape \(4, 3, 2\)$"),
    ("class Mean(Mean):\n    def forward(self, x): return x.mean(self.axis) + 0j",
     r"the result of Mean.forward is a complex128 array; it must be an array of shape \(4, 2\)$"),
    ("class Multiply(Multiply):\n    def backward(self, *of): return {'a': of[0], 'b': of[0]}",
     "Multiply.backward returns a dict; gradients are a tuple: return da, db$")])
def test_objects_and_errors_are_told_as_students_know_them(code: str, said: str, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    shown = report("a1", code, tmp_path, capsys)
    assert re.search(said, shown, re.M) and not re.search(r"0x[0-9a-f]{6}|, line \d+\)|student\.", shown), shown


# ---- one notation
def test_pictures_texts_and_messages_write_h_4(tmp_path: Path) -> None:
    d = cells.numbers(0)
    picture = of_run(cells.rnn(d), Finding("dL/dh[4] is wrong", edge=("h[4]", "z[5]"))).source
    texts = [picture, *(source(f"a{k}") for k in range(1, 6))]
    texts += [str(check.look) for part in parts("a3") for check in part.checks]
    assert "h[4]" in picture
    assert not [text for text in texts if re.search(r"\b[hzcx]\((?:\d|t)\)", text)]
