"""The programs of the playground's menu: each file is a program, which the page shows and runs as it is.

A program may define `T`, the number of time steps, in a line of its own, `T = 5`: the page's slider changes it.
"""

TITLES = {  # by file, in the order of the menu
    "elman": "Elman network",
    "feedback": "Feedback from layer 3 to layer 2",
    "lstm": "LSTM",
    "bidirectional": "Bidirectional network",
    "delays": "Delays of 1, 2 and 3",
    "encoder_decoder": "Encoder and decoder",
    "no_delay": "A loop without a delay",
    "vanishing": "A gradient that vanishes",
    "not_a_number": "A NaN",
    "matrix_state": "A matrix as state",
}
