"""Agreement: an LSTM keeps the subject's number until a new subject comes.

    python -m examples.agreement [--seed 0] [--steps 600] [--out out/agreement]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Signal, cells, t, trace

NOUNS = [("dog", "dogs"), ("cat", "cats"), ("boy", "boys"), ("girl", "girls"), ("nurse", "nurses"), ("king", "kings")]
VERBS = [("sleeps", "sleep"), ("sings", "sing"), ("runs", "run"), ("laughs", "laugh"), ("waits", "wait")]
PRONOUNS, PREPOSITIONS, ADVERBS = ("it", "they"), ("near", "behind", "with"), ("often", "never", "always")
VOCABULARY = ["the", *PREPOSITIONS, *ADVERBS, *PRONOUNS, "and", "while", ".", *(form for pair in NOUNS + VERBS for form in pair)]
CODES = {word: code for code, word in enumerate(VOCABULARY)}
STEPS, BATCH, SIZE, WIDTH, RATE = 40, 32, 16, 12, 0.03
LONGEST = 2  # phrases between subject and verb in training


class Word(NamedTuple):
    """A word of a text; `number` is 0 for the singular, 1 for the plural."""

    text: str
    role: str = ""  # "subject", "noun", "verb"
    number: int = 0


# ---- texts ---------------------------------------------------------------------------------


def choice(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[rng.integers(len(options))]


def phrase(number: int, rng: np.random.Generator) -> list[Word]:
    """Return "near the cats"; the noun isn't the subject."""
    return [Word(choice(PREPOSITIONS, rng)), Word("the"), Word(choice(NOUNS, rng)[number], "noun", number)]


def verb(number: int, rng: np.random.Generator) -> list[Word]:
    """Return a verb after up to two adverbs."""
    adverbs = [Word(choice(ADVERBS, rng)) for _ in range(choice((0, 0, 1, 2), rng))]
    return [*adverbs, Word(choice(VERBS, rng)[number], "verb", number)]


def subject(number: int, others: Sequence[int], rng: np.random.Generator) -> list[Word]:
    """Return a subject, and a phrase with a noun of each of the numbers `others`."""
    noun = [Word("the"), Word(choice(NOUNS, rng)[number], "subject", number)]
    return sum((phrase(other, rng) for other in others), noun)


def predicate(number: int, rng: np.random.Generator) -> list[Word]:
    """Return one or two verbs, and the word that ends the clause."""
    words = verb(number, rng)
    if rng.random() < 0.4:
        words += phrase(rng.integers(2), rng)
    if rng.random() < 0.4:
        words += [Word("and"), *verb(number, rng)]
    return [*words, Word(choice((".", ".", "while"), rng))]


def text(length: int, rng: np.random.Generator) -> list[Word]:
    """Return clauses one after the other, cut off after `length` words."""
    words: list[Word] = []
    while len(words) < length:
        if words and rng.random() < 0.4:
            words.append(Word(PRONOUNS[number], "pronoun", number))
        else:
            number = rng.integers(2)
            words += subject(number, rng.integers(2, size=rng.integers(LONGEST + 1)), rng)
        words += predicate(number, rng)
    return words[:length]


def codes(texts: Sequence[Sequence[Word]]) -> NDArray[np.int64]:
    """Return the numbers of words of texts of the same length: (T, texts)."""
    return np.array([[CODES[word.text] for word in words] for words in texts]).T


def subjects(words: Sequence[Word]) -> NDArray[np.int64]:
    """Return the number of the latest subject at each word; -1 before the first."""
    numbers = [-1]
    for word in words:
        numbers.append(word.number if word.role == "subject" else numbers[-1])
    return np.array(numbers[1:])


# ---- the language model --------------------------------------------------------------------


def network(make: Callable[..., Signal], rng: np.random.Generator) -> Cell:
    """Return a model that scores each word as the next one."""
    cell = Cell("agreement")
    word, following = cell.input("word", ()), cell.input("following", ())
    E = mg.init.normal((len(VOCABULARY), WIDTH), rng, 0.5, name="E", dtype=np.float32)
    x = cell.signal("x", WIDTH)
    x[t] = E[word[t]]
    h = make(cell, x, SIZE, name="h", rng=rng, dtype=np.float32)
    V = mg.init.glorot((len(VOCABULARY), SIZE), rng, name="V", dtype=np.float32)
    b = mg.init.zeros((len(VOCABULARY),), name="b", dtype=np.float32)
    scores, L = cell.signal("scores", len(VOCABULARY)), cell.signal("L", ())
    scores[t] = V @ h[t] + b
    L[t] = mg.losses.cross_entropy(scores[t], following[t], reduction="none")
    return cell


def batch(texts: Sequence[Sequence[Word]]) -> dict[str, Any]:
    numbers = codes(texts)
    return {"word": numbers[:-1], "following": numbers[1:]}


def trained(make: Callable[..., Signal], updates: int, rng: np.random.Generator) -> tuple[Cell, list[float]]:
    cell = network(make, rng)
    return cell, common.train(cell, lambda: batch([text(STEPS + 1, rng) for _ in range(BATCH)]), updates, rate=RATE,
                              what=make.__name__)


# ---- the lecture's listing -----------------------------------------------------------------


