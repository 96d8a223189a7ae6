"""One case for each kind of failure that the fuzzer found: by name, with the engines that it runs on.

OPEN lists what still fails; the tests expect these failures, and fail once they are mended.
"""

from __future__ import annotations

from typing import NamedTuple

from description import Case, parsed

BOTH = ("unroll", "compile")
EXPORTS = ("jax", "torch", "onnx")


class Kept(NamedTuple):
    """A case, and the engines that must compute it, or refuse it where it can't be computed."""

    case: Case
    engines: tuple[str, ...] = (*BOTH, *EXPORTS)


KEPT: dict[str, Kept] = {
    # ---- masks and lengths
    "state of a delay of three after the end": Kept(parsed("""
        q: parameter()
        h: signal(())
        L: signal(())
        h[t] = 0.5 * h[t-3] + q
        L[t] = h[t-1]
        """, T=4, options={"mask": [True, True, False, False]}, loss="L")),
    "delay of two over a pause": Kept(parsed("""
        x: input(())
        h: signal(())
        L: signal(())
        h[t] = x[t] + 0.5 * h[t-1] + 0.25 * h[t-2]
        L[t] = h[t] * h[t]
        h[-1] = 0.5
        h[0] = 0.25
        """, T=5, options={"mask": [True, True, False, True, True]}, loss="L", reduction="mean")),
    "an output that is read late is zero where masked": Kept(parsed("""
        w: parameter()
        x: input(())
        h: signal(())
        L: signal(())
        d: signal(())
        h[t] = np.tanh(x[t] + w * h[t-1])
        L[t] = (h[t] - 1) ** 2
        d[t] = L[t] - L[t-1]
        """, T=4, batch=(2,), options={"lengths": [4, 2]}, loss="L", reduction="mean")),
    "an input read late after a pause": Kept(parsed("""
        x: input(2)
        y: signal(2)
        y[t] = x[t] - x[t-1]
        x[0] = 0.5
        """, T=4, options={"mask": [True, False, True, True]})),
    "an input read ahead, past the end of a short sequence": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        y: signal(2)
        y[t] = x[t+2] - x[t]
        x[T+1] = 0.5
        x[T+2] = p
        """, T=4, batch=(3,), options={"lengths": [4, 2, 1]})),
    "labels read ahead": Kept(parsed("""
        x: input(2)
        label: input((), dtype="int32", below=2)
        y: signal(())
        y[t] = mg.losses.cross_entropy(x[t], label[t+1], reduction='none')
        label[T+1] = 1
        """, T=4, batch=(3,), options={"lengths": [4, 2, 1]}, loss="y")),
    "a lead read at once, under a mask": Kept(parsed("""
        w: parameter(2)
        s: signal(2)
        y: signal(2)
        s[t+1] = np.tanh(w)
        y[t] = s[t+1] * 2
        """, T=4, options={"mask": [True, True, False, True]})),
    "a lead of an input's function, under lengths": Kept(parsed("""
        x: input(2)
        s: signal(2)
        y: signal(2)
        s[t+1] = np.tanh(x[t])
        y[t] = s[t+1]
        """, T=4, batch=(3,), options={"lengths": [4, 2, 1]})),
    "a backward lead, its first steps masked": Kept(parsed("""
        x: input(2)
        s: signal(2)
        y: signal(2)
        s[t-1] = np.tanh(x[t])
        y[t] = s[t-2] + x[t]
        """, T=4, options={"mask": [False, True, True, True]})),
    "own output as next input, under lengths": Kept(parsed("""
        V: parameter(2, 3)
        U: parameter(3, 2)
        x: signal(2)
        h: signal(3)
        L: signal(())
        h[t] = np.tanh(U @ x[t] + 0.5 * h[t-1])
        x[t+1] = V @ h[t]
        L[t] = h[t] @ h[t]
        h[0] = draw('h0', 3, 3)
        """, T=4, batch=(3,), options={"lengths": [4, 2, 1]}, loss="L")),
    "a backward loop of delay three, with holes": Kept(parsed("""
        U: parameter(2, 2)
        q: parameter(2)
        x: input(2)
        b: signal(2)
        b[t] = np.tanh(U @ b[t+3] + x[t])
        b[T+1] = q
        b[T+2] = 0.5
        b[T+3] = 1
        """, T=5, batch=(3,), options={"mask": [[True, False, True], [True, True, False], [False, True, False],
                                                [True, False, False], [True, True, True]]})),
    "a sequence that is masked throughout": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        h: signal(2)
        L: signal(())
        h[t] = np.tanh(x[t] + 0.5 * h[t-2])
        L[t] = h[t] @ p
        h[-1] = p
        h[0] = 1
        """, T=3, batch=(2,), options={"mask": [[True, False], [True, False], [True, False]]}, loss="L",
        reduction="mean")),
    "a mask of numbers": Kept(parsed("""
        x: input(2)
        h: signal(2)
        h[t] = x[t] + 0.5 * h[t-1]
        """, T=3, batch=(2,), options={"mask": [[1, 1], [1, 0], [0, 1]]})),
    "a length of zero": Kept(parsed("""
        x: input(2)
        h: signal(2)
        h[t] = x[t] + 0.5 * h[t-2]
        """, T=3, batch=(2,), options={"lengths": [3, 0]})),
    "last= with unequal lengths is refused": Kept(parsed("""
        x: input(2)
        h: signal(2)
        h[t] = x[t] + 0.5 * h[t-1]
        """, T=3, batch=(2,), options={"lengths": [3, 2], "last": 2}), (*BOTH, "jax", "torch")),
    "chunks= with holes is refused": Kept(parsed("""
        x: input(2)
        h: signal(2)
        h[t] = x[t] + 0.5 * h[t-1]
        """, T=3, options={"mask": [True, False, True], "chunks": 2}), (*BOTH, "jax", "torch")),
    "infinite derivatives at masked steps": Kept(parsed("""
        w: parameter(2)
        x: input(2)
        p: signal(2)
        L: signal(())
        p[t] = np.square(w * x[t] + 0.1 * p[t-1])
        L[t] = np.log(p[t]).sum(axis=-1) + (w / x[t]).sum(axis=-1) + np.sqrt(np.square(w * x[t])).sum(axis=-1)
        """, T=4, batch=(3,), options={"lengths": [4, 2, 1]}, loss="L")),
    "infinite derivatives in a pause": Kept(parsed("""
        w: parameter(2)
        x: input(2)
        p: signal(2)
        L: signal(())
        p[t] = np.tanh(w * x[t] + p[t+1])
        L[t] = np.log(np.square(p[t])).sum(axis=-1) + (w / x[t]).sum(axis=-1)
        """, T=4, batch=(2,), options={"mask": [[True, False], [False, True], [True, True], [False, True]]}, loss="L")),
    # ---- truncation, states
    "a value after the end belongs to each sequence's own last chunk": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        s: signal(2)
        s[t] = 0.5 * s[t+2] + x[t]
        s[T+1] = p
        s[T+2] = 2 * p
        """, T=5, batch=(3,), options={"lengths": [5, 3, 2], "chunks": 2})),
    "a held value of the loss of another window": Kept(parsed("""
        p: parameter()
        x: input((), learned=True)
        h: signal(())
        h[t] = x[t] * h[t-2]
        h[-1] = p
        h[0] = 0.5
        """, T=3, options={"window": (2, 2), "mask": [True, True, False]})),
    "a value after the end belongs to the last chunk": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        s: signal(2)
        s[t] = 0.5 * s[t+3] + x[t]
        s[T+1] = 1
        s[T+2] = 0.5
        s[T+3] = p
        """, T=4, options={"chunks": 5})),
    "a state leaves the values after the end": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        s: signal(2)
        y: signal(2)
        s[t] = np.tanh(x[t] + 0.5 * s[t+1])
        y[t] = s[t-1] + y[t-1]
        s[T+1] = p
        """, T=3, batch=(3,), carried="detached")),
    "a boundary value that is an output, under last=": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        s: signal(2)
        s[t+2] = np.tanh(x[t])
        s[1] = p
        s[2] = 0.5
        """, T=3, options={"last": 2}), (*BOTH, "jax", "torch")),
    # ---- gradients of compiled programs
    "a vector parameter on the right of a product": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        L: signal(())
        L[t] = x[t] @ p
        """, T=2, batch=(3,), loss="L")),
    "a number beside a signal in the loss": Kept(parsed("""
        q: parameter()
        x: input(())
        L: signal(())
        L[t] = 0.5 * (q - x[t])
        """, T=2, batch=(3,), loss="L")),
    "a number and a dot product in the loss": Kept(parsed("""
        p: parameter()
        q: parameter(2)
        x: input(2)
        L: signal(())
        L[t] = q @ x[t] + p
        """, T=2, batch=(3,), loss="L")),
    "a number times a vector, summed": Kept(parsed("""
        p: parameter(2)
        x: input(())
        L: signal(())
        L[t] = np.sum(p * x[t], axis=-1)
        """, T=2, batch=(3,), loss="L", reduction="mean")),
    "a learned initial value, read beyond both ends": Kept(parsed("""
        p: parameter(2)
        W: parameter(2)
        x: input(2)
        s: signal(2)
        L: signal(())
        s[t] = np.tanh(W * x[t] + 0.5 * s[t-1])
        L[t] = (s[t+1] - s[t-1]) @ (s[t+1] - s[t-1])
        s[0] = p
        """, T=4, batch=(3,), loss="L")),
    "learned values at both ends": Kept(parsed("""
        p: parameter(2)
        q: parameter(2)
        x: input(2)
        s: signal(2)
        L: signal(())
        s[t+1] = np.tanh(x[t] + 0.5 * s[t-1])
        L[t] = s[t+2] @ s[t-1]
        s[0] = p * 2
        s[1] = 0.5
        s[T+2] = q
        """, T=4, batch=(3,), loss="L")),
    "values of two ends, the middle one not learned": Kept(parsed("""
        c: parameter(3)
        q: parameter(3, frozen=True)
        x: input(3)
        g: signal(3)
        L: signal(())
        g[t] = 0.5 * (np.minimum(g[t+3], g[t+1]) + x[t])
        L[t] = c @ g[t-1]
        g[T+1] = c * 2
        g[T+2] = np.array([0.79, 0.91, -0.12])
        g[T+3] = np.tanh(q)
        """, T=2, loss="L", reduction="mean")),
    # ---- compiled programs that crashed
    "no parameters": Kept(parsed("""
        x: input(())
        y: signal(())
        y[t] = 0.5 * y[t-1] + x[t]
        """, T=3, batch=(3,), loss="y")),
    "numbers as states without a batch": Kept(parsed("""
        a: parameter()
        b: parameter()
        x: input(())
        s: signal(())
        s[t] = a * s[t-1] + x[t]
        s[0] = b
        """, T=4, loss="s"), (*BOTH, "jax", "torch")),
    "a number given as the initial state": Kept(parsed("""
        x: input(())
        s: signal(())
        s[t] = 0.5 * s[t-1] + x[t]
        """, T=4, initial={"s": {0: ((), True)}}, loss="s"), BOTH),
    "the state of a run, numbers without a batch": Kept(parsed("""
        q: parameter(3)
        x: input(3)
        h: signal(())
        h[t] = x[t] @ (q * h[t-1])
        h[0] = 1
        """, T=2, carried="connected"), BOTH),
    "a value that is set and that nothing reads": Kept(parsed("""
        p: parameter(2)
        x: input(2)
        s: signal(2)
        L: signal(())
        s[t-1] = np.tanh(p * x[t])
        L[t] = s[t-1] @ s[t-1]
        s[T] = 2 * p
        """, T=3, batch=(3,), loss="L")),
    "a lead of two with learned values, read by nothing": Kept(parsed("""
        q: parameter(2)
        s: signal(2)
        h: signal(())
        s[t+2] = 0.5
        h[t] = 0.5
        s[1] = q
        s[2] = 0.25
        """, T=3, loss="h")),
    "a value read at the next step alone": Kept(parsed("""
        p: parameter(2)
        s: signal(2)
        L: signal(())
        s[t+1] = 0.5 * s[t+2]
        L[t] = s[t].sum(axis=-1)
        s[T+2] = p
        """, T=2, loss="L")),
    "names of internals": Kept(parsed("""
        h: signal(())
        h_all: signal(2)
        s: signal(2)
        s_after: signal(())
        h_all[t] = np.square(h_all[t-2]) + 0.5
        h[t+1] = 0.5
        s[t] = 0.5 * s[t-2]
        s_after[t] = s_after[t-1] + h[t]
        """, T=2, loss="s_after")),
    "a NumPy scalar": Kept(parsed("""
        W: parameter(3, 3)
        x: input(3)
        y: signal(3)
        y[t] = W @ x[t] / np.float64(1.7320508)
        """, T=2, batch=(2,))),
    "a loss of parameters and labels alone": Kept(parsed("""
        b: parameter(3)
        label: input((), dtype="int64", below=3)
        L: signal(())
        L[t] = mg.losses.cross_entropy(b, label[t], reduction='none')
        """, T=2, batch=(2,), loss="L")),
    "labels of the step before": Kept(parsed("""
        U: parameter(3, 3)
        label: input((), dtype="int64", below=3)
        x: input(3)
        L: signal(())
        L[t] = mg.losses.cross_entropy(U @ x[t], label[t-1], reduction='none')
        label[0] = 0
        """, T=3, batch=(2,), loss="L")),
    "a vector as the loss is refused": Kept(parsed("""
        W: parameter(2)
        x: input(2)
        L: signal(2)
        L[t] = W * x[t]
        """, T=2, loss="L"), ("compile",)),
    "a number read ahead beside vectors in a loop": Kept(parsed("""
        u: input(2)
        h: signal(2)
        g: signal(2)
        s: signal(())
        h[t] = g[t+2] + (s[t+4] + u[t])
        g[t] = h[t-1]
        s[t] = 0.5
        """, T=1)),
    "the sum of a product as the loss": Kept(parsed("""
        U: parameter(3, 3)
        x: input(3)
        L: signal(())
        L[t] = mg.sum(U @ x[t], axis=-1)
        """, T=2, batch=(2,), loss="L")),
    "where and a constant, then a sum as the loss": Kept(parsed("""
        U: parameter(3, 3)
        label: input((), dtype="int64", below=3)
        k: signal(3)
        L: signal(())
        L[t] = np.where(label[t], 0.5, U @ k[t+3]).sum(axis=-1)
        k[t+2] = np.ones(3) @ U
        """, T=2, batch=(2,), loss="L")),
    "a learned input that all sequences take": Kept(parsed("""
        x: input(1, learned=True, shared=True)
        u: input(1)
        k: signal(2)
        k[t] = np.concatenate([x[t], u[t]], axis=-1)
        """, T=3, batch=(3,)), (*BOTH, "jax", "torch")),
    # ---- a second call
    "parameters frozen after the first call": Kept(parsed("""
        p: parameter(3)
        b: parameter(3)
        x: input(3)
        L: signal(())
        L[t] = (b * x[t]) @ (p * x[t])
        """, T=2, batch=(2,), loss="L", second="frozen p"), BOTH),
    "an initial value computed from a parameter, after a step": Kept(parsed("""
        b: parameter(2)
        c: parameter(2)
        x: input(2)
        k: signal(2)
        L: signal(())
        k[t] = 0.5 * k[t-3] + x[t]
        L[t] = k[t] @ k[t]
        k[-2] = b * 2
        k[-1] = c
        k[0] = np.tanh(b)
        """, T=2, batch=(3,), loss="L", second="scaled"), BOTH),
    # ---- types
    "int data and float32 parameters": Kept(parsed("""
        W: parameter(4, 3, dtype="float32")
        x: input(3, dtype="int64", below=3)
        h: signal(4)
        h[t] = 0.5 * h[t-1] + W @ x[t]
        """, T=2, batch=(2,))),
    "int8 data": Kept(parsed("""
        x: input(2, dtype="int8", below=3)
        y: signal(2)
        y[t] = np.tanh(x[t])
        """, T=2, batch=(2,))),
    "bools are numbers": Kept(parsed("""
        x: input(2, dtype="bool", below=2)
        y: signal(2)
        z: signal(2)
        y[t] = x[t] + x[t] - 0.5 * x[t]
        z[t] = mg.log_softmax(-x[t])
        """, T=3, batch=(2,))),
    "powers of whole numbers": Kept(parsed("""
        x: input(2, dtype="int64", below=3)
        y: signal(2)
        y[t] = (1 + np.square(x[t])) ** -1
        """, T=3, batch=(2,))),
    "mixed float types": Kept(parsed("""
        W: parameter(3, 2, dtype="float32")
        b: parameter(3)
        x: input(2)
        h: signal(3)
        L: signal(())
        h[t] = np.tanh(W @ x[t] + b * h[t-1])
        L[t] = h[t] @ b
        """, T=3, batch=(2,), loss="L")),
    # ---- undeclared sizes
    "a dot product of an undeclared input beside a number": Kept(parsed("""
        x: input(None, own=(2,))
        h: signal(2)
        L: signal(())
        h[t] = 0.5 * h[t-1] + 1
        L[t] = h[t-1][-1] + x[t] @ h[t-1]
        """, T=3, batch=(3,), loss="L"), (*BOTH, "jax", "torch")),
    "the maximum of an undeclared input beside a vector": Kept(parsed("""
        U: parameter(3, 2)
        x: input(None, own=(2,))
        z: input(3)
        y: signal(None)
        y[t] = x[t].max(axis=-1) + z[t] @ U
        """, T=2, batch=(2, 2)), (*BOTH, "jax", "torch")),
    # ---- random draws
    "dropout in a loop that runs backward": Kept(parsed("""
        p: parameter(3)
        g: generator(5)
        x: input(3)
        s: signal(3)
        s[t] = np.tanh(mg.dropout(p * x[t], 0.5, g) + 0.5 * s[t+1])
        """, T=4, batch=(2,)), (*BOTH, "jax", "torch")),
    "dropout of a parameter": Kept(parsed("""
        U: parameter(3, 3)
        g: generator(5)
        f = mg.dropout(U, 0.5, g)
        x: input(3)
        h: signal(3)
        L: signal(())
        h[t] = np.tanh(f @ h[t-1] + x[t])
        L[t] = h[t] @ h[t]
        """, T=4, batch=(2,), loss="L", second="scaled"), BOTH),
}

OPEN: dict[str, tuple[str, ...]] = {}
