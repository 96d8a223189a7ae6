"""The run that a tensor belongs to: the origin of each tensor that an unroll makes has the key of its run."""

from __future__ import annotations

from typing import NamedTuple

from minigrad import Tensor
from minigrad.provenance import Origin


class RunKey:
    """The identity of a run. Tensors refer to it and not to their run, which they would keep in memory.

    Attributes:
        name: of the definition.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def origin(self, line: Origin, signal: str, k: int) -> Origin:
        """Return a line as the origin of this run's copy of `signal` at step k.

        Args:
            line: that of an equation, of an unroll, or the origin of a value of another run that is copied.
        """
        if isinstance(line, _OriginInRun) and line.run is not self:
            return _OriginOfCopy(line, signal, k, self)
        return _OriginInRun(line.file, line.line, signal, k, None, self)

    def __repr__(self) -> str:
        return f"<RunKey of {self.name!r}>"


class _OriginInRun(Origin):
    """The line, the signal and the time step of a tensor, and its run."""

    __slots__ = ("run",)

    def __init__(self, file: str, line: int, signal: str | None, t: int | None, detached: str | None,
                 run: RunKey) -> None:
        self.file, self.line = file, line  # a call of Origin's own __init__ takes as long as all of this
        self.signal, self.t, self.detached, self.run = signal, t, detached, run

    def detach(self, line: Origin, detached: str) -> Origin:
        return _OriginInRun(line.file, line.line, self.signal, self.t, detached, self.run)


class _OriginOfCopy(_OriginInRun):
    """The origin of a value that is that of another run, whose copy may be a constant."""

    __slots__ = ("original",)

    def __init__(self, original: _OriginInRun, signal: str | None, t: int | None, run: RunKey) -> None:
        super().__init__(original.file, original.line, signal, t, None, run)
        self.original = original


class Copied(NamedTuple):
    """A value of a run, which another run copied."""

    run: RunKey
    signal: str
    t: int


def copied_from(tensor: Tensor) -> Copied | None:
    """Return which value of another run an initial value is, connected to it or not; None if it is of none."""
    origin = tensor.origin
    if not isinstance(origin, _OriginOfCopy):
        return None
    signal, t = origin.original.signal, origin.original.t
    return None if signal is None or t is None else Copied(origin.original.run, signal, t)


def run_key(tensor: Tensor) -> RunKey | None:
    """Return the key of the run that made a tensor; of a detached one, that of the original; None outside of runs."""
    return tensor.origin.run if isinstance(tensor.origin, _OriginInRun) else None