def lecture_cell(parameters: Mapping[str, mg.Tensor]) -> Callable[..., dict[str, Any]]:
    """Return the LSTM cell of the lecture, an ordinary function of one step, with the parameters of a layer."""
    p = parameters

    def lstmcell(input: Any, prev_ht: Any, prev_ct: Any) -> dict[str, Any]:
        combined = np.concatenate([prev_ht, input])
        ft = mg.sigmoid(p["W_f"] @ combined + p["b_f"])  # the share of the old state that isn't deleted
        it = mg.sigmoid(p["W_i"] @ combined + p["b_i"])  # the share of the candidate that is written
        candidate = np.tanh(p["W_g"] @ combined + p["b_g"])
        ct = prev_ct * ft + candidate * it
        ot = mg.sigmoid(p["W_o"] @ combined + p["b_o"])  # the share of the new state that is read
        return {"prev_ht": ot * np.tanh(ct), "prev_ct": ct}

    return lstmcell


def listing_difference(cell: Cell, texts: Sequence[Sequence[Word]]) -> float:
    """Return the largest difference between the listing, traced into a definition, and `cells.lstm`.

    Of the states at all steps, and of the gradients of the sum of the last state by all parameters.
    """
    parameters = cells.parameters_of(cell, "h")
    traced = trace(lecture_cell(parameters), {"input": WIDTH}, {"prev_ht": SIZE, "prev_ct": SIZE})
    run = cell.unroll(**batch(texts))
    listed = traced.unroll(input=run["x"].stack().numpy())
    pairs = [(run[ours].stack(), listed[theirs].stack()) for ours, theirs in (("h.h", "prev_ht"), ("h.c", "prev_ct"))]
    gradients = [mg.grad(each["h.h" if each is run else "prev_ht"][run.T].sum(), list(parameters.values()))
                 for each in (run, listed)]
    differences = [np.abs(a.numpy() - b.numpy()).max() for a, b in pairs]
    return float(max(*differences, *(np.abs(a - b).max() for a, b in zip(*gradients))))


# ---- measurements --------------------------------------------------------------------------


def computed(cell: Cell, texts: Sequence[Sequence[Word]], **options: Any) -> Mapping[str, NDArray[Any]]:
    """Return all signals over whole texts."""
    word = codes(texts)
    with mg.no_grad():
        outputs: Mapping[str, NDArray[Any]] = cell.compile()(word=word, following=word, **options)  # no loss is read
    return outputs


def prefers(scores: NDArray[Any], numbers: Any) -> NDArray[np.float64]:
    """Return the share of the verbs whose form of a number has the higher score: (..., words) -> (...)."""
    forms = np.array([[CODES[form] for form in pair] for pair in VERBS])
    plural = scores[..., forms[:, 1]] > scores[..., forms[:, 0]]
    return np.asarray((plural == np.asarray(numbers)[..., None]).mean(axis=-1))


def before_verb(others: Sequence[int], count: int, rng: np.random.Generator) -> list[list[Word]]:
    """Return texts that end before a verb: a sentence, and a subject of the other number with phrases.

    Args:
        others: for each phrase 1 if its noun has another number than the subject, or 0.
    """
    texts = []
    for n in range(count):
        number = n % 2
        first = [*subject(1 - number, (), rng), Word(choice(VERBS, rng)[1 - number], "verb", 1 - number), Word(".")]
        texts.append([*first, *subject(number, [number ^ other for other in others], rng)])
    return texts


def agreement(cell: Cell, others: Sequence[int], count: int, rng: np.random.Generator) -> float:
    """Return how often the verb after such texts agrees with its subject."""
    texts = before_verb(others, count, rng)
    return float(prefers(computed(cell, texts)["scores"][-1], [subjects(words)[-1] for words in texts]).mean())


class Unit(NamedTuple):
    """An element of the cell that tells the subject's number: plural where sign * c > threshold."""

    index: int
    sign: int
    threshold: float

    def plural(self, c: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(self.sign * c[..., self.index] > self.threshold)


def labelled(texts: Sequence[Sequence[Word]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the subject's number at each word, and where it is to be known: (T, texts).

    That is from the subject on, until "the" begins the next one.
    """
    numbers = np.array([subjects(words) for words in texts]).T
    coming = np.array([[word.text == "the" and before.text in (".", "while") for before, word in
                        zip([Word("."), *words], words)] for words in texts]).T
    return numbers, (numbers >= 0) & ~coming


def best_unit(c: NDArray[Any], texts: Sequence[Sequence[Word]]) -> Unit:
    """Return the element of the cell that tells the number best, by a threshold between its two means."""
    numbers, known = labelled(texts)
    means = [c[known & (numbers == number)].mean(axis=0) for number in (0, 1)]
    units = [Unit(k, sign, sign * (one + two) / 2) for k, (one, two) in enumerate(zip(*means))
             for sign in [1 if two > one else -1]]
    return max(units, key=lambda unit: (unit.plural(c) == numbers)[known].mean())


def told(unit: Unit, c: NDArray[Any], texts: Sequence[Sequence[Word]]) -> float:
    """Return the share of the words at which the unit tells the subject's number."""
    numbers, known = labelled(texts)
    return float((unit.plural(c) == numbers)[known].mean())


def kept(unit: Unit, f: NDArray[Any], texts: Sequence[Sequence[Word]], role: str) -> float:
    """Return the share of the unit that is left over "the", a noun of a role, and the next word; the mean over all."""
    shares = [f[place - 1:place + 2, n, unit.index].prod() for n, words in enumerate(texts)
              for place, word in enumerate(words[:-1]) if word.role == role and place > 1]
    return float(np.mean(shares))
