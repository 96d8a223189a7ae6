"""The intermediate representation of a definition, and the passes over it; shared by the compiler and the exports.

Imports minigrad, rnn.language and rnn.unrolling. In: `h[t] = tanh(U @ h[t-1] + W @ x[t])`. Out: nodes such as
`h[t] = Tanh(h_sum[t])`, in the order in which they are computed. README.md shows an example after each pass.
"""
