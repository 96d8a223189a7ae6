"""The examples run, draw their pictures and print what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from painters import painting

ROOT = Path(__file__).parents[2]


@painting
@pytest.mark.parametrize(("name", "pictures"), [
    ("elman", ["elman.png", "elman_T.png"]),
    ("hessian", []),
    ("feedback", ["feedback1.png", "feedback1_T.png", "feedback2.png", "feedback2_T.png"]),
])
def test_the_examples_run_and_draw(name: str, pictures: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", f"examples.{name}", str(tmp_path)], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == pictures


@painting
def test_the_gallery_shows_every_picture_that_it_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "examples.gallery", str(tmp_path)], cwd=ROOT, capture_output=True, check=True)
    shown = re.findall(r'<img src="([^"]+)" alt="([^"]+)">', (tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(shown) > 25
    assert sorted(name for name, _ in shown) == sorted(path.name for path in tmp_path.glob("*.[sg][vi][gf]"))


def largest_error(seed: int, folder: Path) -> float:
    done = subprocess.run([sys.executable, "-m", "examples.sine", "--seed", str(seed), "--out", str(folder)],
                          cwd=ROOT, capture_output=True,
                          text=True, check=True)
    return float(re.findall(r"60 steps ahead alone: ([\d.]+)", done.stdout)[0])


def test_the_sine_example_forecasts_what_it_says(tmp_path: Path) -> None:
    assert largest_error(0, tmp_path) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sine_example_holds_for_other_seeds(seed: int, tmp_path: Path) -> None:
    assert largest_error(seed, tmp_path) < 0.2
