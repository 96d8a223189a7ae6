"""What all exports do before they compute: data checked as `unroll` checks them, weights, masks, cuts, draws.

Values may be arrays of another library, even ones that are only being traced: of these nothing but
shape and dtype is looked at. Knows no library but by its Engine.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.provenance import call_site
from rnn.ir.feeds import boundary_values, draws
from rnn.ir.lowering import Options, lead_of
from rnn.ir.nodes import MASK, keep_name
from rnn.language.dependencies import nodes, roots
from rnn.language.dependencies import parameters as own_parameters
from rnn.language.equations import Definition
from rnn.unrolling.inputs import Data, prepared
from rnn.unrolling.inputs import _mask as checked_mask
from rnn.unrolling.state import State
from rnn.unrolling.truncation import Truncation, Windows

from .backend import Array, Engine
from .interpreter import Interpreter, Recipe
from .windowed import Windowed


def extra(module: str, name: str) -> ModuleType:
    """A library that is installed with an extra.

    Raises:
        ModuleNotFoundError: where it isn't installed: says with which command it is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error.name} isn't installed: pip install 'minigrad-rnn[{name}]'",
                                  name=error.name) from None


@dataclass
class Request:
    """What a call gives besides the inputs: the options of `Cell.unroll`, and what is drawn.

    Attributes:
        draws: name -> what a dropout keeps, (T, batch, size); None where it is drawn by the call.
    """

    T: int | None = None
    initial: Any = None
    lengths: Any = None
    mask: Any = None
    chunks: int | None = None
    window: tuple[int, int] | None = None
    last: int | None = None
    draws: Mapping[str, Array] | None = None


