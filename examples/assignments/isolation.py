"""Isolates a student's process: another user, a file system and process numbers of its own.

Three methods, the strongest first; `choose` takes the first that works here, after a trial in which a
process looks for what it must not reach:

- bubblewrap (bwrap): namespaces, and a file system that holds Python and nothing of the grader's;
- unshare (of util-linux): the same, by `enter.sh`;
- another user alone, where the grader is root but may not make namespaces, as in most containers.

As root, the process has a user id that nothing else on the machine has, in all three. As an ordinary user
the first two work where the kernel lets users make namespaces. All need Linux.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .sandbox import HERE, PYTHON, ROOT, Job, Refused, Unisolated, environment, run

FOLDER, SCRATCH = "/checker", "/scratch"  # in a file system of its own: the grader's folder, the student's
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # the programs there
SPACE = 64 << 20  # bytes in each folder of memory
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives",
          "/etc/localtime")
LEFTOVERS = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/var/lock", "/var/crash")  # open to all
DIRECTORY = sum(getattr(os, flag, 0) for flag in ("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"))
UIDS = range(50_000, 60_000)  # above people's, below those that systems give out by themselves


@dataclass(frozen=True)
class Isolated(Unisolated):
    """Starts a student's process isolated.

    Attributes:
        method: "bubblewrap", "unshare" or "another user".
        uid, gid: the student's user, where the grader is root; else None, and the process has the grader's.
    """

    method: str
    uid: int | None
    gid: int | None

    @property
    def said(self) -> str:  # type: ignore[override]
        """What the report says."""
        user = "another user" if self.uid is not None and self.method != "another user" else ""
        return f"isolated by {', '.join(filter(None, [self.method, user]))}"

    @property
    def arguments(self) -> Sequence[str]:  # type: ignore[override]
        """Of inside.py: whose rights it takes."""
        return ["isolated"] if self.uid is None else [str(self.uid), str(self.gid)]

    @property
    def private(self) -> bool:
        """Whether the process has a file system of its own."""
        return self.method != "another user"

    def inside(self, folder: Path) -> Path:
        """Return where the student's process finds the grader's folder."""
        return Path(FOLDER) if self.private else folder

    def start(self, folder: Path, scratch: Path, python: Sequence[str], blocked: Sequence[str]
              ) -> subprocess.Popen[bytes]:
        """Start Python in the scratch folder, isolated."""
        if not self.private:
            _adopt(True)
            return super().start(folder, scratch, python, blocked)
        command = {"bubblewrap": self._bubblewrap, "unshare": self._unshare}[self.method](folder, scratch, blocked)
        return subprocess.Popen([*command, *python, f"{FOLDER}/inside.py", *self.arguments], cwd="/",
                                env={**environment(SCRATCH), "PATH": PATH}, start_new_session=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def _bubblewrap(self, folder: Path, scratch: Path, blocked: Sequence[str]) -> list[str]:
        """The command: a read-only root with Python, folders of memory, no network, no capabilities."""
        rights = ["--unshare-user"] if self.uid is None else ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        memory = ["--size", str(SPACE), "--perms", "1777", "--tmpfs"]
        return ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
                "--die-with-parent", "--new-session", "--cap-drop", "ALL", *rights, *memory, "/tmp",
                *(word for path in above(readable()) for word in ("--perms", "0755", "--dir", path)),
                *(word for path in readable() for word in ("--ro-bind", path, path)),
                *(word for path in hidden(blocked) for word in (
                    ("--size", "4096", "--tmpfs", path) if os.path.isdir(path) else ("--ro-bind", "/dev/null", path))),
                "--ro-bind", str(folder), FOLDER, "--proc", "/proc", "--dev", "/dev", *memory, "/dev/shm",
                *memory, SCRATCH, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH, "--"]

    def _unshare(self, folder: Path, scratch: Path, blocked: Sequence[str]) -> list[str]:
        """The same: the namespaces by unshare, what is in them by enter.sh, which is the first process there."""
        rights = ["--user", "--map-root-user"] if self.uid is None else []
        root = scratch.with_name(f"root_{scratch.name}")
        root.mkdir()
        return ["unshare", *rights, "--mount", "--pid", "--ipc", "--net", "--uts", "--cgroup", "--fork",
                "--kill-child", "/bin/sh", str(HERE / "enter.sh"), str(root), str(folder), str(SPACE), *readable(),
                "--", *hidden(blocked), "--"]

    def own(self, scratch: Path) -> None:
        """Give the scratch folder to the student's user: it is new and empty, in a folder of the grader's."""
        if self.uid is not None and not self.private:
            os.chown(scratch, self.uid, self.gid or 0, follow_symlinks=False)

    def memory(self) -> int:
        """Return how many bytes all processes of the student have together."""
        if self.uid is None:
            return 0
        pids = [one.pid for one in processes(self.uid)]
        unnamed = {key: size for pid in pids for key, size in _unnamed(pid)}  # each once, however many have it open
        return sum(map(_resident, pids)) + sum(unnamed.values())

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End every process of the student, and return when none is left.

        The first process of a process namespace takes all others with it, and ends when they have ended.
        """
        if self.private:
            for child in children(process.pid):
                _kill(child)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()
        if self.uid is not None:
            sweep(self.uid)
        if not self.private:
            _adopt(False)

    def clean(self, scratch: Path) -> None:
        """Remove what the student's processes have left: the scratch folder, and their files where all may write."""
        if not self.private and self.uid is not None:
            begun = os.stat(scratch.parent / "inside.py").st_ctime  # the grader's own file, made at the start
            for place in LEFTOVERS:
                remove(place, self.uid, begun)
        remove_folder(scratch)


