"""DOT text -> the bytes of a picture.

By the Graphviz that pygraphviz's wheels carry, in this process; where it isn't installed, by the
program `dot`. Knows DOT as text and nothing of what it shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import fonts

RASTER = {"png", "jpg", "jpeg", "gif"}
_one_at_a_time = threading.Lock()  # Graphviz keeps global state
_fonts_are_read = False


class PaintError(RuntimeError):
    """A picture can't be painted; the message says why, and what to do."""


def paint(source: str, format: str, dpi: int | None = None) -> bytes:
    """Paint DOT text.

    Args:
        source: the text; `layout=` in it says how nodes are placed.
        format: "png", "svg", "pdf", or another that Graphviz knows.
        dpi: dots per inch of a PNG or JPEG.

    Raises:
        PaintError: for an unknown format or text that Graphviz can't read; where there is neither
            pygraphviz nor `dot`.
    """
    if "\0" in source:
        raise PaintError("the DOT text holds a NUL character, which Graphviz can't read")
    try:
        from pygraphviz import graphviz as library
    except ImportError:
        return _by_program(source, format, dpi)
    with _one_at_a_time, _messages_caught() as messages:
        trouble, picture = _by_library(library, source, format.lower(), dpi)
    errors = [line for line in messages if line.startswith("Error:")]
    if trouble or errors:
        raise PaintError("; ".join([*filter(None, [trouble]), *errors]))
    return picture


def _by_program(source: str, format: str, dpi: int | None) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise PaintError('nothing here can paint: install pygraphviz (pip install "pygraphviz>=2.0") or Graphviz '
                         "(its program dot on the PATH). The DOT text needs neither: it is in .source")
    resolution = [f"-Gdpi={dpi}"] if dpi and format.lower() in RASTER else []
    with _one_at_a_time, fonts.available():
        done = subprocess.run([program, f"-T{format}", *resolution], input=source.encode(), capture_output=True)
    if done.returncode or not done.stdout:
        raise PaintError(f"dot can't paint this as {format!r}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _by_library(library: Any, source: str, format: str, dpi: int | None) -> tuple[str, bytes]:
    """What went wrong, or "", and the picture."""
    _read_fonts(library)
    with tempfile.TemporaryFile() as file:
        file.write(source.encode())
        file.seek(0)
        copy = os.dup(file.fileno())  # agread will get this number for its own copy,
        os.close(copy)
        try:
            graph = library.agread(file, None)
        except ValueError:
            _close(copy, file.fileno())  # which it forgets after text that it can't read
            return "the DOT text can't be read", b""
    try:
        if dpi and format in RASTER:
            library.agsafeset(graph, b"dpi", str(dpi).encode(), b"")
        context = library.gvContextWithBuiltins()
        try:
            return _placed_and_painted(library, context, graph, format)
        finally:
            library.gvFreeContext(context)
    finally:
        library.agclose(graph)


def _placed_and_painted(library: Any, context: Any, graph: Any, format: str) -> tuple[str, bytes]:
    if library.gvLayout(context, graph, b"dot"):
        return "the graph can't be laid out", b""
    try:
        answer = library.gvRenderData(context, graph, format.encode())
    finally:
        library.gvFreeLayout(context, graph)
    if not isinstance(answer, (list, tuple)) or answer[0] or not answer[1]:
        return f"{format!r} is not a format that can be painted: try png, svg or pdf", b""
    return "", answer[1]


def _read_fonts(library: Any) -> None:
    """Lay out one letter: fontconfig reads its configuration then, and only once a process."""
    global _fonts_are_read
    if _fonts_are_read:
        return
    with fonts.available():
        graph = library.agraphnew(b"fonts", False, True)
        context = library.gvContextWithBuiltins()
        library.agnode(graph, b"a", 1)
        library.gvLayout(context, graph, b"dot")
        library.gvFreeLayout(context, graph)
        library.gvFreeContext(context)
        library.agclose(graph)
    _fonts_are_read = True


def _close(number: int, file: int) -> None:
    try:
        if os.path.sameopenfile(number, file):
            os.close(number)
    except OSError:
        pass


@contextmanager
def _messages_caught() -> Iterator[list[str]]:
    """The lines that C code writes to the process's standard error: not for the user's terminal."""
    messages: list[str] = []
    try:
        standard_error = os.dup(2)
    except OSError:  # there is none
        yield messages
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield messages
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
            log.seek(0)
            messages += log.read().decode("utf-8", "replace").splitlines()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: of the kind that the system gave, with the path and what to do.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".unfinished-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        hint = "make the folder first" if isinstance(error, FileNotFoundError) else "choose another place"
        raise type(error)(error.errno, f"can't write {path}: {error.strerror}; {hint}") from None
