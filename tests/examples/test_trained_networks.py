"""Examples of text and of tags: what their docstrings promise, they do."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import case
from painters import painting

ROOT = Path(__file__).parents[2]
SEEDS = [0, 1, 2]


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str) -> Any:
    """An example, imported."""
    return importlib.import_module(f"examples.text.{name}")


def output(name: str, folder: Path, *arguments: str) -> str:
    """What an example prints, when it is started as a program."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    done = subprocess.run([sys.executable, "-m", f"examples.{name}", "--out", str(folder), *arguments], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def percentages(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


def pictures(folder: Path) -> list[str]:
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())
    return sorted(path.stem for path in folder.iterdir())


class TestMinchar:
    def test_follows_the_known_trajectory(self) -> None:
        minchar, known = module("minchar"), case("minchar_rnn_trajectory")
        alphabet = sorted(set(known["text"]))
        codes = np.array([alphabet.index(letter) for letter in known["text"]])
        assert minchar.deviation(codes, known["expected"]) < 1e-7

    def test_the_stored_trajectory_names_its_source(self) -> None:
        assert "d4dee566867f8291f086" in json.loads(module("minchar").CASE.read_text(encoding="utf-8"))["source"]

    @painting
    def test_a_short_run_draws_its_pictures(self, tmp_path: Path) -> None:
        assert "it writes: T" in output("minchar", tmp_path, "--steps", "50")
        assert pictures(tmp_path) == ["loss", "rolled"]

    @painting
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_learns_its_text_by_heart(self, seed: int, tmp_path: Path) -> None:
        text = output("minchar", tmp_path, "--seed", str(seed))
        assert float(re.findall(r"updates: ([\d.]+) nats", text)[0]) < 1.0


class TestNames:
    def test_the_surnames_are_distinct_and_plain(self) -> None:
        languages, named = module("names").read()
        assert len(languages) == 6
        assert len(set(named)) == len(named) > 600
        assert all(re.fullmatch("[a-z]+", name) for name, _ in named)
        assert min(np.bincount([number for _, number in named])) > 90

    def test_the_loss_counts_at_the_last_letter_alone(self) -> None:
        names = module("names")
        cell = names.network(6, np.random.default_rng(0))
        data = names.encoded([("ito", 3), ("papadakis", 1)])
        losses, scores = (cell.unroll(**data)[name].stack().numpy() for name in ("L", "y"))
        assert [np.flatnonzero(column).tolist() for column in losses.T] == [[2], [8]]
        expected = [-np.log(np.exp(score[k]) / np.exp(score).sum())
                    for score, k in [(scores[2, 0], 3), (scores[8, 1], 1)]]
        assert losses.sum() / data["lengths"].sum() == pytest.approx(np.mean(expected))

    @painting
    @pytest.mark.parametrize("seed", [0, *[pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:]]])
    def test_tells_names_that_it_never_saw(self, seed: int, tmp_path: Path) -> None:
        right, _ = percentages(output("names", tmp_path, "--seed", str(seed)))
        assert right > 65
        assert pictures(tmp_path) == ["confusion", "loss", "opinion", "rolled"]


class TestTagging:
    def test_the_tags_say_what_came_and_what_comes(self) -> None:
        words = np.array([[0, 1, 0, 2, 0, 1], [3, 3, 3, 4, 1, 1]]).T
        assert module("tagging").tags(words).T.tolist() == [[1, 1, 2, 0, 3, 3], [1, 2, 3, 0, 1, 3]]

    def test_the_ceiling_is_what_the_best_guess_reaches(self) -> None:
        """The best guess, made on random words with what is known from one side alone."""
        tagging = module("tagging")
        words = np.random.default_rng(0).integers(4, size=(6, 20000))
        tags = tagging.tags(words)
        came = tags >= 2
        reached = [max(np.mean(tags[step][known] == tag) for tag in range(4)) * known.mean()
                   for step in range(6) for known in (came[step], ~came[step]) if known.any()]
        assert sum(reached) / 6 == pytest.approx(tagging.ceiling(6, 4), abs=0.005)

    def test_who_sees_what(self) -> None:
        tagging = module("tagging")
        rng = np.random.default_rng(0)
        seen = {reader: tagging.dependence(tagging.network(reader, rng), tagging.drawn(rng, 2)) > 0
                for reader in tagging.READERS}
        below = np.tril(np.ones((tagging.STEPS,) * 2, bool))
        np.testing.assert_array_equal(seen["from the beginning"], below)
        np.testing.assert_array_equal(seen["from the end"], below.T)
        assert seen["from both ends"].all()

    @painting
    def test_a_short_run_draws_its_pictures(self, tmp_path: Path) -> None:
        output("tagging", tmp_path, "--steps", "10")
        assert pictures(tmp_path) == ["dependence", "loss", "rolled", "unrolled"]

    @painting
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_end_reaches_the_ceiling_and_both_ends_pass_it(self, seed: int, tmp_path: Path) -> None:
        beginning, end, both, ceiling = percentages(output("tagging", tmp_path, "--seed", str(seed)))
        assert abs(beginning - ceiling) < 2
        assert abs(end - ceiling) < 2
        assert both > 98


class TestSeq2seq:
    def test_gradients_pass_the_joint_as_they_pass_one_graph(self) -> None:
        seq2seq, rng = module("seq2seq"), np.random.default_rng(3)
        encoder, decoder = seq2seq.definitions(rng)
        assert seq2seq.joined(encoder, decoder, seq2seq.words(rng, np.array([2, 5, 3]))) < 1e-12

    def test_the_decoder_is_told_the_letter_before(self) -> None:
        seq2seq = module("seq2seq")
        told = seq2seq.taught([np.array([1, 2, 3])])
        assert seq2seq.spelled(told["w"][:, 0].argmax(axis=-1)) == ".cba"
        assert seq2seq.spelled(told["label"][:, 0]) == "cba."

    def test_an_answer_is_right_where_it_is_the_word_backwards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seq2seq = module("seq2seq")
        monkeypatch.setattr(seq2seq, "written", lambda *_: ["cba", "cba", "abc", "cba"])
        assert seq2seq.right(None, None, [np.array([1, 2, 3])] * 4) == 0.75

    @painting
    def test_a_short_run_draws_its_pictures(self, tmp_path: Path) -> None:
        output("seq2seq", tmp_path, "--steps", "10")
        assert pictures(tmp_path) == ["decoder", "dependence", "encoder", "lengths", "loss"]

    @painting
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_writes_new_words_backwards(self, seed: int, tmp_path: Path) -> None:
        text = output("seq2seq", tmp_path, "--seed", str(seed))
        shares = {int(length): float(share) for share, length in re.findall(r"([\d.]+)% of new words of (\d)", text)}
        assert all(shares[length] > 95 for length in range(3, 7))
        assert shares[8] < 50
