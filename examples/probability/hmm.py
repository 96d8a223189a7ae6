"""A hidden Markov model is a recurrence, and the gradient of its likelihood is the posterior of its states.

    python -m examples.hmm [--seed 0] [--steps 150] [--out DIR]

A casino has a fair die and a loaded one, and changes them unseen; only the rolls are known (Durbin, Eddy, Krogh and
Mitchison, Biological sequence analysis, 1998, section 3.2). The forward algorithm (Rabiner, A tutorial on hidden Markov
models, Proc. IEEE 77, 1989, section III.A) is a recurrence on a[t][j], the logarithm of the probability of the rolls so
far together with the state j:

    e[t] = log_B.T[o[t]]                                               the scores of the roll o[t], by state
    a[t] = e[t] + logsumexp(a[t-1][:, None] + log_A, axis=0)
    L[t] = logsumexp(a[t-1]) - logsumexp(a[t])                         -log p(o[t] | o[1], ..., o[t-1])

a[0] is given: the state before the first roll. The sum of L is minus the log-likelihood, and its derivatives, found by
backpropagation through time, are minus

    by e[t][j]          p(state j at t | all rolls), the posterior, for which textbooks have the backward algorithm
    by log_A[i, j]      how often j is expected to follow i, from which Baum-Welch improves A

With the maximum in the place of logsumexp, a is that of Viterbi, and the gradient is the best path: 1 for its state, 0
for others. `forward_backward` is the textbook's algorithm, in scaled probabilities and without a gradient, to compare.

Learning: A and B are the softmax of scores, moved by Adam along the gradient, beside as many iterations of Baum-Welch
from the same start. Both find the same maximum of the likelihood. Baum-Welch never makes it smaller and needs no rate;
the gradient needs no second algorithm, and serves any scores, such as those of a network.

Claimed: for any model and rolls, minus the gradient by e is the posterior, and that by log_A the expected numbers of
pairs, as by the backward algorithm. Learning finds the same maximum both ways for this likelihood and start. Not
claimed: that it does so for others, which have more than one maximum; then each may find its own.

Threshold: posteriors within 1e-9 of the textbook's, expected numbers of pairs within 1e-6. After 150 updates and as
many iterations the log-likelihoods per roll differ by less than 1e-4 and are not below that of the casino, and all
probabilities are within 0.06 of the casino's. Measured for seeds 0, 1, 2: posteriors 7e-14; log-likelihoods of both
-1.7367, -1.7402, -1.7376, of the casino -1.7378, -1.7405, -1.7382; probabilities 0.027, 0.010, 0.025, and for seeds 3
to 9 at most 0.040. Picture: posterior.png. Time: 4 s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Run, t

Floats = NDArray[np.float64]
SEQUENCES, ROLLS, RATE = 30, 200, 0.1


class Model(NamedTuple):
    """Probabilities of the next state, A (states, states), and of the symbols in each state, B (states, symbols)."""

    A: Floats
    B: Floats


CASINO = Model(np.array([[0.95, 0.05], [0.10, 0.90]]), np.array([[1/6] * 6, [0.1] * 5 + [0.5]]))


def definition(log_A: mg.Tensor, log_B: mg.Tensor, total: Callable[..., Any] = mg.logsumexp) -> Cell:
    """Return the forward algorithm, given the logarithms of a model.

    Args:
        total: how paths to a state are put together: by logsumexp, or by their maximum (Viterbi).
    """
    K = len(log_A)
    cell = Cell("hidden Markov model")
    o, e, a, L = cell.input("o", ()), cell.signal("e", K), cell.signal("a", K), cell.signal("L", ())
    a[0] = np.full(K, -np.log(K))
    e[t] = log_B.T[o[t]]
    a[t] = e[t] + total(a[t-1][:, None] + log_A, axis=0)
    L[t] = total(a[t-1], axis=-1) - total(a[t], axis=-1)
    return cell


def tensors(model: Model) -> tuple[mg.Tensor, mg.Tensor]:
    """Return the logarithms of a model as parameters."""
    return (mg.Tensor(np.log(model.A), requires_grad=True, name="log_A"),
            mg.Tensor(np.log(model.B), requires_grad=True, name="log_B"))


def differentiated(model: Model, rolls: NDArray[np.int64], total: Callable[..., Any] = mg.logsumexp) -> Run:
    """Return the unrolled recurrence, after its backward pass."""
    run = definition(*tensors(model), total).unroll(o=rolls)
    loss = run["L"].stack().sum()
    loss.backward()
    return run


def posterior(run: Run) -> Floats:
    """Return minus the gradient by e: (T, batch, states)."""
    return -np.stack([np.asarray(run["e"][step].grad) for step in range(1, run.T + 1)])


class Expected(NamedTuple):
    """The log-likelihood, the posteriors (T, batch, states), and the expected pairs of states in a row, summed."""

    likelihood: float
    posterior: Floats
    pairs: Floats


def by_gradient(model: Model, rolls: NDArray[np.int64]) -> Expected:
    """Return the likelihood, and the rest as its gradient."""
    run = differentiated(model, rolls)
    return Expected(-run["L"].stack().data.sum(), posterior(run), -np.asarray(run.parameters["log_A"].grad))


def forward_backward(model: Model, rolls: NDArray[np.int64]) -> Expected:
    """Return the same by the algorithm of the textbook, with probabilities scaled to the sum 1 at each step.

    Rabiner, A tutorial on hidden Markov models, 1989, sections III and V.A.
    """
    A, B = model
    T, batch, K = *rolls.shape, len(A)
    forward, backward, scale = np.empty((T + 1, batch, K)), np.ones((T + 1, batch, K)), np.empty((T + 1, batch, 1))
    forward[0] = 1 / K
    for step in range(1, T + 1):
        forward[step] = forward[step - 1] @ A * B[:, rolls[step - 1]].T
        scale[step] = forward[step].sum(axis=-1, keepdims=True)
        forward[step] /= scale[step]
    pairs = np.zeros((K, K))
    for step in range(T, 0, -1):
        ahead = B[:, rolls[step - 1]].T * backward[step] / scale[step]
        pairs += np.einsum("bi,ij,bj->ij", forward[step - 1], A, ahead)
        backward[step - 1] = ahead @ A.T
    return Expected(float(np.log(scale[1:]).sum()), (forward * backward)[1:], pairs)


def throws(model: Model, rng: np.random.Generator, sequences: int = SEQUENCES) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which die was used at each step, and what it showed, 0 ... 5: (ROLLS, sequences) each."""
    states, rolls = np.empty((2, ROLLS, sequences), int)
    state = rng.integers(len(model.A), size=sequences)
    for step in range(ROLLS):
        state = (rng.uniform(size=(sequences, 1)) > np.cumsum(model.A, axis=1)[state]).sum(axis=1)
        states[step] = state
        rolls[step] = (rng.uniform(size=(sequences, 1)) > np.cumsum(model.B, axis=1)[state]).sum(axis=1)
    return states, rolls


