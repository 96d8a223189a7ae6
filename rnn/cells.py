"""Recurrent cells: each a function of a few equations.

    h1 = cells.lstm(cell, x, 64, name="layer1", rng=rng)
    h2 = cells.gru(cell, h1, 32, name="layer2", rng=rng)

A function writes its equations into a definition and returns the signal that others read. Every
gate is a signal of its own (`run["layer1.f"]`), every matrix and bias a parameter of its own
(`cell.parameters["layer1.W_f"]`): none is a slice of another. A state begins at zero unless it is
set, `cell.signals["layer1.c"][0] = c0`, or given, `unroll(initial={"layer1.c": c0})`.

What all of them take:

    cell, x, size    the definition, the signal that the cell reads, and the length of its state;
    name             the prefix of the names of its signals and parameters;
    rng, dtype       where the initial values are drawn from, and their type. A matrix that multiplies
                     a state begins orthogonal, one that multiplies an input by Glorot's formula, a bias
                     at zero (see minigrad.init);
    reversed         True reads the state at t+1 in place of t-1: it runs from the end to the beginning.

What all of them raise: TypeError where x is no signal; ValueError where its size isn't known, where
the name is taken, where an option isn't one of those listed.

"Before" in the equations below is t-1, or t+1 where the cell is reversed; ⊙ is a product element by
element; [a, b] are two vectors, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from minigrad import Tensor
from minigrad.provenance import call_site
from rnn.language.equations import Definition, Expression, Signal, Time, t

Function = Callable[[Any], Any]
Biases = Literal[0, 1, 2]


class Weights:
    """Makes the parameters of one cell: `name.W_f`, `name.b_f`, ..."""

    def __init__(self, name: str, rng: np.random.Generator, dtype: DTypeLike, biases: int = 1) -> None:
        _one_of("biases", biases, (0, 1, 2))
        self.name = name
        self.rng = rng
        self.dtype = dtype
        self.biases = biases

    def of_state(self, label: str, rows: int, columns: int) -> Tensor:
        """A matrix that multiplies a state."""
        return mg.init.orthogonal((rows, columns), self.rng, name=f"{self.name}.{label}", dtype=self.dtype)

    def of_input(self, label: str, rows: int, columns: int) -> Tensor:
        """A matrix that multiplies an input."""
        return mg.init.glorot((rows, columns), self.rng, name=f"{self.name}.{label}", dtype=self.dtype)

    def joined(self, label: str, *parts: Tensor) -> Tensor:
        """One matrix for vectors that are joined: its parts side by side."""
        whole = np.concatenate([part.numpy() for part in parts], axis=1)
        return Tensor(whole, requires_grad=True, name=f"{self.name}.{label}")

    def of_state_and_input(self, label: str, rows: int, states: int, inputs: int) -> Tensor:
        """A matrix that multiplies [h, x]."""
        return self.joined(label, self.of_state(label, rows, states), self.of_input(label, rows, inputs))

    def bias(self, label: str, size: int, value: float = 0.0) -> Tensor:
        """A vector, all of whose elements begin at one value."""
        return mg.init.constant((size,), value, name=f"{self.name}.{label}", dtype=self.dtype)

    def biased(self, total: Expression, gate: str = "", value: float = 0.0) -> Expression:
        """total + b; or + b_x + b_h, one of the input's side and one of the state's; or total."""
        assert total.shape is not None
        size = total.shape[0]
        if self.biases == 2:
            total = total + self.bias(f"b_x{gate}", size, value) + self.bias(f"b_h{gate}", size)
        elif self.biases == 1:
            total = total + self.bias(f"b_{gate}" if gate else "b", size, value)
        return total

    def gate(self, gate: str, hx: Expression, size: int, value: float = 0.0) -> Expression:
        """W [h, x] + b, of a gate, before its sigmoid."""
        assert hx.shape is not None
        W = self.of_state_and_input(f"W_{gate}", size, size, hx.shape[0] - size)
        return self.biased(W @ hx, gate, value)


# ---- any recurrence ------------------------------------------------------------------------


def abstract(cell: Definition, x: Signal | None, size: int, R: Callable[..., Any], O: Function | None = None, *,  # noqa: E741
             name: str, reversed: bool = False) -> Signal:
    """The abstraction that every recurrent network is a case of.

        s[t] = R(s[t-1], x[t])
        y[t] = O(s[t])

    Elman, Finding structure in time (Cognitive Science 14, 1990), in the notation of Goldberg, A primer
    on neural network models for natural language processing (JAIR 57, 2016), section 10.1.

    Args:
        x: the input; None for a system without one, s[t] = R(s[t-1]), such as a Markov chain.
        R: a function of expressions, of the state before and of the input. Its parameters are its own.
        O: a function of the state; None: there is no output, and the state is returned.

    Returns:
        `name.y`, or `name.s` where there is no O.
    """
    s = cell.signal(f"{name}.s", size)
    before = _before(reversed)
    s[t] = R(s[before]) if x is None else R(s[before], x[t])
    if O is None:
        return s
    y = cell.signal(f"{name}.y")
    y[t] = O(s[t])
    return y


# ---- one layer, without gates --------------------------------------------------------------


def elman(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
          activation: Function = np.tanh, biases: Biases = 1, reversed: bool = False) -> Signal:
    """The simple recurrent network, columns to the right of their matrices.

        h[t] = σ(W x[t] + U h[t-1] + b)

    Elman, Finding structure in time (Cognitive Science 14, 1990), figure 2.

    Args:
        activation: σ, any function of an expression: np.tanh, mg.sigmoid, mg.relu, ...
        biases: 1 is b; 2 is b_x + b_h, as PyTorch has it; 0 is none.

    Returns:
        `name.h`. Parameters: W (size, inputs), U (size, size), b.
    """
    inputs = _size(x)
    own = Weights(name, rng, dtype, biases)
    h = cell.signal(f"{name}.h", size)
    W, U = own.of_input("W", size, inputs), own.of_state("U", size, size)
    h[t] = activation(own.biased(W @ x[t] + U @ h[_before(reversed)]))
    return h


def neurons(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
            activation: Function = np.tanh, reversed: bool = False) -> Signal:
    """A layer of recurrent neurons, rows to the left of their matrices. With size 1, one neuron.

        y[t] = Φ(x[t] W_x + y[t-1] W_y + b)

    Géron, Hands-on machine learning with Scikit-Learn, Keras and TensorFlow (2nd ed., 2019), eq. 15-2.
    It is Elman's network, with W_x = Wᵀ and W_y = Uᵀ.

    Args:
        activation: Φ, any function of an expression.

    Returns:
        `name.y`. Parameters: W_x (inputs, size), W_y (size, size), b.
    """
    inputs = _size(x)
    own = Weights(name, rng, dtype)
    y = cell.signal(f"{name}.y", size)
    W_x, W_y = own.of_input("W_x", inputs, size), own.of_state("W_y", size, size)
    y[t] = activation(own.biased(x[t] @ W_x + y[_before(reversed)] @ W_y))
    return y


def vanilla(cell: Definition, x: Signal, size: int, *, form: Literal["i", "ii"], name: str, rng: np.random.Generator,
            dtype: DTypeLike = float, activation: Function = np.tanh, reversed: bool = False) -> Signal:
    """The vanilla network with one matrix for both vectors, in either of its forms.

        (i)   h[t] = σ(W [x[t], h[t-1]] + b)      the state is what σ gives
        (ii)  h[t] = W [x[t], σ(h[t-1])] + b      the state is what σ takes

    Both describe one network: where h of (i) begins at σ of what h of (ii) begins at, it is σ of it at
    every step (examples/equivalence.py). Who reads form (ii) reads σ(h). Pascanu, Mikolov and Bengio,
    On the difficulty of training recurrent neural networks (ICML 2013), eq. 2, write (ii), and remark
    that (i) is equivalent.

    Args:
        form: "i" or "ii". There is no default.
        activation: σ, any function of an expression.

    Returns:
        `name.h`. Parameters: W (size, inputs + size), b.
    """
    _one_of("form", form, ("i", "ii"))
    inputs = _size(x)
    own = Weights(name, rng, dtype)
    h = cell.signal(f"{name}.h", size)
    W = own.joined("W", own.of_input("W", size, inputs), own.of_state("W", size, size))
    before = h[_before(reversed)]
    if form == "i":
        h[t] = activation(own.biased(W @ mg.concatenate([x[t], before], axis=-1)))
    else:
        h[t] = own.biased(W @ mg.concatenate([x[t], activation(before)], axis=-1))
    return h


def jordan(cell: Definition, x: Signal, size: int, outputs: int, *, name: str, rng: np.random.Generator,
           dtype: DTypeLike = float, activation: Function = np.tanh, output_activation: Function | None = None,
           reversed: bool = False) -> Signal:
    """Jordan's network: the output, not the state, goes back to the beginning.

        h[t] = σ(W_h x[t] + U_h y[t-1] + b_h)
        y[t] = ρ(W_y h[t] + b_y)

    Jordan, Serial order: a parallel distributed processing approach (ICS report 8604, UCSD, 1986).

    Args:
        outputs: the length of y.
        activation: σ, any function of an expression.
        output_activation: ρ; None: y is W_y h + b_y itself.

    Returns:
        `name.y`. Parameters: W_h (size, inputs), U_h (size, outputs), b_h, W_y (outputs, size), b_y.
    """
    inputs = _size(x)
    own = Weights(name, rng, dtype)
    y, h = cell.signal(f"{name}.y", outputs), cell.signal(f"{name}.h", size)
    W_h, U_h, b_h = own.of_input("W_h", size, inputs), own.of_state("U_h", size, outputs), own.bias("b_h", size)
    W_y, b_y = own.of_input("W_y", outputs, size), own.bias("b_y", outputs)
    h[t] = activation(W_h @ x[t] + U_h @ y[_before(reversed)] + b_h)
    total = W_y @ h[t] + b_y
    y[t] = total if output_activation is None else output_activation(total)
    return y


# ---- one layer, with gates -----------------------------------------------------------------


def lstm(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
         forget_gate: bool = True, peephole: Literal["diagonal", "full"] | None = None, coupled: bool = False,
         forget_bias: float = 1.0, biases: Biases = 1, reversed: bool = False) -> Signal:
    """Long short-term memory. The candidate C̃ is called g.

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
            are tanh here too; those of the paper are sigmoids, stretched to (-2, 2) and (-1, 1).)
        peephole: the gates see the cell too: f and i its state before, o the new one. Inside their
            sigmoids stands "diagonal": + p_f ⊙ c[t-1], + p_i ⊙ c[t-1], + p_o ⊙ c[t] (Gers and
            Schmidhuber, Recurrent nets that time and count, IJCNN 2000; Graves, Generating sequences
            with recurrent neural networks, 2013, eq. 7-11); "full": the same with matrices P_f, P_i, P_o,
            as the figures with [C, h, x] have it.
        coupled: i[t] = 1 - f[t], without parameters of its own (Greff et al., LSTM: a search space
            odyssey, 2017: CIFG).
        forget_bias: where b_f begins. 1 keeps the past at first (Jozefowicz, Zaremba and Sutskever, An
            empirical exploration of recurrent network architectures, ICML 2015). Without biases
            there is none.
        biases: a gate has 1: b_f; 2: b_xf + b_hf, as PyTorch has it; 0: none.

    Returns:
        `name.h`; beside it there are `name.c`, `name.f`, ... Parameters: W_f, W_i, W_g, W_o, each
        (size, size + inputs), and b_f, b_i, b_g, b_o.

    Raises:
        ValueError: where input and forget gate are coupled and there is no forget gate.
    """
    _one_of("peephole", peephole, (None, "diagonal", "full"))
    if coupled and not forget_gate:
        raise ValueError(f"{name}: coupled=True takes i from f, and forget_gate=False leaves f out (at {call_site()})")
    _size(x)
    own = Weights(name, rng, dtype, biases)
    h, c = cell.signal(f"{name}.h", size), cell.signal(f"{name}.c", size)
    before = _before(reversed)
    hx = mg.concatenate([h[before], x[t]], axis=-1)

    past = c[before]
    if forget_gate:
        f = cell.signal(f"{name}.f", size)
        f[t] = mg.sigmoid(_peeping(own, "f", own.gate("f", hx, size, forget_bias), peephole, c[before]))
        past = f[t] * c[before]
    i, g, o = (cell.signal(f"{name}.{gate}", size) for gate in "igo")
    if coupled:
        i[t] = 1 - f[t]
    else:
        i[t] = mg.sigmoid(_peeping(own, "i", own.gate("i", hx, size), peephole, c[before]))
    g[t] = np.tanh(own.gate("g", hx, size))
    c[t] = past + i[t] * g[t]
    o[t] = mg.sigmoid(_peeping(own, "o", own.gate("o", hx, size), peephole, c[t]))
    h[t] = o[t] * np.tanh(c[t])
    return h


def _peeping(own: Weights, gate: str, total: Expression, peephole: str | None, c: Expression) -> Expression:
    """What stands inside a gate's sigmoid, and what the gate sees of the cell."""
    assert c.shape is not None
    size = c.shape[0]
    if peephole == "diagonal":
        total = total + own.bias(f"p_{gate}", size) * c
    elif peephole == "full":
        total = total + own.of_state(f"P_{gate}", size, size) @ c
    return total


