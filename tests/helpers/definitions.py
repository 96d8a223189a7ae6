"""Definitions for several test files, their data, and the stored cases."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell, Run, cells, t

CASES = Path(__file__).parents[1] / "cases"


def case(name: str) -> Any:
    """Return a stored case: inputs, what is expected, and where both come from."""
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


def above(lines: int = 1) -> str:
    """Return `file:line` of the line above the caller, as messages write it."""
    frame = sys._getframe(1)
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno - lines}"


def parameter(name: str, *shape: int, dtype: Any = float) -> mg.Tensor:
    """Return a parameter whose values depend on its name: two of the same name are equal."""
    rng = np.random.default_rng(list(name.encode()))
    return mg.Tensor(rng.normal(size=shape) * 0.5, requires_grad=True, name=name, dtype=dtype)


def elman(dtype: Any = float) -> Cell:
    shapes = {"W": (4, 3), "U": (4, 4), "b": (4,), "V": (2, 4)}
    W, U, b, V = (parameter(name, *shape, dtype=dtype) for name, shape in shapes.items())
    cell = Cell("elman")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    return cell


def feedback(delay: int = 1) -> Cell:
    """Return three layers; the third feeds back to the second."""
    W1, U1 = parameter("W1", 4, 3), parameter("U1", 4, 4)
    W2, U2, F = parameter("W2", 5, 4), parameter("U2", 5, 5), parameter("F", 5, 6)
    W3, U3, V = parameter("W3", 6, 5), parameter("U3", 6, 6), parameter("V", 2, 6)
    cell = Cell(f"feedback {delay}")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    h1, h2, h3 = cell.signal("h1", 4), cell.signal("h2", 5), cell.signal("h3", 6)
    h1[t] = np.tanh(W1 @ x[t] + U1 @ h1[t-1])
    h2[t] = np.tanh(W2 @ h1[t] + U2 @ h2[t-1] + F @ h3[t-delay])
    h3[t] = np.tanh(W3 @ h2[t] + U3 @ h3[t-1])
    y[t] = V @ h3[t]
    return cell


def feedback_2() -> Cell:
    return feedback(2)


def bidirectional() -> Cell:
    A, B, C, D = parameter("A", 4, 3), parameter("B", 4, 4), parameter("C", 4, 3), parameter("D", 4, 4)
    E = parameter("E", 2, 8)
    cell = Cell("bidirectional")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    hf, hb = cell.signal("hf", 4), cell.signal("hb", 4)
    hf[t] = np.tanh(A @ x[t] + B @ hf[t-1])
    hb[t] = np.tanh(C @ x[t] + D @ hb[t+1])
    y[t] = E @ np.concatenate([hf[t], hb[t]], axis=-1)
    return cell


def own_output() -> Cell:
    """Return a network fed by its own output: x[1] is set, there is no input."""
    A, B, C = parameter("A", 4, 3), parameter("B", 4, 4), parameter("C", 3, 4)
    cell = Cell("own output")
    x, h = cell.signal("x", 3), cell.signal("h", 4)
    h[t] = np.tanh(A @ x[t] + B @ h[t-1])
    x[t+1] = mg.sigmoid(C @ h[t])
    x[1] = np.ones(3)
    return cell


def two_delays() -> Cell:
    B, C, D, E = parameter("B", 4, 4), parameter("C", 4, 4), parameter("D", 4, 4), parameter("E", 4, 4)
    cell = Cell("two delays")
    x, h, y = cell.input("x", 4), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(x[t] + B @ h[t-1] + C @ h[t-2] + D @ y[t-1])
    y[t] = mg.sigmoid(E @ h[t])
    return cell


def lstm(size: int = 3, hidden: int = 4) -> Cell:
    """Return Hochreiter and Schmidhuber's cell with a forget gate, one matrix per gate."""
    cell = Cell("lstm")
    x, h, c, y = cell.input("x", size), cell.signal("h", hidden), cell.signal("c", hidden), cell.signal("y", 2)
    gates = {gate: parameter(f"W_{gate}", hidden, size) @ x[t] + parameter(f"U_{gate}", hidden, hidden) @ h[t-1]
             + parameter(f"b_{gate}", hidden) for gate in "ifgo"}
    c[t] = mg.sigmoid(gates["f"]) * c[t-1] + mg.sigmoid(gates["i"]) * np.tanh(gates["g"])
    h[t] = mg.sigmoid(gates["o"]) * np.tanh(c[t])
    y[t] = parameter("V", 2, hidden) @ h[t]
    return cell


