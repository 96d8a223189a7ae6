"""The tour, as a user starts it: a program of its own, on arguments good and bad."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from painters import painting

ROOT = Path(__file__).parents[2]
PICTURES = ["gradient_flow.png", "loss.png", "rolled.png", "unrolled.png"]

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")


def tour(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "examples.tour", *arguments], cwd=ROOT, text=True,
                          capture_output=True, check=False)


@painting
def test_a_short_tour_draws_its_pictures_and_says_where_they_are(tmp_path: Path) -> None:
    done = tour("--steps", "5", "--out", str(tmp_path / "new folder"))
    assert done.returncode == 0, done.stderr
    assert f"pictures in {tmp_path / 'new folder'}/: rolled.png, unrolled.png, loss.png" in done.stdout
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == PICTURES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "new folder").iterdir())


@painting
def test_the_same_seed_gives_the_same_tour(tmp_path: Path) -> None:
    first, second, other = (re.sub(r"in \d+ s|/[ab]/", "", tour("--steps", "3", "--seed", seed, "--out",
                                                                str(tmp_path / folder)).stdout)
                            for seed, folder in [("1", "a"), ("1", "b"), ("2", "a")])
    assert first == second
    assert first != other


@pytest.mark.parametrize(("arguments", "problem"), [
    (("--steps", "0"), "'0' is not a whole number above 0"),
    (("--steps", "many"), "'many' is not a whole number above 0"),
    (("--seed", "-1"), "-1 is below 0"),
    (("--colour",), "unrecognized arguments: --colour"),
])
def test_bad_arguments_get_one_clear_line(arguments: tuple[str, ...], problem: str) -> None:
    done = tour(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert problem in done.stderr


def test_a_folder_that_cannot_be_made_gets_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = tour("--out", str(tmp_path / "file" / "tour"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "file") in done.stderr


@painting
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_stops_it_cleanly_and_keeps_what_has_been_drawn(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "examples.tour", "--steps", "100000", "--out", str(tmp_path)],
                               cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(300):
        if (tmp_path / "rolled.png").exists():
            break
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"stopped; pictures in {tmp_path}/: rolled.png" in output
    assert (tmp_path / "rolled.png").read_bytes().startswith(b"\x89PNG")


@painting
@pytest.mark.slow
def test_the_whole_tour_learns(tmp_path: Path) -> None:
    done = tour("--out", str(tmp_path))
    first, last = map(float, re.findall(r"from ([\d.]+) to ([\d.]+) nats a letter", done.stdout)[0])
    assert first > 4
    assert last < 1.5
