"""The options of an unroll as one object, which compiled programs and exports take too.

They are checked together with the data, by `prepare_inputs`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from minigrad.provenance import call_site

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
        """Return the options among the keywords of a call, and the rest of them, which are inputs.

        `inputs={...}` gives inputs by name, also those whose names are options.

        Raises:
            TypeError: for an input that is given twice, or a packed sequence of PyTorch.
        """
        if T is None and KEYWORDS.isdisjoint(keywords):  # inputs alone
            refuse_packed(keywords)
            return DEFAULTS, keywords
        given = {name: keywords.pop(name) for name in OPTION_NAMES if name in keywords}
        if "inputs" in keywords and isinstance(keywords["inputs"], Mapping):
            named = keywords.pop("inputs")
            twice = [name for name in named if name in keywords]
            if twice:
                raise TypeError(f"the input {twice[0]!r} is given twice, in inputs= and by its name (at {call_site()})")
            keywords = {**keywords, **named}
        refuse_packed(keywords)
        if T is None and not [value for value in given.values() if value is not None]:
            return DEFAULTS, keywords
        return UnrollOptions(T, **given), keywords

    def only_initial(self) -> bool:
        """Return whether values before and after the sequence are the only option."""
        return self.T is None and self.lengths is None and self.mask is None \
            and self.chunks is None and self.window is None and self.last is None

    def truncation(self) -> dict[str, Any]:
        """Return the values of the options that select a truncation, by name."""
        return {kind.option: getattr(self, kind.option) for kind in KINDS}


def refuse_packed(inputs: Mapping[str, Any]) -> None:
    """Raise TypeError for a PackedSequence of PyTorch, whose first axis isn't time."""
    for name, value in inputs.items():
        if type(value).__name__ == "PackedSequence":
            raise TypeError(f"the data for {name!r} are a PackedSequence (at {call_site()}): pad it, and give the "
                            f"lengths: {name}, lengths = torch.nn.utils.rnn.pad_packed_sequence(...), then "
                            f"{name}={name}, lengths=lengths.numpy()")


DEFAULTS = UnrollOptions()
OPTION_NAMES = tuple(field.name for field in fields(UnrollOptions))
KEYWORDS = frozenset([*OPTION_NAMES, "inputs"])  # with a meaning of their own


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
