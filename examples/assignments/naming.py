"""Which mistake gives exactly these numbers? A student's result against known wrong variants of the right one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from minigrad.gradcheck import cause

Array = NDArray[Any]
EXACT = 1e-9  # of the largest number: rounding in double precision stays below
SINGLE = 1e-5  # what single precision keeps
QUANTUM = 1e-9  # numbers are rounded to it before a key is made of them
GRIDS = (0.5, 0.87)  # where the two grids begin
# Iterations of the key derivation, about 4 ms: a kit has thousands of keys. More where few numbers are to be guessed.
ROUNDS, ROUNDS_FEW, FEW = 10_000, 100_000, 4
Edge = tuple[str, str]  # from a node to a node, by their labels: ("h[3]", "z[4]")


class Candidate(NamedTuple):
    """A known mistake: its name and its result; the edges of the graph that it concerns, if known."""

    mistake: str
    gives: Any  # an array, or plain data
    edge: Edge | None = None
    more: tuple[Edge, ...] = ()
    others: tuple[str, ...] = ()  # further mistakes that give the same numbers

    @property
    def all_mistakes(self) -> tuple[str, ...]:
        """The mistakes in words that give these numbers."""
        return self.mistake, *self.others

    def fits(self, mine: Any) -> Candidate | None:
        """Return this mistake, if it gives exactly these numbers."""
        if not isinstance(self.gives, np.ndarray):
            return self if self.gives == mine else None
        return self if isinstance(mine, np.ndarray) and same(mine, self.gives) else None


class Sealed(NamedTuple):
    """A known mistake of a students' kit: it can be read only with the numbers that it gives.

    The text is encrypted with a key made of these numbers, so a kit's file isn't a list of mistakes, whose
    texts hold the right formulas, nor of their results. Numbers are rounded before, on two grids: one that
    is on a border of one grid is inside a cell of the other.

    The key is derived slowly (PBKDF2, RFC 8018), so that trying many numbers costs time. It isn't impossible: who
    computes the numbers of a mistake, by making it or by its formula, opens its text.
    """

    texts: tuple[str, str]  # for each grid

    def fits(self, mine: Any) -> Candidate | None:
        """Return the mistake, if it gives these numbers."""
        for grid, text in zip(GRIDS, self.texts):
            key = key_of(mine, grid)
            found = opened(text, key) if key else ""
            if found:
                mistake, edge, more = json.loads(found)
                return Candidate(mistake, mine, None if edge is None else _edge(edge), tuple(map(_edge, more)))
        return None


def seal(candidate: Candidate) -> Sealed | None:
    """Return a mistake for a students' kit; none where its numbers are not finite, so that nothing fits them."""
    text = json.dumps([candidate.mistake, candidate.edge, candidate.more])
    keys = [key_of(candidate.gives, grid) for grid in GRIDS]
    return Sealed((closed(text, keys[0]), closed(text, keys[1]))) if all(keys) else None


def key_of(value: Any, grid: float) -> bytes:
    """Return a key made of numbers, rounded, or of plain data; nothing where numbers are not finite."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or not np.isfinite(value).all() or (np.abs(value) > 1e9).any():
            return b""
        rounded = np.floor(value.astype(np.float64) / QUANTUM + grid).astype("<i8")
        what = repr(value.shape).encode() + rounded.tobytes()
    else:
        what = json.dumps(value).encode()
    few = not isinstance(value, np.ndarray) or value.size <= FEW
    return _derived(hashlib.sha256(what).digest(), ROUNDS_FEW if few else ROUNDS)


@lru_cache(maxsize=1 << 14)
def _derived(digest: bytes, rounds: int) -> bytes:
    """Return the key of some numbers. Many mistakes are compared with the same ones: these cost once."""
    return (getattr(hashlib, "pbkdf2_hmac", None) or pbkdf2)("sha256", digest, b"minigrad course kit", rounds)


def pbkdf2(name: str, secret: bytes, salt: bytes, rounds: int) -> bytes:
    """Return the first block of PBKDF2 with HMAC (RFC 8018, section 5.2; RFC 2104), for a secret of 64 bytes at most.

    hashlib.pbkdf2_hmac does the same, but Python has it only with OpenSSL, and in a browser there is none.
    """
    padded = secret.ljust(64, b"\0")
    inner, outer = (hashlib.new(name, bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    block, total = salt + b"\0\0\0\1", 0
    for _ in range(rounds):
        first, second = inner.copy(), outer.copy()
        first.update(block)
        second.update(first.digest())
        block = second.digest()
        total ^= int.from_bytes(block, "big")
    return total.to_bytes(len(block), "big")


def closed(text: str, key: bytes) -> str:
    """Return a text encrypted: its own hash in front tells whether a key is the right one."""
    plain = text.encode()
    return base64.b64encode(_mixed(hashlib.sha256(plain).digest()[:8] + plain, key)).decode()


def opened(text: str, key: bytes) -> str:
    """Return the text; nothing where the key is another."""
    plain = _mixed(base64.b64decode(text), key)
    return plain[8:].decode() if hashlib.sha256(plain[8:]).digest()[:8] == plain[:8] else ""


def _mixed(data: bytes, key: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, hashlib.shake_256(key).digest(len(data))))


def _edge(names: Sequence[str]) -> Edge:
    return names[0], names[1]


Mistake = Candidate | Sealed


def same(a: Array, b: Array, tolerance: float = EXACT) -> bool:
    """Return whether two results are equal up to rounding."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool((np.abs(a - b) <= tolerance * max(1e-3, float(np.abs(b).max(initial=0.0)))).all())


