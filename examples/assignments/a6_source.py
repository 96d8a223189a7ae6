# %% [markdown]
# # Assignment 6: draw, step, explain
#
# A recurrent network is a graph with loops; unrolled over time it has none, and the backward pass goes through it one
# operation at a time. Here you draw such graphs on paper, write one as a definition, and step through backward passes
# until you see where a gradient is lost. All answers are numbers and names.
#
# The networks of parts 3 to 5 are in `examples/assignments/graphs/a6.py`. Your variant chooses their numbers.
#
# Use NumPy, minigrad, rnn and viz; the checker has no torch and jax.
#
# Check as often as you like: `python -m examples.assignments.check a6 YOUR_FILE.py`

# %%
import numpy as np

import minigrad as mg
from rnn import Cell, t

VARIANT = 0


# %% [markdown]
# ## 1. From a description to a definition
#
# A controller compares an input with its own output of the step before, and has a memory:
#
# - x, of size D, is given.
# - The error e, of size D, is x minus the output y of the step before.
# - The state h, of size H, is tanh of a sum of two products: W times the error of the same step, and U times the state
#   two steps before.
# - The output y, of size D, is V times the state of the same step.
#
# Everything before the first step is zero. In the picture `[k]` on an edge is a delay of k steps:
#
#               +--[2]--+
#               v       |
#     x --> e --> h ----+---> y
#           ^                 |
#           +-------[1]-------+
#
# Use these names for the signals. `docs/recurrences.md` shows how a definition is written: `cell = Cell("...")`,
# `x = cell.input("x", 3)`, `h = cell.signal("h", 4)`, `h[t] = ...`. Then draw it and compare:
# `viz.rolled(definition(W, U, V)).render(outfile="loop.png")`.

# %%
def definition(W: mg.Tensor, U: mg.Tensor, V: mg.Tensor) -> Cell:
    """Return the definition, with parameters W (H, D), U (H, H) and V (D, H)."""
    ### BEGIN SOLUTION
    (H, D), cell = W.shape, Cell("controller")
    x, e, h, y = cell.input("x", D), cell.signal("e", D), cell.signal("h", H), cell.signal("y", D)
    e[t] = x[t] - y[t-1]
    h[t] = np.tanh(W @ e[t] + U @ h[t-2])
    y[t] = V @ h[t]
    return cell
    ### END SOLUTION


# %% [markdown]
# ## 2. Unrolled
#
# Draw the same loop unrolled over T = 3 steps, on paper: a box for each copy, `e[1]`, `h[1]`, ..., and an arrow for
# each read. Steps count from 1. Copies at steps 0 and -1 are initial values, and arrows come from them too.

# %%
def unrolled_edges() -> list[tuple[str, str]]:
    """Return all edges over three steps as (source, target), such as ("h[1]", "y[1]"), in any order."""
    ### BEGIN SOLUTION
    edges = []
    for k in (1, 2, 3):
        edges += [(f"x[{k}]", f"e[{k}]"), (f"y[{k - 1}]", f"e[{k}]"), (f"e[{k}]", f"h[{k}]"),
                  (f"h[{k - 2}]", f"h[{k}]"), (f"h[{k}]", f"y[{k}]")]
    return edges
    ### END SOLUTION


# %% [markdown]
# ## 3. A definition that can't be computed
#
# `python examples/assignments/graphs/a6.py faulty VARIANT` prints the equations of another definition (write your
# number for VARIANT). Draw it. In some of its loops no edge has a delay: every value in them would need itself, so none
# could be computed first (Karp, Miller and Winograd, *The organization of computations for uniform recurrence
# equations*, J. ACM 14, 1967). Find such a loop.
#
# One more delay on a single edge makes the definition computable: the equation of the target then reads the source one
# step earlier.

# %%
def delay_free_loop() -> list[str]:
    """Return the signals of a loop without delay, each once, in the direction in which values flow."""
    ### BEGIN SOLUTION
    return ["p", "r", "s"]
    ### END SOLUTION


