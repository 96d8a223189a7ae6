"""examples/text/generate.py: beam search against all sequences, samples against their probabilities."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import thinned

from rnn import Cell

sys.path.insert(0, str(Path(__file__).parents[2]))  # the examples are not installed
from examples.text import generate

ROOT = Path(__file__).parents[2]
LETTERS, LONGEST = 3, 4


def small(seed: int) -> Cell:
    """Return a network over three letters, of which the first ends a word, with large random weights."""
    rng = np.random.default_rng(seed)
    cell = generate.network(LETTERS, 4, rng)
    for p in cell.parameters.values():
        p.data = rng.normal(size=p.shape) * 1.5
    return cell


def by_hand(cell: Cell, word: tuple[int, ...]) -> float:
    """Return the logarithm of the probability of a word, by a loop over its letters."""
    def sigmoid(a: Any) -> Any:
        return 1 / (1 + np.exp(-a))

    p = {name.removeprefix("h."): x.data for name, x in cell.parameters.items()}
    h, total = np.zeros(4), 0.0
    for letter, following in zip((generate.END, *word), word):
        x = np.eye(LETTERS)[letter]
        r, z = (sigmoid(p[f"W_{gate}"] @ np.concatenate([h, x]) + p[f"b_{gate}"]) for gate in "rz")
        new = np.tanh(p["W_xn"] @ x + p["b_xn"] + r * (p["W_hn"] @ h + p["b_hn"]))
        h = z * h + (1 - z) * new
        scores = p["V"] @ h + p["c"]
        total += scores[following] - np.log(np.exp(scores).sum())
    return float(total)


def all_words(cell: Cell) -> dict[tuple[int, ...], float]:
    """Return every word of up to LONGEST letters with its probability; the longest ones may lack an end."""
    words = [word for length in range(1, LONGEST + 1) for word in itertools.product(range(LETTERS), repeat=length)
             if generate.END not in word[:-1] and (word[-1] == generate.END or length == LONGEST)]
    return {word: float(np.exp(by_hand(cell, word))) for word in words}


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_every_word_in_the_order_of_their_probabilities(seed: int) -> None:
    cell = small(seed)
    words = all_words(cell)
    assert sum(words.values()) == pytest.approx(1, rel=1e-10)
    found = generate.beam_search(cell, LETTERS ** LONGEST, LONGEST)
    assert [x.letters for x in found] == sorted(words, key=lambda word: -words[word])
    assert np.allclose([x.logp for x in found], [np.log(words[x.letters]) for x in found], rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_one_takes_the_best_letter_each_time(seed: int) -> None:
    cell = small(seed)
    word: tuple[int, ...] = ()
    while len(word) < LONGEST and word[-1:] != (generate.END,):
        word = max(((*word, letter) for letter in range(LETTERS)), key=lambda longer: by_hand(cell, longer))
    assert [x.letters for x in generate.beam_search(cell, 1, LONGEST)] == [word]


def best_by_hand(cell: Cell, width: int) -> list[tuple[int, ...]]:
    """Return what a beam of some width finds if it never stops early."""
    beams: list[tuple[int, ...]] = [()]
    complete: list[tuple[int, ...]] = []
    for _ in range(LONGEST):
        longer = [(*beam, letter) for beam in beams for letter in range(LETTERS)]
        kept = sorted(longer, key=lambda word: -by_hand(cell, word))[:width]
        complete += [word for word in kept if word[-1] == generate.END or len(word) == LONGEST]
        beams = [word for word in kept if word not in complete]
    return sorted(complete, key=lambda word: -by_hand(cell, word))[:width]


@pytest.mark.parametrize(("seed", "width"), thinned([(seed, width) for seed in range(12) for width in (2, 3, 5)], 4))
def test_a_narrow_beam_keeps_the_best_beginnings(seed: int, width: int) -> None:
    cell = small(seed)
    found = generate.beam_search(cell, width, LONGEST)
    assert [x.letters for x in found] == best_by_hand(cell, width)
    assert np.allclose([x.logp for x in found], [by_hand(cell, x.letters) for x in found], rtol=1e-9)
    assert np.allclose(generate.log_probability(cell, [x.letters for x in found]), [x.logp for x in found], rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_are_as_frequent_as_they_are_probable(seed: int) -> None:
    cell, count = small(seed), 20_000
    words = all_words(cell)
    drawn = generate.sample(cell, count, np.random.default_rng(5), LONGEST)
    assert set(drawn) <= set(words)
    for word, p in words.items():
        assert abs(drawn.count(word) - count * p) < 5 * np.sqrt(count * p * (1 - p)) + 1, word


def test_the_probabilities_of_the_words_are_those_that_the_text_says() -> None:
    assert generate.WORDS[:3] == ["one", "two", "three"]
    assert (generate.WORDS[20], generate.WORDS[98], len(generate.WORDS)) == ("twenty-one", "ninety-nine", 99)
    first = {letter: sum(p for word, p in zip(generate.WORDS, generate.CHANCES) if word[0] == letter)
             for letter in generate.LETTERS}
    assert max(first, key=first.__getitem__) == "t" and generate.CHANCES[0] < first["t"]  # the trap


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_example_finds_the_most_probable_word_and_samples_the_others(seed: int, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "examples.generate", "--seed", str(seed), "--out", str(tmp_path)],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    [share] = re.findall(r"4000 samples: ([\d.]+)% are names", done.stdout)
    [difference] = re.findall(r"by at most ([\d.]+)", done.stdout)
    assert float(share) > 97 and float(difference) < 0.03
    [greedy] = re.findall(r"the best letter each time +(\S+) ([\d.]+)", done.stdout)
    [beam] = re.findall(r"a beam of 3 +(\S+) ([\d.]+)", done.stdout)
    assert greedy[0].startswith("t") and beam[0] == "one"
    assert float(beam[1]) > float(greedy[1])
