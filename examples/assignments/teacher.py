"""The teacher's options of `check`: graders' formats, hidden checks, isolation. Not part of a kit."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from . import reports
from .grading import Settings, Unreadable
from .isolation import choose
from .sandbox import Refused, Unisolated


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the teacher's options to the parser."""
    parser.add_argument("--json", choices=sorted(reports.FORMATS), help="print what a grader reads, and nothing else")
    parser.add_argument("--hidden", action="store_true", help="run the hidden checks too, and say what they find")
    parser.add_argument("--withheld", action="store_true", help="run the hidden checks, but keep what they find")
    parser.add_argument("--seed", type=int, help="the numbers of the hidden checks; by default others each time")
    parser.add_argument("--seed-file", type=Path, help="a file that holds the seed: a command line can be read by all")
    parser.add_argument("--isolate", action="store_true",
                        help="isolate the student's process, as --json, --hidden and --withheld always do")
    parser.add_argument("--user", help="as root: whose rights the process gets; by default an id's that nothing has")
    parser.add_argument("--unsafe", action="store_true", help="run the file even where it can't be isolated")


def settings(given: argparse.Namespace) -> Settings:
    """Return how a file is checked, from the command line.

    Raises:
        Unreadable: where the file can't be isolated, but has to be; where there is no seed in the seed file.
    """
    said: list[str] = []
    others = bool(given.hidden or given.withheld)
    isolation = Unisolated()
    if given.json or others or given.isolate or given.user:
        try:
            isolation = choose(given.user, given.seed_file)
        except Refused as error:
            if not given.unsafe:
                raise Unreadable("not graded: the file would have to run without isolation. For the teacher: "
                                 f"{error}. --unsafe runs it all the same") from None
            said.append(f"{isolation.said} ({error})")
    return Settings(isolation, others, _seed(given, others, said), given.withheld and not given.hidden,
                    given.json or "", tuple(said))


def _seed(given: argparse.Namespace, others: bool, said: list[str]) -> int:
    """Return the seed of the hidden checks; print a new one, so that the numbers can be reproduced."""
    if given.seed is not None:
        return int(given.seed)
    if given.seed_file is not None:
        try:
            return int(given.seed_file.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise Unreadable(f"there is no seed in {given.seed_file}: {error}") from None
    seed = secrets.randbelow(1 << 31)
    if others:
        said.append(f"the hidden checks' numbers: --seed {seed}")
    return seed
