"""The debugger in the program's process: answers the editor's requests, in each backward pass and between them.

A thread receives the requests. While a pass is stopped it hands them to the thread of the pass, which answers them;
while the program runs it answers those that need no stop itself, and refuses the others.
"""

from __future__ import annotations

import bdb
import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from minigrad.debugger.breakpoints import AtLine
from minigrad.debugger.evaluation import CommandError
from minigrad.debugger.passes import Passes
from minigrad.debugger.walk import Cause, Stop, Walk
from minigrad.interactive.pictures import drawing_function

from . import expressions
from .messages import Message, Reader, Writer
from .places import Pass, Places
from .stack import Stack, frame_name
from .streams import flush_output
from .variables import Variables

THREAD = 1  # the only one
MOST_TARGETS = 200  # that an editor offers to go to
SECONDS_TO_QUIT = 1.0  # for a program whose editor has gone
NO_CHANGE = ("a recorded backward pass can't be changed: its steps have run, and stepping back restores what they saw; "
             "change the data in the program and run it again")

Event = dict[str, Any]  # the body of a `stopped` event
Move = Callable[[], "Event | None"]  # moves through the pass; None: the pass may end


class Session(Passes):
    """A debugger that an editor drives.

    Attributes:
        configured: set when the editor has set its breakpoints and the program may begin.
        stop_on_entry: whether the first pass stops at its start; None: if it can meet no breakpoint.
        debugging: False for a program that is to run without stops.
        quitting: whether the program is to end.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer
        self.places = Places(self.breakpoints)
        self.variables = Variables()
        self.configured = threading.Event()
        self.stop_on_entry: bool | None = None
        self.debugging = True
        self.quitting = False
        self._pausing = False
        self._steps_on = False  # a step has left a pass: the next one stops at its start
        self._stopped = False
        self._requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()  # for the thread that is stopped
        self._lock = threading.RLock()  # held while the state changes between stopped and running
        self._stack: Stack | None = None  # of the pass in progress
        self._event: Event = {}  # of the last stop
        self._error: Exception | None = None  # that stopped the pass
        self._picture: Any = None  # of the pass in progress, once it was asked for
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.uninstall)  # the editor's requests reach the parent process alone

    def say(self, text: str) -> None:
        """Show a line in the editor's console."""
        self.writer.output(text + "\n")

    # ---- receiving
    def serve(self, reader: Reader) -> None:
        """Receive requests until the front has gone; then the program ends."""
        with contextlib.suppress(OSError):  # answers can't be sent
            while (request := reader.read()) is not None:
                self._receive(request)
        self._quit()
        time.sleep(SECONDS_TO_QUIT)
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # with its child processes
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    def _receive(self, request: Message) -> None:
        command = request["command"]
        if command == "terminate":
            self._quit()
            return
        with self._lock:
            if self._stopped:
                self._requests.put(request)
            else:
                self._answer_while_running(request)

    def _quit(self) -> None:
        with self._lock:
            self.quitting = True
            self.configured.set()
            self._requests.put(None)

    def _answer_while_running(self, request: Message) -> None:
        command = request["command"]
        if command in ANY_TIME:
            self._answer(request, ANY_TIME[command])
        elif command in AT_A_STOP or command in MOVES or command in JUMPS:
            self.writer.refuse(request, f"{command!r}: the program is running; this is answered where a backward pass "
                                        "is stopped")
        else:
            self._refuse_unknown(request)

    def _refuse_unknown(self, request: Message) -> None:
        self.writer.refuse(request, f"this debugger has no request {request['command']!r}")

    def _answer(self, request: Message, handle: Callable[[Session, Message], Any]) -> Any:
        """Answer a request by a method; return its result, or None if it was refused."""
        try:
            result = handle(self, request.get("arguments") or {})
        except CommandError as error:
            self.writer.refuse(request, str(error))
        except Exception as error:  # arguments of another type, a graph that can't be drawn
            self.writer.refuse(request, f"{request['command']}: {type(error).__name__}: {error}")
        else:
            self.writer.answer(request, None if callable(result) else result)
            return result
        return None

    # ---- a pass
    def stops_at_start(self) -> bool:
        """Return whether the pass that begins stops at its start."""
        if not self.debugging or self.running:
            return False
        return (self._steps_on or self._pausing or (not self.passes and self.stop_on_entry is True)
                or self.starts_by_breakpoint())

    def watches(self) -> bool:
        """Return whether a pass that doesn't stop at its start may stop later."""
        return self.debugging and (bool(self.breakpoints) or self.places.stops_at_errors or self._is_default_entry())

    def _is_default_entry(self) -> bool:
        return self.stop_on_entry is None and self.passes == 1

    def debug(self, walk: Walk, stop: bool) -> None:
        """Run a pass to its end, with stops."""
        if not self.debugging:  # set_trace() in a program that is to run without stops
            for _ in walk.timeline.run():
                pass
            return
        walk.interrupted = self._interrupted
        self._stack = Stack(walk, self.caller)
        self._picture = None
        try:
            with self._lock:
                self._bind(walk)
            stop = stop or (self._is_default_entry() and not self.places.verified)
            event: Event | None = self._start_event(walk, stop)
            move: Move = self._wait(event) if event else self._continue
            while (event := move()) is not None:
                move = self._wait(event)
        finally:
            self._resume()  # also after an interrupt at a stop
            self._stack = None

    def _bind(self, walk: Walk) -> None:
        """Check every breakpoint in a pass that begins, and tell the editor of those that have changed."""
        for place in self.places.all():
            if place.bind(walk, self.caller):
                self.writer.event("breakpoint", reason="changed", breakpoint=place.description())

    def _interrupted(self) -> bool:
        return self._pausing or self.quitting

    def _wait(self, event: Event) -> Move:
        """Stop: tell the editor, and answer its requests until one of them moves on."""
        flush_output()
        with self._lock:
            self._stopped, self._pausing, self._event = True, False, event
        self.writer.event("stopped", threadId=THREAD, allThreadsStopped=True, **event)
        while True:
            request = self._requests.get()
            if request is None or self.quitting:
                raise bdb.BdbQuit
            move = self._answer_at_stop(request)
            if move is not None:
                self._resume()
                return move

    def _answer_at_stop(self, request: Message) -> Move | None:
        command = request["command"]
        if command in MOVES:
            self.writer.answer(request)
            return partial(MOVES[command], self)
        if command in JUMPS:
            move: Move | None = self._answer(request, JUMPS[command])
            return move
        if command in ANY_TIME or command in AT_A_STOP:
            self._answer(request, ANY_TIME.get(command) or AT_A_STOP[command])
        else:
            self._refuse_unknown(request)
        return None

    def _resume(self) -> None:
        """Run on; requests that have come since are answered as those that come while the program runs."""
        self.variables.clear()
        with self._lock:
            self._stopped = False
            while not self._requests.empty():
                request = self._requests.get()
                if request is not None:
                    self._answer_while_running(request)

    # ---- why a pass stops
    def _start_event(self, walk: Walk, stop: bool) -> Event | None:
        """Return the event for the start of a pass; None if it doesn't stop there. Breakpoints at its line stop it."""
        found = [(place.number, *place.starts(walk)) for place in self.places.all() if place.is_at(self.caller)]
        for message in [message for _, _, message in found if message]:
            self.say(message)
        hits = [number for number, stops, _ in found if stops]
        reason = ("breakpoint" if hits else "pause" if self._pausing else "step" if self._steps_on else "entry")
        self._steps_on = False
        event = {"reason": reason, "description": f"Start of backward pass {self.passes}", "hitBreakpointIds": hits}
        return event if stop or hits else None

    def _stopped_by(self, stop: Stop) -> Event | None:
        """Return the event for the end of a move; None if the pass may end."""
        stack = self._current_stack()
        stack.moved()
        self._error = None
        for message in stop.messages:
            self.say(message)
        if self.quitting:
            raise bdb.BdbQuit
        if stop.cause is Cause.BREAKPOINT:
            return self._hit_event(stop, stack)
        if stop.error is not None and self.places.stops_at_errors:
            return self._error_event(stop.error)
        if stop.cause is Cause.ERROR:
            return None
        if stop.cause is Cause.INTERRUPT:
            return {"reason": "pause", "description": _position(self.walk)}
        return {"reason": "step", "description": _position(self.walk)}

    def _error_event(self, error: Exception) -> Event:
        self._error = error
        return {"reason": "exception", "description": f"{type(error).__name__} in a derivative", "text": str(error)}

    def _hit_event(self, stop: Stop, stack: Stack) -> Event:
        """Return the event for breakpoints; a line of a derivative shows its frame."""
        numbers = [hit.breakpoint.number for hit in stop.hits]
        wanted = {key for number in numbers if (own := self.places.by_number(number)) for key in own.wanted}
        reason = ("exception" if "filterId" in wanted else "function breakpoint" if "name" in wanted else "breakpoint")
        event = {"reason": reason, "description": _position(self.walk), "text": "; ".join(stop.reasons),
                 "hitBreakpointIds": numbers}
        for place, _ in stop.hits:
            if isinstance(place, AtLine) and stop.step is not None and not place.contains(stop.step.step):
                stack.enter(place.line_in_derivative(stop.step.step))  # the frame that the line belongs to
        return event

    # ---- requests that go to a position
    def _goto(self, arguments: Message) -> Move:
        return self._going_to(arguments["targetId"], "goto")

    def _goto_step(self, arguments: Message) -> Move:
        return self._going_to(arguments["step"], "goto")

    def _restart_frame(self, arguments: Message) -> Move:
        return self._going_to(self._current_stack().record(arguments["frameId"]).number, "restart")

    def _going_to(self, number: Any, reason: str) -> Move:
        count = self.walk.count
        if type(number) is not int or not 0 <= number <= count:
            raise CommandError(f"there is no step {number!r}: steps are 1 to {count}, 0 is the start")
        return partial(self._go_to, number, reason)

    # ---- moves
    def _step_over(self) -> Event | None:
        stack = self._current_stack()
        if stack.derivative:
            return self._move_line(stack, +1)
        if self._at_end():
            self._steps_on = True
            return None
        return self._stopped_by(self.walk.forward(1))

    def _step_inside(self) -> Event | None:
        stack = self._current_stack()
        if stack.derivative:
            return self._move_line(stack, +1)
        if not stack.passed and stack.enter():
            return self._line_event(stack)
        event = self._step_over()
        return self._line_event(stack) if event and event["reason"] == "step" and stack.enter() else event

    def _to_end_of_time(self) -> Event | None:
        stack = self._current_stack()
        if stack.derivative:
            stack.leave(passed=True)
            return self._line_event(stack)
        if self._at_end():
            self._steps_on = True
            return None
        return self._stopped_by(self.walk.to_end_of_time())

    def _step_backwards(self) -> Event | None:
        stack = self._current_stack()
        return self._move_line(stack, -1) if stack.derivative else self._stopped_by(self.walk.back(1))

    def _continue(self) -> Event | None:
        if self._at_end():
            return None
        stop = self.walk.forward()
        event = self._stopped_by(stop)
        return None if stop.cause is Cause.END else event

    def _back(self) -> Event | None:
        return self._stopped_by(self.walk.back())

    def _go_to(self, number: int, reason: str) -> Event | None:
        event = self._stopped_by(self.walk.goto(number))
        return {**event, "reason": reason} if event and event["reason"] == "step" else event

    def _at_end(self) -> bool:
        return self.walk.timeline.finished or self.walk.timeline.failed

    def _move_line(self, stack: Stack, distance: int) -> Event:
        stack.move_line(distance)
        return self._line_event(stack)

    def _line_event(self, stack: Stack) -> Event:
        return {"reason": "step", "description": stack.derivative.name if stack.derivative else _position(self.walk)}

    # ---- requests at any time
    def _set_lines(self, arguments: Message) -> Message:
        return self.places.set_lines(arguments, self._pass())

    def _set_names(self, arguments: Message) -> Message:
        return self.places.set_names(arguments, self._pass())

    def _set_filters(self, arguments: Message) -> Message:
        return self.places.set_filters(arguments, self._pass())

    def _pass(self) -> Pass:
        return (self._stack.walk, self.caller) if self._stack is not None else None

    def _configuration_done(self, arguments: Message) -> None:
        self.configured.set()

    def _threads(self, arguments: Message) -> Message:
        name = f"backward pass {self.passes}, called at {self.caller}" if self._stack is not None else "program"
        return {"threads": [{"id": THREAD, "name": name}]}

    def _pause(self, arguments: Message) -> None:
        self._pausing = not self._stopped
        if self._stack is None:
            self.say("the program is in no backward pass now: it stops at the start of the next one")

    def _set_variable(self, arguments: Message) -> None:
        raise CommandError(NO_CHANGE)

    # ---- requests at a stop
    def _current_stack(self) -> Stack:
        assert self._stack is not None
        return self._stack

    def _stack_trace(self, arguments: Message) -> Message:
        return self._current_stack().frames(arguments.get("startFrame") or 0, arguments.get("levels") or 0)

    def _scopes(self, arguments: Message) -> Message:
        return {"scopes": self._current_stack().scopes(arguments["frameId"], self.variables)}

    def _variables(self, arguments: Message) -> Message:
        return {"variables": self.variables.rows(arguments["variablesReference"], arguments.get("start") or 0,
                                                 arguments.get("count") or 0, arguments.get("filter"))}

    def _evaluate(self, arguments: Message) -> Message:
        return expressions.evaluate(arguments, self._current_stack(), self.variables)

    def _completions(self, arguments: Message) -> Message:
        return expressions.completions(arguments, self._current_stack())

    def _exception_info(self, arguments: Message) -> Message:
        if self._event.get("reason") != "exception":
            raise CommandError("the pass wasn't stopped by an exception filter")
        if self._error is None:
            kinds = [place.wanted["filterId"] for number in self._event["hitBreakpointIds"]
                     if (place := self.places.by_number(number)) is not None and "filterId" in place.wanted]
            return {"exceptionId": ", ".join(kinds), "description": self._event["text"], "breakMode": "always"}
        lines = "".join(traceback.format_exception_only(self._error)).strip()
        return {"exceptionId": type(self._error).__name__, "description": str(self._error), "breakMode": "always",
                "details": {"message": str(self._error), "typeName": type(self._error).__name__, "stackTrace": lines}}

    def _goto_targets(self, arguments: Message) -> Message:
        place = AtLine(f"{os.path.abspath(arguments['source']['path'])}:{arguments['line']}")
        place.check(self.walk.timeline)
        found = [step for step in self.walk.timeline.steps if place.contains(step)]
        found.sort(key=lambda step: abs(step.number - self.walk.position))
        return {"targets": [{"id": step.number, "label": f"step {step.number}: {frame_name(self.walk.record(step))}",
                             "line": step.origin.line} for step in found[:MOST_TARGETS]]}

    def _graph(self, arguments: Message) -> Message:
        if self._picture is None:
            try:
                function = drawing_function("backward")
            except LookupError as error:
                raise CommandError(str(error)) from None
            self._picture = function(self.walk.timeline)
        state = {"pass": self.passes, "state": self._picture.state()}
        if arguments.get("pass") == self.passes:
            return state
        return {**state, "svg": self._picture.svg, "css": self._picture.css}


