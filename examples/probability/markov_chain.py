"""A Markov chain is a linear recurrence: it settles where p = p P, as fast as P's second eigenvalue allows.

    python -m examples.markov_chain [--seed 0] [--out DIR]

P[i, j] is the probability of going from state i to state j. The probabilities of the states are p[t] = p[t-1] @ P: a
recurrent network without input. The stationary distribution π is the fixed point of this h[t] = f(h[t-1]), reached
from any start if all states communicate and the chain has no period. The distance from it, half of the sum of
|p[t] - π|, shrinks by |λ2| at each step, in the long run, where λ2 is the eigenvalue of P with the second largest
absolute value (Levin, Peres and Wilmer, Markov chains and mixing times, 2009, chapters 1, 4 and 12).

The chain forgets its start at that rate, and its gradients vanish at the same: of the gradient of p[T] by P, what step
T - k contributes shrinks by |λ2| with each further k. The sum of these contributions, found by backpropagation through
time, is the derivative of π, for which there is a formula (Schweitzer, Perturbation theory and finite Markov chains, J.
Applied Probability 5, 1968): dπ = π dP Z, with Z the inverse of I - P + 1π.

The same chain as a random walk is a recurrence too, with random numbers as its input: the next state is the first whose
cumulative probability exceeds u[t]. p[t] is the distribution of many walkers.

Four chains of three states are drawn: the weather in the Land of Oz (Kemeny, Snell and Thompson, Introduction to finite
mathematics, 1974), one that goes around (λ2 is complex: a spiral), one with states that are rarely left, and one with a
period, which never settles.

Threshold, for 40 random chains of 3 to 8 states: π within 1e-12 of the left eigenvector, the gradient within 1e-7 of
the formula, the rates of forgetting and of vanishing within 1 % of |λ2| in the median (where a third eigenvalue is
nearly as large, the long run is longer than float64 resolves). Measured for seeds 0, 1, 2: π within 5e-14, 3e-14,
3e-14, the gradient within 2e-13, 3e-12, 2e-12, the rates within 5e-6. Picture: fixed_points.png. Time: 3 s.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t

Floats = NDArray[np.float64]
CHAINS: dict[str, Floats] = {
    "weather in Oz": np.array([[0.5, 0.25, 0.25], [0.5, 0, 0.5], [0.25, 0.25, 0.5]]),  # rain, nice, snow
    "goes around": np.array([[0.1, 0.85, 0.05], [0.05, 0.1, 0.85], [0.85, 0.05, 0.1]]),
    "rarely leaves": np.array([[0.97, 0.02, 0.01], [0.04, 0.93, 0.03], [0.0, 0.05, 0.95]]),
    "has a period": np.array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]]),
}


def chain(P: mg.Tensor) -> Cell:
    """Return the recurrence of the probabilities of the states, from a given start."""
    cell = Cell("Markov chain")
    start, p = cell.static("start", len(P)), cell.signal("p", len(P))
    p[0] = start
    p[t] = p[t-1] @ P
    return cell


def walk(P: Floats) -> Cell:
    """Return the recurrence of the state itself, as a one-hot vector; its input u is uniform in 0 ... 1."""
    reached = np.cumsum(P, axis=1)
    cell = Cell("random walk")
    start, u, s = cell.static("start", len(P)), cell.input("u", ()), cell.signal("s", len(P))
    s[0] = start
    s[t] = mg.one_hot((u[t] >= s[t-1] @ reached[:, :-1]).sum(), len(P))
    return cell


def tensor(P: Floats) -> mg.Tensor:
    return mg.Tensor(P, name="P")


def probabilities(P: Floats, start: Floats, steps: int) -> Floats:
    """Return p[0], ..., p[steps]: (steps + 1, [starts,] states)."""
    with mg.no_grad():
        p: Floats = chain(tensor(P)).compile()(T=steps, start=start)["p"]
    return np.concatenate([start[None], p])


def enough(P: Floats) -> int:
    """Return the number of steps after which |λ2| to this power is 1e-14."""
    return int(np.log(1e-14) / np.log(second(P)))


def settled(P: Floats) -> Floats:
    """Return the fixed point, from the first state as the start."""
    return np.asarray(probabilities(P, np.eye(len(P))[0], 2 * enough(P))[-1])


def eigenvector(P: Floats) -> Floats:
    """Return the left eigenvector of P for the eigenvalue 1, with the sum 1."""
    values, vectors = np.linalg.eig(P.T)
    vector = vectors[:, np.abs(values - 1).argmin()].real
    return np.asarray(vector / vector.sum())


def second(P: Floats) -> float:
    """Return |λ2|, the second largest absolute value of an eigenvalue."""
    return float(np.sort(np.abs(np.linalg.eigvals(P)))[-2])


def distances(p: Floats, stationary: Floats) -> Floats:
    """Return the distance in total variation from a stationary distribution, at each step."""
    return np.asarray(0.5 * np.abs(p - stationary).sum(axis=-1))


def rate(values: Floats, low: float = 1e-11, high: float = 1e-5) -> float:
    """Return the factor by which positive values shrink per step, while they are between these parts of the first."""
    steps = np.flatnonzero((values < high * values[0]) & (values > low * values[0]))
    return float(np.exp(np.polyfit(steps, np.log(values[steps]), 1)[0]))


def differentiated(scores: Floats) -> tuple[Floats, Floats]:
    """Return the gradient of the last state's probability at the end, and what each step contributes to it.

    Args:
        scores: P is their softmax, row by row, so that rows keep the sum 1.

    Returns:
        The gradient, (states, states), and contributions, (steps, states, states), the last step's first.
    """
    steps = enough(transitions(scores))
    parameter = mg.Tensor(scores, requires_grad=True, name="scores")
    run = chain(mg.softmax(parameter)).unroll(T=steps, start=np.eye(len(scores))[0])
    run["p"][steps][-1].backward()
    return np.asarray(parameter.grad), run.contributions("scores")[::-1]


def by_formula(scores: Floats) -> Floats:
    """Return the gradient of π's last element by the scores: dπ = π dP Z."""
    P = transitions(scores)
    stationary, n = eigenvector(P), len(P)
    Z = np.linalg.inv(np.eye(n) - P + np.ones((n, 1)) * stationary)
    return np.asarray(stationary[:, None] * P * (Z[:, -1] - (P @ Z[:, -1])[:, None]))


