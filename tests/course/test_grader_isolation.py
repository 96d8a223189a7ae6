"""The grader's isolation: what a student's file tries, in every way of isolation that there is here.

Most attacks are functions of one file, which is run once for each way; each returns what it got. They are
bounded in time, memory and processes, and do nothing to the machine where they succeed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.assignments import sandbox
from examples.assignments.sandbox import Job, Ran, Unisolated, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")
if sys.platform == "linux":
    from examples.assignments import isolation
    from examples.assignments.isolation import Isolated

WAYS = ("bubblewrap", "unshare", "another user")
SECRET = "known to the grader alone"
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@cache
def missing(way: str) -> str:
    """Why a way can't be had here, or nothing."""
    program = {"bubblewrap": "bwrap", "unshare": "unshare"}.get(way)
    if program and shutil.which(program) is None:
        return f"{program} is not installed"
    if not program and not ROOT:
        return "only root can give a process another user"
    reason = isolation.tried(isolated(way))
    known = ("not permitted", "ermission denied", "can't read this Python", "No permissions")
    return reason if any(words in reason for words in known) else ""  # a method that is broken has to fail the tests


@cache
def isolated(way: str) -> Isolated:
    return Isolated(way, *isolation.account(None))


FIRST = "bubblewrap" if shutil.which("bwrap") else "unshare"


@pytest.fixture(params=[one if one in (FIRST, "another user") else pytest.param(one, marks=pytest.mark.slow)
                        for one in WAYS])
def way(request: pytest.FixtureRequest) -> str:
    """The strongest way that there is here and the weakest one; the third one among the slow tests."""
    reason = missing(request.param)
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return str(request.param)


def private(way: str) -> bool:
    return way != "another user"


