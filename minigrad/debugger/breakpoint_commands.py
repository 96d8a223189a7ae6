"""The commands that set, change and remove breakpoints; `commands` has the others."""

from __future__ import annotations

from .breakpoints import AtNan, Breakpoint, parse, parse_int
from .diagnosis import first_forward_nan
from .evaluation import CommandError, Expression
from .formatting import table
from .session import Session


class BreakpointCommands(Session):
    """A debugger with the commands for breakpoints."""

    def do_break(self, argument: str) -> None:
        """break [WHERE] [, CONDITION]: set a breakpoint; without WHERE, list the breakpoints.
        CONDITION is a Python expression, as for 'condition'. WHERE is one of:
        node NAME         the gradient of a tensor is complete: h[3], or h at every time step
        signal NAME       the same, for a signal at every time step
        param NAME        a step contributes to the gradient of a parameter
        op NAME           the derivative of an operation, e.g. tanh
        line FILE:N       the operations that a line of the program computed; N alone: a line of the script
        pass [N]          the start of each pass, or of pass N
        t N               the pass enters a time step
        norm > X          the norm of the upstream gradient crosses X; norm < X: downwards
        exploding [K]     that norm exceeds K times the norm at the loss (1000)
        zero              a gradient becomes exactly zero
        inf               an infinity first appears in a gradient
        nan               the first NaN appears, in the forward data or in a gradient
        python CONDITION  a Python expression of node, step, grad, out, x, t, signal, op, norm and np is true
        NAME              the tensor, parameter or operation of this name"""
        if not argument:
            self._say(*table(map(_row, self.breakpoints), most=1000) or ["no breakpoints"])
            return
        self._set(argument)

    def do_tbreak(self, argument: str) -> None:
        """tbreak WHERE [, CONDITION]: set a breakpoint that is removed when it first stops the pass."""
        if not argument:
            raise CommandError("write: tbreak WHERE, as for 'break'")
        self._set(argument, temporary=True)

    def _set(self, argument: str, temporary: bool = False) -> None:
        place = parse(argument)
        place.check(self.timeline)
        place.temporary = temporary
        self.last_number += 1
        place.number = self.last_number
        self.breakpoints.append(place)
        self._say(f"breakpoint {place.number}: {place}")
        if isinstance(place, AtNan) and (message := first_forward_nan(self.timeline)):
            self._say(message)

    def do_condition(self, argument: str) -> None:
        """condition N [CONDITION]: stop at breakpoint N only where a Python expression is true; without it, always.
        The expression sees node, step, grad, out, x, t, signal, op, norm and np: condition 1 t == 3 and norm < 1e-3"""
        number, _, text = argument.partition(" ")
        place = self._find(number)
        place.condition = Expression(text) if text.strip() else None
        self._say(f"breakpoint {place.number}: {place}")

    def do_ignore(self, argument: str) -> None:
        """ignore N [COUNT]: don't stop at the next COUNT hits of breakpoint N; without COUNT, stop at each."""
        number, _, count = argument.partition(" ")
        place = self._find(number)
        place.ignored = max(parse_int(count or "0", "a number of hits"), 0)
        self._say(f"breakpoint {place.number}: {place}{_remarks(place)}")

    def do_enable(self, argument: str) -> None:
        """enable [N]...: let these breakpoints stop the pass again; without numbers, all."""
        self._enable(argument, True)

    def do_disable(self, argument: str) -> None:
        """disable [N]...: keep these breakpoints, but don't stop at them; without numbers, at none."""
        self._enable(argument, False)

    def _enable(self, argument: str, enabled: bool) -> None:
        for place in [self._find(word) for word in argument.split()] or self.breakpoints:
            place.enabled = enabled
            self._say(f"breakpoint {place.number}: {place}{_remarks(place)}")

    def do_commands(self, argument: str) -> None:
        """commands [N]: read commands up to a line 'end'; they run when breakpoint N, by default the last, stops."""
        place = self._find(argument or str(self.last_number))
        lines: list[str] = []
        while (line := self.terminal.ask("(com) ")) not in (None, "end"):
            lines.append(line or "")
        place.commands = lines

    def do_clear(self, argument: str) -> None:
        """clear [N]...: remove these breakpoints; without numbers, all of them."""
        removed = [self._find(word) for word in argument.split()] or list(self.breakpoints)
        self.breakpoints[:] = [place for place in self.breakpoints if place not in removed]
        self._say(f"{len(self.breakpoints)} breakpoints left")

    def _find(self, word: str) -> Breakpoint:
        """Return the breakpoint with a number; raise CommandError if there is none."""
        number = parse_int(word, "the number of a breakpoint")
        for place in self.breakpoints:
            if place.number == number:
                return place
        raise CommandError(f"there is no breakpoint {number}")


def _row(place: Breakpoint) -> list[str]:
    return [str(place.number), str(place), f"hits: {place.hits}{_remarks(place)}"]


def _remarks(place: Breakpoint) -> str:
    """Return what restricts a breakpoint, ", disabled, ignored 2 times more"."""
    words = ["" if place.enabled else "disabled", "temporary" if place.temporary else "",
             f"the next {place.ignored} hits are ignored" if place.ignored else "",
             f"{len(place.commands)} commands" if place.commands else ""]
    return "".join(f", {word}" for word in words if word)