# ---- processes
@dataclass(frozen=True)
class Process:
    """A process that is there: its number, its parent's, and whether it has ended and waits for its parent."""

    pid: int
    parent: int
    ended: bool


def _all() -> Iterator[tuple[Process, tuple[int, ...]]]:
    """Every process, with its user ids: real, effective, saved, of the file system."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status", "rb") as file:
                    text = file.read()
            except OSError:  # it has ended meanwhile
                continue
            found = {key: re.search(rb"^%s:\s*(.*)$" % key, text, re.M) for key in (b"State", b"PPid", b"Uid")}
            state, parent, uids = (match.group(1) if match else b"0" for match in found.values())
            yield Process(int(name), int(parent), state[:1] in b"ZX"), tuple(map(int, uids.split()))


def processes(uid: int) -> list[Process]:
    """Return the processes of a user, by any of its ids."""
    return [one for one, uids in _all() if uid in uids]


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    return [one.pid for one, _ in _all() if one.parent == pid]


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _unnamed(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield the files without a name that a process has open or mapped, as of memfd_create: identity, bytes."""
    for folder in (f"/proc/{pid}/fd", f"/proc/{pid}/map_files"):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{name}").endswith(" (deleted)"):
                        found = os.stat(f"{folder}/{name}")
                        yield (found.st_dev, found.st_ino), found.st_blocks * 512


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _adopt(on: bool) -> None:
    """Become the parent of processes whose own parent ends, to wait for them; or no more."""
    import ctypes

    ctypes.CDLL(None).prctl(36, int(on), 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def sweep(uid: int) -> None:
    """End all processes of a user and wait for them; remove their System V objects, clear the persistent keyring.

    sweep.py does it with that user's rights, and one call for all processes: new ones can't escape it.

    Raises:
        Refused: where a process is left all the same: then no result may be believed.
    """
    for attempt in range(200):
        left = [one for one in processes(uid) if not _reaped(one)]
        if attempt and all(one.ended for one in left) and not shared_memory(uid):
            if not left or attempt > 50:  # an ended process waits for its parent, which isn't this one
                return
        else:
            subprocess.run([sys.executable, "-I", "-S", str(HERE / "sweep.py"), str(uid)], check=False, cwd="/",
                           stdin=subprocess.DEVNULL, timeout=60)
        time.sleep(0.001 * attempt)
    raise Refused("a process of the student's file can't be ended: there are no results")


def _reaped(one: Process) -> bool:
    """Take note of the end of a process whose parent has ended before."""
    if one.ended and one.parent == os.getpid():
        try:
            return os.waitpid(one.pid, os.WNOHANG)[0] == one.pid
        except ChildProcessError:
            return True
    return False


def shared_memory(uid: int) -> list[tuple[str, int]]:
    """Return the System V objects that belong to a user: kind ("shm", "sem", "msg") and number."""
    found = []
    for kind in ("shm", "sem", "msg"):
        try:
            with open(f"/proc/sysvipc/{kind}", encoding="ascii", errors="replace") as file:
                head, *rows = (line.split() for line in file)
        except (OSError, ValueError):
            continue
        owners = [head.index(name) for name in ("uid", "cuid")]
        found += [(kind, int(row[1])) for row in rows if str(uid) in [row[at] for at in owners]]
    return found


# ---- files
def remove(place: str, uid: int, since: float) -> None:
    """Remove a user's files that were changed since a time from a folder where all may write, and follow no link."""
    try:
        top = os.open(place, DIRECTORY)
    except OSError:
        return
    try:
        _remove_inside(top, uid, since)
    finally:
        os.close(top)


def _remove_inside(folder: int, uid: int, since: float, depth: int = 3) -> None:
    """Remove a user's new entries of an open folder, and of folders in it where all may write."""
    for name in os.listdir(folder):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if found.st_uid == uid and not stat.S_ISDIR(found.st_mode):
                if found.st_ctime >= since:
                    os.unlink(name, dir_fd=folder)
            elif found.st_uid == uid and found.st_ctime >= since:
                inner = os.open(name, DIRECTORY, dir_fd=folder)
                try:
                    old = _has_older(inner, since)
                    if old and depth:
                        _remove_inside(inner, uid, since, depth - 1)
                finally:
                    os.close(inner)
                if old:
                    continue
                _empty(folder, name)
                os.rmdir(name, dir_fd=folder)
            elif stat.S_ISDIR(found.st_mode) and found.st_mode & 0o002 and depth:
                inner = os.open(name, DIRECTORY, dir_fd=folder)
                try:
                    _remove_inside(inner, uid, since, depth - 1)
                finally:
                    os.close(inner)
        except OSError:
            continue


def _has_older(folder: int, since: float) -> bool:
    """Whether a folder has entries that were last changed before a time: then the folder is older, too."""
    return any(os.stat(name, dir_fd=folder, follow_symlinks=False).st_ctime < since for name in os.listdir(folder))


def _empty(parent: int, name: str) -> None:
    """Empty a folder without recursion and without paths, however deep it is.

    Every step goes to an entry of an open folder, follows no link, and leads back to where it came from.

    Raises:
        OSError: where an entry can't be removed, or another process moves folders meanwhile.
    """
    here = os.open(name, DIRECTORY, dir_fd=parent)
    try:
        stack = [(name, os.fstat(here), os.listdir(here))]
        while True:
            name, _, entries = stack[-1]
            if entries and not _is_folder(here, entries[-1]):
                os.unlink(entries.pop(), dir_fd=here)
            elif entries:
                inner = os.open(entries[-1], DIRECTORY, dir_fd=here)
                stack.append((entries.pop(), os.fstat(inner), os.listdir(inner)))
                os.close(here)
                here = inner
            else:
                stack.pop()
                if not stack:
                    return
                above = os.open("..", DIRECTORY, dir_fd=here)
                os.close(here)
                here = above
                if not os.path.samestat(os.fstat(here), stack[-1][1]):
                    raise OSError("a folder was moved while it was removed")
                os.rmdir(name, dir_fd=here)
    finally:
        os.close(here)


def _is_folder(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def remove_folder(scratch: Path) -> None:
    """Remove the scratch folder, whose own folder is the grader's."""
    parent = os.open(scratch.parent, DIRECTORY)
    try:
        _empty(parent, scratch.name)
        os.rmdir(scratch.name, dir_fd=parent)
    except FileNotFoundError:
        pass
    finally:
        os.close(parent)


def owners(place: str) -> set[int]:
    """Return the user ids that own entries of a folder; none where there is no such folder."""
    found = set()
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found.add(entry.stat(follow_symlinks=False).st_uid)
    return found


# ---- what a process may see
@cache
def readable() -> list[str]:
    """Return what Python and NumPy need of the file system, none inside of another."""
    wanted = [*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable)),
              os.path.dirname(os.path.dirname(np.__file__))]
    there = [path for path in dict.fromkeys(map(os.path.abspath, wanted)) if os.path.exists(path)]
    return [path for path in there if not any(path != other and Path(path).is_relative_to(other) for other in there)]