class Export:
    """A definition on an engine; keeps what it finds out about data of one shape.

    Attributes:
        declared: the order of computation for the declared sizes; None where the data have to tell one.

    Raises:
        DefinitionError: where the definition can't be computed there; of one whose sizes the data have
            to tell, the first call finds out.
    """

    def __init__(self, cell: Definition, engine: Engine) -> None:
        self.cell = cell
        self.engine = engine
        self._known: dict[Any, tuple[Data, Recipe]] = {}
        shapes = {name: x.shape for name, x in cell.signals.items() if x.given and x.shape is not None}
        whole = len(shapes) == sum(x.given for x in cell.signals.values())
        self.declared = self.recipe(Options(tuple(shapes.items()))) if whole else None

    def recipe(self, options: Options) -> Recipe:
        """The order of computation; raises for what can't be computed there."""
        return Recipe(self.cell, options, self.engine)

    def weights(self, parameters: Mapping[str, Array], like: Any) -> dict[int, Array]:
        """Every tensor of the definition by its id: parameters, constants, and what they are made into.

        Raises:
            ValueError: where a parameter is missing, unknown, or of another shape.
        """
        own = own_parameters(self.cell)
        _check_parameters(own, parameters, self.cell.name)
        names = {id(tensor): name for name, tensor in own.items()}
        found: dict[int, Array] = {}
        for x in nodes(roots(self.cell)):
            if not isinstance(x, Tensor):
                continue
            if id(x) in names:
                found[id(x)] = self.engine.constant(parameters[names[id(x)]], like)
            elif x.op is None or x.t is not None:
                found[id(x)] = self.engine.constant(x.numpy(), like)
            else:
                found[id(x)] = self.engine.compute(x.op, *(found[id(part)] for part in x.inputs))
        return found

    def prepare(self, inputs: Mapping[str, Array], request: Request) -> tuple[Data, Recipe]:
        """The data's shapes and options, checked, and the order of computation for such data."""
        initial = self._initial(request.initial)
        key = (request.T, len(self.cell.equations), _shapes(inputs), *((name, _shapes(steps)) for name, steps
               in initial.items()), request.lengths is None, request.mask is None, request.chunks, request.window,
               request.last)
        if key not in self._known:
            starts = {name: {step: _stand_in(x) for step, x in steps.items()} for name, steps in initial.items()}
            data = prepared(self.cell, request.T, {name: _stand_in(x) for name, x in inputs.items()},
                            starts or request.initial, None, None, request.chunks, request.window, request.last)
            options = Options(tuple(data.shapes.items()),
                              tuple(name for name, x in data.inputs.items() if x.dtype.kind in "iu"),
                              request.lengths is not None or request.mask is not None,
                              type(data.truncation) not in (Truncation, Windows))
            self._known[key] = data, self.recipe(options)
        return self._known[key]

    def __call__(self, parameters: Mapping[str, Array], inputs: Mapping[str, Array], request: Request, like: Any
                 ) -> dict[str, Array]:
        """Every signal at t = 1 … T, (T, batch, size).

        Args:
            like: the type of floats that is computed with, as the engine has it.
        """
        data, recipe = self.prepare(inputs, request)
        engine = self.engine
        weights = self.weights(parameters, like)
        given = {name: self._input(name, value, data, like) for name, value in inputs.items()}
        mask = self._mask(data, request)
        if mask is not None:
            given = {name: self._masked(value, mask, len(data.shapes[name])) for name, value in given.items()}
            given[MASK] = mask
        drawn = request.draws if request.draws is not None else draws(recipe.low, data.T, data.batch)
        given.update((name, self._drawn(name, drawn, recipe, data, like)) for name in recipe.low.draws)
        starts = self._initial(request.initial)
        boundary: dict[tuple[str, int], Array] = {}
        for (name, step), tensor in boundary_values(self.cell, data).items():
            k = step + lead_of(self.cell.signals[name]) + (data.T if step > 0 else 0)
            value = weights[id(tensor)] if name not in starts else engine.constant(starts[name][k], like)
            boundary[name, step] = value
        given.update(self._keeps(recipe, data))
        whole = Interpreter(engine, recipe, data.T, data.batch, given, weights, boundary, engine.constant(0.0, like))
        found = Windowed(whole, data.truncation).run() if isinstance(data.truncation, Windows) else whole.run()
        return {name: self._owed(value, name, data) for name, value in found.items()}

    # ---- data
    def _initial(self, initial: Any) -> dict[str, dict[int, Any]]:
        """{signal: {step: value}}, as `prepared` takes it; its values are whatever they are."""
        if isinstance(initial, State):
            return dict(initial.values)
        found = {}
        for name, value in (initial.items() if isinstance(initial, Mapping) else ()):
            first = lead_of(self.cell.signals[name]) if name in self.cell.signals else 0
            found[name] = dict(value) if isinstance(value, Mapping) else {first: value}
        return found

    def _input(self, name: str, value: Array, data: Data, like: Any) -> Array:
        """(T, *batch, size), whatever part of the batch the data have."""
        array, own = self.engine.constant(value, like), data.shapes[name]
        if tuple(array.shape[1:]) == data.batch + own:
            return array
        batch = array.shape[1:array.ndim - len(own)]
        array = self.engine.reshape(array, (data.T, *(1,) * (len(data.batch) - len(batch)), *batch, *own))
        return self.engine.spread(array, (data.T, *data.batch), own)

    def _mask(self, data: Data, request: Request) -> Array | None:
        """(T, *batch) bools: where a sequence goes on."""
        given = request.lengths if request.mask is None else request.mask
        if given is None:
            return None
        concrete = _stand_in(given) is given
        lengths, mask = request.lengths, request.mask
        if not concrete:
            lengths = None if lengths is None else np.ones(lengths.shape, int)
            mask = None if mask is None else np.ones(mask.shape, bool)
        checked = checked_mask(data.T, data.batch, lengths, mask, call_site())
        if concrete:
            return self.engine.constant(checked, None)
        if request.mask is not None:
            return request.mask
        steps = self.engine.constant(np.arange(data.T).reshape(data.T, *(1 for _ in data.batch)), None)
        return steps < given

    def _drawn(self, name: str, drawn: Mapping[str, Array], recipe: Recipe, data: Data, like: Any) -> Array:
        """What one dropout keeps, as numbers 0 and 1."""
        shape = (data.T, *data.batch, *recipe.low.draws[name][1])
        if name not in drawn or tuple(drawn[name].shape) != shape:
            raise ValueError(f"the dropout of {recipe.givens[name].name} (at {recipe.givens[name].origin}) needs bools "
                             f"{shape} here: draw them before the call, draws=f.draws({data.T}, {data.batch})")
        return self.engine.like(self.engine.constant(drawn[name], None), self.engine.constant(0.0, like))

    def _masked(self, value: Array, mask: Array, ndim: int) -> Array:
        """Zero where a sequence is over."""
        zero = self.engine.like(self.engine.constant(np.zeros((), int), None), value)
        return self.engine.where(self.engine.trailing(mask, ndim), value, zero)

    def _keeps(self, recipe: Recipe, data: Data) -> dict[str, Array]:
        """Through which steps gradients go, (T, 1, ...) bools for each delay."""
        shape = (data.T, *(1 for _ in data.batch))
        flags = {delay: np.array([not data.truncation.cuts(step - delay, step) for step in range(1, data.T + 1)])
                 for delay in recipe.low.keeps}
        return {keep_name(delay): self.engine.constant(flag.reshape(shape), None) for delay, flag in flags.items()}

    def _owed(self, value: Array, name: str, data: Data) -> Array:
        """A signal, constant at the steps for which a truncation lets no gradient in."""
        lead = lead_of(self.cell.signals[name])
        flags = np.array([not data.truncation.constant(max(k - lead, 1)) for k in range(1, data.T + 1)])
        if flags.all():
            return value
        keep = self.engine.constant(flags.reshape(data.T, *(1,) * (value.ndim - 1)), None)
        return self.engine.cut(value, keep)

def _check_parameters(own: Mapping[str, Tensor], given: Mapping[str, Array], name: str) -> None:
    missing, extra = [x for x in own if x not in given], [x for x in given if x not in own]
    if missing or extra:
        what = f"no value for the parameter {missing[0]!r}" if missing else f"there is no parameter {extra[0]!r}"
        raise ValueError(f"{what} of {name!r} (at {call_site()}): it has {', '.join(own)}")
    for label, tensor in own.items():
        if tuple(given[label].shape) != tensor.shape:
            raise ValueError(f"the parameter {label!r} of {name!r} has shape {tensor.shape}, its value "
                             f"{tuple(given[label].shape)} (at {call_site()})")


def _stand_in(value: Any) -> Any:
    """What is checked in the place of another library's array: zeros of its shape; other values themselves."""
    if isinstance(value, (Tensor, np.ndarray, np.generic, int, float, list, tuple)) or not hasattr(value, "shape"):
        return value
    return np.zeros(tuple(value.shape), str(value.dtype).removeprefix("torch."))


def _shapes(values: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple((name, np.shape(x), str(getattr(x, "dtype", ""))) for name, x in values.items())
