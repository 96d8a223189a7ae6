"""The commands of the debugger: one `do_*` method each; its docstring is what `help` prints.

Those that set and change breakpoints are in `breakpoint_commands`.
"""

from __future__ import annotations

import bdb
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, TextIO

from numpy.typing import ArrayLike

from minigrad.errors import require_tensors
from minigrad.formats.describe import operation_name
from minigrad.tensor import Tensor

from . import inspection, jacobian
from .breakpoint_commands import BreakpointCommands
from .breakpoints import KINDS, AtNode, AtParameter, known_names, parse, parse_int, split_kind
from .evaluation import CommandError
from .formatting import chain_table, gradient_table, table, value_lines
from .passes import Passes

COMMANDS = {  # name: abbreviations
    "step": "s n next", "back": "bk", "continue": "c cont", "reverse-continue": "rc", "until": "unt", "return": "r",
    "goto": "j jump", "break": "b", "tbreak": "", "condition": "", "ignore": "", "enable": "", "disable": "",
    "commands": "", "clear": "cl", "where": "w bt", "up": "u", "down": "d", "print": "p pp", "execute": "!",
    "display": "", "undisplay": "", "args": "a", "jacobian": "", "grads": "", "list": "l ll", "graph": "",
    "quit": "q exit", "help": "h ?"}
ALIASES = {short: name for name, aliases in COMMANDS.items() for short in aliases.split()}


def split_command(line: str) -> tuple[str, str]:
    """Split a line into the full name of its command and the argument."""
    text = line.strip()
    if text.startswith(("?", "!")):
        text = f"{text[0]} {text[1:]}"
    word, _, rest = text.partition(" ")
    return ALIASES.get(word, word), rest.strip()


def find_command(name: str) -> str:
    """Return the full name of a command from its name or abbreviation; raise CommandError if there is none."""
    if ALIASES.get(name, name) in COMMANDS:
        return ALIASES.get(name, name)
    near = [command for command in COMMANDS if command.startswith(name[:2])]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise CommandError(f"no command {name!r}; {hint}'help' lists the commands, and 'print' evaluates an expression")


