"""Writes a wrong solution to a file, to see what the checker says of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..check import NAMES
from ..make import source
from . import Mutant


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    if not arguments or arguments[0] not in NAMES:
        print(f"usage: python -m examples.assignments.mutants {{{'|'.join(NAMES)}}} [MUTANT [FOLDER]]", file=sys.stderr)
        return 2
    table: dict[str, Mutant] = {one.name: one for one in importlib.import_module(
        f"{__package__}.{arguments[0]}").MUTANTS}
    if len(arguments) == 1:
        print("\n".join(table))
        return 0
    if arguments[1] not in table:
        print(f"there is no mutant {arguments[1]!r}; without a name, this command lists all", file=sys.stderr)
        return 2
    path = Path(arguments[2] if len(arguments) > 2 else ".") / f"{arguments[0]}_{arguments[1]}.py"
    path.write_text(table[arguments[1]].of(source(arguments[0])), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
