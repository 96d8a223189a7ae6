"""The cells from 1986 to 2017: simple recurrent networks, LSTM, GRU, and networks of several layers.

For the arguments and errors that all of them have in common see `rnn.cells`. In the equations below ⊙ is the
elementwise product and [a, b] the concatenation of two vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from minigrad.provenance import call_site
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression, t

from .parameters import Biases, Given, Parameters, check_given, check_option, parameters_of_part
from .parts import define, previous

Function = Callable[[Any], Any]
DIRECTIONS = ("forward", "backward")


# ---- one layer, without gates --------------------------------------------------------------


def abstract(cell: Definition, x: Signal | None, size: int, R: Callable[..., Any], O: Function | None = None, *,  # noqa: E741
             name: str, reversed: bool = False) -> Signal:
    """Add any recurrence; every recurrent network is a case of it.

        s[t] = R(s[t-1], x[t])
        y[t] = O(s[t])

    Goldberg, A primer on neural network models for natural language processing (JAIR 57, 2016),
    section 10.1, after Elman, Finding structure in time (Cognitive Science 14, 1990).

    Args:
        x: the input; None for a system without one, s[t] = R(s[t-1]), such as a Markov chain.
        R: a function of two expressions, the previous state and the input; it brings its parameters.
        O: a function of the state; None to return the state itself.

    Returns:
        `name.y`, or `name.s` without O.
    """
    s = cell.signal(f"{name}.s", size)
    before = s[previous(reversed)]
    s[t] = R(before) if x is None else R(before, x[t])
    return s if O is None else define(cell, f"{name}.y", O(s[t]))


def elman(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
          activation: Function = np.tanh, biases: Biases = 1, reversed: bool = False,
          parameters: Given = None) -> Signal:
    """Add Elman's simple recurrent network, in column notation.

        h[t] = σ(W x[t] + U h[t-1] + b)

    Elman, Finding structure in time (Cognitive Science 14, 1990), figure 2.

    Args:
        activation: σ, any function of an expression: np.tanh, mg.sigmoid, mg.relu, ...
        biases: 1 is b; 2 is b_x + b_h, as in PyTorch; 0 is none.

    Returns:
        `name.h`. Parameters: W (size, inputs), U (size, size), b.
    """
    with Parameters(cell, x, name, rng, dtype, parameters, biases) as p:
        h = cell.signal(f"{name}.h", size)
        W, U = p.input_matrix("W", size, p.inputs), p.recurrent_matrix("U", size, size)
        h[t] = activation(p.add_bias(W @ x[t] + U @ h[previous(reversed)]))
    return h


def neurons(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
            activation: Function = np.tanh, reversed: bool = False, parameters: Given = None) -> Signal:
    """Add a layer of recurrent neurons, in row notation; with size 1, one neuron.

        y[t] = Φ(x[t] W_x + y[t-1] W_y + b)

    Géron, Hands-on machine learning with Scikit-Learn, Keras and TensorFlow (2nd ed., 2019), eq. 15-2.
    This is Elman's network, with W_x = Wᵀ and W_y = Uᵀ.

    Args:
        activation: Φ, any function of an expression.

    Returns:
        `name.y`. Parameters: W_x (inputs, size), W_y (size, size), b.
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        y = cell.signal(f"{name}.y", size)
        W_x, W_y = p.input_matrix("W_x", p.inputs, size), p.recurrent_matrix("W_y", size, size)
        y[t] = activation(p.add_bias(x[t] @ W_x + y[previous(reversed)] @ W_y))
    return y


def vanilla(cell: Definition, x: Signal, size: int, *, form: Literal["i", "ii"], name: str, rng: np.random.Generator,
            dtype: DTypeLike = float, activation: Function = np.tanh, reversed: bool = False,
            parameters: Given = None) -> Signal:
    """Add the vanilla network, one matrix for both vectors, in either of its forms.

        (i)   h[t] = σ(W [x[t], h[t-1]] + b)      the state is the activation
        (ii)  h[t] = W [x[t], σ(h[t-1])] + b      the state is the pre-activation

    Both describe one network: if h of (i) starts at σ(h of (ii)), they are related so at every step
    (examples/equivalence.py); a layer above form (ii) reads σ(h). Pascanu, Mikolov and Bengio, On the
    difficulty of training recurrent neural networks (ICML 2013), eq. 2, use (ii) and remark that (i)
    is equivalent.

    Args:
        form: "i" or "ii". There is no default.
        activation: σ, any function of an expression.

    Returns:
        `name.h`. Parameters: W (size, inputs + size), b.
    """
    check_option("form", form, ("i", "ii"))
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        h = cell.signal(f"{name}.h", size)
        W = p.joint_matrix("W", size, size, state_first=False)
        before = h[previous(reversed)]
        if form == "i":
            h[t] = activation(p.add_bias(W @ mg.concatenate([x[t], before], axis=-1)))
        else:
            h[t] = p.add_bias(W @ mg.concatenate([x[t], activation(before)], axis=-1))
    return h