def guess(rng: np.random.Generator) -> Model:
    """Return a model to begin with: states that last, symbols that are nearly equally probable."""
    A, B = np.array([[0.8, 0.2], [0.2, 0.8]]), rng.uniform(0.8, 1.2, CASINO.B.shape)
    return Model(A, B / B.sum(axis=1, keepdims=True))


def learned(model: Model, rolls: NDArray[np.int64], updates: int) -> tuple[Model, list[float]]:
    """Return a model after updates along the gradient, and the log-likelihood per roll before each and at the end."""
    scores = [mg.Tensor(np.log(part), requires_grad=True, name=name) for name, part in zip(("A", "B"), model)]
    cell = definition(*(mg.log_softmax(part) for part in scores))
    losses = common.train(cell, lambda: {"o": rolls}, updates, rate=RATE, largest_norm=np.inf)
    found = Model(*(np.exp(mg.log_softmax(part).data) for part in scores))
    return found, [*(-loss for loss in losses), likelihood(found, rolls)]


def baum_welch(model: Model, rolls: NDArray[np.int64], iterations: int) -> tuple[Model, list[float]]:
    """Return a model after Baum-Welch, and the log-likelihood per roll before each iteration and at the end."""
    likelihoods = []
    for _ in range(iterations):
        expected = forward_backward(model, rolls)
        likelihoods.append(expected.likelihood / rolls.size)
        shown = np.einsum("tbj,tbm->jm", expected.posterior, np.eye(model.B.shape[1])[rolls])
        model = Model(*(counts / counts.sum(axis=1, keepdims=True) for counts in (expected.pairs, shown)))
    return model, [*likelihoods, likelihood(model, rolls)]


def likelihood(model: Model, rolls: NDArray[np.int64]) -> float:
    """Return the log-likelihood per roll."""
    with mg.no_grad():
        losses = definition(*tensors(model)).compile()(o=rolls)["L"]
    return -float(losses.mean())


def sorted_by_six(model: Model) -> Model:
    """Return a model with its states in the order of their probability of a six: states have no names of their own."""
    order = model.B[:, -1].argsort()
    return Model(model.A[np.ix_(order, order)], model.B[order])


