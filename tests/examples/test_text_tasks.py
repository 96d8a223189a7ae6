"""Sentiment, answers, summaries and translations: the data mean what they say, the networks compute what they claim."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg

sys.path.insert(0, str(Path(__file__).parents[2]))  # the examples are not installed
from examples import common
from examples.text import _encoder_decoder as joint
from examples.text import answers, sentiment, summary, translation

SEEDS = [0, 1, 2]
STEPS = {"sentiment": 500, "answers": 1000, "summary": 500, "translation": 500}


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed or 0)


def printed(name: str, folder: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, list[float]]:
    """Run an example, and return the percentages of each line that it prints, by the text before the colon."""
    pytest.importorskip("matplotlib")
    module = importlib.import_module(f"examples.text.{name}")
    module.example(common.Options(**{"seed": 0, "steps": STEPS[name], "small": False, "out": folder, **options}))
    lines = [line.split(":", 1) for line in capsys.readouterr().out.splitlines() if "%" in line]
    return {start: [float(number) for number in re.findall(r"([\d.]+)%", rest)] for start, rest in lines}


class TestEncoderAndDecoder:
    """Two compiled programs have the gradients of one unrolled graph."""

    @staticmethod
    def expected(encoder: Any, decoder: Any, batch: joint.Batch) -> tuple[float, list[Any]]:
        states = encoder.unroll(**batch.source)[joint.STATES].stack().transpose(1, 0, 2)
        run = decoder.unroll(**batch.target, states=states)
        mask = np.ones(run["L"].stack().shape) if run.mask is None else run.mask
        loss = run["L"].stack().sum() / mask.sum()
        return loss.item(), mg.grad(loss, [*encoder.parameters.values(), *decoder.parameters.values()])

    @pytest.mark.parametrize("task", ["translation", "without attention", "summary"])
    def test_the_gradients_pass_the_states(self, task: str) -> None:
        if task == "summary":
            encoder, decoder = summary.encoder_of(rng(1)), summary.decoder_of(rng(2))
            batch = summary.taught([summary.report(rng(n)) for n in range(3)])
        else:
            encoder, decoder = translation.encoder_of(rng(1)), translation.decoder_of(task == "translation", rng(2))
            batch = translation.taught([7, 21_000, 654_321])
        loss, gradients = self.expected(encoder, decoder, batch)
        found = joint.update(encoder.compile(), decoder.compile(loss="L", reduction="mean"), batch)
        assert found == pytest.approx(loss, rel=1e-5)
        for p, gradient in zip([*encoder.parameters.values(), *decoder.parameters.values()], gradients):
            np.testing.assert_allclose(p.grad, gradient, rtol=1e-3, atol=1e-6, err_msg=p.name)


class TestSentiment:
    @staticmethod
    def meaning(text: str) -> bool:
        """Read a review: find the clause that decides, and count its negations."""
        body = next(part for part in text.split(" .") if {*part.split()} & {*sentiment.GOOD, *sentiment.BAD}).strip()
        clauses = [clause for clause in re.split(r" but | although |^although | , ", body) if clause]
        words = (clauses[0] if " although " in body else clauses[-1]).split()
        negations = sum(words.count(word) for word in ("not", "never", "nobody", "hardly"))
        good = any(word in sentiment.GOOD for word in words)
        return good != (negations % 2 == 1)

    def test_a_reader_of_the_texts_agrees_with_the_labels(self) -> None:
        for make in sentiment.TESTS.values():
            for each in make(60, rng(3), sentiment.held_out(rng(4))):
                assert self.meaning(each.text) == each.praises, each.text

    def test_twins_have_the_same_words_and_opposite_meanings(self) -> None:
        drawn = sentiment.twins(100, rng(5), set())
        for one, other in zip(drawn[::2], drawn[1::2]):
            assert Counter(one.text.split()) == Counter(other.text.split())
            assert one.praises != other.praises

    def test_held_out_pairs_are_never_taught(self) -> None:
        new = sentiment.held_out(rng(6))
        assert len(new) == int(0.2 * len(sentiment.NEGATED) * 16)
        forms = [re.compile(template.format(noun=r"\w+", degree="(?:very |really )?", adjective=adjective)
                            .replace(")? ", ")?") + r"\b") for template, adjective in sorted(new)]
        taught = [each.text for each in sentiment.taught(300, rng(7), new)]
        assert not [text for text in taught if any(form.search(text) for form in forms)]
        assert all(any(form.search(each.text) for form in forms) for each in sentiment.with_new_pairs(40, rng(8), new))

    @pytest.mark.parametrize("test", sentiment.TESTS)
    def test_reviews_of_the_lessons_are_left_out_of_the_tests(self, test: str) -> None:
        new, make = sentiment.held_out(rng(4)), sentiment.TESTS[test]
        seen = {each.text for each in make(40, rng(16), new)}
        fresh = make(40, rng(16), new, seen)
        assert len(fresh) == 40 and seen.isdisjoint(each.text for each in fresh)

    def test_a_bag_of_words_is_the_sum_of_the_words_weights(self) -> None:
        cell, drawn = sentiment.bag(rng()), sentiment.twins(20, rng(9), set())
        V = cell.parameters["V"]
        V.data = rng(10).normal(size=V.shape).astype(np.float32)
        scores = cell.compile()(**sentiment.encoded(drawn)).final("y")
        expected = [sum(V.data[sentiment.WORDS.index(word)] for word in each.text.split()) for each in drawn]
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("make", [sentiment.bag, sentiment.deep_bag])
    def test_no_bag_tells_twins_apart(self, make: Any) -> None:
        cell, drawn = make(rng(11)), sentiment.twins(20, rng(12), set())
        cell.parameters["V"].data = rng(13).normal(size=cell.parameters["V"].shape).astype(np.float32)
        scores = cell.compile()(**sentiment.encoded(drawn)).final("y")
        np.testing.assert_allclose(scores[::2], scores[1::2], rtol=1e-4, atol=1e-5)
        assert sentiment.right(cell, drawn) == 0.5

    def test_the_influences_of_the_words_sum_to_the_score(self) -> None:
        cell, text = sentiment.lstm(rng(14)), "the plot is dull but nobody found the song weak ."
        cell.parameters["V"].data = cell.parameters["V"].data * np.float32(20)  # curved, as a trained one
        found, _ = sentiment.influence(cell, text)
        data = sentiment.encoded([sentiment.Review(text, True, None)] * 2)
        silent, heard = cell.compile()(**{**data, "scale": np.array([0, 1])})["y"][-1]
        assert found.sum() == pytest.approx(heard - silent, abs=1e-3)

    def test_the_influence_of_a_word_is_the_mean_of_slopes_towards_its_vector(self) -> None:
        cell, text = sentiment.lstm(rng(15)), "the plot is not good ."
        found, _ = sentiment.influence(cell, text)
        E, score, scales = cell.parameters["E"], cell.compile(), np.linspace(0.05, 0.95, 10)
        data = sentiment.encoded([sentiment.Review(text, True, None)] * len(scales))
        start, means = E.numpy().copy(), []
        for word in text.split():  # each occurs once, so that its row of E is its vector alone
            scores = []
            for h in (0.02, -0.02):
                E.data = start.copy()
                E.data[sentiment.WORDS.index(word)] *= 1 + h
                scores.append(score(**{**data, "scale": scales.astype(np.float32)})["y"][-1])
            means.append(((scores[0] - scores[1]) / (0.04 * scales)).mean())  # e[t] is scale times E
        np.testing.assert_allclose(found, means, rtol=0.02, atol=2e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_order_matters(self, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = printed("sentiment", tmp_path, capsys, seed=seed)
        assert min(found["LSTM"]) > 95
        for name in ("bag of words", "bag, hidden layer"):
            simple, reviews, twins, _ = found[name]
            assert simple > 95
            assert reviews < 80
            assert twins == 50


class TestAnswers:
    @staticmethod
    def answer(facts: list[str], asked: str) -> str:
        """Read the facts backwards."""
        if asked not in answers.PEOPLE:
            (asked,) = {fact.split()[0] for fact in facts if fact.endswith(f"the {asked}")}
        return next(fact.split()[-1] for fact in reversed(facts)
                    if fact.startswith(asked) and fact.split()[-1] in answers.PLACES)

    @pytest.mark.parametrize("needed", [1, 2])
    def test_a_reader_of_the_facts_gives_the_answer(self, needed: int) -> None:
        for length in (2, 5, 12):
            for _ in range(50):
                each = answers.story(length, needed, rng(length, needed))
                assert len(each.facts) == length
                asked = each.question.split()[-1]
                assert (asked in answers.PEOPLE) == (needed == 1)
                assert answers.PLACES[each.answer] == self.answer(each.facts, asked)

    def test_the_lstm_reads_all_words_and_answers_after_the_last(self) -> None:
        drawn = answers.stories(4, rng(1))
        data = answers.read(drawn)
        for each, column, end in zip(drawn, data["w"].T, data["end"].T):
            words = " ".join([*each.facts, each.question]).split()
            assert [answers.WORDS[code] for code in column[:len(words)]] == words
            assert np.flatnonzero(end).tolist() == [len(words) - 1]

    def test_the_supporting_facts_are_who_took_it_and_the_last_move(self) -> None:
        facts = ["mary took the milk", "mary went to the garden", "john took the apple", "mary moved to the office",
                 "john went to the kitchen", "mary took the football"]
        for question, needed, answer in [("where is mary", [3], "office"), ("where is the milk", [0, 3], "office"),
                                         ("where is the apple", [2, 4], "kitchen")]:
            each = answers.Story(facts, question, answers.PLACES.index(answer), len(needed))
            assert answers.supporting(each) == needed
            assert answers.PLACES[answers.last_place(each)] == "kitchen"

    def test_a_search_finds_a_fact_where_its_weight_is_the_largest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cell, batch = answers.memory_network(answers.memory_parameters(rng(7))), answers.stories(40, rng(8))
        a = cell.compile()(**answers.remembered(batch))["a"]
        monkeypatch.setattr(answers, "supporting", lambda each: [int(a[0, batch.index(each)].argmax())])
        second = np.mean([a[0, number].argmax() == a[1, number].argmax() for number in range(40)])
        assert answers.found_at(cell, batch) == [1, pytest.approx(second)]

    @pytest.mark.parametrize("linear", [False, True])
    def test_a_search_is_the_equation_of_the_paper(self, linear: bool) -> None:
        p, each = answers.memory_parameters(rng(2)), answers.story(7, 2, rng(3))
        other = answers.story(12, 1, rng(4))  # longer: the first one is padded
        found = answers.memory_network(p, linear=linear).compile()(**answers.remembered([each, other]))
        A, B, C, H, W = (p[name].numpy() for name in "ABCHW")
        column = answers.WORDS.index
        u = sum(B[:, column(word)] for word in each.question.split())
        for t in range(answers.HOPS):
            M, read = ([sum(matrix[column(word)] for word in fact.split()) + matrix[len(answers.WORDS) + 6 - number]
                     for number, fact in enumerate(each.facts)] for matrix in (A, C))
            e = np.array(M) @ u
            a = e if linear else np.exp(e) / np.exp(e).sum()
            np.testing.assert_allclose(found["a"][t, 0], [*a, *[0] * 5], rtol=1e-4, atol=1e-6)
            u = H @ u + a @ np.array(read)
            np.testing.assert_allclose(found["y"][t, 0], W @ u, rtol=1e-3, atol=1e-5)

    def test_the_loss_counts_after_the_last_search(self) -> None:
        cell, drawn = answers.memory_network(answers.memory_parameters(rng(5))), answers.stories(3, rng(6))
        outputs = cell.compile()(**answers.remembered(drawn))
        y, L = outputs["y"][-1].astype(float), outputs["L"]
        expected = [-np.log(np.exp(row)[each.answer] / np.exp(row).sum()) for row, each in zip(y, drawn)]
        np.testing.assert_allclose(L.mean(axis=0), expected, rtol=1e-5)
        assert not L[:-1].any()

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_memory_answers_what_the_lstm_does_not(self, seed: int, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
        found = printed("answers", tmp_path, capsys, seed=seed)
        for kind in answers.KINDS.values():
            memory, lstm, rule = (found[f"{name}, {kind}"][-1] for name in ("memory network", "LSTM", answers.RULE))
            assert memory > 90
            assert lstm < 55
            assert abs(lstm - rule) < 15


class TestSummary:
    def test_the_summary_is_what_a_reader_of_the_report_takes(self) -> None:
        numbers = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
        for seed in range(200):
            each = summary.report(rng(seed))
            graver = []
            for place, text in enumerate(each.sentences):
                words, following = text.split(), [*each.sentences, ""][place + 1]
                if words[0] in numbers and following != "that turned out to be wrong":
                    kind = next(rank for rank, word in enumerate(["hurt", "flooded", "fell"]) if word in words)
                    graver.append((kind, -numbers.index(words[0]), place))
            assert each.summary == [place for _, _, place in sorted(graver)[:3]]
            assert 6 <= len(each.sentences) <= 14

    def test_a_pointer_is_the_equation_of_the_paper(self) -> None:
        reports = [summary.report(rng(seed)) for seed in range(3)]
        encoder, decoder = summary.encoder_of(rng(1)), summary.decoder_of(rng(2))
        source, target = summary.taught(reports)
        states = joint.encoded(encoder, source)
        outputs, weights = decoder.compile()(**target, states=states), summary.weights_of(encoder, decoder, reports)
        W_1, W_2, v = (decoder.parameters[name].numpy() for name in ("W_1", "W_2", "v"))
        for number, each in enumerate(reports):
            for step in range(summary.CHOSEN):
                u = [v @ np.tanh(W_1 @ e + W_2 @ outputs["s.h"][step, number])
                     for e in states[number, :len(each.sentences)]]
                expected = np.exp(u) / np.exp(u).sum()
                row = weights[step, number]
                np.testing.assert_allclose(row[:len(u)], expected, rtol=1e-4)
                assert not row[len(u):].any()

    def test_agreement_counts_sentences_and_exact_summaries(self) -> None:
        reports = [summary.Report([], [4, 2, 0]), summary.Report([], [0, 1, 2])]
        assert summary.agreement(np.array([[4, 2, 0], [2, 1, 5]]), reports) == (pytest.approx(5 / 6), 0.5)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_pointers_choose_better_than_the_first_sentences(self, seed: int, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
        found = printed("summary", tmp_path, capsys, seed=seed)
        assert found["pointer network"][0] > 96
        assert found["first three"][0] < 55


class TestTranslation:
    @pytest.mark.parametrize(("n", "german", "english"), [
        (1, "eins", "one"), (16, "sechzehn", "sixteen"), (21, "einundzwanzig", "twenty one"), (30, "dreißig", "thirty"),
        (77, "siebenundsiebzig", "seventy seven"), (100, "einhundert", "one hundred"),
        (101, "einhunderteins", "one hundred and one"), (112, "einhundertzwölf", "one hundred and twelve"),
        (1000, "eintausend", "one thousand"), (1006, "eintausendsechs", "one thousand and six"),
        (21_001, "einundzwanzigtausendeins", "twenty one thousand and one"),
        (345_678, "dreihundertfünfundvierzigtausendsechshundertachtundsiebzig",
         "three hundred and forty five thousand six hundred and seventy eight"),
        (1_000_000, "eineMillion", "one million"), (2_000_017, "zweiMillionensiebzehn", "two million and seventeen"),
        (81_000_100, "einundachtzigMillioneneinhundert", "eighty one million one hundred"),
    ])
    def test_numbers_in_words(self, n: int, german: str, english: str) -> None:
        assert "".join(translation.german(n)) == german
        assert " ".join(translation.english(n)) == english

    def test_multiples_of_seven_are_held_out(self) -> None:
        taught, tested = (translation.numbers(500, rng(1), held_out) for held_out in (False, True))
        assert all(n % 7 for n in taught)
        assert not any(n % 7 for n in tested)
        assert {len(str(n)) for n in taught} == set(range(1, 10))

    def test_every_number_fits(self) -> None:
        longest = max(translation.numbers(5000, rng(2), False), key=lambda n: len(translation.english(n)))
        assert len(translation.english(longest)) < translation.LONGEST

    def test_without_attention_the_decoder_reads_the_last_state_of_both_directions(self) -> None:
        batch = [3, 654_321]
        encoder, decoder = translation.encoder_of(rng(3)), translation.decoder_of(False, rng(4))
        source, target = translation.taught(batch)
        x = decoder.compile()(**target, states=joint.encoded(encoder, source))["x"]
        for number, n in enumerate(batch):
            alone = encoder.compile()(**translation.read([n]))
            expected = [*alone["h.forward.h"][-1, 0], *alone["h.backward.h"][0, 0]]
            for step in range(len(translation.english(n)) + 1):
                np.testing.assert_allclose(x[step, number, translation.EMBEDDED:], expected, rtol=1e-5, atol=1e-7)

    def test_what_is_written_ends_with_the_mark_and_its_weights_sum_to_one(self) -> None:
        encoder, decoder = translation.encoder_of(rng(5)), translation.decoder_of(True, rng(6))
        decoder.parameters["c"].data = np.float32(np.arange(len(translation.ENGLISH)) == 0) * 9  # always the mark
        written, weights = translation.translated(encoder, decoder, [5, 654_321])
        assert written == [[], []]
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
        assert not weights[:, 0, 1:].any()  # five is one word in German

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_attention_translates_new_numbers(self, seed: int, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
        found = printed("translation", tmp_path, capsys, seed=seed)
        assert found["with attention"][0] > 97
        assert found["without"][0] < 85
