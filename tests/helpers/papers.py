"""PAPERS: recurrences as their papers write them, as texts that rnn and NumPy evaluate (see tests/fuzz/shapes.py).

Each is: the shapes of parameters, of inputs (T, batch, *shape), of values without a time axis, then the equations.
`k` and `kk` are integers; `start(name, text)` is the value before the first step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from shapes import Program

N, H, K = 3, 4, 2  # lengths of inputs, states, keys


def system(text: str, parameters: dict[str, Any], inputs: dict[str, Any], statics: dict[str, Any] | None = None,
           differentiable: bool = True, **lengths: Any) -> Program:
    """Return a program from lines `name (shape): equation`, or `name[0] = text`."""
    rng = np.random.default_rng(0)
    program = Program(rng, T=4, B=3, differentiable=differentiable, **lengths)
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if "[0] = " in line:
            name, start = line.split("[0] = ", 1)
            program.starts[name] = start
            continue
        head, equation = line.split(": ", 1)
        name, shape = head.split(" ", 1)
        program.signals[name] = eval(shape), equation, "[t+1]" in equation and f"{name}[t+1]" in equation

    def values(shape: Any, lead: tuple[int, ...]) -> Any:
        if isinstance(shape, np.ndarray):
            return shape
        if isinstance(shape, int):  # integers below it
            return rng.integers(0, shape, lead)
        return rng.normal(size=(*lead, *shape))

    program.parameters = {name: 0.7 * values(shape, ()) for name, shape in parameters.items()}
    program.inputs = {name: values(shape, (4, 3)) for name, shape in inputs.items()}
    program.statics = {name: values(shape, (3,)) for name, shape in (statics or {}).items()}
    return program


VALID = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
LABELS = np.array([[0, 2, 0, 1, 0], [0, 1, 0, 1, 0], [0, 2, 0, 2, 0]])  # of CTC: blanks between
SKIP = np.array([[-60, -60, -60, 0, -60.0], [-60] * 5, [-60] * 5])  # a label may follow another one directly
PAPERS: dict[str, Program] = {
    "Markov chain": system("""
        p (3,): p[t-1] @ mg.softmax(A)
        p[0] = np.array([1.0, 0, 0])
    """, {"A": (3, 3)}, {"x": ()}),
    "hidden Markov model, forward algorithm in logarithms (Rabiner 1989)": system("""
        a (3,): E[k[t]] + mg.logsumexp(a[t-1][:, None] + A - mg.logsumexp(A, axis=1)[:, None], axis=0)
        a[0] = np.log(np.ones(3) / 3)
    """, {"A": (3, 3), "E": (5, 3)}, {"k": 5}),
    "Viterbi, with the best predecessors": system("""
        v (3,): E[k[t]] + np.max(v[t-1][:, None] + A, axis=0)
        best (3,): np.argmax(v[t-1][:, None] + A, axis=0)
        v[0] = np.zeros(3)
    """, {"A": (3, 3), "E": (5, 3)}, {"k": 5}),
    "Kalman filter with a vector of measurements (1960)": system("""
        m (2,): F @ m[t-1] + G[t] @ (z[t] - C @ (F @ m[t-1]))
        G (2, 3): (F @ P[t-1] @ F.T + 0.1 * np.eye(2)) @ C.T @ np.linalg.inv(C @ (F @ P[t-1] @ F.T + 0.1 \
            * np.eye(2)) @ C.T + np.eye(3))
        P (2, 2): (np.eye(2) - G[t] @ C) @ (F @ P[t-1] @ F.T + 0.1 * np.eye(2))
        P[0] = np.eye(2)
    """, {"F": (2, 2), "C": (3, 2)}, {"z": (3,)}),
    "extended Kalman filter of sin(m)": system("""
        a (2,): np.tanh(F @ m[t-1])
        J (2, 2): (1 - a[t] ** 2)[:, None] * F
        Q (2, 2): J[t] @ P[t-1] @ J[t].T + 0.1 * np.eye(2)
        C (1, 2): np.cos(a[t][0]) * np.array([[1.0, 0.0]])
        G (2, 1): Q[t] @ C[t].T / (C[t] @ Q[t] @ C[t].T + 1)
        m (2,): a[t] + G[t] @ (z[t] - np.sin(a[t][:1]))
        P (2, 2): (np.eye(2) - G[t] @ C[t]) @ Q[t]
        P[0] = np.eye(2)
    """, {"F": (2, 2)}, {"z": (1,)}),
    "recursive least squares": system("""
        g (3,): P[t-1] @ x[t] / (0.9 + x[t] @ P[t-1] @ x[t])
        w (3,): w[t-1] + g[t] * (y[t] - w[t-1] @ x[t])
        P (3, 3): (P[t-1] - np.outer(g[t], x[t] @ P[t-1])) / 0.9
        P[0] = np.eye(3)
    """, {}, {"x": (3,), "y": ()}),
    "stack in base 4 (Siegelmann and Sontag 1995)": system("""
        q (): np.clip(4 * q[t-1] - 2 * top[t] - 1, 0, 1) * pop[t] + (q[t-1] / 4 + (2 * (k[t] % 2) \
            + 1) / 4) * (1 - pop[t])
        top (): np.clip(4 * q[t-1] - 2, 0, 1)
        pop (): k[t] > 3
    """, {}, {"k": 5}),
    "CTC in logarithms (Graves 2006)": system("""
        y (3,): mg.log_softmax(W @ x[t])
        label (5,): onehot @ y[t]
        stay (5,): np.logaddexp(a[t-1], np.concatenate([np.full(1, -60.0), a[t-1][:-1]]))
        a (5,): label[t] + np.logaddexp(stay[t], np.concatenate([np.full(2, -60.0), a[t-1][:-2]]) + skip)
        a[0] = np.array([0, -60.0, -60, -60, -60])
    """, {"W": (3, N)}, {"x": (N,)}, {"onehot": np.eye(3)[LABELS], "skip": SKIP}),
    "image caption: the first state is computed from the image (Vinyals 2015)": system("""
        h (4,): np.tanh(E[k[t]] + U @ h[t-1])
        h[0] = np.tanh(W @ img)
    """, {"E": (5, H), "U": (H, H), "W": (H, 6)}, {"k": 5}, {"img": (6,)}),
    "decoder that reads its own best word": system("""
        h (4,): np.tanh(E[w[t-1]] + U @ h[t-1])
        y (5,): V @ h[t]
        w (): np.argmax(y[t])
        h[0] = np.tanh(img)
        w[0] = 2
    """, {"E": (5, H), "U": (H, H), "V": (5, H)}, {"x": ()}, {"img": (H,)}),
    "encoder and decoder in one definition": system("""
        h (4,): np.tanh(W @ x[t] + U @ h[t-1])
        s (4,): np.where(t <= 2, h[t], np.tanh(R @ s[t-1]))
    """, {"W": (H, N), "U": (H, H), "R": (H, H)}, {"x": (N,)}),
    "additive attention (Bahdanau 2015, A.1.2)": system("""
        e (5,): np.tanh(W @ s[t-1] + enc @ U) @ v
        a (5,): mg.softmax(np.where(valid, e[t], -1e30))
        s (4,): np.tanh(C @ (a[t] @ enc) + R @ s[t-1] + y[t])
        s[0] = np.tanh(S @ enc[0])
    """, {"W": (K, H), "U": (N, K), "v": (K,), "C": (H, N), "R": (H, H), "S": (H, N)}, {"y": (H,)},
        {"enc": (5, N), "valid": VALID}),
    "pointer network (Vinyals 2015)": system("""
        d (4,): np.tanh(W @ (p[t-1] @ enc) + U @ d[t-1])
        p (5,): mg.softmax(np.where(valid, np.tanh(enc @ A + B @ d[t]) @ v, -1e30))
    """, {"W": (H, N), "U": (H, H), "A": (N, K), "B": (K, H), "v": (K,)}, {"x": ()}, {"enc": (5, N), "valid": VALID}),
    "stack RNN (Joulin and Mikolov 2015)": system("""
        h (4,): np.tanh(W @ x[t] + U @ h[t-1] + P @ s[t-1][:2])
        a (3,): mg.softmax(A @ h[t])
        s (5,): a[t][0] * np.concatenate([mg.sigmoid(D @ h[t]), s[t-1][:-1]]) + a[t][1] * \
            np.concatenate([s[t-1][1:], np.zeros(1)]) + a[t][2] * s[t-1]
    """, {"W": (H, N), "U": (H, H), "P": (H, 2), "A": (3, H), "D": (1, H)}, {"x": (N,)}),
    "fast weights (Ba 2016)": system("""
        h (4,): np.tanh(A[t-1] @ np.tanh(C @ x[t] + W @ h[t-1]) + C @ x[t] + W @ h[t-1])
        A (4, 4): 0.9 * A[t-1] + 0.5 * np.outer(h[t], h[t])
    """, {"C": (H, N), "W": (H, H)}, {"x": (N,)}),
    "hypernetwork (Ha 2017)": system("""
        z (2,): np.tanh(A @ x[t] + B @ z[t-1])
        W (4, 4): np.einsum('ijk,k->ij', G, z[t])
        h (4,): np.tanh(W[t] @ h[t-1] + U @ x[t])
    """, {"A": (2, N), "B": (2, 2), "G": (H, H, 2), "U": (H, N)}, {"x": (N,)}),
    "S5, a complex diagonal as two signals (Smith 2023)": system("""
        re (4,): a * re[t-1] - b * im[t-1] + B @ x[t]
        im (4,): a * im[t-1] + b * re[t-1] + C @ x[t]
        y (2,): D @ re[t] - F @ im[t]
    """, {"a": (H,), "b": (H,), "B": (H, N), "C": (H, N), "D": (2, H), "F": (2, H)}, {"x": (N,)}),
    "Mamba-2 (Dao and Gu 2024)": system("""
        dt (): mg.softplus(w @ x[t])
        S (3, 2): np.exp(-np.exp(a) * dt[t]) * S[t-1] + dt[t] * np.outer(x[t], B @ x[t])
        y (3,): S[t] @ (C @ x[t]) + D * x[t]
    """, {"w": (N,), "a": (), "B": (K, N), "C": (K, N), "D": ()}, {"x": (N,)}),
    "HGRN2 (Qin 2024)": system("""
        f (2,): mg.sigmoid(F @ x[t])
        S (2, 4): f[t][:, None] * S[t-1] + np.outer(1 - f[t], V @ x[t])
        y (4,): (Q @ x[t]) @ S[t]
    """, {"F": (K, N), "V": (H, N), "Q": (K, N)}, {"x": (N,)}),
    "RWKV-6 (Peng 2024)": system("""
        w (2,): np.exp(-np.exp(W @ x[t]))
        S (2, 4): w[t][:, None] * S[t-1] + np.outer(A @ x[t], V @ x[t])
        y (4,): (R @ x[t]) @ (S[t-1] + u[:, None] * np.outer(A @ x[t], V @ x[t]))
    """, {"W": (K, N), "A": (K, N), "V": (H, N), "R": (K, N), "u": (K,)}, {"x": (N,)}),
    "RetNet with rotated keys": system("""
        c (2,): np.cos(0.3 * t * np.array([1.0, 0.1]))
        s (2,): np.sin(0.3 * t * np.array([1.0, 0.1]))
        a (2,): (A @ x[t])[:2] * c[t] - (A @ x[t])[2:] * s[t]
        b (2,): (A @ x[t])[:2] * s[t] + (A @ x[t])[2:] * c[t]
        S (4, 3): 0.9 * S[t-1] + np.outer(np.concatenate([a[t], b[t]]), V @ x[t])
        y (3,): (Q @ x[t]) @ S[t]
    """, {"A": (4, N), "V": (3, N), "Q": (4, N)}, {"x": (N,)}),
    "TTT-linear, the inner gradient written out (Sun 2024)": system("""
        W (3, 3): W[t-1] - 0.1 * np.outer(W[t-1] @ (A @ x[t]) - B @ x[t], A @ x[t])
        z (3,): W[t] @ (C @ x[t])
    """, {"A": (3, N), "B": (3, N), "C": (3, N)}, {"x": (N,)}),
    "quasi-recurrent network, a convolution before (Bradbury 2017)": system("""
        z (4,): np.tanh(W @ x[t] + V @ x[t-1])
        f (4,): mg.sigmoid(F @ x[t] + G @ x[t-1])
        c (4,): f[t] * c[t-1] + (1 - f[t]) * z[t]
    """, {"W": (H, N), "V": (H, N), "F": (H, N), "G": (H, N)}, {"x": (N,)}),
    "ON-LSTM master gates (Shen 2019)": system("""
        f (4,): np.cumsum(mg.softmax(W @ x[t] + U @ c[t-1]))
        i (4,): 1 - np.cumsum(mg.softmax(A @ x[t]))
        c (4,): f[t] * c[t-1] + i[t] * np.tanh(B @ x[t])
    """, {"W": (H, N), "U": (H, H), "A": (H, N), "B": (H, N)}, {"x": (N,)}),
    "Hopfield network (1982)": system("""
        s (4,): np.where((W + W.T) @ s[t-1] + b >= 0, 1.0, -1.0)
        s[0] = np.array([1.0, -1, 1, 1])
    """, {"W": (H, H), "b": (H,)}, {"x": ()}, differentiable=False),
    "modern Hopfield network (Ramsauer 2021)": system("""
        s (3,): mg.softmax(2 * (X @ s[t-1])) @ X + 0.1 * x[t]
    """, {"X": (5, 3)}, {"x": (3,)}),
    "neural ODE by Runge-Kutta with a step that is given": system("""
        d (3,): np.tanh(A @ h[t-1])
        e (3,): np.tanh(A @ (h[t-1] + dt[t] / 2 * d[t]))
        h (3,): h[t-1] + dt[t] * e[t]
        h[0] = np.ones(3)
    """, {"A": (3, 3)}, {"dt": ()}),
    "ConvLSTM's convolution of images (Shi 2015)": system("""
        g (4, 4): sum(W[i, j] * np.pad(x[t], 1)[i:i+4, j:j+4] + U[i, j] * \
            np.pad(h[t-1], 1)[i:i+4, j:j+4] for i in range(3) for j in range(3))
        f (4, 4): mg.sigmoid(sum(F[i, j] * np.pad(h[t-1], 1)[i:i+4, j:j+4] for i in range(3) for j in range(3)))
        c (4, 4): f[t] * c[t-1] + (1 - f[t]) * np.tanh(g[t])
        h (4, 4): np.tanh(c[t])
    """, {"W": (3, 3), "U": (3, 3), "F": (3, 3)}, {"x": (4, 4)}),
    "recursive network on a tree, from a memory of the nodes (Socher 2013)": system("""
        left (4,): mg.one_hot(kk[t][0], 5) @ M[t-1]
        right (4,): mg.one_hot(kk[t][1], 5) @ M[t-1]
        h (4,): np.tanh(E[k[t]] + L @ left[t] + R @ right[t])
        M (5, 4): np.where(np.arange(5)[:, None] == t, h[t], M[t-1])
    """, {"E": (5, H), "L": (H, H), "R": (H, H)}, {"k": 5, "kk": np.random.default_rng(0).integers(0, 5, (4, 3, 2))}),
    "two dimensions, a row of columns at each step (Graves 2007)": system("""
        h0 (2,): np.tanh(W * x[t][0] + U @ h0[t-1])
        h1 (2,): np.tanh(W * x[t][1] + U @ h1[t-1] + V @ h0[t])
        h2 (2,): np.tanh(W * x[t][2] + U @ h2[t-1] + V @ h1[t])
    """, {"W": (2,), "U": (2, 2), "V": (2, 2)}, {"x": (3,)}),
    "clockwork (Koutnik 2014)": system("""
        h (4,): np.where(t % np.array([1, 1, 2, 4]) == 0, np.tanh(W @ x[t] + U @ h[t-1]), h[t-1])
    """, {"W": (H, N), "U": (H, H)}, {"x": (N,)}),
    "phased LSTM's time gate (Neil 2016)": system("""
        phase (4,): ((t - shift) % 3.0) / 3.0
        open (4,): np.where(phase[t] < 0.1, 20 * phase[t], np.where(phase[t] < 0.2, 2 - 20 * (phase[t] \
            - 0.1), 0.01 * phase[t]))
        c (4,): open[t] * np.tanh(W @ x[t] + U @ c[t-1]) + (1 - open[t]) * c[t-1]
    """, {"shift": (H,), "W": (H, N), "U": (H, H)}, {"x": (N,)}),
    "unitary RNN: rotations and a permutation, modReLU (Arjovsky 2016)": system("""
        a (4,): (np.cos(p) * re[t-1] - np.sin(p) * im[t-1])[[2, 0, 3, 1]] + V @ x[t]
        b (4,): (np.cos(p) * im[t-1] + np.sin(p) * re[t-1])[[2, 0, 3, 1]]
        r (4,): np.sqrt(a[t] ** 2 + b[t] ** 2 + 1e-6)
        re (4,): a[t] * mg.relu(r[t] + bias) / r[t]
        im (4,): b[t] * mg.relu(r[t] + bias) / r[t]
    """, {"p": (H,), "V": (H, N), "bias": (H,)}, {"x": (N,)}),
    "orthogonal by the Cayley transform (Helfrich 2018)": system("""
        h (4,): mg.relu(np.linalg.solve(np.eye(4) + (A - A.T), np.eye(4) - (A - A.T)) @ h[t-1] + V @ x[t])
    """, {"A": (H, H), "V": (H, N)}, {"x": (N,)}),
    "orthogonal by Householder reflections (Mhammedi 2017)": system("""
        r (4,): h[t-1] - 2 * u * (u @ h[t-1]) / (u @ u)
        h (4,): np.tanh(r[t] - 2 * v * (v @ r[t]) / (v @ v) + V @ x[t])
    """, {"u": (H,), "v": (H,), "V": (H, N)}, {"x": (N,)}),
    "PID control": system("""
        e (): goal[t] - y[t-1]
        i (): i[t-1] + e[t]
        u (): p[0] * e[t] + p[1] * i[t] + p[2] * (e[t] - e[t-1])
        y (): 0.8 * y[t-1] + 0.2 * u[t]
    """, {"p": (3,)}, {"goal": ()}),
    "leaky integrate and fire, surrogate gradient by stop_gradient (Neftci 2019)": system("""
        v (4,): 0.9 * v[t-1] * (1 - s[t-1]) + W @ x[t] + U @ s[t-1]
        soft (4,): mg.sigmoid(4 * (v[t] - 1))
        s (4,): soft[t] + mg.stop_gradient((v[t] > 1) - soft[t])
    """, {"W": (H, N), "U": (H, H)}, {"x": (N,)}, differentiable=False),
    "cellular automaton, rule 110": system("""
        c (6,): (c[t-1] + np.roll(c[t-1], -1) - c[t-1] * np.roll(c[t-1], -1) - np.roll(c[t-1], 1) \
            * c[t-1] * np.roll(c[t-1], -1)) > 0
        c[0] = np.array([0.0, 1, 0, 1, 1, 0])
    """, {}, {"x": ()}, differentiable=False),
    "game of life": system("""
        n (4, 4): sum(np.roll(np.roll(c[t-1], i, axis=0), j, axis=1) for i in (-1, 0, 1) for j in (-1, 0, 1)) - c[t-1]
        c (4, 4): (n[t] == 3) | ((n[t] == 2) & (c[t-1] > 0))
        c[0] = np.array([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    """, {}, {"x": ()}, differentiable=False),
    "real-time recurrent learning of a small net (Williams and Zipser 1989)": system("""
        h (3,): np.tanh(U @ h[t-1] + x[t])
        S (3, 3, 3): (1 - h[t] ** 2)[:, None, None] * (np.einsum('ij,jkl->ikl', U, S[t-1]) + \
            np.eye(3)[:, :, None] * h[t-1])
    """, {"U": (3, 3)}, {"x": (3,)}),
    "zoneout with given draws (Krueger 2017)": system("""
        h (4,): np.where(keep[t] > 0.3, h[t-1], np.tanh(W @ x[t] + U @ h[t-1]))
    """, {"W": (H, N), "U": (H, H)}, {"x": (N,), "keep": (H,)}),
    "LSTM with layer normalisation (Ba 2016)": system("""
        a (4,): W @ x[t] + U @ h[t-1]
        n (4,): (a[t] - a[t].mean()) / np.sqrt(a[t].var() + 1e-5) * g + b
        c (4,): mg.sigmoid(n[t]) * c[t-1] + (1 - mg.sigmoid(n[t])) * np.tanh(a[t])
        h (4,): np.tanh((c[t] - c[t].mean()) / c[t].std()) * mg.sigmoid(a[t])
    """, {"W": (H, N), "U": (H, H), "g": (H,), "b": (H,)}, {"x": (N,)}),
    "several heads of linear attention": system("""
        q (2, 2): np.tanh((Q @ x[t]).reshape(2, 2))
        S (2, 2, 3): S[t-1] + np.einsum('hk,hv->hkv', (A @ x[t]).reshape(2, 2), (V @ x[t]).reshape(2, 3))
        y (6,): np.einsum('hk,hkv->hv', q[t], S[t]).reshape(6)
    """, {"Q": (4, N), "A": (4, N), "V": (6, N)}, {"x": (N,)}),
    "gated attention over a window of the last three": system("""
        m (3, 4): np.concatenate([m[t-1][1:], (E @ x[t])[None]])
        y (4,): mg.softmax(m[t] @ (R @ x[t])) @ m[t]
    """, {"E": (H, N), "R": (H, N)}, {"x": (N,)}),
}
