"""What a long drawing is at, on the terminal: by tqdm where it is installed, otherwise not at all."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """A bar of some stages on standard error, gone when the work is done.

    Nothing is written where standard error is no terminal.
    """

    def __init__(self, stages: int) -> None:
        self.bar: Any = None
        self.begun = 0
        if sys.stderr is None or not sys.stderr.isatty():
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self.bar = tqdm(total=stages, leave=False, file=sys.stderr, bar_format="{desc} {bar} {n}/{total} {elapsed}")

    def begin(self, stage: str) -> None:
        """Say what comes next; what came before is done."""
        if self.bar is not None:
            self.bar.n = self.begun
            self.bar.set_description_str(stage)
        self.begun += 1

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
