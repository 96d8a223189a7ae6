"""Speech: words without their times, by a CTC loss that is a recurrence.

    python -m examples.speech [--seed 0] [--steps 400] [--out out/speech]

An utterance has many more frames than words, and nothing says which frame belongs to which word. CTC, connectionist
temporal classification, sums the probabilities of all alignments (Graves, Fernández, Gomez and Schmidhuber,
Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural networks, ICML 2006).
The sum is a recurrence over time, and here it is one more signal of the definition, `a` in `ctc`, through which its
gradients pass. The network below it is theirs too, a bidirectional LSTM; the best path is decoded.

The utterances are made here: 2 to 4 digits in words, whose sounds are a few peaks in 20 bands of frequency. A speaker
has a vocal tract, whose length scales all frequencies, a tempo and a tilt of the spectrum, a sound a random duration,
and each utterance its level of noise. It isn't recorded speech, and an error rate here says nothing about one there.

Thresholds: the loss is that of PyTorch's ctc_loss, and of the sum over all alignments one by one, and so are the
gradients, to 1e-12; of the words of new speakers less than 8% are wrong (edits divided by words). Measured for seeds 0,
1, 2: 2.5%, 3.0%, 4.5%, and for the speakers of the training 2.8%, 2.9%, 2.2%.
Picture: posteriors.png. Time: 20 s.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Signal, cells, sequences, t

BLANK, WORDS = 0, ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LABELS = 1 + len(WORDS)  # label k is the word k - 1
BANDS, FRAME = 20, 0.03  # of the spectrum; seconds between two frames
SHORTEST, LONGEST = 2, 4  # words in an utterance
SPEAKERS, HIDDEN, BATCH, RATE = 40, 32, 32, 0.06
TESTED, THRESHOLD = 300, 0.08  # utterances; label error rate
NOISES, TEMPOS = (0.05, 0.15, 0.25, 0.35, 0.45), (0.6, 0.8, 1.0, 1.3, 1.7)
Frames = NDArray[np.float32]


# ---- the loss ------------------------------------------------------------------------------


def ctc(cell: Cell, scores: Signal, longest: int) -> Signal:
    """Add the negative log-probability of a label sequence, the sum over all its alignments, and return it.

        p[t] = log softmax(scores[t]);  e[t][u] = p[t][z[u]]
        a[t][u] = e[t][u] + log(exp a[t-1][u] + exp a[t-1][u-1] + s[u] exp a[t-1][u-2])
        L[t] = -log(exp a[t][U-1] + exp a[t][U-2]) at the last step, and 0 before it

    z is the label sequence with a blank before, between and after the labels, U its length. exp a[t][u] is the
    probability of all alignments of the steps 1 … t that end in z[u]; s[u] is 1 where z[u-1] may be left out, which is
    a blank between different labels. Graves, Fernández, Gomez and Schmidhuber (2006), eq. 6-8.

    Args:
        longest: the most labels of a sequence. `targets` makes the data.
    """
    U, K = 2 * longest + 1, LABELS
    z, skip, end = cell.static("z", (U, K)), cell.static("skip", (U,)), cell.static("end", (U,))
    done = cell.input("done", ())
    p, e, a, L = cell.signal("p", K), cell.signal("e", U), cell.signal("a", U), cell.signal("L", ())
    p[t] = mg.log_softmax(scores[t])
    e[t] = z @ p[t]
    a[0] = np.append(0.0, np.full(U - 1, -np.inf))
    a[t] = e[t] + mg.logsumexp(mg.stack([a[t-1], later(a[t-1], 1), skip + later(a[t-1], 2)]), axis=0)
    L[t] = np.where(done[t] == 1, -mg.logsumexp(a[t] + end), 0.0)
    return L


def later(a: Any, n: int) -> Any:
    """Return a[u-n] at every u; the logarithm of 0 where there is none."""
    return mg.concatenate([*[[-np.inf]] * n, a[:-n]], axis=0)


def targets(labels: Sequence[Sequence[int]], longest: int) -> dict[str, NDArray[Any]]:
    """Return the data of `ctc`: z as one-hot rows, and log s and log 1 for the last two states, else log 0."""
    U = 2 * longest + 1
    z = np.full((len(labels), U), BLANK)
    end = np.full(z.shape, -np.inf, np.float32)
    for n, sequence in enumerate(labels):
        z[n, 1:2 * len(sequence):2] = sequence
        end[n, max(2 * len(sequence) - 1, 0):2 * len(sequence) + 1] = 0
    skip = np.full(z.shape, -np.inf, np.float32)
    skip[:, 2:][(z[:, 2:] != BLANK) & (z[:, 2:] != z[:, :-2])] = 0
    return {"z": np.eye(LABELS, dtype=np.float32)[z], "skip": skip, "end": end}


# ---- utterances ----------------------------------------------------------------------------

# A sound is a list of peaks of its spectrum: frequency (Hz), width (mel), level. The first three formants of vowels
# are the men's averages of Peterson and Barney (1952), table II; the consonants are rough.
VOWELS = {"IY": (270, 2290, 3010), "IH": (390, 1990, 2550), "EH": (530, 1840, 2480), "AH": (640, 1190, 2390),
          "AA": (730, 1090, 2440), "AO": (570, 840, 2410), "UH": (440, 1020, 2240), "UW": (300, 870, 2240)}
SOUNDS: dict[str, list[tuple[float, float, float]]] = {
    **{vowel: [(f, 90, level) for f, level in zip(formants, (1.0, 0.7, 0.4))] for vowel, formants in VOWELS.items()},
    "R": [(310, 90, 0.8), (1060, 90, 0.5), (1380, 90, 0.4)], "W": [(290, 90, 0.8), (610, 90, 0.5)],
    "N": [(250, 90, 0.7), (1500, 150, 0.2)], "S": [(5500, 250, 0.9)], "Z": [(5300, 250, 0.7), (250, 90, 0.5)],
    "F": [(4500, 700, 0.3)], "V": [(4300, 700, 0.2), (250, 90, 0.5)], "TH": [(6000, 400, 0.35)],
    "T": [(4000, 500, 0.6)], "K": [(2000, 300, 0.6)], "": []}  # silence
SPELLINGS = ("Z IH R UH", "W AH N", "T UW", "TH R IY", "F AO R", "F AA IH V", "S IH K S", "S EH V AH N", "EH IH T",
             "N AA IH N")
SECONDS = {"T": 0.06, "K": 0.06, "V": 0.07, "R": 0.07, "W": 0.08, "": 0.1}  # others last 0.1


class Speaker(NamedTuple):
    """A voice: all frequencies and durations are multiplied by two numbers, and the spectrum is tilted.

    The frequencies are those of formants, which are higher in a shorter vocal tract. There is no pitch.
    """

    formants: float
    slowness: float
    tilt: float


def speakers(count: int, rng: np.random.Generator) -> list[Speaker]:
    return [Speaker(*row) for row in zip(rng.uniform(0.85, 1.2, count), rng.uniform(0.8, 1.25, count),
                                         rng.normal(0, 0.15, count))]


def mel(hertz: Any) -> Any:
    """Return the place of a frequency on the mel scale."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


