"""A hostile submission in Gradescope's folders, and the teacher's report about isolation."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.assignments import bundle, check, sandbox, teacher
from examples.assignments.check import main as run_check
from examples.assignments.grading import Settings, Unreadable
from examples.assignments.make import source

pytestmark = pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="needs bash")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
linux = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")
SEED = 918_273_645
BARE = ("bash", "sh", "mkdir", "chmod", "mv", "cat")  # no bwrap, no unshare: as in Gradescope's container


class Autograder:
    """The folders of Gradescope, and one submission."""

    def __init__(self, base: Path, unsafe: bool = False, bare: bool = False) -> None:
        self.base, self.results = base, base / "results" / "results.json"
        base.chmod(0o755)
        for name in ("source", "submission", "bin"):
            (base / name).mkdir()
        bundle.write("a2", base / "autograder.zip", SEED, unsafe)
        with zipfile.ZipFile(base / "autograder.zip") as archive:
            archive.extractall(base / "source")
        os.unlink(base / "autograder.zip")
        shutil.copy(base / "source" / "run_autograder", base)  # Gradescope has a copy of it there
        closing = [line for line in bundle.SETUP.splitlines() if line.startswith("chmod")]
        self.environment = {**os.environ, "AUTOGRADER": str(base), "OF_THE_GRADER": str(SEED)}
        subprocess.run(["bash", "-c", f'base="{base}"\n' + "\n".join(closing)], check=True)
        (base / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (base / "bin" / "python3").chmod(0o755)
        for program in BARE if bare else ():
            (base / "bin" / program).symlink_to(shutil.which(program) or "")
        path = [str(base / "bin"), *([] if bare else [os.environ["PATH"]])]
        self.environment["PATH"] = os.pathsep.join(path)

    def run(self, text: str) -> dict[str, Any]:
        """Grade a submission."""
        (self.base / "submission" / "a2.py").write_text(text)
        subprocess.run([shutil.which("bash") or "bash", str(self.base / "run_autograder")], env=self.environment,
                       check=True, timeout=200)
        results: dict[str, Any] = json.loads(self.results.read_text())
        return results

    @property
    def errors(self) -> str:
        return (self.base / "results" / "errors.txt").read_text()


@pytest.fixture
def base() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="autograder_"))  # not in tmp_path, which is closed to others
    yield folder
    shutil.rmtree(folder)


def score(results: dict[str, Any]) -> float:
    return float(results["score"] if "score" in results else sum(test["score"] for test in results["tests"]))


HOSTILE = '''
import glob, json, os, subprocess, sys
base = {base!r}
found = {{}}
def note(what, value):
    if value:
        found[what] = str(value)[:300]
for path in ("/source/examples/assignments/a2_source.py", "/source/hidden_seed", "/run_autograder",
             "/source/examples/assignments/checks/a2.py", "/submission/a2.py", "/results/errors.txt"):
    try:
        note(path, open(base + path).read())
    except OSError:
        pass
    for name in ("note", "printed", "answers", "now", "job.json", "zlink" + path.replace("/", "_")):
        try:
            if os.path.lexists(name):
                os.unlink(name)
            os.symlink(base + path, name)
        except OSError:
            pass
for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
    try:
        text = open(path, "rb").read()
        note(path, {seed!r}.encode() in text and text)
    except OSError:
        pass
for path in (base + "/results/results.json", base + "/source/a2.py"):
    try:
        open(path, "w").write("forged")
        note("wrote " + path, "yes")
    except OSError:
        pass
CODE = """import json, os, time
os.setsid()
if os.fork():
    os._exit(0)
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        os.stat('{base}/results/results.json')
        os.unlink('{base}/results/results.json')
        open('{base}/results/results.json', 'w').write(json.dumps(dict(score=32, output='owned')))
    except OSError:
        time.sleep(0.01)