def jordan(cell: Definition, x: Signal, size: int, outputs: int, *, name: str, rng: np.random.Generator,
           dtype: DTypeLike = float, activation: Function = np.tanh, output_activation: Function | None = None,
           reversed: bool = False, parameters: Given = None) -> Signal:
    """Add Jordan's network: the output, not the state, feeds back to the hidden layer.

        h[t] = σ(W_h x[t] + U_h y[t-1] + b_h)
        y[t] = ρ(W_y h[t] + b_y)

    Jordan, Serial order: a parallel distributed processing approach (ICS report 8604, UCSD, 1986).

    Args:
        outputs: the length of y.
        activation: σ, any function of an expression.
        output_activation: ρ; None for the identity.

    Returns:
        `name.y`. Parameters: W_h (size, inputs), U_h (size, outputs), b_h, W_y (outputs, size), b_y.
    """
    with Parameters(cell, x, name, rng, dtype, parameters) as p:
        y, h = cell.signal(f"{name}.y", outputs), cell.signal(f"{name}.h", size)
        W_h, U_h = p.input_matrix("W_h", size, p.inputs), p.recurrent_matrix("U_h", size, outputs)
        b_h = p.bias("b_h", size)
        W_y, b_y = p.input_matrix("W_y", outputs, size), p.bias("b_y", outputs)
        h[t] = activation(W_h @ x[t] + U_h @ y[previous(reversed)] + b_h)
        total = W_y @ h[t] + b_y
        y[t] = total if output_activation is None else output_activation(total)
    return y


# ---- one layer, with gates -----------------------------------------------------------------


def lstm(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
         forget_gate: bool = True, peephole: Literal["diagonal", "full"] | None = None, coupled: bool = False,
         projection: int | None = None, forget_bias: float = 1.0, biases: Biases = 1, reversed: bool = False,
         parameters: Given = None) -> Signal:
    """Add a long short-term memory cell. The candidate C̃ is called g.

        f[t] = sigmoid(W_f [h[t-1], x[t]] + b_f)
        i[t] = sigmoid(W_i [h[t-1], x[t]] + b_i)
        g[t] = tanh(W_g [h[t-1], x[t]] + b_g)
        o[t] = sigmoid(W_o [h[t-1], x[t]] + b_o)
        c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]
        h[t] = o[t] ⊙ tanh(c[t])

    Hochreiter and Schmidhuber, Long short-term memory (Neural Computation 9, 1997), with the forget
    gate of Gers, Schmidhuber and Cummins, Learning to forget (Neural Computation 12, 2000). The
    defaults are the equations of PyTorch's nn.LSTM and Keras' LSTM.

    Args:
        forget_gate: False is the cell of 1997, c[t] = c[t-1] + i[t] ⊙ g[t]. (Its squashing functions
            are tanh here too; those of the paper are sigmoids, scaled to (-2, 2) and (-1, 1).)
        peephole: adds a term of the cell state inside the gates' sigmoids. "diagonal": p_f ⊙ c[t-1],
            p_i ⊙ c[t-1], p_o ⊙ c[t] (Gers and Schmidhuber, Recurrent nets that time and count, IJCNN
            2000; Graves, Generating sequences with recurrent neural networks, 2013, eq. 7-11). "full":
            the same with matrices P_f, P_i, P_o, as in figures with [C, h, x].
        projection: the length of h, if it isn't that of c: h[t] = W_p m[t] with m[t] = o[t] ⊙ tanh(c[t]). The
            matrices of the gates, which multiply h, get smaller (Sak, Senior and Beaufays, Long short-term
            memory recurrent neural network architectures for large scale acoustic modeling, Interspeech 2014,
            eq. 5-6, without the non-recurrent projection; proj_size of PyTorch's nn.LSTM).
        coupled: i[t] = 1 - f[t], without parameters (CIFG in Greff et al., LSTM: a search space odyssey, 2017).
        forget_bias: the initial b_f. 1 keeps the past at first (Jozefowicz, Zaremba and Sutskever, An
            empirical exploration of recurrent network architectures, ICML 2015). Unused without biases.
        biases: 1 is b_f; 2 is b_xf + b_hf, as in PyTorch; 0 is none. The same for every gate.

    Returns:
        `name.h`, beside `name.c`, `name.f`, ... Parameters: W_f, W_i, W_g, W_o, each (size, size + inputs),
        and b_f, b_i, b_g, b_o; with a projection W_p (projection, size), and (size, projection + inputs).

    Raises:
        ValueError: if the input gate is coupled to a forget gate that is left out.
    """
    check_option("peephole", peephole, (None, "diagonal", "full"))
    if coupled and not forget_gate:
        raise ValueError(f"{name}: coupled=True takes i from f, and forget_gate=False leaves f out (at {call_site()})")
    with Parameters(cell, x, name, rng, dtype, parameters, biases) as p:
        h, c = cell.signal(f"{name}.h", size if projection is None else projection), cell.signal(f"{name}.c", size)
        h_before, c_before = h[previous(reversed)], c[previous(reversed)]
        hx = mg.concatenate([h_before, x[t]], axis=-1)

        past = c_before
        if forget_gate:
            f = cell.signal(f"{name}.f", size)
            f[t] = mg.sigmoid(_add_peephole(p, "f", p.preactivation("f", hx, size, forget_bias), peephole, c_before))
            past = f[t] * c_before
        i, g, o = (cell.signal(f"{name}.{gate}", size) for gate in "igo")
        if coupled:
            i[t] = 1 - f[t]
        else:
            i[t] = mg.sigmoid(_add_peephole(p, "i", p.preactivation("i", hx, size), peephole, c_before))
        g[t] = np.tanh(p.preactivation("g", hx, size))
        c[t] = past + i[t] * g[t]
        o[t] = mg.sigmoid(_add_peephole(p, "o", p.preactivation("o", hx, size), peephole, c[t]))
        if projection is None:
            h[t] = o[t] * np.tanh(c[t])
        else:
            m = define(cell, f"{name}.m", o[t] * np.tanh(c[t]))
            h[t] = p.recurrent_matrix("W_p", projection, size) @ m[t]
    return h


