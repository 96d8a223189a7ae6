"""Training steps of recurrences whose state or whose reads are matrices, in NumPy by hand: loss Σ y[t]², gradients.

Equations and the names of parameters are those of rnn/cells/modern.py and rnn/cells/memory.py. Products are batched,
and of all steps at once where no loop needs them; everything that backward needs is kept. This file imports neither
minigrad nor rnn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Result = tuple[float, dict[str, Array]]


def matvec(A: Array, x: Array) -> Array:
    """Return A x for batches."""
    return np.matmul(A, x[..., None])[..., 0]


def vecmat(x: Array, A: Array) -> Array:
    """Return xᵀ A for batches."""
    return np.matmul(x[..., None, :], A)[..., 0, :]


def outer(a: Array, b: Array) -> Array:
    """Return a bᵀ for batches."""
    return a[..., :, None] * b[..., None, :]


def summed(da: Array, x: Array) -> Array:
    """Return the gradient of W, a = W x, over all steps and sequences."""
    return da.reshape(-1, da.shape[-1]).T @ x.reshape(-1, x.shape[-1])


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def delta_net(p: dict[str, Array], x: Array) -> Result:
    T, B, _ = x.shape
    Q, K, v = (x @ p[f"W_{name}"].T for name in "qkv")
    q_length, k_length = (np.sqrt((a * a).sum(-1, keepdims=True) + 1e-12) for a in (Q, K))
    q, k, beta = Q / q_length, K / k_length, sigmoid(x @ p["w_beta"])[..., None]
    S, e = np.zeros((T + 1, B, v.shape[-1], k.shape[-1]), x.dtype), np.empty_like(v)
    for step in range(T):
        np.subtract(v[step], matvec(S[step], k[step]), e[step])
        np.multiply((beta[step] * e[step])[:, :, None], k[step][:, None, :], S[step+1])
        S[step+1] += S[step]
    y = matvec(S[1:], q)
    dy = 2 * y
    dq = vecmat(dy, S[1:])
    u, de, dk, dbeta = beta * e, np.empty_like(e), np.empty_like(k), np.empty_like(beta)
    dS = np.zeros_like(S[0])
    for step in reversed(range(T)):
        dS += outer(dy[step], q[step])
        w = matvec(dS, k[step])
        dk[step] = vecmat(u[step], dS)
        dbeta[step, :, 0] = (w * e[step]).sum(-1)
        np.multiply(w, beta[step], de[step])
        dS -= outer(de[step], k[step])
    dk -= vecmat(de, S[:-1])
    dQ = (dq - q * (dq * q).sum(-1, keepdims=True)) / q_length
    dK = (dk - k * (dk * k).sum(-1, keepdims=True)) / k_length
    da = dbeta * beta * (1 - beta)
    return float((y * y).sum()), {"W_q": summed(dQ, x), "W_k": summed(dK, x), "W_v": summed(de, x),
                                  "w_beta": summed(da, x)[0]}


def linear_attention(p: dict[str, Array], x: Array) -> Result:
    T, B, _ = x.shape
    Q, K, v = (x @ p[f"W_{name}"].T for name in "qkv")
    q, k = (np.where(a > 0, a + 1, np.exp(np.minimum(a, 0))) for a in (Q, K))
    S = np.zeros((T + 1, B, v.shape[-1], k.shape[-1]), x.dtype)
    for step in range(T):
        np.multiply(v[step][:, :, None], k[step][:, None, :], S[step+1])
        S[step+1] += S[step]
    z = np.cumsum(k, 0)
    n, d = matvec(S[1:], q), (z * q).sum(-1, keepdims=True) + 1e-12
    y = n / d
    dy = 2 * y
    dn, dd = dy / d, -(dy * y).sum(-1, keepdims=True) / d
    dq = vecmat(dn, S[1:]) + dd * z
    dv, dk = np.empty_like(v), np.cumsum((dd * q)[::-1], 0)[::-1]
    dS = np.zeros_like(S[0])
    for step in reversed(range(T)):
        dS += outer(dn[step], q[step])
        dv[step] = matvec(dS, k[step])
        dk[step] += vecmat(v[step], dS)
    dQ, dK = (g * np.where(a > 0, 1, f) for g, a, f in ((dq, Q, q), (dk, K, k)))
    return float((y * y).sum()), {"W_q": summed(dQ, x), "W_k": summed(dK, x), "W_v": summed(dv, x)}


def mlstm(p: dict[str, Array], x: Array) -> Result:
    T, B, _ = x.shape
    scale = 1 / np.sqrt(len(p["W_k"])).astype(x.dtype)
    q, v = x @ p["W_q"].T + p["b_q"], x @ p["W_v"].T + p["b_v"]
    k, o = x @ p["W_k"].T * scale + p["b_k"], sigmoid(x @ p["W_o"].T + p["b_o"])
    a_i, a_f = x @ p["w_i"] + p["b_i"], x @ p["w_f"] + p["b_f"]
    log_f = -np.logaddexp(0, -a_f).astype(x.dtype)
    m = np.full((T + 1, B), -1e30, x.dtype)
    for step in range(T):
        np.maximum(log_f[step] + m[step], a_i[step], out=m[step+1])
    i, f = np.exp(a_i - m[1:]), np.exp(log_f + m[:-1] - m[1:])
    C = np.zeros((T + 1, B, v.shape[-1], k.shape[-1]), x.dtype)
    n = np.zeros((T + 1, B, k.shape[-1]), x.dtype)
    iv, ik = i[..., None] * v, i[..., None] * k
    for step in range(T):
        np.multiply(f[step][:, None, None], C[step], C[step+1])
        C[step+1] += outer(iv[step], k[step])
        np.multiply(f[step][:, None], n[step], n[step+1])
        n[step+1] += ik[step]
    r, s, bound = matvec(C[1:], q), (n[1:] * q).sum(-1), np.exp(-m[1:])
    divisor = np.maximum(np.abs(s), bound)[..., None]
    w = r / divisor
    h = o * w
    dh = 2 * h
    do, dw = dh * w, dh * o
    dr, ddiv = dw / divisor, -(dw * w).sum(-1) / divisor[..., 0]
    larger = np.abs(s) >= bound
    ds, dm = np.where(larger, np.sign(s) * ddiv, 0), np.where(larger, 0, -bound * ddiv)
    dq = vecmat(dr, C[1:]) + ds[..., None] * n[1:]
    div, dk, df = np.empty_like(v), np.empty_like(k), np.empty_like(f)
    dC, dn, dik = np.zeros_like(C[0]), np.zeros_like(n[0]), np.empty_like(k)
    for step in reversed(range(T)):
        dC += outer(dr[step], q[step])
        dn += ds[step][:, None] * q[step]
        dik[step] = dn
        div[step], dk[step] = matvec(dC, k[step]), vecmat(iv[step], dC)
        df[step] = np.einsum("bij,bij->b", dC, C[step]) + (dn * n[step]).sum(-1)
        dC *= f[step][:, None, None]
        dn *= f[step][:, None]
    di, dv = (div * v).sum(-1) + (dik * k).sum(-1), div * i[..., None]
    dk += dik * i[..., None]
    da_i, dlog_f = di * i, df * f
    dm -= da_i + dlog_f
    over = np.zeros(B, x.dtype)
    for step in reversed(range(T)):  # m[t] = max(log f + m[t-1], a_i)
        over = over + dm[step]
        first = log_f[step] + m[step] >= a_i[step]
        da_i[step] += np.where(first, 0, over)
        over = np.where(first, over, 0)
        dlog_f[step] += over
        over = over + df[step] * f[step]
    da_f, da_o = dlog_f * sigmoid(-a_f), do * o * (1 - o)
    every = (0, 1)
    return float((h * h).sum()), {
        "W_q": summed(dq, x), "b_q": dq.sum(every), "W_k": summed(dk, x) * scale, "b_k": dk.sum(every),
        "W_v": summed(dv, x), "b_v": dv.sum(every), "W_o": summed(da_o, x), "b_o": da_o.sum(every),
        "w_i": summed(da_i[..., None], x)[0], "b_i": da_i.sum(), "w_f": summed(da_f[..., None], x)[0],
        "b_f": da_f.sum()}


def mamba(p: dict[str, Array], x: Array) -> Result:
    T, B, _ = x.shape
    u = x @ p["W_u"].T
    narrow, b, c = u @ p["W_r"].T, u @ p["W_B"].T, u @ p["W_C"].T
    a = narrow @ p["W_delta"].T + p["b_delta"]
    delta, A = np.logaddexp(0, a), -np.exp(p["log_A"])
    decay, written = np.exp(delta[..., None] * A), delta * u
    h = np.zeros((T + 1, B, *A.shape), x.dtype)
    for step in range(T):
        np.multiply(decay[step], h[step], h[step+1])
        h[step+1] += outer(written[step], b[step])
    y = matvec(h[1:], c) + p["D"] * u
    dy = 2 * y
    dc, db, dwritten, da_decay = vecmat(dy, h[1:]), np.empty_like(b), np.empty_like(u), decay  # in its place
    dh = np.zeros_like(h[0])
    for step in reversed(range(T)):
        dh += outer(dy[step], c[step])
        dwritten[step], db[step] = matvec(dh, b[step]), vecmat(written[step], dh)
        dh *= decay[step]
        np.multiply(dh, h[step], da_decay[step])  # of delta A
    da = ((da_decay * A).sum(-1) + dwritten * u) * sigmoid(a)
    dnarrow = da @ p["W_delta"]
    du = dwritten * delta + dy * p["D"] + dnarrow @ p["W_r"] + db @ p["W_B"] + dc @ p["W_C"]
    every = (0, 1)
    return float((y * y).sum()), {
        "W_u": summed(du, x), "W_r": summed(dnarrow, u), "W_delta": summed(da, narrow), "b_delta": da.sum(every),
        "W_B": summed(db, u), "W_C": summed(dc, u), "log_A": A * np.einsum("tbij,tbi->ij", da_decay, delta),
        "D": (dy * u).sum(every)}


def attention(p: dict[str, Array], x: Array, enc: Array, additive: bool) -> Result:
    """A decoder h[t] = tanh(W x[t] + U h[t-1] + V c[t]) whose context c[t] is read from the encoder's states."""
    T, B, H = x.shape
    S = enc.shape[1]
    a, h, c = x @ p["W"].T, np.zeros((T + 1, B, H), x.dtype), np.empty((T, B, enc.shape[-1]), x.dtype)
    weights, asked = np.empty((T, B, S), x.dtype), np.empty((T, B, len(p["a.W"])), x.dtype)
    keys = enc @ p["a.U"].T if additive else enc
    hidden = np.empty((T, B, *keys.shape[1:]), x.dtype) if additive else None
    for step in range(T):
        asked[step] = h[step] @ p["a.W"].T
        if hidden is not None:
            np.tanh(asked[step][:, None, :] + keys, hidden[step])
            e = hidden[step] @ p["a.v"]
        else:
            e = matvec(enc, asked[step])
        e = np.exp(e - e.max(-1, keepdims=True))
        np.divide(e, e.sum(-1, keepdims=True), weights[step])
        c[step] = vecmat(weights[step], enc)
        np.tanh(a[step] + h[step] @ p["U"].T + c[step] @ p["V"].T, h[step+1])
    dc, da, de, dasked = np.empty_like(c), np.empty_like(a), np.empty_like(weights), np.empty_like(asked)
    dh, dkeys = np.zeros_like(h[0]), np.zeros_like(keys)
    for step in reversed(range(T)):
        dh += 2 * h[step+1]
        np.multiply(dh, 1 - h[step+1] ** 2, da[step])
        np.matmul(da[step], p["V"], dc[step])
        dweights = matvec(enc, dc[step])
        np.multiply(weights[step], dweights - (weights[step] * dweights).sum(-1, keepdims=True), de[step])
        if hidden is not None:
            dhidden = de[step][:, :, None] * p["a.v"]
            dhidden *= 1 - hidden[step] ** 2
            dasked[step] = dhidden.sum(1)
            dkeys += dhidden
        else:
            dasked[step] = vecmat(de[step], enc)
        dh = da[step] @ p["U"] + dasked[step] @ p["a.W"]
    denc = np.matmul(weights.transpose(1, 2, 0), dc.transpose(1, 0, 2))
    grads = {"W": summed(da, x), "U": summed(da, h[:-1]), "V": summed(da, c), "a.W": summed(dasked, h[:-1])}
    if hidden is not None:
        grads |= {"a.U": summed(dkeys, enc), "a.v": de.reshape(-1) @ hidden.reshape(-1, hidden.shape[-1])}
        denc += dkeys @ p["a.U"]
    else:
        denc += np.matmul(de.transpose(1, 2, 0), asked.transpose(1, 0, 2))
    return float((h[1:] ** 2).sum()), {**grads, "enc": denc}


BY_HAND: dict[str, Callable[..., Result]] = {"delta_net": delta_net, "linear_attention": linear_attention,
                                             "mlstm": mlstm, "mamba": mamba}
