# %% [markdown]
# # Assignment 5: truncated backpropagation through time, and training
#
# A long sequence is cut into chunks of k steps. The *state* is carried from chunk to chunk, the *gradient*
# is not: it stops at every border, so that the time and the memory of an update don't grow with the sequence (Williams
# and Peng, *An efficient gradient-based algorithm for on-line training of recurrent network
# trajectories*, Neural Computation 2, 1990). Here minigrad differentiates, and you decide where it stops.
#
# $$h_t = \tanh(x_t W + h_{t-1} U + b), \qquad y_t = h_t V, \qquad
# L = \sum_t \operatorname{mse}(y_t, target_t)$$
#
# `p` holds the parameters as Tensors: "W" (D, H), "U" (H, H), "b" (H,), "V" (H, M). Arrays `x` and `target`
# have shapes (T, N, D) and (T, N, M). `mg.losses.mse` is the mean over batch and outputs.
#
# Use NumPy and minigrad; the checker has no rnn, viz, torch and jax.
#
# Check as often as you like: `python -m examples.assignments.check a5 YOUR_FILE.py`

# %%
from typing import Any

from numpy.typing import NDArray

import minigrad as mg

Array = NDArray[Any]


# %% [markdown]
# ## 1. One chunk
#
# A forward pass over the steps of one chunk, from the state `h` that is given. Any way to compute the same numbers is
# right, such as one product with `W` for all steps. Stay in the graph: `.data` and `.numpy()` leave it, and then no
# gradient arrives at the parameters.
#
# Against the notation of *Deep Learning* (Goodfellow, Bengio and Courville, eq. 10.8 and 10.9), where states are
# columns, `W` and `U` are exchanged and transposed, as in assignment 3.

# %%
def chunk_loss(x: Array, target: Array, h: mg.Tensor, p: dict[str, mg.Tensor]) -> tuple[mg.Tensor, mg.Tensor]:
    """Return the sum of the losses of all steps, and the last state (N, H), both as Tensors of the graph."""
    ### BEGIN SOLUTION
    losses = []
    for k in range(len(x)):
        h = mg.tanh(x[k] @ p["W"] + h @ p["U"] + p["b"])
        losses.append(mg.losses.mse(h @ p["V"], target[k]))
    return mg.stack(losses).sum(), h
    ### END SOLUTION


# %% [markdown]
# ## 2. The truncated gradient
#
# Chunk by chunk: forward, backward, and the next chunk starts from the last state, *cut off* from
# the graph that made it (`h.detach()`). There is one backward pass for each chunk, before the next one begins:
# `loss.backward()`, or `mg.grad`. One pass for all chunks at the end would keep the graphs of all of them in memory.
# `.grad` of a parameter adds up over backward passes, and the caller may have left something there, so start with none
# (`.grad = None`). The last chunk may be shorter, k may be 1 or larger than T. The parameters stay as they are.

# %%
def truncated_gradients(x: Array, target: Array, h0: Array, p: dict[str, mg.Tensor], k: int) -> dict[str, Array]:
    """Return the sum of the gradients of all chunks of k steps, by parameter; the first chunk starts from h0."""
    ### BEGIN SOLUTION
    for parameter in p.values():
        parameter.grad = None
    h = mg.Tensor(h0)
    for start in range(0, len(x), k):
        loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
        loss.backward()
        h = h.detach()
    return {name: parameter.grad.copy() for name, parameter in p.items() if parameter.grad is not None}
    ### END SOLUTION


# %% [markdown]
# ## 3. Training
#
# After every chunk one step of gradient descent, `parameter.data -= lr * parameter.grad`, with the gradient
# of *this* chunk alone. Every epoch starts from h0 again.

# %%
def train(x: Array, target: Array, h0: Array, p: dict[str, mg.Tensor], k: int, lr: float, epochs: int) -> list[float]:
    """Train the parameters in place; returns the loss of every chunk, before its update, in order."""
    ### BEGIN SOLUTION
    losses = []
    for _ in range(epochs):
        h = mg.Tensor(h0)
        for start in range(0, len(x), k):
            loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
            for parameter in p.values():
                parameter.grad = None
            loss.backward()
            for parameter in p.values():
                if parameter.grad is not None:
                    parameter.data -= lr * parameter.grad
            h = h.detach()
            losses.append(loss.item())
    return losses
    ### END SOLUTION