"""
subprocess.Popen([sys.executable, "-S", "-c", CODE, "hostile-" + os.path.basename(base)])
try:
    exec(open(base + "/source/examples/assignments/a2_source.py").read())
    note("the solution", "run")
except OSError:
    pass
class Node:
    def __init__(self, value, inputs=(), local=(), name=""):
        self.value, self.inputs, self.local, self.name = value, tuple(inputs), tuple(local), name
        self.grad = 0.0
def topological_order(out):
    {then}
    raise RuntimeError("found " + json.dumps(found))
def backward(out):
    raise RuntimeError("found " + json.dumps(found))
'''


def readable() -> bool:
    """Whether another user can run this Python, with nothing but its rights."""
    if not ROOT or sys.platform != "linux":
        return False
    from examples.assignments import isolation

    reason = isolation.tried(isolation.Isolated("another user", *isolation.account(None)))
    return not reason or "chmod -R" in reason


@linux
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("then", ["", pytest.param("os._exit(1)", marks=pytest.mark.slow)])
def test_a_hostile_submission_gets_nothing(base: Path, bare: bool, then: str) -> None:
    """course A1, 1-4, and what held: in Gradescope's folders, with a daemon that waits for the results."""
    if bare and not readable():
        pytest.skip("another user can't run this Python, or only root could choose one")
    autograder = Autograder(base, bare=bare)
    secrets = [base / "source" / "hidden_seed", base / "source" / "examples" / "assignments" / "a2_source.py"]
    before = [(path.stat().st_uid, path.stat().st_mode, path.read_text()) for path in secrets]
    results = autograder.run(HOSTILE.format(base=str(base), seed=str(SEED), then=then or "pass"))
    if "not graded" in str(results.get("output")):
        pytest.skip(f"no isolation here: {autograder.errors}")
    assert "isolated by" in results["output"].splitlines()[0]
    assert results["extra_data"]["isolation"].startswith("isolated by another user" if bare else "isolated by")
    assert score(results) == 0 and "x.grad +=" not in json.dumps(results)
    told = [test["output"] for test in results["tests"] if "RuntimeError" in test["output"]]
    assert [text for text in told if "found {}" not in text] == [] and (told or then)
    time.sleep(0.2)
    assert json.loads(autograder.results.read_text()) == results
    assert before == [(path.stat().st_uid, path.stat().st_mode, path.read_text()) for path in secrets]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert f"hostile-{base.name}" not in path.read_text()
        except OSError:
            continue
    assert stat.S_IMODE(base.stat().st_mode) & 0o077 == 0


