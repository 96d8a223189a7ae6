"""A pdb for backward passes: stop at a step, go on and back, look at what was multiplied.

    python -m minigrad.debugger [-c COMMAND]... [--commands FILE] script.py [ARGUMENT]...

runs a script and stops at its first `backward()`; `minigrad.debugger.set_trace(loss)` does the
backward pass of `loss` and stops in it. `help` lists the commands. A step that one stops at has
just run: its incoming gradient is complete, and what it adds to its inputs is there to see.
"""

from .cmd import Debugger, set_trace
from .explanation import explain

__all__ = ["Debugger", "explain", "set_trace"]
