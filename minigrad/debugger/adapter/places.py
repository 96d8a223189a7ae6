"""The breakpoints that an editor sets, and what it is told of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

from minigrad.debugger.breakpoints import AtExplosion, AtInfinity, AtLine, AtNan, AtZero, Breakpoint, parse
from minigrad.debugger.evaluation import CommandError, Expression, HitCount, LogMessage
from minigrad.debugger.walk import Walk
from minigrad.provenance import Origin

Pass: TypeAlias = "tuple[Walk, Origin] | None"  # the pass in progress and the line that called backward()
FILTERS: dict[str, type[Breakpoint]] = {"nan": AtNan, "inf": AtInfinity, "zero": AtZero, "exploding": AtExplosion}
ERRORS = "error"  # the filter for errors that derivatives raise
NOT_YET = "checked when a backward pass begins"


class Place:
    """A breakpoint of the editor.

    Attributes:
        wanted: what the editor has asked for.
        number: its number in the session.
        breakpoint: what stops the pass; None if it can't be made.
        verified: whether a pass so far can meet it.
        message: why it isn't verified.
        failed: whether an error in its condition was shown.
    """

    def __init__(self, wanted: dict[str, Any], number: int, make: Callable[[dict[str, Any]], Breakpoint]) -> None:
        self.wanted = wanted
        self.number = number
        self.breakpoint: Breakpoint | None = None
        self.verified = False
        self.message = NOT_YET
        self.failed = False
        try:
            found = make(wanted)
            _add_conditions(found, wanted)
        except CommandError as error:
            self.message = str(error)
        else:
            found.number = number
            self.breakpoint = found

    def bind(self, walk: Walk, caller: Origin) -> bool:
        """Check it in a pass; return whether the editor is to be told. It stays verified in passes without its line."""
        if self.breakpoint is None or self.verified or "filterId" in self.wanted:
            return False
        before = self.message
        try:
            if not self.is_at(caller):
                self.breakpoint.check(walk.timeline)
        except CommandError as error:
            self.message = str(error)
        else:
            self.verified = True
        return self.verified or self.message != before

    def is_at(self, caller: Origin) -> bool:
        """Return whether it is set at the line that calls backward(): then it stops at the start of the pass."""
        return isinstance(self.breakpoint, AtLine) and self.breakpoint.covers(caller)

    def starts(self, walk: Walk) -> tuple[bool, str]:
        """Return whether it stops a pass at its start, and a message to show.

        Its condition sees the variables of the program where it calls backward().
        """
        place, evaluate = self.breakpoint, walk.evaluator.evaluate
        assert place is not None
        try:
            if (place.condition is not None and not evaluate(place.condition.text)) or not place.counts():
                return False, ""
            return place.log is None, "" if place.log is None else place.log.format(walk.evaluator.names())
        except CommandError as error:
            known, self.failed = self.failed, True
            return False, "" if known else f"*** breakpoint {self.number} is not met where it raises an error: {error}"

    def description(self) -> dict[str, Any]:
        """Return the protocol's Breakpoint object."""
        if "filterId" in self.wanted:  # no row of the editor's
            return {"verified": True} if self.breakpoint else {"verified": False, "message": self.message}
        found: dict[str, Any] = {"id": self.number, "verified": self.verified}
        if not self.verified:
            found["message"] = self.message
        if "line" in self.wanted:
            found |= {"line": self.wanted["line"], "source": self.wanted["source"]}
        return found


def _add_conditions(place: Breakpoint, wanted: dict[str, Any]) -> None:
    """Set what the editor adds to a breakpoint: a condition, a hit condition, a log message."""
    if wanted.get("condition"):
        place.condition = Expression(wanted["condition"])
    if wanted.get("hitCondition"):
        place.hit_count = HitCount(wanted["hitCondition"])
    if wanted.get("logMessage"):
        place.log = LogMessage(wanted["logMessage"])


class Places:
    """All breakpoints of the editor: those of each source file, those on names, and the exception filters.

    Attributes:
        breakpoints: the list that walks look at; it is changed in place.
        stops_at_errors: whether errors that derivatives raise stop the pass.
    """

    def __init__(self, breakpoints: list[Breakpoint]) -> None:
        self.breakpoints = breakpoints
        self.groups: dict[str, list[Place]] = {}
        self.stops_at_errors = False
        self.last_number = 0

    @property
    def verified(self) -> bool:
        """Whether the passes so far can meet a breakpoint, exception filters aside."""
        return any(place.verified for place in self.all())

    def all(self) -> list[Place]:
        """Return every breakpoint of the editor."""
        return [place for places in self.groups.values() for place in places]

    def by_number(self, number: int) -> Place | None:
        """Return the breakpoint with a number."""
        return next((place for place in self.all() if place.number == number), None)

    def set_lines(self, arguments: dict[str, Any], current: Pass) -> dict[str, Any]:
        """Answer setBreakpoints: replace the breakpoints of a source file."""
        source = arguments.get("source") or {}
        path = source.get("path")
        if not isinstance(path, str):
            raise CommandError("breakpoints can be set in files: the source has no path")
        wanted = arguments.get("breakpoints")
        if wanted is None:
            wanted = [{"line": line} for line in arguments.get("lines") or []]
        wanted = [{**one, "source": source} for one in wanted]
        return self._replace("file " + os.path.normcase(path), wanted, _at_line, current)

    def set_names(self, arguments: dict[str, Any], current: Pass) -> dict[str, Any]:
        """Answer setFunctionBreakpoints: replace the breakpoints on tensors, signals, operations, time steps."""
        return self._replace("names", arguments["breakpoints"], _named, current)

    def set_filters(self, arguments: dict[str, Any], current: Pass) -> dict[str, Any]:
        """Answer setExceptionBreakpoints: replace the exception filters."""
        wanted = [{"filterId": name} for name in arguments.get("filters") or []]
        wanted += arguments.get("filterOptions") or []
        self.stops_at_errors = any(one.get("filterId") == ERRORS for one in wanted)
        answer = self._replace("filters", [one for one in wanted if one.get("filterId") != ERRORS], _filter, current)
        rest = iter(answer["breakpoints"])
        return {"breakpoints": [{"verified": True} if one.get("filterId") == ERRORS else next(rest) for one in wanted]}

    def _replace(self, group: str, wanted: list[dict[str, Any]], make: Callable[[dict[str, Any]], Breakpoint],
                 current: Pass) -> dict[str, Any]:
        """Replace the breakpoints of a group; those that are as before keep their numbers and counts of hits."""
        before = list(self.groups.get(group, []))
        places = []
        for one in wanted:
            same = next((place for place in before if place.wanted == one), None)
            if same is None:
                self.last_number += 1
                same = Place(one, self.last_number, make)
            else:
                before.remove(same)
            if current is not None:
                same.bind(*current)
            places.append(same)
        self.groups[group] = places
        self.breakpoints[:] = [place.breakpoint for place in self.all() if place.breakpoint is not None]
        return {"breakpoints": [place.description() for place in places]}


def _at_line(wanted: dict[str, Any]) -> Breakpoint:
    return AtLine(f"{os.path.abspath(wanted['source']['path'])}:{wanted['line']}")


def _named(wanted: dict[str, Any]) -> Breakpoint:
    return parse(wanted["name"])


def _filter(wanted: dict[str, Any]) -> Breakpoint:
    name = wanted.get("filterId")
    if name not in FILTERS:
        raise CommandError(f"there is no exception filter {name!r}; the filters are {', '.join([ERRORS, *FILTERS])}")
    return FILTERS[name]("")
