"""The commands of the debugger: one `do_*` method each; its docstring is what `help` prints."""

from __future__ import annotations

import bdb
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, ClassVar, TextIO

from numpy.typing import ArrayLike

from minigrad.backward import backward
from minigrad.formats.describe import operation_name
from minigrad.tensor import Tensor

from . import inspection, jacobian
from .breakpoints import KINDS, AtNan, AtNode, AtParameter, CommandError, known_names, parse, parse_int, split_kind
from .diagnosis import first_forward_nan
from .formatting import gradient_table, largest_path, table
from .session import Session

COMMANDS = {  # name: abbreviations
    "step": "s n next", "back": "bk", "continue": "c cont", "reverse-continue": "rc", "until": "unt", "goto": "j jump",
    "break": "b", "clear": "cl", "where": "w bt", "print": "p pp", "jacobian": "", "grads": "", "list": "l ll",
    "graph": "", "quit": "q exit", "help": "h"}
ALIASES = {short: name for name, aliases in COMMANDS.items() for short in aliases.split()}


def split_command(line: str) -> tuple[str, str]:
    """Split a line into the full name of its command and the argument."""
    text = line.strip()
    if text.startswith("?"):
        text = "help " + text[1:]
    word, _, rest = text.partition(" ")
    return ALIASES.get(word, word), rest.strip()


def find_command(name: str) -> str:
    """Return the full name of a command from its name or abbreviation; raise CommandError if there is none."""
    if ALIASES.get(name, name) in COMMANDS:
        return ALIASES.get(name, name)
    near = [command for command in COMMANDS if command.startswith(name[:2])]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise CommandError(f"no command {name!r}; {hint}'help' lists the commands")


