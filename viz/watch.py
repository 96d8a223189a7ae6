"""Drawing again whenever a file changes, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PAUSE = 0.3  # seconds between two looks at the file
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


def watch(file: Path, draw: Callable[[], object]) -> int:
    """Draw now and after every change of a file; a file that is away for a moment hasn't changed."""
    try:
        seen = _stamp(file)
        draw()
        while True:
            time.sleep(PAUSE)
            now = _stamp(file)
            if now is not None and now != seen:
                seen = now
                draw()
    except KeyboardInterrupt:
        return INTERRUPTED


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written, or another takes its place."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
