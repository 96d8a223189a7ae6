"""The standard output and error of a debugged program, as text streams that send events."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

from .messages import Writer


class OutputEvents(io.RawIOBase):
    """Sends the bytes that are written to it as `output` events; in a forked process, writes them to a descriptor."""

    def __init__(self, writer: Writer, category: str, descriptor: int) -> None:
        self.writer = writer
        self.category = category
        self.descriptor = descriptor
        self.name = f"<{category}>"
        self.mode = "wb"
        self.process = os.getpid()
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, for child processes and C code; the front shows what they write too."""
        return self.descriptor

    def write(self, data: Any) -> int:
        """Send bytes; those of an incomplete character wait for its end."""
        if os.getpid() != self.process:  # the messages are those of the parent process alone
            return os.write(self.descriptor, data)
        text = self.decoder.decode(bytes(data))
        if text:
            self.writer.output(text, self.category)
        return memoryview(data).nbytes


def redirect_output(writer: Writer) -> None:
    """Let sys.stdout and sys.stderr send events, line by line."""
    for category, descriptor in ("stdout", 1), ("stderr", 2):
        raw = io.BufferedWriter(OutputEvents(writer, category, descriptor))
        setattr(sys, category, io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True))


def flush_output() -> None:
    """Send what the program has printed so far, without the end of its line too."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or replaced by the program
            continue
