"""How VS Code and PyCharm show variables of minigrad, rnn and viz. Their debugger, pydevd, finds this file by its name.

Both parents are namespace packages that pydevd shares: without `__init__.py`, so that no two distributions own a file.
Programs that don't use minigrad don't import it here.
"""

from __future__ import annotations

import sys
from typing import Any

from _pydevd_bundle.pydevd_extension_api import StrPresentationProvider, TypeResolveProvider


class Rows(TypeResolveProvider):
    """The rows below a variable that is expanded."""

    def can_provide(self, type_object: type, type_name: str) -> bool:
        return _is_ours(type_object)

    def get_contents_debug_adapter_protocol(self, value: Any, fmt: Any = None) -> list[tuple[str, Any, str | None]]:
        from minigrad.debugger.variables import rows

        return rows(value)

    def get_dictionary(self, value: Any) -> dict[str, Any]:
        return {name: row for name, row, _ in self.get_contents_debug_adapter_protocol(value)}

    def resolve(self, value: Any, attribute: str) -> Any:
        return self.get_dictionary(value)[attribute]


class Text(StrPresentationProvider):
    """The text in the row of a variable."""

    def can_provide(self, type_object: type, type_name: str) -> bool:
        if not _is_ours(type_object):
            return False
        from minigrad.debugger.variables import has_text

        return has_text(type_object)

    def get_str(self, value: Any) -> str:
        from minigrad.debugger.variables import text

        return text(value)


def _is_ours(type_object: type) -> bool:
    return "minigrad" in sys.modules and any(
        str(base.__module__).partition(".")[0] in ("minigrad", "rnn", "viz") for base in type_object.__mro__)
