"""Every kind of picture that viz draws, on one page.

    python -m examples.gallery [--seed 0] [--out gallery]

Networks of several kinds, each drawn in another way: rolled, unrolled, with operations, with values and gradients, on
a slide, in rows, folded, animated. The pictures are SVG and GIF files; index.html shows them. Picture: 08.svg.
Time: 5 s.
"""

import html
import sys
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
import viz
from examples import common
from examples.feedback import three_layers
from rnn import Cell, Run, cells, t


def elman(rng: np.random.Generator) -> Cell:
    W, V = mg.init.glorot((8, 4), rng, name="W"), mg.init.glorot((2, 8), rng, name="V")
    U, b = mg.init.orthogonal((8, 8), rng, gain=0.8, name="U"), mg.init.zeros((8,), name="b")
    cell = Cell("Elman network")
    x, h, y = cell.input("x", 4), cell.signal("h", 8), cell.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    return cell


def bidirectional(rng: np.random.Generator) -> Cell:
    cell = Cell("bidirectional network")
    x, hf, hb = cell.input("x", 4), cell.signal("hf", 4), cell.signal("hb", 4)
    W, A = mg.init.glorot((4, 4), rng, name="W"), mg.init.glorot((4, 4), rng, name="A")
    U, B = mg.init.orthogonal((4, 4), rng, name="U"), mg.init.orthogonal((4, 4), rng, name="B")
    V = mg.init.glorot((2, 8), rng, name="V")
    y = cell.signal("y", 2)
    hf[t] = np.tanh(W @ x[t] + U @ hf[t-1])
    hb[t] = np.tanh(A @ x[t] + B @ hb[t+1])
    y[t] = V @ np.concatenate([hf[t], hb[t]], axis=-1)
    return cell


def lstm(rng: np.random.Generator) -> Cell:
    cell = Cell("LSTM")
    cells.lstm(cell, cell.input("x", 4), 4, name="layer", rng=rng)
    return cell


def four_layers(rng: np.random.Generator) -> Cell:
    cell = Cell("four LSTM layers")
    top = cell.input("x", 4)
    for number in range(1, 5):
        top = cells.lstm(cell, top, 4, name=f"layer{number}", rng=rng)
    y, V = cell.signal("y", 2), mg.init.glorot((2, 4), rng, name="V")
    y[t] = V @ top[t]
    return cell


def delta_rule(rng: np.random.Generator) -> Cell:
    """A matrix as state: Schlag, Irie and Schmidhuber, Linear transformers are fast weight programmers (2021)."""
    W_k, W_v = (mg.init.glorot((3, 4), rng, name=name) for name in ("W_k", "W_v"))
    cell = Cell("delta rule")
    x, k, v = cell.input("x", 4), cell.signal("k", 3), cell.signal("v", 3)
    S, y = cell.signal("S", (3, 3)), cell.signal("y", 3)
    k[t] = mg.softmax(W_k @ x[t])
    v[t] = W_v @ x[t]
    S[t] = S[t-1] + np.outer(v[t] - S[t-1] @ k[t], k[t])
    y[t] = S[t] @ k[t]
    return cell


def attention(rng: np.random.Generator) -> Cell:
    """A decoder that attends to a static of any length, from which its first state is computed too."""
    cell = Cell("attention")
    enc, x, s = cell.static("enc", (None, 4)), cell.input("x", 4), cell.signal("s", 4)
    context = cells.memory.attention(cell, enc, s, 8, name="att", rng=rng)
    W_0, W_c = mg.init.glorot((4, 4), rng, name="W_0"), mg.init.glorot((4, 4), rng, name="W_c")
    s[t] = np.tanh(x[t] + W_c @ context[t])
    s[0] = np.tanh(W_0 @ enc.mean(axis=0))
    return cell


def translation(decoder: Cell, rng: np.random.Generator) -> tuple[Run, Run, mg.Tensor]:
    """Return the runs of an encoder and of a decoder that attends to its states, and a loss."""
    encoder = Cell("encoder")
    w, h = encoder.input("w", 4), encoder.signal("h", 4)
    h[t] = np.tanh(mg.init.glorot((4, 4), rng, name="W") @ w[t] + mg.init.orthogonal((4, 4), rng, name="U") @ h[t-1])
    source = encoder.unroll(w=rng.normal(size=(4, 8, 4)))
    translated = decoder.unroll(x=rng.normal(size=(3, 8, 4)), enc=np.swapaxes(source["h"].stack(), 0, 1))
    loss: mg.Tensor = mg.square(translated["s"].stack()).mean()
    loss.name = "loss"
    return source, translated, loss


def differentiated(cell: Cell, T: int, rng: np.random.Generator, **options: Any) -> tuple[Run, mg.Tensor]:
    """Return a run over random data, and its loss after a backward pass."""
    size = next(signal.shape for signal in cell.signals.values() if signal.given) or ()
    run = cell.unroll(x=rng.normal(size=(T, 8, *size)), **options)
    output = "y" if "y" in run else "layer.h"
    loss: mg.Tensor = mg.square(run[output].stack()).mean()
    loss.name = "loss"
    loss.backward()
    return run, loss


