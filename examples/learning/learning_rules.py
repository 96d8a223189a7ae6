"""Whole and truncated gradients: backpropagation through time, three truncations of it, and an online rule.

    python -m examples.learning_rules [--seed 0] [--steps 2000] [--out out/learning_rules]

One task for five rules: of three channels of random signs, the first output repeats the first channel one step later,
which is near, the second output the second channel 6 steps later, which is far. The network, that of rtrl.py with 8
units, is trained from the same start on the same sequences of 40 steps by each rule. Truncations of 4 steps learn the
near target alone; the rules with the whole gradient learn both. Real-time recurrent learning (Williams and Zipser, A
learning algorithm for continually running fully recurrent neural networks, Neural Computation 1, 1989) keeps nothing of
the past and pays for it with operations.

The truncations are options of `unroll` and of compiled programs (window: Williams and Peng, An efficient gradient-based
algorithm for on-line training of recurrent network trajectories, Neural Computation 2, 1990):

    chunks=4        in pieces of 4 steps; the state is carried on, and no gradient passes from piece to piece
    window=(2, 4)   after every 2 steps a pass through the last 4, for the losses of the last 2
    last=4          for the losses of the last 4 steps, through these steps

The bias of a rule is the angle of its gradient by W, U and b with that of the whole sequence, and the relative error
|g - full| / |full|, at the start and where training with the whole gradient has learned a part of the far target. The
costs are counts: the numbers that a rule has to keep for a sequence, and multiplications per step.

Claimed: for this task, a truncation to fewer steps than a target is away doesn't learn it in these updates, and the
rules with the whole gradient do. Not claimed: that truncation is bad. Where all that matters is near, it costs nothing.

Threshold, error of the far target on new sequences (guessing: 1): whole gradients below 0.1, truncations above 0.8; of
the near target all below 0.05. While the far target is learned, truncated gradients are at least 35° off. Measured for
seeds 0, 1, 2: far 0.0006, 0.0005, 0.0004 with whole gradients, at least 0.99 with truncations; near at most 0.002; at
the start 5° to 18°, then 45° to 51°; real-time recurrent learning: a relative error of at most 4e-15.
Picture: learning.png. Time: 30 s.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from examples import common
from examples.learning import rtrl

SIZE, STEPS, DELAY, BATCH, RATE, TESTED = 8, 40, 6, 16, 0.03, 256
MIDWAY = 0.7  # error of the far target
REACH = 4  # steps of a truncation
NAMES = ("W", "U", "b")  # the parameters inside of the loop: the gradient by V needs no past
REACHES = (1, 2, 4, 6, 8, 10, 12, 16, 20, 30, 40)
Gradients = Callable[[common.Batch], dict[str, NDArray[Any]]]  # and, under "e", the errors of the outputs


class Rule(NamedTuple):
    """A learning rule: its name, and the options of backpropagation; None for real-time recurrent learning."""

    name: str
    options: Mapping[str, Any] | None


def truncations(reach: int) -> list[Rule]:
    """Return the three kinds with gradients through at most `reach` steps."""
    every = max(reach // 2, 1)
    return [Rule(f"chunks={reach}", {"chunks": reach}), Rule(f"window=({every}, {reach})", {"window": (every, reach)}),
            Rule(f"last={reach}", {"last": reach})]


WHOLE, FORWARD = Rule("backpropagation through time", {}), Rule("real-time recurrent learning", None)
RULES = [WHOLE, *truncations(REACH), FORWARD]


def problems(sequences: int, rng: np.random.Generator) -> common.Batch:
    """Return random signs x (STEPS, sequences, 3), and the first two channels 1 and DELAY steps later, from zeros."""
    x = rng.choice([-1.0, 1.0], size=(STEPS, sequences, 3))
    d = np.zeros((STEPS, sequences, 2))
    d[1:, :, 0], d[DELAY:, :, 1] = x[:-1, :, 0], x[:-DELAY, :, 1]
    return {"x": x, "d": d}


def gradients_of(rule: Rule, p: rtrl.Parameters) -> Gradients:
    """Return a function from a batch to the gradients of its mean loss by a rule."""
    if rule.options is None:
        return forward_in_time(p)
    options, program = rule.options, rtrl.network(p).compile(loss="L", reduction="mean")

    def gradients(batch: common.Batch) -> dict[str, NDArray[Any]]:
        for parameter in p.values():
            parameter.grad = None
        outputs = program(**batch, **options).outputs
        return {"e": outputs["e"], **{name: np.asarray(parameter.grad) for name, parameter in p.items()}}

    return gradients


def forward_in_time(p: rtrl.Parameters) -> Gradients:
    """Return the same for real-time recurrent learning: the last state has the gradients, that by V needs no past."""
    program = rtrl.differentiated(p).compile()

    def gradients(batch: common.Batch) -> dict[str, NDArray[Any]]:
        outputs = program(**batch)
        found = {name: outputs[f"G_{name}"][-1].sum(axis=0) for name in NAMES}
        found["V"] = np.einsum("tno,tnh->oh", outputs["e"], outputs["h"])
        return {"e": outputs["e"], **{name: total / batch["x"][..., 0].size for name, total in found.items()}}

    return gradients


def errors(e: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean squared errors of the near and of the far target, after the first DELAY steps."""
    result: NDArray[np.float64] = np.square(e[DELAY:]).mean(axis=(0, 1))
    return result


