"""Recurrent cells since 2019: their states are matrices, or diagonal and linear, and their gates don't read the state.

    y = cells.modern.delta_net(cell, x, 32, keys=16, name="layer1", rng=rng)

Each function writes one head of the paper's layer as equations, without the convolutions, norms and projections
around it, and returns the signal that others read. Arguments and errors are those of all cells, see `rnn.cells`; `size`
is the length of the output. In the equations ⊙ is the elementwise product, vectors are columns, and lower-case letters
without [t] abbreviate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from minigrad import Tensor
from minigrad.interactive.completion import public_names
from minigrad.provenance import call_site
from rnn.language.complex import Complex, complex_signal
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression, Time, t

from .parameters import Given, Parameters
from .parts import boundary, define, previous

Function = Callable[[Any], Any]
EPSILON = 1e-12  # keeps divisors from zero where a sequence is masked, and where a key is zero
EMPTY = -1e30  # the logarithm of an empty sum; finite, so that differences are


# ---- matrix states: linear attention and its descendants ------------------------------------


def linear_attention(cell: Definition, x: Signal, size: int, *, keys: int, name: str, rng: np.random.Generator,
                     dtype: DTypeLike = float, normalised: bool = True, reversed: bool = False,
                     parameters: Given = None) -> Signal:
    """Add causal linear attention.

        q, k = φ(W_q x[t]), φ(W_k x[t]);  v = W_v x[t];  φ(a) = elu(a) + 1
        S[t] = S[t-1] + v kᵀ
        z[t] = z[t-1] + k
        y[t] = S[t] q / (z[t]ᵀ q + 1e-12)

    Katharopoulos, Vyas, Pappas and Fleuret, Transformers are RNNs: fast autoregressive transformers with linear
    attention (ICML 2020), section 3.4, with S transposed; φ is that of section 3.2.1.

    Args:
        keys: the length of q and k.
        normalised: False leaves the divisor and z out, as many successors do.

    Returns:
        `name.y`, beside `name.S` (size, keys) and `name.z`. Parameters: W_q, W_k (keys, inputs), W_v (size, inputs).
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        q, k, v = _queries(cell, p, x, size, keys, _positive)
        S, y, before = cell.signal(f"{name}.S", (size, keys)), cell.signal(f"{name}.y", size), previous(reversed)
        S[t] = S[before] + np.outer(v[t], k[t])
        if normalised:
            z = cell.signal(f"{name}.z", keys)
            z[t] = z[before] + k[t]
            y[t] = S[t] @ q[t] / (z[t] @ q[t] + EPSILON)
        else:
            y[t] = S[t] @ q[t]
    return y