def _add_peephole(p: Parameters, gate: str, total: Expression, peephole: str | None, c: Expression) -> Expression:
    """Return a gate's pre-activation with the term of the cell state c, if there are peepholes."""
    assert c.shape is not None
    size = c.shape[0]
    if peephole == "diagonal":
        total = total + p.bias(f"p_{gate}", size) * c
    elif peephole == "full":
        total = total + p.recurrent_matrix(f"P_{gate}", size, size) @ c
    return total


def gru(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
        update: Literal["keeps", "replaces"] = "keeps", reset: Literal["before", "after"] = "after",
        biases: Biases = 1, reversed: bool = False, parameters: Given = None) -> Signal:
    """Add a gated recurrent unit. Its two conventions are named; the defaults are those of PyTorch's nn.GRU.

        r[t] = sigmoid(W_r [h[t-1], x[t]] + b_r)
        z[t] = sigmoid(W_z [h[t-1], x[t]] + b_z)
        n[t] = tanh(W_xn x[t] + b_xn + r[t] ⊙ (W_hn h[t-1] + b_hn))      reset="after"
        n[t] = tanh(W_n [r[t] ⊙ h[t-1], x[t]] + b_n)                     reset="before"
        h[t] = z[t] ⊙ h[t-1] + (1 - z[t]) ⊙ n[t]                         update="keeps"
        h[t] = (1 - u[t]) ⊙ h[t-1] + u[t] ⊙ n[t]                         update="replaces"

    Cho et al., Learning phrase representations using RNN encoder-decoder (EMNLP 2014), eq. 5-8: keeps,
    before. Chung et al., Empirical evaluation of gated recurrent neural networks on sequence modeling
    (2014), section 3.2: replaces, before. nn.GRU, cuDNN and Keras: keeps, after.

    Args:
        update: the meaning of an update gate of 1. "keeps": it keeps the old state, and is called z.
            "replaces": it takes the candidate, and is called u, so that weights of one convention
            can't be taken for the other's (papers call both z). u = 1 - z, so W_u = -W_z.
        reset: whether the reset gate acts "before" or "after" the matrix that multiplies the state.
        biases: 1 is b_r; 2 is b_xr + b_hr, as in PyTorch; 0 is none. The same for every gate, but with
            reset="after" and 1 the candidate has two, since the reset gate scales only one of them.

    Returns:
        `name.h`, beside `name.r`, `name.z` (or `name.u`) and `name.n`. Parameters: W_r, W_z, W_n, each
        (size, size + inputs); for W_n with reset="after" W_xn and W_hn; b_r, b_z, b_n.
    """
    check_option("update", update, ("keeps", "replaces"))
    check_option("reset", reset, ("before", "after"))
    with Parameters(cell, x, name, rng, dtype, parameters, biases) as p:
        gate = "z" if update == "keeps" else "u"
        h, r, z, n = (cell.signal(f"{name}.{label}", size) for label in ("h", "r", gate, "n"))
        before = h[previous(reversed)]
        hx = mg.concatenate([before, x[t]], axis=-1)

        r[t] = mg.sigmoid(p.preactivation("r", hx, size))
        z[t] = mg.sigmoid(p.preactivation(gate, hx, size))
        if reset == "before":
            n[t] = np.tanh(p.preactivation("n", mg.concatenate([r[t] * before, x[t]], axis=-1), size))
        else:
            of_x, of_h = p.input_matrix("W_xn", size, p.inputs) @ x[t], p.recurrent_matrix("W_hn", size, size) @ before
            if biases:
                of_x, of_h = of_x + p.bias("b_xn", size), of_h + p.bias("b_hn", size)
            n[t] = np.tanh(of_x + r[t] * of_h)
        h[t] = z[t] * before + (1 - z[t]) * n[t] if update == "keeps" else (1 - z[t]) * before + z[t] * n[t]
    return h