def _position(walk: Walk) -> str:
    """Return the position in a pass in words."""
    record = walk.current
    if record is None:
        return "Start of the backward pass"
    last = ", the last" if record.number == record.count else ""
    return f"Step {record.number} of {record.count}{last}: {frame_name(record)}"


ANY_TIME: dict[str, Callable[[Session, Message], Any]] = {
    "configurationDone": Session._configuration_done, "setBreakpoints": Session._set_lines,
    "setFunctionBreakpoints": Session._set_names, "setExceptionBreakpoints": Session._set_filters,
    "threads": Session._threads, "pause": Session._pause, "setVariable": Session._set_variable,
    "setExpression": Session._set_variable}
AT_A_STOP: dict[str, Callable[[Session, Message], Any]] = {
    "stackTrace": Session._stack_trace, "scopes": Session._scopes, "variables": Session._variables,
    "evaluate": Session._evaluate, "completions": Session._completions, "exceptionInfo": Session._exception_info,
    "gotoTargets": Session._goto_targets, "minigradGraph": Session._graph}
JUMPS: dict[str, Callable[[Session, Message], Move]] = {
    "goto": Session._goto, "restartFrame": Session._restart_frame, "minigradGoto": Session._goto_step}
MOVES: dict[str, Callable[[Session], Event | None]] = {
    "next": Session._step_over, "stepIn": Session._step_inside, "stepOut": Session._to_end_of_time,
    "stepBack": Session._step_backwards, "continue": Session._continue, "reverseContinue": Session._back}
