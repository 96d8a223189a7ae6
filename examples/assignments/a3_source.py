# %% [markdown]
# # Assignment 3: recurrent cells by hand
#
# You write the forward and the backward pass of a plain recurrent cell and of an LSTM in NumPy: first
# one step of each, then the loop through time. There is no automatic differentiation here.
#
# **Layout.** A sequence `x` has shape `(T, N, D)`: time, batch, features. A state has shape `(N, H)`.
# A row is one sequence of the batch, so weights are multiplied from the right: `x @ W` with `W` of shape `(D, H)`.
# Step t = 1, …, T of the formulas is index `t - 1` of an array; `h[0]` of the formulas is `h0`.
#
# **Gradients.** $\bar h_t = \partial L / \partial h_t$ is the *adjoint* of $h_t$, the gradient of a loss L. The caller
# gives the upstream gradients `dhs[t-1]`: the *direct* derivative of L with respect to h[t], without the paths through
# later steps. Return new arrays; don't modify those of the caller.
#
# Use NumPy; the checker has no minigrad, rnn, viz, torch, jax, tensorflow and autograd.
#
# Check as often as you like: `python -m examples.assignments.check a3 YOUR_FILE.py`

# %%
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES = ("i", "f", "o", "g")


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


# %% [markdown]
# ## 1. The plain recurrent cell
#
# $$z_t = x_t W + h_{t-1} U + b, \qquad h_t = \tanh z_t$$
#
# (Elman, *Finding structure in time*, 1990; Goodfellow, Bengio and Courville, *Deep Learning*, 2016,
# eq. 10.8 and 10.9.) **Beside that book**: there a state is a column vector and the letters are exchanged,
# $a^{(t)} = b + W h^{(t-1)} + U x^{(t)}$. Its $U$ (input to hidden) is the transpose of `W` here, its $W$ (hidden to
# hidden) the transpose of `U` here. `torch.nn.RNN` has `weight_ih_l0`, the transpose of `W`, and `weight_hh_l0`, that
# of `U`.
#
# One step back: given $\bar h_t$, first go through tanh, whose derivative is $1 - h_t^2$, then through the products.
# Each line is a vector-Jacobian product:
#
# $$\bar z_t = \bar h_t \odot (1 - h_t^2), \quad \bar x_t = \bar z_t W^\top, \quad
# \bar h_{t-1} = \bar z_t U^\top, \quad \bar W = x_t^\top \bar z_t, \quad
# \bar U = h_{t-1}^\top \bar z_t, \quad \bar b = \sum_n \bar z_{t,n}$$

# %%
def rnn_step_forward(x: Array, h_prev: Array, W: Array, U: Array, b: Array) -> Array:
    """Compute one step: x (N, D), h_prev (N, H), W (D, H), U (H, H), b (H,) -> h (N, H)."""
    ### BEGIN SOLUTION
    return np.asarray(np.tanh(x @ W + h_prev @ U + b))
    ### END SOLUTION


# %%
def rnn_step_backward(dh: Array, x: Array, h_prev: Array, h: Array, W: Array, U: Array) -> dict[str, Array]:
    """One step back. dh (N, H): the whole dL/dh of this step; h: the result of the step forward.

    Returns the gradients {"x": (N, D), "h_prev": (N, H), "W": (D, H), "U": (H, H), "b": (H,)}.
    """
    ### BEGIN SOLUTION
    dz = dh * (1 - h * h)
    return {"x": dz @ W.T, "h_prev": dz @ U.T, "W": x.T @ dz, "U": h_prev.T @ dz, "b": dz.sum(axis=0)}
    ### END SOLUTION


# %% [markdown]
# Through time (Werbos, *Backpropagation through time*, 1990; Goodfellow et al., eq. 10.20 and 10.21):
# $h_t$ reaches the loss directly, and through $h_{t+1}$. Its gradient is the sum of both contributions, so go
# from T down to 1 and carry the gradient of the state. `W`, `U` and `b` are used T times: their gradients are
# sums over all steps.

