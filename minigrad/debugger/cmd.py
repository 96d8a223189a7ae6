"""A pdb for backward passes: stop at a step, go on and back, look at what was multiplied.

    python -m minigrad.debugger [-c COMMAND]... [--commands FILE] script.py [ARGUMENT]...

runs a script and stops at its first `backward()`; `minigrad.debugger.set_trace(loss)` does the
backward pass of `loss` and stops in it. `help` lists the commands. A step that one stops at has
just run: its incoming gradient is complete, and what it adds to its inputs is there to see.
"""

from __future__ import annotations

import bdb
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, TextIO

from numpy.typing import ArrayLike

from minigrad.backward import backward as plain
from minigrad.tensor import Tensor

from . import formatting as stops
from . import inspection as looking
from .breakpoints import KINDS, AtNan, AtNode, AtParameter, Breakpoint, Refused, forward_nan, parsed, whole
from .breakpoints import split as split_kind
from .commands import COMMANDS, completions, known, split
from .session import Session
from .terminal import Patience
from .timeline import Timeline


class Debugger(Session):
    """The commands."""

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """The command's own name, its argument, the line."""
        name, rest = split(line)
        if not name:
            return None, None, ""
        return (name.replace("-", "_") if name in COMMANDS else name), rest, line.strip()

    def default(self, line: str) -> None:
        """A word that is no command."""
        if not line.startswith("#"):
            known(line.split()[0])

    # ---- going
    def do_step(self, argument: str) -> None:
        """step [N]: run the next step, or the next N of them; a breakpoint stops on the way."""
        self._refuse_the_end()
        self._travel(+1, [], whole(argument or "1", "a number of steps"))

    def do_back(self, argument: str) -> None:
        """back [N]: undo the last step, or the last N; every .grad is what it was."""
        self._refuse_the_start()
        self._travel(-1, [], whole(argument or "1", "a number of steps"))

    def do_continue(self, argument: str) -> bool:
        """continue: run on to the next breakpoint; where none is met, to the end, and the program goes on."""
        if self.timeline.stuck:
            return True
        if not self.timeline.ended and self._reached(+1, self.breakpoints):
            return False
        if not self.timeline.ended:
            self._show()
            return False
        return True

    def do_reverse_continue(self, argument: str) -> None:
        """reverse-continue: go back to the breakpoint before; where none is met, to the start."""
        self._refuse_the_start()
        self._travel(-1, [])

    def do_until(self, argument: str) -> None:
        """until [WHERE]: run on until WHERE, or to the end.
        WHERE is a tensor (h[3], or h at its next time step), 'param U' for the next step that contributes to U, or
        whatever 'break' takes. Enter goes on to the next."""
        self._refuse_the_end()
        if not argument:
            self._travel(+1, [])
            return
        wanted = parsed(argument) if split_kind(argument)[0] in KINDS else self._tensor_breakpoint(argument)
        wanted.check(self.timeline)
        self._travel(+1, [wanted])

    def _tensor_breakpoint(self, name: str) -> Breakpoint:
        found = self.timeline.named(name)
        if found and all(x.op is None for x in found):
            return AtParameter(name)
        if found and all(self.timeline.numbers[x] <= self.timeline.at for x in found if x.op is not None):
            raise Refused(f"{name} was passed at step {self.timeline.numbers[found[-1]]}; 'goto' goes back there")
        return AtNode(name)

    def do_goto(self, argument: str) -> None:
        """goto N: go to the moment after step N, on or back; 0 is the start. No breakpoint stops it."""
        number = whole(argument, "the number of a step")
        if not 0 <= number <= len(self.timeline.steps):
            raise Refused(f"there is no step {number}: they are 1 to {len(self.timeline.steps)}, and 0 is the start")
        with Patience() as ctrl_c:
            while self.timeline.at != number and not ctrl_c.pressed:
                if not (self.timeline.forward() if self.timeline.at < number else self.timeline.back()):
                    break
        self._show()

    def _refuse_the_end(self) -> None:
        if self.timeline.ended:
            raise Refused("this is the end of the backward pass: 'continue' lets the program go on, 'back' goes back")
        if self.timeline.stuck:
            raise Refused("the next step can't run (see above): 'continue' lets the program have its error")

    def _refuse_the_start(self) -> None:
        if not self.timeline.at:
            raise Refused("this is the start of the backward pass")

    # ---- breakpoints
    def do_break(self, argument: str) -> None:
        """break [KIND]: stop where something happens; without KIND, list the breakpoints.
        KIND is one of:
        node NAME         the gradient of a tensor is complete: h[3], or h at every time step
        signal NAME       the same, of a signal at every time step
        param NAME        something is added to the gradient of a parameter
        op NAME           the derivative of an operation, e.g. tanh
        t N               the pass enters a time step
        norm > X          the incoming gradient is longer than X; norm < X: shorter
        zero              a gradient becomes exactly zero
        nan               a NaN is born, in the forward data or in a gradient
        python CONDITION  a Python expression of node, step, grad, t, signal, op, norm and np is true"""
        if not argument:
            self._say(*stops.table([str(place.number), str(place), f"hits: {place.hits}"]
                                   for place in self.breakpoints) or ["no breakpoints"])
            return
        place = parsed(argument)
        place.check(self.timeline)
        self.numbered += 1
        place.number = self.numbered
        self.breakpoints.append(place)
        self._say(f"breakpoint {place.number}: {place}")
        if isinstance(place, AtNan) and (born := forward_nan(self.timeline)):
            self._say(born)

    def do_clear(self, argument: str) -> None:
        """clear [N]...: take these breakpoints away; without numbers, all of them."""
        gone = {whole(word, "the number of a breakpoint") for word in argument.split()}
        missing = gone - {place.number for place in self.breakpoints}
        if missing:
            raise Refused(f"there is no breakpoint {min(missing)}")
        self.breakpoints = [place for place in self.breakpoints if gone and place.number not in gone]
        self._say(f"{len(self.breakpoints)} breakpoints left")

    # ---- looking
    def do_where(self, argument: str) -> None:
        """where: the way that most of this gradient came, from the loss down to here."""
        self._say(*stops.path(self.timeline))

    def do_print(self, argument: str) -> None:
        """print [WHAT]: the numbers of this step, or of a tensor.
        WHAT is grad (what came in), out, inputs, shares (what it adds), totals, or a tensor: h[3] or U (data, and
        gradient so far), U.data, U.grad."""
        self._say(*looking.printed(self.timeline, argument))

    def do_jacobian(self, argument: str) -> None:
        """jacobian: the derivative of this operation for each input, and what it does to a gradient.
        Its singular values say by how much a gradient can shrink or grow on its way through it. Where the rows of a
        batch don't mix, one of them is shown: that with the largest gradient."""
        self._say(*looking.jacobian(self.timeline))

    def do_grads(self, argument: str) -> None:
        """grads [PATTERN]: the gradients at this moment of all named tensors, or of those such as h* or h[3]."""
        found = [x for x in self.timeline.tensors
                 if x.label and (not argument or x.label == argument or fnmatchcase(x.label, argument))]
        if not found:
            raise Refused(f"no named tensor matches {argument!r}" if argument else "no tensor has a name")
        self._say(*stops.gradients(self.timeline, found))

    def do_list(self, argument: str) -> None:
        """list: the line that made this tensor, and the source of its operation's derivative."""
        self._say(*looking.source(self.timeline))

    def do_graph(self, argument: str) -> None:
        """graph [FILE]: draw the gradients of this moment into FILE (.png, .svg, .pdf; by default graph.png)."""
        self._say(looking.picture(self.timeline, argument or "graph.png"))

    # ---- the rest
    def do_quit(self, argument: str) -> None:
        """quit: end the program; every .grad is what it was before the pass."""
        raise bdb.BdbQuit

    def do_help(self, arg: str) -> None:
        """help [COMMAND]: what a command does; without one, all of them."""
        if arg:
            name = known(arg)
            self._say(*_doc(name), *([f"short: {COMMANDS[name]}"] if COMMANDS[name] else []))
            return
        self._say(*stops.table([name, _doc(name)[0].partition(": ")[2]] for name in COMMANDS),
                  "Enter repeats the last command. 'help COMMAND' says more.")

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Commands that begin so."""
        return [name for name in COMMANDS if name.startswith(text)]

    def completedefault(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        """Words that a command may take."""
        return completions(self.timeline, line[:begidx], text)

    def complete_help(self, *args: Any) -> list[str]:
        """As after any command."""
        return self.completedefault(*args)

def _doc(name: str) -> list[str]:
    text = getattr(Debugger, "do_" + name.replace("-", "_")).__doc__ or ""
    return [line.strip() for line in text.splitlines()]


running: Debugger | None = None  # the one that a program runs under


def set_trace(loss: Tensor, grad: ArrayLike | None = None, commands: Iterable[str] = (),
              stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
    """Do `loss.backward(grad)` under the debugger, which stops at the start.

    Args:
        loss: where the backward pass starts.
        grad: as for backward().
        commands: to be done before any are read.
        stdin: where commands are read, by default the terminal.
        stdout: where answers go, by default the terminal.

    Raises:
        BdbQuit: where the user quits, as pdb does.
    """
    debugger = running or Debugger(commands, stdin, stdout)
    debugger.passes += 1
    if loss.op is None or debugger.busy:
        plain(loss, grad)
    else:
        debugger.session(Timeline(loss, grad))
