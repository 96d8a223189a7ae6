"""examples/images/captions.py: its images, its encoder against loops, its decoder and attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from examples.images import captions
from rnn import Cell, t

N, P, V = captions.CELLS, captions.PATCH, captions.VIEW


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def thing(name: str, row: float, column: float) -> captions.Thing:
    color, shape = name.split()
    return captions.Thing(captions.KINDS.index((color, shape)), row, column, 5)


class TestTheImages:
    def test_a_caption_says_what_is_where(self) -> None:
        things = thing("red circle", 8, 8), thing("blue square", 23, 9)
        assert " ".join(captions.Scene(things, "above").caption) == "a red circle above a blue square"
        assert " ".join(captions.Scene(things[1:]).caption) == "a blue square"

    @pytest.mark.parametrize("number", range(50))
    def test_the_first_object_is_above_or_left_and_all_of_it_is_in_the_image(self, number: int) -> None:
        one, other = (shown := captions.scene([0, 5], np.random.default_rng(number))).things
        if shown.relation == "above":
            assert one.row + one.radius < other.row - other.radius + 1
        else:
            assert one.column + one.radius < other.column - other.radius + 1
        for each in (one, other):
            assert min(each.row, each.column) > each.radius
            assert max(each.row, each.column) + each.radius < captions.SIDE

    @pytest.mark.parametrize(("shape", "least", "most"),
                             [("circle", 70, 87), ("square", 100, 130), ("triangle", 40, 66)])
    def test_an_object_has_its_color_and_about_its_area(self, shape: str, least: float, most: float,
                                                       rng: np.random.Generator) -> None:
        shown = captions.Scene((thing(f"red {shape}", 15.3, 15.7),))
        red = captions.painted(shown, rng)[..., 0] > 0.6
        assert least <= red.sum() <= most
        rows, columns = np.nonzero(red)
        assert abs(columns.mean() - 15.7) < 0.6
        assert 14.5 < rows.mean() < 18

    def test_the_pairs_of_the_test_are_not_in_the_training(self, rng: np.random.Generator) -> None:
        known, new = captions.split(rng)
        assert not set(known) & set(new)
        assert len(known) + len(new) == 78
        pairs = {tuple(sorted(each.kind for each in shown.things)) for shown in captions.scenes(500, known, rng, 0.0)}
        assert pairs <= set(known)
        assert {kind for pair in known for kind in pair} == set(range(12))  # each kind is in some known pair


def encoded_by_loops(image: NDArray[Any], p: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the two convolutions of the encoder, pixel by pixel."""
    n = captions.SIDE // P
    seen = np.zeros((n, n, captions.FEATURES))
    for i in range(n):
        for j in range(n):
            total = p["f"].astype(float)
            for row in range(P):
                for column in range(P):
                    for channel in range(3):
                        weight = p["F"][(row * P + column) * 3 + channel]
                        total = total + image[P * i + row, P * j + column, channel] * weight
            seen[i, j] = np.maximum(total, 0)
    places = p["P"].astype(float)
    for i in range(N):
        for j in range(N):
            for number in range(V * V):
                kernel = p["G"][number * captions.FEATURES:(number + 1) * captions.FEATURES]
                places[i * N + j] += seen[i + number // V, j + number % V] @ kernel
    return np.maximum(places, 0)


def test_the_encoder_is_two_convolutions(rng: np.random.Generator) -> None:
    cell = Cell("encoder")
    y = cell.signal("y", (N * N, captions.VALUES))
    y[t] = captions.encoder(cell, rng)
    image = captions.painted(captions.scene([3, 7], rng), rng)
    parameters = {name: tensor.numpy() for name, tensor in cell.parameters.items()}
    computed = cell.unroll(T=1, image=image)["y"][1].numpy()
    np.testing.assert_allclose(computed, encoded_by_loops(image, parameters), atol=1e-5)


class TestTheDecoder:
    def test_reads_the_word_before(self, rng: np.random.Generator) -> None:
        shown = captions.Scene((thing("red circle", 15, 15),))
        data = captions.batch([shown], rng)
        assert [captions.WORDS[code] for code in data["word"][:, 0]] == [".", "a", "red", "circle"]
        assert [captions.WORDS[code] for code in data["following"][:, 0]] == ["a", "red", "circle", "."]

    @pytest.mark.parametrize("attention", [True, False])
    def test_writes_step_by_step_what_it_scores_over_the_whole_caption(self, attention: bool,
                                                                      rng: np.random.Generator) -> None:
        cell = captions.network(attention, rng)
        cell.parameters["E"].data *= 30  # untrained it would write one word again and again
        cell.parameters["b"].data[captions.CODES["."]] = -100  # it writes no end
        images = np.stack([captions.painted(captions.scene([1, 9], rng), rng) for _ in range(3)])
        written, weights = captions.described(cell, images)
        assert min(len(set(caption)) for caption in written) > 1
        codes = [[captions.CODES[word] for word in [".", *caption]] for caption in written]
        for n, code in enumerate(codes):
            word = np.array(code)[:captions.LONGEST, None]
            outputs = cell.compile()(word=word, following=word, image=images[n:n + 1])
            best = outputs["scores"][:, 0].argmax(axis=-1)
            assert [captions.WORDS[k] for k in best][:len(written[n])] == written[n]
            if weights is not None:
                np.testing.assert_allclose(weights[:len(word), n], outputs["attention.a"][:, 0], atol=1e-5)
        assert (weights is not None) == attention

    def test_all_attention_is_somewhere(self, rng: np.random.Generator) -> None:
        cell = captions.network(True, rng)
        _, weights = captions.described(cell, captions.batch(captions.scenes(4, captions.PAIRS, rng), rng)["image"])
        assert weights is not None
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


def test_a_place_sees_the_pixels_of_its_patches() -> None:
    assert captions.reach(0) == (slice(0, P * V), slice(0, P * V))
    assert captions.reach(N * N - 1) == (slice(captions.SIDE - P * V, captions.SIDE),) * 2
    weights = np.zeros(N * N)
    weights[N] = 1  # the second row, the first column
    assert captions.on_object(weights, thing("red circle", P + 1, 3)) == 1
    assert captions.on_object(weights, thing("red circle", P - 1, 3)) == 0


def test_an_image_is_the_scene_on_a_dark_grey_with_noise(rng: np.random.Generator) -> None:
    shown = captions.Scene((thing("red circle", 15, 15),))
    level = np.random.default_rng(8).uniform(0, 0.3)
    noise = captions.painted(shown, np.random.default_rng(8)) - captions.drawn(shown, level)
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(0.08, abs=0.01)


def test_a_scene_fades_where_no_attention_is() -> None:
    shown = captions.Scene((thing("red circle", 5, 5),))
    weights = np.zeros(N * N)
    weights[0] = 1
    faded, full = captions.faded(shown, weights), captions.drawn(shown, 0.55)
    seen = captions.reach(0)
    np.testing.assert_allclose(faded[seen], full[seen])
    assert faded[-1, -1].min() > 0.9


def test_the_title_of_the_attention_is_what_was_measured() -> None:
    attention = {"colour of the first": np.array([0.9, 0.03]), "colour of the second": np.array([0.07, 0.8])}
    assert "85% of the attention is on the object, 5% on the other one" in captions.attention_title(attention)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_attention_describes_pairs_that_it_never_saw(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, new = captions.split(rng)
    shares = {}
    for attention in (False, True):
        cell, _ = captions.trained(attention, known, 1200, rng)
        shares[attention] = captions.exact(cell, captions.scenes(500, new, rng, 0.0), rng)
    assert shares[True] > 0.8
    assert shares[False] < 0.5
    attention = captions.attended(cell, captions.scenes(200, new, rng, 0.0), rng)
    for number, name in enumerate(("first", "second")):
        assert attention[f"colour of the {name}"][number] > 0.75
