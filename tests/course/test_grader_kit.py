"""The students' kit: no solution, no list of mistakes, no hidden check; and every report as the teacher's."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.assignments import bundle, kit, naming
from examples.assignments.check import NAMES, parts
from examples.assignments.comparisons.a4 import listing
from examples.assignments.grading import Answers, done
from examples.assignments.make import source, stub
from examples.assignments.naming import Candidate
from examples.assignments.sandbox import ROOT, Answer, run

FEW = {"a1": ("sigmoid_half_derivative", "mean_is_sum"), "a2": ("assigned", "leaves_missing"),
       "a3": ("truncated", "mean_bias", "gate_order", "dc_without_h", "float32"),
       "a4": ("delay_always_one", "paths_found_not_counted"), "a5": ("not_detached", "train_upwards"),
       "a6": ("memory_of_one", "no_tanh", "no_initial", "one_missing", "loop_turned", "nan_beside", "row")}


@cache
def archive(name: str, folder: str = "") -> dict[str, bytes]:
    """The files of a kit."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "kit.zip"
        bundle.write_students(name, path)
        with zipfile.ZipFile(path) as opened:
            assert {one.partition("/")[0] for one in opened.namelist()} == {f"{name}_kit"}  # one folder, nothing beside
            return {one.partition("/")[2]: opened.read(one) for one in opened.namelist()}