def above(paths: Sequence[str]) -> list[str]:
    """Return the folders that paths are in, outer ones first, without the root and /tmp."""
    folders = {str(folder) for path in paths for folder in Path(path).parents} - {"/", "/tmp"}
    return sorted(folders)


@cache
def searched() -> list[str]:
    """Return where Python programs find modules there: this Python, with what its .pth files add, and the system's."""
    done = subprocess.run([*PYTHON, "-c", "import sys; print(*sys.path[1:], sep=chr(0), end='')"], check=True, cwd="/",
                          env=environment("/"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60)
    system = [str(path) for top in ("/usr/lib", "/usr/local/lib", "/usr/lib64") for pattern in
              ("python3*/dist-packages", "python3*/site-packages") for path in sorted(Path(top).glob(pattern))]
    return list(dict.fromkeys([*done.stdout.decode("utf-8").split("\0"), *system]))


def hidden(blocked: Sequence[str]) -> list[str]:
    """Return the folders and files of forbidden packages, which are covered: the process can't read them.

    A folder that is readable by two paths (/lib and /usr/lib) is covered at both.
    """
    found = [os.path.realpath(os.path.join(place, name)) for place in searched() if os.path.isdir(place)
             for name in sorted(os.listdir(place)) if name.partition(".")[0] in blocked]
    found += [os.path.realpath(place) for place in searched() if os.path.isfile(place) and any(
        importlib.machinery.PathFinder.find_spec(name, [place]) for name in blocked)]  # in a zip
    tops = {path: os.path.realpath(path) for path in readable()}
    return list(dict.fromkeys(os.path.normpath(os.path.join(path, os.path.relpath(place, real)))
                              for place in found for path, real in tops.items()
                              if Path(place).is_relative_to(real)))


# ---- the choice
@cache
def choose(user: str | None = None, seed: Path | None = None) -> Isolated:
    """Return the strongest isolation that works here.

    Args:
        user: as root, the user whose rights the process gets; by default a user id of its own.
        seed: the file of the hidden checks' seed, which the process must not be able to read.

    Raises:
        Refused: where none works; says why.
    """
    if sys.platform != "linux":
        raise Refused("a file can only be isolated on Linux")
    uid, gid = account(user)
    reasons = []
    for method, program in (("bubblewrap", "bwrap"), ("unshare", "unshare"), ("another user", "")):
        if program and shutil.which(program) is None:
            reasons.append(f"{method}: not installed")
        elif not program and uid is None:
            reasons.append(f"{method}: only root can choose one")
        else:
            isolation = Isolated(method, uid, gid)
            reason = tried(isolation, seed)
            if not reason:
                return isolation
            reasons.append(f"{method}: {reason}")
    raise Refused("; ".join(reasons))


def account(user: str | None) -> tuple[int | None, int | None]:
    """Return the user and group id of the student's processes; none where only root could choose."""
    import pwd

    if os.geteuid() != 0:
        if user is not None:
            raise Refused("only root can choose a user")
        return None, None
    if user is None:
        taken = {entry.pw_uid for entry in pwd.getpwall()} | {uid for _, uids in _all() for uid in uids}
        taken |= {uid for place in (*LEFTOVERS, "/home") for uid in owners(place)}
        free = [uid for uid in UIDS if uid not in taken]
        random.SystemRandom().shuffle(free)
        for uid in free:
            try:
                pwd.getpwuid(uid)  # finds accounts of a directory service that the list above may lack
            except KeyError:
                return uid, uid
        raise Refused(f"every user id from {UIDS[0]} to {UIDS[-1]} is used")
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise Refused(f"there is no user {user!r}") from None
    if entry.pw_uid == 0:
        raise Refused("root can't be the student's user")
    if processes(entry.pw_uid):
        raise Refused(f"the user {user!r} has processes of its own, which could not be told from the student's; "
                      "without --user, the process gets a user id that nothing else has")
    return entry.pw_uid, entry.pw_gid


def tried(isolation: Isolated, seed: Path | None = None) -> str:
    """Run a process that looks for what it must not reach; return what is wrong, or nothing."""
    secret = [] if seed is None else [seed.absolute()]
    closed = [str(path) for path in (*secret, HERE / "sandbox.py", HERE / "grading.py", *HERE.glob("*_source.py"),
                                     *HERE.glob("checks/*.py"), *HERE.glob("*seed*"), *ROOT.glob("*seed*"))]
    job = Job(HERE / "probes" / "isolation.py", ["reached"], {"closed": closed, "grader": os.getpid()}, [], [])
    try:
        ran = run(job, {"trial.py": ""}, isolation)["trial.py"]
    except OSError as error:
        return f"{error.strerror}"
    answer = ran.answers["reached"]
    if answer.error is not None:
        printed = "\n".join(ran.printed.values()).strip().splitlines()
        return printed[-1] if printed else str(answer.error["message"])
    values = answer.values
    if not values["python"]:
        return f"its user can't read this Python, {sys.executable}"
    if ran.note:
        return ran.note
    if values["readable"]:
        path = values["readable"][0]
        closing = f"-R go-rwx {ROOT}" if Path(path).is_relative_to(ROOT) else f"go-rwx {path}"
        return f"its process can read {path}: close it to other users, as by chmod {closing}"
    wrong = [name for name, right in (("uids", [isolation.uid] * 3 if isolation.uid is not None else values["uids"]),
                                      ("capabilities", 0), ("no_new_privileges", 1),
                                      ("signals", isolation.private and values["signals"])) if values[name] != right]
    return f"its process has other rights than it should: {', '.join(wrong)}" if wrong else ""