def half_way(rng: np.random.Generator) -> viz.Picture:
    """Draw a backward pass that has stopped in the middle of the sequence."""
    run = elman(rng).unroll(x=rng.normal(size=(5, 8, 4)))
    loss = mg.square(run["y"].stack()).mean()
    loss.name = "loss"
    steps = loss.backward_steps()
    for step in steps:
        step.run()
        if step.name == "h" and step.t == 3:
            break
    return viz.unrolled(run, loss=loss, heat=True, values=True, step=step)


def pictures(rng: np.random.Generator) -> dict[str, viz.Picture]:
    """Return every picture by its caption."""
    network, gates = elman(rng), lstm(rng)
    run, loss = differentiated(network, 4, rng)
    long, long_loss = differentiated(network, 100, rng)
    drawn = {
        "a definition: the loop with its delay": viz.rolled(network),
        "unrolled over four steps": viz.unrolled(run, loss=loss),
        "both, at the same heights": viz.both(network, steps=4),
        "with the operations of each step": viz.unrolled(run, loss=loss, level="ops"),
        "a hundred steps, folded": viz.unrolled(long, loss=long_loss),
        "chosen steps": viz.unrolled(long, loss=long_loss, steps=[1, 2, 50, 100]),
        "where the gradient vanishes": viz.gradient_map(long),
        "values and gradients": viz.unrolled(run, loss=loss, values=True, heat=True),
        "in the middle of a backward pass": half_way(rng),
    }
    for delay in (1, 2):
        feedback = three_layers(delay, rng)
        drawn[f"layer 3 feeds layer 2, delay {delay}"] = viz.rolled(feedback)
        drawn[f"the same, unrolled (delay {delay})"] = viz.unrolled(*differentiated(feedback, 4, rng))
    steps, steps_loss = differentiated(network, 12, rng)
    drawn["twelve steps on a slide"] = viz.unrolled(steps, loss=steps_loss, aspect="slide", biases=True)
    drawn["everything explained"] = viz.rolled(network, parameters=True, legend=True, shapes=True, biases=True)
    drawn["bidirectional"] = viz.unrolled(*differentiated(bidirectional(rng), 4, rng))
    drawn["bidirectional, three steps in a row"] = viz.unrolled(*differentiated(bidirectional(rng), 6, rng), per_row=3)
    drawn["LSTM, rolled"] = viz.rolled(gates)
    drawn["LSTM, its operations"] = viz.rolled(gates, level="ops")
    deep = four_layers(rng)
    drawn["four LSTM layers, each one box"] = viz.rolled(deep, level="layers")
    drawn["the same, unrolled"] = viz.unrolled(*differentiated(deep, 4, rng), level="layers", values=True, heat=True)
    drawn["the same, with the signals of each layer in a frame"] = viz.unrolled(*differentiated(deep, 3, rng))
    drawn["truncated to chunks of three, edges as wide as their contributions"] = viz.unrolled(
        *differentiated(network, 7, rng, chunks=3), contributions=True)
    drawn["a matrix as state"] = viz.both(delta_rule(rng), steps=3)
    decoder = attention(rng)
    drawn["a static, read at every step"] = viz.rolled(decoder)
    drawn["the same, unrolled over a source of six states"] = viz.unrolled(
        decoder.unroll(x=rng.normal(size=(4, 8, 4)), enc=rng.normal(size=(8, 6, 4))))
    source, translated, distance = translation(decoder, rng)
    drawn["an encoder, and a decoder that attends to its states"] = viz.unrolled([source, translated], loss=distance)
    first = network.unroll(x=rng.normal(size=(3, 8, 4)))
    second = network.unroll(x=rng.normal(size=(3, 8, 4)), initial=first.state.detach())
    drawn["truncated backpropagation, chunk by chunk"] = viz.unrolled([first, second])
    drawn["any tensor's graph"] = viz.graph(mg.square(run["y"][1]).mean())
    drawn["on a dark background"] = viz.unrolled(run, loss=loss, dark=True)
    return drawn


def animations(rng: np.random.Generator) -> dict[str, viz.Animation]:
    """Return every animation by its caption."""
    network = elman(rng)
    run, loss = differentiated(network, 4, rng)
    return {"unrolled step by step": viz.animate(network),
            "a backward pass": viz.animate(loss, run=run, values=True)}


def example(options: common.Options) -> None:
    """Draw all pictures, and the page that shows them."""
    rows, rng, folder = [], options.rng, options.out
    drawn: dict[str, viz.Picture | viz.Animation] = {**pictures(rng), **animations(rng)}
    for number, (caption, picture) in enumerate(drawn.items(), 1):
        name = f"{number:02}.{'gif' if isinstance(picture, viz.Animation) else 'svg'}"
        picture.render(outfile=folder / name)
        rows.append(f'<figure><img src="{name}" alt="{html.escape(caption)}">'
                    f"<figcaption>{html.escape(caption)}</figcaption></figure>")
    page = "\n".join(["<!doctype html>", '<meta charset="utf-8">', "<title>viz: the gallery</title>",
                      "<style>body { font-family: sans-serif; margin: 2em } figure { margin: 0 0 3em }",
                      "img { max-width: 100% } figcaption { color: #555; margin-top: .5em }</style>", *rows])
    (folder / "index.html").write_text(page + "\n", encoding="utf-8")
    print(f"{len(rows)} pictures: {folder / 'index.html'}")


if __name__ == "__main__":
    parser = common.Parser("gallery", "Draw every kind of picture, and a page that shows them.", out=Path("gallery"))
    sys.exit(parser.run(example))