@linux
@pytest.mark.parametrize("unsafe", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_where_a_file_cannot_be_isolated_it_is_not_run_unless_asked(base: Path, unsafe: bool) -> None:
    """course A3: as root, a file ran with root's rights where nobody could not run Python; and not a word."""
    if readable():
        pytest.skip("this Python can be run by another user, so the file is isolated")
    autograder = Autograder(base, unsafe=unsafe, bare=True)
    results = autograder.run(source("a2") + f"\nopen({str(base / 'ran')!r}, 'w').close()\n")
    said = "only root can choose one" if not ROOT else "another user: its user can't read this Python"
    assert said in autograder.errors and "unshare: not installed" in autograder.errors
    assert (base / "ran").exists() == unsafe
    if unsafe:
        assert "(not isolated: the file has run with your rights)" in results["output"].splitlines()[0]
        told = [test for test in results["tests"] if test["name"] == "not isolated"]
        assert [test["visibility"] for test in told] == ["hidden"] and "For the teacher" in told[0]["output"]
        assert results["extra_data"]["isolation"].startswith("not isolated") and score(results) > 0
    else:
        assert score(results) == 0 and results["output"].startswith("not graded: the file would have to run without")


@linux
@pytest.mark.skipif(not ROOT, reason="only root can choose a user")
def test_users_that_are_not_the_students_alone_are_refused() -> None:
    from examples.assignments import isolation

    for user, said in (("root", "root can't be"), ("no such user", "there is no user")):
        with pytest.raises(sandbox.Refused, match=said):
            isolation.account(user)
    nobody = subprocess.Popen(["sleep", "20"], user="nobody") if sys.version_info >= (3, 9) else None
    assert nobody is not None
    try:
        with pytest.raises(sandbox.Refused, match="has processes of its own"):
            isolation.account("nobody")
    finally:
        nobody.kill()
        nobody.wait()
    assert isolation.account("nobody")[0] not in (0, None)
    assert isolation.account(None)[0] in isolation.UIDS


# ---- messages, and when isolation is required
@pytest.fixture
def right(tmp_path: Path) -> Path:
    file = tmp_path / "a2.py"
    file.write_text(source("a2"))
    return file


def test_at_home_nothing_has_to_be_isolated_and_the_first_line_says_so(right: Path,
                                                                       capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(["a2", str(right), "--no-pictures"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == ("a2: topological order and the backward pass (not isolated: the file has run with your rights)")


@pytest.mark.parametrize("options", [["--json", "gradescope"], ["--json", "autolab"], ["--json", "otter"], ["--hidden"],
                                     ["--withheld"], ["--isolate"]])
def test_graders_formats_ask_for_isolation(right: Path, options: list[str], capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*given: object) -> None:
        raise sandbox.Refused("no way")

    monkeypatch.setattr("examples.assignments.teacher.choose", none)
    assert run_check(["a2", str(right), "--no-pictures", *options]) == 2
    shown = capsys.readouterr()
    assert "not graded" in shown.err and "no way" in shown.err and "--unsafe" in shown.err
    if options[-1] not in ("gradescope", "autolab", "otter"):
        return
    assert run_check(["a2", str(right), "--no-pictures", "--unsafe", *options]) == 0
    shown = capsys.readouterr()
    assert "not isolated: the file has run with your rights (no way)" in shown.err
    assert "not isolated" in (shown.out if "otter" in options or "gradescope" in options
                              else shown.out.splitlines()[0])


@linux
def test_the_report_names_the_isolation(right: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if run_check(["a2", str(right), "--no-pictures", "--isolate"]) == 2:
        pytest.skip(capsys.readouterr().err)
    assert "(isolated by " in capsys.readouterr().out.splitlines()[0]


@linux
def test_there_is_isolation_on_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.assignments import isolation

    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(sandbox.Refused, match="only be isolated on Linux"):
        isolation.choose.__wrapped__()


# ---- seeds
def settings(*options: str) -> Settings:
    return teacher.settings(check.options().parse_args(["a2", "a2.py", "--unsafe", *options]))


def test_hidden_checks_have_other_numbers_each_time_and_they_are_told() -> None:
    drawn = [settings("--hidden") for _ in range(3)]
    assert len({one.seed for one in drawn}) == 3
    assert all(one.said[-1].endswith(f"--seed {one.seed}") for one in drawn)
    assert not settings().said


def test_a_seed_can_be_given_and_can_come_from_a_file(right: Path, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seed").write_text("7\n")
    asked = []

    def parts(name: str, seed: int | None = None, others: bool = False) -> list[Any]:
        asked.append((seed, others))
        return []

    monkeypatch.setattr(check, "parts", parts)
    for options in (("--seed", "7"), ("--seed-file", str(tmp_path / "seed")), ("--seed", "0")):
        given = settings("--hidden", *options)
        assert not [line for line in given.said if "--seed" in line]
        check.check("a2", right, given)
    assert asked == [(None, False), (7, True), (None, False), (7, True), (None, False), (0, True)]
    with pytest.raises(Unreadable, match="there is no seed in"):
        settings("--hidden", "--seed-file", str(tmp_path / "none"))


def test_a_bundle_has_a_random_seed_that_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for name in ("one.zip", "two.zip"):
        assert bundle.main(["a2", "--out", str(tmp_path / name)]) == 0
        told.append(capsys.readouterr().out.strip().rpartition(" ")[2])
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.read("hidden_seed").decode().strip() == told[-1]
            run = archive.read("run_autograder").decode()
            assert told[-1] not in run and "--seed-file" in run and "--unsafe" not in run
            assert archive.getinfo("hidden_seed").external_attr >> 16 & 0o077 == 0
    assert told[0] != told[1] and check.SEED not in map(int, told)
