"""Cells with a memory beside their state: attention over a static, a stack, a tape that is written and read.

    context = cells.memory.attention(cell, enc, state, 16, name="att", rng=rng)

Each function adds equations to a definition and returns the signal that others read. Arguments and errors are those of
all cells, see `rnn.cells`. In the equations ⊙ is the elementwise product, and vectors are columns.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from minigrad.interactive.completion import public_names
from minigrad.provenance import call_site
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression, is_static, t

from .parameters import Given, Parameters, check_option
from .parts import boundary, define, previous


def attention(cell: Definition, memory: Expression, query: Signal, size: int, *, name: str, rng: np.random.Generator,
              dtype: DTypeLike = float, score: Literal["additive", "dot"] = "additive",
              valid: Expression | None = None, delayed: bool = True, parameters: Given = None) -> Signal:
    """Add attention over a value without time, such as the states of an encoder.

        e[s] = vᵀ tanh(W query[t-1] + U memory[s])             score="additive"
        e[s] = query[t-1]ᵀ W memory[s]                         score="dot"
        a[t] = softmax(e);   c[t] = Σ_s a[t][s] memory[s]

    Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate (ICLR 2015),
    appendix A.1.2; Luong, Pham and Manning, Effective approaches to attention-based neural machine translation
    (EMNLP 2015), section 3.1, the score "general".

    Args:
        memory: a static (S, D), or an expression of statics; S may be bound by the data, D is known.
        query: the signal that asks, usually the state of a decoder.
        size: the length of the hidden layer of the additive score; of no effect with "dot".
        valid: a static (S) of truth values; a row that is False gets no weight. At least one is True.
        delayed: whether the query is read at t-1, the state before this step, or at t.

    Returns:
        `name.c` (D), beside `name.a` (S), the weights. Parameters: W (size, queries), U (size, D), v (size); with
        "dot" W (D, queries).

    Raises:
        TypeError: if the memory is no static.
        ValueError: if it is no matrix, or D isn't known.
    """
    check_option("score", score, ("additive", "dot"))
    D = _width(memory)
    with Parameters(cell, query, name, rng, dtype, parameters) as p:
        a, c = cell.signal(f"{name}.a"), cell.signal(f"{name}.c", D)
        asked = query[t-1] if delayed else query[t]
        if score == "additive":
            W, U = p.input_matrix("W", size, p.inputs), p.input_matrix("U", size, D)
            e = np.tanh(W @ asked + memory @ U.T) @ p.vector("v", size)
        else:
            e = memory @ (p.input_matrix("W", D, p.inputs) @ asked)
        a[t] = mg.softmax(e if valid is None else np.where(valid, e, -np.inf))
        c[t] = a[t] @ memory
    return c


def stack(cell: Definition, x: Signal, size: int, *, depth: int, name: str, rng: np.random.Generator,
          dtype: DTypeLike = float, reversed: bool = False, parameters: Given = None) -> Signal:
    """Add a controller with a differentiable stack of vectors, and return the controller's state.

        h[t] = sigmoid(W x[t] + U h[t-1] + P S[t-1][0] + b)
        push, pop, keep = softmax(A h[t] + a)
        S[t][0] = push * sigmoid(D h[t] + d) + pop * S[t-1][1] + keep * S[t-1][0]
        S[t][i] = push * S[t-1][i-1] + pop * S[t-1][i+1] + keep * S[t-1][i]       i = 1, 2, ...

    Joulin and Mikolov, Inferring algorithmic patterns with stack-augmented recurrent nets (NeurIPS 2015), section 3.2,
    with the action that keeps the stack (NO-OP) and with biases, which the paper leaves out. Row 0 is the top. An
    element of the stack is a vector of length `size`. Rows below the last are zero, and so is an empty stack.

    Args:
        depth: the number of rows; what is pushed below the last is lost.

    Returns:
        `name.h`, beside `name.S` (depth, size) and `name.action` (3). Parameters: W (size, inputs), U, P, D (size,
        size), A (3, size), b, d (size), a (3).
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        before = previous(reversed)
        h, S, action = (cell.signal(f"{name}.{label}", shape)
                        for label, shape in (("h", size), ("S", (depth, size)), ("action", 3)))
        W, U, P = (p.input_matrix("W", size, p.inputs), p.recurrent_matrix("U", size, size),
                   p.recurrent_matrix("P", size, size))
        h[t] = mg.sigmoid(W @ x[t] + U @ h[before] + P @ S[before][0] + p.bias("b", size))
        action[t] = mg.softmax(p.input_matrix("A", 3, size) @ h[t] + p.bias("a", 3))
        pushed = mg.sigmoid(p.input_matrix("D", size, size) @ h[t] + p.bias("d", size))
        down = np.concatenate([pushed[None], S[before][:-1]])
        up = np.concatenate([S[before][1:], np.zeros((1, size))])
        S[t] = action[t][0] * down + action[t][1] * up + action[t][2] * S[before]
    return h


