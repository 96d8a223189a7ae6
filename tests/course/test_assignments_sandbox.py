"""The course kit's edges: files that misbehave, what graders read, handouts, the autograder's bundle."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.assignments import bundle, check, make
from examples.assignments.check import main as run_check
from examples.assignments.check import parts
from examples.assignments.grading import Answers, Finding, SecondCall, Unanswered, Unmodified, done, read
from examples.assignments.make import source, stub
from examples.assignments.mutants.a3 import MUTANTS
from examples.assignments.sandbox import ROOT, Answer, Job, Ran, run

PROBES = '''
CALLS = {"f": lambda student, d: {"out": student.f(d["x"])}, "g": lambda student, d: {"out": student.g(d["x"])}}
NUMERIC = {}
'''
limited = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Ask one file for f and g of x, in a process of its own with half a second for each."""
    probes = tmp_path / "probes.py"
    probes.write_text(PROBES)
    job = Job(probes, ["f", "g"], {"x": np.ones(3)}, ["f", "g"], ["minigrad"], seconds=0.5)

    def answers(text: str) -> Ran:
        return run(job, {"file.py": text + "\ndef g(x):\n    return 2 * x\n"})["file.py"]
    return answers


def cause(ran: Ran, question: str = "f") -> str:
    with pytest.raises(Unanswered) as raised:
        Answers(ran.answers).get(question)
    return raised.value.finding.cause


def right(ran: Ran) -> bool:
    """Whether g was answered all the same."""
    return ran.answers["g"].values["out"].tolist() == [2, 2, 2]


# ---- files that misbehave
def test_a_process_that_ends_itself_costs_one_answer(ask: Any) -> None:
    ran = ask("import os\ndef f(x):\n    os._exit(0)")
    assert cause(ran) == "f ended the process (exit code 0); a function returns its results, it doesn't exit"
    assert right(ran)


@limited
def test_a_crash_costs_one_answer(ask: Any) -> None:
    ran = ask("import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGSEGV)")
    assert "f ended the process: Segmentation fault" in cause(ran) and right(ran)


@limited
def test_an_endless_loop_is_stopped_and_its_line_named(ask: Any) -> None:
    ran = ask("def f(x):\n    while True:\n        x = x + 0")
    assert "f did not end in 0.5 s at line" in cause(ran) and "is there an endless loop" in cause(ran)
    assert right(ran)


def test_an_endless_loop_that_catches_everything_is_killed(ask: Any) -> None:
    begun = time.monotonic()
    ran = ask("def f(x):\n    while True:\n        try:\n            while True:\n                pass\n"
              "        except BaseException:\n            pass")
    assert "f did not end within 0.5 s and was stopped" in cause(ran) and right(ran)
    assert time.monotonic() - begun < 60


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such limit, or refuse it")
def test_memory_is_limited(ask: Any) -> None:
    ran = ask("import numpy as np\ndef f(x):\n    return np.zeros((3 << 30) // 8)")
    assert "f raised MemoryError" in cause(ran) and right(ran)


@limited
def test_a_flood_of_prints_is_stopped_and_little_of_it_shown(ask: Any) -> None:
    ran = ask("def f(x):\n    while True:\n        print('x' * 1000)")
    assert "(too much was printed)" in cause(ran) and right(ran)
    assert all(len(text) <= 2000 for text in ran.printed.values())


def test_a_patched_numpy_earns_nothing(tmp_path: Path) -> None:
    file = tmp_path / "patched.py"
    patched = ("import numpy as np\nfor name in ('allclose', 'array_equal', 'isclose', 'may_share_memory'):\n"
               "    setattr(np, name, lambda *a, **k: True)\nnp.abs = lambda x: 0 * x\n")
    file.write_text(patched + "def topological_order(out):\n    return []\ndef backward(out):\n    pass\n"
                    "class Node:\n    grad = 0\n    def __init__(self, *a):\n        self.name = a[-1]\n")
    [result] = check.check("a2", file)
    assert sum(outcome.score for outcome in result.outcomes) == 0


def test_what_is_no_number_is_data_and_never_unpickled(ask: Any) -> None:
    ran = ask("class Evil:\n    def __reduce__(self):\n        return print, ('here',)\ndef f(x):\n    return Evil()")
    assert ran.answers["f"].values["out"].type == "Evil" and ran.printed == {}
    assert "is an Evil; it must be an array" in str(_finding(ran))


def _finding(ran: Ran) -> str:
    with pytest.raises(Unanswered) as raised:
        Answers(ran.answers).array("f", "out", np.ones(3))
    return raised.value.finding.cause