class Debugger(Session):
    """A debugger of backward passes."""

    installed: ClassVar[Debugger | None] = None  # the debugger that a script runs under; see `install`

    def install(self) -> None:
        """Let `Tensor.backward` and `set_trace` use this debugger, until `uninstall`."""
        def run_backward(out: Tensor, grad: ArrayLike | None = None) -> None:
            self.backward(out, grad)

        Tensor.backward, Debugger.installed = run_backward, self

    def uninstall(self) -> None:
        """Restore the ordinary `Tensor.backward`."""
        Tensor.backward, Debugger.installed = backward, None

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """Return the name of the command as in `do_*`, its argument, and the line."""
        name, rest = split_command(line)
        if not name:
            return None, None, ""
        return (name.replace("-", "_") if name in COMMANDS else name), rest, line.strip()

    def default(self, line: str) -> None:
        """Refuse a word that is not a command; ignore a comment."""
        if not line.startswith("#"):
            find_command(line.split()[0])

    # ---- moving
    def do_step(self, argument: str) -> None:
        """step [N]: run the next step, or the next N steps; breakpoints stop it."""
        self._require_next_step()
        self._move_and_show(+1, parse_int(argument or "1", "a number of steps"))

    def do_back(self, argument: str) -> None:
        """back [N]: undo the last step, or the last N steps; every .grad is restored."""
        self._require_previous_step()
        self._move_and_show(-1, parse_int(argument or "1", "a number of steps"))

    def do_continue(self, argument: str) -> bool:
        """continue: run to the next breakpoint; if there is none, finish the pass and let the program continue."""
        return self.run_to_breakpoint()

    def do_reverse_continue(self, argument: str) -> None:
        """reverse-continue: go back to the previous breakpoint; if there is none, to the start."""
        self._require_previous_step()
        self._move_and_show(-1)

    def do_until(self, argument: str) -> None:
        """until [WHERE]: run until WHERE, or to the end.
        WHERE is a tensor (h[3], or h at its next time step), 'param U' for the next step that contributes to U, or
        any breakpoint that 'break' takes. Enter continues to the next one."""
        self._require_next_step()
        if not argument:
            self._move_and_show(+1)
            return
        place = parse(argument) if split_kind(argument)[0] in KINDS else self._tensor_breakpoint(argument)
        place.check(self.timeline)
        self._move_and_show(+1, until=[place])

    def _tensor_breakpoint(self, name: str) -> AtNode | AtParameter:
        """Return the breakpoint for a tensor: at its own step, or for a leaf at its next contribution."""
        found = self.timeline.find(name)
        numbers = [self.timeline.numbers[x] for x in found if x.op is not None]
        if found and not numbers:
            return AtParameter(name)
        if numbers and max(numbers) <= self.timeline.position:
            raise CommandError(f"{name} was passed at step {numbers[-1]}; 'goto' goes back there")
        return AtNode(name)

    def do_goto(self, argument: str) -> None:
        """goto N: go to the position after step N, in either direction; 0 is the start. Breakpoints are ignored."""
        number = parse_int(argument, "the number of a step")
        if not 0 <= number <= len(self.timeline.steps):
            raise CommandError(f"there is no step {number}: steps are 1 to {len(self.timeline.steps)}, 0 is the start")
        distance = number - self.timeline.position
        if distance:
            self._move(distance, (), abs(distance))
        self._show_position()

    def _require_next_step(self) -> None:
        if self.timeline.finished:
            raise CommandError("this is the end of the backward pass: 'continue' continues the program, 'back' "
                               "goes back")
        if self.timeline.failed:
            raise CommandError("the next step can't run (see above): 'continue' raises its error in the program")

    def _require_previous_step(self) -> None:
        if not self.timeline.position:
            raise CommandError("this is the start of the backward pass")

    # ---- breakpoints
    def do_break(self, argument: str) -> None:
        """break [KIND]: set a breakpoint; without KIND, list the breakpoints.
        KIND is one of:
        node NAME         the gradient of a tensor is complete: h[3], or h at every time step
        signal NAME       the same, for a signal at every time step
        param NAME        a step contributes to the gradient of a parameter
        op NAME           the derivative of an operation, e.g. tanh
        t N               the pass enters a time step
        norm > X          the norm of the upstream gradient is above X; norm < X: below
        zero              a gradient becomes exactly zero
        nan               the first NaN appears, in the forward data or in a gradient
        python CONDITION  a Python expression of node, step, grad, t, signal, op, norm and np is true"""
        if not argument:
            rows = [[str(place.number), str(place), f"hits: {place.hits}"] for place in self.breakpoints]
            self._say(*table(rows) or ["no breakpoints"])
            return
        place = parse(argument)
        place.check(self.timeline)
        self.last_number += 1
        place.number = self.last_number
        self.breakpoints.append(place)
        self._say(f"breakpoint {place.number}: {place}")
        if isinstance(place, AtNan) and (message := first_forward_nan(self.timeline)):
            self._say(message)

    def do_clear(self, argument: str) -> None:
        """clear [N]...: remove these breakpoints; without numbers, all of them."""
        removed = {parse_int(word, "the number of a breakpoint") for word in argument.split()}
        missing = removed - {place.number for place in self.breakpoints}
        if missing:
            raise CommandError(f"there is no breakpoint {min(missing)}")
        self.breakpoints = [place for place in self.breakpoints if removed and place.number not in removed]
        self._say(f"{len(self.breakpoints)} breakpoints left")

    # ---- inspection
    def do_where(self, argument: str) -> None:
        """where: show the chain of largest contributions from the loss to the current tensor."""
        self._say(*largest_path(self.timeline))

    def do_print(self, argument: str) -> None:
        """print [WHAT]: print the numbers of this step, or of a tensor.
        WHAT is grad (the upstream gradient), out, inputs, contributions (to the inputs' gradients), totals, or a
        tensor: h[3] or U (data, and gradient so far), U.data, U.grad."""
        self._say(*inspection.numbers(self.timeline, argument))

    def do_jacobian(self, argument: str) -> None:
        """jacobian: show the local Jacobian of this operation for each input, with its singular values.
        The singular values bound by how much a gradient shrinks or grows in this operation. If the operation treats
        the rows of a batch separately, one row is shown: that with the largest gradient."""
        self._say(*jacobian.report(inspection.current_step(self.timeline)))

    def do_grads(self, argument: str) -> None:
        """grads [PATTERN]: show the current gradients of all named tensors, or of those that match h* or h[3]."""
        found = [x for x in self.timeline.tensors
                 if x.label and (not argument or x.label == argument or fnmatchcase(x.label, argument))]
        if not found:
            raise CommandError(f"no named tensor matches {argument!r}" if argument else "no tensor has a name")
        self._say(*gradient_table(self.timeline, found))

    def do_list(self, argument: str) -> None:
        """list: show the line that created this tensor, and the source of its operation's derivative."""
        self._say(*inspection.source(self.timeline))

    def do_graph(self, argument: str) -> None:
        """graph [FILE]: draw the graph with the current gradients to FILE (.png, .svg, .pdf; default graph.png)."""
        self._say(inspection.draw(self.timeline, argument or "graph.png"))

    # ---- ending, help, completion
    def do_quit(self, argument: str) -> None:
        """quit: end the program; every .grad is as it was before the pass."""
        self.terminal.leave()
        raise bdb.BdbQuit

    def do_help(self, arg: str) -> None:
        """help [COMMAND]: describe a command; without one, list all commands."""
        if arg:
            name = find_command(arg)
            self._say(*_help_lines(name), *([f"short: {COMMANDS[name]}"] if COMMANDS[name] else []))
            return
        self._say(*table([name, _help_lines(name)[0].partition(": ")[2]] for name in COMMANDS),
                  "Enter repeats the last command. 'help COMMAND' says more.")

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Return the commands that begin with `text`."""
        return [name for name in COMMANDS if name.startswith(text)]

    def completedefault(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        """Return the words that begin with `text` and may follow `line[:begidx]`."""
        command, words = split_command(line[:begidx])[0], line[:begidx].split()[1:]
        steps = self.timeline.steps
        found: set[str] = set()
        if command in ("break", "until") and not words:
            found.update(KINDS)
        if (command in ("until", "print", "grads") and not words) or words in (["node"], ["param"]):
            found |= known_names(self.timeline)
        if words == ["signal"]:
            found.update(step.signal for step in steps if step.signal)
        if words == ["op"]:
            found.update(operation_name(step.node) for step in steps)
        if command == "help" and not words:
            found.update(COMMANDS)
        return sorted(word for word in found if word.startswith(text))

    complete_help = completedefault


def _help_lines(name: str) -> list[str]:
    text = getattr(Debugger, "do_" + name.replace("-", "_")).__doc__ or ""
    return [line.strip() for line in text.splitlines()]


def set_trace(loss: Tensor, grad: ArrayLike | None = None, commands: Iterable[str] = (),
              stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
    """Run `loss.backward(grad)` under the debugger, which stops at the start of the pass.

    Args:
        loss: the tensor from which the backward pass starts.
        grad: its gradient, as for backward().
        commands: commands to run before any are read.
        stdin: where commands are read from; by default the terminal, or a field below the cell of a notebook.
        stdout: where answers are printed; by default the terminal, or below the cell.

    Raises:
        BdbQuit: if the user quits, as in pdb. In a notebook it ends the cell.
        RuntimeError: in a notebook that takes no input, as nbconvert runs it; every `.grad` is as it was before.
    """
    (Debugger.installed or Debugger(commands, stdin, stdout)).backward(loss, grad, stop=True)
