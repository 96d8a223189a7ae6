"""The process that the editor starts: passes messages between the editor and the program, and looks after the latter.

One loop handles everything that happens, in order: a message of the editor, one of the program, bytes on the program's
standard error, its end. Threads only wait for these and put them into a queue.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .messages import MalformedMessage, Message, Reader, Writer, private_descriptors, send

MOST_WAITING = 1000  # things that have happened and wait for the loop; then the threads wait
SECONDS_TO_QUIT = 2.0  # for a program that was asked to end, before it is made to
SECONDS_TO_END = 2.0  # for one that was sent SIGTERM, before it is killed
SECONDS_OF_OUTPUT = 1.0  # after its end; child processes may hold its standard error open for longer

CAPABILITIES = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsExceptionFilterOptions": True,
    "supportsExceptionInfoRequest": True,
    "supportsStepBack": True,
    "supportsRestartFrame": True,
    "supportsGotoTargetsRequest": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsEvaluateForHovers": True,
    "supportsClipboardContext": True,
    "supportsCompletionsRequest": True,
    "supportsSetVariable": True,  # so that the editor asks, and shows why it can't
    "supportsTerminateRequest": True,
    "supportTerminateDebuggee": True,
    "supportsValueFormattingOptions": False,
    "exceptionBreakpointFilters": [
        {"filter": "error", "label": "Errors in derivatives", "default": True,
         "description": "Stop before an error that a derivative raises reaches the program."},
        {"filter": "nan", "label": "NaN", "default": True, "supportsCondition": True,
         "description": "Stop where a NaN first appears, in the forward data or in a gradient."},
        {"filter": "inf", "label": "Infinity", "default": True, "supportsCondition": True,
         "description": "Stop where an infinity first appears in a gradient."},
        {"filter": "zero", "label": "Vanished gradients", "default": False, "supportsCondition": True,
         "description": "Stop where a contribution is exactly zero and the upstream gradient isn't."},
        {"filter": "exploding", "label": "Exploding gradients", "default": False, "supportsCondition": True,
         "description": "Stop where the norm of a gradient first exceeds 1000 times that of the loss."},
    ],
}


class Refusal(ValueError):
    """A request that can't be met; the message is one line for the user."""


class Front:
    """Passes messages between an editor and a program.

    Attributes:
        events: pairs of a method that handles what has happened, and its argument.
        program: the process of the program; None before the launch, and after its end.
        begun: whether the program has accepted the launch.
        waiting: the requests that were passed on to the program and that it hasn't answered, by number.
        refusal: the answer of a program that can't be launched.
        deadline: when a program that was asked to end is made to; None if it wasn't.
        done: whether the editor has gone, or has ended the session.
    """

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self.reader = reader
        self.writer = writer
        self.events: queue.Queue[tuple[Callable[[Any], None], Any]] = queue.Queue(MOST_WAITING)
        self.program: Program | None = None
        self.begun = False
        self.waiting: dict[Any, Message] = {}
        self.refusal: Message | None = None
        self.deadline: float | None = None
        self.done = False

    def run(self) -> None:
        """Handle everything that happens, until the editor ends the session or goes away. Then no program runs."""
        start_thread(self._read_editor)
        try:
            while not self.done:
                self._handle_next()
        except (OSError, KeyboardInterrupt):  # the editor has gone
            pass
        finally:
            if self.program is not None:
                self.program.end()

    def _handle_next(self) -> None:
        timeout = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        try:
            handle, argument = self.events.get(timeout=timeout)
        except queue.Empty:
            self._end_program()
        else:
            handle(argument)

    # ---- the editor
    def _read_editor(self) -> None:
        message: Message | MalformedMessage | None = {}
        while message is not None:
            try:
                message = self.reader.read()
            except MalformedMessage as error:
                message = error
            self.events.put((self._from_editor, message))

    def _from_editor(self, message: Message | MalformedMessage | None) -> None:
        if message is None:
            self.done = True
        elif isinstance(message, MalformedMessage):
            self.writer.output(f"The debug adapter has received {message}\n", "stderr")
        elif message.get("type", "request") == "request":
            self._request(message)

    def _request(self, request: Message) -> None:
        own = {"initialize": self._initialize, "launch": self._launch, "attach": self._attach,
               "disconnect": self._disconnect, "terminate": self._terminate}
        command = request.get("command")
        try:
            if not isinstance(command, str) or not isinstance(request.get("seq"), int):
                raise Refusal("a request has a number 'seq' and a text 'command'")
            if not isinstance(request.setdefault("arguments", {}) or {}, dict):
                raise Refusal(f"the arguments of {command!r} are no JSON object")
            if command in own:
                own[command](request)
            elif self.program is None:
                raise Refusal(f"{command!r}: no program is running; the request 'launch' starts one")
            else:
                self._pass_on(request)
        except Refusal as refusal:
            self.writer.refuse(request, str(refusal))

    def _pass_on(self, request: Message) -> None:
        assert self.program is not None
        self.waiting[request["seq"]] = request
        self.program.send(request)

    def _initialize(self, request: Message) -> None:
        given = request["arguments"] or {}
        if given.get("linesStartAt1", True) is not True or given.get("columnsStartAt1", True) is not True:
            raise Refusal("lines and columns are counted from 1 here; the editor asks for others")
        if given.get("pathFormat", "path") != "path":
            raise Refusal(f"files are named by their paths here; the editor asks for {given['pathFormat']!r}")
        self.writer.answer(request, CAPABILITIES)

    def _attach(self, request: Message) -> None:
        raise Refusal("a program that runs already can't be debugged: use a launch configuration")

    def _launch(self, request: Message) -> None:
        if self.program is not None:
            raise Refusal("a program is running already")
        self.program = Program(request["arguments"] or {}, self)
        self._pass_on(request)

    def _disconnect(self, request: Message) -> None:
        self.waiting.clear()
        if self.program is not None:
            self.program.end()
        while self.program is not None:  # its last output, and its exit code
            handle, argument = self.events.get()
            handle(argument)
        self.writer.answer(request)
        self.done = True

    def _terminate(self, request: Message) -> None:
        self.writer.answer(request)
        if self.program is not None:
            self.program.send(request)
            self.deadline = time.monotonic() + SECONDS_TO_QUIT

    # ---- the program
    def from_program(self, message: Message) -> None:
        """Pass a message of the program on to the editor."""
        if message.get("type") == "response":
            request = self.waiting.pop(message.get("request_seq"), None)
            if request is None:  # the editor has its answer
                return
            if request["command"] == "launch":
                self.begun = message.get("success") is True
                if not self.begun:  # told when its process has ended: then the editor may launch again
                    self.refusal = message
                    return
        self.writer.write(message)

    def bytes_from_program(self, text: str) -> None:
        """Show what C code and child processes of the program have printed."""
        self.writer.output(text, "stderr")

    def ended(self, code: int) -> None:
        """Tell the editor how the program has ended."""
        assert self.program is not None
        if self.deadline is not None:  # the editor has asked for its end
            self.program.signal("SIGKILL")
        python, self.program, self.deadline = self.program.python, None, None
        if not self.begun and code >= 0:
            problem = (f"{python} has ended with exit code {code} before the program began. It must be Python with "
                       "minigrad installed: run '-m pip install minigrad-rnn' with it, or name another interpreter as "
                       "'python' in the launch configuration")
        else:
            problem = "the program has ended"
        if self.refusal is not None:
            self.writer.write(self.refusal)
            self.refusal = None
        for request in self.waiting.values():
            self.writer.refuse(request, problem)
        self.waiting.clear()
        if code < 0:
            self.writer.output(f"The program was ended by {_signal_name(-code)}.\n", "stderr")
        if self.begun:
            self.writer.event("exited", exitCode=code if code >= 0 else 128 - code)
            self.writer.event("terminated")
        self.begun = False

    def _end_program(self) -> None:
        self.deadline = None
        if self.program is not None:
            self.program.end()


