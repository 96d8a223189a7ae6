"""Wrong solutions: edits of the right ones, and what the checker must say of each.

    python -m examples.assignments.mutants a3 no_transpose [FOLDER]     writes that file; without a name, lists all
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: what it is called.
        edits: (find, replace) of the source; each must be found, and is replaced everywhere.
        check: the first check that must fail, by the beginning of its name.
        said: words that the sentence of cause must hold.
    """

    name: str
    edits: tuple[tuple[str, str], ...]
    check: str
    said: tuple[str, ...]

    def of(self, source: str) -> str:
        """Return the wrong solution.

        Raises:
            ValueError: where an edit finds nothing.
        """
        for find, put in self.edits:
            if find not in source:
                raise ValueError(f"{self.name}: there is no {find!r} in the source")
            source = source.replace(find, put)
        return source


def mutant(name: str, *edits: tuple[str, str], check: str, said: tuple[str, ...] | str) -> Mutant:
    """Return a mutant, from the arguments in a row of a table."""
    return Mutant(name, edits, check, (said,) if isinstance(said, str) else said)