def unpacked(name: str, folder: Path) -> Path:
    for path, content in archive(name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def answers(name: str, files: dict[str, str]) -> list[dict[str, dict[str, Answer]]]:
    """For each part, what each file answers."""
    found = []
    for part in parts(name):
        by_file: dict[str, dict[str, Answer]] = {}
        for job in part.jobs:
            for file, ran in run(job, files).items():
                by_file.setdefault(file, {}).update({question: one for question, one in ran.answers.items()
                                                     if question != "import" or question not in by_file.get(file, {})})
        found.append(by_file)
    return found


def mutants(name: str, few: bool) -> dict[str, str]:
    table = importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS
    chosen = [one for one in table if not few or one.name in FEW[name]]
    assert not few or len(chosen) == len(FEW[name])
    return {f"{one.name}.py": one.of(source(name)) for one in chosen}


def assert_same(name: str, few: bool) -> None:
    full, thin = parts(name), kit._object(json.loads(kit.text(name, parts(name))), name)
    files = {"solution.py": source(name), "stub.py": stub(source(name)), **mutants(name, few)}
    for mine, theirs, by_file in zip(full, thin, answers(name, files)):
        assert [check.name for check in mine.checks] == [check.name for check in theirs.checks]
        for file, answered in by_file.items():
            first, second = (done(part.checks, Answers(answered)) for part in (mine, theirs))
            assert [one.finding for one in first] == [one.finding for one in second], file
            assert file != "solution.py" or all(one.finding is None for one in second)


@pytest.mark.parametrize("name", ["a3", "a4", "a6"])
def test_a_kit_finds_what_the_teachers_checker_finds(name: str) -> None:
    assert_same(name, few=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_kit_names_every_mistake_as_the_teachers_checker_does(name: str) -> None:
    assert_same(name, few=False)


@pytest.mark.slow
def test_a_kit_prints_the_same_report(tmp_path: Path) -> None:
    folder = unpacked("a3", tmp_path / "kit")
    (folder / "mine.py").write_text(mutants("a3", True)["truncated.py"])
    shown = []
    for place in (folder, ROOT):
        command = [sys.executable, "-m", "examples.assignments.check", "a3", str(folder / "mine.py"), "--no-pictures"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=100, encoding="utf-8",
                              env={**os.environ, "PYTHONPATH": str(place), "PYTHONIOENCODING": "utf-8"})
        shown.append(done.stdout)
        assert done.returncode == 1, done.stderr
    assert shown[0] == shown[1] and "cut after 3 steps" in shown[0]
    assert re.search(r"\d+ of \d+ points$", shown[0].strip())


# ---- what isn't in it
def code(text: str) -> set[str]:
    """The lines of a file's code that say something."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) > 22 and not line.strip().startswith("#")}


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_the_solution_is_in_the_kit(name: str) -> None:
    handout = stub(source(name))
    secret = {line for line in code(source(name)) if line not in handout}
    assert secret
    course = {path: content.decode() for path, content in archive(name).items()
              if path.startswith("examples/") or path.count("/") == 0}
    for path, text in course.items():
        assert not [line for line in secret if line in text], path
    assert not [path for path in course if "_source" in path]


@pytest.mark.parametrize("name", NAMES)
def test_no_function_of_the_kit_is_the_solution(name: str) -> None:
    """No function that the students write is defined or imported anywhere in it."""
    text = source(name)
    wanted = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
              and "### BEGIN" in (ast.get_source_segment(text, node) or "")}
    assert wanted
    for path, content in archive(name).items():
        if path.startswith("examples/assignments/") and path.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in wanted:
                    arguments = [one.arg for one in node.args.args] if isinstance(node, ast.FunctionDef) else []
                    assert arguments[:1] == ["student"] or (path.endswith(f"probes/{name}.py") and not arguments) or \
                        (isinstance(node, ast.FunctionDef) and arguments[-1:] == ["d"]), (path, node.name)
                assert not (isinstance(node, ast.ImportFrom) and "_source" in (node.module or "")), path


@pytest.mark.parametrize("name", NAMES)
def test_no_list_of_mistakes_and_nothing_of_the_teachers_is_in_the_kit(name: str) -> None:
    files = archive(name)
    texts = {path: content.decode() for path, content in files.items() if path.startswith("examples/assignments/")}
    for path in files:
        assert not re.search(r"mutants|checks/|teacher|make\.py|bundle|isolation|sweep|enter\.sh|assignments/README",
                             path), path
        other = re.search(r"a(\d)(_source)?\.(py|json)$", path)
        assert not other or path.startswith("examples/pictures") or other.group(1) == name[1], path
    assert not [path for path, text in texts.items() if "--hidden" in text or "--withheld" in text or "--seed" in text]
    mistakes = {said for one in importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS
                for said in one.said if len(said) > 12}
    data = texts[f"examples/assignments/kit_data/{name}.json"]
    formulas = {"(1 - h**2)", "dz @ U.T", "but should be", "belongs", "is missing"}
    assert mistakes and not [words for words in (*mistakes, *formulas) if words in data]


def test_a_kit_has_the_pages_that_its_text_names() -> None:
    files = archive("a6")
    pages = set(re.findall(r"docs/\w+\.md", files["a6.py"].decode()))
    assert len(pages) >= 2 and pages <= {*files} and not [path for path in archive("a2") if path.startswith("docs/")]


def test_a_kit_has_no_hidden_checks(tmp_path: Path) -> None:
    folder = unpacked("a2", tmp_path)
    options = ["--hidden", "--withheld", "--seed=3", "--json=otter"]
    done = subprocess.run([sys.executable, "-m", "examples.assignments.check", "a2", "a2.py", *options], cwd=folder,
                          capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(folder)})
    assert done.returncode == 2 and f"unrecognized arguments: {' '.join(options)}" in done.stderr
    assert "not isolated" not in (folder / "README.md").read_text() and "a2.py" in (folder / "README.md").read_text()


def test_the_hidden_network_is_not_in_the_kit() -> None:
    edges = re.compile(r"""["']q["'], ["']s["'], 0""")
    assert edges.search((ROOT / "examples/assignments/checks/a4.py").read_text())
    assert not [path for path, content in archive("a4").items() if edges.search(content.decode("utf-8", "replace"))]


# ---- sealed mistakes
@pytest.mark.parametrize("gives", [np.arange(6.0).reshape(2, 3) / 7, np.array(0.25), np.array([-1e-12, 0.0, 1.0]),
                                   [["h", 1], ["x", 2]], [1, 2, 3]])
def test_a_sealed_mistake_opens_with_its_numbers_alone(gives: object) -> None:
    sealed = naming.seal(Candidate("the mistake", gives, ("a", "b"), (("c", "d"),)))
    assert sealed is not None and "mistake" not in repr(sealed)
    hit = sealed.fits(gives)
    assert hit is not None and (hit.mistake, hit.edge, hit.more) == ("the mistake", ("a", "b"), (("c", "d"),))
    assert sealed.fits(gives * 1.000001 + 1e-6 if isinstance(gives, np.ndarray) else gives[:-1]) is None  # type: ignore
    assert sealed.fits(gives.reshape(1, *gives.shape) if isinstance(gives, np.ndarray) else [gives]) is None


def test_a_sealed_mistake_opens_in_spite_of_rounding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        gives = np.round(rng.normal(size=50), rng.integers(1, 12))
        sealed = naming.seal(Candidate("it", gives))
        assert sealed is not None and sealed.fits(gives * (1 + 1e-15 * rng.normal(size=50))) is not None


def pairs(look: Any) -> Iterator[tuple[Any, Any]]:
    """Each known mistake of a check, and the right result of the same question."""
    kind = type(look).__name__
    if kind == "InTurn":
        yield from (pair for one in look.looks for pair in pairs(one))
    elif kind == "Forward":
        yield from ((one, look.right[name][t]) for t, by_name in enumerate(look.mistakes)
                    for name, some in by_name.items() for one in some)
    elif kind == "ThroughTime":
        yield from ((one, look.right[state][t - 1] if t else look.right[f"{state}0"])
                    for state, steps in look.arriving.items() for t, some in enumerate(steps) for one in some)
    elif kind == "Gradients" and hasattr(look, "sums"):
        yield from ((one, look.right["x"][t]) for t, some in enumerate(look.inputs) for one in some)
        yield from ((one, look.right[name]) for name, some in look.sums.items() for one in some)
    elif kind == "Structure":
        yield from ((one, listing(look.right)) for one in look.mistakes)
    elif kind == "Reads":  # the right ones are sealed too
        yield from ((one, look.right[name][0].gives) for name, some in look.mistakes.items() for one in some)
    elif kind == "Unrolled":
        every = sorted(edge for [right] in look.right.values() for edge in right.gives)
        yield from ((one, every) for one in look.mistakes)
    elif isinstance(getattr(look, "mistakes", None), dict):
        yield from ((one, look.right[name]) for name, some in look.mistakes.items() for one in some)
    else:
        yield from ((one, look.right) for one in getattr(look, "mistakes", []))


@pytest.mark.parametrize("name", NAMES)
def test_no_mistake_is_sealed_with_its_right_result(name: str) -> None:
    found = [(one, right) for part in parts(name) for check in part.checks for one, right in pairs(check.look)]
    assert found or name == "a2"
    for one, right in found:
        assert one.gives != right if isinstance(right, list) else not naming.same(one.gives, right), one.mistake


def test_numbers_of_paths_are_too_many_to_guess() -> None:
    """Each of many numbers of a key has several likely values."""
    looks: list[Any] = [check.look for part in parts("a4") for check in part.checks if check.name.startswith("paths")]
    assert looks and all(len(look.right) >= 40 and len(set(look.right)) >= 5 for look in looks)
    assert all(sum(count > 0 for count in look.right) >= 24 for look in looks)


@pytest.mark.parametrize("gives, rounds", [([1, 2], 100_000), (np.array(0.5), 100_000), (np.ones(50), 10_000)])
def test_a_key_is_derived_slowly(gives: Any, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    derive = hashlib.pbkdf2_hmac
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", lambda *of: (asked.append(of[3]), derive(*of))[1])
    naming._derived.cache_clear()
    keys = {naming.key_of(gives, grid) for grid in (0.5, 0.5)}
    assert asked == [rounds] and keys.isdisjoint({b""})


def test_numbers_that_are_not_finite_are_never_sealed() -> None:
    assert naming.seal(Candidate("it", np.array([1.0, np.nan]))) is None
    sealed = naming.seal(Candidate("it", np.array([1.0])))
    assert sealed is not None and sealed.fits(np.array([np.nan])) is None and sealed.fits(None) is None
    assert sealed.fits(np.array(["x"])) is None


def test_what_is_no_data_cannot_be_in_a_kit() -> None:
    with pytest.raises(TypeError, match="can't be in a kit"):
        kit._plain(lambda: None, "a1")
    with pytest.raises(TypeError, match="must be text"):
        kit._plain({1: 2}, "a1")
