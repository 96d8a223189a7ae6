"""cell.to_jax(): the definition as a pure function of JAX arrays; needs the extra `jax`.

    f = cell.to_jax()
    gradients = jax.jit(jax.grad(loss))(f.parameters, {"x": x})     # loss(p, inputs) calls f(p, inputs)

Each loop is a `lax.scan`; operations outside of loops are computed for all steps at once. `grad`, `jit`,
`vmap` and sharding are JAX's own. (Bradbury et al., JAX: composable transformations of Python+NumPy
programs, 2018, http://github.com/jax-ml/jax.)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.ops import Axis
from minigrad.provenance import call_site
from rnn.ir.feeds import draw_masks, draw_weights
from rnn.language.dependencies import parameters
from rnn.language.equations import Definition
from rnn.unrolling.options import UnrollOptions, list_options, refuse_packed

from .backend import Array, Arrays, ModuleBackend, StepFunction
from .frontend import Export, import_extra


class JaxBackend(ModuleBackend):
    """jax.numpy and jax.lax."""

    target = "JAX"
    own_method = "jax"

    def __init__(self) -> None:
        self.jax = import_extra("jax", "jax")
        self.module = import_extra("jax.numpy", "jax")

    def constant(self, value: Any, dtype: Any) -> Array:
        value = value.numpy() if isinstance(value, Tensor) else value
        array = self.module.asarray(value)
        return array.astype(dtype) if dtype is not None and array.dtype.kind == "f" else array

    def cast_like(self, x: Array, other: Array) -> Array:
        return x.astype(other.dtype)

    def mask_gradient(self, x: Array, keep: Array) -> Array:
        return self.module.where(keep, x, self.jax.lax.stop_gradient(x))

    def take_steps(self, x: Array, index: Array) -> Array:
        return self.module.take_along_axis(x, self.append_axes(index, x.ndim - index.ndim), 0)

    def own_steps_first(self, mask: Array) -> Array:
        return self.module.argsort(mask == 0, axis=0, stable=True)

    def concrete(self, x: Any) -> Any:
        return None if isinstance(x, self.jax.core.Tracer) else np.asarray(x)

    def scan(self, step: StepFunction, carry: Arrays, rows: Arrays, T: Any, reverse: bool) -> Arrays:
        results: Arrays = self.jax.lax.scan(step, carry, rows, length=T, reverse=reverse)[1]
        return results

    def split_last(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        return self.jax.lax.split(x, sizes, x.ndim - 1)  # type: ignore[no-any-return]

    def pow(self, a: Array, b: Array) -> Array:
        both = (a == 0) & (b == 0)  # where JAX's derivative is NaN
        return self.where(both, 1.0, self.where(both, 1.0, a) ** b)

    def abs(self, x: Array) -> Array:
        return x * self.module.sign(x)  # JAX's own has the derivative 1 at 0

    def sigmoid(self, x: Array) -> Array:
        return self.jax.nn.sigmoid(x)

    def relu(self, x: Array) -> Array:
        return self.jax.nn.relu(x)

    def cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        return x.astype(dtype)

    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.jax.nn.logsumexp(x, axis=axis, keepdims=keepdims)

    def log_softmax(self, x: Array, axis: int) -> Array:
        return self.jax.nn.log_softmax(x, axis)

    def stop_gradient(self, x: Array) -> Array:
        return self.jax.lax.stop_gradient(x)

    def lookup(self, table: Array, indices: Array) -> Array:
        rows = indices.astype(int)  # a function that JAX traces can't raise: NaN for an index that is no row
        known = (rows == indices) & (rows >= 0) & (rows < table.shape[0])
        found = table[self.module.where(known, rows, 0)]
        return self.module.where(self.append_axes(known, table.ndim - 1), found, self.module.nan)

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float, ndim: int | None = None) -> Array:
        kept = [(0, 0)] * (x.ndim - len(widths))
        return self.module.pad(x, [*kept, *widths], constant_values=value)

    def take_last(self, x: Array, index: Any) -> Array:
        return x[..., np.array(index) if isinstance(index, list) else index]

    def gather(self, x: Array, labels: Array) -> Array:
        classes = labels.astype(int)  # NaN for a label that is no class, as in lookup
        known = (classes == labels) & (classes >= 0) & (classes < x.shape[-1])
        found = self.module.take_along_axis(x, self.module.where(known, classes, 0)[..., None], -1)[..., 0]
        return self.module.where(known, found, self.module.nan)


class JaxFunction:
    """A definition as a function of its parameters and its data; made by `Cell.to_jax`.

    Attributes:
        cell: the definition.
    """

    def __init__(self, cell: Definition) -> None:
        self.cell = cell
        self.backend = JaxBackend()
        self._export = Export(cell, self.backend)
        wide = [name for name, x in parameters(cell).items() if x.dtype == np.float64]
        if wide and not self.backend.jax.config.jax_enable_x64:
            warnings.warn(f"JAX will round {wide[0]} of {cell.name!r}, which is float64, to float32: before anything "
                          "else call jax.config.update('jax_enable_x64', True), or make float32 parameters "
                          f"(at {call_site()})", stacklevel=3)

    @property
    def parameters(self) -> dict[str, Array]:
        """The present values of the parameters, by name."""
        return {name: self.backend.module.asarray(x.numpy()) for name, x in parameters(self.cell).items()}

    @list_options
    def __call__(self, parameters: Mapping[str, Array], inputs: Mapping[str, Array] | None = None, *,
                 draws: Mapping[str, Array] | None = None, **options: Any) -> dict[str, Array]:
        """Compute every signal.

        Args:
            parameters: by name; `f.parameters` has the definition's own.
            inputs: by name, (T, batch, size), or (T, size) without a batch.
            draws: the dropout masks, of `f.draws(T, batch)`; needed for a definition with dropout.
            others: as for `Cell.unroll`. The numbers among them are fixed when JAX traces the function.

        Returns:
            By name, each signal at t = 1 … T: (T, batch, size).

        Raises:
            DefinitionError: where the definition can't be computed by JAX.
            ValueError: as for `Cell.unroll`; and for parameters that are missing or of a wrong shape.
        """
        refuse_packed(inputs or {})
        values = {name: x if hasattr(x, "dtype") else np.asarray(x) for name, x in (inputs or {}).items()}
        floats = [x.dtype for x in [*parameters.values(), *values.values()] if np.dtype(x.dtype).kind == "f"]
        dtype = self.backend.module.result_type(*floats or [float])
        return self._export(parameters, values, UnrollOptions(**options), dtype, draws or {})

    def draws(self, T: int, batch: tuple[int, ...] = ()) -> dict[str, Any]:
        """Draw the definition's dropout masks, as `unroll` does: (T, batch, size) bools; for parameters their shape.

        A pure function can't draw: give this to the call, `f(parameters, inputs, draws=f.draws(T, (32,)))`.
        """
        if self._export.declared is None:
            raise ValueError(f"declare the sizes of all inputs of {self.cell.name!r}, .input('x', size): the draws "
                             f"depend on them (at {call_site()})")
        return {**draw_weights(self.cell), **draw_masks(self._export.declared.lowered, T, batch)}