def sizes(contributions: Floats) -> Floats:
    """Return the norm of each step's contribution."""
    return np.asarray(np.linalg.norm(contributions, axis=(1, 2)))


def transitions(scores: Floats) -> Floats:
    """Return the probabilities P of which these are the scores."""
    return np.asarray(mg.softmax(scores).data)


def scores_of(P: Floats) -> Floats:
    """Return scores whose softmax is P; those of zeros are -20."""
    return np.log(np.maximum(P, np.exp(-20)))


def random_scores(rng: np.random.Generator) -> Floats:
    """Return the scores of a random chain of 3 to 8 states, some of which are left rarely."""
    n = int(rng.integers(3, 9))
    return np.asarray(rng.normal(size=(n, n)) + rng.uniform(1, 3) * np.eye(n))


class Agreement(NamedTuple):
    """How far the recurrence is from what is known of a chain; rates relative to |λ2|."""

    stationary: float
    forgetting: float
    vanishing: float
    gradient: float


def agreement(scores: Floats) -> Agreement:
    """Compare the recurrence with the eigenvector, |λ2| and the formula of the gradient."""
    P = transitions(scores)
    stationary = eigenvector(P)
    left = distances(probabilities(P, np.eye(len(P))[0], enough(P)), stationary)
    gradient, contributions = differentiated(scores)
    return Agreement(float(np.abs(settled(P) - stationary).max()), abs(rate(left) / second(P) - 1),
                     abs(rate(sizes(contributions)) / second(P) - 1),
                     float(np.abs(gradient - by_formula(scores)).max()))


def walkers(P: Floats, steps: int, number: int, rng: np.random.Generator) -> Floats:
    """Return the share of walkers in each state at t = 0 ... steps; all begin in the first state."""
    start = np.eye(len(P))[0]
    with mg.no_grad():
        s = walk(P).compile()(u=rng.uniform(size=(steps, number)), start=start)["s"]
    return np.concatenate([start[None], s.mean(axis=1)])


