"""Losses that are computed from several runs: encoders and decoders, layers, chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell, Run, t

Runs = tuple[list[Run], mg.Tensor]


def layer(rng: np.random.Generator, name: str, size: int = 3, inputs: bool = True, output: int = 0) -> Cell:
    """An Elman cell: h, with an input x, and with an output y."""
    cell = Cell(name)
    h = cell.signal("h", size)
    U = mg.init.orthogonal((size, size), rng, name="U")
    if inputs:
        x = cell.input("x", size)
        h[t] = np.tanh(mg.init.glorot((size, size), rng, name="W") @ x[t] + U @ h[t-1])
    else:
        h[t] = np.tanh(U @ h[t-1])
    if output:
        y = cell.signal("y", output)
        y[t] = mg.init.glorot((output, size), rng, name="V") @ h[t]
    return cell


def square_mean(run: Run, name: str) -> Any:
    return np.square(run[name].stack()).mean()


def encoded(rng: np.random.Generator, T: int = 3, **options: Any) -> Run:
    return layer(rng, "encoder").unroll(x=rng.normal(size=(T, 2, 3)), **options)


def encoder_decoder(T: int = 3, S: int = 3, between: Callable[[Any], Any] = lambda h: h) -> Runs:
    rng = np.random.default_rng(0)
    first = encoded(rng, S)
    second = layer(rng, "decoder", inputs=False, output=2).unroll(T=T, initial={"h": between(first["h"][S])})
    return [first, second], square_mean(second, "y")


def bridge() -> Runs:
    P = mg.init.orthogonal((3, 3), np.random.default_rng(1), name="P")
    return encoder_decoder(between=lambda h: np.tanh(h @ P))


def attention() -> Runs:
    rng = np.random.default_rng(0)
    first = encoded(rng)
    cell = Cell("decoder")
    enc, a, s = cell.static("enc", (3, 3)), cell.signal("a", 3), cell.signal("s", 3)
    a[t] = mg.softmax(enc @ s[t-1])
    s[t] = np.tanh(mg.init.orthogonal((3, 3), rng, name="S") @ s[t-1] + a[t] @ enc)
    second = cell.unroll(T=2, enc=np.swapaxes(first["h"].stack(), 0, 1), initial={"s": first["h"][3]})
    return [first, second], square_mean(second, "s")


def chain() -> Runs:
    """Three chunks, connected by their states; each has a term of the loss."""
    return chunks(3, lambda state: state)


def detached_chunks() -> Runs:
    return chunks(2, lambda state: state.detach())


def chunks(count: int, pass_on: Callable[[Any], Any]) -> Runs:
    rng = np.random.default_rng(0)
    cell, runs = layer(rng, "elman", output=2), []
    for _ in range(count):
        start = {"initial": pass_on(runs[-1].state)} if runs else {}
        runs.append(cell.unroll(x=rng.normal(size=(2, 2, 3)), **start))
    return runs, sum((square_mean(run, "y") for run in runs[1:]), square_mean(runs[0], "y"))


def bidirectional() -> Runs:
    rng = np.random.default_rng(0)
    cell = Cell("encoder")
    x, f, b = cell.input("x", 3), cell.signal("f", 3), cell.signal("b", 3)
    f[t] = np.tanh(mg.init.glorot((3, 3), rng, name="F") @ x[t] + f[t-1])
    b[t] = np.tanh(mg.init.glorot((3, 3), rng, name="B") @ x[t] + b[t+1])
    first = cell.unroll(x=rng.normal(size=(3, 2, 3)))
    start = np.concatenate([first["f"][3], first["b"][1]], axis=-1)
    second = layer(rng, "decoder", 6, inputs=False).unroll(T=2, initial={"h": start})
    return [first, second], square_mean(second, "h")


def unequal_lengths() -> Runs:
    rng = np.random.default_rng(0)
    first = encoded(rng, 4, lengths=[4, 2])
    second = layer(rng, "decoder", inputs=False).unroll(T=2, initial={"h": first["h"].final()})
    return [first, second], square_mean(second, "h")


def two_layers() -> Runs:
    """The second run reads each step of the first one."""
    rng = np.random.default_rng(0)
    first = encoded(rng)
    second = layer(rng, "upper", output=2).unroll(x=first["h"].stack())
    return [first, second], square_mean(second, "y")


def deep_encoder_decoder() -> Runs:
    """Encoder and decoder of two layers each, with dropout between those of the decoder."""
    rng = np.random.default_rng(0)
    e1 = encoded(rng)
    e2 = layer(rng, "encoder 2").unroll(x=e1["h"].stack())
    d1 = layer(rng, "decoder 1").unroll(x=rng.normal(size=(2, 2, 3)), initial={"h": e1["h"][3]})
    d2 = layer(rng, "decoder 2").unroll(x=mg.dropout(d1["h"].stack(), 0.1, rng), initial={"h": e2["h"][3]})
    return [e1, e2, d1, d2], square_mean(d2, "h")


def reversed_input() -> Runs:
    """The second run reads the first one backward in time."""
    rng = np.random.default_rng(0)
    first = encoded(rng)
    second = layer(rng, "backward").unroll(x=first["h"].stack()[::-1])
    return [first, second], square_mean(second, "h")


def context() -> Runs:
    """Every step of the second run reads one value of the first."""
    rng = np.random.default_rng(0)
    first = layer(rng, "encoder").unroll(x=rng.normal(size=(3, 3)))
    cell = Cell("decoder")
    s = cell.signal("s", 3)
    s[t] = np.tanh(s[t-1] + first["h"][3])
    second = cell.unroll(T=3)
    return [first, second], square_mean(second, "s")


def skipping() -> Runs:
    """The third run reads the first one, too."""
    rng = np.random.default_rng(0)
    runs = [encoded(rng)]
    runs.append(layer(rng, "second", inputs=False).unroll(T=2, initial={"h": runs[0]["h"][3]}))
    start = runs[1]["h"][2] + runs[0]["h"][2]
    runs.append(layer(rng, "third", inputs=False).unroll(T=2, initial={"h": start}))
    return runs, square_mean(runs[2], "h")


def delay_of_two() -> Runs:
    """The decoder starts from two values of the encoder."""
    first = encoded(np.random.default_rng(0))
    cell = Cell("decoder")
    s = cell.signal("s", 3)
    s[t] = np.tanh(s[t-1] + 0.5 * s[t-2])
    second = cell.unroll(T=3, initial={"s": {0: first["h"][3], -1: first["h"][2]}})
    return [first, second], square_mean(second, "s")


def values_at_both_ends() -> Runs:
    """The second run reads values of the first before and after its steps, and as its own first output."""
    rng = np.random.default_rng(0)
    first = encoded(rng)
    cell = Cell("second")
    y, f, b = (cell.signal(name, 3) for name in "yfb")
    f[t] = np.tanh(y[t] + f[t-1])
    b[t] = np.tanh(f[t] + b[t+1])
    y[t+1] = mg.init.glorot((3, 3), rng, name="R") @ f[t]
    h = first["h"]
    second = cell.unroll(T=3, initial={"f": h[3], "b": {4: h[1]}, "y": {1: h[2]}})
    return [first, second], square_mean(second, "b")


def residual() -> Runs:
    """The third run reads each step of both others; the loss reads all three."""
    rng = np.random.default_rng(0)
    runs = [encoded(rng)]
    runs.append(layer(rng, "middle", output=2).unroll(x=runs[0]["h"].stack()))
    runs.append(layer(rng, "upper").unroll(x=runs[0]["h"].stack() + runs[1]["h"].stack()))
    return runs, square_mean(runs[2], "h") + square_mean(runs[0], "h") + square_mean(runs[1], "y")


def joined() -> Runs:
    """The third run reads the steps of the first, then those of the second, backward."""
    rng = np.random.default_rng(0)
    runs = [layer(rng, name).unroll(x=rng.normal(size=(2, 2, 3))) for name in ("first", "second")]
    steps = np.concatenate([runs[0]["h"].stack(), runs[1]["h"].stack()[::-1]], axis=0)
    runs.append(layer(rng, "reader").unroll(x=steps * 2.0))
    return runs, square_mean(runs[2], "h")


SEVERAL: list[Callable[[], Runs]] = [
    encoder_decoder, bridge, attention, chain, detached_chunks, bidirectional, unequal_lengths, two_layers,
    deep_encoder_decoder, reversed_input, context, skipping, delay_of_two, values_at_both_ends, residual,
    joined]
