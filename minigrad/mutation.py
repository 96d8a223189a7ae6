"""Detection of modified data: a derivative needs the data that its operation used.

Assigning `x.data = a` is noticed at once. Reading `x.data` gives the array itself away, whose elements can
then be modified without a sign. From that moment the tensor keeps a fingerprint (a hash) of its data, and an
operation that uses the tensor, or a backward pass that reaches it, compares.

A version counter, as PyTorch has one, isn't enough: it counts the modifications that go through the library's
own functions, and here `x.data` is a plain NumPy array, which code outside writes into directly.

Cost: one hash of the data, linear in its size, for each use of an exposed tensor, and none for the others.
It ends with the exposure, when nothing else refers to the array. Not detected: a modification that is undone
before the next comparison.

Reads only these attributes of a tensor: `_array`, `inputs` and `changes`, which is None until it is exposed.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import require_same_form
from .provenance import Origin, call_site

# The position of every new tensor and of every modification in creation order, which is a topological order.
creation_counter = itertools.count(1)


class MutationState:
    """What is known of the modifications of one tensor's data.

    Attributes:
        last: position in creation order of the last modification; 0: there was none.
        where: the line of the last modification, or the line that read `.data` before it.
        exposed_at: the line that read `.data` last.
        fingerprint: shape, dtype and hash of the data at the last comparison; None when nothing else holds the array.
    """

    last = 0
    where: Origin | None = None
    exposed_at: Origin | None = None
    fingerprint: tuple[Any, ...] | None = None


def expose(tensor: Any) -> None:
    """Track a tensor whose array is exposed, and the tensors of which the array is a view."""
    site = call_site()
    for owner in sharing_memory([tensor]):
        owner.changes = owner.changes or MutationState()
        check_modified(owner)
        owner.changes.exposed_at, owner.changes.fingerprint = site, _fingerprint(owner)


def sharing_memory(tensors: Iterable[Any]) -> list[Any]:
    """Return tensors, and the tensors whose memory they share: a result may be a view of an input, or its array."""
    owners = list(tensors)
    for owner in owners:  # grows in the loop
        owners += [x for x in owner.inputs if np.may_share_memory(x._array, owner._array)]
    return owners


def record_assignment(tensor: Any) -> None:
    """Record that a tensor's array was replaced by another one, which its giver may still hold."""
    state = tensor.changes = tensor.changes or MutationState()
    state.last, state.where, state.fingerprint = next(creation_counter), call_site(), _fingerprint(tensor)
    state.exposed_at = state.where


def check_modified(tensor: Any) -> int:
    """Compare a tracked tensor's data with the fingerprint; return the position of the last modification, or 0."""
    state = tensor.changes or MutationState()
    if state.fingerprint is not None:
        now = _fingerprint(tensor)
        if now != state.fingerprint:
            require_same_form(tensor, state.fingerprint, now)
            state.last, state.where = next(creation_counter), state.exposed_at
        # Two references are the tensor's own and the argument of getrefcount. Without a third one nothing can
        # modify the array unseen, and tracking ends.
        state.fingerprint = now if sys.getrefcount(tensor._array) > 2 else None
    return int(state.last)


def _fingerprint(tensor: Any) -> tuple[Any, ...]:
    return tensor._array.shape, tensor._array.dtype, hash(tensor._array.tobytes())
