"""The debug adapter and the process of the program: every way to begin and to end, output, malformed messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from editor import ROOT, TIMEOUT, Editor, Gone

HEAD = """\
import os, sys
import numpy as np
import minigrad as mg

class Broken(mg.Op):
    def forward(self, x):
        return 2 * x

    def backward(self, grad, out, x):
        return self.act(grad)

    def act(self, grad):
        raise RuntimeError("this derivative is broken")

def loss(op=Broken()):
    w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    return mg.apply(op, w).sum()
"""


def write(folder: Path, body: str) -> Path:
    """Write a program and return its file."""
    file = folder / "program.py"
    file.write_text(HEAD + textwrap.dedent(body), encoding="utf-8")
    return file


def children_of(process: int) -> list[int]:
    """Return the processes that a process has started and that exist."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, parent in (line.split() for line in listed.splitlines()) if int(parent) == process]


def exists(process: int) -> bool:
    """Return whether there is a process with a number, a zombie included."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(process: int) -> None:
    """Wait until a process has ended. If its parent was killed, reaping it is the system's business."""
    limit = time.monotonic() + TIMEOUT
    state = ["ps", "-o", "stat=", "-p", str(process)]
    while not subprocess.run(state, capture_output=True, text=True).stdout.startswith(("Z", "")[not exists(process):]):
        assert time.monotonic() < limit, "the program still runs"
        time.sleep(0.02)


posix = pytest.mark.skipif(os.name != "posix", reason="looks at processes by ps")


# ---- several passes, output
def test_passes_prints_and_the_standard_streams(tmp_path: Path) -> None:
    program = write(tmp_path, """
        print("one", end="", flush=True)
        print("two", file=sys.stderr)
        sys.stdout.buffer.write("zwölf\\n".encode()[:3])
        sys.stdout.buffer.flush()
        sys.stdout.buffer.write("zwölf\\n".encode()[3:])
        w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        (w * w).sum().backward()
        print("three", w.grad)
        (w * w * w).sum().backward()
        print("read:", repr(sys.stdin.read()), sys.argv[1:], os.environ["GIVEN"], "TAKEN" in os.environ)
        print("folder", os.path.basename(os.getcwd()), __name__)
        os.write(1, b"from C\\n")
        """)
    folder = tmp_path / "folder"
    folder.mkdir()
    with Editor(TAKEN="1") as editor:
        editor.launch(program, cwd=str(folder), args=["a", "b c"], env={"GIVEN": "yes", "TAKEN": None})
        assert editor.wait("stopped")["description"] == "Start of backward pass 1"  # no breakpoint: it stops there
        assert editor.output("stdout", "stderr") == "onetwo\nzwölf\n"
        for _ in range(2):
            editor.move("next")
        assert editor.value("w.grad.tolist()") == [2.0, 4.0]
        stop = editor.move("next")  # beyond the last step: to the next pass
        assert (stop["reason"], stop["description"]) == ("step", "Start of backward pass 2")
        assert editor.output("stdout").endswith("three [2. 4.]\n")
        assert "backward pass 2, called at program.py" in editor.ask("threads")["threads"][0]["name"]
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0
        assert editor.output("stdout").endswith("read: '' ['a', 'b c'] yes False\nfolder folder __main__\n")
        assert "from C\n" in editor.output("stderr")
        events = [message["event"] for message in editor.history if message["type"] == "event"]
        assert events[-2:] == ["exited", "terminated"]
        assert "the program is running" not in editor.refused("stackTrace")
        editor.ask("disconnect")
        assert editor.process.wait(TIMEOUT) == 0


@pytest.mark.slow
def test_a_program_that_never_calls_backward(tmp_path: Path) -> None:
    with Editor() as editor:
        editor.launch(write(tmp_path, "print('nothing to do')"))
        assert editor.ends() == 0
        assert editor.output() == "nothing to do\nprogram.py has ended and never called backward()\n"


@pytest.mark.slow
def test_without_debugging_nothing_stops(tmp_path: Path) -> None:
    with Editor() as editor:
        editor.launch(write(tmp_path, "loss(mg.ops.Tanh()).backward()\nmg.set_trace(loss(mg.ops.Tanh()))"),
                      names=("op tanh",), noDebug=True, stopOnEntry=True)
        assert editor.ends() == 0


