"""`Cell.compile()`: from the IR of a definition to a NumPy program, which computes all steps and all gradients.

Imports minigrad, rnn.language, rnn.unrolling and rnn.ir. In: scheduled nodes. Out: the text of two functions,
`forward` and `backward`, and `Compiled`, which calls them on data. README.md shows an example after each stage.
"""
