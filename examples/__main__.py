"""List the examples by topic, or run one: python -m examples [NAME [options]]."""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Sequence

from examples import index

USAGE = """\
python -m examples NAME            runs one; python -m examples.NAME does the same
python -m examples NAME --small    in seconds: shows that it runs, not its result
python -m examples NAME --help     its options: --seed, --out, ..."""


def listing() -> str:
    """Return the examples by topic: name, time and summary."""
    width = max(len(example.name) for example in index.examples())
    lines = []
    for topic in index.topics():
        if not topic.examples:
            continue
        lines += [topic.title, *(f"  {example.name:{width}}  {example.time:>5}  {example.summary}"
                                 for example in topic.examples), ""]
    return "\n".join([*lines, USAGE])


def unknown(name: str) -> str:
    """Return an error message for a name that no example has."""
    close = difflib.get_close_matches(name, [example.name for example in index.examples()])
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"there is no example {name!r}; {hint}python -m examples lists all"


def main(arguments: Sequence[str]) -> int:
    """List the examples, or run one."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(listing())
        return 0
    name, *options = arguments
    if name not in [example.name for example in index.examples()]:
        print(f"examples: {unknown(name)}", file=sys.stderr)
        return 2
    sys.argv[1:] = options
    runpy.run_module(f"examples.{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
