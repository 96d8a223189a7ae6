"""The project's docstrings, plain text with Google's sections, as reStructuredText for autodoc."""

from __future__ import annotations

import re
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Connect to autodoc."""
    app.connect("autodoc-skip-member", is_plain_field)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-process-docstring", as_rst, priority=100)  # before napoleon reads Args: and Raises:
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring: text indented by four columns after a blank line is a formula or code.

    "Returns:" becomes a field here, since napoleon takes the text before a colon in it for a type.
    """
    found: list[str] = []
    indented = False
    for line in obj.__doc__.splitlines() if what == "module" else lines:  # a module's text is never indented as a whole
        inside = bool(found) and line.startswith("    ") and (indented or found[-1] == "")
        if inside and not indented:
            found += ["::", ""]
        indented = inside or (indented and not line)
        text = line if inside else re.sub(r"(?<![`\\])[|*]", r"\\\g<0>", line)
        found.append(re.sub(r"^(Returns|Yields):$", lambda section: f":{section[1].lower()}:", text))
    lines[:] = found


def is_plain_field(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Return whether a member is a field of a named tuple, described under Attributes."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def short_signature(app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None,
                    returns: str | None) -> tuple[str | None, str | None]:
    """Shorten the signature: NumPy's type aliases by name, not expanded."""
    alias = r"TypeAliasForwardRef\('(\w+)'\)"
    return signature and re.sub(alias, r"\1", signature), returns and re.sub(alias, r"\1", returns)