def draw_triangles(options: common.Options) -> None:
    """Draw the ways of p[t] in the triangle of all distributions of three states."""
    from matplotlib.patches import Polygon

    corners = np.array([[0, 0], [1, 0], [0.5, 0.75 ** 0.5]])
    edge = np.linspace(0, 1, 3)[:-1]
    starts = np.concatenate([np.outer(1 - edge, np.eye(3)[i]) + np.outer(edge, np.eye(3)[i - 2]) for i in range(3)])
    with common.figure(options.out / "fixed_points.png", (12, 3.7)) as figure:
        figure.suptitle("p[t] = p[t-1] @ P from six starts: the fixed point, ★, is the stationary distribution")
        for axes, (name, P), color in zip(figure.subplots(1, 4), CHAINS.items(), common.COLORS):
            axes.add_patch(Polygon(corners, fill=False, color="#555555"))
            for way in np.moveaxis(probabilities(P, starts, 60), 1, 0) @ corners:
                axes.plot(*way.T, ".-", color=color, linewidth=0.8, markersize=4, alpha=0.7)
            axes.plot(*(starts @ corners).T, "o", color="#555555", markersize=4)
            axes.plot(*(eigenvector(P) @ corners), "*", color="black", markersize=13, zorder=3)
            for corner, label, side in zip(corners, "123", (-0.06, 0.06, 0)):
                axes.text(corner[0] + side, corner[1] + 0.04 * (side == 0), label, ha="center",
                          va="center" if side else "bottom")
            rate = f"|λ2| = {second(P):.2f}" + ": it never settles" * bool(np.isclose(second(P), 1))
            axes.set(title=f"{name}\n{rate}", xlim=(-0.12, 1.12), ylim=(-0.08, 1))
            axes.set_aspect("equal", anchor="S")
            axes.axis("off")


def draw_rates(options: common.Options) -> None:
    """Draw how the start is forgotten and how the gradient vanishes, each with the slope of |λ2|."""
    with common.figure(options.out / "rates.png", (9.6, 4.4)) as figure:
        figure.suptitle("A chain forgets its start, and its gradients vanish, by the second eigenvalue of P")
        left, right = figure.subplots(1, 2, sharey=True)
        steps = np.arange(81)
        for (name, P), color in zip(list(CHAINS.items())[:3], common.COLORS):
            label = f"{name}: |λ2| = {second(P):.2f}"
            left.plot(steps, distances(probabilities(P, np.eye(3)[0], 80), eigenvector(P)), color=color, label=label)
            found = sizes(differentiated(scores_of(P))[1])[:81]
            right.plot(steps[:len(found)], found, color=color, label=label)
            for axes, height in ((left, 1.0), (right, found[0])):
                axes.plot(steps, height * second(P) ** steps, ":", color=color)
        left.plot([], [], ":", color="#333333", label="|λ2| to the power t, or k")
        left.set(xlabel="time step t", title="distance of p[t] from π", yscale="log", ylim=(1e-8, 2))
        right.set(xlabel="k", title="what step T - k contributes to the gradient of p[T]")
        left.legend(fontsize=9)
        for axes in (left, right):
            axes.grid(alpha=0.3)


def draw_walkers(options: common.Options, name: str, number: int) -> None:
    """Draw the shares of walkers over the probabilities."""
    P = CHAINS[name]
    p, share = probabilities(P, np.eye(3)[0], 20), walkers(P, 20, number, options.rng)
    with common.axes(options.out / "walkers.png", xlabel="time step t", ylabel="share of the walkers",
                     title=f"p[t] is the distribution of many walkers ({name}, {number} walkers)") as axes:
        for state, color in zip(range(3), common.COLORS):
            axes.plot(p[:, state], "-", color=color, linewidth=1)
            axes.plot(share[:, state], "o", color=color, markersize=5, label=f"state {state + 1}")
        axes.plot([], [], "-", color="#333333", linewidth=1, label="p[t]")
        axes.set_xticks(range(0, 21, 2))


def example(options: common.Options) -> None:
    """Compare random chains with what is known of them, and draw four others."""
    rng = options.rng
    for name, P in CHAINS.items():
        print(f"{name:16} |λ2| = {second(P):.4f}, π = {np.array2string(eigenvector(P), precision=4)}")
    found = [agreement(random_scores(rng)) for _ in range(5 if options.small else 40)]
    largest, median = np.max(found, axis=0), np.median(found, axis=0)
    print(f"{len(found)} random chains: π within {largest[0]:.1e} of the eigenvector, the gradient within "
          f"{largest[3]:.1e} of the formula")
    print(f"rates, in the median: of forgetting within {median[1]:.1e} of |λ2|, of vanishing within {median[2]:.1e}")
    print("threshold: 1e-12 and 1e-7; 0.01 and 0.01")
    picture = viz.both(chain(tensor(CHAINS["weather in Oz"])), steps=4, equations=True)
    picture.render(outfile=options.out / "recurrence.png")
    draw_triangles(options)
    draw_rates(options)
    draw_walkers(options, "goes around", 500 if options.small else 5000)


if __name__ == "__main__":
    sys.exit(common.Parser("markov_chain", "Find stationary distributions as fixed points.").run(example))
