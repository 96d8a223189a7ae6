"""Lengths that each call of a file binds: `cell.static("enc", (None, D))` becomes an input whose axis is open.

The shapes of the IR are numbers, so a definition is lowered for lengths that stand for the open ones, prime numbers
that occur nowhere else in it. Where two open lengths can't differ, as those of values and their mask, one number
stands for both. What is written may not depend on these numbers: it is written for two sets of them and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice, product, zip_longest
from typing import Any, NamedTuple

from rnn.ir.lowering import static_nodes
from rnn.language.dependencies import DefinitionError, expression_shapes, parameters
from rnn.language.equations import Definition

Shape = tuple[int, ...]
FIRST = (11, 101, 1009)  # the least stand-ins; larger ones, if a definition picks parts that short sources don't have
MOST_AXES = 4  # for which lengths that the definition declares are tried, too


class StandIns(NamedTuple):
    """Numbers for the open lengths.

    Attributes:
        shapes: static -> its shape with these numbers.
        axes: number -> the static and axis whose length it stands for; the first of them, if it stands for several.
        fixed: the lengths that the definition declares.
    """

    shapes: dict[str, Shape]
    axes: dict[int, tuple[str, int]]
    fixed: frozenset[int]

    def name(self, length: int) -> str | None:
        """Return the name of an open axis in the file: enc.0 is the first axis of enc."""
        return "{}.{}".format(*self.axes[length]) if length in self.axes else None


def stand_ins(cell: Definition, inputs: Mapping[str, Shape]) -> Iterator[tuple[StandIns, StandIns]]:
    """Yield pairs of stand-ins for a definition, of which the first whose files are equal serves.

    Args:
        inputs: input -> the shape of one of its values.

    Raises:
        DefinitionError: where no length fits, as that of a source that is added to a vector of three.
    """
    if all(x.shape is not None for x in cell.statics.values()):
        none = _with_lengths(cell, [], [], frozenset())
        yield none, none
        return
    axes = [(name, axis) for name, x in cell.statics.items() for axis, n in enumerate(x.lengths) if n is None]
    shapes = [*inputs.values(), *(x.shape for x in parameters(cell).values()),
              *(x.shape or () for x in cell.signals.values()), *(x.lengths for x in cell.statics.values())]
    fixed = frozenset(n for shape in shapes for n in shape if n is not None)
    found, error = False, None
    for first in FIRST:
        numbers = list(islice(_primes(first, fixed), 2 * len(axes)))
        for groups in _groupings(len(axes)):
            one, other = (_with_lengths(cell, axes, [own[group] for group in groups], fixed)
                          for own in (numbers[::2], numbers[1::2]))
            error = _misfit(cell, inputs, one) or _misfit(cell, inputs, other)
            if error is None:
                found = True
                yield one, other
                break
    for closed in product((None, *sorted(fixed)), repeat=len(axes)) if not found and len(axes) <= MOST_AXES else ():
        one, other = (_with_lengths(cell, axes, [n or own for n, own in zip(closed, primes)], fixed)
                      for primes in (numbers[::2], numbers[1::2]))
        if not (_misfit(cell, inputs, one) or _misfit(cell, inputs, other)):  # an axis that can have one length alone
            found = True
            yield one, other
            break
    if not found:
        raise open_error(cell, f"no length fits: {error}")


def open_error(cell: Definition, reason: str) -> DefinitionError:
    """Return the error for lengths that a file can't leave open."""
    statics = [f"{name}, declared at {x.origin}" for name, x in cell.statics.items() if None in x.lengths]
    return DefinitionError(f"a file can't leave the lengths of {', and of '.join(statics)} open: {reason}. Declare a "
                           "number, for a file that serves that length")


def _with_lengths(cell: Definition, axes: Sequence[tuple[str, int]], lengths: Sequence[int], fixed: frozenset[int]
                  ) -> StandIns:
    found = dict(zip(axes, lengths))
    shapes = {name: tuple(found.get((name, axis), n or 0) for axis, n in enumerate(x.lengths))
              for name, x in cell.statics.items()}
    return StandIns(shapes, {n: axis for axis, n in reversed(found.items()) if n not in fixed}, fixed)


def _misfit(cell: Definition, inputs: Mapping[str, Shape], lengths: StandIns) -> Exception | None:
    """Return why a definition can't be computed for some lengths; None if it can be."""
    shapes = {**inputs, **lengths.shapes}
    try:
        expression_shapes(cell, shapes)
        static_nodes(cell, shapes)
    except DefinitionError:
        raise
    except (ValueError, TypeError, IndexError) as error:
        return error
    return None


def _groupings(size: int) -> list[list[int]]:
    """Return every division of some things into groups, by the number of the group of each; most groups first."""
    found: list[list[int]] = [[]]
    for _ in range(size):
        found = [[*groups, group] for groups in found for group in range(max(groups, default=-1) + 2)]
    return sorted(found, key=max, reverse=True)


def _primes(first: int, taken: frozenset[int]) -> Iterator[int]:
    return (n for n in count(first) if n not in taken and all(n % k for k in range(2, int(n ** 0.5) + 1)))


def first_difference(graph: Any, other: Any) -> Any:
    """Return the first node of a graph that computes something else than its counterpart in another; None if all agree.

    Nodes are compared by their operators, attributes and constants, not by the names of their values.
    """
    graphs = [(graph, other)]
    constants: list[dict[str, bytes]] = [{}, {}]
    for pair in graphs:  # the list grows while it is walked
        for found, part in zip(constants, pair):
            found.update((x.name, _without_name(x)) for x in part.initializer)
        for node, counterpart in zip_longest(*(x.node for x in pair)):
            if node is None or counterpart is None:
                return node or counterpart
            if _content(node, constants[0]) != _content(counterpart, constants[1]):
                return node
            graphs += [(a.g, b.g) for a, b in zip(node.attribute, counterpart.attribute) if a.HasField("g")]
    return None


def _content(node: Any, constants: Mapping[str, bytes]) -> tuple[Any, ...]:
    """Return all of a node but the names of its values, and the graphs in it."""
    options = [x.SerializeToString() for x in node.attribute if not x.HasField("g")]
    return node.op_type, len(node.output), options, [constants.get(name) for name in node.input]


def _without_name(tensor: Any) -> bytes:
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.ClearField("name")
    found: bytes = copy.SerializeToString()
    return found