# ---- what a process can reach: one run for each way
class Place:
    """What the grader has, that a file could be after."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.secret = folder / "closed" / "secret"
        self.secret.parent.mkdir(mode=0o700)
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.seen = folder / "open"  # every user may read it
        self.seen.write_text(SECRET)
        self.given = folder / "given"  # every user may write to it
        self.given.mkdir()
        self.given.chmod(0o777)
        self.shared = tempfile.mkdtemp(dir="/tmp", prefix="shared_")  # the same, in /tmp
        os.chmod(self.shared, 0o1777)
        self.set_uid = folder / "identity"
        shutil.copy(shutil.which("id") or "/usr/bin/id", self.set_uid)
        self.set_uid.chmod(0o4755)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0minigrad-{os.getpid()}")
        self.abstract.listen()

    def data(self) -> dict[str, Any]:
        return {"secret": str(self.secret), "seen": str(self.seen), "given": str(self.given), "grader": os.getpid(),
                "uid": os.getuid(), "set_uid": str(self.set_uid), "port": self.listener.getsockname()[1],
                "shared": self.shared, "abstract": f"\0minigrad-{os.getpid()}", "host": socket.gethostname()}


PREAMBLE = """
import ctypes, glob, mmap, os, resource, signal, socket, stat, subprocess, sys, time
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
HERE = os.path.dirname(sys.modules["__main__"].__file__)
def refused(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except (OSError, ValueError, AttributeError) as error:
        return type(error).__name__
    return "done"
def text(path):
    try:
        with open(path, errors="replace") as file:
            return file.read(100000)
    except OSError as error:
        return type(error).__name__
"""

# name: the function's body, which returns what it got; d is the data of the place
REACHES = {
    "read_a_closed_file": "return text(d['secret'])",
    "read_through_a_symlink": "os.symlink(d['secret'], 'link'); return text('link')",
    "read_through_proc_root": "return text(f\"/proc/{d['grader']}/root{d['secret']}\")",
    "read_through_proc_cwd": "return text(f\"/proc/{os.getppid()}/cwd/../../..{d['secret']}\")",
    "link_a_closed_file": "return refused(os.link, d['secret'], 'hard')",
    "read_the_old_root": "return refused(os.listdir, '/old')",
    "list_a_closed_folder": "return refused(os.listdir, os.path.dirname(d['secret']))",
    "read_the_graders_environment": "return text(f\"/proc/{d['grader']}/environ\") + text('/proc/1/environ')",
    "read_the_graders_memory": "return text(f\"/proc/{d['grader']}/mem\") + text(f\"/proc/{d['grader']}/maps\")",
    "list_the_graders_descriptors": "return refused(os.listdir, f\"/proc/{d['grader']}/fd\")",
    "open_the_graders_descriptors": """
        got = []
        for path in glob.glob(f"/proc/{d['grader']}/fd/*") + glob.glob(f"/proc/{os.getppid()}/fd/*"):
            try:
                one = os.open(path, os.O_RDWR | os.O_NONBLOCK)
                got.append(os.readlink(f"/proc/self/fd/{one}").partition(":")[0])
                os.close(one)
            except OSError:
                pass
        return got""",
    "trace_the_grader": "return libc.ptrace(16, d['grader'], 0, 0)",
    "signal_the_grader": "return refused(os.kill, d['grader'], 0)",
    "own_environment": "return dict(os.environ)",
    "own_descriptors": """
        ends = {int(n): refused(os.fstat, int(n)) for n in os.listdir('/proc/self/fd')}
        return [os.readlink(f'/proc/self/fd/{n}').partition(':')[0] for n, there in ends.items() if there == 'done']""",
    "read_standard_input": "return [sys.stdin.read(), os.read(0, 100).decode()]",
    "own_command_line": "return [text(path) for path in glob.glob('/proc/[0-9]*/cmdline')]",
    "terminal": "return refused(os.open, '/dev/tty', os.O_RDWR)",
    "become_root": """
        return [refused(os.setuid, 0), refused(os.setresuid, 0, 0, 0), refused(os.seteuid, 0), refused(os.setgid, 0),
                refused(os.setgroups, [0])] if os.getuid() else []""",
    "become_the_grader": """
        return refused(os.setresuid, d['uid'], d['uid'], d['uid']) if d['uid'] != os.getuid() else ''""",
    "groups": "return [group for group in os.getgroups() if group != os.getgid()]",
    "capabilities": "return [line for line in text('/proc/self/status').splitlines() if line.startswith('Cap')]",
    "capabilities_by_a_program": """
        done = subprocess.run(['/bin/cat', '/proc/self/status'], capture_output=True, text=True).stdout
        return [line for line in done.splitlines() if line.startswith('Cap')]""",
    "set_uid_program": """
        try:
            return subprocess.run([d['set_uid'], '-u'], capture_output=True, text=True).stdout.strip()
        except OSError as error:
            return type(error).__name__""",
    "make_a_set_uid_program": """
        with open('mine', 'w') as file:
            file.write('x')
        os.chmod('mine', 0o6755)
        return os.stat('mine').st_uid""",
    "write_into_the_graders_folder": "return refused(open, HERE + '/inside.py', 'a')",
    "add_to_the_graders_folder": "return refused(open, HERE + '/numpy.py', 'w')",
    "remove_from_the_graders_folder": "return refused(os.unlink, HERE + '/inside.py')",
    "change_the_graders_folder": "return [refused(os.chmod, HERE + name, 0o777) for name in ('', '/inside.py')]",
    "exchange_the_scratch_folder": """
        here = os.getcwd()
        return [refused(os.rename, here, here + '_'), refused(os.rmdir, here)]""",
    "change_python": """
        return [refused(open, path, 'a') for path in (os.__file__, np.__file__, sys.executable)]
    """,
    "write_beside_the_devices": "return refused(open, '/dev/file', 'w')",
    "make_a_device": "return refused(os.mknod, 'device', stat.S_IFBLK | 0o666, os.makedev(254, 0))",
    "mount": "return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    "unmount": "return [libc.umount2(path, 2) for path in (b'/tmp', b'/proc', b'/dev/shm', b'/')]",
    "change_root": "return refused(os.chroot, '.')",
    "write_to_the_kernel": """
        return [refused(open, path, 'w') for path in ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern',
                                                      '/proc/sys/kernel/hostname',
                                                      f"/proc/{d['grader']}/oom_score_adj")]""",
    "name_the_machine": "return libc.sethostname(b'mine', 4)",
    "more_memory": "return refused(resource.setrlimit, resource.RLIMIT_AS, (-1, -1))",
    "more_processes": "return refused(resource.setrlimit, resource.RLIMIT_NPROC, (1 << 20, 1 << 20))",
    "limits": """
        return {name: resource.getrlimit(getattr(resource, name))[1] for name in
                ('RLIMIT_AS', 'RLIMIT_CPU', 'RLIMIT_CORE', 'RLIMIT_FSIZE', 'RLIMIT_NOFILE', 'RLIMIT_NPROC')}""",
    "a_large_file": """
        with open('large', 'wb') as file:
            return [refused(file.write, bytes(8 << 20)), refused(file.flush)]""",
    "many_files": """
        kept = []
        got = refused(lambda: [kept.append(os.open('/dev/null', 0)) for _ in range(2000)])
        for one in kept:
            os.close(one)
        return got""",
    "much_memory": """
        try:
            return len(mmap.mmap(-1, 3 << 30))
        except OSError as error:
            return type(error).__name__""",
    "message_queue": "return libc.mq_open(b'/left', os.O_CREAT | os.O_RDWR, 0o666, None)",
    "shared_memory": "return libc.shmget(0x6d67, 4096, 0o1666)",
    "semaphores": "return libc.semget(0x6d67, 1, 0o1666)",
    "higher_priority": """
        return [refused(os.nice, -5), refused(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))]""",
    "loopback": """
        with socket.socket() as client:
            return refused(client.connect, ('127.0.0.1', d['port']))""",
    "abstract_socket": """
        with socket.socket(socket.AF_UNIX) as client:
            return refused(client.connect, d['abstract'])""",
    "read_an_open_file": "return text(d['seen'])",
    "write_where_all_may_write": "return refused(open, d['given'] + '/left-' + d['way'], 'w')",
    "other_processes": "return [int(name) for name in os.listdir('/proc') if name.isdigit()]",
    "leave_files": """
        for folder in ('/tmp', '/var/tmp', '/dev/shm', d['shared']):
            if refused(os.mkdir, f"{folder}/left-{d['grader']}") == 'done':
                with open(f"{folder}/left-{d['grader']}/file", 'w') as file:
                    file.write('for the next one')
            refused(os.symlink, d['secret'], f"{folder}/link-{d['grader']}")
        return ''""",
    "the_graders_keys": """
        keyctl = {'x86_64': 250, 'aarch64': 219}.get(os.uname().machine)
        return libc.syscall(keyctl, 10, -3, b'user', b'of-the-grader', 0) if keyctl else -1""",  # KEYCTL_SEARCH
    "the_users_keyrings": """
        calls = {'x86_64': (248, 250), 'aarch64': (217, 219)}.get(os.uname().machine)
        if not calls:
            return []
        return [libc.syscall(calls[0], b'user', b'for the next one', b'x', 1, ring) for ring in (-4, -5)]""",
    "user_namespace": """
        child = os.fork()
        if not child:
            os._exit(libc.unshare(0x10000000) == 0)  # CLONE_NEWUSER: every capability, over folders of memory, too
        return os.waitpid(child, 0)[1]""",
}


@cache
def place() -> Place:
    folder = Path(tempfile.mkdtemp(prefix="place_"))
    made = Place(folder)
    return made


@pytest.fixture(scope="module", autouse=True)
def _removed() -> Iterator[None]:
    yield
    if place.cache_info().currsize:
        shutil.rmtree(place().seen.parent)
        shutil.rmtree(place().shared)
        place().listener.close()
        place().abstract.close()
        place.cache_clear()


def source(bodies: dict[str, str]) -> str:
    functions = [f"def {name}(d):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
                 for name, body in bodies.items()]
    return PREAMBLE + "\n".join(functions)


def probes(names: list[str], folder: Path) -> Path:
    path = folder / "probes.py"
    path.write_text("def asked(name):\n    return lambda student, d: {'got': getattr(student, name)(d)}\n"
                    f"CALLS = {{name + ':x': asked(name) for name in {names}}}\nNUMERIC = {{}}\n")  # :x, asked once
    return path


@cache
def reached(way: str) -> dict[str, Any]:
    """What every attack got."""
    names = list(REACHES)
    job = Job(probes(names, place().secret.parent), [f"{name}:x" for name in names], {**place().data(), "way": way}, [],
              ["pytest"], seconds=3.0)
    os.environ["OF_THE_GRADER"] = SECRET
    opened = os.open(place().secret, os.O_RDWR)
    os.set_inheritable(opened, True)
    try:
        ran = run(job, {"attacks.py": source(REACHES)}, isolated(way))["attacks.py"]
    finally:
        del os.environ["OF_THE_GRADER"]
        os.close(opened)
    assert ran.answers["import"].error is None, (ran.answers["import"], ran.printed)
    assert ran.note == ""
    return {name: ran.answers[f"{name}:x"].error or ran.answers[f"{name}:x"].values["got"] for name in names}


REFUSED = ("PermissionError", "FileNotFoundError", "ProcessLookupError", "OSError", "ConnectionRefusedError",
           "ValueError", "NotADirectoryError")


@pytest.mark.parametrize("name", [
    "link_a_closed_file", "list_a_closed_folder", "list_the_graders_descriptors",
    "write_into_the_graders_folder", "add_to_the_graders_folder", "remove_from_the_graders_folder",
    "write_beside_the_devices", "change_the_graders_folder", "exchange_the_scratch_folder", "make_a_device",
    "change_root", "write_to_the_kernel",
    "terminal", "more_memory", "more_processes", "much_memory", "many_files", "higher_priority", "become_root",
    "read_through_a_symlink", "read_a_closed_file", "read_the_old_root", "read_through_proc_root",
    "read_through_proc_cwd"])
def test_it_is_refused(way: str, name: str) -> None:
    got = reached(way)[name]
    assert all(one in REFUSED for one in (got if isinstance(got, list) else [got])), got


@pytest.mark.parametrize("name", ["read_the_graders_environment", "read_the_graders_memory", "own_command_line",
                                  "own_environment"])
def test_nothing_of_the_graders_is_read(way: str, name: str) -> None:
    assert SECRET not in str(reached(way)[name])


def test_the_process_has_no_descriptors_of_the_graders(way: str) -> None:
    kinds = reached(way)["own_descriptors"]
    assert sorted(kind for kind in kinds if kind != "/dev/null") == ["pipe", "pipe", "pipe"]  # print, twice; answers
    assert reached(way)["read_standard_input"] == ["", ""]
    opened = reached(way)["open_the_graders_descriptors"]  # bwrap's own, where it has no other user: the same pipes
    assert set(opened) <= (set() if ROOT else {"pipe"})


def test_the_grader_is_neither_signalled_nor_traced(way: str) -> None:
    signalled = reached(way)["signal_the_grader"]
    assert signalled in REFUSED or private(way)  # that number may be another process there
    assert reached(way)["trace_the_grader"] == -1
    if private(way):
        assert max(reached(way)["other_processes"]) < 200 and len(reached(way)["other_processes"]) < 6


def test_the_user_is_another_one_without_rights(way: str) -> None:
    got = reached(way)
    for line in (*got["capabilities"], *got["capabilities_by_a_program"]):
        assert line.startswith("CapBnd") or int(line.split()[1], 16) == 0, line
    if ROOT:
        assert got["become_the_grader"] in REFUSED and got["groups"] == []
        assert got["set_uid_program"] in (*REFUSED, str(isolated(way).uid))
        assert got["make_a_set_uid_program"] == isolated(way).uid


@pytest.fixture(scope="module", autouse=True)
def _key() -> Iterator[None]:
    """A key of the grader's, which its processes find unless they leave its keyring."""
    import ctypes

    add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(os.uname().machine, (0, 0))
    libc = ctypes.CDLL(None)
    key = libc.syscall(add_key, b"user", b"of-the-grader", SECRET.encode(), len(SECRET), -3) if add_key else -1
    yield
    if key > 0:
        libc.syscall(keyctl, 9, key, -3)  # KEYCTL_UNLINK


