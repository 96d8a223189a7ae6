"""Parts of the debug adapter by themselves: framing of messages, values as rows, breakpoints in derivatives."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.debugger.adapter.messages import MOST_BYTES, MalformedMessage, Reader, Writer
from minigrad.debugger.adapter.variables import MOST_ROWS, Item, Variables, full_text, value_text
from minigrad.debugger.breakpoints import parse
from minigrad.debugger.evaluation import CommandError
from minigrad.debugger.timeline import Timeline
from minigrad.debugger.walk import Walk


class Pipe:
    """A pipe with a reader of messages at its end."""

    def __init__(self) -> None:
        receiving, self.sending = os.pipe()
        self.reader = Reader(receiving)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        os.write(self.sending, data)

    def close(self) -> None:
        """Close the sending end."""
        os.close(self.sending)
        self.sending = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    found = Pipe()
    yield found
    os.close(found.reader.descriptor)
    if found.sending >= 0:
        os.close(found.sending)


def framed(message: Any) -> bytes:
    """Return a message with its header."""
    body = json.dumps(message).encode()
    return f"Content-Length: {len(body)}\r\n\r\n".encode() + body


# ---- messages
def test_messages_are_read_one_by_one_however_they_arrive(pipe: Pipe) -> None:
    first, second = {"seq": 1, "text": "ä € 𝄞"}, {"seq": 2, "long": "x" * 5000}
    data = framed(first) + b"Content-Type: x\r\ncontent-length: 12\r\n\r\n" + b'{"seq": 1.5}' + framed(second)
    for i in range(0, len(data), 7):
        pipe.send(data[i:i + 7])
    assert [pipe.reader.read() for _ in range(3)] == [first, {"seq": 1.5}, second]
    pipe.close()
    assert pipe.reader.read() is None


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"no header\r\n\r\n", b"Content-Length: -1\r\n\r\n", b"Content-Length: 1e3\r\n\r\n",
    b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", f"Content-Length: {MOST_BYTES + 1}\r\n\r\n".encode(),
    b"Content-Length: 2\r\n\r\n[]", b"Content-Length: 1\r\n\r\n{", b"Content-Length: 0\r\n\r\n",
    b"Content-Length: 2\r\n\r\n\xff\xff", b"Content-Length: 60000\r\n\r\n" + b"[" * 60000])
def test_what_follows_a_malformed_message_is_read(pipe: Pipe, data: bytes) -> None:
    pipe.send(data)
    with pytest.raises(MalformedMessage):
        pipe.reader.read()
    pipe.send(framed({"seq": 1}))
    assert pipe.reader.read() == {"seq": 1}


@pytest.mark.parametrize("rubbish", [b"rubbish without an end", b"Content-Length: 3\r\nbroken "])
def test_bytes_before_a_header_are_skipped(pipe: Pipe, rubbish: bytes) -> None:
    pipe.send(rubbish + framed({"seq": 1}))
    assert pipe.reader.read() == {"seq": 1}


def test_bytes_without_end_do_not_fill_the_memory(pipe: Pipe) -> None:
    for _ in range(3):
        for _ in range(2):
            pipe.send(b"x" * 40000)
            if len(pipe.reader.buffer) < 40000:
                assert pipe.reader._receive()
        with pytest.raises(MalformedMessage, match="no message"):
            pipe.reader.read()
        assert len(pipe.reader.buffer) < 40000
    pipe.send(framed({"seq": 1}))
    assert pipe.reader.read() == {"seq": 1}


def test_the_end_in_the_middle_of_a_message(pipe: Pipe) -> None:
    pipe.send(framed({"seq": 1})[:-3])
    pipe.close()
    assert pipe.reader.read() is None


def test_written_messages_are_numbered(pipe: Pipe) -> None:
    writer = Writer(pipe.sending)
    writer.event("output", output="ä\udc80")
    writer.refuse({"seq": 7, "command": "goto"}, "not\nhere {x}")
    assert pipe.reader.read() == {"seq": 1, "type": "event", "event": "output", "body": {"output": "ä\udc80"}}
    refusal = pipe.reader.read()
    assert refusal is not None
    assert (refusal["seq"], refusal["request_seq"], refusal["success"], refusal["message"]) == (
        2, 7, False, "not here {x}")


# ---- values
class Unprintable:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(("value", "text"), [
    (np.array([3.0, 4.0]), "norm 5.0e+00  (2,)  [3, 4]"),
    (np.zeros((2, 3), np.float32), "norm 0  (2, 3) float32  [0, 0, 0, 0, …]"),
    (np.array([np.nan, np.inf, -np.inf]), "norm nan  (3,)  1 NaN, 2 infinite  [nan, inf, -inf]"),
    (np.full(5, 1e200), "norm 2.2e+200  (5,)  [1e+200, 1e+200, 1e+200, 1e+200, …]"),
    (np.array([1, 2]), "norm 2.2e+00  (2,) int64  [1, 2]"), (np.array([True]), "(1,) bool  [True]"),
    (np.array(["a"]), "(1,) <U1  [a]"), (np.zeros((0, 2)), "norm 0  (0, 2)  []"),
    (np.array(0.1), "0.1"), (np.float32(0.1), "0.1"), (3, "3"), (None, "None"), ("a\nb", r"'a\nb'"),
    (Unprintable(), "<Unprintable; its repr raises RuntimeError>"), ("x" * 500, "'" + "x" * 198 + "…")])
def test_values_are_one_short_line(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_a_tensor_shows_data_and_gradient_and_nothing_is_recorded() -> None:
    w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    before = mg.Tensor(0.0).order
    variables = Variables()
    row = variables.row(Item("w", w, "w"))
    assert row["value"] == "w (2,)  norm 2.2e+00  (2,)  [1, 2]"
    rows = variables.rows(row["variablesReference"])
    assert [(one["name"], one["evaluateName"], one["value"]) for one in rows] == [
        ("data", "w.data", "norm 2.2e+00  (2,)  [1, 2]"), ("grad", "w.grad", "none")]
    assert mg.Tensor(0.0).order == before + 1


def test_arrays_expand_by_rows_down_to_numbers_in_parts() -> None:
    array = np.arange(6000.0).reshape(2000, 3)
    variables = Variables()
    row = variables.row(Item("a", array, "a"))
    assert row["indexedVariables"] == 2000
    part = variables.rows(row["variablesReference"], 500, 100, "indexed")
    assert [part[0]["name"], part[-1]["evaluateName"], len(part)] == ["[500]", "a[599]", 100]
    numbers = variables.rows(part[0]["variablesReference"])
    assert [one["value"] for one in numbers] == ["1500.0", "1501.0", "1502.0"]
    assert not any(one["variablesReference"] for one in numbers)
    whole = variables.rows(row["variablesReference"])
    assert len(whole) == MOST_ROWS + 1 and whole[-1]["value"] == "1,000 more"
    assert variables.rows(row["variablesReference"], 0, 0, "named") == []


def test_dicts_lists_and_attributes_expand() -> None:
    variables = Variables()

    def expanded(value: Any) -> list[tuple[str, str, str]]:
        reference = variables.row(Item("v", value, "v"))["variablesReference"]
        return [(one["name"], one["value"], one["evaluateName"]) for one in variables.rows(reference)]

    assert expanded({"a": 1}) == [("'a'", "1", "v['a']")]
    assert expanded([1, (2,)]) == [("[0]", "1", "v[0]"), ("[1]", "(2,)", "v[1]")]
    assert expanded(mg.ops.Sum(axis=1))[0] == ("axis", "1", "v.axis")
    assert variables.row(Item("f", len))["variablesReference"] == 0
    assert variables.row(Item("c", Unprintable))["variablesReference"] == 0


def test_numbers_of_rows_are_never_used_again() -> None:
    variables = Variables()
    old = variables.row(Item("a", np.ones(2)))["variablesReference"]
    variables.clear()
    new = variables.row(Item("b", np.ones(3)))["variablesReference"]
    assert new != old
    with pytest.raises(CommandError, match="moved on"):
        variables.rows(old)


def test_copied_values_have_all_elements_and_digits() -> None:
    array = np.random.default_rng(0).normal(size=(300, 5))
    np.testing.assert_array_equal(eval(full_text(array), {"array": np.array}), array)
    assert full_text(mg.Tensor([0.1])) == "array([0.1])"


# ---- breakpoints at lines of derivatives
def line_of(text: str) -> int:
    """Return the number of the line of ops.py with this text."""
    lines = Path(mg.ops.__file__).read_text("utf-8").splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if text in line]
    return number


TANH = line_of("return grad * (1 - out * out)")


def some_loss() -> mg.Tensor:
    w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    return (np.tanh(np.tanh(w)) + np.exp(w)).sum()


def test_a_line_of_a_derivative_stops_at_each_step_that_runs_it() -> None:
    place = parse(f"ops.py:{TANH}")
    walk = Walk(some_loss(), breakpoints=[place])
    place.check(walk.timeline)
    stops = [walk.forward() for _ in range(2)]
    assert [stop.step.operation for stop in stops if stop.step] == ["tanh", "tanh"]
    assert stops[0].reasons == (f"line ops.py:{TANH} of Tanh.backward",)
    walk.forward()
    assert walk.timeline.finished


def test_a_line_of_a_branch_stops_only_where_it_runs() -> None:
    class Branch(mg.Op):
        def forward(self, x: Any) -> Any:
            return x

        def backward(self, grad: Any, out: Any, x: Any) -> Any:
            if x[0] > 0:
                return grad  # positive
            return -grad

    a, b = (mg.Tensor([value], requires_grad=True, name=name) for name, value in (("a", 1.0), ("b", -1.0)))
    loss = (mg.apply(Branch(), a) + mg.apply(Branch(), b)).sum()
    lines = Path(__file__).read_text("utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.endswith("# positive"))
    stop = (walk := Walk(loss, breakpoints=[parse(f"{__file__}:{number}")])).forward()
    assert stop.step is not None and stop.step.inputs[0].name == "a"
    walk.forward()
    assert walk.timeline.finished


def test_a_line_of_a_derivative_that_no_step_has_is_unknown() -> None:
    place = parse(f"ops.py:{TANH}")
    with pytest.raises(CommandError, match="no operation of this pass was computed in ops"):
        place.check(Timeline(mg.Tensor([1.0], requires_grad=True).sum()))


def test_breakpoints_may_change_while_a_pass_runs() -> None:
    places = [parse("op tanh")]
    walk = Walk(some_loss(), breakpoints=places)

    def clear() -> bool:
        places.clear()
        return False

    walk.interrupted = clear
    walk.forward()
    assert walk.timeline.finished


def test_expressions_see_further_names() -> None:
    walk = Walk(some_loss())
    walk.forward(1)
    assert walk.evaluator.evaluate("inner + grad", local={"inner": 2}) == 3.0
    walk.evaluator.execute("mine = inner", local={"inner": 4})
    assert walk.evaluator.evaluate("mine") == 4


def test_text_streams_send_events(pipe: Pipe) -> None:
    from minigrad.debugger.adapter.streams import OutputEvents

    stream = io.TextIOWrapper(io.BufferedWriter(OutputEvents(Writer(pipe.sending), "stdout", 1)), "utf-8",
                              line_buffering=True)
    print("one", "two", file=stream)
    stream.buffer.write("ä".encode()[:1])
    stream.flush()
    stream.buffer.write("ä".encode()[1:])
    stream.flush()
    texts = [message["body"]["output"] for message in (pipe.reader.read(), pipe.reader.read()) if message]
    assert texts == ["one two\n", "ä"]
    assert stream.fileno() == 1 and not stream.isatty()