# %%
def rnn_forward(x: Array, h0: Array, W: Array, U: Array, b: Array) -> Array:
    """Compute all steps: x (T, N, D), h0 (N, H) -> the states h[1] … h[T] as one array (T, N, H)."""
    ### BEGIN SOLUTION
    h, states = h0, []
    for t in range(len(x)):
        h = rnn_step_forward(x[t], h, W, U, b)
        states.append(h)
    return np.stack(states)
    ### END SOLUTION


# %%
def rnn_backward(dhs: Array, x: Array, h0: Array, hs: Array, W: Array, U: Array) -> dict[str, Array]:
    """All steps back. dhs (T, N, H): the direct gradients; hs (T, N, H): the result of rnn_forward.

    Returns {"x": (T, N, D), "h": (T, N, H), "h0": (N, H), "W": (D, H), "U": (H, H), "b": (H,)}, where "h"
    is the whole dL/dh of every step.
    """
    ### BEGIN SOLUTION
    d = {"x": np.zeros_like(x), "h": np.zeros_like(hs), "W": np.zeros_like(W), "U": np.zeros_like(U),
         "b": np.zeros_like(W[0])}
    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        h_prev = hs[t - 1] if t > 0 else h0
        dh = dh + dhs[t]
        step = rnn_step_backward(dh, x[t], h_prev, hs[t], W, U)
        d["h"][t] = dh
        d["x"][t] = step["x"]
        for name in ("W", "U", "b"):
            d[name] += step[name]
        dh = step["h_prev"]
    d["h0"] = dh
    return d
    ### END SOLUTION


# %% [markdown]
# ## 2. The LSTM
#
# Each gate k has parameters of its own, `W_k` (D, H), `U_k` (H, H), `b_k` (H,):
#
# $$i = \sigma(x W_i + h_{t-1} U_i + b_i), \quad f = \sigma(\dots), \quad o = \sigma(\dots), \quad
# g = \tanh(x W_g + h_{t-1} U_g + b_g)$$
#
# $$c_t = f \odot c_{t-1} + i \odot g, \qquad h_t = o \odot \tanh c_t$$
#
# (Hochreiter and Schmidhuber, *Long short-term memory*, 1997; with the forget gate of Gers,
# Schmidhuber and Cummins, *Learning to forget*, 2000.) The gates are named, so their order doesn't matter here.
# PyTorch stacks the four in one matrix in the order i, f, g, o, with $g$ before $o$ (`torch.nn.LSTM`), and adds
# two biases; `GATES` here is i, f, o, g.
#
# Back: $c_t$ reaches the loss through $c_{t+1}$ *and* through $h_t$. Add both contributions first:
# $\bar c_t = \bar c_t^{\text{later}} + \bar h_t \odot o \odot (1 - \tanh^2 c_t)$. Then each gate by its
# own derivative: $\sigma' = \sigma (1 - \sigma)$, $\tanh' = 1 - \tanh^2$. `h_prev` and `x` are read by
# all four gates.

# %%
def lstm_step_forward(x: Array, h_prev: Array, c_prev: Array, p: dict[str, Array]) -> dict[str, Array]:
    """One step. x (N, D), h_prev and c_prev (N, H), p: the parameters "W_i", "U_i", "b_i", "W_f", …

    Returns {"i", "f", "o", "g", "c", "h"}, each (N, H).
    """
    ### BEGIN SOLUTION
    i = sigmoid(x @ p["W_i"] + h_prev @ p["U_i"] + p["b_i"])
    f = sigmoid(x @ p["W_f"] + h_prev @ p["U_f"] + p["b_f"])
    o = sigmoid(x @ p["W_o"] + h_prev @ p["U_o"] + p["b_o"])
    g = np.tanh(x @ p["W_g"] + h_prev @ p["U_g"] + p["b_g"])
    c = f * c_prev + i * g
    return {"i": i, "f": f, "o": o, "g": g, "c": c, "h": o * np.tanh(c)}
    ### END SOLUTION