def test_answers_that_a_file_forges_are_read_as_data_or_not_at_all(ask: Any) -> None:
    ran = ask("import os\nends = range(3, 20)\n"
              "def f(x):\n    for end in ends:\n        try:\n"
              "            os.write(end, b'{\"end\": 1, \"answer\": [1]}\\n[1\\n{\"begin\": 9}\\n\\xff\\n')\n"
              "        except OSError:\n            pass\n    return x")
    assert "left no readable answer" in cause(ran) and right(ran)


def test_results_of_any_form_are_a_finding_and_no_crash(tmp_path: Path) -> None:
    file = tmp_path / "a4.py"
    for result in ("None", "[1, 2]", "{'a': {}}", "[(('h', 1), ('h', 'x'))]", "3.5", "float('nan')", "'text'"):
        file.write_text(f"def unroll(edges, T):\n    return {result}\n"
                        f"def order_in_a_step(edges):\n    return {result}\n"
                        f"def initial_copies(edges, T):\n    return {result}\n"
                        f"def count_paths(edges, T, start, end):\n    return {result}\n")
        [done] = check.check("a4", file)
        assert sum(outcome.score for outcome in done.outcomes) == 0, result


def test_a_forged_answer_is_a_finding_and_no_crash() -> None:
    [part] = parts("a4")
    forged = {question: Answer({"found": 3, "given": 3, "signatures": 3, "raised": [], "5": {}})
              for question in ["import", *part.jobs[0].questions]}
    assert all(outcome.finding is not None for outcome in done(part.checks, Answers(forged)))


def test_a_file_that_cannot_be_run_is_told_once(ask: Any) -> None:
    ran = ask("def f(:")
    assert "the file raised SyntaxError" in cause(ran, "import") and cause(ran) == cause(ran, "import")


def test_modules_that_would_do_the_work_cannot_be_imported(ask: Any) -> None:
    ran = ask("import minigrad\ndef f(x):\n    return x")
    assert "(this assignment is to be done without it)" in cause(ran, "import")


# ---- no solution in the student's process
def test_the_project_is_not_there(ask: Any) -> None:
    ran = ask("import os, sys\ndef f(x):\n    print(sys.path, os.listdir('.'))\n    try:\n"
              "        import examples.assignments.a3_source\n    except ImportError:\n        return x\n"
              "    raise RuntimeError('there')")
    assert ran.answers["f"].error is None
    printed = "".join(ran.printed.values())
    assert str(ROOT) + "'" not in printed and "_source" not in printed


@pytest.mark.parametrize("name", ["a1", "a3"])
def test_forward_is_asked_before_its_results_are_given_to_backward(name: str) -> None:
    for part in parts(name):
        first, *others = part.jobs
        for second in others:
            results = set(second.data) - set(first.data)
            assert results and not any("forward" in question for question in second.questions)


def rows(value: Any) -> set[bytes]:
    """The bytes of an array and of its rows, of those that are no single number and not all zero."""
    some = [value, *(value if value.ndim > 1 else [])] if isinstance(value, np.ndarray) else []
    return {np.ascontiguousarray(x).tobytes() for x in some if x.size > 1 and x.any()}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("name", ["a1", "a3", "a5"])
def test_no_right_result_is_given_before_its_function_is_asked(name: str, hidden: bool) -> None:
    solution = importlib.import_module(f"examples.assignments.{name}_source")
    probes = importlib.import_module(f"examples.assignments.probes.{name}")
    inputs = importlib.import_module(f"examples.assignments.graphs.{name}")
    jobs = [job for part in parts(name, 3, hidden) for job in part.jobs]
    given: set[str] = set(inputs.numbers(3))
    checked = 0
    for at, job in enumerate(jobs):
        for question in job.questions:
            if question in probes.NUMERIC:
                continue
            right = {row for x in probes.CALLS[question](solution, dict(job.data)).values() for row in rows(x)}
            for earlier in jobs[:at + 1]:
                known = {key: rows(x) for key, x in earlier.data.items()
                         if key.rpartition(" ")[2] not in given}  # "zeros dhs" is an input, as dhs is
                assert not [key for key, some in known.items() if some & right], (question, earlier.questions)
            checked += bool(right)
    assert checked


def test_the_hidden_network_is_in_no_visible_job() -> None:
    assert not [name for part in parts("a4") for job in part.jobs for name in [*job.data, *job.questions]
                if "skips" in name]


def test_messages_hold_no_line_of_the_solution() -> None:
    solution, handout = source("a3"), stub(source("a3"))
    secret = {line.strip() for line in solution.splitlines() if len(line.strip()) > 25} - {
        line.strip() for line in handout.splitlines()}
    assert len(secret) > 20
    files = {f"{one.name}.py": one.of(solution) for one in MUTANTS[:6]}
    for result in check.checked(parts("a3")[0], files, 0).values():
        said = " ".join(o.finding.cause + o.finding.where for o in result.outcomes if o.finding is not None)
        assert not [line for line in secret if line in said]


