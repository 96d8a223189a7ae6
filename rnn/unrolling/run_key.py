"""The run that a tensor belongs to: the origin of each tensor that an unroll makes has the key of its run."""

from __future__ import annotations

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
        """Return a line as the origin of this run's copy of `signal` at step k."""
        return _OriginInRun(line.file, line.line, signal, k, None, self)

    def __repr__(self) -> str:
        return f"<RunKey of {self.name!r}>"


class _OriginInRun(Origin):
    """The line, the signal and the time step of a tensor, and its run."""

    __slots__ = ("run",)

    def __init__(self, file: str, line: int, signal: str | None, t: int | None, detached: str | None,
                 run: RunKey) -> None:
        super().__init__(file, line, signal, t, detached)
        self.run = run

    def detach(self, line: Origin, detached: str) -> Origin:
        return _OriginInRun(line.file, line.line, self.signal, self.t, detached, self.run)


def run_key(tensor: Tensor) -> RunKey | None:
    """Return the key of the run that made a tensor; of a detached one, that of the original; None outside of runs."""
    return tensor.origin.run if isinstance(tensor.origin, _OriginInRun) else None