# %%
def lstm_step_backward(dh: Array, dc: Array, x: Array, h_prev: Array, c_prev: Array, s: dict[str, Array],
                       p: dict[str, Array]) -> dict[str, Array]:
    """One step back. dh: the whole dL/dh; dc: the part of dL/dc that comes from the next step.

    s: the step's results "i", "f", "o", "g", "c" and "h", without what else your lstm_step_forward may return.
    Returns {"c": the whole dL/dc (N, H), "x": (N, D), "h_prev": (N, H), "c_prev": (N, H)}, and the gradient
    of every parameter under its name.
    """
    ### BEGIN SOLUTION
    tanh_c = np.tanh(s["c"])
    dc = dc + dh * s["o"] * (1 - tanh_c * tanh_c)
    dz = {"i": dc * s["g"] * s["i"] * (1 - s["i"]),
          "f": dc * c_prev * s["f"] * (1 - s["f"]),
          "o": dh * tanh_c * s["o"] * (1 - s["o"]),
          "g": dc * s["i"] * (1 - s["g"] * s["g"])}
    d = {"c": dc, "c_prev": dc * s["f"], "x": np.zeros_like(x), "h_prev": np.zeros_like(h_prev)}
    for k in GATES:
        d["x"] += dz[k] @ p[f"W_{k}"].T
        d["h_prev"] += dz[k] @ p[f"U_{k}"].T
        d[f"W_{k}"] = x.T @ dz[k]
        d[f"U_{k}"] = h_prev.T @ dz[k]
        d[f"b_{k}"] = dz[k].sum(axis=0)
    return d
    ### END SOLUTION


# %%
def lstm_forward(x: Array, h0: Array, c0: Array, p: dict[str, Array]) -> dict[str, Array]:
    """Compute all steps: x (T, N, D), h0 and c0 (N, H) -> {"i", "f", "o", "g", "c", "h"}, each (T, N, H)."""
    ### BEGIN SOLUTION
    h, c, steps = h0, c0, []
    for t in range(len(x)):
        s = lstm_step_forward(x[t], h, c, p)
        h, c = s["h"], s["c"]
        steps.append(s)
    return {name: np.stack([s[name] for s in steps]) for name in steps[0]}
    ### END SOLUTION


# %%
def lstm_backward(dhs: Array, x: Array, h0: Array, c0: Array, s: dict[str, Array],
                  p: dict[str, Array]) -> dict[str, Array]:
    """All steps back. dhs (T, N, H): the direct gradients; s: the six results of lstm_forward, and no others.

    Returns {"x": (T, N, D), "h": (T, N, H), "c": (T, N, H), "h0": (N, H), "c0": (N, H)} with the whole
    dL/dh and dL/dc of every step, and the gradient of every parameter under its name.
    """
    ### BEGIN SOLUTION
    d = {name: np.zeros_like(array) for name, array in p.items()}
    d |= {"x": np.zeros_like(x), "h": np.zeros_like(dhs), "c": np.zeros_like(dhs)}
    dh, dc = np.zeros_like(h0), np.zeros_like(c0)
    for t in range(len(x) - 1, -1, -1):
        h_prev, c_prev = (s["h"][t - 1], s["c"][t - 1]) if t > 0 else (h0, c0)
        dh = dh + dhs[t]
        step = lstm_step_backward(dh, dc, x[t], h_prev, c_prev, {name: array[t] for name, array in s.items()}, p)
        d["h"][t], d["c"][t], d["x"][t] = dh, step["c"], step["x"]
        for name in p:
            d[name] += step[name]
        dh, dc = step["h_prev"], step["c_prev"]
    d["h0"], d["c0"] = dh, dc
    return d
    ### END SOLUTION
