"""Thread-local settings: what holds for tensors that this thread makes now."""

from __future__ import annotations

import threading
from typing import Any

from .provenance import Origin


class Settings:
    """What holds for tensors made now, in this thread.

    Attributes:
        origin: where they come from, if somebody (an unroller) says it; else the line that makes them.
        recording: whether they remember how they were computed.
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


thread = _Thread()  # thread.settings is what settings() returns, for those who are in a hurry


def settings() -> Settings:
    """This thread's settings."""
    return thread.settings


class override:
    """`with override(recording=False):` change settings of this thread, and restore them afterwards."""

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