def delta_net(cell: Definition, x: Signal, size: int, *, keys: int, name: str, rng: np.random.Generator,
              dtype: DTypeLike = float, gated: bool = False, reversed: bool = False,
              parameters: Given = None) -> Signal:
    """Add the delta rule: what the memory holds at a key is replaced, and not added to.

        q, k = φ(W_q x[t]), φ(W_k x[t]);  v = W_v x[t];  φ(a) = a / √(aᵀ a + 1e-12)
        β[t] = sigmoid(w_βᵀ x[t])
        S[t] = α[t] S[t-1] (I - β[t] k kᵀ) + β[t] v kᵀ          α[t] = 1 unless gated
        y[t] = S[t] q

    Schlag, Irie and Schmidhuber, Linear transformers are secretly fast weight programmers (ICML 2021), section 4.2.
    Keys and queries have length 1 as in Yang et al., Parallelizing linear transformers with the delta rule over
    sequence length (NeurIPS 2024), without the SiLU before. The product is written as α S + β (v - α S k) kᵀ.

    Args:
        keys: the length of q and k.
        gated: α[t] = exp(-exp(a) softplus(w_αᵀ x[t] + b_α)) in (0, 1): the gated delta rule of Yang, Kautz and
            Hatamizadeh, Gated delta networks: improving Mamba2 with delta rule (ICLR 2025), with Mamba-2's decay.

    Returns:
        `name.y`, beside `name.S` (size, keys), `name.k`, `name.q`, `name.v`, `name.beta`, and
        `name.alpha` if it is gated. Parameters: W_q, W_k (keys, inputs), W_v (size, inputs), w_beta (inputs); gated:
        w_alpha (inputs), b_alpha (), a ().
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        q, k, v = _queries(cell, p, x, size, keys, _normalised)
        S, y, before = cell.signal(f"{name}.S", (size, keys)), cell.signal(f"{name}.y", size), previous(reversed)
        beta = define(cell, f"{name}.beta", mg.sigmoid(p.vector("w_beta", p.inputs) @ x[t]))
        kept: Any = S[before]
        if gated:
            rate = np.exp(p.tensor("a", 0.0))
            alpha = define(cell, f"{name}.alpha", np.exp(-rate * mg.softplus(_score(p, "alpha", x[t]))))
            kept = alpha[t] * kept
        S[t] = kept + beta[t] * np.outer(v[t] - kept @ k[t], k[t])
        y[t] = S[t] @ q[t]
    return y


def mlstm(cell: Definition, x: Signal, size: int, *, keys: int, name: str, rng: np.random.Generator,
          dtype: DTypeLike = float, forget_bias: float = 3.0, reversed: bool = False,
          parameters: Given = None) -> Signal:
    """Add the matrix LSTM of xLSTM, with exponential gates that a running maximum m stabilises.

        q = W_q x[t] + b_q;  k = (W_k x[t]) / √keys + b_k;  v = W_v x[t] + b_v
        ĩ = w_iᵀ x[t] + b_i;  f̃ = w_fᵀ x[t] + b_f;  o[t] = sigmoid(W_o x[t] + b_o)
        m[t] = max(log sigmoid(f̃) + m[t-1], ĩ)
        i[t] = exp(ĩ - m[t]);  f[t] = exp(log sigmoid(f̃) + m[t-1] - m[t])
        C[t] = f[t] C[t-1] + i[t] v kᵀ
        n[t] = f[t] n[t-1] + i[t] k
        h[t] = o[t] ⊙ C[t] q / max(|n[t]ᵀ q|, exp(-m[t]))

    Beck et al., xLSTM: extended long short-term memory (NeurIPS 2024), section 2.3, with the stabilisation of section
    2.2: C and n are those of the paper times exp(-m[t]), and so is 1, the lower bound of the divisor. The forget gate
    is the sigmoid; its logarithm is computed as -softplus(-f̃).

    Args:
        keys: the length of q and k.
        forget_bias: the initial b_f.

    Returns:
        `name.h`, beside `name.C` (size, keys), `name.n` (keys), `name.m` (), and `name.q`, `name.k`, `name.v`,
        `name.i`, `name.f`, `name.o`. Parameters: W_q, W_k (keys, inputs), W_v, W_o (size, inputs), w_i, w_f (inputs),
        b_q, b_k, b_v, b_o, b_i (), b_f ().
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        before = previous(reversed)
        h, C, n, m = (cell.signal(f"{name}.{label}", shape)
                      for label, shape in (("h", size), ("C", (size, keys)), ("n", keys), ("m", ())))
        q = define(cell, f"{name}.q", _affine(p, "q", keys, x[t]))
        k = define(cell, f"{name}.k", p.input_matrix("W_k", keys, p.inputs) @ x[t] / math.sqrt(keys)
                   + p.bias("b_k", keys))
        v = define(cell, f"{name}.v", _affine(p, "v", size, x[t]))
        o = define(cell, f"{name}.o", mg.sigmoid(_affine(p, "o", size, x[t])))
        i, f = _stabilised(cell, m, before, _score(p, "i", x[t]), _score(p, "f", x[t], forget_bias))
        C[t] = f[t] * C[before] + i[t] * np.outer(v[t], k[t])
        n[t] = f[t] * n[before] + i[t] * k[t]
        h[t] = o[t] * (C[t] @ q[t]) / np.maximum(np.abs(n[t] @ q[t]), np.exp(-m[t]))
    return h


# ---- gated vector states --------------------------------------------------------------------