# ---- several layers ------------------------------------------------------------------------


def bidirectional(cell: Definition, make: Callable[..., Signal], x: Signal, size: int, *, name: str,
                  parameters: Given = None, **options: Any) -> Signal:
    """Add two cells over the same input, one in each direction of time.

        h[t] = [forward[t], backward[t]]

    Schuster and Paliwal, Bidirectional recurrent neural networks (IEEE Trans. Signal Processing 45, 1997).

    Args:
        make: the cell, one of the functions of this module.
        size: the length of the state of each.
        options: the arguments of `make` (rng, ...); each direction has parameters of its own.
        parameters: Tensors by label, "forward.W_f", "backward.W_f", ...

    Returns:
        `name.h`, of length 2 * size; the cells are `name.forward` and `name.backward`.
    """
    given = check_given(parameters)
    own = [parameters_of_part(given, part, name, DIRECTIONS) for part in DIRECTIONS]
    with cell.all_or_nothing():
        h = cell.signal(f"{name}.h")
        forward = make(cell, x, size, name=f"{name}.forward", **options, **own[0])
        backward = make(cell, x, size, name=f"{name}.backward", reversed=True, **options, **own[1])
        h[t] = mg.concatenate([forward[t], backward[t]], axis=-1)
    return h


def stacked(cell: Definition, make: Callable[..., Signal], x: Signal, sizes: Sequence[int], *, name: str,
            rng: np.random.Generator, directions: Literal[1, 2] = 1, dropout: float = 0.0, training: bool = True,
            residual: bool = False, parameters: Given = None, **options: Any) -> Signal:
    """Add a deep network: each layer reads the one below.

        h1[t] = make(x[t], ...), h2[t] = make(h1[t], ...), ...

    Graves, Mohamed and Hinton, Speech recognition with deep recurrent neural networks (ICASSP 2013), eq. 11.

    Args:
        make: the cell, one of the functions of this module.
        sizes: the length of each layer's state, from the lowest up.
        directions: 2 makes every layer bidirectional.
        dropout: the probability that an element between two layers is set to zero, drawn anew from `rng` at
            each unroll (Zaremba, Sutskever and Vinyals, Recurrent neural network regularization, 2014: not
            along time). The output of the highest layer is exempt. The signal is `name.1.dropped`.
        training: False leaves the dropout out. For evaluation write such a definition and copy the
            parameters to it with `interop.assign`.
        residual: every layer but the lowest adds its input to its output (Wu et al., Google's neural
            machine translation system, 2016, section 3.1). The signal is `name.2.sum`.
        parameters: Tensors by label, "1.W_f", "2.W_f", ...; "1.forward.W_f", ... with two directions.
        options: the arguments of `make`.

    Returns:
        The highest layer's output; the layers are `name.1`, `name.2`, ...

    Raises:
        ValueError: for no layer, a dropout rate outside [0, 1), residual connections between layers
            of different sizes.
    """
    check_option("directions", directions, (1, 2))
    if not sizes:
        raise ValueError(f"{name} has no layer: sizes=[64, 64] makes two (at {call_site()})")
    if not 0 <= dropout < 1:
        raise ValueError(f"the dropout rate is in [0, 1), not {dropout!r} (at {call_site()})")
    if residual and len(set(sizes)) > 1:
        raise ValueError(f"residual=True needs equal sizes, not {[*sizes]}: it adds a layer's input to its output "
                         f"(at {call_site()})")
    given, parts = check_given(parameters), [str(number) for number in range(1, len(sizes) + 1)]
    layer = x
    with cell.all_or_nothing():
        for number, size in zip(parts, sizes):
            below, prefix = layer, f"{name}.{number}"
            own = options | parameters_of_part(given, number, name, parts)
            if directions == 2:
                layer = bidirectional(cell, make, below, size, name=prefix, rng=rng, **own)
            else:
                layer = make(cell, below, size, name=prefix, rng=rng, **own)
            if residual and number != parts[0]:
                layer = define(cell, f"{prefix}.sum", layer[t] + below[t])
            if dropout and training and number != parts[-1]:
                layer = define(cell, f"{prefix}.dropped", mg.dropout(layer[t], dropout, rng))
    return layer
