"""A debugger for backward passes, with pdb's commands in both directions.

    python -m minigrad.debugger [-c COMMAND]... [--commands FILE] script.py [ARGUMENT]...

runs a script and stops at its first `backward()`. `minigrad.debugger.set_trace(loss)` runs the backward
pass of `loss` and stops at its start. `help` lists the commands:

    (grad) until h[4]
    the gradient of h[4]
    step 14 of 33  t=4  h[4] tanh (4, 5)  |g| in 3.7e-03  vanishing.py:27
        + W @ x[4] + U @ h[3] + b  (4, 5)  adds 5.1e-06  sum 5.1e-06

How it works: `passes` replaces `Tensor.backward` and makes a `walk` of each pass that may stop: moves along the
`timeline`, which restores every `.grad`. Moves stop at `breakpoints`, which use `diagnosis` (NaN, zero and infinite
gradients) and conditions that `evaluation` computes, and return `records`, plain data. Nothing
of that prints. Front ends are the terminal here, the debug adapter in `adapter`, and viz's page.

The terminal: `runner` runs the script; `session` reads commands through `terminal` and shows stops;
`commands` and `breakpoint_commands` hold one `do_*` method for each command, which call `inspection` (print, list,
graph), `derivative` (the lines that ran) and `jacobian`; `formatting` turns records into lines of text.
`explanation` implements `minigrad.explain` with the same modules.

The package imports the engine (`minigrad.*`) but neither `rnn` nor `viz`.
"""

from minigrad.interactive.completion import public_names

from .commands import Debugger, set_trace
from .explanation import explain

__all__ = ["Debugger", "explain", "set_trace"]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
