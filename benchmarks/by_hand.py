"""One training step of a recurrent network in NumPy by hand: plain, and as fast as NumPy allows.

A training step is forward, an output and a loss at every step, and the gradients of all parameters:

    y[t] = V h[t] + c          L = Σ (y[t] - target[t])²      over steps, sequences and outputs

Elman, LSTM and GRU are those of rnn/cells/classic.py with its defaults. Parameters and gradients are dicts of arrays,
with the names of rnn/cells/classic.py. Arrays are (T, batch, size). This file imports neither minigrad nor rnn.

`plain` is the textbook program: one step after another, every gradient accumulated at every step.
`optimised` keeps only the recurrence in the loop over time.
  - Operations outside the recurrence are one product for all steps of a block: inputs, outputs, losses.
  - Weight gradients are one product over all steps: Σ da[t]ᵀ h[t-1] is DAᵀ H.
  - All gates are one product, and one tanh: sigmoid(a) = tanh(a/2)/2 + 1/2. The weights are halved
    beforehand.
  - The factors of the backward pass (all local derivatives, composed) are computed for a block of steps at once.
  - All memory and all views of it are allocated before the first step: a step creates no array.
  - `h.dot(U, out)` with U as it lies in memory: np.dot costs 0.1 µs more, np.matmul 0.3 µs, and a
    transposed U up to twice the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Views = list[tuple[Any, ...]]  # of one block
Step = Callable[[Arrays, Array, Array], tuple[float, Arrays]]

CACHE = 1 << 22  # bytes that a block of steps reads and writes: about a core's second cache


# ---- as a student writes it ----------------------------------------------------------------


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def plain_elman(p: Arrays, x: Array, target: Array) -> tuple[float, Arrays]:
    W, U, b, V, c = p["cell.W"], p["cell.U"], p["cell.b"], p["V"], p["c"]
    h, loss = {-1: np.zeros((x.shape[1], len(b)), x.dtype)}, 0.0
    errors = {}
    for t in range(len(x)):
        h[t] = np.tanh(x[t] @ W.T + h[t-1] @ U.T + b)
        errors[t] = h[t] @ V.T + c - target[t]
        loss += np.sum(errors[t] ** 2)

    grad = {name: np.zeros_like(array) for name, array in p.items()}
    dh_next = np.zeros_like(h[-1])
    for t in reversed(range(len(x))):
        dy = 2 * errors[t]
        grad["V"] += dy.T @ h[t]
        grad["c"] += dy.sum(axis=0)
        da = (dy @ V + dh_next) * (1 - h[t] ** 2)
        grad["cell.W"] += da.T @ x[t]
        grad["cell.U"] += da.T @ h[t-1]
        grad["cell.b"] += da.sum(axis=0)
        dh_next = da @ U
    return float(loss), grad


def plain_lstm(p: Arrays, x: Array, target: Array) -> tuple[float, Arrays]:
    V, size = p["V"], len(p["cell.b_f"])
    zero = np.zeros((x.shape[1], size), x.dtype)
    h, c, loss = {-1: zero}, {-1: zero}, 0.0
    hx, f, i, g, o, errors = {}, {}, {}, {}, {}, {}
    for t in range(len(x)):
        hx[t] = np.concatenate([h[t-1], x[t]], axis=1)
        f[t] = sigmoid(hx[t] @ p["cell.W_f"].T + p["cell.b_f"])
        i[t] = sigmoid(hx[t] @ p["cell.W_i"].T + p["cell.b_i"])
        g[t] = np.tanh(hx[t] @ p["cell.W_g"].T + p["cell.b_g"])
        o[t] = sigmoid(hx[t] @ p["cell.W_o"].T + p["cell.b_o"])
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        h[t] = o[t] * np.tanh(c[t])
        errors[t] = h[t] @ V.T + p["c"] - target[t]
        loss += np.sum(errors[t] ** 2)

    grad = {name: np.zeros_like(array) for name, array in p.items()}
    dh_next, dc_next = np.zeros_like(zero), np.zeros_like(zero)
    for t in reversed(range(len(x))):
        dy = 2 * errors[t]
        grad["V"] += dy.T @ h[t]
        grad["c"] += dy.sum(axis=0)
        dh = dy @ V + dh_next
        tanh_c = np.tanh(c[t])
        dc = dh * o[t] * (1 - tanh_c ** 2) + dc_next
        da = {"f": dc * c[t-1] * f[t] * (1 - f[t]), "i": dc * g[t] * i[t] * (1 - i[t]),
              "g": dc * i[t] * (1 - g[t] ** 2), "o": dh * tanh_c * o[t] * (1 - o[t])}
        dhx = np.zeros_like(hx[t])
        for gate in "figo":
            grad[f"cell.W_{gate}"] += da[gate].T @ hx[t]
            grad[f"cell.b_{gate}"] += da[gate].sum(axis=0)
            dhx += da[gate] @ p[f"cell.W_{gate}"]
        dh_next, dc_next = dhx[:, :size], dc * f[t]
    return float(loss), grad


def plain_gru(p: Arrays, x: Array, target: Array) -> tuple[float, Arrays]:
    V, size = p["V"], len(p["cell.b_r"])
    h, loss = {-1: np.zeros((x.shape[1], size), x.dtype)}, 0.0
    hx, r, z, n, of_h, errors = {}, {}, {}, {}, {}, {}
    for t in range(len(x)):
        hx[t] = np.concatenate([h[t-1], x[t]], axis=1)
        r[t] = sigmoid(hx[t] @ p["cell.W_r"].T + p["cell.b_r"])
        z[t] = sigmoid(hx[t] @ p["cell.W_z"].T + p["cell.b_z"])
        of_h[t] = h[t-1] @ p["cell.W_hn"].T + p["cell.b_hn"]
        n[t] = np.tanh(x[t] @ p["cell.W_xn"].T + p["cell.b_xn"] + r[t] * of_h[t])
        h[t] = z[t] * h[t-1] + (1 - z[t]) * n[t]
        errors[t] = h[t] @ V.T + p["c"] - target[t]
        loss += np.sum(errors[t] ** 2)

    grad = {name: np.zeros_like(array) for name, array in p.items()}
    dh_next = np.zeros_like(h[-1])
    for t in reversed(range(len(x))):
        dy = 2 * errors[t]
        grad["V"] += dy.T @ h[t]
        grad["c"] += dy.sum(axis=0)
        dh = dy @ V + dh_next
        da_z = dh * (h[t-1] - n[t]) * z[t] * (1 - z[t])
        da_n = dh * (1 - z[t]) * (1 - n[t] ** 2)
        da_r = da_n * of_h[t] * r[t] * (1 - r[t])
        grad["cell.W_xn"] += da_n.T @ x[t]
        grad["cell.b_xn"] += da_n.sum(axis=0)
        grad["cell.W_hn"] += (da_n * r[t]).T @ h[t-1]
        grad["cell.b_hn"] += (da_n * r[t]).sum(axis=0)
        dhx = np.zeros_like(hx[t])
        for gate, da in (("r", da_r), ("z", da_z)):
            grad[f"cell.W_{gate}"] += da.T @ hx[t]
            grad[f"cell.b_{gate}"] += da.sum(axis=0)
            dhx += da @ p[f"cell.W_{gate}"]
        dh_next = dh * z[t] + (da_n * r[t]) @ p["cell.W_hn"] + dhx[:, :size]
    return float(loss), grad


# ---- as fast as NumPy goes -----------------------------------------------------------------


class Optimised:
    """Memory for one shape, and the training step that is computed in it, again and again.

    Gradients are views of that memory: they hold until the next call.

    Products are rows, (batch, gates * size); the gates of a step are kept as (gates, batch, size), so that
    each of them, and each group of neighbours, is one piece of memory. (At batch 1 both are the same.)
    """

    products = 1  # matrices, each (size, size), that multiply the state
    row = 1  # vectors of the state's size that a step of a block reads or writes

    def __init__(self, shape: tuple[int, int, int], size: int, outputs: int, dtype: Any = float,
                 cache: int = CACHE) -> None:
        T, B, inputs = shape
        H, GH = size, self.products * size
        self.T, self.B, self.H, self.inputs = T, B, H, inputs
        self.dtype, new = dtype, self.new
        self.half = np.array(0.5, dtype)  # a 0-d array: a Python number would cost 0.25 µs a call
        self.one = np.array(1, dtype)
        self.block = S = min(T, max(1, cache // (self.row * B * H * self.half.itemsize)))
        self.blocks = [slice(start, min(start + S, T)) for start in range(0, T, S)]

        self.U, self.UT = new(GH, H), new(H, GH)  # the same, as backward and as forward read it
        self.WT, self.b = new(inputs, GH), new(GH)
        self.h = new(T + 1, B, H)  # h[0] is 0
        self.errors, self.dh = new(T, B, outputs), new(S, B, H)
        self.ones = new(T * B) + self.one
        self.grad = {"V": new(outputs, H), "c": new(outputs)}

    def new(self, *shape: int) -> Array:
        return np.zeros(shape, self.dtype)

    def __call__(self, p: Arrays, x: Array, target: Array) -> tuple[float, Arrays]:
        self.take(p)
        for block, views in zip(self.blocks, self.forward_views):
            self.forward(x[block], views)
        loss = self.loss(p, target)
        for block, views in zip(reversed(self.blocks), reversed(self.backward_views)):
            self.of_outputs(p["V"], block)
            self.prepare(block)
            self.backward(views)
        self.of_weights(x)
        return loss, self.grad

    def of_inputs(self, x: Array, out: Array) -> None:
        """Compute W x[t] + b for all steps of a block."""
        np.matmul(flat(x), self.WT, out)  # unlike np.dot it writes into a part of a matrix
        np.add(out, self.b, out)

    def loss(self, p: Arrays, target: Array) -> float:
        """Compute outputs, loss and its derivatives for all steps."""
        h, errors = flat(self.h[1:]), flat(self.errors)
        np.matmul(h, p["V"].T, errors)
        np.add(errors, p["c"], errors)
        np.subtract(self.errors, target, self.errors)
        loss = float(np.vdot(errors, errors))
        np.add(errors, errors, errors)  # 2 (y - target)
        np.dot(errors.T, h, self.grad["V"])
        np.dot(self.ones, errors, self.grad["c"])
        return loss

    def of_outputs(self, V: Array, block: slice) -> None:
        """Compute the terms that the outputs of a block add to the gradients of their states."""
        np.dot(flat(self.errors[block]), V, flat(self.dh[:block.stop - block.start]))

    # ---- methods that each cell defines
    def take(self, p: Arrays) -> None:
        """Copy the parameters into the matrices of this memory."""
        raise NotImplementedError

    def forward(self, x: Array, views: Views) -> None:
        """Compute the steps of a block, first to last."""
        raise NotImplementedError

    def prepare(self, block: slice) -> None:
        """Compute the local derivatives of a block's steps."""
        raise NotImplementedError

    def backward(self, views: Views) -> None:
        """Compute the steps of a block, last to first."""
        raise NotImplementedError

    def of_weights(self, x: Array) -> None:
        """Compute the gradients of the parameters from those of all steps."""
        raise NotImplementedError

    def forward_view(self, t: int, k: int) -> tuple[Any, ...]:
        """Return the views that step t, the k-th of its block, reads and writes forward."""
        raise NotImplementedError

    def backward_view(self, t: int, k: int) -> tuple[Any, ...]:
        """Return the same views for backward."""
        raise NotImplementedError

    def cut_views(self) -> None:
        """Make the views of every step, block by block, in the order of computation."""
        steps = [[(t, t - block.start) for t in range(block.start, block.stop)] for block in self.blocks]
        self.forward_views = [[self.forward_view(t, k) for t, k in block] for block in steps]
        self.backward_views = [[self.backward_view(t, k) for t, k in reversed(block)] for block in steps]