def gru(cell: Definition, x: Signal, size: int, *, name: str, rng: np.random.Generator, dtype: DTypeLike = float,
        update: Literal["keeps", "replaces"] = "keeps", reset: Literal["before", "after"] = "after",
        biases: Biases = 1, reversed: bool = False) -> Signal:
    """The gated recurrent unit. Its two conventions are named; the defaults are PyTorch's nn.GRU.

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
        update: what an update gate of 1 does. "keeps": it keeps the old state, and is called z.
            "replaces": it takes the candidate, and is called u, so that weights of the one convention
            can't be taken for the other's (papers call both z). A gate u is 1 - z: W_u = -W_z.
        reset: "before" or "after" the matrix that multiplies the state.
        biases: a gate has 1: b_r; 2: b_xr + b_hr, as PyTorch has it; 0: none. With reset="after" the
            candidate has two where the others have 1, since one of them is reset and the other isn't.

    Returns:
        `name.h`; beside it there are `name.r`, `name.z` (or `name.u`) and `name.n`. Parameters: W_r, W_z,
        W_n, each (size, size + inputs); for W_n with reset="after" W_xn and W_hn; b_r, b_z, b_n.
    """
    _one_of("update", update, ("keeps", "replaces"))
    _one_of("reset", reset, ("before", "after"))
    inputs = _size(x)
    own = Weights(name, rng, dtype, biases)
    h, r = cell.signal(f"{name}.h", size), cell.signal(f"{name}.r", size)
    gate = "z" if update == "keeps" else "u"
    z, n = cell.signal(f"{name}.{gate}", size), cell.signal(f"{name}.n", size)
    before = _before(reversed)
    hx = mg.concatenate([h[before], x[t]], axis=-1)

    r[t] = mg.sigmoid(own.gate("r", hx, size))
    z[t] = mg.sigmoid(own.gate(gate, hx, size))
    if reset == "before":
        n[t] = np.tanh(own.gate("n", mg.concatenate([r[t] * h[before], x[t]], axis=-1), size))
    else:
        of_x, of_h = own.of_input("W_xn", size, inputs) @ x[t], own.of_state("W_hn", size, size) @ h[before]
        if biases:
            of_x, of_h = of_x + own.bias("b_xn", size), of_h + own.bias("b_hn", size)
        n[t] = np.tanh(of_x + r[t] * of_h)
    if update == "keeps":
        h[t] = z[t] * h[before] + (1 - z[t]) * n[t]
    else:
        h[t] = (1 - z[t]) * h[before] + z[t] * n[t]
    return h


