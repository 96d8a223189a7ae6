"""The names that completion offers after a module's name."""

from __future__ import annotations

from typing import Any


def public_names(module: dict[str, Any]) -> list[str]:
    """Return the names for users in a module's globals: those of `__all__`, or the functions and classes it defines."""
    own = [name for name, value in module.items()
           if not name.startswith("_") and getattr(value, "__module__", None) == module["__name__"]]
    return sorted(module.get("__all__", own))