def flat(array: Array) -> Array:
    """See (S, batch, n) as (S * batch, n): all steps as rows of one matrix."""
    return array.reshape(-1, array.shape[-1])


def by_gate(row: Array, gates: int) -> Array:
    """See (batch, gates * size) as (gates, batch, size)."""
    return np.transpose(row.reshape(len(row), gates, -1), (1, 0, 2))


class Elman(Optimised):
    """h[t] = tanh(W x[t] + U h[t-1] + b): 3 calls a step forward, 3 backward."""

    row = 4

    def __init__(self, *shape: Any, **options: Any) -> None:
        super().__init__(*shape, **options)
        T, B, H = self.T, self.B, self.H
        self.a, self.slope = self.new(self.block, B, H), self.new(self.block, B, H)
        self.da = self.new(T + 1, B, H)  # da[T] is 0
        self.grad |= {"cell.W": self.new(H, self.inputs), "cell.U": self.new(H, H), "cell.b": self.new(H)}
        self.cut_views()

    def forward_view(self, t: int, k: int) -> tuple[Any, ...]:
        return self.h[t].dot, self.a[k], self.h[t+1]

    def backward_view(self, t: int, k: int) -> tuple[Any, ...]:
        return self.da[t+1].dot, self.dh[k], self.slope[k], self.da[t]

    def take(self, p: Arrays) -> None:
        self.U, self.b = p["cell.U"], p["cell.b"]
        self.UT[:], self.WT[:] = p["cell.U"].T, p["cell.W"].T

    def forward(self, x: Array, views: Views) -> None:
        self.of_inputs(x, flat(self.a[:len(x)]))
        add, tanh, UT = np.add, np.tanh, self.UT
        for h_dot, a, h in views:
            h_dot(UT, h)
            add(h, a, h)
            tanh(h, h)

    def prepare(self, block: slice) -> None:
        """slope = 1 - h²"""
        h, slope = self.h[1:][block], self.slope[:block.stop - block.start]
        np.multiply(h, h, slope)
        np.subtract(self.one, slope, slope)

    def backward(self, views: Views) -> None:
        add, multiply, U = np.add, np.multiply, self.U
        for next_dot, dh, slope, da in views:
            next_dot(U, da)
            add(da, dh, da)
            multiply(da, slope, da)

    def of_weights(self, x: Array) -> None:
        da, grad = flat(self.da[:-1]), self.grad
        np.dot(da.T, flat(self.h[:-1]), grad["cell.U"])
        np.dot(da.T, flat(x), grad["cell.W"])
        np.dot(self.ones, da, grad["cell.b"])