def difference(model: Model, other: Model) -> float:
    """Return the largest difference of a probability."""
    return max(float(np.abs(a - b).max()) for a, b in zip(sorted_by_six(model), sorted_by_six(other)))


def filtered(run: Run) -> Floats:
    """Return the probabilities of the states given the rolls so far: (T, batch, states)."""
    return np.asarray(mg.softmax(run["a"].stack().data).data)


def draw_posterior(options: common.Options, rolls: NDArray[Any], states: NDArray[Any]) -> None:
    """Draw one sequence: the rolls, which die it was, and its probability so far and given all rolls."""
    run, steps = differentiated(CASINO, rolls[:, None]), np.arange(1, len(rolls) + 1)
    with common.figure(options.out / "posterior.png", (10.5, 4.6)) as figure:
        figure.suptitle("The gradient of the log-likelihood by the scores e[t] is the posterior")
        above, below = figure.subplots(2, sharex=True, height_ratios=[1, 2])
        above.plot(steps, rolls + 1, "o", color="#333333", markersize=3)
        above.set(ylabel="roll", yticks=range(1, 7))
        for belief, label, color, width in ((filtered(run), "given the rolls so far: a[t]", common.COLORS[5], 1.2),
                                            (posterior(run), "given all rolls: the gradient", common.COLORS[0], 2)):
            below.plot(steps, belief[:, 0, 1], color=color, linewidth=width, label=label)
        below.set(xlabel="time step t", ylabel="P(loaded)", xlim=(0, len(rolls) + 1), ylim=(-0.03, 1.03))
        for axes in (above, below):
            axes.fill_between(steps, *axes.get_ylim(), where=states == 1, step="mid", color=common.COLORS[1], alpha=0.2,
                              linewidth=0, label="the die was loaded")
        figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_learning(options: common.Options, curves: dict[str, list[float]], truth: float) -> None:
    """Draw the log-likelihoods by iteration."""
    with common.axes(options.out / "learning.png", xlabel="updates, iterations", ylabel="log-likelihood per roll",
                     title="Two ways to the same maximum of the likelihood") as axes:
        for (label, values), color in zip(curves.items(), common.COLORS):
            axes.plot(values, color=color, linewidth=2, label=label)
        axes.axhline(truth, color="#555555", linestyle="--", label="the casino's own probabilities")


def example(options: common.Options) -> None:
    """Compare with the textbook, decode, learn."""
    rng = options.rng
    states, rolls = throws(CASINO, rng)
    run, book = differentiated(CASINO, rolls), forward_backward(CASINO, rolls)
    found = by_gradient(CASINO, rolls)
    print(f"gradient and forward-backward: log-likelihood {found.likelihood:.3f} and {book.likelihood:.3f}; posteriors "
          f"differ by {np.abs(found.posterior - book.posterior).max():.0e}, expected pairs by "
          f"{np.abs(found.pairs - book.pairs).max():.0e} of {book.pairs.sum():.0f}")
    best = posterior(differentiated(CASINO, rolls, np.max))
    beliefs = {"given the rolls so far": filtered(run), "given all rolls": found.posterior, "on the best path": best}
    right = [f"{(belief.argmax(axis=-1) == states).mean():.1%} {name}" for name, belief in beliefs.items()]
    print(f"fair dice: {(states == 0).mean():.1%}; right dice: {', '.join(right)}")

    start, curves = guess(rng), {}
    model, curves["gradient (Adam)"] = learned(start, rolls, options.steps)
    other, curves["Baum-Welch"] = baum_welch(start, rolls, options.steps)
    for label, values, one in zip(curves, curves.values(), (model, other)):
        print(f"{label}: log-likelihood per roll from {values[0]:.4f} to {values[-1]:.4f}, probabilities within "
              f"{difference(one, CASINO):.3f} of the casino's")
    print(f"log-likelihood with the casino's own {likelihood(CASINO, rolls):.4f}; the two learned models differ by "
          f"{difference(model, other):.4f}")
    print("threshold: 1e-9 and 1e-6; log-likelihoods within 1e-4 and not below the casino's, probabilities within 0.06")
    viz.unrolled(differentiated(CASINO, np.array([5, 5, 2, 0])), values=True, equations=True).render(
        outfile=options.out / "recurrence.png")
    draw_posterior(options, rolls[:, 0], states[:, 0])
    draw_learning(options, curves, likelihood(CASINO, rolls))


if __name__ == "__main__":
    sys.exit(common.Parser("hmm", "Learn a hidden Markov model by gradients.", 150).run(example))
