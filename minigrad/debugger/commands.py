"""The words of the debugger: its commands, what they are called for short, and what may follow them."""

from __future__ import annotations

from .breakpoints import KINDS, Refused, names
from .formatting import operation
from .timeline import Timeline

COMMANDS = {
    "step": "s n next", "back": "bk", "continue": "c cont", "reverse-continue": "rc", "until": "unt", "goto": "j jump",
    "break": "b", "clear": "cl", "where": "w bt", "print": "p pp", "jacobian": "", "grads": "", "list": "l ll",
    "graph": "", "quit": "q exit", "help": "h"}
ALIASES = {short: name for name, aliases in COMMANDS.items() for short in aliases.split()}


def split(line: str) -> tuple[str, str]:
    """The command's own name and its argument."""
    text = line.strip()
    if text.startswith("?"):
        text = "help " + text[1:]
    word, _, rest = text.partition(" ")
    return ALIASES.get(word, word), rest.strip()


def known(name: str) -> str:
    """A command's own name, from its name or a short one.

    Raises:
        Refused: where there is none.
    """
    if ALIASES.get(name, name) in COMMANDS:
        return ALIASES.get(name, name)
    near = [command for command in COMMANDS if command.startswith(name[:2])]
    raise Refused(f"no command {name!r}; {' or '.join(near) + ', perhaps? ' if near else ''}'help' lists them")


def completions(timeline: Timeline, line: str, text: str) -> list[str]:
    """What may stand in place of `text` after the words of `line`."""
    command, before = split(line)[0], line.split()[1:]
    found: set[str] = set()
    if command in ("break", "until") and not before:
        found.update(KINDS)
    if (command in ("until", "print", "grads") and not before) or before in (["node"], ["param"]):
        found |= names(timeline)
    if before == ["signal"]:
        found.update(step.signal for step in timeline.steps if step.signal)
    if before == ["op"]:
        found.update(operation(step.node) for step in timeline.steps)
    if command == "help" and not before:
        found.update(COMMANDS)
    return sorted(word for word in found if word.startswith(text))