# ---- several layers ------------------------------------------------------------------------


def bidirectional(cell: Definition, make: Callable[..., Signal], x: Signal, size: int, *, name: str,
                  **options: Any) -> Signal:
    """Two cells over the same input, one from each end.

        h[t] = [forward[t], backward[t]]

    Schuster and Paliwal, Bidirectional recurrent neural networks (IEEE Trans. Signal Processing 45, 1997).

    Args:
        make: the cell, one of the functions of this module.
        size: the length of each one's state.
        options: what `make` takes (rng, ...); each direction draws parameters of its own.

    Returns:
        `name.h`, twice as long; the cells are `name.forward` and `name.backward`.
    """
    h = cell.signal(f"{name}.h")
    forward = make(cell, x, size, name=f"{name}.forward", **options)
    backward = make(cell, x, size, name=f"{name}.backward", reversed=True, **options)
    h[t] = mg.concatenate([forward[t], backward[t]], axis=-1)
    return h


def stacked(cell: Definition, make: Callable[..., Signal], x: Signal, sizes: Sequence[int], *, name: str,
            rng: np.random.Generator, directions: Literal[1, 2] = 1, dropout: float = 0.0, training: bool = True,
            residual: bool = False, **options: Any) -> Signal:
    """A deep network: each layer reads the one below.

        h1[t] = make(x[t], ...), h2[t] = make(h1[t], ...), ...

    Graves, Mohamed and Hinton, Speech recognition with deep recurrent neural networks (ICASSP 2013), eq. 11.

    Args:
        make: the cell, one of the functions of this module.
        sizes: the length of each layer's state, from the lowest up.
        directions: 2 makes every layer bidirectional.
        dropout: the rate at which elements between layers are zero, drawn anew from `rng` at each
            unroll (Zaremba, Sutskever and Vinyals, Recurrent neural network regularization, 2014: not
            along time). The highest layer's output stays whole. The signal is `name.1.dropped`.
        training: False leaves the dropout out: write such a definition to evaluate with, and give it
            the other's parameters by `interop.assign`.
        residual: every layer but the lowest adds what it read to what it gives (Wu et al., Google's
            neural machine translation system, 2016, section 3.1). The signal is `name.2.sum`.
        options: what `make` takes.

    Returns:
        The highest layer's output; the layers are `name.1`, `name.2`, ...

    Raises:
        ValueError: where there is no layer, where the dropout rate isn't in [0, 1), and where a
            layer of another size can't add what it read.
    """
    _one_of("directions", directions, (1, 2))
    if not sizes:
        raise ValueError(f"{name} has no layer: sizes=[64, 64] makes two (at {call_site()})")
    if not 0 <= dropout < 1:
        raise ValueError(f"the dropout rate is in [0, 1), not {dropout!r} (at {call_site()})")
    if residual and len(set(sizes)) > 1:
        raise ValueError(f"a layer can't add what it read where it has another size: residual=True needs equal "
                         f"sizes, not {[*sizes]} (at {call_site()})")
    layer = x
    for number, size in enumerate(sizes, 1):
        below, own = layer, f"{name}.{number}"
        if directions == 2:
            layer = bidirectional(cell, make, below, size, name=own, rng=rng, **options)
        else:
            layer = make(cell, below, size, name=own, rng=rng, **options)
        if residual and number > 1:
            layer = _defined(cell, f"{own}.sum", layer[t] + below[t])
        if dropout and training and number < len(sizes):
            layer = _defined(cell, f"{own}.dropped", mg.dropout(layer[t], dropout, rng))
    return layer


def _defined(cell: Definition, name: str, expression: Expression) -> Signal:
    signal = cell.signal(name)
    signal[t] = expression
    return signal


# ---- what is asked of arguments ------------------------------------------------------------


def _before(reversed: bool) -> Time:
    """The step that a state is read at."""
    return t + 1 if reversed else t - 1


def _size(x: Any) -> int:
    """The length of the input's vector."""
    if not isinstance(x, Signal):
        raise TypeError(f"a cell reads a signal, e.g. cell.input('x', 3), not {x!r:.60} (at {call_site()})")
    if x.shape is None or x.shape == ():
        known = "isn't known" if x.shape is None else "is (), a number"
        raise ValueError(f"the size of {x.name} {known} (at {call_site()}): a cell reads a vector. Declare it with a "
                         f"size where it is made, at {x.origin}")
    return x.shape[0]


def _one_of(option: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {' or '.join(map(repr, known))}, not {value!r} (at {call_site()})")
