"""A debugger for backward passes, with pdb's commands in both directions.

    python -m minigrad.debugger [-c COMMAND]... [--commands FILE] script.py [ARGUMENT]...

runs a script and stops at its first `backward()`. `minigrad.debugger.set_trace(loss)` runs the backward
pass of `loss` and stops at its start. `help` lists the commands:

    (grad) until h[4]
    the gradient of h[4]
    step 14 of 33  t=4  h[4] tanh (4, 5)  |g| in 3.7e-03  vanishing.py:24
        + add in h[4]  (4, 5)  adds 5.1e-06  sum 5.1e-06

How a session works: `runner` runs the script and replaces `Tensor.backward`; `session` reads commands
through `terminal` and moves along the `timeline`, the steps of the pass with every `.grad` before and
after each; `commands` holds one `do_*` method for each command. The methods call `breakpoints` (where to
stop), `diagnosis` (NaN and zero gradients), `inspection` (print, list, graph) and `jacobian`, whose
results `formatting` turns into lines of text. `explanation` implements `minigrad.explain` with the same modules.

The package imports the engine (`minigrad.*`) but neither `rnn` nor `viz`.
"""

from minigrad.interactive.completion import public_names

from .commands import Debugger, set_trace
from .explanation import explain

__all__ = ["Debugger", "explain", "set_trace"]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
