"""A debugger for backward passes, with pdb's commands in both directions.

    python -m minigrad.debugger [-c COMMAND]... [--commands FILE] script.py [ARGUMENT]...

runs a script and stops at its first `backward()`. `minigrad.debugger.set_trace(loss)` runs the backward
pass of `loss` and stops at its start. `help` lists the commands:

    (grad) until h[2]
    the gradient of h[2]
    step 9 of 14  t=2  h[2] tanh (4, 8)  |g| in 3.1e-01  elman.py:12
        + add in h[2]  (4, 8)  adds 2.7e-01  sum 2.7e-01

How a session works: `runner` runs the script and replaces `Tensor.backward`; `session` reads commands
through `terminal` and moves along the `timeline`, the steps of the pass with every `.grad` before and
after each; `commands` holds one `do_*` method for each command. The methods call `breakpoints` (where to
stop), `diagnosis` (NaN and zero gradients), `inspection` (print, list, graph) and `jacobian`, whose
results `formatting` turns into lines of text. `explanation` answers `minigrad.explain` with the same parts.

The package imports the engine (`minigrad.*`) and nothing of `rnn` or `viz`.
"""

from .commands import Debugger, set_trace
from .explanation import explain

__all__ = ["Debugger", "explain", "set_trace"]