def test_breakpoints_are_checked_in_each_pass_and_pending_before(tmp_path: Path) -> None:
    program = write(tmp_path, """
        a = mg.Tensor([1.0], requires_grad=True, name="a")
        one = np.exp(a).sum()
        one.backward()
        two = np.tanh(a).sum()
        two.backward()
        two.backward()
        """)
    first, second = (HEAD.count("\n") + n for n in (3, 5))
    with Editor() as editor:
        editor.launch(program, {program: [{"line": first}, {"line": second}]}, names=("op tanh", "op cosh"))
        places = [message["body"]["breakpoints"] for message in editor.history if message.get("command")
                  in ("setBreakpoints", "setFunctionBreakpoints")]
        assert [place["verified"] for group in places for place in group] == [False] * 4
        assert {place["message"] for group in places for place in group} == {"checked when a backward pass begins"}
        numbers = [place["id"] for group in places for place in group]
        assert editor.wait("stopped")["hitBreakpointIds"] == numbers[:1]
        changes = [editor.wait("breakpoint")["breakpoint"] for _ in range(4)]
        assert [(place["id"], place["verified"]) for place in changes] == [
            (numbers[0], True), (numbers[1], False), (numbers[2], False), (numbers[3], False)]
        assert "lines with operations are" in changes[1]["message"]
        assert sorted(editor.move("continue")["hitBreakpointIds"]) == numbers[1:2]
        changes = [editor.wait("breakpoint")["breakpoint"] for _ in range(3)]
        assert [(place["id"], place["verified"]) for place in changes] == [
            (numbers[1], True), (numbers[2], True), (numbers[3], False)]
        editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op tanh"}, {"name": "op cosh"}])
        while editor.move("continue")["reason"] != "breakpoint" or "pass 3" not in str(editor.ask("threads")):
            pass
        assert "breakpoint" not in {message["event"] for message in editor.events}  # as in the pass before
        editor.ask("setBreakpoints", source={"path": str(program)}, breakpoints=[])
        editor.ask("setFunctionBreakpoints", breakpoints=[])
        editor.ask("continue", threadId=1)


@pytest.mark.slow
def test_pause_stops_at_a_step_of_a_pass(tmp_path: Path) -> None:
    program = write(tmp_path, """
        class Slow(mg.ops.Tanh):
            def backward(self, grad, out, x):
                if not os.path.exists("paused"):
                    print("in a derivative")
                while not os.path.exists("paused"):
                    pass
                return super().backward(grad, out, x)
        loss(Slow()).backward()
        """)
    with Editor() as editor:
        editor.launch(program, cwd=str(tmp_path), stopOnEntry=True)
        editor.wait("stopped")
        editor.ask("continue", threadId=1)
        while "in a derivative" not in editor.output("stdout"):
            editor.receive()
        assert "the program is running" in editor.refused("stackTrace")
        assert "the program is running" in editor.refused("next")
        assert editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "w"}])["breakpoints"][0]["verified"]
        editor.ask("setFunctionBreakpoints", breakpoints=[])
        assert editor.ask("threads")["threads"][0]["id"] == 1
        editor.ask("pause", threadId=1)
        (tmp_path / "paused").touch()
        assert editor.wait("stopped")["reason"] == "pause"
        assert editor.top()["name"].startswith("slow")
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0


@pytest.mark.slow
def test_without_a_breakpoint_that_it_can_meet_the_first_pass_stops_at_its_start(tmp_path: Path) -> None:
    program = write(tmp_path, "for _ in range(2):\n    loss(mg.ops.Tanh()).backward()")
    with Editor() as editor:
        editor.launch(program, {Path(__file__): [{"line": 1}]})
        assert editor.wait("stopped")["reason"] == "entry"
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0
    with Editor() as editor:
        editor.launch(program, names=("op tanh",))
        assert [editor.wait("stopped")["reason"], editor.move("continue")["reason"]] == ["function breakpoint"] * 2
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0


