"""The attacks again where the grader is an ordinary user, and where it is root and may not make namespaces.

Both need root, to become another user, and to let that user run a Python that may lie in a closed folder:
a mount namespace shows it there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from examples.assignments.sandbox import ROOT

TESTS = Path(__file__).parent
PROJECT = ROOT
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")]
OPEN = """
set -e
covered=$1
shift
keep=$(mktemp -d)
mount --make-rprivate /
number=0
for path in "$@"; do
    [ "$path" != -- ] || break
    number=$((number + 1))
    mkdir "$keep/$number"
    mount --bind "$path" "$keep/$number"
done
[ -z "$covered" ] || mount -t tmpfs -o mode=755 none "$covered"
number=0
while [ "$1" != -- ]; do
    number=$((number + 1))
    mkdir -p "$1"
    mount --bind "$keep/$number" "$1"
    umount "$keep/$number"
    rmdir "$keep/$number"
    shift
done
rmdir "$keep"
shift
exec "$@"
"""
BECOME = """
import os, sys
uid = int(sys.argv[1])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
USER = 49_321  # of no account


def closed() -> str:
    """The first folder on the way to Python or to the project that others can't enter; or none."""
    for path in map(Path, (sys.base_prefix, sys.prefix, PROJECT)):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                return str(folder)
    return ""


def passed(*command: str) -> dict[str, int]:
    """Run tests where every user can run this Python; how many passed, failed and were skipped."""
    cover = closed()
    paths = dict.fromkeys(os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, PROJECT)
                          if cover and Path(path).resolve().is_relative_to(cover))
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{TESTS}", "PYTHONDONTWRITEBYTECODE": "1",
                   "HOME": "/tmp"}
    done = subprocess.run(["unshare", "--mount", "/bin/sh", "-c", OPEN, "sh", cover, *paths, "--", sys.executable,
                           *command], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=500)
    if "Operation not permitted" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|skipped)",
                                                             done.stdout.splitlines()[-1])}


FILES = [str(TESTS / f"test_grader_{name}.py") for name in ("isolation", "protocol", "gradescope")]
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=error")


def test_every_attack_where_the_grader_is_an_ordinary_user() -> None:
    place = Path(tempfile.mkdtemp(prefix="ordinary_"))
    os.chown(place, USER, USER)
    try:
        counts = passed("-c", BECOME, str(USER), *PYTEST, f"--basetemp={place / 'tests'}", *FILES)
    finally:
        shutil.rmtree(place)
    assert counts["passed"] > 120 and counts.get("failed", 0) == 0, counts


def test_every_attack_where_another_user_is_all_that_there_is() -> None:
    counts = passed(*PYTEST, *FILES, "-k", "another or bare or hostile")
    assert counts["passed"] > 50 and counts.get("failed", 0) == 0, counts