class ElmanAlone(Elman):
    """Elman at batch 1, where only the number of calls matters: 2 forward, 2 backward.

    Sums become part of the products: a row of `hx1` is [h before, x, 1], a row of `da_dy` is [da, dy of
    the step before], and `M`, `N` are the matrices for them. With a batch the rows of h and of da would
    no longer be one piece of memory, which costs more than it saves.
    """

    def __init__(self, *shape: Any, **options: Any) -> None:
        Optimised.__init__(self, *shape, **options)
        new, T, H, inputs, outputs = self.new, self.T, self.H, self.inputs, len(self.grad["c"])
        self.hx1, self.M = new(T + 1, 1, H + inputs + 1), new(H + inputs + 1, H)
        self.da_dy, self.N = new(T + 1, 1, H + outputs), new(H + outputs, H)
        self.slope, self.dM = new(self.block, 1, H), new(H, H + inputs + 1)
        self.hx1[..., -1] = 1
        self.h, self.x = self.hx1[..., :H], self.hx1[:-1, :, H:-1]
        self.da, self.errors = self.da_dy[..., :H], self.da_dy[1:, :, H:]
        self.grad |= {"cell.U": self.dM[:, :H], "cell.W": self.dM[:, H:-1], "cell.b": self.dM[:, -1]}
        self.cut_views()

    def forward_view(self, t: int, k: int) -> tuple[Any, ...]:
        return self.hx1[t].dot, self.h[t+1]

    def backward_view(self, t: int, k: int) -> tuple[Any, ...]:
        return self.da_dy[t+1].dot, self.slope[k], self.da[t]

    def take(self, p: Arrays) -> None:
        H = self.H
        self.M[:H], self.M[H:-1], self.M[-1] = p["cell.U"].T, p["cell.W"].T, p["cell.b"]
        self.N[:H], self.N[H:] = p["cell.U"], p["V"]

    def __call__(self, p: Arrays, x: Array, target: Array) -> tuple[float, Arrays]:
        self.x[:] = x
        return super().__call__(p, x, target)

    def forward(self, x: Array, views: Views) -> None:
        tanh, M = np.tanh, self.M
        for hx1_dot, h in views:
            hx1_dot(M, h)
            tanh(h, h)

    def of_outputs(self, V: Array, block: slice) -> None:
        """They are part of the product, too."""

    def backward(self, views: Views) -> None:
        multiply, N = np.multiply, self.N
        for next_dot, slope, da in views:
            next_dot(N, da)
            multiply(da, slope, da)

    def of_weights(self, x: Array) -> None:
        np.dot(flat(self.da[:-1]).T, flat(self.hx1[:-1]), self.dM)


