"""examples/signals/speech.py: its CTC loss against all alignments and PyTorch, its utterances and decoder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from examples.signals import speech
from rnn import Cell

LABELS = [[1, 2], [3, 3], [2], [], [2, 1, 2]]
LENGTHS = np.array([5, 4, 1, 3, 4])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture
def scores(rng: np.random.Generator) -> NDArray[Any]:
    return rng.normal(size=(5, len(LABELS), speech.LABELS)) * 2


def definition() -> Cell:
    cell = Cell("loss")
    speech.ctc(cell, cell.input("scores", speech.LABELS), 3)
    return cell


def data(scores: Any) -> dict[str, Any]:
    done = np.zeros(scores.shape[:2])
    done[LENGTHS - 1, np.arange(len(LENGTHS))] = 1
    return {"scores": scores, "done": done, "lengths": LENGTHS, **speech.targets(LABELS, 3)}


def collapsed(path: tuple[int, ...]) -> list[int]:
    """Return what an alignment spells: a label that follows itself counts once, a blank not at all."""
    return [label for label, before in zip(path, (None, *path)) if label not in (before, speech.BLANK)]


def alignments(labels: list[int], T: int) -> Iterator[tuple[int, ...]]:
    """Yield every sequence of T labels that spells these, by trying all."""
    for path in product([speech.BLANK, *sorted(set(labels))], repeat=T):
        if collapsed(path) == labels:
            yield path


def summed_probability(scores: NDArray[Any], labels: list[int]) -> float:
    p = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    return sum(float(np.prod([p[t, label] for t, label in enumerate(path)])) for path in alignments(labels, len(p)))


class TestTheLoss:
    def test_is_the_sum_over_all_alignments(self, scores: NDArray[Any]) -> None:
        losses = definition().unroll(**data(scores))["L"].stack().numpy().sum(axis=0)
        for n, (labels, T) in enumerate(zip(LABELS, LENGTHS)):
            assert losses[n] == pytest.approx(-np.log(summed_probability(scores[:T, n], labels)), rel=1e-12)

    def test_is_counted_at_the_last_step_of_each_sequence(self, scores: NDArray[Any]) -> None:
        losses = definition().unroll(**data(scores))["L"].stack().numpy()
        assert [np.flatnonzero(column).tolist() for column in losses.T] == [[T - 1] for T in LENGTHS]

    def test_has_the_derivatives_of_central_differences(self, scores: NDArray[Any]) -> None:
        x = mg.Tensor(scores, requires_grad=True, name="scores")
        assert mg.gradcheck(lambda: definition().unroll(**data(x))["L"].stack().sum(), [x]) < 1e-5

    def test_is_infinite_where_there_is_no_alignment(self, scores: NDArray[Any]) -> None:
        given = {**data(scores), **speech.targets([[1, 1, 1], *LABELS[1:]], 3)}  # 3 equal labels need 5 steps
        given["lengths"] = np.array([4, *LENGTHS[1:]])
        given["done"][:, 0] = [0, 0, 0, 1, 0]
        assert definition().unroll(**given)["L"].stack().numpy().sum(axis=0)[0] == np.inf

    def test_compiled_has_the_same_value_and_gradients(self, rng: np.random.Generator) -> None:
        cell, said = speech.network(rng), speech.spoken(3, speech.speakers(2, rng), rng)
        loss = cell.unroll(**speech.batch(said))["L"].stack().sum()
        expected = mg.grad(loss, cell.parameters)
        assert cell.compile(loss="L")(**speech.batch(said)).loss == pytest.approx(loss.item(), rel=1e-5)
        for name, gradient in expected.items():
            np.testing.assert_allclose(cell.parameters[name].grad, gradient, atol=1e-4 * np.abs(gradient).max())

    def test_is_pytorch_s_and_its_gradient_too(self, scores: NDArray[Any]) -> None:
        torch = pytest.importorskip("torch")
        x = mg.Tensor(scores, requires_grad=True, name="scores")
        losses = definition().unroll(**data(x))["L"].stack().sum(axis=0)
        losses.sum().backward()
        theirs = torch.tensor(scores, requires_grad=True)
        expected = torch.nn.functional.ctc_loss(
            torch.log_softmax(theirs, -1), torch.tensor([label for labels in LABELS for label in labels]),
            torch.tensor(LENGTHS), torch.tensor([len(labels) for labels in LABELS]), blank=0, reduction="none")
        expected.sum().backward()
        np.testing.assert_allclose(losses.numpy(), expected.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(x.grad, theirs.grad.numpy(), atol=1e-12)


class TestTheAlignment:
    def test_is_the_share_of_the_alignments_that_pass(self, rng: np.random.Generator) -> None:
        """Of a network that says the same at each step, an alignment's probability follows from its labels alone."""
        cell = speech.network(rng)
        for parameter in cell.parameters.values():
            parameter.data[:] = 0
        said = speech.Utterances([np.zeros((5, speech.BANDS), np.float32)], [[0, 1]])
        z, total = [0, 1, 0, 2, 0], np.zeros((5, 5))
        for places in product(range(5), repeat=5):  # the way through z
            steps = np.diff([-1, *places])
            allowed = all(step in (0, 1) or (step == 2 and z[place] != 0) for step, place in zip(steps, places))
            if allowed and steps[0] > 0 and places[-1] >= 3 and max(steps) <= 2:
                total[places, range(5)] += 1
        np.testing.assert_allclose(speech.alignment(cell, said), total / total.sum(axis=0), atol=1e-5)


