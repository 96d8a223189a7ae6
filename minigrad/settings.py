"""Thread-local settings of the engine, and the context managers that change them for a block."""

from __future__ import annotations

import threading
from typing import Any

from .provenance import Origin


class Settings:
    """The settings of one thread.

    Attributes:
        origin: the Origin of new tensors, which an unroller sets; None: the line that makes them.
        recording: whether operations are recorded in the graph.
        anomaly: whether the first NaN is an error.
    """

    __slots__ = ("origin", "recording", "anomaly")

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.recording = True
        self.anomaly = False


class _Thread(threading.local):
    def __init__(self) -> None:
        self.settings = Settings()


thread = _Thread()  # thread.settings is the object that settings() returns, without a call, for hot paths


def settings() -> Settings:
    """Return the settings of this thread."""
    return thread.settings


class override:
    """Change settings of this thread for a block, and restore them afterwards: `with override(recording=False):`."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def __enter__(self) -> None:
        now = thread.settings
        self.before = {name: getattr(now, name) for name in self.values}
        for name, value in self.values.items():
            setattr(now, name, value)

    def __exit__(self, *exception: object) -> None:
        for name, value in self.before.items():
            setattr(thread.settings, name, value)


class no_grad(override):
    """Record no operation in a block, in this thread: `with no_grad():`."""

    def __init__(self) -> None:
        super().__init__(recording=False)


class detect_anomaly(override):
    """Raise at the first operation, forward or backward, that produces a NaN, and report where.

    Holds for a block, in this thread: `with detect_anomaly():`.
    """

    def __init__(self) -> None:
        super().__init__(anomaly=True)