class LSTM(Optimised):
    """9 calls a step forward, 6 backward.

    A step's `gates` are [o i f g, c before], five matrices (batch, size), so that one product of
    neighbours makes i g and f c. A row of `da` is [o i f g | dc f], the last of which goes to the step
    before.
    """

    products, row = 4, 20
    order = "oifg"

    def __init__(self, *shape: Any, **options: Any) -> None:
        super().__init__(*shape, **options)
        new, S, T, B, H = self.new, self.block, self.T, self.B, self.H
        self.a, self.total, self.terms = new(S, B, 4*H), new(B, 4*H), new(2, B, H)
        self.gates, self.tanh_c = new(T + 1, 5, B, H), new(T, B, H)
        self.da, self.dc, self.dh_t = new(T + 1, B, 5*H), new(B, H), new(B, H)
        self.of_dh_o, self.of_dh_c, self.of_dc = new(S, B, H), new(S, B, H), new(S, 4, B, H)
        self.dW, self.db = new(4*H, H + self.inputs), new(4*H)
        for k, gate in enumerate(self.order):
            self.grad |= {f"cell.W_{gate}": self.dW[k*H:(k+1)*H], f"cell.b_{gate}": self.db[k*H:(k+1)*H]}
        self.cut_views()

    def forward_view(self, t: int, k: int) -> tuple[Any, ...]:
        gates = self.gates[t]
        return (self.h[t].dot, self.a[k], gates[:4], gates[:3], gates[1:3], gates[3:], self.gates[t+1, 4],
                self.tanh_c[t], gates[0], self.h[t+1])

    def backward_view(self, t: int, k: int) -> tuple[Any, ...]:
        H, da, later = self.H, self.da[t], self.da[t+1]
        return (later[:, :4*H].dot, self.dh[k], self.of_dh_o[k], da[:, :H], self.of_dh_c[k], later[:, 4*H:],
                self.of_dc[k], by_gate(da, 5)[1:])

    def take(self, p: Arrays) -> None:
        H = self.H
        for k, gate in enumerate(self.order):
            part, W = slice(k * H, (k + 1) * H), p[f"cell.W_{gate}"]
            self.U[part], self.UT[:, part], self.WT[:, part] = W[:, :H], W[:, :H].T, W[:, H:].T
            self.b[part] = p[f"cell.b_{gate}"]
        for halved in (self.UT, self.WT, self.b):
            halved[..., :3*H] *= self.half  # o, i, f: sigmoid(a) = tanh(a/2)/2 + 1/2

    def forward(self, x: Array, views: Views) -> None:
        self.of_inputs(x, flat(self.a[:len(x)]))
        add, multiply, tanh = np.add, np.multiply, np.tanh
        UT, half, total, terms = self.UT, self.half, self.total, self.terms
        total_by_gate, (i_g, f_c) = by_gate(total, 4), terms
        for h_dot, a, oifg, oif, i_f, g_c, c, tanh_c, o, h in views:
            h_dot(UT, total)
            add(total, a, total)
            tanh(total_by_gate, oifg)
            multiply(oif, half, oif)
            add(oif, half, oif)
            multiply(i_f, g_c, terms)
            add(i_g, f_c, c)
            tanh(c, tanh_c)
            multiply(o, tanh_c, h)

    def prepare(self, block: slice) -> None:
        """Compute the factors from dh and dc to the gates."""
        S, subtract, multiply = block.stop - block.start, np.subtract, np.multiply
        gates, tanh_c = self.gates[block], self.tanh_c[block]
        o, i, f, g, i_f, g_c = gates[:, 0], gates[:, 1], gates[:, 2], gates[:, 3], gates[:, 1:3], gates[:, 3:]
        of_o, of_c, of_dc = self.of_dh_o[:S], self.of_dh_c[:S], self.of_dc[:S]
        of_i_f, of_g = of_dc[:, :2], of_dc[:, 2]
        multiply(tanh_c, tanh_c, of_c)
        subtract(self.one, of_c, of_c)
        multiply(of_c, o, of_c)  # dc / dh = o (1 - tanh² c)
        subtract(self.one, o, of_o)
        multiply(of_o, o, of_o)
        multiply(of_o, tanh_c, of_o)  # da_o / dh = o (1 - o) tanh c
        subtract(self.one, i_f, of_i_f)
        multiply(of_i_f, i_f, of_i_f)
        multiply(of_i_f, g_c, of_i_f)  # da_i / dc = i (1 - i) g, da_f / dc = f (1 - f) c before
        multiply(g, g, of_g)
        subtract(self.one, of_g, of_g)
        multiply(of_g, i, of_g)  # da_g / dc = (1 - g²) i
        of_dc[:, 3] = f  # dc before / dc

    def backward(self, views: Views) -> None:
        add, multiply, U, dh, dc = np.add, np.multiply, self.U, self.dh_t, self.dc
        for next_dot, of_y, of_o, da_o, of_c, dc_f, of_dc, da_ifg_dc in views:
            next_dot(U, dh)
            add(dh, of_y, dh)
            multiply(dh, of_o, da_o)
            multiply(dh, of_c, dc)
            add(dc, dc_f, dc)
            multiply(dc, of_dc, da_ifg_dc)

    def of_weights(self, x: Array) -> None:
        H, da = self.H, flat(self.da[:-1])[:, :4*self.H]
        np.matmul(da.T, flat(self.h[:-1]), self.dW[:, :H])  # np.dot writes no part of a matrix
        np.matmul(da.T, flat(x), self.dW[:, H:])
        np.dot(self.ones, da, self.db)


