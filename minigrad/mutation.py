"""What happened to a tensor's data after it was made: a derivative needs the data that were used.

Assignment (`x.data = a`, `x.data -= a`) is noticed as it happens. Once `x.data` has been handed
out, its elements may be changed from outside unseen; so as long as somebody holds that array, a
fingerprint is compared whenever an operation uses x and when a backward pass reaches it. Knows
tensors only by their `_data` and `changes`.

What can't be seen: a change that is undone before anybody looks.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from .provenance import Origin, call_site

creation_counter = itertools.count(1)  # of everything that is created or changed: a topological order


class MutationState:
    """The changes of one tensor's data, as far as they are known.

    Attributes:
        last: the clock at the last one; 0: none.
        where: the line of the last one, or the line that had handed the array out.
        fingerprint: of the data when last looked at, while others may hold the array; else None.
        handed_out: the line that got the array last.
    """

    __slots__ = ("last", "where", "fingerprint", "handed_out")

    def __init__(self) -> None:
        self.last = 0
        self.where: Origin | None = None
        self.fingerprint: int | None = None
        self.handed_out: Origin | None = None


def expose(tensor: Any) -> None:
    """Somebody gets the array itself, and may change its elements. So do its views' owners."""
    origin = call_site()
    owners = [tensor]
    while owners:
        owner = owners.pop()
        owner.changes = owner.changes or MutationState()
        check_modified(owner)
        owner.changes.handed_out = origin
        owner.changes.fingerprint = _fingerprint(owner)
        if owner._data.base is not None:  # a view: of its input's memory, where it has one
            owners += owner.inputs


def record_assignment(tensor: Any) -> None:
    """The array has just been replaced, by one that others may hold."""
    changes = tensor.changes = tensor.changes or MutationState()
    changes.last = next(creation_counter)
    changes.where = changes.handed_out = call_site()
    changes.fingerprint = _fingerprint(tensor)


def check_modified(tensor: Any) -> None:
    """Notice a change of elements since the last look; stop looking when nobody else holds the array."""
    changes = tensor.changes
    if changes.fingerprint is None:
        return
    now = _fingerprint(tensor)
    if now != changes.fingerprint:
        changes.last = next(creation_counter)
        changes.where = changes.handed_out
    # The tensor itself and the argument of getrefcount are two.
    changes.fingerprint = now if sys.getrefcount(tensor._data) > 2 else None


def _fingerprint(tensor: Any) -> int:
    return hash(tensor._data.tobytes())
