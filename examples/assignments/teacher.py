"""The teacher's options of `check`: graders' formats, hidden checks, isolation. Not part of a kit."""

from __future__ import annotations

import argparse
import csv
import json
import secrets
from pathlib import Path

from . import reports, variants
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
    parser.add_argument("--variants", type=Path, help="a table with a line `email,variant` for each student")
    parser.add_argument("--metadata", type=Path, help="Gradescope's submission_metadata.json: who has handed in")


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
                    given.json or "", tuple(said), assigned(given.variants, given.metadata))


def table(file: Path) -> dict[str, int]:
    """Return the variant of each student by email.

    With a header, columns of other names are left out; a spreadsheet's semicolons or tabs may stand for the commas.

    Raises:
        Unreadable: where a line isn't of the form `email,variant`; where a student has two variants.
    """
    found: dict[str, int] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        rows = [[cell.strip().lower() for cell in row] for row in
                csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count)) if any(row)]
        header = rows.pop(0) if rows and {"email", "variant"} <= {*rows[0]} else ["email", "variant"]
        for row in rows:
            student = dict(zip(header, row, strict=True))
            number = variants.number(student["variant"])
            if found.setdefault(student["email"], number) != number:
                raise ValueError(f"{student['email']} has two variants")
    except (OSError, ValueError) as error:
        raise Unreadable(f"{file} must have lines `email,variant` with a whole number, or a header that names the two "
                         f"columns: {error}") from None
    return found


def assigned(file: Path | None, metadata: Path | None) -> tuple[int, ...]:
    """Return the variants of the students who have handed in together; none without a table.

    Gradescope names them in submission_metadata.json, under `users` (https://gradescope-autograders.readthedocs.io,
    "Submission Metadata").

    Raises:
        Unreadable: where none of them is in the table.
    """
    if file is None or metadata is None:
        return ()
    try:
        emails = [user["email"].lower() for user in json.loads(metadata.read_text(encoding="utf-8"))["users"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"not graded: {metadata} names no student ({error!r})") from None
    numbers = table(file)
    found = tuple(dict.fromkeys(numbers[email] for email in emails if email in numbers))
    if not found:
        raise Unreadable(f"not graded: {' and '.join(emails)} is not in the teacher's table of variants")
    return found


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
