"""Probability as recurrences: against eigenvectors, textbook algorithms and sums over all paths."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from examples.probability import hmm, kalman, markov_chain

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


class TestMarkovChain:
    def test_the_stationary_distribution_of_the_weather_in_oz_is_the_book_s(self) -> None:
        np.testing.assert_allclose(markov_chain.settled(markov_chain.CHAINS["weather in Oz"]), [0.4, 0.2, 0.4],
                                   atol=1e-14)

    def test_a_step_is_a_product_with_the_matrix(self) -> None:
        P, start = markov_chain.CHAINS["rarely leaves"], np.array([0.2, 0.3, 0.5])
        found = markov_chain.probabilities(P, start, 3)
        np.testing.assert_allclose(found[3], [sum(start[i] * P[i, j] * P[j, k] * P[k, m] for i, j, k in
                                                  itertools.product(range(3), repeat=3)) for m in range(3)])

    @pytest.mark.parametrize("seed", SEEDS)
    def test_settles_and_forgets_and_is_differentiated_as_theory_says(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        found = [markov_chain.agreement(markov_chain.random_scores(rng)) for _ in range(15)]
        assert max(one.stationary for one in found) < 1e-12
        assert max(one.gradient for one in found) < 1e-7
        assert np.median([one.forgetting for one in found]) < 0.01
        assert np.median([one.vanishing for one in found]) < 0.01

    @pytest.mark.parametrize("name", ["weather in Oz", "goes around", "rarely leaves"])
    def test_the_drawn_chains_forget_at_the_rate_of_the_second_eigenvalue(self, name: str) -> None:
        found = markov_chain.agreement(markov_chain.scores_of(markov_chain.CHAINS[name]))
        assert found.forgetting < 0.001
        assert found.vanishing < 0.001

    def test_a_period_never_settles(self) -> None:
        P = markov_chain.CHAINS["has a period"]
        p = markov_chain.probabilities(P, np.eye(3)[0], 99)
        assert markov_chain.distances(p, markov_chain.eigenvector(P)).min() > 0.6
        np.testing.assert_array_equal(p[::3], np.broadcast_to(np.eye(3)[0], (34, 3)))

    def test_the_formula_of_the_gradient_is_the_slope_of_the_eigenvector(self) -> None:
        scores = markov_chain.random_scores(np.random.default_rng(3))
        parameter = mg.Tensor(scores, requires_grad=True)
        slope = mg.numeric_gradient(
            lambda: mg.Tensor(markov_chain.eigenvector(markov_chain.transitions(parameter.data))[-1]), parameter)
        np.testing.assert_allclose(markov_chain.by_formula(scores), slope, atol=1e-8)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_walkers_are_distributed_as_the_recurrence_says(self, seed: int) -> None:
        P = markov_chain.CHAINS["goes around"]
        share = markov_chain.walkers(P, 20, 20_000, np.random.default_rng(seed))
        p = markov_chain.probabilities(P, np.eye(3)[0], 20)
        assert np.abs(share - p).max() < 5 * 0.5 / 20_000 ** 0.5  # five standard errors

    def test_a_walker_takes_the_first_state_whose_cumulative_probability_exceeds_the_number(self) -> None:
        P = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        u = np.array([0.19, 0.2, 0.99, 0.0])
        s = markov_chain.walk(P).compile()(u=u, start=np.eye(3)[0])["s"]
        assert s.argmax(axis=-1).tolist() == [0, 1, 1, 1]


def every_path(model: hmm.Model, rolls: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return all paths of states, the one before the first roll included, and their probabilities with the rolls."""
    K = len(model.A)
    paths = np.array(list(itertools.product(range(K), repeat=len(rolls) + 1)))
    probabilities = [np.prod([model.A[i, j] * model.B[j, roll] for i, j, roll in zip(path, path[1:], rolls)]) / K
                     for path in paths]
    return paths, np.array(probabilities)


@pytest.fixture
def model() -> hmm.Model:
    rng = np.random.default_rng(7)
    return hmm.Model(rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(4), 3))


ROLLS = [0, 3, 1, 2, 2]


