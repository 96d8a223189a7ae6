"""The checks of an assignment as data, which a students' kit contains instead of the solutions.

`save` writes them: the questions, the right numbers, and the usual mistakes, each sealed with the
numbers that it gives. `load` reads them. A check is the same object with and without a kit, so it says
the same.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import grading, naming
from .inside import decoded_array, encoded_one
from .sandbox import HERE, Job

FOLDER = HERE / "kit_data"
PROBES = HERE / "probes"


def names() -> list[str]:
    """Return the assignments that are here as data."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def load(name: str, seed: int | None = None) -> list[grading.Assignment]:
    """Return the parts of an assignment.

    Raises:
        Unreadable: if they don't have the numbers of this seed.
    """
    parts: list[grading.Assignment] = _object(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")), name)
    own = parts[0].seed
    if seed not in (None, own):
        raise grading.Unreadable(f"the file has VARIANT = {seed}, and this kit has the numbers of variant {own}: "
                                 f"use the kit that was given to you, and VARIANT = {own}")
    return parts


def text(name: str, parts: Sequence[grading.Assignment]) -> str:
    """Return the parts of an assignment as the text of a file."""
    return json.dumps(_plain(list(parts), name)) + "\n"


def _classes(name: str) -> dict[str, Any]:
    """Return the classes of the objects that a file may contain."""
    looks = importlib.import_module(f"examples.assignments.comparisons.{name}")
    return {**vars(naming), **vars(grading), **vars(looks), "Job": Job}


def _plain(value: Any, name: str) -> Any:
    """Return an object as JSON: arrays, paths, tuples and dataclasses as dicts with a key for their kind.

    Raises:
        TypeError: where it isn't data.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, naming.Sealed):
        return {"sealed": list(value.texts)}
    if isinstance(value, (np.ndarray, np.generic)):
        return {"array": encoded_one(value)}
    if isinstance(value, Path):
        return {"probes": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value).__name__
        if _classes(name).get(cls) is not type(value):
            raise TypeError(f"{cls} can't be in a kit: it isn't in comparisons/{name}.py")
        return {"class": cls, "fields": {field.name: _plain(getattr(value, field.name), name)
                                         for field in dataclasses.fields(value)}}
    if isinstance(value, tuple):
        return {"tuple": [_plain(x, name) for x in value]}
    if isinstance(value, Mapping):
        return {"dict": {_key(key): _plain(x, name) for key, x in value.items()}}
    if isinstance(value, list):
        return [_plain(x, name) for x in map(_sealed, value) if x is not None]
    raise TypeError(f"{type(value).__name__} can't be in a kit")


def _sealed(value: Any) -> Any:
    """Return a mistake encrypted, None if its numbers are not finite; any other object unchanged."""
    return naming.seal(value) if isinstance(value, naming.Candidate) else value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of a kit must be text, not {key!r}")
    return key


def _object(value: Any, name: str) -> Any:
    """Return the object that `_plain` turned into JSON."""
    if isinstance(value, list):
        return [_object(x, name) for x in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value))
    content = value[kind]
    if kind == "sealed":
        return naming.Sealed((content[0], content[1]))
    if kind == "array":
        return decoded_array(content)
    if kind == "probes":
        return PROBES / content
    if kind == "tuple":
        return tuple(_object(x, name) for x in content)
    if kind == "dict":
        return {key: _object(x, name) for key, x in content.items()}
    return _classes(name)[content](**{key: _object(x, name) for key, x in value["fields"].items()})