@pytest.mark.slow
# ---- exceptions
def test_exception_filters_name_the_first_nan_infinity_zero_and_explosion(tmp_path: Path) -> None:
    program = write(tmp_path, """
        class Times(Broken):
            def __init__(self, factor):
                self.factor = factor
            def act(self, grad):
                return grad * self.factor
        for factor in np.nan, np.inf, 0.0, 1e5:
            w = mg.Tensor([3.0], requires_grad=True, name="w")
            mg.apply(Times(factor), np.tanh(w)).sum().backward()
        """)
    with Editor() as editor:
        editor.launch(program, filters=("nan",), stopOnEntry=False)
        for expected, following in ("nan", "inf"), ("inf", "zero"), ("zero", "exploding"), ("exploding", "nan"):
            stop = editor.wait("stopped")
            info = editor.ask("exceptionInfo", threadId=1)
            assert (stop["reason"], info["exceptionId"], info["description"]) == ("exception", expected, stop["text"])
            rows = [row["value"] for row in editor.rows("Contributions").values()]
            if expected in ("nan", "inf"):
                assert any({"nan": "1 NaN", "inf": "1 infinite"}[expected] in value for value in rows)
            answer = editor.ask("setExceptionBreakpoints", filters=[], filterOptions=[
                {"filterId": following}, {"filterId": "nan", "condition": "t =="}, {"filterId": "big"}])
            assert [place["verified"] for place in answer["breakpoints"]] == [True, False, False]
            assert "the filters are error, nan" in answer["breakpoints"][2]["message"]
            editor.ask("continue", threadId=1)
        assert editor.ends() == 0


def test_an_error_in_a_derivative_stops_before_the_program_sees_it(tmp_path: Path) -> None:
    with Editor() as editor:
        editor.launch(write(tmp_path, "(3 * loss()).backward()"), filters=("error",), stopOnEntry=False)
        stop = editor.wait("stopped")
        assert (stop["reason"], stop["text"]) == ("exception", "this derivative is broken")
        info = editor.ask("exceptionInfo", threadId=1)
        assert (info["exceptionId"], info["description"]) == ("RuntimeError", "this derivative is broken")
        assert editor.top()["name"] == "broken(w)"
        assert editor.value("grad.tolist()") == [3.0, 3.0]
        editor.move("stepBack")
        assert "wasn't stopped by an exception" in editor.refused("exceptionInfo", threadId=1)
        assert editor.move("next")["reason"] == "exception"
        editor.ask("next", threadId=1)
        assert editor.ends() == 1
        shown = editor.output("stderr")
        assert shown.startswith("Traceback") and shown.endswith("RuntimeError: this derivative is broken\n")
        assert "/adapter/" not in shown and "runpy" not in shown


@pytest.mark.slow
def test_without_the_filter_errors_reach_the_program(tmp_path: Path) -> None:
    program = write(tmp_path, """
        try:
            loss().backward()
        except RuntimeError as error:
            print("caught:", error)
        sys.exit("ended early")
        """)
    with Editor() as editor:
        editor.launch(program, names=("op broken",), stopOnEntry=False)
        assert editor.ends() == 1
        assert editor.output("stdout") == "caught: this derivative is broken\n"
        assert editor.output("stderr") == "ended early\n"


