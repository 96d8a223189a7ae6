"""Agreement: an LSTM keeps the subject's number until a new subject comes, and replaces it.

    python -m examples.agreement [--seed 2] [--steps 1500] [--out out/agreement]

The story that explains the gates of an LSTM in lectures, after Olah, Understanding LSTM networks (2015): the cell keeps
the number of the subject, so that later verbs agree with it, and deletes it where a new subject comes. Here a language
model predicts the next word of texts such as "the dogs near the cat often sing . they wait while the king runs ."
Nouns between subject and verb that have the other number are attractors (Linzen, Dupoux and Goldberg, Assessing the
ability of LSTMs to learn syntax-sensitive dependencies, 2016). A verb agrees where its form of the subject's number has
the higher score of the two.

- The number is looked for in single units of the cell, as by Lakretz et al., The emergence of number and syntax units
  in LSTM language models (2019): the unit, and the threshold, that tell it best are chosen on some texts and tested on
  others. That it is the cause is shown by setting it, and nothing else, to its mean for the other number.
- Whether it is deleted is read off the forget gates, over "the" and the noun together, which both begin a new subject:
  the product of the two is the share of the unit's value that is left. Only nouns count whose number is another one
  than that of the subject before: a new subject is to replace it, an attractor isn't.
- `lecture_cell` is the LSTM as an ordinary function of one step, LSTMCELL of the lecture. `rnn.trace` makes a
  definition of it, with the states and gradients of `cells.lstm`.
- h[t] encodes the text up to t: its nearest neighbours have the number and the answer to "is a verb to come?" in
  common, and linear probes read both. The same is done with the counts of all words, and with the last word.

Not claimed: that a plain recurrent network couldn't learn this (it does, the language is a regular one), nor that every
LSTM stores the number in one unit of the cell. With the usual initial weights about half of them did; so the weights
that multiply h[t-1] start at a tenth of those here, and the forget gates' bias at 2, which makes c the easier way. Nor
that all of them delete it: the default seed is one that does. Of seed 0 a plural subject deletes the singular, but a
singular one leaves the plural in the unit and outweighs it.

Thresholds: up to 48 words after the subject, all nouns between being attractors, more than 95% of the verbs agree, and
with the unit exchanged less than 20%; of the unit's value less than 0.1 is left after a new subject, singular or plural
(seed 0: plural), more than 0.5 after an attractor; more than 90% of the nearest neighbours agree in each fact. Measured
for seeds 0, 1, 2: 100% agree up to 96 words, 0% with the unit exchanged; the unit tells the number at 100% of the
words; of its value is left after a new singular subject 0.94, 0.00, 0.00, a plural one 0.02, 0.00, 0.00, a singular
attractor 0.99, 0.99, 0.99, a plural one 0.81, 0.99, 1.00. The nearest neighbours agree in the number at 100%, 100%, 96%
(by the counts of words 54%, 58%, 62%, by the last word 61%, 56%, 68%) and in the verb to come at 100%, 100%, 100% (50%,
48%, 47%; 80%, 81%, 76%). The probes tell the number at 100%, 99%, 87% (64%, 67%, 65%; 62%, 65%, 68%), the verb to come
at 100%, 99%, 100% (92%, 90%, 92%; 80%, 85%, 80%): that one is nearly a sum of counts.
Of seeds 3, 4, 5 that unit isn't the only cause: with it exchanged 50%, 38%, 50% still agree.
Picture: gates.png. Time: 17 s.
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
VOCABULARY = ["the", "and", "while", ".", *PREPOSITIONS, *ADVERBS, *PRONOUNS,
              *(form for pair in NOUNS + VERBS for form in pair)]
CODES = {word: code for code, word in enumerate(VOCABULARY)}
STEPS, BATCH, SIZE, WIDTH, RATE = 40, 32, 16, 12, 0.03
PHRASES = (0, 1, 2, 4, 8, 16, 32)  # between subject and verb in the test
BETWEEN, WINDOW = 8, 8
LONGEST = 6  # phrases between subject and verb in training; half of the subjects have none, a quarter one


class Word(NamedTuple):
    """A word of a text; `number` is 0 for the singular, 1 for the plural."""

    text: str
    role: str = ""  # "subject", "noun", "verb"
    number: int = 0


# ---- texts ---------------------------------------------------------------------------------


def choice(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


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
        words += phrase(int(rng.integers(2)), rng)
    if rng.random() < 0.4:
        words += [Word("and"), *verb(number, rng)]
    return [*words, Word(choice((".", ".", "while"), rng))]


def text(length: int, rng: np.random.Generator) -> list[Word]:
    """Return clauses one after the other, cut off after `length` words."""
    words: list[Word] = []
    number = 0
    while len(words) < length:
        if words and rng.random() < 0.4:
            words.append(Word(PRONOUNS[number], "pronoun", number))
        else:
            number, *others = rng.integers(2, size=min(int(rng.geometric(0.5)), LONGEST + 1)).tolist()
            words += subject(number, others, rng)
        words += predicate(number, rng)
    return words[:length]


def codes(texts: Sequence[Sequence[Word]]) -> NDArray[np.int64]:
    """Return the numbers of words of texts of the same length: (T, texts)."""
    return np.transpose([[CODES[word.text] for word in words] for words in texts])


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


def lstm(cell: Cell, x: Signal, size: int, *, name: str, **options: Any) -> Signal:
    """Add an LSTM that finds the way through c more easily than the one through h: see the head of this file."""
    h = cells.lstm(cell, x, size, name=name, forget_bias=2.0, **options)
    for label, parameter in cells.parameters_of(cell, name).items():
        if label.startswith("W"):
            parameter.data[:, :size] *= 0.1  # what multiplies h[t-1]
    return h


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

    def lstmcell(input: Any, h: Any, c: Any) -> dict[str, Any]:
        combined = np.concatenate([h, input])
        ft = mg.sigmoid(p["W_f"] @ combined + p["b_f"])  # the share of the old state that isn't deleted
        it = mg.sigmoid(p["W_i"] @ combined + p["b_i"])  # the share of the candidate that is written
        candidate = np.tanh(p["W_g"] @ combined + p["b_g"])
        ct = c * ft + candidate * it
        ot = mg.sigmoid(p["W_o"] @ combined + p["b_o"])  # the share of the new state that is read
        return {"h": ot * np.tanh(ct), "c": ct}

    return lstmcell


def listing(parameters: Mapping[str, mg.Tensor]) -> Cell:
    """Return the definition that the listing computes."""
    return trace(lecture_cell(parameters), {"input": WIDTH}, {"h": SIZE, "c": SIZE})


def listing_difference(cell: Cell, texts: Sequence[Sequence[Word]]) -> float:
    """Return the largest difference between the listing, traced into a definition, and `cells.lstm`.

    Of the states at all steps, and of the gradients of the sum of the last state by all parameters.
    """
    parameters = cells.parameters_of(cell, "h")
    traced = listing(parameters)
    run = cell.unroll(**batch(texts))
    listed = traced.unroll(input=run["x"].stack().numpy())
    pairs = [(run[f"h.{state}"].stack().numpy(), listed[state].stack().numpy()) for state in "hc"]
    pairs += zip(*(mg.grad(last.sum(), list(parameters.values())) for last in (run["h.h"][run.T], listed["h"][run.T])))
    return float(max(np.abs(ours - theirs).max() for ours, theirs in pairs))


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


def agreement(cell: Cell, others: Sequence[int], count: int, rng: np.random.Generator, window: int = 0) -> float:
    """Return how often the verb after such texts agrees with its subject.

    Args:
        window: the network reads this many words before the verb alone; 0: all.
    """
    texts = before_verb(others, count, rng)
    numbers = [subjects(words)[-1] for words in texts]
    return float(prefers(computed(cell, [words[-window:] for words in texts])["scores"][-1], numbers).mean())


def mixed(cell: Cell, phrases: int, others: int, count: int, rng: np.random.Generator) -> float:
    """Return `agreement` after phrases of which `others`, at random places, have a noun of the other number."""
    orders = [rng.permutation(phrases) < others for _ in range(count // 20)]
    return float(np.mean([agreement(cell, order.astype(int).tolist(), 20, rng) for order in orders]))


def distance_curves(cell: Cell, count: int, rng: np.random.Generator) -> tuple[dict[str, dict[int, float]], ...]:
    """Return the agreement by the words between, and by the nouns of the other number among BETWEEN."""
    by_distance = {
        "the LSTM": {3 * k: agreement(cell, [1] * k, count, rng) for k in PHRASES},
        f"the LSTM, given the last {WINDOW} words only": {3 * k: agreement(cell, [1] * k, count, rng, WINDOW)
                                                          for k in PHRASES},
        "the nearest noun decides": {3 * k: float(k == 0) for k in PHRASES}}
    by_share = {"the LSTM": {n: mixed(cell, BETWEEN, n, count, rng) for n in range(BETWEEN + 1)},
                "the nearest noun decides": {n: 1 - n / BETWEEN for n in range(BETWEEN + 1)}}
    return by_distance, by_share


class Unit(NamedTuple):
    """An element of the cell that tells the subject's number: plural where sign * c > threshold."""

    element: int
    sign: int
    threshold: float

    def plural(self, c: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(self.sign * c[..., self.element] > self.threshold)


def exchanged(cell: Cell, unit: Unit, count: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return `agreement` after one more adverb: as it is, and with the unit set to its mean for the other number.

    All else that the network carries on, the other units and h, stays as it is.
    """
    texts = before_verb([1], count, rng)
    numbers = np.array([subjects(words)[-1] for words in texts])
    outputs = computed(cell, texts)
    h, c = outputs["h.h"][-1], outputs["h.c"][-1]
    other = c.copy()
    values = c[:, unit.element]
    other[:, unit.element] = np.where(numbers == 1, values[numbers == 0].mean(), values[numbers == 1].mean())
    adverbs = [[Word(ADVERBS[0])]] * count
    scores = [computed(cell, adverbs, initial={"h.h": h, "h.c": state})["scores"][-1] for state in (c, other)]
    before, after = (float(prefers(each, numbers).mean()) for each in scores)
    return before, after


def labelled(texts: Sequence[Sequence[Word]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the subject's number at each word, and where it is to be known: (T, texts).

    That is from the subject on, until "the" begins the next one.
    """
    numbers = np.array([subjects(words) for words in texts]).T
    coming = np.array([[word.text == "the" and before.text in (".", "while") for before, word in
                        zip([Word("."), *words], words)] for words in texts]).T
    return numbers, (numbers >= 0) & ~coming


def best_threshold(values: NDArray[Any], numbers: NDArray[np.int64]) -> float:
    """Return the threshold above which most values are plural and below which most are singular.

    It is halfway between two values.
    """
    order = np.argsort(values)
    singular_below = np.cumsum(1 - 2 * numbers[order])[:-1]  # less the plural ones
    return float(values[order][singular_below.argmax():][:2].mean())


def best_unit(c: NDArray[Any], texts: Sequence[Sequence[Word]]) -> Unit:
    """Return the element of the cell that tells the number best, by one threshold for all words."""
    numbers, known = labelled(texts)
    units = [Unit(k, sign, best_threshold(sign * c[known][:, k], numbers[known]))
             for k in range(c.shape[-1]) for sign in (1, -1)]
    return max(units, key=lambda unit: told(unit, c, texts))


def told(unit: Unit, c: NDArray[Any], texts: Sequence[Sequence[Word]]) -> float:
    """Return the share of the words at which the unit tells the subject's number."""
    numbers, known = labelled(texts)
    return float((unit.plural(c) == numbers)[known].mean())


def kept(unit: Unit, f: NDArray[Any], texts: Sequence[Sequence[Word]], role: str) -> list[float]:
    """Return the share of the unit's value that is left after "the" and a noun, for singular and plural nouns.

    It is the product of the two forget gates: some networks delete at "the", which begins a new subject after "while"
    or the end of a sentence, others at the noun. The mean over all nouns of a role whose number is another one than
    that of the subject before.
    """
    shares: list[list[float]] = [[], []]
    for n, words in enumerate(texts):
        for place, (word, before) in enumerate(zip(words[1:], subjects(words)), 1):
            if word.role == role and before == 1 - word.number:
                shares[word.number].append(f[place - 1:place + 1, n, unit.element].prod())
    return [float(np.mean(each)) for each in shares]


def sign_changes(unit: Unit, c: NDArray[Any], words: Sequence[Word]) -> tuple[list[str], list[str]]:
    """Return the nouns of a text over which the number that the unit tells changes, and the others.

    Args:
        c: of the text, (T, size). Over a noun is from before "the" to the noun.
    """
    plural = unit.plural(c)
    nouns = [place for place, word in enumerate(words) if word.role in ("subject", "noun") and place > 1]
    changed, same = ([f"“the {words[place].text}”" for place in nouns if (plural[place - 2] != plural[place]) == wanted]
                     for wanted in (True, False))
    return changed, same


# ---- a text as one vector ------------------------------------------------------------------


class Encodings(NamedTuple):
    """Texts, each cut off after some word, as vectors (texts, size), with two facts about each, (texts, 2) of 0 and 1.

    The facts are the number of the latest subject, and whether a verb is still to come in the clause.
    """

    vectors: NDArray[Any]
    facts: NDArray[np.int64]
    texts: list[str]


def pending(words: Sequence[Word]) -> int:
    """Return 1 if a verb is still to come in the clause, 0 otherwise."""
    last = next(word for word in reversed(words) if word.role in ("subject", "pronoun", "verb") or word.text == "and")
    return int(last.role != "verb")


def encodings(cell: Cell, count: int, rng: np.random.Generator) -> dict[str, Encodings]:
    """Return the same texts as h[t], as the numbers of each of their words, and as their last word."""
    texts = [text(STEPS, rng) for _ in range(count)]
    known = labelled(texts)[1]
    ends = [rng.choice(np.flatnonzero(known[:, n] & (np.arange(STEPS) >= STEPS // 2))) for n in range(count)]
    cut = [words[:end + 1] for words, end in zip(texts, ends)]
    facts = np.array([(subjects(words)[-1], pending(words)) for words in cut])
    h = computed(cell, texts)["h.h"][ends, np.arange(count)]
    one_hot = [np.eye(len(VOCABULARY))[codes([words])[:, 0]] for words in cut]
    spelled = [" ".join(word.text for word in words) for words in cut]
    return {"h[t]": Encodings(h, facts, spelled),
            "bag of words": Encodings(np.array([words.sum(axis=0) for words in one_hot]), facts, spelled),
            "last word": Encodings(np.array([words[-1] for words in one_hot]), facts, spelled)}


def neighbours(vectors: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each vector the one with the smallest angle to it."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(cosines.argmax(axis=1))


def probe(learned: Encodings, tested: Encodings) -> NDArray[np.float64]:
    """Return linear functions of the vectors, fitted by least squares to the facts as ±1: (texts, 2)."""
    a, b = (np.column_stack([each.vectors, np.ones(len(each.vectors))]) for each in (learned, tested))
    return np.asarray(b @ np.linalg.lstsq(a, 2 * learned.facts - 1, rcond=None)[0])


# ---- pictures ------------------------------------------------------------------------------

SHOWN = ("the dogs/s near the cat/n often sing/v and laugh/v . they/p wait/v while the king/s behind the girls/n never "
         "sleeps/v . the boys/s run/v .")


def shown_text() -> list[Word]:
    """Return the text of the picture of the gates."""
    roles = {"s": "subject", "n": "noun", "v": "verb", "p": "pronoun"}
    plurals = {PRONOUNS[1], *(pair[1] for pair in NOUNS + VERBS)}
    parts = [word.partition("/") for word in SHOWN.split()]
    return [Word(spelling, roles.get(role, ""), int(spelling in plurals)) for spelling, _, role in parts]


def gates_title(unit: Unit, c: NDArray[Any], words: Sequence[Word], left: Mapping[str, Sequence[float]]) -> str:
    """Return what the unit does over the words, and how much of its value `kept` found to be left."""
    changed, same = (" and ".join(nouns) or "no noun" for nouns in sign_changes(unit, c, words))
    shares = "; ".join(f"{one:.2f}, {two:.2f} {name}" for name, (one, two) in left.items())
    return (f"Unit {unit.element} of the cell: the sign changes over {changed}, not over {same}\n"
            f"left of its value (singular, plural): {shares}")


def draw_gates(file: Path, cell: Cell, unit: Unit, left: Mapping[str, Sequence[float]]) -> None:
    """Draw the unit's gates and value over the words of a text, a row each; + is the plural, whichever sign c has.

    Args:
        left: see `gates_title`.
    """
    words = shown_text()
    outputs = {name: values[:, 0] for name, values in computed(cell, [words]).items()}
    k, sign = unit.element, unit.sign
    rows = [("forget gate f\n(0 deletes)", outputs["h.f"][:, k], "Blues", 1), ("input gate i\n(1 writes)",
            outputs["h.i"][:, k], "Blues", 1), ("candidate g\n(+ plural)", sign * outputs["h.g"][:, k], "PuOr_r", 1),
            ("c − threshold\n(+ plural)", sign * outputs["h.c"][:, k] - unit.threshold, "PuOr_r", 3),
            ("output gate o\n(1 reads)", outputs["h.o"][:, k], "Blues", 1),
            ("verbs in the\nplural", prefers(outputs["scores"], np.ones(len(words))), "Blues", 1)]
    with common.figure(file, (13, 4.9)) as figure:
        panels = figure.subplots(len(rows), 1, sharex=True)
        for row, (axes, (label, values, colors, largest)) in enumerate(zip(panels, rows)):
            axes.imshow(values[None], aspect="auto", cmap=colors, vmin=0 if colors == "Blues" else -largest,
                        vmax=largest)
            for place, value in enumerate(values):
                dark = abs(value) > 0.6 * largest
                rounded = f"{value:.2f}" if largest == 1 else f"{round(float(value), 1) + 0.0:+.1f}"  # no -0.0
                axes.text(place, 0, rounded, ha="center", va="center", fontsize=9, color="white" if dark else "black")
            axes.set_yticks([0], [label])
            axes.set_xticks(range(len(words)), [word.text for word in words], fontsize=10)
            axes.tick_params(length=0, labeltop=row == 0, labelbottom=False)
        for tick, word in zip(figure.axes[0].get_xticklabels(), words):
            if word.role in ("subject", "verb", "pronoun"):
                tick.set(fontweight="bold", color=common.COLORS[1] if word.number else "#5E3C99")
        figure.suptitle(gates_title(unit, outputs["h.c"], words, left), fontsize=13)


def draw_distance(file: Path, distances: Mapping[str, Mapping[int, float]],
                  shares: Mapping[str, Mapping[int, float]]) -> None:
    """Draw the agreement over the distance of subject and verb, and over the nouns of the other number between them."""
    with common.figure(file, (10, 4.5)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, curves in ((left, distances), (right, shares)):
            for label, values in curves.items():
                n = list(distances).index(label)
                axes.plot(list(values), list(values.values()), color=common.COLORS[n], marker="osx"[n], label=label)
            axes.grid(alpha=0.3)
        left.axvspan(-1, 3 * LONGEST, color="#8A8A8A", alpha=0.2, linewidth=0, label="in training")
        ticks = list(next(iter(distances.values())))
        left.set(xscale="symlog", xlim=(-0.5, 130), xticks=ticks, xticklabels=ticks, ylim=(-0.05, 1.08),
                 xlabel="words between subject and verb", ylabel="share of the verbs that agree",
                 title="all nouns between have the other number")
        right.set(xlabel=f"of {BETWEEN} nouns between, those of the other number", title=f"{3 * BETWEEN} words between")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle("The verb agrees with its subject far beyond the distances of the training")


def draw_encodings(file: Path, values: NDArray[np.float64], tested: Encodings) -> None:
    """Draw texts in the plane of the two probes, with the end of one text of each of the four kinds."""
    with common.figure(file, (8, 5.5)) as figure:
        axes = figure.subplots()
        for number, label in enumerate(("singular", "plural")):
            for to_come, marker in enumerate("xo"):
                where = (tested.facts == (number, to_come)).all(axis=1)
                axes.scatter(values[where, 1], values[where, 0], color=common.COLORS[number], marker=marker, s=16,
                             label=f"{label}, {'a verb is to come' if to_come else 'no verb is to come'}")
                words = next((words.split() for words, here in zip(tested.texts, where) if here), [])
                axes.text(2.2 * to_come - 1.1, 2.5 * (2 * number - 1), " ".join(["…", *words[-5:]]), ha="center",
                          va="center", fontsize=9, color=common.COLORS[number])
        axes.axhline(0, color="#555555", linewidth=1)
        axes.axvline(0, color="#555555", linewidth=1)
        number, verb_to_come = ((values > 0) == tested.facts).mean(axis=0)
        axes.set(title="Two linear probes of h[t], on new texts",
                 xlabel=f"probe: is a verb still to come in the clause? ({verb_to_come:.0%} right)",
                 ylabel=f"probe: is the subject plural? ({number:.0%} right)",
                 xlim=(-2.3, 2.3), ylim=(-2.9, 2.9))
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)


def example(options: common.Options) -> None:
    rng, tested = options.rng, 40 if options.small else 400
    cell, losses = trained(lstm, options.steps, rng)
    common.draw_losses(options.out / "loss.png", {f"{BATCH} texts of {STEPS} words": losses}, ylabel="nats per word",
                       title="The next word")
    viz.rolled(cell).render(outfile=options.out / "network.png")
    viz.rolled(listing(cells.parameters_of(cell, "h"))).render(outfile=options.out / "listing.png")
    chosen, new = ([text(60, rng) for _ in range(tested)] for _ in range(2))
    print(f"the listing and cells.lstm differ by at most {listing_difference(cell, new[:3]):.1e}\n")

    curves, shares = distance_curves(cell, tested, rng)
    for words, share in curves["the LSTM"].items():
        print(f"{words} words after the subject {share:.1%} of the verbs agree")
    draw_distance(options.out / "distance.png", curves, shares)

    unit = best_unit(computed(cell, chosen)["h.c"], chosen)
    outputs = computed(cell, new)
    f, c = outputs["h.f"], outputs["h.c"]
    print(f"unit {unit.element} alone tells the subject's number at {told(unit, c, new):.1%} of the words")
    left = {"after a new subject": kept(unit, f, new, "subject"), "after another noun": kept(unit, f, new, "noun")}
    for name, (singular, plural) in left.items():
        print(f"of its value is left {name} of the other number: singular {singular:.3f}, plural {plural:.3f}")
    print("with the unit's value for the other number, {1:.1%} of the verbs agree; before {0:.1%}".format(
        *exchanged(cell, unit, tested, rng)))
    draw_gates(options.out / "gates.png", cell, unit, left)

    learned, other = (encodings(cell, tested, rng) for _ in range(2))
    for name, texts in other.items():
        same = (texts.facts == texts.facts[neighbours(texts.vectors)]).mean(axis=0)
        right = ((probe(learned[name], texts) > 0) == texts.facts).mean(axis=0)
        print("{}: nearest neighbours have the same number at {:.0%}, the same verb to come at {:.0%}; "
              "linear probes are right at {:.0%} and {:.0%}".format(name, *same, *right))
    print("threshold: up to 48 words after the subject more than 95% agree, with the unit's other value less than 20%; "
          "after a new subject less than 0.1 is left, after another noun more than 0.5; nearest neighbours by h[t] "
          "agree at more than 90%")
    for n, nearest in list(enumerate(neighbours(other["h[t]"].vectors)))[:4]:
        print("    " + "  ~  ".join(" ".join(other["h[t]"].texts[each].split()[-9:]) for each in (n, nearest)))
    draw_encodings(options.out / "encoding.png", probe(learned["h[t]"], other["h[t]"]), other["h[t]"])


if __name__ == "__main__":
    sys.exit(common.Parser("agreement", __doc__.splitlines()[0], steps=1500, seed=2).run(example))