# ---- what is done to inputs
def test_a_write_into_an_input_is_named_with_its_line(ask: Any) -> None:
    ran = ask("def f(x):\n    x += 1\n    return x * 1.0")
    finding = Unmodified(["f"], nothing)(Answers(ran.answers))
    assert finding is not None and finding.cause == "f changes the caller's array x at line 2: `x += 1`: work on a copy"
    assert ran.answers["f"].values["out"].tolist() == [2, 2, 2]  # it goes on with a copy that may be written


def test_a_result_that_is_the_callers_memory_is_named(ask: Any) -> None:
    finding = Unmodified(["f"], nothing)(Answers(ask("def f(x):\n    return x[:2]").answers))
    assert finding is not None and "is the caller's own array x" in finding.cause


def test_a_second_call_that_differs_is_named(ask: Any) -> None:
    ran = ask("kept = 0\ndef f(x):\n    global kept\n    kept = kept + x\n    return kept.copy()")
    finding = SecondCall(["f"], nothing)(Answers(ran.answers))
    assert finding is not None and "exactly twice the first" in finding.cause


def nothing(answers: Answers) -> Finding | None:
    return None


# ---- graders
@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "a2.py"
    file.write_text(source("a2").replace("x.grad += node", "x.grad = node"))
    return file


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run_check([*arguments, "--no-pictures", *(["--unsafe"] if "--json" in arguments or "--hidden" in arguments
                                              or "--withheld" in arguments else [])])
    return capsys.readouterr().out