class Trained(NamedTuple):
    """A network that a rule has trained, the two errors of each update, and the CPU time of an update."""

    parameters: rtrl.Parameters
    midway: rtrl.Parameters  # a copy from where the far error first was below MIDWAY; the last ones if it never was
    errors: NDArray[np.float64]  # (updates, 2)
    milliseconds: float


def trained(rule: Rule, updates: int, rng: np.random.Generator) -> Trained:
    """Train a network by a rule, with Adam and clipped gradients."""
    p = midway = rtrl.parameters(rng, SIZE)
    gradients, optimizer, found = gradients_of(rule, p), mg.optim.Adam(p, lr=RATE), []
    bar, started = common.Progress(updates, rule.name), time.process_time()
    for update in bar:
        new = gradients(problems(BATCH, rng))
        found.append(errors(new.pop("e")))
        if midway is p and found[-1][1] < MIDWAY:
            midway = copy.deepcopy(p)
        for name, gradient in new.items():
            p[name].grad = gradient
        mg.optim.clip_grad_norm(p, 1.0)
        optimizer.lr = mg.schedules.linear(update, RATE, updates, end=RATE / 10)
        optimizer.step()
        bar.show(near=found[-1][0], far=found[-1][1])
    return Trained(p, midway, np.array(found), 1000 * (time.process_time() - started) / updates)