# ---- the ways in which a program ends
@pytest.mark.parametrize(("body", "code", "words"), [
    ("Broken.act = lambda self, grad: sys.exit(3)\nloss().backward()", 3, ""),
    pytest.param("print('unfinished', end=''); sys.exit(0)", 0, "unfinished", marks=pytest.mark.slow),
    ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    pytest.param("def f(:", 1, "SyntaxError", marks=pytest.mark.slow),
    ("Broken.act = lambda self, grad: os._exit(5)\nloss().backward()", 5, ""),
    pytest.param("import signal\nBroken.act = lambda self, grad: os.kill(os.getpid(), signal.SIGKILL)\n"
                 "loss().backward()", 137, "ended by signal 9 (SIGKILL)",
                 marks=[posix, pytest.mark.slow]),
    pytest.param("import ctypes\nprint('soon')\nctypes.string_at(0)", 139, "ended by signal 11 (SIGSEGV)",
                 marks=[posix, pytest.mark.slow]),
])
def test_the_exit_code_is_told_however_it_ends(tmp_path: Path, body: str, code: int, words: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(body if "def f(:" in body else HEAD + body + "\n")
    with Editor() as editor:
        editor.launch(file, filters=("error",), stopOnEntry=False)
        assert editor.ends() == code
        assert words in editor.output()


@pytest.mark.slow
@posix
def test_a_forked_process_is_not_debugged(tmp_path: Path) -> None:
    program = write(tmp_path, """
        import time
        if os.fork() == 0:
            time.sleep(5)  # holds the pipes; its end isn't waited for
            os._exit(0)
        child = os.fork()
        if child == 0:
            loss(mg.ops.Tanh()).backward()
            print("in the child")
            os._exit(0)
        os.waitpid(child, 0)
        print("in the parent")
        """)
    with Editor() as editor:
        editor.launch(program, names=("op tanh",), stopOnEntry=False)
        assert editor.ends() == 0
        assert (editor.output("stdout"), editor.output("stderr")) == ("in the parent\n", "in the child\n")


# ---- wrong launches
WRONG_LAUNCHES = [
    ({}, "names no 'program'"), ({"program": "/nowhere/at/all.py"}, "there is no script '/nowhere/at/all.py'"),
    ({"program": 3}, "names no 'program'"), ({"program": __file__, "args": "x"}, "'args'"),
    ({"program": __file__, "stopOnEntry": "yes"}, "'stopOnEntry'"), ({"cwd": "/nowhere"}, "there is no folder"),
    ({"env": {"A": 1}}, "'env'"), ({"python": 3}, "'python'"),
    ({"python": "/nowhere/python"}, "can't be started"), ({"cwd": 3}, "'cwd'"),
    ({"env": {"PYTHONPATH": "", "PYTHONSAFEPATH": "1", "PYTHONHOME": "/nowhere"}}, "install minigrad-rnn")]


@pytest.mark.slow
def test_a_launch_that_fails_says_what_to_do_and_may_be_repeated(tmp_path: Path) -> None:
    with Editor() as editor:
        editor.ask("initialize")
        for options, reason in WRONG_LAUNCHES:
            assert reason in editor.refused("launch", **options)
            assert "no program is running" in editor.refused("threads")
        editor.launch(write(tmp_path, "print('runs')"))
        assert editor.ends() == 0


def test_requests_that_the_adapter_does_not_take() -> None:
    with Editor() as editor:
        assert "counted from 1" in editor.refused("initialize", linesStartAt1=False)
        assert "by their paths" in editor.refused("initialize", pathFormat="uri")
        assert "launch configuration" in editor.refused("attach")
        assert "no program is running" in editor.refused("next")
        filters = editor.ask("initialize")["exceptionBreakpointFilters"]
        assert {one["filter"]: one["default"] for one in filters} == {
            "error": True, "nan": True, "inf": True, "zero": False, "exploding": False}
        editor.ask("terminate")
        editor.ask("disconnect")


# ---- malformed messages
def test_malformed_messages_are_told_and_the_session_goes_on(tmp_path: Path) -> None:
    program = write(tmp_path, "loss(mg.ops.Tanh()).backward()")
    with Editor() as editor:
        editor.launch(program)
        editor.wait("stopped")
        wrong = [b"\r\n\r\n", b"hello\r\n\r\n", b"Content-Length: many\r\n\r\n", b"Content-Length: -4\r\n\r\n",
                 b"Content-Length: 99999999999\r\n\r\n", b"x" * 70000 + b"\r\n\r\n"]
        for data in wrong:
            editor.send_bytes(data)
        for body in (b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 100000, b'"text"'):
            editor.send_body(body)
        editor.send_bytes(b"Content-Length: 4\r\nContent-Type: x\r\n\r\nnull")
        assert editor.top()["name"] == "backward()"
        assert editor.output("stderr").count("The debug adapter has received") >= len(wrong) + 7
        for body in (b'{"type": "event"}', b"{}", b'{"type": "response", "request_seq": 1}'):
            editor.send_body(body)  # nothing to answer
        for body in (b'{"type": "request"}', b'{"type": "request", "seq": 1, "command": 5}',
                     b'{"type": "request", "seq": "x", "command": "threads"}',
                     b'{"type": "request", "seq": 900, "command": "threads", "arguments": [1]}'):
            count = len(editor.history)
            editor.send_body(body)
            while not any(message.get("success") is False for message in editor.history[count:]):
                editor.receive()
        editor.send_bytes(b"GARBAGE without an end")
        assert len(editor.frames()) == 1
        editor.ask("disconnect")


# ---- an editor that goes away
def process_of(editor: Editor) -> int:
    """Return the number of the program's process."""
    [program] = children_of(editor.process.pid)
    return program


BUSY = "print('busy')\nwhile True:\n    pass"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BUSY
STOPPING = "loss(mg.ops.Tanh()).backward()"
PARENT = "import subprocess\nsubprocess.Popen(['sleep', '600'])\n" + STOPPING


def begin(editor: Editor, folder: Path, body: str) -> int:
    """Start a program and return its process once it is stopped, or busy."""
    editor.launch(write(folder, body))
    if "busy" in body:
        while "busy" not in editor.output():
            editor.receive()
    else:
        editor.wait("stopped")
    return process_of(editor)


@pytest.mark.slow
@posix
@pytest.mark.parametrize("body", [STOPPING, BUSY, DEAF, PARENT], ids=["stopped", "busy", "deaf", "parent"])
@pytest.mark.parametrize("how", ["closes its output", "disconnects", "terminates", "kills the adapter"])
def test_no_process_is_left_when_an_editor_goes(tmp_path: Path, body: str, how: str) -> None:
    with Editor() as editor:
        program = begin(editor, tmp_path, body)
        children = children_of(program)
        assert len(children) == (body is PARENT)
        assert editor.process.stdin is not None
        if how == "closes its output":
            editor.process.stdin.close()
        elif how == "disconnects":
            editor.ask("disconnect", restart=False)
            assert not exists(program)
        elif how == "terminates":
            editor.ask("terminate")
            editor.ends()
            assert not exists(program)
            editor.ask("disconnect")
        else:
            editor.process.kill()
        editor.process.wait(TIMEOUT)
        for process in (program, *children):
            wait_until_gone(process)
        assert editor.process.stderr is not None and editor.process.stderr.read() == b""


@pytest.mark.slow
@posix
def test_an_editor_that_reads_no_more(tmp_path: Path) -> None:
    program = write(tmp_path, "import time\nprint('busy')\nwhile True:\n    print('more'); time.sleep(0.01)")
    process = subprocess.Popen([sys.executable, "-m", "minigrad.debugger", "--dap"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process.stdin, process.stderr:
        for number, (command, arguments) in enumerate(
                [("initialize", "{}"), ("launch", f'{{"program": "{program}"}}'), ("configurationDone", "{}")], 1):
            body = f'{{"seq": {number}, "type": "request", "command": "{command}", "arguments": {arguments}}}'
            process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        while b"more" not in os.read(process.stdout.fileno(), 1000):
            pass
        [child] = children_of(process.pid)
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        wait_until_gone(child)
        assert process.stderr.read() == b""


@pytest.mark.slow
@posix
def test_terminate_at_a_stop_runs_the_programs_cleanup(tmp_path: Path) -> None:
    with Editor() as editor:
        begin(editor, tmp_path, "try:\n    loss(mg.ops.Tanh()).backward()\nfinally:\n    print('cleaned up')\n")
        editor.ask("terminate")
        assert editor.ends() == 0
        assert editor.output().endswith("cleaned up\n")


@pytest.mark.slow
@posix
def test_an_editor_that_goes_before_the_program_begins(tmp_path: Path) -> None:
    with Editor() as editor:
        editor.ask("initialize")
        editor.ask("launch", program=str(write(tmp_path, STOPPING)))
        program = process_of(editor)
    wait_until_gone(program)
    assert editor.process.returncode == 0


@pytest.mark.slow
@posix
def test_an_interrupted_adapter_ends_quietly(tmp_path: Path) -> None:
    with Editor() as editor:
        program = begin(editor, tmp_path, STOPPING)
        editor.process.send_signal(signal.SIGINT)
        assert editor.process.wait(TIMEOUT) == 0
        wait_until_gone(program)
        assert editor.process.stderr is not None and editor.process.stderr.read() == b""
        with pytest.raises(Gone):
            while True:
                editor.receive()


@pytest.mark.slow
def test_a_pass_in_another_thread(tmp_path: Path) -> None:
    program = write(tmp_path, """
        import threading
        thread = threading.Thread(target=loss(mg.ops.Tanh()).backward)
        thread.start()
        thread.join()
        print("joined")
        """)
    with Editor() as editor:
        editor.launch(program)
        editor.wait("stopped")
        editor.move("stepIn")
        assert editor.top()["name"] == "Sum.backward"
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0
        assert editor.output("stdout") == "joined\n"


# ---- the picture of the pass
PICTURE = """
class Backward:
    made = 0
    def __init__(self, timeline):
        Backward.made += 1
        self.timeline, self.svg, self.css = timeline, f"<svg>{Backward.made}</svg>", "a {}"
    def state(self):
        return {"position": self.timeline.position}
"""


@pytest.mark.slow
def test_the_graph_is_drawn_once_in_each_pass(tmp_path: Path) -> None:
    (tmp_path / "drawings.py").write_text(PICTURE)
    installed = tmp_path / "drawings-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: drawings\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[minigrad.pictures]\nbackward = drawings:Backward\n")
    program = write(tmp_path, "for _ in range(2):\n    loss(mg.ops.Tanh()).backward()")
    with Editor(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}") as editor:
        editor.launch(program, stopOnEntry=True)
        editor.wait("stopped")
        whole = {"pass": 1, "svg": "<svg>1</svg>", "css": "a {}", "state": {"position": 0}}
        assert editor.ask("minigradGraph") == whole
        editor.move("next")
        assert editor.ask("minigradGraph", **{"pass": 1}) == {"pass": 1, "state": {"position": 1}}
        assert editor.ask("minigradGraph", **{"pass": 0})["svg"] == "<svg>1</svg>"
        editor.move("next")
        editor.move("next")
        assert editor.ask("minigradGraph", **{"pass": 1}) == {**whole, "pass": 2, "svg": "<svg>2</svg>"}


@pytest.mark.slow
def test_a_graph_that_can_not_be_drawn_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drawings.py").write_text("def Backward(timeline):\n    raise ValueError('too large\\nto draw')\n")
    installed = tmp_path / "drawings-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: drawings\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[minigrad.pictures]\nbackward = drawings:Backward\n")
    with Editor(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}") as editor:
        editor.launch(write(tmp_path, STOPPING))
        editor.wait("stopped")
        assert editor.refused("minigradGraph") == "minigradGraph: ValueError: too large to draw"


@pytest.mark.slow
# ---- long recurrences
def test_the_chain_of_a_thousand_steps_is_read_in_parts(tmp_path: Path) -> None:
    program = write(tmp_path, """
        from rnn import Cell, t
        cell = Cell("chain")
        x, h = cell.input("x", ()), cell.signal("h", ())
        U = mg.Tensor(0.999, requires_grad=True, name="U")
        h[t] = np.tanh(U * h[t-1] + x[t])
        cell.unroll(x=np.ones(1000) / 1000)["h"][1000].backward()
        """)
    with Editor() as editor:
        editor.launch(program, names=("node h[1]",))
        editor.wait("stopped")
        part = editor.ask("stackTrace", threadId=1, startFrame=2990, levels=20)
        assert part["totalFrames"] == 2999 and [frame["id"] for frame in part["stackFrames"]][-1] == 1
        assert part["stackFrames"][-2]["name"] == "h[1000] tanh"
        assert editor.value("t", part["stackFrames"][-2]["id"]) == 1000


@pytest.mark.slow
# ---- the line that calls backward()
def test_a_breakpoint_at_the_line_that_calls_backward_stops_at_the_start(tmp_path: Path) -> None:
    program = write(tmp_path, """
        for epoch in range(4):
            loss(
                mg.ops.Tanh()).backward()
        """)
    line = HEAD.count("\n") + 3
    with Editor() as editor:
        editor.launch(program, {program: [{"line": line, "condition": "epoch == 2"},
                                          {"line": line, "logMessage": "epoch {epoch}", "hitCondition": "2"},
                                          {"line": line, "condition": "epok == 2"}]})
        stop = editor.wait("stopped")
        assert (stop["reason"], stop["hitBreakpointIds"]) == ("breakpoint", [1])
        assert stop["description"] == "Start of backward pass 3"
        assert editor.wait("breakpoint")["breakpoint"]["verified"]
        assert editor.value("epoch") == 2
        assert "epoch 1\n" in editor.output() and "epoch 2\n" not in editor.output()
        assert editor.output().count("raises an error: NameError: name 'epok' is not defined\n") == 1
        [place] = editor.ask("setBreakpoints", source={"path": str(program)}, breakpoints=[{"line": line + 1}])[
            "breakpoints"]
        assert place["verified"]
        editor.ask("setBreakpoints", source={"path": str(program)}, breakpoints=[])
        editor.ask("continue", threadId=1)
        assert editor.ends() == 0