class TestHiddenMarkovModel:
    @pytest.mark.parametrize("algorithm", [hmm.by_gradient, hmm.forward_backward])
    def test_is_the_sum_over_all_paths(self, model: hmm.Model,
                                       algorithm: Callable[[hmm.Model, Any], hmm.Expected]) -> None:
        paths, probabilities = every_path(model, ROLLS)
        found = algorithm(model, np.array(ROLLS)[:, None])
        total = probabilities.sum()
        assert found.likelihood == pytest.approx(np.log(total))
        for state in range(3):
            np.testing.assert_allclose(found.posterior[:, 0, state], probabilities @ (paths[:, 1:] == state) / total)
            for following in range(3):
                pairs = ((paths[:, :-1] == state) & (paths[:, 1:] == following)).sum(axis=1)
                assert found.pairs[state, following] == pytest.approx(probabilities @ pairs / total)

    def test_with_the_maximum_the_gradient_is_the_best_path(self, model: hmm.Model) -> None:
        paths, probabilities = every_path(model, ROLLS)
        best = hmm.posterior(hmm.differentiated(model, np.array(ROLLS)[:, None], np.max))[:, 0]
        np.testing.assert_array_equal(best, np.eye(3)[paths[probabilities.argmax(), 1:]])

    def test_the_state_is_the_belief_so_far(self, model: hmm.Model) -> None:
        belief = hmm.filtered(hmm.differentiated(model, np.array(ROLLS)[:, None]))
        for step in range(1, len(ROLLS) + 1):
            paths, probabilities = every_path(model, ROLLS[:step])
            wanted = [probabilities[paths[:, -1] == state].sum() for state in range(3)]
            np.testing.assert_allclose(belief[step - 1, 0], wanted / np.sum(wanted))

    @pytest.mark.parametrize("seed", SEEDS)
    def test_the_gradient_is_what_the_textbook_computes(self, seed: int) -> None:
        _, rolls = hmm.throws(hmm.CASINO, np.random.default_rng(seed))
        found, book = hmm.by_gradient(hmm.CASINO, rolls), hmm.forward_backward(hmm.CASINO, rolls)
        assert found.likelihood == pytest.approx(book.likelihood, rel=1e-12)
        assert np.abs(found.posterior - book.posterior).max() < 1e-9
        assert np.abs(found.pairs - book.pairs).max() < 1e-6

    def test_the_data_have_the_frequencies_of_the_casino(self) -> None:
        states, rolls = hmm.throws(hmm.CASINO, np.random.default_rng(0), sequences=200)
        assert rolls[states == 0].size / rolls.size == pytest.approx(2/3, abs=0.02)
        for state in (0, 1):
            np.testing.assert_allclose(np.bincount(rolls[states == state]) / (states == state).sum(),
                                       hmm.CASINO.B[state], atol=0.015)
            assert (states[1:][states[:-1] == state] == state).mean() == pytest.approx(hmm.CASINO.A[state, state],
                                                                                     abs=0.01)

    def test_baum_welch_never_makes_the_likelihood_smaller(self) -> None:
        rng = np.random.default_rng(1)
        _, rolls = hmm.throws(hmm.CASINO, rng, sequences=3)
        _, likelihoods = hmm.baum_welch(hmm.guess(rng), rolls, 20)
        assert np.diff(likelihoods).min() > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_gradient_and_baum_welch_find_the_same_maximum(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        _, rolls = hmm.throws(hmm.CASINO, rng)
        start = hmm.guess(rng)
        (model, values), (other, others) = hmm.learned(start, rolls, 150), hmm.baum_welch(start, rolls, 150)
        assert abs(values[-1] - others[-1]) < 1e-4
        assert min(values[-1], others[-1]) > hmm.likelihood(hmm.CASINO, rolls)
        assert hmm.difference(model, hmm.CASINO) < 0.06
        assert hmm.difference(model, other) < 0.01

    def test_states_are_compared_in_any_order(self) -> None:
        swapped = hmm.Model(hmm.CASINO.A[::-1, ::-1], hmm.CASINO.B[::-1])
        assert hmm.difference(swapped, hmm.CASINO) == 0
        assert hmm.difference(hmm.Model(hmm.CASINO.A, swapped.B), hmm.CASINO) > 0.04


def joint(values: kalman.Parameters, steps: int) -> list[NDArray[np.float64]]:
    """Return the covariances of the measurements of all steps, of the last state with them, and of the last state."""
    c, s = np.cos(values.omega), np.sin(values.omega)
    F = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, c, -s], [0, 0, s, c]])
    powers = [np.linalg.matrix_power(F, k) for k in range(steps + 1)]
    Q = np.diag([0, 0, values.q ** 2, values.q ** 2])
    state = [powers[k] @ powers[k].T + sum(powers[j] @ Q @ powers[j].T for j in range(k)) for k in range(steps + 1)]
    between = [[powers[a - b] @ state[b] if a >= b else state[a] @ powers[b - a].T for b in range(1, steps + 1)]
               for a in range(1, steps + 1)]
    measured = np.block([[one[:2, :2] + (a == b) * np.diag(values.r) ** 2 for b, one in enumerate(row)]
                         for a, row in enumerate(between)])
    return [measured, np.hstack([one[:, :2] for one in between[-1]]), state[-1]]