def slstm(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
          forget_bias: float = 3.0, reversed: bool = False, parameters: Given = None) -> Signal:
    """Add the scalar LSTM of xLSTM, with exponential gates that a running maximum m stabilises.

        z[t] = tanh(W_z x[t] + R_z h[t-1] + b_z);  o[t] = sigmoid(W_o x[t] + R_o h[t-1] + b_o)
        ĩ = W_i x[t] + R_i h[t-1] + b_i;  f̃ = W_f x[t] + R_f h[t-1] + b_f
        m[t] = max(log sigmoid(f̃) + m[t-1], ĩ)
        i[t] = exp(ĩ - m[t]);  f[t] = exp(log sigmoid(f̃) + m[t-1] - m[t])
        c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ z[t]
        n[t] = f[t] ⊙ n[t-1] + i[t]
        h[t] = o[t] ⊙ (c[t] / n[t])

    Beck et al., xLSTM: extended long short-term memory (NeurIPS 2024), section 2.2, with one head and the sigmoid as
    forget gate. c and n are those of the equations without m times exp(-m[t]), which leaves h as it is. m[0] is
    -1e30, the logarithm of an empty sum, unless it is set, so that n[t] is at least 1.

    Args:
        forget_bias: the initial b_f.

    Returns:
        `name.h`, beside `name.c`, `name.n`, `name.m`, `name.z`, `name.i`, `name.f`, `name.o`. Parameters, for each g of
        z, i, f, o: W_g (size, inputs), R_g (size, size), b_g (size).
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        before = previous(reversed)
        h, c, n, m = (cell.signal(f"{name}.{label}", size) for label in "hcnm")
        z, o, raw_i, raw_f = (p.input_matrix(f"W_{gate}", size, p.inputs) @ x[t]
                              + p.recurrent_matrix(f"R_{gate}", size, size) @ h[before]
                              + p.bias(f"b_{gate}", size, forget_bias if gate == "f" else 0.0) for gate in "zoif")
        z = define(cell, f"{name}.z", np.tanh(z))
        o = define(cell, f"{name}.o", mg.sigmoid(o))
        i, f = _stabilised(cell, m, before, raw_i, raw_f)
        c[t] = f[t] * c[before] + i[t] * z[t]
        n[t] = f[t] * n[before] + i[t]
        m[boundary(reversed)] = EMPTY
        h[t] = o[t] * (c[t] / np.maximum(n[t], EPSILON))
    return h


def min_gru(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
            reversed: bool = False, parameters: Given = None) -> Signal:
    """Add the minimal GRU, whose gates don't read the state, so that its loop is linear in it.

        z[t] = sigmoid(W_z x[t] + b_z)
        h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ (W_h x[t] + b_h)

    Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, Were RNNs all we needed? (2024), section 3.1.

    Returns:
        `name.h`, beside `name.z`. Parameters: W_z, W_h (size, inputs), b_z, b_h.
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        h, z = cell.signal(f"{name}.h", size), cell.signal(f"{name}.z", size)
        z[t] = mg.sigmoid(_affine(p, "z", size, x[t]))
        h[t] = (1 - z[t]) * h[previous(reversed)] + z[t] * _affine(p, "h", size, x[t])
    return h


