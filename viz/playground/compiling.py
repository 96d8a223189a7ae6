"""Compiled modules: Python reads them several times faster than it compiles their source.

Runs in Pyodide, when the site is built, after the first picture has been drawn there: what is
loaded then is what a page needs at its start.
"""

from __future__ import annotations

import io
import json
import marshal
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

from .examples import TITLES
from .session import Session
from .views.view import Choice

DATE = (2020, 1, 1, 0, 0, 0)  # of files in archives, which depend on their contents alone
CHECKED, UNCHECKED = 0b11, 0b01  # whether Python compares the source, when it imports a compiled module (PEP 552)


def draw_first_picture(examples: Path) -> None:
    """Load the modules that the page's first picture needs."""
    source = (examples / f"{next(iter(TITLES))}.py").read_text(encoding="utf-8")
    question = {"view": "pictures", "ask": "show", "source": source} | asdict(Choice())
    problems = json.loads(Session().answer(json.dumps(question)))["problems"]
    if problems:
        raise RuntimeError(f"the first picture isn't drawn: {problems}")


def standard_library(archive: str) -> bytes:
    """Return the zip archive of Python's library, with the loaded modules compiled beside their source."""
    loaded = {origin.removeprefix(f"{archive}/"): origin for origin in loaded_files() if origin.startswith(archive)}
    with zipfile.ZipFile(archive) as opened:
        files = [(name, opened.read(name)) for name in opened.namelist()]
    compiled = [(f"{name}c", compile_module(source, loaded[name], UNCHECKED)) for name, source in files
                if name in loaded]
    return zipped([*files, *compiled])


def packages() -> bytes:
    """Return a zip archive of the loaded modules that have a file, compiled, with names from the root."""
    return zipped([(cache_from_source(file).lstrip("/"), compile_module(Path(file).read_bytes(), file, CHECKED))
                   for file in loaded_files() if Path(file).is_file()])


def loaded_files() -> Iterator[str]:
    """Yield the source files of the modules that are loaded, in order."""
    specs = (getattr(module, "__spec__", None) for module in sys.modules.values())
    yield from sorted({spec.origin for spec in specs if spec is not None and (spec.origin or "").endswith(".py")})


def compile_module(source: bytes, file: str, flags: int) -> bytes:
    """Return a compiled module, in the form of a .pyc file."""
    code = compile(source, file, "exec", dont_inherit=True)
    return MAGIC_NUMBER + flags.to_bytes(4, "little") + source_hash(source) + marshal.dumps(code)


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()