class TestKalmanFilter:
    @pytest.mark.parametrize("algorithm", [kalman.filtered, kalman.textbook])
    def test_is_the_normal_distribution_given_all_measurements(
            self, algorithm: Callable[[kalman.Parameters, kalman.Tracks], kalman.Estimate]) -> None:
        steps, values, rng = 6, kalman.TRUTH, np.random.default_rng(2)
        z = rng.normal(size=(steps, 1, 2))
        found = algorithm(values, kalman.Tracks(np.zeros((steps, 1, 4)), z, np.ones((steps, 1))))
        measured, cross, state = joint(values, steps)
        np.testing.assert_allclose(found.m[-1, 0], cross @ np.linalg.solve(measured, z.ravel()))
        np.testing.assert_allclose(found.P[-1, 0], state - cross @ np.linalg.solve(measured, cross.T), atol=1e-12)
        density = -0.5 * (z.ravel() @ np.linalg.solve(measured, z.ravel()) + np.linalg.slogdet(2 * np.pi * measured)[1])
        assert found.likelihood == pytest.approx(density)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_estimates_what_the_textbook_s_filter_does(self, seed: int) -> None:
        data = kalman.tracks(10, np.random.default_rng(seed), kalman.GAP)
        found, book = kalman.filtered(kalman.GUESS, data), kalman.textbook(kalman.GUESS, data)
        np.testing.assert_allclose(found.m, book.m, atol=1e-9)
        np.testing.assert_allclose(found.P, book.P, atol=1e-9)
        assert found.likelihood == pytest.approx(book.likelihood, rel=1e-12)

    def test_the_gradient_is_the_slope_of_the_textbook_s_likelihood(self) -> None:
        data, parameters = kalman.tracks(2, np.random.default_rng(1), kalman.GAP), kalman.tensors(kalman.GUESS)
        omega, log_q, log_r = parameters
        kalman.definition(omega, log_q, log_r).compile(loss="L")(**data.inputs)

        def loss() -> mg.Tensor:
            x, y = np.exp(log_r.data)
            values = kalman.Parameters(omega.item(), float(np.exp(log_q.item())), (float(x), float(y)))
            return mg.Tensor(-kalman.textbook(values, data).likelihood)

        for parameter in parameters:
            assert parameter.grad is not None
            np.testing.assert_allclose(parameter.grad, mg.numeric_gradient(loss, parameter), rtol=1e-5)

    def test_without_measurements_the_covariance_grows_and_what_is_given_has_no_effect(self) -> None:
        data = kalman.tracks(3, np.random.default_rng(0), kalman.GAP)
        P = kalman.filtered(kalman.TRUTH, data).P[:, 0]
        size = np.linalg.det(P[:, :2, :2])
        assert (np.diff(size)[kalman.GAP.start - 1:kalman.GAP.stop - 1] > 0).all()
        assert size[kalman.GAP.stop] < size[kalman.GAP.stop - 1] / 10
        z = np.where(data.seen[..., None] == 1, data.z, 1e6)
        np.testing.assert_array_equal(kalman.filtered(kalman.TRUTH, data._replace(z=z)).m,
                                      kalman.filtered(kalman.TRUTH, data).m)

    def test_tracks_have_the_errors_that_they_are_said_to(self) -> None:
        data = kalman.tracks(500, np.random.default_rng(0))
        np.testing.assert_allclose((data.z - data.true[..., :2]).std(axis=(0, 1)), kalman.TRUTH.r, rtol=0.02)
        velocity = data.true[..., 2] + 1j * data.true[..., 3]
        change = velocity[1:] - velocity[:-1] * np.exp(1j * kalman.TRUTH.omega)
        np.testing.assert_allclose([change.real.std(), change.imag.std()], kalman.TRUTH.q, rtol=0.02)

    def test_with_the_true_parameters_the_ellipses_hold_what_they_should(self) -> None:
        data = kalman.tracks(300, np.random.default_rng(0), kalman.GAP)
        assert kalman.inside(kalman.filtered(kalman.TRUTH, data), data) == pytest.approx(0.95, abs=0.01)
        assert kalman.inside(kalman.filtered(kalman.GUESS, data), data) < 0.8

    def test_an_ellipse_has_the_same_density_everywhere(self) -> None:
        m, P = np.array([3.0, -1, 0, 0]), np.array([[2.0, 0.6, 1, 0], [0.6, 1, 0, 1], [1, 0, 3, 0], [0, 1, 0, 3]])
        from_mean = kalman.ellipse(m, P) - m[:2, None]
        squared = np.einsum("ip,ij,jp->p", from_mean, np.linalg.inv(P[:2, :2]), from_mean)
        np.testing.assert_allclose(squared, 5.991465)  # of a table: chi-squared, two degrees of freedom, 0.95

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_learns_its_parameters_from_measurements(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        data, test = kalman.tracks(kalman.TRACKS, rng), kalman.tracks(100, rng, kalman.GAP)
        values, losses, _ = kalman.learned(data, 200)
        assert abs(values.omega - kalman.TRUTH.omega) < 0.004
        np.testing.assert_allclose(values.numbers[1:], kalman.TRUTH.numbers[1:], rtol=0.15)
        assert losses[-1] <= -kalman.filtered(kalman.TRUTH, data).likelihood / data.seen.sum()
        found, best = kalman.filtered(values, test), kalman.filtered(kalman.TRUTH, test)
        assert kalman.error(found, test) < 1.02 * kalman.error(best, test)
        assert 0.92 < kalman.inside(found, test) < 0.97
