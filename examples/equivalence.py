"""The two forms of the vanilla network are one network.

    python -m examples.equivalence [--seed 0] [--out out/equivalence]

    (i)   h[t] = σ(W [x[t], h[t-1]] + b),   y[t] = V h[t]         the state is the output of σ
    (ii)  a[t] = W [x[t], σ(a[t-1])] + b,   y[t] = V σ(a[t])      the state is the input of σ

If h[t-1] = σ(a[t-1]), then the right side of (ii) is the argument of σ in (i), and so h[t] = σ(a[t]).
By induction this holds at every step if it holds before the first one: (i) has to start from
h[0] = σ(a[0]). For tanh and relu a[0] = 0 corresponds to h[0] = 0, for the sigmoid to h[0] = 1/2. The converse
fails: no a[0] has a sigmoid of 0, so only (i) can start from h[0] = 0.

By the chain rule dL/da[t] = dL/dh[t] · σ'(a[t]) for the states; the gradients of the quantities of both forms, W,
b, V, a[0] and the inputs, are equal. Pascanu, Mikolov and Bengio (On the difficulty of
training recurrent neural networks, ICML 2013) write form (ii) and remark on it.

Measured for seeds 0, 1, 2: no difference above 5e-16. Picture: states.png. Time: 1 s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from examples import common
from rnn import Cell, t

INPUTS, SIZE, OUTPUTS, STEPS, BATCH = 3, 5, 2, 8, 4
Function = Callable[[Any], Any]
ACTIVATIONS: dict[str, Function] = {"tanh": mg.tanh, "sigmoid": mg.sigmoid, "relu": mg.relu}


def parameters(rng: np.random.Generator) -> dict[str, mg.Tensor]:
    """Return the parameters of both forms; the state starts from a[0]."""
    shapes = {"W": (SIZE, INPUTS + SIZE), "b": (SIZE,), "V": (OUTPUTS, SIZE), "a0": (SIZE,)}
    return {name: mg.init.normal(shape, rng, std=0.6, name=name) for name, shape in shapes.items()}


def form_i(activation: Function, p: dict[str, mg.Tensor]) -> Cell:
    cell = Cell("form (i)")
    x, h, y = cell.input("x", INPUTS), cell.signal("h", SIZE), cell.signal("y", OUTPUTS)
    h[t] = activation(p["W"] @ mg.concatenate([x[t], h[t-1]], axis=-1) + p["b"])
    y[t] = p["V"] @ h[t]
    h[0] = activation(p["a0"])
    return cell


def form_ii(activation: Function, p: dict[str, mg.Tensor]) -> Cell:
    cell = Cell("form (ii)")
    x, a, y = cell.input("x", INPUTS), cell.signal("a", SIZE), cell.signal("y", OUTPUTS)
    a[t] = p["W"] @ mg.concatenate([x[t], activation(a[t-1])], axis=-1) + p["b"]
    y[t] = p["V"] @ activation(a[t])
    a[0] = p["a0"]
    return cell


def slope(activation: Function, a: mg.Tensor) -> Any:
    """Return σ'(a) elementwise."""
    a = mg.Tensor(a.data, requires_grad=True)
    activation(a).sum().backward()
    return a.grad


def differences(activation: Function, rng: np.random.Generator) -> dict[str, float]:
    """Return the largest absolute differences of quantities that are equal in theory."""
    shared = parameters(rng)
    x = mg.Tensor(rng.normal(size=(STEPS, BATCH, INPUTS)), requires_grad=True, name="x")
    target = rng.normal(size=(STEPS, BATCH, OUTPUTS))
    inputs = [*shared.values(), x]

    one = form_i(activation, shared).unroll(x=x)
    loss_one = mg.losses.mse(one["y"].stack(), target)
    gradients_one = mg.grad(loss_one, inputs)
    states_one = mg.grad(loss_one, list(one["h"]))

    two = form_ii(activation, shared).unroll(x=x)
    loss_two = mg.losses.mse(two["y"].stack(), target)
    gradients_two = mg.grad(loss_two, inputs)
    states_two = mg.grad(loss_two, list(two["a"]))

    found = {"states: h - σ(a)": largest(h.data - activation(a).data for h, a in zip(one["h"], two["a"])),
             "loss": abs(loss_one.item() - loss_two.item()),
             "dL/da - dL/dh · σ'(a)": largest(da - dh * slope(activation, a)
                                              for da, dh, a in zip(states_two, states_one, two["a"]))}
    for tensor, first, second in zip(inputs, gradients_one, gradients_two):
        found[f"dL/d{tensor.name}"] = largest([first - second])
    return found


def largest(arrays: Any) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


def draw_states(options: common.Options) -> None:
    """Draw each state of form (i) over that of form (ii): the points lie on the curve of σ."""
    line = np.linspace(-4, 4, 101)
    with common.axes(options.out / "states.png", xlabel="a[t], the state of form (ii)", xlim=(-4, 4), ylim=(-1.2, 3.2),
                     ylabel="h[t], the state of form (i)",
                     title="Two forms, one network: h[t] = σ(a[t]) at every step") as axes:
        for (name, activation), color in zip(ACTIVATIONS.items(), common.COLORS):
            rng = options.rng
            p, x = parameters(rng), rng.normal(size=(STEPS, BATCH, INPUTS))
            h = form_i(activation, p).unroll(x=x)["h"].stack().data
            a = form_ii(activation, p).unroll(x=x)["a"].stack().data
            axes.plot(line, activation(line).data, color=color, linewidth=1, label=f"the curve of σ = {name}")
            axes.scatter(a, h, s=14, color=color)


def example(options: common.Options) -> None:
    """Compare the states and the gradients of both forms, for three activations."""
    columns = {name: differences(activation, options.rng) for name, activation in ACTIVATIONS.items()}
    print(f"form (i) against form (ii), {STEPS} steps, largest differences:\n")
    print(f"{'':24}" + "".join(f"{name:>10}" for name in columns))
    for row in columns["tanh"]:
        print(f"{row:24}" + "".join(f"{column[row]:10.1e}" for column in columns.values()))


    draw_states(options)


if __name__ == "__main__":
    sys.exit(common.Parser("equivalence", "The two forms of the vanilla network are one network.").run(example))
