"""An editor that speaks the Debug Adapter Protocol with `python -m minigrad.debugger --dap`; shares no code with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds, on a busy machine
Body = dict[str, Any]


class Gone(Exception):
    """The adapter has closed its output."""


class Editor:
    """A client with one adapter.

    Attributes:
        process: the adapter.
        history: all messages that it has sent.
        events: those events that no one has waited for.
    """

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minigrad.debugger", "--dap"], bufsize=0, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment})
        self.sequence = 0
        self.history: list[Body] = []
        self.events: list[Body] = []
        self.messages: queue.Queue[Body | None] = queue.Queue()
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        assert self.process.stdin is not None and self.process.stderr is not None
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self.process.wait()
            self.thread.join(TIMEOUT)
            self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with os.fdopen(os.dup(self.process.stdout.fileno()), "rb") as stream, self.process.stdout:
            while header := stream.readline():
                assert header.startswith(b"Content-Length: "), header
                assert stream.readline() == b"\r\n"
                self.messages.put(json.loads(stream.read(int(header.split()[1]))))
        self.messages.put(None)

    # ---- sending
    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def send_body(self, body: bytes) -> None:
        """Send the body of a message, with a header."""
        self.send_bytes(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def send(self, command: str, arguments: Any = None) -> int:
        """Send a request; return its number."""
        self.sequence += 1
        message = {"seq": self.sequence, "type": "request", "command": command, "arguments": arguments}
        self.send_body(json.dumps(message).encode())
        return self.sequence

    # ---- receiving
    def receive(self) -> Body:
        """Return the next message."""
        message = self.messages.get(timeout=TIMEOUT)
        if message is None:
            raise Gone
        self.history.append(message)
        assert message["seq"] == len(self.history)
        if message["type"] == "event":
            self.events.append(message)
        return message

    def response(self, number: int) -> Body:
        """Wait for the response to a request."""
        while True:
            message = self.receive()
            if message["type"] == "response" and message["request_seq"] == number:
                return message

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a request and return the body of its answer."""
        answer = self.response(self.send(command, arguments))
        assert answer["success"], (command, arguments, answer["message"])
        return answer.get("body")

    def refused(self, command: str, **arguments: Any) -> str:
        """Send a request that is refused and return the reason: one line, no traceback."""
        answer = self.response(self.send(command, arguments))
        assert not answer["success"], answer
        message: str = answer["message"]
        assert message and "\n" not in message and "Traceback" not in message
        assert answer["body"]["error"]["variables"] == {"reason": message}
        return message

    def wait(self, event: str) -> Body:
        """Wait for an event and return its body."""
        while True:
            for i, message in enumerate(self.events):
                if message["event"] == event:
                    del self.events[i]
                    body: Body = message.get("body", {})
                    return body
            assert not any(message["event"] == "terminated" for message in self.events), self.output()
            self.receive()

    def output(self, *categories: str) -> str:
        """Return what was shown in the console so far."""
        return "".join(message["body"]["output"] for message in self.history if message.get("event") == "output"
                       and (not categories or message["body"]["category"] in categories))

    # ---- sessions
    def launch(self, program: Path, lines: dict[Path, list[Body]] | None = None, names: tuple[str, ...] = (),
               filters: tuple[str, ...] = (), **options: Any) -> None:
        """Begin a session with breakpoints: by line in each file, on names, and exception filters."""
        self.ask("initialize", adapterID="minigrad")
        self.ask("launch", program=str(program), **options)
        self.wait("initialized")
        for file, places in (lines or {}).items():
            self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=places)
        self.ask("setFunctionBreakpoints", breakpoints=[{"name": name} for name in names])
        self.ask("setExceptionBreakpoints", filters=list(filters))
        self.ask("configurationDone")

    def move(self, command: str, **arguments: Any) -> Body:
        """Send a request that moves and return the body of the stop."""
        self.ask(command, threadId=1, **arguments)
        return self.wait("stopped")

    def ends(self) -> int:
        """Wait for the end of the program and return its exit code."""
        code: int = self.wait("exited")["exitCode"]
        self.wait("terminated")
        return code

    # ---- looking
    def frames(self, **arguments: Any) -> list[Body]:
        """Return the frames of the stop, from the top."""
        found: list[Body] = self.ask("stackTrace", threadId=1, **arguments)["stackFrames"]
        return found

    def top(self) -> Body:
        """Return the frame at the top."""
        return self.frames(startFrame=0, levels=1)[0]

    def scopes(self, frame: int | None = None) -> dict[str, int]:
        """Return the number of each scope of a frame, by default that at the top."""
        number = self.top()["id"] if frame is None else frame
        return {scope["name"]: scope["variablesReference"]
                for scope in self.ask("scopes", frameId=number)["scopes"]}

    def rows(self, scope: str, frame: int | None = None) -> dict[str, Body]:
        """Return the variables of a scope by their names."""
        found = self.ask("variables", variablesReference=self.scopes(frame)[scope])["variables"]
        return {row["name"]: row for row in found}

    def value(self, expression: str, frame: int | None = None) -> Any:
        """Return the value of an expression, an array or a number."""
        number = self.top()["id"] if frame is None else frame
        text = self.ask("evaluate", expression=expression, frameId=number, context="clipboard")["result"]
        return eval(text, {"array": np.array, "nan": np.nan, "inf": np.inf, "np": np})

    def array(self, row: Body) -> NDArray[Any]:
        """Return the array of a row, read by expanding it down to its numbers."""
        if not row["variablesReference"]:
            return np.array(float(row["value"]))
        rows = self.ask("variables", variablesReference=row["variablesReference"])["variables"]
        return np.array([self.array(one) for one in rows])
