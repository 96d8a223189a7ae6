"""The examples run, draw their pictures and print what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from painters import painting

import minigrad as mg
from examples import hessian, index

ROOT = Path(__file__).parents[2]


@painting
@pytest.mark.parametrize("example", index.examples(), ids=lambda example: example.name)
def test_each_runs_in_seconds_and_draws_the_picture_of_its_page(example: index.Example, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples", example.name, "--small", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert example.picture in [path.name for path in tmp_path.iterdir()]


def test_the_hessian_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(3)
    A, x = rng.normal(size=(5, 3)), rng.normal(size=3)
    p = np.exp(A @ x) / np.exp(A @ x).sum()  # the slope of the logarithm is Aᵀ p
    tensor = mg.Tensor(x, requires_grad=True)
    slope = mg.grad(hessian.f(A, tensor), tensor, create_graph=True)
    np.testing.assert_allclose([mg.grad(slope[i], tensor) for i in range(3)],
                               A.T @ (np.diag(p) - np.outer(p, p)) @ A, rtol=1e-12)


@painting
@pytest.mark.parametrize(("name", "pictures"), [
    ("elman", ["elman.png", "elman_T.png"]),
    ("feedback", ["feedback1.png", "feedback1_T.png", "feedback2.png", "feedback2_T.png"]),
])
def test_the_first_examples_draw_rolled_and_unrolled_graphs(name: str, pictures: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", f"examples.{name}", "--out", str(tmp_path)], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == pictures


@painting
def test_the_gallery_shows_every_picture_that_it_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "examples.gallery", "--out", str(tmp_path)], cwd=ROOT,
                   capture_output=True, check=True)
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
