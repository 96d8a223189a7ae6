"""rnn.language: definitions of recurrences, without data and without a length.

equations.py (signals, equations) with expressions.py (their values, t and T), formula.py (their text), complex.py
(pairs of real signals) and numpy_functions.py (NumPy's functions that Tensors have no derivative of);
dependencies.py (edges and delays); cycles.py (loops, computability, order); graphs.py (the algorithms).
It imports minigrad alone, and nothing else of rnn.

In: `h[t] = np.tanh(U @ h[t-1] + x[t])`, written into a Definition with the signals x and h. Out:

    edges(definition)    [Edge("h", "h", delay=1), Edge("x", "h", delay=0)]
    loops(definition)    [Loop(("h",), (script.py:5,), delay=1, affine=False)]
    order(definition)    [Stage(("x",), direction=0), Stage(("h",), direction=1)]
"""
