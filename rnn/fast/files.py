"""The files of generated functions, in a folder of the user's cache, where Numba keeps their machine code beside them.

Numba caches functions of files alone. The name of a file is a hash of its text, and of all that the machine code
depends on, so a file never changes: another text, another version of Numba or of minigrad is another file. The
folder can be deleted at any time. The environment variable MINIGRAD_CACHE names another one.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import numpy as np
import platformdirs

import minigrad
from minigrad.formats.files import write_atomically

SOURCES = "functions.py", "products.py"  # whose functions the generated ones call
VARIABLE = "MINIGRAD_CACHE"


def module_of(text: str) -> tuple[ModuleType, bool]:
    """Return the module with this text, and whether it is new, so that its functions aren't compiled yet."""
    digest = hashlib.sha256("\n".join([text, *_versions()]).encode()).hexdigest()[:24]
    name = f"minigrad_loops_{digest}"
    if name in sys.modules:
        return sys.modules[name], False
    path, content = folder() / f"{name}.py", text.encode()
    new = not (path.exists() and path.read_bytes() == content)
    if new:
        try:
            write_atomically(path, content)
        except OSError:
            path = _private() / path.name
            path.write_bytes(content)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where Numba looks for the globals of a function from its cache
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module, new


def folder() -> Path:
    """Return the folder of generated functions; one for this process alone where the user's can't be written."""
    asked = os.environ.get(VARIABLE)
    path = Path(asked) if asked else platformdirs.user_cache_path("minigrad") / "loops"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _private()
    return path if os.access(path, os.W_OK) else _private()


@cache
def _private() -> Path:
    """Return a folder that is deleted at the end of the process."""
    path = Path(tempfile.mkdtemp(prefix="minigrad-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def _versions() -> tuple[str, ...]:
    """Return all that the machine code of a text depends on."""
    sources = [(Path(__file__).parent / name).read_text(encoding="utf-8") for name in SOURCES]
    return (minigrad.__version__, numba.__version__, llvmlite.__version__, np.__version__, sys.version, *sources)