def rwkv(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
         reversed: bool = False, parameters: Given = None) -> Signal:
    """Add the time mixing of RWKV-4: an average of all values so far, whose weights decay with time.

        r = W_r (μ_r ⊙ x[t] + (1 - μ_r) ⊙ x[t-1]);  k with W_k and μ_k;  v with W_v and μ_v
        a[t] = exp(-w) ⊙ a[t-1] + exp(k) ⊙ v                             w = exp(decay)
        b[t] = exp(-w) ⊙ b[t-1] + exp(k)
        wkv[t] = (a[t-1] + exp(u + k) ⊙ v) / (b[t-1] + exp(u + k))
        y[t] = W_y (sigmoid(r) ⊙ wkv[t])

    Peng et al., RWKV: reinventing RNNs for the transformer era (Findings of EMNLP 2023), section 3.1; there W_y is W_o.
    It is computed as in the paper's appendix on the time mixing as an RNN cell: `name.a` and `name.b` are a and b
    times exp(-m[t]), with m[t] = max(m[t-1] - w, k), so that no exponential overflows. m[0] is -1e30, the logarithm of
    an empty sum, unless it is set. x[0], of the copy `name.x`, is zero.

    Returns:
        `name.y`, beside `name.x`, `name.a`, `name.b`, `name.m`, `name.r`, `name.k`, `name.v`, `name.wkv`. Parameters:
        W_r, W_k, W_v (size, inputs), W_y (size, size), mu_r, mu_k, mu_v (inputs), decay, u (size).
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        before = previous(reversed)
        now = define(cell, f"{name}.x", x[t])  # a signal of the layer, which starts at zero
        a, b, m, y = (cell.signal(f"{name}.{label}", size) for label in "abmy")
        r, k, v = (define(cell, f"{name}.{label}", p.input_matrix(f"W_{label}", size, p.inputs)
                          @ _mixed(p.bias(f"mu_{label}", p.inputs, 0.5), now, before)) for label in "rkv")
        w, u = np.exp(p.bias("decay", size)), p.bias("u", size)
        top = np.maximum(m[before], u + k[t])
        old, new = np.exp(m[before] - top), np.exp(u + k[t] - top)
        wkv = define(cell, f"{name}.wkv", (old * a[before] + new * v[t]) / (old * b[before] + new))
        newest = np.maximum(m[before] - w, k[t])
        m[t] = newest
        keep, add = np.exp(m[before] - w - newest), np.exp(k[t] - newest)
        a[t] = keep * a[before] + add * v[t]
        b[t] = keep * b[before] + add
        m[boundary(reversed)] = EMPTY
        y[t] = p.recurrent_matrix("W_y", size, size) @ (mg.sigmoid(r[t]) * wkv[t])
    return y


# ---- state spaces ---------------------------------------------------------------------------


def mamba(cell: Definition, x: Signal, size: int, *, states: int, name: str, rng: np.random.Generator,
          dtype: DTypeLike = float, rank: int = 1, reversed: bool = False, parameters: Given = None) -> Signal:
    """Add the selective state space S6: each channel has a state of its own, whose step size depends on the input.

        u[t] = W_u x[t]
        Δ[t] = softplus(W_Δ W_r u[t] + b_Δ);  B[t] = W_B u[t];  C[t] = W_C u[t];  A = -exp(log A)
        h[t] = exp(diag(Δ[t]) A) ⊙ h[t-1] + (Δ[t] ⊙ u[t]) B[t]ᵀ
        y[t] = h[t] C[t] + D ⊙ u[t]

    Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), algorithm 2, with the
    projection of Δ of section 3.6. A is discretised by the zero-order hold, exp(Δ A), and B as Δ B, as in the
    authors' program, from which D is too. W_u stands for the projection and convolution before.

    A starts at -1, -2, ... in each channel, and softplus(b_Δ) in [0.001, 0.1], drawn evenly on a logarithmic scale.

    Args:
        states: the number of states of each channel.
        rank: of the projection of Δ.

    Returns:
        `name.y`, beside `name.h` (size, states), `name.u`, `name.delta`, `name.B`, `name.C`. Parameters: W_u (size,
        inputs), W_r (rank, size), W_delta (size, rank), b_delta (size), W_B, W_C (states, size), log_A (size, states),
        D (size).
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        h, y = cell.signal(f"{name}.h", (size, states)), cell.signal(f"{name}.y", size)
        u = define(cell, f"{name}.u", p.input_matrix("W_u", size, p.inputs) @ x[t])
        narrow, wide = p.input_matrix("W_r", rank, size), p.input_matrix("W_delta", size, rank)
        step_size = np.exp(rng.uniform(math.log(0.001), math.log(0.1), size))
        b_delta = p.tensor("b_delta", np.log(np.expm1(step_size)))  # the inverse of softplus
        delta = define(cell, f"{name}.delta", mg.softplus(wide @ (narrow @ u[t]) + b_delta))
        B, C = (define(cell, f"{name}.{label}", p.input_matrix(f"W_{label}", states, size) @ u[t]) for label in "BC")
        A = -np.exp(p.tensor("log_A", np.log(np.tile(np.arange(1.0, states + 1), (size, 1)))))
        h[t] = np.exp(delta[t][:, None] * A) * h[previous(reversed)] + np.outer(delta[t] * u[t], B[t])
        y[t] = h[t] @ C[t] + p.bias("D", size, 1.0) * u[t]
    return y