class GRU(Optimised):
    """11 calls a step forward, 4 backward.

    A step's `gates` are [m r z], three matrices (batch, size), with m = W_hn h + b_hn, so that
    n = tanh(W_xn x + b_xn + r m). A row of `da` is [m r z n | dh z], the last of which goes to the step
    before: all of them are dh times something that is known before the loop.
    """

    products, row = 3, 20

    def __init__(self, *shape: Any, **options: Any) -> None:
        super().__init__(*shape, **options)
        new, S, T, B, H = self.new, self.block, self.T, self.B, self.H
        self.a, self.total, self.term, self.b_hn = new(S, B, 4*H), new(B, 3*H), new(B, H), new(H)
        self.gates, self.n, self.h_n = new(T, 3, B, H), new(T, B, H), new(T, B, H)  # h_n = h before - n
        self.da, self.of_dh, self.dh_t = new(T + 1, B, 5*H), new(S, 5, B, H), new(B, H)
        self.dW, self.db = new(4*H, H + self.inputs), new(4*H)  # rows of m, r, z, n; columns of h, x
        m, r, z, n = (slice(k * H, (k + 1) * H) for k in range(4))
        self.grad |= {"cell.W_r": self.dW[r], "cell.W_z": self.dW[z], "cell.W_xn": self.dW[n, H:],
                      "cell.W_hn": self.dW[m, :H], "cell.b_r": self.db[r], "cell.b_z": self.db[z],
                      "cell.b_xn": self.db[n], "cell.b_hn": self.db[m]}
        self.cut_views()

    def forward_view(self, t: int, k: int) -> tuple[Any, ...]:
        gates, a = self.gates[t], by_gate(self.a[k], 4)
        return (self.h[t].dot, a[:3], a[3], gates, gates[1:], gates[0], gates[1], gates[2],
                self.n[t], self.h[t], self.h_n[t], self.h[t+1])

    def backward_view(self, t: int, k: int) -> tuple[Any, ...]:
        H, later = self.H, self.da[t+1]
        return later[:, :3*H].dot, self.dh[k], later[:, 4*H:], self.of_dh[k], by_gate(self.da[t], 5)

    def take(self, p: Arrays) -> None:
        H = self.H
        m, r, z = (slice(k * H, (k + 1) * H) for k in range(3))
        self.U[m], self.UT[:, m], self.b_hn = p["cell.W_hn"], p["cell.W_hn"].T, p["cell.b_hn"]
        for name, part in (("r", r), ("z", z)):
            W, of_x = p[f"cell.W_{name}"], slice(part.start - H, part.stop - H)
            self.U[part], self.UT[:, part], self.WT[:, of_x] = W[:, :H], W[:, :H].T, W[:, H:].T
            self.b[of_x] = p[f"cell.b_{name}"]
        self.WT[:, z], self.b[z] = p["cell.W_xn"].T, p["cell.b_xn"]
        self.UT[:, H:] *= self.half  # r, z: sigmoid(a) = tanh(a/2)/2 + 1/2
        self.WT[:, :2*H] *= self.half
        self.b[:2*H] *= self.half

    def forward(self, x: Array, views: Views) -> None:
        rows = flat(self.a[:len(x)])
        rows[:, :self.H] = self.b_hn
        self.of_inputs(x, rows[:, self.H:])
        add, subtract, multiply, tanh = np.add, np.subtract, np.multiply, np.tanh
        UT, half, total, term = self.UT, self.half, self.total, self.term
        total_by_gate = by_gate(total, 3)
        for h_dot, a, a_n, mrz, rz, m, r, z, n, h_before, h_n, h in views:
            h_dot(UT, total)
            add(total_by_gate, a, mrz)
            tanh(rz, rz)
            multiply(rz, half, rz)
            add(rz, half, rz)
            multiply(r, m, term)
            add(term, a_n, term)
            tanh(term, n)
            subtract(h_before, n, h_n)
            multiply(z, h_n, h)
            add(h, n, h)  # n + z (h before - n)

    def prepare(self, block: slice) -> None:
        """Compute the factors from dh to the gates and the previous state."""
        S, subtract, multiply = block.stop - block.start, np.subtract, np.multiply
        n, h_n = self.n[block], self.h_n[block]
        m, r, z = (self.gates[block, k] for k in range(3))
        of_m, of_r, of_z, of_n, of_before = (self.of_dh[:S, k] for k in range(5))
        subtract(self.one, z, of_z)
        multiply(n, n, of_n)
        subtract(self.one, of_n, of_n)
        multiply(of_n, of_z, of_n)  # da_n / dh = (1 - z) (1 - n²)
        multiply(of_z, z, of_z)
        multiply(of_z, h_n, of_z)  # da_z / dh = z (1 - z) (h before - n)
        multiply(of_n, r, of_m)  # dm / dh = da_n / dh r
        subtract(self.one, r, of_r)
        multiply(of_r, of_m, of_r)
        multiply(of_r, m, of_r)  # da_r / dh = da_n / dh m r (1 - r)
        of_before[...] = z

    def backward(self, views: Views) -> None:
        add, multiply, U, dh = np.add, np.multiply, self.U, self.dh_t
        for next_dot, of_y, dh_z, of_dh, da in views:
            next_dot(U, dh)
            add(dh, of_y, dh)
            add(dh, dh_z, dh)
            multiply(dh, of_dh, da)

    def of_weights(self, x: Array) -> None:
        H, da = self.H, flat(self.da[:-1])
        np.matmul(da[:, :3*H].T, flat(self.h[:-1]), self.dW[:3*H, :H])
        np.matmul(da[:, H:4*H].T, flat(x), self.dW[H:, H:])
        np.dot(self.ones, da[:, :4*H], self.db)


PLAIN: dict[str, Step] = {"elman": plain_elman, "lstm": plain_lstm, "gru": plain_gru}
OPTIMISED: dict[str, type[Optimised]] = {"elman": Elman, "lstm": LSTM, "gru": GRU}


def optimised(cell: str, shape: tuple[int, int, int], size: int, outputs: int, dtype: Any = float) -> Step:
    """Return the fastest program for data of a shape, (T, batch, inputs)."""
    kind = ElmanAlone if cell == "elman" and shape[1] == 1 else OPTIMISED[cell]
    return kind(shape, size, outputs, dtype)
