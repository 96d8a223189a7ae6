"""The libraries as they were before a program: one that replaces `np.tanh` or seeds NumPy changes nothing for the next.

Attributes of modules and classes are restored, and settings. What is inside of a list or a dictionary of a library
isn't looked at.
"""

from __future__ import annotations

import builtins
import contextlib
import operator
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.settings import override

LIBRARIES = {"builtins", "numpy", "minigrad", "rnn", "viz"}
OURS = LIBRARIES - {"builtins", "numpy"}  # of these the attributes of classes too; NumPy's can hardly be changed


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore the libraries at the end of a block, their settings, and the state of NumPy's random numbers."""
    modules = {name: module for name, module in list(sys.modules.items())
               if name.partition(".")[0] in LIBRARIES and isinstance(module, ModuleType)}
    before = [(owner, dict(vars(owner))) for owner in (*modules.values(), *_classes(modules))]
    names, own = vars(builtins), dict(vars(builtins))
    state = np.random.get_state()
    try:
        with np.errstate(), np.printoptions(), override(origin=None, recording=True, anomaly=False):
            yield
    finally:
        names.update(own)  # first: what follows calls them
        sys.modules.update(modules)
        for owner, attributes in before:
            _restore(owner, attributes)
        np.random.set_state(state)


def _classes(modules: Mapping[str, ModuleType]) -> list[type]:
    """Return the classes that our modules define."""
    return [value for name, module in modules.items() if name.partition(".")[0] in OURS
            for value in vars(module).values() if isinstance(value, type) and value.__module__ == name]


def _restore(owner: Any, before: dict[str, Any]) -> None:
    now = vars(owner)
    if now.keys() == before.keys() and all(map(operator.is_, now.values(), before.values())):
        return
    for name, value in before.items():
        if now.get(name) is not value:
            setattr(owner, name, value)
    for name in [name for name, value in now.items() if name not in before and not isinstance(value, ModuleType)]:
        delattr(owner, name)  # but modules that were imported first by the program stay, as in sys.modules