def tested(p: rtrl.Parameters, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the errors on new sequences."""
    return errors(rtrl.network(p).compile()(**problems(TESTED, rng))["e"])


def bias(rule: Rule, p: rtrl.Parameters, batch: common.Batch) -> tuple[float, float]:
    """Return the angle between the gradients of a rule and of the whole sequence in degrees, and the relative error."""
    g, full = (np.concatenate([found[name].ravel() for name in NAMES])
               for found in (gradients_of(each, p)(batch) for each in (rule, WHOLE)))
    sizes = np.linalg.norm(g), np.linalg.norm(full)
    half = np.linalg.norm(g / sizes[0] - full / sizes[1]) / 2  # exact for small angles, where the cosine is not
    return float(np.degrees(2 * np.arcsin(min(half, 1.0)))), float(np.linalg.norm(g - full) / sizes[1])


def numbers_kept(rule: Rule, size: int, steps: int) -> int:
    """Return how many numbers a rule has to keep for a sequence."""
    if rule.options is None:
        return rtrl.carried(rtrl.parameters(np.random.default_rng(0), size))
    return rtrl.kept(size, min(REACH, steps) if rule.options else steps)


def multiplications(rule: Rule, size: int, steps: int) -> float:
    """Return the multiplications of matrix products per step, forward and backward.

    `local` are the products of a step with V: the transposed one, and the gradient by V. `back` are those of a step
    back: U transposed, and the gradients by U and W. Forward in time, U is multiplied with the derivatives by all
    parameters, and these with the error.
    """
    inside = size * (rtrl.INPUTS + size)
    forward = inside + rtrl.OUTPUTS * size
    local, back = 2 * rtrl.OUTPUTS * size, inside + size * size
    if rule.options is None:
        return forward + local + (size * size + size) * (inside + size)
    if "last" in rule.options:
        return forward + (local + back) * int(rule.options["last"]) / steps
    every, length = rule.options.get("window", (1, 1))
    result: float = forward + local + back * length / every
    return result


def draw_learning(options: common.Options, found: dict[str, Trained]) -> None:
    """Draw the errors of both targets by update; of lines that coincide the wide ones are behind."""
    window = max(options.steps // 50, 1)
    with common.figure(options.out / "learning.png", (9.6, 5)) as figure:
        figure.suptitle(f"Truncated to {REACH} steps, a gradient doesn't teach a target that is {DELAY} steps away")
        panels = figure.subplots(1, 2, sharey=True)
        widths = dict(zip(found, (4.5, 6, 3.5, 1.2, 1.5)))
        for column, (axes, target) in enumerate(zip(panels, ("near: 1 step", f"far: {DELAY} steps"))):
            for number, (name, run) in enumerate(found.items()):
                curve = common.running_mean(run.errors[:, column], window)
                axes.plot(np.arange(len(curve)) + window, curve, color=common.COLORS[number], linewidth=widths[name],
                          label=name)
            axes.axhline(1, color="#333333", linestyle="--", linewidth=1, zorder=1, label="guessing")
            axes.set(xlabel="update", title=target, yscale="log", ylim=(1e-6, 3))
            axes.grid(alpha=0.3)
        panels[0].set_ylabel("mean squared error")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_bias(options: common.Options, places: dict[str, rtrl.Parameters], batch: common.Batch) -> None:
    """Draw the angles between truncated gradients and that of the whole sequence, by the number of steps."""
    kinds = [[truncations(reach)[kind] for reach in REACHES] for kind in range(3)]
    with common.axes(options.out / "bias.png", xlabel="steps of the truncation", ylim=(-4, 120),
                     ylabel="angle with the whole gradient (degrees)",
                     title="While the far target is learned, short truncations point another way") as axes:
        for rules, name, color in zip(kinds, ("chunks", "window", "last"), common.COLORS[1:]):
            for (place, p), style in zip(places.items(), (":", "-")):
                axes.plot(REACHES, [bias(rule, p, batch)[0] for rule in rules], style, marker="o", markersize=3,
                          color=color, label=f"{name}, {place}")
        axes.axvline(DELAY, color="#555555", linestyle="--", label="the delay of the far target")


def draw_cost(options: common.Options, sizes: Sequence[int], steps: int) -> None:
    """Draw the costs of each rule for networks of several sizes."""
    with common.axes(options.out / "cost.png", xscale="log", yscale="log", ylim=(50, 2e8),
                     xlabel="numbers kept for a sequence", ylabel="multiplications per step",
                     title=f"The price of a whole gradient, {steps} steps: memory, or operations") as axes:
        for rule, color, marker in zip(RULES, common.COLORS, "osv^D"):
            places = [(numbers_kept(rule, size, steps), multiplications(rule, size, steps)) for size in sizes]
            axes.plot(*zip(*places), marker=marker, color=color, label=rule.name)
        for size, place in zip(sizes, places):
            axes.annotate(f"H = {size}", place, xytext=(-8, 4), textcoords="offset points", ha="right", fontsize=9)


def example(options: common.Options) -> None:
    """Train by every rule; measure the bias at two places; count the costs."""
    found: dict[str, Trained] = {}
    for rule in RULES:
        rng = options.rng
        found[rule.name] = trained(rule, options.steps, rng)
        near, far = tested(found[rule.name].parameters, rng)
        print(f"{rule.name:30} error of the near target {near:.4f}, of the far {far:.4f}")
    places = {"at the start": rtrl.parameters(options.rng, SIZE),
              "while the far one is learned": found[WHOLE.name].midway}
    batch = problems(TESTED, np.random.default_rng(options.seed + 1))
    print(f"\n{'':30} " + "".join(f"{place:>30}" for place in places) + f"{'kept':>8}{'products':>10}{'ms/update':>11}")
    for rule in RULES:
        measured = [bias(rule, p, batch) for p in places.values()]
        angles = "".join(f"{angle:19.1f}°{error:10.2g}" for angle, error in measured)
        print(f"{rule.name:30} {angles}{numbers_kept(rule, SIZE, STEPS):8}{multiplications(rule, SIZE, STEPS):10.0f}"
              f"{found[rule.name].milliseconds:11.1f}")
    print("the angle with the gradient of the whole sequence, and the relative error")
    print("threshold: far below 0.1 with whole gradients, above 0.8 with truncations; near below 0.05; angles of "
          "truncations at least 35° while the far one is learned")
    draw_learning(options, found)
    draw_bias(options, places, batch)
    draw_cost(options, (8, 16, 32, 64), 1000)


if __name__ == "__main__":
    sys.exit(common.Parser("learning_rules", "Compare BPTT, three truncations of it, and RTRL.", 2000).run(example))
