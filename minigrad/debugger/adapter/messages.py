"""Messages of the Debug Adapter Protocol: JSON objects behind a header, read from and written to file descriptors."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from typing import Any, TypeAlias

Message: TypeAlias = "dict[str, Any]"

MOST_BYTES = 1 << 26  # of a message
MOST_HEADER_BYTES = 1 << 16
LENGTH = re.compile(rb"Content-Length:[ \t]*(\d{1,18})[ \t]*(?=\r\n|$)", re.IGNORECASE)


class MalformedMessage(ValueError):
    """Bytes that are no message. What follows them can be read."""


class Reader:
    """Reads messages from a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.buffer = bytearray()

    def read(self) -> Message | None:
        """Return the next message; None at the end of the input. Raise MalformedMessage for anything else."""
        header = self._header()
        if header is None:
            return None
        lengths = LENGTH.findall(header)
        if not lengths:
            raise MalformedMessage(f"a message without Content-Length in its header: {_shown(header)}")
        length = int(lengths[-1])  # after bytes that belong to no message
        if length > MOST_BYTES:
            raise MalformedMessage(f"a message of {length:,} bytes; the longest has {MOST_BYTES:,}")
        while len(self.buffer) < length:
            if not self._receive():
                return None
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return _parse(body)

    def _header(self) -> bytes | None:
        """Return the bytes before the next blank line, and remove them; None at the end of the input."""
        searched = 0
        while (end := self.buffer.find(b"\r\n\r\n", searched)) < 0:
            if len(self.buffer) > MOST_HEADER_BYTES:
                start = bytes(self.buffer[:100])
                del self.buffer[:-3]  # perhaps the blank line has begun
                raise MalformedMessage(f"no message, but {_shown(start)}")
            searched = max(len(self.buffer) - 3, 0)
            if not self._receive():
                return None
        header = bytes(self.buffer[:end])
        del self.buffer[:end + 4]
        return header

    def _receive(self) -> bool:
        """Wait for further bytes; return False at the end of the input."""
        try:
            received = os.read(self.descriptor, 1 << 16)
        except OSError:
            return False
        self.buffer += received
        return bool(received)


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"a message that is not JSON ({error}): {_shown(body)}") from None
    if not isinstance(message, dict):
        raise MalformedMessage(f"a message that is no JSON object: {_shown(body)}")
    return message


def _shown(data: bytes) -> str:
    return repr(data[:60].decode("utf-8", "replace")) + ("..." if len(data) > 60 else "")


def send(descriptor: int, message: Mapping[str, Any]) -> None:
    """Write a message to a file descriptor."""
    body = json.dumps(message).encode()
    data = memoryview(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    while data:
        data = data[os.write(descriptor, data):]


class Writer:
    """Writes messages to a file descriptor, and numbers them. Several threads may use it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.number = 0
        self.lock = threading.Lock()

    def write(self, message: Mapping[str, Any]) -> None:
        """Write a message, with the next number."""
        with self.lock:
            self.number += 1
            send(self.descriptor, {**message, "seq": self.number})

    def event(self, name: str, **body: Any) -> None:
        """Send an event."""
        self.write({"type": "event", "event": name, "body": body})

    def output(self, text: str, category: str = "console", **body: Any) -> None:
        """Send text for the editor's console; the category is console, stdout, stderr or important."""
        self.event("output", category=category, output=text, **body)

    def answer(self, request: Message, body: Mapping[str, Any] | None = None) -> None:
        """Send the response to a request."""
        response = _response(request, True)
        self.write(response if body is None else {**response, "body": body})

    def refuse(self, request: Message, reason: str) -> None:
        """Send the response to a request that can't be met, with one line for the user."""
        line = " ".join(reason.split())
        error = {"id": 1, "format": "{reason}", "variables": {"reason": line},
                 "showUser": request.get("command") == "launch"}
        self.write({**_response(request, False), "message": line, "body": {"error": error}})


def _response(request: Message, success: bool) -> Message:
    return {"type": "response", "request_seq": request.get("seq", 0), "success": success,
            "command": str(request.get("command", ""))}


def private_descriptors() -> tuple[int, int]:
    """Return copies of the descriptors of standard input and output that no child process inherits.

    Afterwards standard input is empty and standard output is standard error, so that nothing else can be mistaken for
    a message.
    """
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reading, writing