@functools.cache
def spectrum(sound: str, speaker: Speaker) -> NDArray[np.float64]:
    """Return the level of each band, (BANDS,)."""
    bands = np.linspace(mel(150), mel(6500), BANDS)
    peaks = [level * np.exp(-((bands - mel(f * speaker.formants)) / width) ** 2) for f, width, level in SOUNDS[sound]]
    tilt = 1 + speaker.tilt * np.linspace(-1, 1, BANDS)
    return np.sum(peaks, axis=0) * tilt if peaks else np.zeros(BANDS)


def utterance(words: Sequence[int], speaker: Speaker, noise: float, rng: np.random.Generator) -> Frames:
    """Return the frames of words, (T, BANDS): sounds of random durations, that run into each other, and noise."""
    sounds = ["", *" ".join(SPELLINGS[word] + rng.choice([" ", "  "]) for word in words).split(" ")]
    seconds = [SECONDS.get(sound, 0.1) * speaker.slowness * rng.uniform(0.75, 1.3) for sound in sounds]
    counts = np.maximum(np.rint(np.divide(seconds, FRAME)).astype(int), 2)
    levels = np.repeat([spectrum(sound, speaker) for sound in sounds], counts, axis=0)
    padded = np.pad(levels, ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return np.asarray(smooth + rng.normal(0, noise, smooth.shape), np.float32)


class Utterances(NamedTuple):
    """Utterances of one batch, and the words of each."""

    frames: list[Frames]
    words: list[list[int]]


def spoken(count: int, voices: Sequence[Speaker], rng: np.random.Generator, noise: float | None = None,
           faster: float = 1.0) -> Utterances:
    """Return utterances of random words by random voices.

    Args:
        noise: its standard deviation; by default each utterance has its own, from 0.05 to 0.25.
        faster: divides all durations.
    """
    words = [rng.integers(len(WORDS), size=rng.integers(SHORTEST, LONGEST + 1)).tolist() for _ in range(count)]
    chosen = [voices[n] for n in rng.integers(len(voices), size=count)]
    frames = [utterance(w, voice._replace(slowness=voice.slowness / faster),
                        rng.uniform(0.05, 0.25) if noise is None else noise, rng) for w, voice in zip(words, chosen)]
    return Utterances(frames, words)


# ---- the network ---------------------------------------------------------------------------


def network(rng: np.random.Generator) -> Cell:
    """Return an LSTM in both directions with a score for every word and the blank at each step, and its loss."""
    cell = Cell("speech")
    x = cell.input("x", BANDS)
    h = cells.bidirectional(cell, cells.lstm, x, HIDDEN, name="h", rng=rng, dtype=np.float32)
    V = mg.init.glorot((LABELS, 2 * HIDDEN), rng, name="V", dtype=np.float32)
    b = mg.init.zeros((LABELS,), name="b", dtype=np.float32)
    scores = cell.signal("scores", LABELS)
    scores[t] = V @ h[t] + b
    ctc(cell, scores, LONGEST)
    return cell


def trained(cell: Cell, voices: Sequence[Speaker], updates: int, rng: np.random.Generator) -> list[float]:
    """Train on new utterances of some speakers; the loss of every update, in nats a frame."""
    return common.train(cell, lambda: batch(spoken(BATCH, voices, rng)), updates, rate=RATE)


def batch(said: Utterances) -> dict[str, Any]:
    """Return utterances as data of the network, scaled: a mean near -0.3, a standard deviation near 0.7."""
    x, lengths = sequences.pad(said.frames)
    done = np.zeros(x.shape[:2], np.float32)
    done[lengths - 1, np.arange(len(lengths))] = 1
    return {"x": 3 * x - 0.5, "done": done, "lengths": lengths,
            **targets([[1 + word for word in words] for words in said.words], LONGEST)}


def decoded(p: NDArray[Any]) -> list[int]:
    """Return the words of the best path: the likeliest label at each step, repetitions and then blanks left out.

    Graves et al. (2006), section 3.2.
    """
    best = p.argmax(axis=-1)
    first = np.diff(best, prepend=BLANK) != 0
    return [int(label) - 1 for label in best[first] if label != BLANK]


def distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the fewest insertions, deletions and substitutions from a to b: Levenshtein (1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def label_error(cell: Cell, said: Utterances) -> float:
    """Return the edits from what is decoded to what was said, divided by the number of words said."""
    data = batch(said)
    with mg.no_grad():
        p = cell.compile()(**data)["p"]
    edits = sum(distance(decoded(p[:T, n]), words)
                for n, (T, words) in enumerate(zip(data["lengths"], said.words)))
    return edits / sum(map(len, said.words))


# ---- pictures ------------------------------------------------------------------------------


def alignment(cell: Cell, said: Utterances) -> NDArray[np.float64]:
    """Return the probability of each z[u] at each step, given the words of one utterance: (U, T).

    It is the gradient of log p(words) by e: an alignment's probability has the factor exp e[t][u] if it passes there.
    """
    run = cell.unroll(**batch(said))
    gradients = mg.grad(-run["L"].stack().sum(), [run["e"][step] for step in range(1, run.T + 1)])
    return np.stack([gradient[0] for gradient in gradients], axis=1)[:2 * len(said.words[0]) + 1]


def draw_posteriors(file: Path, cell: Cell, said: Utterances) -> None:
    """Draw the frames of one utterance, and the probability of each word and the blank at each."""
    with mg.no_grad():
        p = np.exp(cell.compile()(**batch(said))["p"][:, 0])
    seconds = np.arange(len(p)) * FRAME
    with common.figure(file, (9, 5)) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        above.imshow(said.frames[0].T, origin="lower", aspect="auto", cmap="Greys", interpolation="nearest",
                     extent=(-FRAME / 2, seconds[-1] + FRAME / 2, 0.5, BANDS + 0.5))
        above.set(ylabel="band",
                  title="Each word is a short peak, with blanks between; in training no times were given")
        below.plot(seconds, p[:, BLANK], color="#555555", linestyle=":", label="blank")
        for word, color in zip(sorted(set(said.words[0])), common.COLORS):
            below.plot(seconds, p[:, 1 + word], color=color, linewidth=2, label=WORDS[word])
        below.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.05))
        below.grid(alpha=0.3)
        below.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=6, frameon=False)


