"""A release of Pyodide, in a folder or at an address: the files that the page needs of it, checked."""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PYODIDE = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"  # the address that Pyodide's documentation gives
LIBRARY = "python_stdlib.zip"
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", LIBRARY, "pyodide-lock.json")
NEEDS = {"Python": "3.12", "NumPy": "2.0"}  # of Pyodide: sys.monitoring, for the time limit; what minigrad needs
SECONDS = 30.0  # to wait for an answer of Pyodide's host


class BuildError(Exception):
    """The site can't be built; the message is one line."""


class Unreachable(BuildError):
    """The host of Pyodide doesn't answer."""


def pyodide_files(folder: Path) -> list[Path]:
    """Return the files of a Pyodide release that the page needs: the core, and NumPy with what it depends on.

    Raises:
        BuildError: if one is missing, a package isn't that of the release, or the release is too old.
    """
    missing = [name for name in CORE if not (folder / name).is_file()]
    if missing:
        raise BuildError(f"{folder} holds no Pyodide: {', '.join(missing)} missing. Unpack a release of Pyodide there, "
                         "or give its address")
    wheels = needed_packages((folder / "pyodide-lock.json").read_text(encoding="utf-8"), str(folder))
    return [folder / name for name in CORE] + [checked(folder / name, digest) for name, digest in wheels.items()]


def needed_packages(lock: str, place: str) -> dict[str, str]:
    """Return the files of NumPy and of what it depends on, with their SHA-256 sums.

    Raises:
        BuildError: without NumPy, or if Python or NumPy is too old for the page.
    """
    facts: dict[str, Any] = json.loads(lock)
    packages = facts["packages"]
    wanted = ["numpy"]
    for name in wanted:  # which grows
        if name not in packages:
            raise BuildError(f"{place} holds a Pyodide without the package {name}: take a full release, not the core")
        wanted += [other for other in packages[name]["depends"] if other not in wanted]
    found = {"Python": facts["info"]["python"], "NumPy": packages["numpy"]["version"]}
    if any(numbers(found[name]) < numbers(version) for name, version in NEEDS.items()):
        has, needs = (" and ".join(f"{name} {version}" for name, version in each.items()) for each in (found, NEEDS))
        raise BuildError(f"{place} holds Pyodide {facts['info']['version']} with {has}; needed are {needs}, or newer")
    return {packages[name]["file_name"]: packages[name]["sha256"] for name in wanted}


def version_of(folder: Path) -> str:
    """Return the version of a release."""
    return str(json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]["version"])


def numbers(version: str) -> list[int]:
    """Return the first two numbers of a version."""
    return [int(number) for number in version.split(".")[:2]]


def download(address: str, folder: Path) -> list[Path]:
    """Download the files of a release that the page needs, from the address of its folder.

    Raises:
        Unreachable: if the host doesn't answer.
        BuildError: if it has no such file, or the release can't be used.
    """
    place = address.rstrip("/") + "/"
    for name in CORE:
        (folder / name).write_bytes(read(place + name))
    for name in needed_packages((folder / "pyodide-lock.json").read_text(encoding="utf-8"), place):
        (folder / name).write_bytes(read(place + name))
    return pyodide_files(folder)


def read(address: str) -> bytes:
    """Return a file of another host."""
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise BuildError(f"{address}: the server answers {error.code} {error.reason}. Give the address of the folder "
                         f"of a release of Pyodide, such as {PYODIDE}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{address} can't be reached now ({getattr(error, 'reason', error)})") from None
    return content


def checked(file: Path, digest: str) -> Path:
    """Return a file that has a SHA-256 sum."""
    if not file.is_file():
        raise BuildError(f"{file} is missing: take a full release of Pyodide, not the core")
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise BuildError(f"{file} is not the file that pyodide-lock.json names: its SHA-256 sum differs")
    return file