def gru(size: int = 3, hidden: int = 4) -> Cell:
    """Return Cho et al.'s cell; the gates are signals of their own, side by side."""
    cell = Cell("gru")
    x, z, r = cell.input("x", size), cell.signal("z", hidden), cell.signal("r", hidden)
    n, h = cell.signal("n", hidden), cell.signal("h", hidden)
    z[t] = mg.sigmoid(parameter("Wz", hidden, size) @ x[t] + parameter("Uz", hidden, hidden) @ h[t-1])
    r[t] = mg.sigmoid(parameter("Wr", hidden, size) @ x[t] + parameter("Ur", hidden, hidden) @ h[t-1])
    n[t] = np.tanh(parameter("Wn", hidden, size) @ x[t] + parameter("Un", hidden, hidden) @ (r[t] * h[t-1]))
    h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
    return cell


def gated() -> Cell:
    """Return the example of the READMEs of rnn.ir, rnn.compiler and rnn.fast."""
    def weight(name: str, *shape: int) -> mg.Tensor:
        return mg.Tensor(np.ones(shape), requires_grad=True, name=name)

    W, U, V, R = weight("W", 2, 3), weight("U", 2, 2), weight("V", 2, 3), weight("R", 2, 2)
    cell = Cell("gated")
    x, z, a, h, L = cell.input("x", 3), *(cell.signal(name, 2) for name in "zah"), cell.signal("L", ())
    z[t] = mg.sigmoid(V @ x[t] + R @ h[t-1])
    a[t] = np.tanh(W @ x[t] + U @ h[t-1])
    h[t] = z[t] * a[t]
    L[t] = (h[t] * h[t]).sum(axis=-1)
    return cell


def lagged_input() -> Cell:
    """Return an Elman network that also reads the previous input."""
    W, L, U = parameter("W", 4, 3), parameter("L", 4, 3), parameter("U", 4, 4)
    cell = Cell("lagged input")
    x, h = cell.input("x", 3), cell.signal("h", 4)
    h[t] = np.tanh(W @ x[t] + L @ x[t-1] + U @ h[t-1])
    x[0] = 0
    return cell


def lagged_twice() -> Cell:
    """Return a network with the inputs of two steps before (Waibel et al. 1989)."""
    A, B, C, V = parameter("A", 4, 3), parameter("B", 4, 3), parameter("C", 4, 3), parameter("V", 2, 4)
    cell = Cell("time delays")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 2)
    h[t] = np.tanh(A @ x[t] + B @ x[t-1] + C @ x[t-2])
    y[t] = V @ h[t]
    x[0], x[-1] = 0, 0
    return cell


def two_ahead() -> Cell:
    A, B, C, V = parameter("A", 4, 3), parameter("B", 4, 4), parameter("C", 4, 4), parameter("V", 2, 4)
    cell = Cell("two ahead")
    x, b, y = cell.input("x", 3), cell.signal("b", 4), cell.signal("y", 2)
    b[t] = np.tanh(A @ x[t] + B @ b[t+1] + C @ b[t+2])
    y[t] = V @ b[t]
    return cell


def side_by_side(count: int, neighbour: int = 0) -> Cell:
    """Return states that read no other one of their step, but their own past or that of a neighbour in a ring."""
    cell = Cell(f"{count} states")
    x, y = cell.input("x", 3), cell.signal("y", 3 * count)
    states = [cell.signal(f"s{number}", 3) for number in range(count)]
    for number, state in enumerate(states):
        past = states[(number + neighbour) % count][t-1]
        state[t] = np.tanh(parameter(f"W{number}", 3, 3) @ x[t] + parameter(f"U{number}", 3, 3) @ past)
    y[t] = np.concatenate([state[t] for state in states], axis=-1)
    return cell


