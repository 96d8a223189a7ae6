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
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
import platformdirs
from numba.core.dispatcher import Dispatcher

import minigrad
from minigrad.formats.files import write_atomically

SOURCES = "blas.py", "functions.py", "products.py"  # whose functions the generated ones call
VARIABLE = "MINIGRAD_CACHE"
_loading = threading.Lock()


def module_of(text: str) -> ModuleType:
    """Return the module with this text."""
    digest = hashlib.sha256("\n".join([text, *_versions()]).encode()).hexdigest()[:24]
    name = f"minigrad_loops_{digest}"
    with _loading:
        if name not in sys.modules:
            _load(name, text.encode())
        return sys.modules[name]


def _load(name: str, content: bytes) -> None:
    path = folder() / f"{name}.py"
    if not (path.exists() and path.read_bytes() == content):
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


def compile_functions(module: ModuleType, types: Mapping[str, tuple[Any, ...]], title: str) -> dict[str, str]:
    """Compile functions of a module, or load their machine code from the cache.

    Args:
        types: name of a function -> the types of its arguments.
        title: of the definition, for a line that says what takes some seconds.

    Returns:
        name of a function that Numba can't compile -> why. With NUMBA_DISABLE_JIT=1 Python runs the functions.
    """
    if numba.config.DISABLE_JIT:
        return {}
    new = [name for name in types if not list(_machine_code(getattr(module, name), "nbi"))]
    if new:
        print(f"compiling {len(new)} loop{'s' * (len(new) > 1)} of {title!r} with Numba: some seconds, once",
              file=sys.stderr)
    found = {name: _compile(module, name, arguments) for name, arguments in types.items()}
    return {name: why for name, why in found.items() if why}


def _compile(module: ModuleType, name: str, types: tuple[Any, ...]) -> str:
    """Compile one function; return why Numba can't, else ""."""
    why = ""
    for _ in range(2):
        try:
            getattr(module, name).compile(types)
            return ""
        except Exception as error:  # also where a file of the cache isn't whole, or can't be written
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            why = "Numba can't compile it: " + " ".join(lines[:2])
            for function in vars(module).values():
                for path in _machine_code(function, "nb[ci]"):
                    path.unlink(missing_ok=True)
    return why


def _machine_code(function: Any, ending: str) -> Iterable[Path]:
    """Return the files of the cache for a function: machine code, .nbc, and its index, .nbi."""
    if not isinstance(function, Dispatcher) or function.stats.cache_path is None:
        return ()
    made = function.py_func
    return Path(function.stats.cache_path).glob(f"{made.__module__.rpartition('.')[2]}.{made.__qualname__}-*.{ending}")


def folder() -> Path:
    """Return the folder of generated functions; one for this process alone where the user's can't be written."""
    asked = os.environ.get(VARIABLE)
    path = Path(asked).expanduser() if asked else platformdirs.user_cache_path("minigrad") / "loops"
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
