"""Wrong solutions made mechanically: each place of each solution changed, one at a time.

The changes are those of tests/mutation (operators, constants, comparisons, bounds, arguments, statements), and here
those of formulas: a term, a factor or a transpose dropped, one added.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from examples.assignments.check import SEED, checked, kept, parts
from examples.assignments.grading import hidden
from examples.assignments.make import BEGIN, END, source
from examples.assignments.sandbox import HERE, ROOT
from tests.mutation.mutants import mutants_of


@dataclass(frozen=True)
class Change:
    """One change of a solution. `key`: "line: before -> after", with the number of equal ones before it."""

    key: str
    text: str


def changes(name: str) -> list[Change]:
    """Return all changes of an assignment's solutions that can be compiled and differ."""
    text = source(name)
    regions = solution_lines(text)
    found: dict[str, str] = {}
    for line, before, after, changed in (*_of_campaign(name, text), *_of_formulas(text)):
        if line in regions and changed != text and compiles(changed):
            code = text.splitlines()[line - 1].strip()
            key = f"{code}: {' '.join(before.split())} -> {' '.join(after.split())}"
            while key in found:
                key += " (again)"
            if changed not in found.values():
                found[key] = changed
    return [Change(key, changed) for key, changed in found.items()]


def solution_lines(text: str) -> set[int]:
    """Return the numbers of the lines between the marks of solutions."""
    found: set[int] = set()
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        inside = (inside or bool(BEGIN.fullmatch(line))) and not END.fullmatch(line)
        found |= {number} if inside else set()
    return found


def compiles(text: str) -> bool:
    """Return whether a text is a program."""
    try:
        compile(text, "changed", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _of_campaign(name: str, text: str) -> Iterator[tuple[int, str, str, str]]:
    file = (HERE / f"{name}_source.py").relative_to(ROOT).as_posix()
    for site in mutants_of(ROOT, file):
        for mutant in site:
            yield mutant.line, mutant.before, mutant.after, mutant.apply(text.encode()).decode()


def _of_formulas(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield a formula's changes: an operand alone, without its transpose, with one, a plain assignment left out."""
    lines = text.encode().split(b"\n")
    starts = [sum(len(line) + 1 for line in lines[:k]) for k in range(len(lines))]

    def span(node: ast.expr | ast.stmt) -> slice:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return slice(starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)

    def put(node: ast.expr | ast.stmt, new: str) -> tuple[int, str, str, str]:
        old, place = text.encode(), span(node)
        before = old[place].decode()
        pad = "\n" * before.count("\n") if isinstance(node, ast.expr) else ""
        return node.lineno, before, new, (old[:place.start] + f"({new}{pad})".encode() * isinstance(node, ast.expr)
                                          + new.encode() * isinstance(node, ast.stmt) + old[place.stop:]).decode()

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.BinOp):
            yield from (put(node, ast.unparse(side)) for side in (node.left, node.right))
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            yield put(node, ast.unparse(node.value))
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(
                node.slice.value, str) and node.slice.value[:1] in "WU" and isinstance(node.ctx, ast.Load):
            yield put(node, f"{ast.unparse(node)}.T")
        elif isinstance(node, ast.Name) and node.id in ("W", "U") and isinstance(node.ctx, ast.Load):
            yield put(node, f"{node.id}.T")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield put(node, "pass")
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
            yield put(node, f"{ast.unparse(node.elts[1])}, {ast.unparse(node.elts[0])}")


def survivors(name: str, seed: int, seconds: float = 1.0, batch: int = 40) -> list[str]:
    """Return the keys of the changes that earn full points, the hidden checks' included."""
    left = {change.key: change.text for change in changes(name)}
    hidden_parts = [replace(part, checks=hidden(part.checks)) for part in parts(name, seed, True)]
    for part in [*parts(name), *kept(name, SEED), *hidden_parts]:
        part = replace(part, jobs=[replace(job, seconds=seconds) for job in part.jobs])
        keys = list(left)
        for first in range(0, len(keys), batch):
            files = {key: left[key] for key in keys[first:first + batch]}
            for key, result in checked(part, files, SEED).items():
                if any(outcome.finding is not None for outcome in result.outcomes):
                    del left[key]
    return list(left)