def lru(cell: Definition, x: Signal, size: int, *, states: int, name: str, rng: np.random.Generator,
        dtype: DTypeLike = float, r_min: float = 0.4, r_max: float = 0.99, reversed: bool = False,
        parameters: Given = None) -> Signal:
    """Add the linear recurrent unit: a diagonal complex state, stable by its parametrisation.

        λ = exp(-exp(ν) + i exp(θ))
        s[t] = λ ⊙ s[t-1] + exp(γ) ⊙ (B x[t])
        y[t] = Re(C s[t]) + D x[t]

    Orvieto et al., Resurrecting recurrent neural networks for long sequences (ICML 2023), sections 3.3 and 3.4. At the
    start λ is uniform on the ring r_min <= |λ| <= r_max, and exp(γ) = √(1 - |λ|²), so that the states have the size of
    B x. Complex numbers are pairs of real ones, see rnn.complex.

    Args:
        states: the number of complex states.
        r_min, r_max: the bounds of |λ| at the start, 0 <= r_min < r_max < 1; others are a ValueError.

    Returns:
        `name.y`, beside `name.s.re` and `name.s.im`. Parameters: nu, theta, gamma (states), B_re, B_im (states,
        inputs), C_re, C_im (size, states), D (size, inputs).
    """
    if not 0 <= r_min < r_max < 1:
        raise ValueError(f"0 <= r_min < r_max < 1 bounds the modulus of the state's factors, not {r_min!r} and "
                         f"{r_max!r} (at {call_site()})")
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        y, s = cell.signal(f"{name}.y", size), complex_signal(cell, f"{name}.s", states)
        square = rng.uniform(r_min ** 2, r_max ** 2, states)
        nu = p.tensor("nu", np.log(-0.5 * np.log(square)))
        theta = p.tensor("theta", np.log(2 * np.pi * (1 - rng.random(states))))
        gamma = p.tensor("gamma", 0.5 * np.log(1 - square))
        lam = Complex.polar(np.exp(-np.exp(nu)), np.exp(theta))
        B = Complex(*(p.input_matrix(f"B_{part}", states, p.inputs) for part in ("re", "im")))
        C = Complex(*(p.input_matrix(f"C_{part}", size, states) for part in ("re", "im")))
        s[t] = lam * s[previous(reversed)] + np.exp(gamma) * (B @ x[t])
        y[t] = (C @ s[t]).real + p.input_matrix("D", size, p.inputs) @ x[t]
    return y


# ---- parts of equations ----------------------------------------------------------------------


def _queries(cell: Definition, p: Parameters, x: Signal, size: int, keys: int, feature: Function
             ) -> tuple[Signal, Signal, Signal]:
    """Define the query, the key and the value."""
    q, k = (define(cell, f"{p.name}.{label}", feature(p.input_matrix(f"W_{label}", keys, p.inputs) @ x[t]))
            for label in "qk")
    return q, k, define(cell, f"{p.name}.v", p.input_matrix("W_v", size, p.inputs) @ x[t])


def _positive(a: Any) -> Any:
    return mg.elu(a) + 1


def _normalised(a: Any) -> Any:
    return a / np.sqrt((a * a).sum() + EPSILON)


def _affine(p: Parameters, label: str, size: int, x: Expression) -> Any:
    """Return a vector for each step, W x + b."""
    return p.input_matrix(f"W_{label}", size, p.inputs) @ x + p.bias(f"b_{label}", size)


def _score(p: Parameters, label: str, x: Expression, start: float = 0.0) -> Any:
    """Return a number for each step, wᵀ x + b."""
    return p.vector(f"w_{label}", p.inputs) @ x + p.tensor(f"b_{label}", start)


def _stabilised(cell: Definition, m: Signal, before: Time, i: Any, f: Any) -> tuple[Signal, Signal]:
    """Define the running maximum m, and the gates exp(i) and sigmoid(f) relative to exp(m)."""
    prefix, kept = m.name.removesuffix(".m"), m[before] - mg.softplus(-f)
    newest = np.maximum(kept, i)
    m[t] = newest
    return define(cell, f"{prefix}.i", np.exp(i - newest)), define(cell, f"{prefix}.f", np.exp(kept - newest))


def _mixed(mu: Tensor, x: Signal, before: Time) -> Any:
    """Return the input, mixed with that of the previous step."""
    return mu * x[t] + (1 - mu) * x[before]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
