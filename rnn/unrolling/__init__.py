"""From a definition and data to an explicit graph. Imports minigrad and rnn.language only.

    elman.unroll(x=data, lengths=[5, 3])      # data (5, 2, 3): T = 5 steps, 2 sequences, vectors of 3

passes through each stage once: `options` (the keywords that are no inputs), `inputs` (checked data, mask,
boundary values and truncation: an `Inputs`), `unroll` with `evaluator` (one Tensor for each signal and
step), `run` (a `Run`: `run["h"][3]` is a Tensor (2, 8), computed from `run["x"][3]` and `run["h"][2]`).
`prepare_inputs` serves compiled programs and exports as well.
"""