def test_gradescope_reads_its_results(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads(report(capsys, "a2", str(wrong), "--json", "gradescope", "--hidden"))
    tests = results["tests"]
    assert all({"name", "score", "max_score", "status", "output", "visibility"} == set(test) for test in tests)
    failed = next(test for test in tests if test["name"] == "gradients: a small graph")
    assert failed["status"] == "failed" and failed["score"] == 0 < failed["max_score"]
    assert failed["output"].startswith("the gradient of g is wrong") and "minigrad.debugger" in failed["output"]
    assert {test["visibility"] for test in tests if test["name"].startswith("other numbers")} == {"after_published"}
    assert failed["visibility"] == "visible"


def test_autolab_reads_the_last_line(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = report(capsys, "a2", str(wrong), "--json", "autolab")
    earned, possible = re.findall(r"^(\S+) of (\S+) points$", out, flags=re.M)[0]
    assert json.loads(out.strip().splitlines()[-1]) == {"scores": {"total": float(earned)}} and earned != possible


def test_otter_reads_results_by_test(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads(report(capsys, "a2", str(wrong), "--json", "otter"))
    one = results["gradients: a small graph"]
    assert one["score"] == 0 < one["possible"] and not one["test_case_results"][0]["passed"]
    assert set(one) == {"score", "possible", "name", "path", "test_cases", "all_or_nothing", "test_case_results"}


def test_hidden_checks_are_for_those_who_ask(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, hidden, withheld = (report(capsys, "a2", str(wrong), *option) for option
                               in ([], ["--hidden"], ["--withheld"]))
    assert "other numbers" not in plain
    assert "other numbers" in hidden and "shown when the teacher releases it" not in hidden
    assert "shown when the teacher releases it" in withheld
    assert withheld.splitlines()[-1] == hidden.splitlines()[-1]


@pytest.mark.parametrize("options, shown", [
    (["--withheld"], False), (["--withheld", "--json", "autolab"], False), (["--hidden", "--json", "autolab"], False),
    (["--hidden", "--json", "gradescope"], False), (["--withheld", "--json", "otter"], False), (["--hidden"], True)])
def test_what_is_printed_in_hidden_runs_is_the_teachers(tmp_path: Path, options: list[str], shown: bool,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a3.py"
    file.write_text(source("a3") + """
_forward = rnn_forward
def rnn_forward(x, h0, W, U, b):
    if len(x) == 6:
        print("the hidden inputs")
    return _forward(x, h0, W, U, b)
""")
    assert ("the hidden inputs" in report(capsys, "a3", str(file), *options)) == shown


def test_the_same_file_gets_the_same_report(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = ("a2", str(wrong), "--hidden", "--seed", "7")
    assert report(capsys, *hidden) == report(capsys, *hidden)


def test_a_folder_is_searched_and_what_cannot_be_read_is_said(tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(["a2", str(tmp_path / "nothing.py")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert run_check(["a2", str(tmp_path), "--json", "gradescope"]) == 2
    assert json.loads(capsys.readouterr().out)["score"] == 0
    (tmp_path / "a2.ipynb").write_text("no notebook")
    assert run_check(["a2", str(tmp_path)]) == 2 and "a2.ipynb can't be read" in capsys.readouterr().err


# ---- handouts
def test_a_stub_has_no_solution_and_says_where_to_write() -> None:
    for name in check.NAMES:
        text = stub(source(name))
        compile(text, name, "exec")
        assert "SOLUTION" not in text and text.count("raise NotImplementedError\n") == source(name).count("BEGIN SOL")


@pytest.mark.parametrize("text, said", [
    ("### BEGIN SOLUTION\n", "line 1: a solution begins and never ends"),
    ("x\n### END SOLUTION\n", "line 2: a solution ends that has not begun"),
    ("# BEGIN SOLUTION\n### BEGIN SOLUTION\n", "line 2: a solution begins inside the one of line 1")])
def test_solution_regions_that_do_not_match_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stub(text)


def test_a_notebook_is_valid_and_is_checked_as_a_file_is(tmp_path: Path) -> None:
    assert make.main(["a2", str(tmp_path), "--notebook", "--solution"]) == 0
    path = tmp_path / "a2_solution.ipynb"
    book = json.loads(path.read_text(encoding="utf-8"))
    nbformat = pytest.importorskip("nbformat") if shutil.which("jupyter") else None
    if nbformat is not None:
        nbformat.validate(book)
    assert [cell["cell_type"] for cell in book["cells"][:4]] == ["markdown", "markdown", "code", "code"]
    assert book["cells"][0]["source"][0] == "# Assignment 2: topological order and the backward pass\n"
    book["cells"].append({"cell_type": "code", "source": ["%matplotlib inline\n", "!ls\n"]})
    path.write_text(json.dumps(book), encoding="utf-8")
    compile(read(path), "notebook", "exec")
    [result] = check.check("a2", path)
    assert all(outcome.finding is None for outcome in result.outcomes)


def test_a_students_work_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make.main(["a1", str(tmp_path)]) == 0
    (tmp_path / "a1.py").write_text("mine")
    assert make.main(["a1", str(tmp_path)]) == 1 and (tmp_path / "a1.py").read_text() == "mine"
    assert "it is not overwritten" in capsys.readouterr().err


# ---- the bundle
def test_the_bundle_is_complete_and_always_the_same(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        assert bundle.main(["a2", "--seed", "7", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert {"setup.sh", "run_autograder", "minigrad/tensor.py", "examples/assignments/a2_source.py"} <= set(names)
    teachers = ("mutants", "make.py", "a3_source", "__pycache__")
    assert not [name for name in names if any(word in name for word in teachers)]


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="Gradescope's scripts need bash")
def test_the_bundle_runs_as_gradescope_runs_it(tmp_path: Path) -> None:
    bundle.write("a2", tmp_path / "a2.zip", 7, unsafe=True)
    base = tmp_path / "autograder"
    for folder in ("source", "submission", "bin"):
        (base / folder).mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "a2.zip") as archive:
        archive.extractall(base / "source")
    (base / "submission" / "a2.py").write_text(source("a2").replace("out.grad = 1.0", "out.grad = 2.0"))
    (base / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (base / "bin" / "python3").chmod(0o755)
    environment = {**os.environ, "AUTOGRADER": str(base), "PATH": f"{base / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", str(base / "source" / "run_autograder")], env=environment, check=True, timeout=120)
    results = json.loads((base / "results" / "results.json").read_text(encoding="utf-8"))
    scores = {test["name"]: test["score"] for test in results["tests"]}
    assert scores["order: a small graph"] > scores["gradients: a small graph"] == 0
    assert scores["other numbers: gradients: a small graph"] == 0


def test_the_students_kit_checks_and_shows_no_solution(tmp_path: Path) -> None:
    assert bundle.main(["a2", "--students", "--out", str(tmp_path / "kit.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        archive.extractall(tmp_path / "kit")
    kit = tmp_path / "kit" / "a2_kit"
    texts = [path.read_text(encoding="utf-8") for path in kit.rglob("*") if path.suffix in (".py", ".ipynb")]
    assert not any("x.grad += node.grad * slope" in text for text in texts)
    (kit / "mine.py").write_text(source("a2"))
    most = sum(check.points for part in parts("a2") for check in part.checks)
    command = [sys.executable, "-m", "examples.assignments.check", "a2"]
    for file, earned in (("a2.py", "0"), ("a2.ipynb", "0"), ("mine.py", most)):
        done = subprocess.run([*command, file], cwd=kit, capture_output=True, text=True, encoding="utf-8", timeout=120)
        assert done.stdout.splitlines()[-1] == f"{earned} of {most} points", done.stderr