@pytest.mark.parametrize("name, right", [
    ("the_graders_keys", -1), ("mount", -1), ("name_the_machine", -1), ("message_queue", -1), ("user_namespace", 0)])
def test_the_system_is_not_changed(way: str, name: str, right: int) -> None:
    assert reached(way)[name] == right


def test_nothing_is_unmounted(way: str) -> None:
    assert set(reached(way)["unmount"]) == {-1} and "done" not in reached(way)["change_python"]


def test_limits_are_set(way: str) -> None:
    got = reached(way)["limits"]
    assert got["RLIMIT_AS"] == sandbox.MEMORY and got["RLIMIT_CORE"] == 0 and got["RLIMIT_FSIZE"] == sandbox.OUTPUT
    assert 0 < got["RLIMIT_CPU"] <= sandbox.BUDGET + 1 and got["RLIMIT_NOFILE"] == sandbox.FILES
    assert 0 < got["RLIMIT_NPROC"] <= sandbox.PROCESSES + 2
    assert "OSError" in reached(way)["a_large_file"]


def test_a_file_system_and_a_network_of_its_own(way: str) -> None:
    got = reached(way)
    if not private(way):
        pytest.skip("another user alone has neither: README, What remains possible")
    assert got["read_an_open_file"] == "FileNotFoundError" and got["write_where_all_may_write"] == "FileNotFoundError"
    assert got["loopback"] != "done" and got["abstract_socket"] != "done"