def three_delays() -> Cell:
    W, U1, U2, U3 = parameter("W", 4, 3), parameter("U1", 4, 4), parameter("U2", 4, 4), parameter("U3", 4, 4)
    cell = Cell("three delays")
    x, h = cell.input("x", 3), cell.signal("h", 4)
    h[t] = np.tanh(W @ x[t] + U1 @ h[t-1] + U2 @ h[t-2] + U3 @ h[t-3])
    return cell


def skips() -> Cell:
    """Return two layers that read each other's past and both the input; both make the output (Graves 2013)."""
    W1, W2, S, U1, U2 = (parameter(name, 4, 3 if name[0] == "W" else 4) for name in ("W1", "W2", "S", "U1", "U2"))
    D, F, V1, V2 = parameter("D", 4, 4), parameter("F", 4, 4), parameter("V1", 2, 4), parameter("V2", 2, 4)
    cell = Cell("skips")
    x, h1, h2, y = cell.input("x", 3), cell.signal("h1", 4), cell.signal("h2", 4), cell.signal("y", 2)
    h1[t] = np.tanh(W1 @ x[t] + U1 @ h1[t-1] + F @ h2[t-1])
    h2[t] = np.tanh(W2 @ x[t] + S @ h1[t] + U2 @ h2[t-1] + D @ h1[t-1])
    y[t] = V1 @ h1[t] + V2 @ h2[t]
    return cell


def gates(size: int = 3, hidden: int = 4) -> Cell:
    """Return the same cell as `lstm`, with its four gates as signals side by side."""
    cell = Cell("lstm with gates")
    x, y = cell.input("x", size), cell.signal("y", 2)
    f, i, g, o, c, h = (cell.signal(name, hidden) for name in "figoch")
    for gate in (f, i, g, o):
        name = gate.name
        total = (parameter(f"W_{name}", hidden, size) @ x[t] + parameter(f"U_{name}", hidden, hidden) @ h[t-1]
                 + parameter(f"b_{name}", hidden))
        gate[t] = np.tanh(total) if gate is g else mg.sigmoid(total)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * np.tanh(c[t])
    y[t] = parameter("V", 2, hidden) @ h[t]
    return cell


def twenty() -> Cell:
    """Return twenty signals: two inputs, three recurrent layers of gated units, skips, attention-like fan-in."""
    cell = Cell("twenty")
    x, z = cell.input("x", 3), cell.input("z", 3)
    below = [x, z]
    for layer in "abc":
        gate, new, state = (cell.signal(f"{layer}{name}", 4) for name in ("g", "n", "h"))
        for signal in (gate, new):
            read = [parameter(f"{signal.name}{other.name}", 4, (other.shape or (0,))[0]) @ other[t] for other in below]
            signal[t] = np.tanh(sum(read[1:], read[0]) + parameter(f"{signal.name}U", 4, 4) @ state[t-1])
        state[t] = mg.sigmoid(gate[t]) * new[t] + (1 - mg.sigmoid(gate[t])) * state[t-1]
        below = [state, x]
    heads = [cell.signal(f"q{number}", 4) for number in range(8)]
    a, b, c = (cell.signals[f"{layer}h"] for layer in "abc")
    for number, head in enumerate(heads):
        head[t] = parameter(f"Q{number}", 4, 4) @ (a, b, c)[number % 3][t]
    y = cell.signal("y", 4)
    y[t] = mg.softmax(sum((head[t] for head in heads[1:]), heads[0][t]))
    return cell


def deep_lstm(layers: int = 4) -> Cell:
    """Return LSTM layers above each other, layer1.f, layer1.i, ..., and an output."""
    cell, rng = Cell("deep LSTM"), np.random.default_rng(0)
    top = cell.input("x", 3)
    for number in range(1, layers + 1):
        top = cells.lstm(cell, top, 4, name=f"layer{number}", rng=rng)
    y = cell.signal("y", 2)
    y[t] = parameter("V", 2, 4) @ top[t]
    return cell


def deep_bidirectional(layers: int = 2) -> Cell:
    """Return bidirectional GRU layers above each other, g.1.forward.h, g.1.backward.h, g.1.h, ..., and an output."""
    cell, rng = Cell("deep bidirectional GRU"), np.random.default_rng(0)
    top = cell.input("x", 3)
    for number in range(1, layers + 1):
        top = cells.bidirectional(cell, cells.gru, top, 4, name=f"g.{number}", rng=rng)
    y = cell.signal("y", 2)
    y[t] = parameter("V", 2, 8) @ top[t]
    return cell


