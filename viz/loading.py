"""The file of a user, of which the command line draws something: run anew each time, and watched with its imports."""

from __future__ import annotations

import importlib
import linecache
import runpy
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NoReturn

POLL = 0.3  # seconds between two checks of the watched files
FileState = tuple[int, int, int] | None


class LoadError(Exception):
    """A file can't be run; the message is one line, and the cause is the exception that the file raised, if any."""


class Loader:
    """Runs files as modules and not as scripts, and keeps their variables.

    Modules that they import from their folders are imported anew each time, and watched.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.folders = {Path(file).resolve().parent for file in files}
        self.known = {name.partition(".")[0] for name in sys.modules}  # of viz and all that it needs
        self.variables: dict[str, dict[str, Any]] = {}  # by file
        self.watched: dict[Path, FileState] = {}
        for file in files:
            self._watch(Path(file).resolve())

    def load(self, files: Sequence[str]) -> None:
        """Run files; each with the modules that it imports as they are now.

        Raises:
            LoadError: if there is no such file, or it raises an exception.
        """
        self.variables = {}
        for file in dict.fromkeys(files):
            self.forget()
            self.variables[file] = self._run(file)

    def _run(self, file: str) -> dict[str, Any]:
        path = Path(file).resolve()
        if not path.is_file():
            raise LoadError(f"there is no file {file!r}")
        linecache.checkcache()
        argv, sys.argv = sys.argv, [file]  # the file gets no arguments
        sys.path.insert(0, str(path.parent))
        # A compiled module that is as long, and of the same second, as a newer source would be taken for it.
        written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            return runpy.run_path(file, run_name=path.stem)
        except (Exception, SystemExit) as error:
            for place in _places(error, path.parent):
                self._watch(place)
            error.__traceback__ = _from_file(error.__traceback__, file)
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
            where = f"{file}:{lines[-1]}" if lines else file
            raise LoadError(f"{where}: {type(error).__name__}: {error}") from error
        finally:
            sys.dont_write_bytecode = written
            sys.path.remove(str(path.parent))
            sys.argv = argv
            for place in [place for _, place in self._modules()]:
                self._watch(place)

    def _modules(self) -> Iterator[tuple[str, Path]]:
        """Yield the modules of the files' folders with their places, but none of viz and of all that it needs."""
        for name, module in sorted(sys.modules.items()):
            place = None if name.partition(".")[0] in self.known else _place(module)
            if place is not None and self._is_own(place):
                yield name, place

    def forget(self) -> None:
        """Remove the modules that the files imported from their folders from those that Python has loaded."""
        for name, _ in list(self._modules()):
            del sys.modules[name]
        importlib.invalidate_caches()  # a file that is new may be of the same moment as the last listing of its folder

    def _is_own(self, place: Path) -> bool:
        return "site-packages" not in place.parts and any(place.is_relative_to(folder) for folder in self.folders)

    def _watch(self, place: Path) -> None:
        if place not in self.watched and self._is_own(place):
            self.watched[place] = _file_state(place)

    def changed(self) -> bool:
        """Return whether a watched file was written since the last call; one that is missing is waited for."""
        states = {place: _file_state(place) for place in self.watched}
        new = {place: state for place, state in states.items() if state is not None and state != self.watched[place]}
        self.watched |= new
        return bool(new)


def watch(loader: Loader, draw: Callable[[], object]) -> NoReturn:
    """Draw now and after every change of a watched file, until Ctrl-C."""
    draw()
    while True:
        time.sleep(POLL)
        if loader.changed():
            draw()


def _place(module: ModuleType) -> Path | None:
    """Return the file of a module; None for one without, such as a package that is a folder alone."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _places(error: BaseException, folder: Path) -> list[Path]:
    """Return the files that an error comes from: of its calls, of wrong syntax, of a module that isn't there yet."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        files.append(error.filename)
    if isinstance(error, ModuleNotFoundError) and error.name:
        files += [str(folder.joinpath(*error.name.split(".")).with_suffix(".py")),
                  str(folder.joinpath(*error.name.split("."), "__init__.py"))]
    return [Path(file).resolve() for file in files]


def _from_file(calls: TracebackType | None, file: str) -> TracebackType | None:
    """Return the calls of a traceback from the first in a file on; None if there is none."""
    while calls is not None and calls.tb_frame.f_code.co_filename != file:
        calls = calls.tb_next
    return calls


def _file_state(file: Path) -> FileState:
    """Return values that change when a file is written or replaced; None if there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