def test_no_key_reaches_the_next_process(way: str, tmp_path: Path) -> None:
    """A user's keyrings outlive the user's processes."""
    if isolated(way).uid is None:
        pytest.skip("the keyrings of a user namespace end with it")
    assert set(reached(way)["the_users_keyrings"]) <= {-1}
    text = """
        def f(x):
            add_key, keyctl = {'x86_64': (248, 250), 'aarch64': (217, 219)}.get(os.uname().machine, (-1, -1))
            keyring = libc.syscall(keyctl, 22, -1, -3)  # the persistent one, of three days
            found = libc.syscall(keyctl, 10, keyring, b'user', b'for the next one', 0)
            libc.syscall(add_key, b'user', b'for the next one', b'x', 1, keyring)
            return np.array([found])
    """
    assert [ask(way, text, tmp_path).answers["f:x"].values["out"].tolist() for _ in range(2)] == [[-1], [-1]]


def test_nothing_is_left_behind(way: str) -> None:
    reached(way)
    for folder in ("/tmp", "/var/tmp", "/dev/shm", place().shared):
        for what in ("left", "link"):
            assert not os.path.lexists(f"{folder}/{what}-{os.getpid()}")
    uid = isolated(way).uid
    if uid is not None:
        assert isolation.processes(uid) == [] and isolation.shared_memory(uid) == []
    assert place().secret.read_text() == SECRET
    assert not private(way) or not list(place().given.glob(f"left-{way}"))