class TestTheUtterances:
    def test_a_shorter_vocal_tract_moves_the_spectrum_up(self) -> None:
        low, high = (speech.spectrum("IY", speech.Speaker(formants, 1, 0)) for formants in (0.85, 1.2))
        bands = np.arange(speech.BANDS)
        assert (high @ bands) / high.sum() > (low @ bands) / low.sum() + 0.3

    def test_a_faster_one_is_shorter(self, rng: np.random.Generator) -> None:
        voices = speech.speakers(3, rng)
        slow, fast = (np.mean([len(frames) for frames in speech.spoken(50, voices, rng, 0.1, tempo).frames])
                      for tempo in (1, 1.5))
        assert 1.3 < slow / fast < 1.7

    def test_are_scaled_as_the_network_s_input(self, rng: np.random.Generator) -> None:
        data = speech.batch(speech.spoken(200, speech.speakers(20, rng), rng))
        x = np.concatenate([data["x"][:T, n] for n, T in enumerate(data["lengths"])])
        assert x.mean() == pytest.approx(-0.3, abs=0.1)
        assert x.std() == pytest.approx(0.7, abs=0.1)

    def test_only_sounds_that_are_known_are_spelled(self) -> None:
        assert set(" ".join(speech.SPELLINGS).split()) <= set(speech.SOUNDS)
        assert len(speech.SPELLINGS) == len(speech.WORDS) == 10


class TestTheDecoder:
    def test_leaves_out_repetitions_and_then_blanks(self) -> None:
        path = [0, 0, 3, 3, 0, 3, 1, 1, 1, 0]
        assert speech.decoded(np.eye(speech.LABELS)[path]) == [2, 2, 0]

    def test_a_label_at_the_first_step_counts(self) -> None:
        assert speech.decoded(np.eye(speech.LABELS)[[5, 5, 6]]) == [4, 5]

    @pytest.mark.parametrize(("a", "b", "edits"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3),
                                                   ("abc", "abc", 0), ("flaw", "lawn", 2)])
    def test_counts_the_fewest_edits(self, a: str, b: str, edits: int) -> None:
        assert speech.distance([*map(ord, a)], [*map(ord, b)]) == edits


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_words_of_new_speakers_are_recognised(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, new = speech.speakers(speech.SPEAKERS, rng), speech.speakers(speech.SPEAKERS, rng)
    cell = speech.network(rng)
    speech.trained(cell, known, 400, rng)
    assert speech.label_error(cell, speech.spoken(300, new, rng)) < speech.THRESHOLD
