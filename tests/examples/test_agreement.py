"""The language model of examples/text/agreement.py: its texts, the lecture's listing, what it keeps and replaces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from examples import common
from examples.text import agreement
from rnn import Cell, cells

SEEDS = [0, 1, 2]
KEEPING = 0  # of this seed a singular subject outweighs a plural value, which isn't deleted


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def untrained(rng: np.random.Generator) -> Cell:
    return agreement.network(agreement.lstm, rng)


def numbers(sentence: str) -> list[int]:
    """Return the number of each word of a text that names subjects by capitals; for the tests of `subjects`."""
    words = [agreement.Word(word.lower(), "subject" if word[0].isupper() else "", int(word.endswith("s")))
             for word in sentence.split()]
    return agreement.subjects(words).tolist()


class TestTheTexts:
    def test_every_verb_and_pronoun_has_the_number_of_the_latest_subject(self, rng: np.random.Generator) -> None:
        singular = {pair[0] for pair in agreement.VERBS} | {"it"}
        plural = {pair[1] for pair in agreement.VERBS} | {"they"}
        for _ in range(50):
            words = agreement.text(60, rng)
            for word, number in zip(words, agreement.subjects(words)):
                assert not (word.text in singular and number != 0)
                assert not (word.text in plural and number != 1)

    def test_the_number_is_known_from_the_subject_on_and_replaced_by_the_next(self) -> None:
        assert numbers("the Dogs near the cat sleep . the Cat sleeps") == [-1, 1, 1, 1, 1, 1, 1, 1, 0, 0]

    def test_nouns_between_have_the_numbers_that_are_asked_for(self, rng: np.random.Generator) -> None:
        words = agreement.before_verb([1, 0], 4, rng)[1]
        nouns = [(word.role, word.number) for word in words if word.role in ("subject", "noun")]
        assert nouns == [("subject", 0), ("subject", 1), ("noun", 0), ("noun", 1)]

    def test_the_text_of_the_picture_is_of_the_language(self) -> None:
        words = agreement.shown_text()
        assert set(agreement.codes([words]).ravel()) <= set(range(len(agreement.VOCABULARY)))
        assert [word.number for word in words if word.role == "verb"] == [1, 1, 1, 0, 1]


class TestTheListing:
    def test_of_the_lecture_is_the_cell_of_the_library(self, untrained: Cell, rng: np.random.Generator) -> None:
        assert agreement.listing_difference(untrained, [agreement.text(12, rng) for _ in range(3)]) < 1e-6

    def test_is_one_equation_for_each_state(self, untrained: Cell) -> None:
        definition = agreement.listing(cells.parameters_of(untrained, "h"))
        assert [equation.signal.name for equation in definition.equations] == ["h", "c"]
        assert set(definition.parameters.values()) == set(cells.parameters_of(untrained, "h").values())

    def test_differs_where_a_gate_is_another_one(self, untrained: Cell, rng: np.random.Generator,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
        parameters = cells.parameters_of(untrained, "h")
        definition = agreement.listing({**parameters, "W_i": 2 * parameters["W_i"]})
        monkeypatch.setattr(agreement, "listing", lambda _: definition)
        assert agreement.listing_difference(untrained, [agreement.text(12, rng)]) > 1e-3


class TestTheMeasures:
    def test_a_form_is_preferred_that_has_the_higher_score(self) -> None:
        scores = np.zeros((2, len(agreement.VOCABULARY)))
        scores[:, [agreement.CODES[plural] for _, plural in agreement.VERBS[:2]]] = 1
        scores[:, [agreement.CODES[singular] for singular, _ in agreement.VERBS[2:]]] = 1
        assert agreement.prefers(scores, [0, 1]).tolist() == [0.6, 0.4]

    def test_the_best_unit_is_found_with_its_sign(self, rng: np.random.Generator) -> None:
        texts = [agreement.text(30, rng) for _ in range(20)]
        known = np.array([agreement.subjects(words) for words in texts]).T
        c = rng.normal(size=(30, 20, 4))
        c[..., 2] = 5 - 3 * known
        unit = agreement.best_unit(c, texts)
        assert (unit.element, unit.sign) == (2, -1)
        assert agreement.told(unit, c, texts) == 1

    def test_the_best_threshold_is_between_the_numbers_and_not_between_their_means(self) -> None:
        values, numbers = np.array([9.0, 1, 0, 0.5, 0, 99]), np.array([1, 1, 0, 0, 0, 1])
        assert agreement.best_threshold(values, numbers) == 0.75
        assert agreement.best_threshold(np.append(values, 99), np.append(numbers, 0)) == 0.75  # one exception

    def test_what_is_kept_is_the_product_of_the_forget_gates_of_the_and_the_noun(self) -> None:
        """Of nouns with another number than that of the subject before, for each number."""
        words = [agreement.Word(text, role, number) for text, role, number in (
            ("the", "", 0), ("dog", "subject", 0), ("near", "", 0), ("the", "", 0), ("cats", "noun", 1),
            ("near", "", 0), ("the", "", 0), ("cat", "noun", 0), ("runs", "verb", 0), ("while", "", 0),
            ("the", "", 0), ("boys", "subject", 1), ("near", "", 0), ("the", "", 0), ("king", "noun", 0))]
        f = np.full((len(words), 1, 2), 0.9)
        f[[3, 4, 6, 7, 10, 11, 13, 14], 0, 1] = 0.5, 0.4, 0.1, 0.1, 0.2, 0.3, 0.7, 1
        unit = agreement.Unit(1, 1, 0)
        assert agreement.kept(unit, f, [words], "noun") == pytest.approx([0.7, 0.2])
        assert agreement.kept(unit, np.concatenate([f, f]), [words + words], "subject") == pytest.approx([0.81, 0.06])

    def test_the_sign_changes_over_the_determiner_or_the_noun(self) -> None:
        words = agreement.shown_text()
        c = np.where(agreement.subjects(words) == 1, 3.0, 1.0)[:, None]
        unit = agreement.Unit(0, 1, 2)
        both = ["“the king”", "“the boys”"], ["“the cat”", "“the girls”"]
        assert agreement.sign_changes(unit, c, words) == both
        place = [word.text for word in words].index("king")
        c[place - 1] = 1  # already at "the"
        assert agreement.sign_changes(unit, c, words) == both
        assert agreement.sign_changes(unit, np.ones((len(words), 1)), words)[0] == []

    def test_the_title_of_the_gates_is_what_was_measured(self) -> None:
        words = agreement.shown_text()
        title = agreement.gates_title(agreement.Unit(0, 1, 2), np.ones((len(words), 1)), words, {"here": [0.25, 1]})
        assert "changes over no noun, not over “the cat” and “the king” and" in title
        assert "0.25, 1.00 here" in title

    def test_the_nearest_neighbour_has_the_smallest_angle(self) -> None:
        assert agreement.neighbours(np.array([[1, 0], [0, 5], [3, 0.1], [0.1, 1]])).tolist() == [2, 3, 0, 1]

    def test_a_verb_is_to_come_until_it_came(self) -> None:
        words = agreement.shown_text()
        facts = [agreement.pending(words[:end]) for end in range(2, 13)]
        assert facts == [1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 0]  # dogs … sing and laugh . they wait


def test_a_program_can_have_another_default_seed() -> None:
    assert common.Parser("agreement", "", seed=2).parse_args([]).seed == 2
    assert common.Parser("agreement", "").parse_args([]).seed == 0


def right(learned: agreement.Encodings, tested: agreement.Encodings) -> NDArray[np.float64]:
    """Return the shares of new texts for which the probes tell the number, and whether a verb is to come."""
    return np.asarray(((agreement.probe(learned, tested) > 0) == tested.facts).mean(axis=0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_cell_keeps_the_number_until_a_new_subject_comes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell, _ = agreement.trained(agreement.lstm, 1500, rng)
    assert min(agreement.agreement(cell, [1] * phrases, 200, rng) for phrases in (0, 1, 2, 4, 8, 16)) > 0.95
    chosen, new = ([agreement.text(60, rng) for _ in range(200)] for _ in range(2))
    unit = agreement.best_unit(agreement.computed(cell, chosen)["h.c"], chosen)
    outputs = agreement.computed(cell, new)
    f, c = outputs["h.f"], outputs["h.c"]
    assert agreement.told(unit, c, new) > 0.97
    words = agreement.shown_text()
    shown = agreement.computed(cell, [words])["h.c"][:, 0]
    assert agreement.sign_changes(unit, shown, words) == (["“the king”", "“the boys”"], ["“the cat”", "“the girls”"])
    singular, plural = agreement.kept(unit, f, new, "subject")
    assert plural < 0.1
    assert singular < 0.1 or seed == KEEPING
    assert min(agreement.kept(unit, f, new, "noun")) > 0.5
    before, after = agreement.exchanged(cell, unit, 200, rng)
    assert before > 0.95
    assert after < 0.2
    learned, tested = (agreement.encodings(cell, 400, rng) for _ in range(2))
    assert (right(learned["h[t]"], tested["h[t]"]) > [0.8, 0.97]).all()
    assert (right(learned["last word"], tested["last word"]) < [0.75, 0.9]).all()
    facts = tested["h[t]"].facts
    assert (facts == facts[agreement.neighbours(tested["h[t]"].vectors)]).mean(axis=0).min() > 0.9