def known(mine: Any, candidates: Iterable[Mistake]) -> Candidate | None:
    """Return the first mistake of a list that gives exactly this result."""
    return next(filter(None, (candidate.fits(mine) for candidate in candidates)), None)


def unlike(candidates: Iterable[Candidate], right: Any) -> list[Candidate]:
    """Return the mistakes that give other numbers than the right ones: in a kit, these would open their texts."""
    if not isinstance(right, np.ndarray):
        return [one for one in candidates if one.gives != right]
    return [one for one in candidates if not same(one.gives, right)]


def named(mine: Array, right: Array, candidates: Iterable[Mistake] = ()) -> Candidate | None:
    """Return the known mistake that gives exactly these numbers; None if there is none."""
    hits = [hit for hit in (candidate.fits(mine) for candidate in candidates) if hit and not same(hit.gives, right)]
    if hits:
        return hits[0]._replace(others=tuple(dict.fromkeys(hit.mistake for hit in hits[1:])))
    if same(mine, right, SINGLE):
        return Candidate(_inexact(mine, right), mine)
    if not np.isfinite(mine).all():
        return Candidate(f"{(~np.isfinite(mine)).sum()} of {mine.size} numbers are not finite", mine)
    if not mine.any():
        return Candidate("it is all zero", mine)
    factor = cause(mine, right)
    if factor and "everywhere" not in factor and _exact(factor, mine, right):
        return Candidate(factor, mine)
    clipped = _clipped(mine, right)
    return Candidate(clipped, mine) if clipped else None


def _inexact(mine: Array, right: Array) -> str:
    """Return the reason why a result is nearly right; float32 only where each number is one of float32."""
    single, half = (mine.astype(kind) for kind in (np.float32, np.float16))
    if (mine == single).all() and (mine != half).any():
        return "it is rounded to float32, so it is right to about seven digits only"
    error = float(np.abs(mine - right).max()) / max(1e-3, float(np.abs(right).max()))
    return (f"it is right to about {-np.log10(error):.0f} digits only, not to all of float64: is something small "
            "added, is a derivative approximated, or is a part computed in float32?")


def _clipped(mine: Array, right: Array) -> str:
    """Return the limit of a result that is right within it; "" for one that isn't. One number alone doesn't tell."""
    most = float(np.abs(mine).max(initial=0.0))
    many = int((np.abs(mine) == most).sum()) > 1
    return f"it is clipped to ±{most:g}" if many and same(mine, np.clip(right, -most, most)) else ""


def _exact(text: str, mine: Array, right: Array) -> bool:
    """Return whether a relation to the right result holds up to rounding: a gradient check's own is loose."""
    if "transpose" in text:
        return same(mine, np.swapaxes(right, -1, -2))
    if not text.startswith("exactly"):
        return True
    factor = float((mine * right).sum() / (right * right).sum())
    whole, part = round(factor) or 1, round(1 / factor) or 1
    return same(mine, right * whole) or same(mine, right / part)


def same_shape(mine: Array, right: Array) -> str:
    """Return the description of a wrong shape."""
    try:
        mg.compare_gradients("", mine, right)
    except AssertionError as error:
        return str(error).partition(" has ")[2]
    return ""


def difference(what: str, mine: Array, right: Array) -> str:
    """Return the first wrong number with the right one, as text."""
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(mine - right) <= EXACT * max(1e-3, float(np.abs(right).max(initial=0.0))))
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    texts = [tuple(f"{number:.{digits}g}" for number in (mine[index], right[index])) for digits in (6, 12, 17)]
    yours, wanted = next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
    return f"{what}{place}: yours {yours}, right {wanted}"


def weights(total: Array, parts: Array) -> Array | None:
    """Return the weight of each part in a total; None if the total is not a weighted sum of them."""
    matrix = parts.reshape(len(parts), -1).T
    if matrix.shape[0] < len(parts) or not np.isfinite(total).all():
        return None
    found = np.linalg.lstsq(matrix, total.ravel(), rcond=None)[0]
    return found if same(matrix @ found, total.ravel(), 1e-8) else None


def counted(total: Array, parts: Array, what: str) -> str:
    """Name the steps whose contributions are missing or counted wrongly; "" if that isn't the mistake.

    Args:
        total: a gradient that is wrong.
        parts: the contributions of steps 1 … T to the right one, along the first axis.
        what: the name of the gradient.
    """
    found = weights(total, parts)
    if found is None:
        return ""
    present = [k for k, weight in enumerate(found, 1) if abs(weight) > 1e-6]
    absent = [k for k in range(1, len(parts) + 1) if k not in present]
    ones = all(abs(found[k - 1] - 1) < 1e-6 for k in present)
    if len(present) == 1 and ones:
        return (f"{what} holds only the contribution of t = {present[0]}: all others are overwritten "
                "(= where += belongs?)")
    if ones and absent and present:
        return f"{what}: {_steps('contribution', absent)} missing; all others are right"
    if not absent and np.allclose(found, found[0], rtol=1e-6) and found[0] != 1:
        return f"{what} is exactly {_fraction(float(found[0]))} of the sum over time: a mean where the sum belongs?"
    double = [k for k in present if abs(found[k - 1] - 2) < 1e-6]
    if double and all(abs(found[k - 1] - 1) < 1e-6 for k in present if k not in double):
        return f"{what}: {_steps('contribution', double)} counted twice"
    return ""


def _steps(what: str, steps: Sequence[int]) -> str:
    listed = ", ".join(map(str, steps))
    return f"the {what} of t = {listed} is" if len(steps) == 1 else f"the {what}s of t = {listed} are"


def _fraction(value: float) -> str:
    whole = round(1 / value) if value else 0
    return f"1/{whole}" if whole > 1 and abs(value * whole - 1) < 1e-6 else f"{value:.4g} times"
