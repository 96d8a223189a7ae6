"""Definitions as functions, modules and files of other libraries. Imports rnn.ir and what that imports.

`frontend` checks the inputs, `interpreter` runs the IR on a `backend`. A target is one subclass of
`Backend` (`jax`, `torch`, `onnx`) with the object that users get. For h[t] = np.tanh(W @ x[t] + U @ h[t-1])
the interpreter calls, with x (T, batch, 3):

    a = backend.mat_vec(W, x)                             # all steps at once, outside of the loop
    h, = backend.scan(step, carry=(h0,), rows=(a,), ...)  # step((h,), (a_t,)) -> ((new,), (new,))
"""