def repair() -> tuple[str, str]:
    """Return the edge that gets one more delay, as (source, target)."""
    ### BEGIN SOLUTION
    return "s", "p"
    ### END SOLUTION


# %% [markdown]
# ## 4. Where the gradient is lost
#
# In the network `vanishing` the gradient of the loss with respect to h[1] is exactly zero. Step through its backward
# pass to the operation at which it becomes zero: its upstream gradient, that of its result, isn't zero, and the
# gradients that it passes on to its inputs all are. Answer with the number of the step, and the operation as the
# debugger prints it: by its name, `(3, "tanh")`, or where it has none by its formula, `(7, "U @ h[2]")`.
#
# In the network `nan` the loss is NaN. Step to the operation that *produces* the first one: its result has a NaN, and
# none of its inputs has. Where only gradients have NaNs, it is the operation that passes one on although its upstream
# gradient has none.
#
# - In a terminal: `python -m minigrad.debugger examples/assignments/graphs/a6.py nan VARIANT`. `step`, `back`,
#   `continue`; `break zero`, `break nan`, `break norm < 1e-6` stop at a condition; `print out` shows the result of the
#   operation, `args` its inputs and gradients; `help` lists all commands.
# - As a page for the browser: `python examples/assignments/graphs/a6.py nan VARIANT steps.html`.
# - In VS Code: the extension of `docs/debugging.md`; `"args": ["nan", "0"]` in the launch configuration.
#
# Look at the operation before you answer: why is it zero, why is it NaN? Think of the formula of its derivative.
# `my_vanishing` and `my_nan` are two more networks, with other reasons. Their answers are checked when your work is
# graded.

# %%
def vanishing() -> tuple[int, str]:
    """Return the number of the step, and the name of the operation, such as (3, "tanh")."""
    ### BEGIN SOLUTION
    return 19, "tanh"
    ### END SOLUTION


def nan() -> tuple[int, str]:
    """Return the same for the network `nan`."""
    ### BEGIN SOLUTION
    return 53, "log"
    ### END SOLUTION


def my_vanishing() -> tuple[int, str]:
    """Return the same for the network `my_vanishing`."""
    ### BEGIN SOLUTION
    return 14, "relu"
    ### END SOLUTION


def my_nan() -> tuple[int, str]:
    """Return the same for the network `my_nan`."""
    ### BEGIN SOLUTION
    return 21, "mul"
    ### END SOLUTION


# %% [markdown]
# ## 5. Which time step contributes most?
#
# A parameter is used at every time step, and its gradient is the sum of the contributions of all steps (Werbos,
# *Backpropagation through time: what it does and how to do it*, Proc. IEEE 78, 1990):
#
# $$\frac{\partial L}{\partial U} = \sum_t \frac{\partial L}{\partial a_t} h_{t-1}^\top
# \qquad a_t = W x_t + U h_{t-1} + b$$
#
# `run.contributions("U")` returns them after a backward pass, of shape (T, H, H). Which one has the largest norm?
#
#     from examples.assignments.graphs.a6 import network
#     run, loss = network("contributions", VARIANT)
#     loss.backward()
#
# The network `my_contributions` is checked when your work is graded.

# %%
def contributions() -> tuple[int, float]:
    """Return the time step, from 1 to T, and the norm of its contribution to dL/dU, to three digits."""
    ### BEGIN SOLUTION
    return 4, 1.837
    ### END SOLUTION


def my_contributions() -> tuple[int, float]:
    """Return the same for the network `my_contributions`."""
    ### BEGIN SOLUTION
    return 3, 1.37
    ### END SOLUTION


# %% [markdown]
# ## 6. Explain
#
# In words, a few sentences each; your teacher reads them.
#
# 1. Why does one more delay on the edge that you chose repair both loops? What does the network compute differently?
# 2. In `vanishing` no weight is zero, and yet the gradient becomes zero. Which factor of which derivative is zero?
# 3. The loss of `my_nan` is a number. Why does its gradient have a NaN?
# 4. The step with the largest dL/dh isn't the one that contributes most to dL/dU. What else does a contribution depend
#    on?