class Program:
    """The process of the program, its messages and its standard error.

    Args:
        options: the arguments of the launch request.
        front: whose methods are told of messages, of other output and of the end.
    """

    def __init__(self, options: Message, front: Front) -> None:
        self.front = front
        self.python = options.get("python") or sys.executable
        folder = options.get("cwd") or os.getcwd()
        changes = options.get("env") or {}
        if not isinstance(self.python, str) or not isinstance(folder, str):
            raise Refusal("'python' and 'cwd' of the launch configuration are texts")
        if not isinstance(changes, dict) or not all(isinstance(x, (str, type(None))) for x in changes.values()):
            raise Refusal("'env' of the launch configuration is an object of texts; null removes a variable")
        if not os.path.isdir(folder):
            raise Refusal(f"'cwd' of the launch configuration: there is no folder {folder!r}")
        environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
        try:
            self.process = subprocess.Popen(
                [self.python, "-m", "minigrad.debugger.adapter.debuggee"], bufsize=0, cwd=folder, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True)  # it leads a process group, so that its child processes end with it
        except (OSError, ValueError) as error:
            raise Refusal(f"{self.python!r} can't be started ({error}): name a Python interpreter in which minigrad "
                          "is installed as 'python' in the launch configuration") from None
        assert self.process.stdin is not None
        self.requests = self.process.stdin.fileno()
        readers = [start_thread(self._read_messages), start_thread(self._read_bytes)]
        start_thread(self._wait, readers)

    def send(self, message: Message) -> None:
        """Send it a message; one that has ended gets none."""
        with contextlib.suppress(OSError):
            send(self.requests, message)

    def end(self) -> None:
        """End it and its child processes, and wait for its end."""
        self.signal("SIGTERM")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)
        self.signal("SIGKILL")
        self.process.wait()

    def signal(self, name: str) -> None:
        """Send a signal to its process group; on Windows, which has none, end the process itself."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):  # all have ended
                os.killpg(self.process.pid, getattr(signal, name))
        else:
            self.process.terminate()

    def _read_messages(self) -> None:
        assert self.process.stdout is not None
        reader = Reader(self.process.stdout.fileno())
        while True:
            try:
                message = reader.read()
            except MalformedMessage:
                continue
            if message is None:
                return
            self.front.events.put((self.front.from_program, message))

    def _read_bytes(self) -> None:
        assert self.process.stderr is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := os.read(self.process.stderr.fileno(), 1 << 16):
            if text := decoder.decode(data):
                self.front.events.put((self.front.bytes_from_program, text))

    def _wait(self, readers: list[threading.Thread]) -> None:
        code = self.process.wait()
        limit = time.monotonic() + SECONDS_OF_OUTPUT
        for reader in readers:
            reader.join(max(0.0, limit - time.monotonic()))
        self.front.events.put((self.front.ended, code))


def start_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    """Run a function in a thread that doesn't keep the process alive."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def main() -> int:
    """Serve an editor on standard input and output; return the exit code."""
    reading, writing = private_descriptors()
    Front(Reader(reading), Writer(writing)).run()
    return 0