def draw_alignments(file: Path, words: Sequence[int], probabilities: dict[str, NDArray[np.float64]]) -> None:
    """Draw the probabilities of `alignment`, a panel for each network."""
    with common.figure(file, (9, 4)) as figure:
        names = ["blank", *(name for word in words for name in (WORDS[word], "blank"))]
        for axes, (label, values) in zip(figure.subplots(1, len(probabilities), sharey=True), probabilities.items()):
            shades = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1,
                                 interpolation="nearest", extent=(-FRAME / 2, (values.shape[1] - 0.5) * FRAME, -0.5,
                                                                  len(names) - 0.5))
            axes.set(title=label, xlabel="seconds", yticks=range(len(names)), yticklabels=names)
        figure.colorbar(shades, ax=figure.axes, label="probability, given the words")


def draw_errors(file: Path, noises: dict[str, dict[float, float]], tempos: dict[str, dict[float, float]]) -> None:
    """Draw label error rates against noise and tempo, a curve for each group of speakers."""
    with common.figure(file, (9, 4)) as figure:
        for axes, curves, xlabel, trained in zip(
                figure.subplots(1, 2, sharey=True), (noises, tempos),
                ("noise (standard deviation)", "tempo, times the speaker's own"), ((0.05, 0.25), (0.97, 1.03))):
            for (group, rates), color, marker in zip(curves.items(), common.COLORS, "os"):
                axes.plot(list(rates), list(rates.values()), color=color, marker=marker, label=group)
            axes.axvspan(*trained, color="#8A8A8A", alpha=0.2, linewidth=0)
            axes.set(xlabel=xlabel, ylim=(0, None))
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel("label error rate")
        figure.axes[0].legend(loc="upper left")
        figure.suptitle("New voices cost little; noise beyond that of the training (grey) costs most")