class Debugger(BreakpointCommands):
    """A debugger of backward passes in a terminal."""

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
        self.show(self._run(self.walk.forward, _steps(argument)))

    def do_back(self, argument: str) -> None:
        """back [N]: undo the last step, or the last N steps; every .grad is restored. Breakpoints stop it."""
        self._require_previous_step()
        self.show(self._run(self.walk.back, _steps(argument)))

    def do_continue(self, argument: str) -> bool:
        """continue: run to the next breakpoint; without one, to the end of the pass. The program then continues."""
        return self.run_to_breakpoint()

    def do_reverse_continue(self, argument: str) -> None:
        """reverse-continue: go back to the previous breakpoint; if there is none, to the start."""
        self._require_previous_step()
        self.show(self._run(self.walk.back))

    def do_until(self, argument: str) -> None:
        """until [WHERE]: run until WHERE, or to the end.
        WHERE is a tensor (h[3], or h at its next time step), 'param U' for the next step that contributes to U, or
        any breakpoint that 'break' takes. Enter continues to the next one."""
        self._require_next_step()
        places = []
        if argument:
            known = split_kind(argument)[0] in KINDS
            places = [parse(argument) if known else self._tensor_breakpoint(argument)]
            places[0].check(self.timeline)
        stop = self._run(self.walk.forward, until=places)
        if places and not stop.hits and self.timeline.finished:
            self._say(f"no more {places[0]} in this pass")
        self.show(stop)

    def _tensor_breakpoint(self, name: str) -> AtNode | AtParameter:
        """Return the breakpoint for a tensor: at its own step, or for a leaf at its next contribution."""
        found = self.timeline.find(name)
        numbers = [self.timeline.numbers[x] for x in found if x.op is not None]
        if found and not numbers:
            return AtParameter(name)
        if numbers and max(numbers) <= self.timeline.position:
            raise CommandError(f"{name} was passed at step {numbers[-1]}; 'goto' goes back there")
        return AtNode(name)

    def do_return(self, argument: str) -> None:
        """return: run to the last step of this time step; there, to that of the next one. Breakpoints stop it."""
        self._require_next_step()
        self.show(self._run(self.walk.to_end_of_time))

    def do_goto(self, argument: str) -> None:
        """goto N: go to the position after step N, in either direction; 0 is the start. Breakpoints are ignored."""
        if not argument:
            raise CommandError(f"write: goto N, with the number of a step, 0 to {len(self.timeline.steps)}")
        number = parse_int(argument, "the number of a step")
        if not 0 <= number <= len(self.timeline.steps):
            raise CommandError(f"there is no step {number}: steps are 1 to {len(self.timeline.steps)}, 0 is the start")
        self.show(self._run(self.walk.goto, number))

    def _require_next_step(self) -> None:
        if self.timeline.finished:
            raise CommandError("this is the end of the backward pass: 'continue' continues the program, 'back' "
                               "goes back")
        if self.timeline.failed:
            raise CommandError("the next step can't run (see above): 'continue' raises its error in the program")

    def _require_previous_step(self) -> None:
        if not self.timeline.position:
            raise CommandError("this is the start of the backward pass")

    # ---- inspection
    def do_where(self, argument: str) -> None:
        """where: show the chain of largest contributions from the loss to the current tensor."""
        self._say(*chain_table(self.walk.chain(), self.level))

    def do_up(self, argument: str) -> None:
        """up [N]: select the step from which the largest contribution came, towards the loss; N times."""
        self._select(self.level + _steps(argument))

    def do_down(self, argument: str) -> None:
        """down [N]: select the next step towards the current one on that chain; N times."""
        self._select(self.level - _steps(argument))

    def _select(self, level: int) -> None:
        chain = self.walk.chain()
        if not chain:
            raise CommandError("no step has run yet: 'step' runs the first")
        if not 0 <= level < len(chain):
            raise CommandError("this is the loss, where the pass starts" if level > 0 else "this is the current step")
        self.level = level
        self._say(*chain_table([chain[level]], 0))

    def do_print(self, argument: str) -> None:
        """print [WHAT]: print the numbers of this step, of a tensor, or the value of an expression.
        WHAT is grad (the upstream gradient), out, inputs, contributions (to the inputs' gradients), totals; a
        tensor: h[3] or U (data, and gradient so far), U.data, U.grad; or a Python expression of grad, out, x and the
        other operands, inputs, contributions, totals, t, signal, op, norm, step, np, of tensors (U, h[3]), and of
        the program's variables: np.abs(grad).max()."""
        if (lines := inspection.numbers(self.walk, argument, self.selected)) is None:
            lines = self._value_lines(argument)
        self._say(*lines)

    def do_execute(self, argument: str) -> None:
        """execute STATEMENT: run a Python statement; !g = grad * 2 keeps g for later expressions. Short: !STATEMENT"""
        if not argument:
            raise CommandError("write a Python statement: !g = np.abs(grad)")
        value = self.walk.evaluator.execute(argument, self._selected_step())
        if value is not None:
            self._say(*value_lines(argument, value))

    def do_display(self, argument: str) -> None:
        """display [EXPRESSION]: show the value of an expression at each stop; without one, list them."""
        if not argument:
            self._say(*[f"{number}: {text}" for number, text in self.displays.items()] or ["nothing is displayed"])
            return
        number = max(self.displays, default=0) + 1
        self._say(*value_lines(f"{number}: {argument}", self._evaluate(argument)))
        self.displays[number] = argument

    def do_undisplay(self, argument: str) -> None:
        """undisplay [N]: remove the expression with this number from those that are displayed; without N, all."""
        if not argument:
            self.displays.clear()
        elif self.displays.pop(parse_int(argument, "the number of a display"), None) is None:
            raise CommandError(f"there is no display {argument}")

    def do_args(self, argument: str) -> None:
        """args: print the arguments of this operation's derivative: grad, out and the operands."""
        self._say(*inspection.arguments(self.selected()))

    def do_jacobian(self, argument: str) -> None:
        """jacobian: show the local Jacobian of this operation for each input.
        Its singular values bound by how much a gradient shrinks or grows in this operation. If the operation treats
        the rows of a batch separately, one row is shown: that with the largest gradient."""
        self._say(*jacobian.report(self.selected().step))

    def do_grads(self, argument: str) -> None:
        """grads [PATTERN]: show the current gradients of all named tensors, or of those like h* or h[3]."""
        found = [x for x in self.timeline.tensors
                 if x.label and (not argument or x.label == argument or fnmatchcase(x.label, argument))]
        if not found:
            raise CommandError(f"no named tensor matches {argument!r}" if argument else "no tensor has a name")
        self._say(*gradient_table(map(self.walk.gradient, found)))

    def do_list(self, argument: str) -> None:
        """list: show the line that created this tensor and the derivative's source; -> marks the lines that ran."""
        self._say(*inspection.source(self.selected()))

    def do_graph(self, argument: str) -> None:
        """graph [FILE]: draw the graph with the current gradients to FILE (.png, .svg, .pdf; default graph.png)."""
        self._say(inspection.draw(self.timeline, argument or "graph.png"))

    def _selected_step(self) -> Any:
        return self.selected().step if self.timeline.current else None

    def _evaluate(self, text: str) -> Any:
        return self.walk.evaluator.evaluate(text, self._selected_step())

    def _value_lines(self, text: str) -> list[str]:
        note = self.walk.evaluator.note(text, self._selected_step())
        return [*value_lines(text, self._evaluate(text)), *([f"    {note}"] if note else [])]

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
        first = {name: re.split(r"[.;](?:\s|$)", _help_lines(name)[0].partition(": ")[2])[0] for name in COMMANDS}
        self._say(*table(([name, COMMANDS[name], first[name]] for name in COMMANDS), most=len(COMMANDS)),
                  "Enter repeats the last command. 'help COMMAND' says more.")

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Return the commands that begin with `text`."""
        return [name for name in COMMANDS if name.startswith(text)]

    def completedefault(self, text: str, line: str, begidx: int, endidx: int) -> list[str]:
        """Return the words that begin with `text` and may follow `line[:begidx]`."""
        command, words = split_command(line[:begidx])[0], line[:begidx].split()[1:]
        steps = self.timeline.steps
        found: set[str] = set()
        if command in ("break", "tbreak", "until") and not words:
            found.update(KINDS)
        if (command in ("until", "print", "display", "grads") and not words) or words in (["node"], ["param"]):
            found |= known_names(self.timeline)
        if words == ["signal"]:
            found.update(step.signal for step in steps if step.signal)
        if words == ["op"]:
            found.update(operation_name(step.node) for step in steps)
        if command == "help" and not words:
            found.update(COMMANDS)
        return sorted(word for word in found if word.startswith(text))

    complete_help = completedefault


def _steps(argument: str) -> int:
    """Return a number of steps from 1; 1 for an empty argument."""
    number = parse_int(argument or "1", "a number of steps")
    if number < 1:
        raise CommandError("a number of steps is 1 or more")
    return number


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
    require_tensors("set_trace", {"loss": loss})
    (Passes.installed or Debugger(commands, stdin, stdout)).backward(loss, grad, stop=True)