def feedback_between_layers() -> Cell:
    """Return three layers of two signals; the third feeds back to the second."""
    cell = Cell("feedback between layers")
    below, signals = cell.input("x", 4), {}
    for layer in ("one", "two", "three"):
        signals |= {f"{layer}.{name}": cell.signal(f"{layer}.{name}", 4) for name in ("a", "h")}
    for layer in ("one", "two", "three"):
        a, h = signals[f"{layer}.a"], signals[f"{layer}.h"]
        a[t] = parameter(f"{layer}.W", 4, 4) @ below[t]
        past = parameter(f"{layer}.U", 4, 4) @ h[t-1]
        h[t] = np.tanh(a[t] + past + signals["three.h"][t-1] if layer == "two" else a[t] + past)
        below = h
    y = cell.signal("y", 2)
    y[t] = parameter("V", 2, 4) @ below[t]
    return cell


def interleaved() -> Cell:
    """Return a layer whose h is computed from y, which is computed from its a; and a layer above."""
    cell = Cell("interleaved")
    x, a, h, y = cell.input("x", 2), cell.signal("in.a", 2), cell.signal("in.h", 2), cell.signal("y", 2)
    b, top = cell.signal("up.b", 2), cell.signal("up.h", 2)
    a[t] = np.tanh(x[t] + h[t-1])
    y[t] = 2 * a[t]
    h[t] = np.tanh(y[t])
    b[t] = h[t] + top[t-1]
    top[t] = np.tanh(b[t])
    return cell


def random_layers(seed: int) -> Cell:
    """Return up to five layers of one to four signals, others in none, and two inputs; some layers run backward.

    A signal reads those before it at the same step, and any one of its own layer, or of layers above, at others.
    """
    rng = np.random.default_rng(seed)
    cell = Cell(f"random layers {seed}")
    before = [cell.input("x", 2), cell.input("z", 2)]
    forward: list[Any] = []
    for number in range(int(rng.integers(1, 6))):
        prefix = str(rng.choice([f"l{number}.", f"net.{number}.", f"net.{number}.forward.", ""]))
        backward = prefix and rng.random() < 0.25
        own = [cell.signal(f"{prefix}{name}{number}", 2) for name in "abcd"[:int(rng.integers(1, 5))]]
        for place, signal in enumerate(own):
            near = [*before[-4:], *own[:place]]
            total = parameter(f"{prefix}W{number}{place}", 2, 2) @ near[int(rng.integers(len(near)))][t]
            for other in near:
                if rng.random() < 0.4:
                    total = total + other[t]
            for other in own:
                if rng.random() < 0.35:
                    delay = int(rng.integers(1, 3))
                    total = total + np.tanh(other[t + delay] if backward else other[t - delay])
            if not backward and forward and rng.random() < 0.2:
                total = total + forward[int(rng.integers(len(forward)))][t - 1]
            signal[t] = total
        before += own
        forward += [] if backward else own
    return cell


DEFINITIONS: list[Callable[[], Cell]] = [elman, feedback, feedback_2, bidirectional, own_output, two_delays]


def data(cell: Cell, T: int = 4, batch: tuple[int, ...] = (5,), seed: int = 0) -> dict[str, Any]:
    """Return random values for every input; the number of steps where there is no input."""
    rng = np.random.default_rng(seed)
    inputs = {name: rng.normal(size=(T, *batch, *(signal.shape or ())))
              for name, signal in cell.signals.items() if signal.given}
    return inputs or {"T": T}


def unrolled(make: Callable[[], Cell], T: int = 4, batch: tuple[int, ...] = (5,)) -> tuple[Run, mg.Tensor]:
    """Return a run of a definition over random data, and a loss of its outputs after its backward pass."""
    cell = make()
    run = cell.unroll(**data(cell, T, batch))
    output = run["y" if "y" in run else "h"].stack()
    loss = (output * output).mean()
    loss.backward()
    return run, loss
