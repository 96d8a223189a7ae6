"""The options of an unroll as one object, which compiled programs and exports take too.

They are checked together with the data, by `prepare_inputs`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from .truncation import KINDS

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class UnrollOptions:
    """The keywords of `Cell.unroll` other than inputs; None for one that isn't given."""

    T: int | None = None
    initial: Any = None
    lengths: Any = None
    mask: Any = None
    chunks: int | None = None
    window: tuple[int, int] | None = None
    last: int | None = None

    @staticmethod
    def split(T: int | None, keywords: dict[str, Any]) -> tuple[UnrollOptions, dict[str, Any]]:
        """Return the options among the keywords of a call, and the rest of them, which are inputs."""
        given = {name: keywords.pop(name) for name in OPTION_NAMES if name in keywords}
        if T is None and all(value is None for value in given.values()):
            return DEFAULTS, keywords
        return UnrollOptions(T, **given), keywords

    def truncation(self) -> dict[str, Any]:
        """Return the values of the options that select a truncation, by name."""
        return {kind.option: getattr(self, kind.option) for kind in KINDS}


DEFAULTS = UnrollOptions()
OPTION_NAMES = tuple(field.name for field in fields(UnrollOptions))


def list_options(method: Method) -> Method:
    """Decorator: `help()` lists the options of an unroll in the place of the method's `**keywords`.

    The method itself is unchanged. If it has no parameter `inputs`, these are listed as keywords too.
    """
    signature = inspect.signature(method)
    own = [x for x in signature.parameters.values() if x.kind is not x.VAR_KEYWORD]
    names = [x.name for x in own]
    own += [inspect.Parameter(x.name, inspect.Parameter.KEYWORD_ONLY, default=x.default, annotation=x.type)
            for x in fields(UnrollOptions) if x.name not in names]
    if "inputs" not in names:
        own.append(inspect.Parameter("inputs", inspect.Parameter.VAR_KEYWORD, annotation="Any"))
    method.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return method