def test_what_python_needs_is_read_only(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary grader's Python is often its own."""
    if not private(way):
        pytest.skip("another user can't write to the grader's Python")
    given = place().given / way.replace(" ", "-")
    given.mkdir()
    given.chmod(0o777)
    needed = [*isolation.readable(), str(given)]
    monkeypatch.setattr(isolation, "readable", lambda: needed)
    ran = ask(way, f"def f(x):\n    open({str(given / 'left')!r}, 'w')", tmp_path)
    assert "Read-only file system" in str(ran.answers["f:x"].error) and not list(given.iterdir())


def test_shared_memory_is_removed(way: str, tmp_path: Path) -> None:
    ran = ask(way, "def f(x):\n    return np.array([libc.shmget(0x6d68, 4096, 0o1666)])", tmp_path)
    assert ran.answers["f:x"].values["out"][0] >= 0
    assert isolated(way).uid is None or isolation.shared_memory(isolated(way).uid or 0) == []


# ---- processes
def ask(way: str, text: str, tmp_path: Path, seconds: float = 1.0, blocked: tuple[str, ...] = ()) -> Ran:
    """Ask one file for f of x, then g."""
    path = tmp_path / "probes.py"
    path.write_text("CALLS = {'f:x': lambda student, d: {'out': student.f(d['x'])},\n"
                    "         'g:x': lambda student, d: {'out': student.g(d['x'])}}\nNUMERIC = {}\n")
    job = Job(path, ["f:x", "g:x"], {"x": np.ones(3), "grader": os.getpid()}, [], list(blocked), seconds=seconds)
    return run(job, {"file.py": PREAMBLE + textwrap.dedent(text) + "\ndef g(x):\n    return 2 * x\n"},
               isolated(way))["file.py"]


def alive(mark: str) -> list[int]:
    """Processes whose command line holds a mark, ended ones not counted."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def right(ran: Ran) -> bool:
    return bool(np.array_equal(ran.answers["g:x"].values.get("out", 0), [2.0, 2.0, 2.0]))


DAEMON = """
MARK = "mark-{mark}"
CODE = '''import ctypes, os, signal, sys, time
{how}
for n in range(1, 32):
    try:
        signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
sys.stdout.write('x'); sys.stdout.flush()
end = time.monotonic() + 20
while time.monotonic() < end:
    {loop}
'''
def f(x):
    twice = "import os, sys; os.setsid(); os.fork() and os._exit(0)\\n"
    first = subprocess.Popen([sys.executable, "-S", "-c", twice + CODE, MARK], stdout=subprocess.PIPE)
    first.stdout.read(1)
    return x
"""


def slow(*values: str) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("how, loop", [
    ("", "time.sleep(0.1)"),  # a daemon: double fork, session of its own, every signal ignored
    slow("ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)", "time.sleep(0.1)"),  # its files in /proc are root's
    slow("os.closerange(0, 64)", "time.sleep(0.1)"),
    ("", "os.getpid() > 2 and os.kill(-1, 9)")])  # and one that ends every process that would end it
def test_no_process_outlives_the_run(way: str, how: str, loop: str, tmp_path: Path) -> None:
    mark = f"{way.replace(' ', '-')}-{abs(hash((how, loop)))}"
    if "closerange" in how:
        how = "sys.stdout.write('x'); sys.stdout.flush(); " + how + "; sys.stdout = open(os.devnull, 'w')"
    ask(way, DAEMON.replace("{mark}", mark).replace("{how}", how).replace("{loop}", loop), tmp_path, seconds=2.0)
    assert alive(mark) == []
    uid = isolated(way).uid
    assert uid is None or [one for one in isolation.processes(uid) if not one.ended] == []


def test_processes_are_few_and_all_ended(way: str, tmp_path: Path) -> None:
    ran = ask(way, """
        def f(x):
            made = 0
            try:
                while made < 200:
                    if not os.fork():
                        time.sleep(20)
                        os._exit(0)
                    made += 1
            except OSError:
                pass
            return np.array([made])
    """, tmp_path, seconds=4.0)
    assert 0 < ran.answers["f:x"].values["out"][0] <= sandbox.PROCESSES + 2 and right(ran)
    uid = isolated(way).uid
    assert uid is None or isolation.processes(uid) == []


def test_ending_everything_ends_only_itself(way: str, tmp_path: Path) -> None:
    ran = ask(way, "def f(x):\n    os.kill(-1, signal.SIGKILL)\n    os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert ran.answers["f:x"].error is not None and right(ran)


def test_stopping_itself_costs_one_answer(way: str, tmp_path: Path) -> None:
    ran = ask(way, "def f(x):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    time.sleep(10)", tmp_path, seconds=0.2)
    assert "did not end within" in str(ran.answers["f:x"].error) and right(ran)


@pytest.mark.parametrize("closed", [True, False])
def test_memory_without_a_mapping_is_counted(way: str, closed: bool, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of memfd_create() are in no process's resident memory; a mapping keeps them without a descriptor."""
    if isolated(way).uid is None:
        pytest.skip("the processes of an ordinary grader's files can't be told from its own: README")
    monkeypatch.setattr(sandbox, "MEMORY", 400 << 20)
    ran = ask(way, f"""
        def f(x):
            for _ in range(5):
                if not os.fork():
                    kept = []
                    for n in range(40):
                        kept.append(os.memfd_create(str(n)))
                        for _ in range(3):
                            os.write(kept[-1], bytes(1 << 20))
                        if {closed}:
                            kept[-1:] = [mmap.mmap(kept[-1], 3 << 20), os.close(kept[-1])]
                    time.sleep(20)
                    os._exit(0)
            time.sleep(6)
            return x
    """, tmp_path, seconds=8.0)
    assert "took more than" in str(ran.answers["f:x"].error) and right(ran)


def test_memory_is_limited_over_all_processes(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if isolated(way).uid is None:
        pytest.skip("the processes of an ordinary grader's files can't be told from its own: README")
    monkeypatch.setattr(sandbox, "MEMORY", 400 << 20)
    ran = ask(way, """
        def f(x):
            for _ in range(6):
                if not os.fork():
                    kept = b"x" * (100 << 20)
                    time.sleep(20)
                    os._exit(0)
            time.sleep(6)
            return x
    """, tmp_path, seconds=8.0)
    assert "took more than" in str(ran.answers["f:x"].error) and right(ran)


# ---- files
def test_a_hostile_scratch_folder_is_removed_and_no_link_followed(way: str, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = place().seen.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    kept = place().secret.parent / "kept"
    kept.mkdir()
    (kept / "file").write_text(SECRET)
    ran = ask(way, f"""
        def f(x):
            os.symlink({str(kept)!r}, "link")
            os.symlink({str(kept)!r}, "zlink")
            os.mkfifo("fifo")
            with socket.socket(socket.AF_UNIX) as one:
                one.bind("socket")
            os.makedirs("closed/inside")
            open("closed/inside/file", "w").close()
            os.mkdir("deep")
            here = os.open("deep", os.O_RDONLY)
            for _ in range(1500):
                os.mkdir("d", dir_fd=here)
                os.symlink({str(kept)!r}, "link", dir_fd=here)
                there = os.open("d", os.O_RDONLY, dir_fd=here)
                os.close(here)
                here = there
            os.chmod("closed/inside", 0)
            os.chmod("closed", 0)
            return x
    """, tmp_path, seconds=4.0)
    assert ran.answers["f:x"].error is None and right(ran)
    assert (kept / "file").read_text() == SECRET
    shutil.rmtree(kept)
    assert list(temporary.iterdir()) == []


LINKS = """
import os
NAMES = ("note", "now", "job.json", "printed", "data.json", "answers", "inside.py", "probes.py", "packages", "students")
for name in NAMES + ("zlink", "../note", "../job.json", "../answers"):
    try:
        if os.path.isdir(name) and not os.path.islink(name):
            os.rename(name, name + "_")
        elif os.path.lexists(name):
            os.unlink(name)
        os.symlink({target!r}, name)
    except OSError:
        pass
"""


@pytest.mark.parametrize("then", ["", "os._exit(1)"])
def test_links_in_its_folder_lead_the_grader_nowhere(way: str, then: str, tmp_path: Path) -> None:
    """course A1: the grader read, changed the owner of, and overwrote what links in the folder pointed to."""
    target = place().secret
    before = target.stat()
    ran = ask(way, LINKS.format(target=str(target)) + then, tmp_path)
    after = target.stat()
    assert (before.st_uid, before.st_gid, before.st_mode) == (after.st_uid, after.st_gid, after.st_mode)
    assert target.read_text() == SECRET and SECRET not in repr(ran)


def test_results_written_later_are_the_graders(way: str, tmp_path: Path) -> None:
    """course A1.4: a process that waited for the results, and replaced them."""
    results = place().given / "results.json"
    mark = f"waits-{way.replace(' ', '-')}"
    ask(way, f"""
        CODE = '''import os, time
        os.setsid()
        if os.fork(): os._exit(0)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                os.unlink({str(results)!r})
                open({str(results)!r}, 'w').write('forged')
            except OSError:
                time.sleep(0.01)
        '''
        subprocess.Popen([sys.executable, '-S', '-c', '\\n'.join(line.strip() if 'try' not in line else line
                          for line in CODE.splitlines()), '{mark}'])
        def f(x):
            return x
    """, tmp_path)
    results.write_text("right")
    time.sleep(0.3)
    assert results.read_text() == "right" and alive(mark) == []
    results.unlink()


# ---- without minigrad or torch; iniconfig represents a package that is installed here
IMPORTS = {
    "plain": "import iniconfig",
    "popped": "import sys; sys.modules.pop('iniconfig', None); import iniconfig",
    "by_name": "import importlib; importlib.import_module('iniconfig')",
    "dunder": "__import__('iniconfig')",
    "inside": "import iniconfig.exceptions",
    "without_finders": "import sys; del sys.meta_path[0]; import iniconfig",
    "other_finders": "import sys, importlib.machinery as m; sys.meta_path[:] = [m.PathFinder]; import iniconfig",
    "by_name_without_finders": "import sys, importlib\nsys.meta_path.pop(0)\nimportlib.import_module('iniconfig')",
    "a_finder_of_ones_own": "import sys, importlib.machinery as m\n"
                            "spec = m.PathFinder.find_spec('iniconfig')\nspec.loader.load_module('iniconfig')",
    "changed_builtins": "import builtins, glob, os, sys\n"
                        "path = [p for place in sys.path for p in glob.glob(place + '/iniconfig/__init__.py')][0]\n"
                        "was, builtins.isinstance = builtins.isinstance, lambda *a: False\n"
                        "os.path.realpath = lambda path: '/'\n"
                        "try:\n    assert open(path).read()\nfinally:\n    builtins.isinstance = was",
    "a_loader_of_ones_own": "import glob, importlib.machinery as m, sys\n"
                            "path = [p for place in sys.path for p in glob.glob(place + '/iniconfig/__init__.py')][0]\n"
                            "m.SourceFileLoader('other', path).load_module()",
    "its_text": "import glob, sys\n"
                "path = [p for place in sys.path for p in glob.glob(place + '/iniconfig/__init__.py')][0]\n"
                "assert open(path).read()",
    "a_changed_finder": "import sys\nsys.meta_path[0].names = frozenset()\n"  # the last one: it stays changed
                        "type(sys.meta_path[0]).find_spec = lambda *a: None\nimport iniconfig",
}


@pytest.mark.parametrize("how", IMPORTS)
def test_a_forbidden_module_is_not_imported(way: str, how: str, tmp_path: Path) -> None:
    if not private(way) and how != "a_loader_of_ones_own":
        pytest.skip("as in the other ways")
    ran = imports(way, tmp_path)
    assert ran.answers[f"{how}:x"].error is not None, ran.answers[f"{how}:x"]


@cache
def _imports(way: str) -> Ran:
    head, foot = "import sys\nkept = sys.meta_path[:]\ntry:\n", "\nfinally:\n    sys.meta_path[:] = kept\n"
    got = "return str((sys.modules.get('iniconfig') or sys.modules['other']).IniConfig)"
    bodies = {name: head + textwrap.indent(text, "    ") + foot + got for name, text in IMPORTS.items()}
    job = Job(probes(list(bodies), place().secret.parent), [f"{name}:x" for name in bodies], {}, [],
              ["iniconfig"], seconds=3.0)
    return run(job, {"file.py": source(bodies)}, Unisolated() if way == "none" else isolated(way))["file.py"]


def imports(way: str, tmp_path: Path) -> Ran:
    place()
    return _imports(way)


@pytest.mark.parametrize("how", IMPORTS)
def test_a_forbidden_module_is_not_imported_at_home_either(how: str, tmp_path: Path) -> None:
    ran = imports("none", tmp_path)
    assert ran.answers["import"].error is None
    error = ran.answers[f"{how}:x"].error
    assert error is not None and "(this assignment is to be done without it)" in error["message"], error


def test_a_forbidden_package_is_hidden_from_other_programs(way: str, tmp_path: Path) -> None:
    if not private(way):
        pytest.skip("it takes a file system of its own: README, What remains possible")
    ran = ask(way, "def f(x):\n    command = [sys.executable, '-c', 'from iniconfig import IniConfig']\n"
                    "    return subprocess.run(command).returncode + 0 * x", tmp_path, 4.0, ("iniconfig",))
    assert ran.answers["f:x"].values["out"].tolist() == [1, 1, 1]


def test_a_module_in_one_file_is_hidden_wherever_python_looks(way: str, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Not beside NumPy, as through a .pth file; and found by two paths, as /lib and /usr/lib."""
    if not private(way):
        pytest.skip("it takes a file system of its own: README, What remains possible")
    added = place().seen.parent / f"added-{way}"
    (added / "a_package").mkdir(parents=True)
    added.chmod(0o755)
    (added / "a_package").chmod(0o755)
    for path in (added / "a_module.py", added / "a_package" / "part.py"):
        path.write_text(f"text = {SECRET!r}")
        path.chmod(0o644)
    twice = added.with_name(f"twice-{way}")
    twice.symlink_to(added)
    needed = [*isolation.readable(), str(added), str(twice)]
    looked = [*isolation.searched(), str(added)]
    monkeypatch.setattr(isolation, "readable", lambda: needed)
    monkeypatch.setattr(isolation, "searched", lambda: looked)
    text = f"""
        def f(x):
            for folder in {[str(added), str(twice)]}:
                print([text(folder + name) for name in ("/a_module.py", "/a_package/part.py")])
            return x
    """
    assert SECRET in "".join(ask(way, text, tmp_path).printed.values())
    covered = ask(way, text, tmp_path, blocked=("a_module", "a_package"))
    assert covered.answers["f:x"].error is None and SECRET not in "".join(covered.printed.values())


def test_modules_are_looked_for_where_the_students_python_does() -> None:
    found = isolation.searched()
    assert os.path.dirname(os.__file__) in found and os.path.dirname(os.path.dirname(np.__file__)) in found


# ---- the end of the checker
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_students_processes_first(way: str, name: str, tmp_path: Path) -> None:
    mark = f"ended-{way.replace(' ', '-')}-{name}"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2], temporary):
        folder.chmod(folder.stat().st_mode | 0o011)
    path = tmp_path / "probes.py"
    path.write_text("CALLS = {'f:x': lambda student, d: {'out': student.f()}}\nNUMERIC = {}\n")
    text = (f"import subprocess, sys, time\ndef f():\n    subprocess.Popen([sys.executable, '-S', '-c', "
            f"'import time; time.sleep(15)', {mark[::-1]!r}[::-1]], start_new_session=True)\n"
            "    time.sleep(15)")  # reversed: the grader's command line doesn't hold the mark
    grader = subprocess.Popen(
        [sys.executable, "-c", f"import signal\nsignal.signal({getattr(signal, name)}, signal.SIG_DFL)\n"
         "from pathlib import Path\nfrom examples.assignments import isolation, sandbox\n"
         f"job = sandbox.Job(Path({str(path)!r}), ['f:x'], {{}}, [], [], seconds=20.0)\n"
         f"way = isolation.Isolated({way!r}, *isolation.account(None))\n"
         f"sandbox.run(job, {{'file.py': {text!r}}}, way)"],
        cwd=sandbox.ROOT, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not alive(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(mark)
    grader.send_signal(getattr(signal, name))
    assert grader.wait(timeout=20) == -getattr(signal, name)
    assert alive(mark) == [] and list(temporary.iterdir()) == []


def test_a_signal_is_held_back_only_meanwhile() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with pytest.raises(sandbox.Ended), sandbox.Signals() as signals:
            signal.raise_signal(signal.SIGTERM)
            assert got == [] and signals.number == signal.SIGTERM
        assert got == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(not ROOT, reason="only root can give files to another user")
def test_only_new_files_of_the_user_are_removed(tmp_path: Path) -> None:
    old = [tmp_path / "file", tmp_path / "folder" / "file"]
    old[1].parent.mkdir()
    for path in old:
        path.write_text("a service's")
    for path in (*old, old[1].parent):
        os.chown(path, 59_990, 59_990)
    time.sleep(0.05)
    (tmp_path / "begun").touch()
    begun = (tmp_path / "begun").stat().st_ctime
    time.sleep(0.05)
    new = [tmp_path / "new", tmp_path / "folder" / "new", tmp_path / "made" / "a" / "new"]
    new[2].parent.mkdir(parents=True)
    for path in (*new, new[2].parent, new[2].parent.parent):
        path.touch()
        os.chown(path, 59_990, 59_990)
    isolation.remove(str(tmp_path), 59_990, begun)
    assert [path.exists() for path in (*old, *new, tmp_path / "made")] == [True, True, False, False, False, False]


@pytest.mark.skipif(not ROOT, reason="only root can choose a user id")
def test_an_id_that_owns_files_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "LEFTOVERS", (str(tmp_path),))
    monkeypatch.setattr(isolation, "UIDS", range(59_990, 59_992))
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 59_990, 59_990)
    assert {isolation.account(None)[0] for _ in range(8)} == {59_991}


def test_the_trial_finds_a_seed_that_can_be_read(tmp_path: Path) -> None:
    way = "another user"
    if missing(way):
        pytest.skip(missing(way))
    seed = place().seen
    assert str(seed) in isolation.tried(isolated(way), seed)
    seed = place().secret
    assert str(seed) not in isolation.tried(isolated(way), seed)


# ---- the tests' own footing
def test_the_attacks_are_no_empty_threats(tmp_path: Path) -> None:
    """Without isolation, as the same user, the same file gets what it is after."""
    assert _imports("none").note == ""
    names = ["read_a_closed_file", "read_through_a_symlink", "list_the_graders_descriptors", "signal_the_grader",
             "read_an_open_file", "loopback", "write_into_the_graders_folder", "own_environment"]
    job = Job(probes(names, place().secret.parent), [f"{name}:x" for name in names], place().data(), [], [])
    ran = run(job, {"attacks.py": source({name: REACHES[name] for name in names})})["attacks.py"]
    got = {name: ran.answers[f"{name}:x"].values["got"] for name in names}
    assert got["read_a_closed_file"] == got["read_through_a_symlink"] == got["read_an_open_file"] == SECRET
    assert {got[name] for name in names[2:4]} | {got["loopback"], got["write_into_the_graders_folder"]} == {"done"}


def test_the_trial_notices_what_it_is_for(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolation.tried(isolated(way)) == "" or not private(way)
    if private(way):
        monkeypatch.setattr(isolation, "readable", lambda: ["/usr", "/bin", "/lib", "/lib64", sys.prefix,
                                                            sys.base_prefix, str(sandbox.ROOT)])
        assert "can read" in isolation.tried(isolated(way))


def test_a_mode_of_files_is_as_it_was() -> None:
    assert stat.S_IMODE(place().secret.stat().st_mode) == 0o600
    assert subprocess.run(["true"]).returncode == 0
