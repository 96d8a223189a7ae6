"""Examples of recurrences and of training: what their docstrings promise, they do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painters import painting

import minigrad as mg
from examples import bptt_by_hand, common, fold_unfold
from examples.machines import binary_addition, feedback_learns, parity
from examples.memory import adding, forget_bias, gradient_flow, temporal_order
from examples.signals import iir_filter
from rnn.unrolling.run import At, Connection

ROOT = Path(__file__).parents[2]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
PICTURES = {
    "fold_unfold": ["delay_1", "delay_2", "delays_1_and_2", "exercise_0"],
    "bptt_by_hand": ["by_hand"],
    "parity": ["margins", "network", "states"],
    "binary_addition": ["loss", "network"],
    "adding": ["loss", "network"],
    "temporal_order": ["loss_30", "loss_60"],
    "forget_bias": ["gradients", "loss"],
    "gradient_flow": ["cliff", "flow", "vanishing"],
    "iir_filter": ["filter", "response"],
    "feedback_learns": ["a_plain_stack", "errors", "with_feedback"],
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


class TestEveryExample:
    @painting
    @pytest.mark.parametrize("name", PICTURES)
    def test_draws_its_pictures(self, name: str, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        options = common.Options(seed=0, steps=3, small=True, out=tmp_path, slow=False)
        importlib.import_module(f"examples.{name}").example(options)
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"{picture}.png" for picture in PICTURES[name]]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())

    @painting
    def test_is_a_program_that_says_what_it_drew(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        pytest.importorskip("tqdm")
        done = subprocess.run([sys.executable, "-m", "examples.parity", "--steps", "20", "--out", str(tmp_path)],
                              cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "noise 0.5: 20 of 20 updates, loss 0." in done.stdout
        assert done.stdout.endswith(f"pictures in {tmp_path}/: network.png, states.png, margins.png\n")


class TestTraining:
    def test_stops_at_the_same_place_for_the_same_seed(self) -> None:
        losses = [binary_addition.trained(5, np.random.default_rng(seed))[1] for seed in (1, 1, 2)]
        assert losses[0] == losses[1] != losses[2]

    def test_a_loss_at_the_end_is_the_last_step_s_alone(self, rng: np.random.Generator) -> None:
        cell, batch = adding.network("gru", rng), adding.problems(6, 4, rng)
        loss, outputs = cell.compile(loss="L", reduction="mean")(**batch)
        assert loss == pytest.approx(np.square(outputs["y"][-1] - batch["target"][-1]).mean(), rel=1e-6)


class TestFoldingAndUnfolding:
    def test_a_delay_of_two_reads_two_initial_values_and_makes_two_chains(self) -> None:
        cell = fold_unfold.definition("delay 2", [("x", "h", 0), ("h", "h", 2)])
        assert fold_unfold.unfolded(cell, 3) == [Connection(At(*a), At(*b)) for a, b in [
            (("x", 1), ("h", 1)), (("h", -1), ("h", 1)), (("x", 2), ("h", 2)), (("h", 0), ("h", 2)),
            (("x", 3), ("h", 3)), (("h", 1), ("h", 3))]]
        assert cell.unroll(x=np.zeros(4)).facts().chains == 2

    def test_delays_one_and_two_make_as_many_ways_as_fibonacci_s_numbers(self) -> None:
        cell = fold_unfold.definition("both", fold_unfold.FIXED["delays 1 and 2"])
        ways = {At("h", 1): 1}
        for source, target in fold_unfold.unfolded(cell, 8):
            ways[target] = ways.get(target, 0) + ways.get(source, 0)
        assert [ways[At("h", step)] for step in range(1, 9)] == [1, 1, 2, 3, 5, 8, 13, 21]

    def test_folding_gives_the_edges_of_the_definition(self) -> None:
        edges = [("x", "a", 0), ("b", "a", 1), ("a", "b", 0), ("b", "b", 2), ("x", "b", 1)]
        cell = fold_unfold.definition("two signals", edges)
        assert sorted(fold_unfold.folded(fold_unfold.unfolded(cell, 4))) == sorted(edges)
        assert sorted(tuple(edge) for edge in cell.edges()) == sorted(edges)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_definitions_come_back(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        drawn = [fold_unfold.random_edges(generator) for _ in range(100)]
        assert all(fold_unfold.agrees(edges) for edges in drawn)
        assert {delay for edges in drawn for _, _, delay in edges} == {0, 1, 2}

    def test_a_graph_whose_steps_differ_is_refused(self) -> None:
        graph = fold_unfold.unfolded(fold_unfold.definition("h", fold_unfold.FIXED["delay 1"]), 4)
        with pytest.raises(ValueError, match=r"step 2 has no edge h\[1\] -> h\[2\], step 1 has one like it"):
            fold_unfold.folded(edge for edge in graph if edge != Connection(At("h", 1), At("h", 2)))


class TestBackpropagationByHand:
    @pytest.mark.parametrize("seed", range(5))
    def test_the_numbers_on_paper_are_those_on_the_screen(self, seed: int) -> None:
        given = bptt_by_hand.exercise(np.random.default_rng(seed))
        assert bptt_by_hand.largest_difference(given) < 1e-14
        assert bptt_by_hand.error_of_slopes(given) < 1e-8

    def test_one_step_without_a_past_is_the_chain_rule(self) -> None:
        given = bptt_by_hand.Exercise(w=0.5, u=0.0, v=2.0, x=(0.0, 0.0, 1.0), d=(0.0, 0.0, 0.0))
        h = np.tanh(0.5)
        last = bptt_by_hand.by_hand(given)[-1]
        assert last["to v"] == pytest.approx(2 * h * h)
        assert last["to w"] == pytest.approx(2 * 2 * h * (1 - h * h))


class TestParity:
    def test_its_targets_are_parities(self, rng: np.random.Generator) -> None:
        batch = parity.bits(7, 3, rng)
        assert batch["target"][-1, :, 0].tolist() == [sum(map(int, ones)) % 2 for ones in batch["x"][..., 0].T.tolist()]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_learned_from_ten_bits_it_is_right_on_five_hundred(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell = parity.trained(1500, parity.NOISE, generator)
        assert parity.wrong(parity.margins(cell, parity.bits(500, 500, generator))) == 0

    def test_untrained_it_is_wrong(self, rng: np.random.Generator) -> None:
        cell = parity.network("parity", 1, rng)
        assert parity.wrong(parity.margins(cell, parity.bits(10, 500, rng))) > 400


class TestBinaryAddition:
    def test_its_targets_are_sums(self, rng: np.random.Generator) -> None:
        batch = binary_addition.sums(64, 20, rng)
        numbers = [[binary_addition.number(bits) for bits in batch["x"][..., which].T] for which in (0, 1)]
        assert [a + b for a, b in zip(*numbers)] == [binary_addition.number(bits) for bits in batch["target"][..., 0].T]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_learned_on_eight_bits_it_is_right_on_sixty_four(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell, _ = binary_addition.trained(600, generator)
        assert parity.wrong(parity.margins(cell, binary_addition.sums(64, 500, generator))) == 0


class TestAdding:
    def test_two_numbers_are_marked_one_in_each_half(self, rng: np.random.Generator) -> None:
        batch = adding.problems(10, 1000, rng)
        marks = batch["x"][..., 1]
        assert marks[:5].sum(axis=0).tolist() == marks[5:].sum(axis=0).tolist() == [1] * 1000
        np.testing.assert_allclose(batch["target"][-1, :, 0], (batch["x"][..., 0] * marks).sum(axis=0))

    def test_answering_one_has_the_error_of_the_baseline(self, rng: np.random.Generator) -> None:
        target = adding.problems(4, 100_000, rng)["target"][-1]
        assert np.square(target - 1).mean() == pytest.approx(adding.BASELINE, rel=0.02)

    def test_a_gru_soon_beats_the_baseline(self) -> None:
        generator = np.random.default_rng(0)
        cell, _ = adding.trained("gru", 50, 400, generator)
        assert adding.error(cell, 50, generator) < 0.01

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize(("kind", "least", "most"), [("gru", 0, 0.01), ("lstm", 0, 0.01), ("elman", 0.1, 0.2)])
    def test_gates_learn_it_and_a_plain_network_does_not(self, kind: str, least: float, most: float, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell, _ = adding.trained(kind, 50, 800, generator)
        assert least <= adding.error(cell, 50, generator) < most

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_gates_learn_a_hundred_steps_too(self, kind: str) -> None:
        generator = np.random.default_rng(0)
        cell, _ = adding.trained(kind, 100, 1600, generator)
        assert adding.error(cell, 100, generator) < 0.01


class TestTemporalOrder:
    def test_the_class_is_told_by_the_two_symbols_that_matter(self, rng: np.random.Generator) -> None:
        batch = temporal_order.problems(30, 200, rng)
        for codes, label in zip(batch["x"].argmax(axis=-1).T, batch["target"][-1]):
            where = np.flatnonzero(codes >= 6)
            assert 3 <= where[0] <= 6
            assert 15 <= where[1] <= 18
            assert label == 2 * (codes[where[0]] - 6) + codes[where[1]] - 6

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_gates_tell_what_came_first(self, kind: str, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell, _ = temporal_order.trained(kind, 30, 500, generator)
        assert temporal_order.wrong(cell, temporal_order.problems(30, 500, generator)) <= 0.01

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize(("kind", "least", "most"), [("lstm", 0, 0.01), ("elman", 0.5, 1)])
    def test_over_sixty_steps_a_plain_network_does_not(self, kind: str, least: float, most: float, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell, _ = temporal_order.trained(kind, 60, 1000, generator)
        assert least <= temporal_order.wrong(cell, temporal_order.problems(60, 500, generator)) <= most


class TestTheForgetGateSBias:
    def test_decides_how_much_of_a_gradient_arrives_before_training(self) -> None:
        ratios = []
        for bias in forget_bias.BIASES[:3]:
            generator = np.random.default_rng(0)
            norms = forget_bias.gradient_norms(forget_bias.network(bias, generator), generator)
            ratios.append(norms[0] / norms[-1])
        assert ratios[0] < 1e-9 < ratios[1] < ratios[2]

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize(("bias", "least", "most"), [(0.0, 0.4, 0.6), (3.0, 0.0, 0.01)])
    def test_decides_what_can_be_learned(self, bias: float, least: float, most: float, seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell = forget_bias.network(bias, generator)
        forget_bias.trained(cell, 300, generator)
        assert least <= temporal_order.wrong(cell, forget_bias.problems(500, generator)) <= most


class TestGradientFlow:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("radius", gradient_flow.RADII)
    def test_a_linear_gradient_changes_by_the_spectral_radius_each_step(self, radius: float, seed: int) -> None:
        run = gradient_flow.recurrence(radius, True, np.random.default_rng(seed))
        assert gradient_flow.factor(run.gradient_norms("h")) == pytest.approx(radius, rel=0.1)

    def test_tanh_holds_an_explosion_back(self) -> None:
        run = gradient_flow.recurrence(1.5, False, np.random.default_rng(0))
        assert gradient_flow.factor(run.gradient_norms("h")) < 1.2

    def test_the_gradient_of_the_surface_is_its_slope(self) -> None:
        w, b = gradient_flow.parameter([4.0, 5.0], "w"), gradient_flow.parameter([-1.8, -2.0], "b")
        assert mg.gradcheck(lambda: gradient_flow.errors(w, b).sum(), [w, b]) < 1e-5

    @pytest.mark.parametrize("seed", SEEDS)
    def test_clipped_descent_arrives_where_the_plain_one_is_thrown_away(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        start = gradient_flow.starts(generator)
        assert gradient_flow.arrived(gradient_flow.descent(start, 300, gradient_flow.LARGEST_NORM)) == 1
        assert gradient_flow.arrived(gradient_flow.descent(start, 300, np.inf)) < 0.67

    def test_no_clipped_step_is_longer_than_allowed(self) -> None:
        ways = gradient_flow.descent(gradient_flow.starts(np.random.default_rng(0)), 40, 0.1)
        assert np.linalg.norm(np.diff(ways[:, :2], axis=0), axis=1).max() <= 0.1 * gradient_flow.RATE + 1e-12


class TestTheFilter:
    def test_is_butterworth_s(self) -> None:
        truth = iir_filter.butterworth(0.1)  # scipy.signal.butter(2, 0.2)
        assert truth == pytest.approx({"b0": 0.06745527, "b1": 0.13491055, "b2": 0.06745527, "a1": -1.1429805,
                                       "a2": 0.4128016}, abs=1e-7)
        levels = iir_filter.response(truth, np.array([0, 0.1, 0.5]))
        np.testing.assert_allclose(levels, [1, 0.5 ** 0.5, 0], atol=1e-12)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_is_found_from_its_output_where_least_squares_is_drawn_aside(self, seed: int) -> None:
        truth = iir_filter.butterworth(iir_filter.CUTOFF)
        batch = iir_filter.measurements(truth, np.random.default_rng(seed))
        network, _ = iir_filter.identified(batch, 600)
        error = iir_filter.largest_error(network, truth)
        assert error < 0.05
        assert error < iir_filter.largest_error(iir_filter.least_squares(batch), truth) / 5

    def test_least_squares_finds_it_where_nothing_disturbs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(iir_filter, "NOISE", 0.0)
        truth = iir_filter.butterworth(0.1)
        batch = iir_filter.measurements(truth, np.random.default_rng(0))
        assert iir_filter.largest_error(iir_filter.least_squares(batch), truth) < 1e-10


class TestFeedback:
    def test_a_plain_stack_settles_on_a_period_that_is_a_power_of_two(self) -> None:
        for seed in range(10):
            generator = np.random.default_rng(seed)
            cell = feedback_learns.three_layers(False, generator)
            for name, parameter in cell.parameters.items():
                parameter.data = parameter.data * (3 if name[0] == "u" else 1.5)
            batch: dict[str, Any] = feedback_learns.counts(600, 1, False, 0.0, generator)
            outputs = cell.compile()(**{**batch, "x": np.ones((600, 1, 1))})
            np.testing.assert_allclose(outputs["h3"][-8:], outputs["h3"][-16:-8], atol=1e-4)

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize(("feedback", "least", "most"), [(True, 0.0, 0.0), (False, 0.5, 0.75)])
    def test_counts_modulo_three_what_a_plain_stack_cannot(self, feedback: bool, least: float, most: float,
                                                           seed: int) -> None:
        generator = np.random.default_rng(seed)
        cell = feedback_learns.trained(feedback, 1000, generator)
        assert least <= feedback_learns.wrong(cell, feedback, generator).mean() <= most

    def test_the_plain_stack_is_the_larger_one(self, rng: np.random.Generator) -> None:
        sizes = [sum(p.size for p in feedback_learns.three_layers(feedback, rng).parameters.values())
                 for feedback in (True, False)]
        assert sizes[0] < sizes[1]