def example(options: common.Options) -> None:
    rng, tested = options.rng, 10 if options.small else TESTED
    groups = {"speakers of the training": speakers(SPEAKERS, rng), "new speakers": speakers(SPEAKERS, rng)}
    known, new = groups.values()
    cell = network(rng)
    viz.rolled(cell, level="layers").render(outfile=options.out / "network.png")
    shown = spoken(1, new[:1], np.random.default_rng([options.seed, 1]), 0.15)
    seen = {"before training: anywhere, in order": alignment(cell, shown)}
    losses = trained(cell, known, options.steps, rng)
    seen["after training: in one place each"] = alignment(cell, shown)
    common.draw_losses(options.out / "loss.png", {f"{BATCH} utterances": losses}, ylabel="nats per frame",
                       title="Connectionist temporal classification", yscale="log")
    draw_posteriors(options.out / "posteriors.png", cell, shown)
    draw_alignments(options.out / "alignment.png", shown.words[0], seen)

    for group, voices in groups.items():
        print(f"label error rate, {group}: {label_error(cell, spoken(tested, voices, rng)):.1%}")
    print(f"threshold: new speakers below {THRESHOLD:.0%}")
    noises = {group: {noise: label_error(cell, spoken(tested // 2, voices, rng, noise)) for noise in NOISES}
              for group, voices in groups.items()}
    tempos = {group: {tempo: label_error(cell, spoken(tested // 2, voices, rng, None, tempo)) for tempo in TEMPOS}
              for group, voices in groups.items()}
    draw_errors(options.out / "errors.png", noises, tempos)


if __name__ == "__main__":
    sys.exit(common.Parser("speech", __doc__.splitlines()[0], steps=400).run(example))