def turing_machine(cell: Definition, x: Signal, size: int, *, slots: int, width: int, name: str,
                   rng: np.random.Generator, dtype: DTypeLike = float, reversed: bool = False,
                   parameters: Given = None) -> Signal:
    """Add a neural Turing machine with one head that reads and writes, and return its controller's state.

        h[t] = tanh(W x[t] + U h[t-1] + R r[t-1] + b)                               the controller
        k = W_k h[t] + b_k;  β = softplus(...);  g = sigmoid(...);  s = softmax(...);  γ = 1 + softplus(...)
        e = sigmoid(...);  a = tanh(...)                the head: each of them of W h[t] + b of its own
        wc = softmax(β K(k, M[t-1][i]))                 content; K(u, v) = uᵀ v / √(|u|² |v|² + 1e-16)
        wg = g wc + (1 - g) w[t-1]                      interpolation
        ws[i] = Σ_j wg[i - j] s[j], j = -1, 0, 1        shift, around the ends
        w[t] = ws^γ / Σ ws^γ                            sharpening; 1e-12 is added to ws
        r[t] = M[t-1]ᵀ w[t]                             reading
        M[t] = M[t-1] ⊙ (1 - w[t] eᵀ) + w[t] aᵀ         erasing and adding

    Graves, Wayne and Danihelka, Neural Turing machines (2014), section 3: reading is eq. 2, writing eq. 3-4, addressing
    eq. 5-9. The paper leaves the controller and the functions that bound k, β, g, s, γ, e and a open.

    Args:
        slots, width: the shape of the memory M.

    Returns:
        `name.h`, beside `name.M` (slots, width), `name.w` (slots), `name.r` (width), and `name.k`, `name.beta`,
        `name.g`, `name.s`, `name.gamma`, `name.e`, `name.a`. w[0] is the first slot, and M[0] is 1e-6 everywhere,
        unless they are set. Parameters: W (size, inputs), U (size, size), R (size, width), b (size); W_k, W_e, W_a
        (width, size), b_k, b_e, b_a (width), W_s (3, size), b_s (3), w_beta, w_g, w_gamma (size), b_beta, b_g,
        b_gamma ().
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        before = previous(reversed)
        h, M, w, r = (cell.signal(f"{name}.{label}", shape) for label, shape in
                      (("h", size), ("M", (slots, width)), ("w", slots), ("r", width)))
        W, U, R = (p.input_matrix("W", size, p.inputs), p.recurrent_matrix("U", size, size),
                   p.input_matrix("R", size, width))
        h[t] = np.tanh(W @ x[t] + U @ h[before] + R @ r[before] + p.bias("b", size))

        k, e, a, s = (define(cell, f"{name}.{label}", bound(p.input_matrix(f"W_{label}", length, size) @ h[t]
                                                            + p.bias(f"b_{label}", length)))
                      for label, length, bound in (("k", width, _identity), ("e", width, mg.sigmoid),
                                                   ("a", width, np.tanh), ("s", 3, mg.softmax)))
        beta, g, gamma = (define(cell, f"{name}.{label}", bound(p.vector(f"w_{label}", size) @ h[t]
                                                                + p.tensor(f"b_{label}", 0.0)))
                          for label, bound in (("beta", mg.softplus), ("g", mg.sigmoid), ("gamma", _above_one)))

        norms = np.sqrt((M[before] * M[before]).sum(axis=1) * (k[t] @ k[t]) + 1e-16)
        content = mg.softmax(beta[t] * (M[before] @ k[t]) / norms)
        gated = g[t] * content + (1 - g[t]) * w[before]
        shifted = s[t][0] * np.roll(gated, -1) + s[t][1] * gated + s[t][2] * np.roll(gated, 1)
        sharp = (shifted + 1e-12) ** gamma[t]
        w[t] = sharp / sharp.sum()
        r[t] = w[t] @ M[before]
        M[t] = M[before] * (1 - np.outer(w[t], e[t])) + np.outer(w[t], a[t])
        w[boundary(reversed)] = np.eye(slots)[0]
        M[boundary(reversed)] = np.full((slots, width), 1e-6)
    return h


def _width(memory: Any) -> int:
    """Return D of the memory of an attention, (S, D)."""
    if not isinstance(memory, Expression) or not is_static(memory):
        raise TypeError(f"attention reads a static, e.g. cell.static('enc', (None, 8)), or an expression of statics, "
                        f"not {memory!r:.60} (at {call_site()})")
    widths = {shape[-1] for shape in memory.samples or ((),) if len(shape) == 2}
    if len(widths) != 1:
        raise ValueError(f"attention reads a matrix (S, D) with a known D, not {memory!r:.60}, written at "
                         f"{memory.origin} (at {call_site()})")
    return widths.pop()


def _identity(a: Any) -> Any:
    return a


def _above_one(a: Any) -> Any:
    return 1 + mg.softplus(a)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
