"""Checks a file by a kit: its archive is unpacked, and its function called. viz/playground/kits.py has the protocol."""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator

from .program import Answer


def check(question: Answer) -> Answer:
    """Return the report on a file.

    Args:
        question: `kit`, the archive in base64; `check`, the function's place; `name`, `file` and `source`, its
            arguments.
    """
    with tempfile.TemporaryDirectory() as folder, importable(folder):
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(question["kit"]))) as archive:
            archive.extractall(folder)
        module, _, name = question["check"].partition(":")
        function = getattr(importlib.import_module(module), name)
        answer: Answer = function(question["name"], question["file"], question["source"])
        return answer


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Make the modules of a folder importable, and forget them at the end."""
    before = list(sys.path)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        inside = folder + os.sep
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(inside):
                del sys.modules[name]
