"""Cost of a training step where the state or what is read is a matrix: compiled, and NumPy by hand.

    python benchmarks/matrix_states.py                                 # all tasks: a minute
    python benchmarks/matrix_states.py --tasks delta_net additive --sizes 64,4,50 --rounds 20
    python benchmarks/matrix_states.py --memory                        # peak of the arrays of a step instead of time

A step is forward, a loss Σ y[t]² at every step, and the gradients of all parameters (of attention, those of the
encoder's states too). By hand: batched products, of all steps at once where no loop needs them, and everything that
backward needs is kept. Contenders take turns for several rounds on one thread, after a check that they compute the same
loss and gradients. CPU time; the ratio is that of medians, in parentheses that of the shortest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import minigrad as mg  # noqa: E402
from rnn import Cell, cells, t  # noqa: E402

Array = NDArray[Any]
Result = tuple[float, dict[str, Array]]
DTYPE = "float32"
TOLERANCE = 2e-3  # of a gradient, against its largest element
SIZES = {"delta_net": ["64,4,50", "16,8,200", "32,8,100"], "linear_attention": ["64,4,50", "32,8,100"],
         "mlstm": ["64,4,50", "32,8,100"], "additive": ["32,8,100", "64,16,100"], "dot": ["32,8,100", "64,16,100"]}
SOURCES = {32: 20, 64: 50}  # size of attention -> length of what it reads


# ---- by hand -------------------------------------------------------------------------------


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
                                             "mlstm": mlstm}


# ---- tasks ---------------------------------------------------------------------------------


class Task:
    """A definition, and the two contenders as functions without arguments."""

    def __init__(self, name: str, size: int, batch: int, steps: int) -> None:
        rng = np.random.default_rng(0)
        self.cell = Cell(name)
        x, L = self.cell.input("x", size), self.cell.signal("L", ())
        self.x = data = rng.normal(size=(steps, batch, size)).astype(DTYPE)
        if name in BY_HAND:
            make: Any = getattr(cells.modern, name)
            y = make(self.cell, x, size, keys=size, name="a", rng=rng, dtype=DTYPE)
            self.enc = None
        else:
            y = self._decoder(x, size, name, rng)
            source = rng.normal(0, 0.3, (batch, SOURCES.get(size, size), size)).astype(DTYPE)
            self.enc = mg.Tensor(source, requires_grad=True, name="enc")
        L[t] = (y[t] * y[t]).sum()
        p = {key: x.numpy() for key, x in self.cell.parameters.items()}
        fast = self.cell.compile(loss="L")
        if self.enc is None:
            short = {key.removeprefix("a."): array for key, array in p.items()}
            self.contenders: dict[str, Callable[[], Any]] = {
                "by hand": lambda: BY_HAND[name](short, data), "compiled": lambda: fast(x=data)}
        else:
            self.contenders = {"by hand": lambda: attention(p, data, source, name == "additive"),
                               "compiled": lambda: fast(x=data, enc=self.enc)}
        self._check()

    def _decoder(self, x: Any, size: int, score: Any, rng: np.random.Generator) -> Any:
        enc, h = self.cell.static("enc", (None, size)), self.cell.signal("h", size)
        c = cells.memory.attention(self.cell, enc, h, size, name="a", rng=rng, dtype=DTYPE, score=score)
        W, U, V = (mg.init.glorot((size, size), rng, name=name, dtype=DTYPE) for name in "WUV")
        h[t] = np.tanh(W @ x[t] + U @ h[t-1] + V @ c[t])
        return h

    def _check(self) -> None:
        """Raise unless both compute the same loss and gradients."""
        loss, expected = self.contenders["by hand"]()
        self.clear()
        pairs = [("the loss", np.asarray(self.contenders["compiled"]().loss), np.asarray(loss))]
        found = {key.removeprefix("a.") if self.enc is None else key: x.grad for key, x in self.tensors().items()}
        pairs += [(f"the gradient of {key}", found[key], array) for key, array in expected.items()]
        assert found.keys() == expected.keys()
        for what, ours, theirs in pairs:
            error = np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))
            if ours.shape != theirs.shape or not error <= TOLERANCE:
                raise ValueError(f"{what} of {self.cell.name} is {error:.1e} away from that by hand")

    def tensors(self) -> dict[str, mg.Tensor]:
        """Return all tensors that get a gradient."""
        return {**self.cell.parameters, **({} if self.enc is None else {"enc": self.enc})}

    def clear(self) -> None:
        for x in self.tensors().values():
            x.grad = None


def measure(task: Task, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of a step, in each round; contenders take turns."""
    times: dict[str, list[float]] = {name: [] for name in task.contenders}
    for _ in range(rounds):
        for name, step in task.contenders.items():
            task.clear()
            started = time.process_time()
            step()
            times[name].append(time.process_time() - started)
    return times


def peak(task: Task, name: str) -> float:
    """Return the largest number of megabytes in use at once during a first step."""
    task.clear()
    tracemalloc.start()
    if name == "compiled":
        task.cell.compile(loss="L")(**({"x": task.x} if task.enc is None else {"x": task.x, "enc": task.enc}))
    else:
        task.contenders[name]()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--sizes", nargs="+", help="size,batch,T")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    head = "by hand, MB | compiled, MB" if options.memory else "by hand, ms | compiled, ms | ratio"
    print(f"| {DTYPE}; size, batch, T | {head} |\n|{' --- |' * (head.count('|') + 2)}")
    for name in options.tasks:
        for size in options.sizes or SIZES[name]:
            task = Task(name, *map(int, size.split(",")))
            if options.memory:
                print(f"| {name} {size} | {peak(task, 'by hand'):.1f} | {peak(task, 'compiled'):.1f} |", flush=True)
                continue
            times = measure(task, options.rounds)
            hand, ours = times["by hand"], times["compiled"]
            ratio = f"{statistics.median(ours) / statistics.median(hand):.2f} ({min(ours) / min(hand):.2f})"
            print(f"| {name} {size} | {statistics.median(hand) * 1e3:.2f} | {statistics.median(ours) * 1e3:.2f} "
                  f"| {ratio} |", flush=True)


if __name__ == "__main__":
    main()
