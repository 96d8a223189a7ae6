"""Painting DOT text: the bytes of a PNG, SVG or PDF.

Uses the Graphviz library in pygraphviz's wheels, in this process; without pygraphviz, the program
`dot`. This module treats DOT as text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any

from . import fonts

RASTER = {"png", "jpg", "jpeg", "gif"}  # formats that have a resolution
VECTOR = {"svg", "svgz", "svg_inline", "ps", "ps2", "eps", "dot", "gv", "xdot", "xdot_json", "canon", "json", "json0",
          "dot_json", "plain", "plain-ext", "fig", "pic", "pov", "tk", "cmapx", "imap", "cmap"}  # of any size
FORMATS = "Use one of:"  # Graphviz lists about forty formats after these words
_lock = threading.Lock()  # Graphviz keeps global state


class PaintError(RuntimeError):
    """A picture can't be painted; the message gives the reason and a remedy."""


def paint(source: str, format: str, dpi: int | None = None) -> bytes:
    """Return the bytes of a picture of DOT text: "png", "svg", ...; `dpi` sets the resolution of a PNG or JPEG.

    Raises:
        PaintError: for an unknown format or invalid DOT text; if neither pygraphviz nor `dot` is installed.
    """
    if "\0" in source:
        raise PaintError("the DOT text holds a NUL character, which Graphviz can't read")
    try:
        from pygraphviz import graphviz as library
    except ImportError:
        return _paint_with_dot(source, format, dpi)
    with _lock, _captured_stderr() as messages:
        problem, picture = _paint_with_library(library, source, format.lower(), dpi)
    errors = [line for line in messages if line.startswith("Error:") and FORMATS not in line]
    if problem or errors:
        raise PaintError("; ".join([*filter(None, [problem]), *errors]))
    return picture


def _paint_with_dot(source: str, format: str, dpi: int | None) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise PaintError('nothing here can paint: install pygraphviz (pip install "pygraphviz>=2.0") or Graphviz '
                         "(its program dot on the PATH). The DOT text needs neither: it is in .source")
    resolution = [f"-Gdpi={dpi}"] if dpi and format.lower() in RASTER else []
    with _lock, fonts.bundled_fonts_available():
        done = subprocess.run([program, f"-T{format}", *resolution], input=source.encode(), capture_output=True)
    if FORMATS.encode() in done.stderr:
        raise PaintError(_unknown(format))
    if done.returncode or not done.stdout:
        raise PaintError(f"dot can't paint this as {format!r}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _paint_with_library(library: Any, source: str, format: str, dpi: int | None) -> tuple[str, bytes]:
    """Return (problem, picture); the problem is "" on success."""
    _load_fonts(library)
    with tempfile.TemporaryFile() as file:
        file.write(source.encode())
        file.seek(0)
        # agread duplicates the file descriptor and leaks the duplicate if the text is invalid. The next free
        # number is the one that it will get, so that it can be closed here.
        duplicate = os.dup(file.fileno())
        os.close(duplicate)
        try:
            graph = library.agread(file, None)
        except ValueError:
            with suppress(OSError):
                if os.path.sameopenfile(duplicate, file.fileno()):
                    os.close(duplicate)
            return "the DOT text can't be read", b""
    with ExitStack() as cleanup:  # frees the layout, then the context, then the graph
        cleanup.callback(library.agclose, graph)
        if dpi and format in RASTER:
            library.agsafeset(graph, b"dpi", str(dpi).encode(), b"")
        context = library.gvContextWithBuiltins()
        cleanup.callback(library.gvFreeContext, context)
        if library.gvLayout(context, graph, b"dot"):
            return "the graph can't be laid out", b""
        cleanup.callback(library.gvFreeLayout, context, graph)
        result = library.gvRenderData(context, graph, format.encode())  # (error code, bytes) or an error
    if not isinstance(result, (list, tuple)) or result[0] or not result[1]:
        return _unknown(format), b""
    return "", result[1]


def _unknown(format: str) -> str:
    return f"{format!r} is not a format that can be painted: try png, svg or pdf"


@cache
def _load_fonts(library: Any) -> None:
    """Lay out one letter, so that fontconfig reads its configuration, which it does once per process."""
    with fonts.bundled_fonts_available():
        graph = library.agraphnew(b"fonts", False, True)
        context = library.gvContextWithBuiltins()
        library.agnode(graph, b"a", 1)
        library.gvLayout(context, graph, b"dot")
        library.gvFreeLayout(context, graph)
        library.gvFreeContext(context)
        library.agclose(graph)


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Capture the lines that C code writes to file descriptor 2; they are in the list after the context ends."""
    messages: list[str] = []
    try:
        standard_error = os.dup(2)
    except OSError:  # the process has no standard error
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
