"""cell.to_torch(): the definition as an nn.Module; needs the extra `torch`.

    module = cell.to_torch()
    module(x=x)["y"].square().mean().backward()

Its parameters have the definition's names: `layer1.W_f` is the parameter W_f of a submodule layer1, so
that the keys of `state_dict()` are the names of `cell.parameters`, and a state_dict goes into the
definition by `interop.assign`. The loop over time is Python's; autograd, devices and
DistributedDataParallel are PyTorch's own. (Paszke et al., PyTorch: an imperative style,
high-performance deep learning library, NeurIPS 2019.)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.ops import Axis
from minigrad.provenance import mark_library_file
from rnn.language.dependencies import parameters
from rnn.language.equations import Definition
from rnn.unrolling.options import UnrollOptions, list_options
from rnn.unrolling.unroll import located

from .backend import Array, Arrays, ModuleBackend, StepFunction
from .frontend import Export, import_extra

if TYPE_CHECKING:
    import torch
else:
    torch = import_extra("torch", "torch")
    mark_library_file(sys.modules[torch.nn.Module.__module__].__file__)  # messages name the line that calls a module


class TorchBackend(ModuleBackend):
    """torch, on one device."""

    target = "PyTorch"
    own_method = "torch"
    module = torch

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def compute(self, op: Op, *inputs: Array) -> Array:
        if op.elementwise and op.differentiable:  # many functions of PyTorch refuse truth values, NumPy's take them
            dtypes = [x.dtype for x in inputs if isinstance(x, torch.Tensor)]
            dtype = next((x for x in dtypes if x.is_floating_point), torch.int8)
            inputs = tuple(x.to(dtype) if getattr(x, "dtype", None) == torch.bool else x for x in inputs)
        return super().compute(op, *inputs)

    def constant(self, value: Any, dtype: Any) -> Array:
        if not isinstance(value, torch.Tensor):
            value = torch.tensor(value.numpy() if isinstance(value, Tensor) else np.asarray(value))
        return value.to(self.device, dtype if dtype is not None and value.is_floating_point() else value.dtype)

    def cast_like(self, x: Array, other: Array) -> Array:
        return x.to(other.dtype)

    def mask_gradient(self, x: Array, keep: Array) -> Array:
        return torch.where(keep, x, x.detach())

    def take_steps(self, x: Array, index: Array) -> Array:
        return torch.take_along_dim(x, self.append_axes(index, x.ndim - index.ndim), 0)

    def concrete(self, x: Any) -> Any:
        return x.numpy(force=True) if isinstance(x, torch.Tensor) else np.asarray(x)

    def scan(self, step: StepFunction, carry: Arrays, rows: Arrays, T: Any, reverse: bool) -> Arrays:
        by_step = list(zip(*(x.unbind() for x in rows))) if rows else [()] * T
        every = []
        for row in reversed(by_step) if reverse else by_step:
            carry, results = step(carry, row)
            every.append(results)
        if reverse:
            every.reverse()
        return tuple(torch.stack(values) for values in zip(*every))

    def split_last(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        parts: Sequence[Array] = torch.split(x, list(sizes), -1)
        return parts

    def broadcast(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        return x.expand((*lead, *shape))

    def relu(self, x: Array) -> Array:
        return torch.relu(x)

    def sigmoid(self, x: Array) -> Array:
        return torch.sigmoid(x)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return torch.where(condition.bool(), a, b)

    def cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        return x.to(getattr(torch, dtype.name))

    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        axes = self.axes(x, axis)  # PyTorch takes no axes for all axes
        return torch.sum(x, axes, keepdim=keepdims) if axes else x

    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        axes = self.axes(x, axis)
        return torch.amax(x, axes, keepdim=keepdims) if axes else x

    def prod(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        for one in self.axes(x, axis):
            x = torch.prod(x, one, keepdim=True)
        return x if keepdims else x.squeeze(self.axes(x, axis))

    def cbrt(self, x: Array) -> Array:
        return torch.sign(x) * torch.abs(x) ** (1 / 3)

    def rint(self, x: Array) -> Array:
        return torch.round(x)

    def floor_divide(self, a: Array, b: Array) -> Array:
        return torch.div(a, b, rounding_mode="floor")

    def heaviside(self, x: Array, b: Array) -> Array:
        return torch.where(x == 0, b, torch.heaviside(x.detach(), torch.zeros_like(x)))

    def sort(self, x: Array, axis: int) -> Array:
        return torch.sort(x, dim=axis, stable=True)[0]

    def convolve(self, a: Array, b: Array) -> Array:
        return torch.nn.functional.conv1d(a[None, None], b.flip(0)[None, None], padding=b.shape[0] - 1)[0, 0]

    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        axes = self.axes(x, axis)
        return torch.logsumexp(x, axes, keepdim=keepdims) if axes else x

    def log_softmax(self, x: Array, axis: int) -> Array:
        return torch.log_softmax(x, axis)

    def mat_mul(self, a: Array, b: Array) -> Array:
        if a.ndim != b.ndim and a.ndim > 2 < b.ndim:  # matmul would copy the one that is the same at all steps
            return torch.einsum("...ij,...jk->...ik", a, b)
        return super().mat_mul(a, b)

    def mat_vec(self, W: Array, x: Array) -> Array:
        return torch.nn.functional.linear(x, W) if W.ndim == 2 else super().mat_vec(W, x)

    def transpose(self, x: Array, axes: tuple[int, ...] | None, ndim: int | None = None) -> Array:
        return x.permute(ops.Transpose(axes, ndim).order(x.ndim))

    def stop_gradient(self, x: Array) -> Array:
        return x.detach()

    def lookup(self, table: Array, indices: Array) -> Array:
        return table[self._whole(indices, table.shape[0], "rows")]

    def _whole(self, indices: Array, count: int, places: str) -> Array:
        """Return indices as integers, checked."""
        whole = indices.long()
        wrong = (whole != indices) | (whole < 0) | (whole >= count)
        if wrong.any():
            raise IndexError(f"index {indices[wrong][0].item():g} is not one of the {count} {places} "
                             f"0 … {count - 1} (at {self.origin})")
        return whole

    def arg_max(self, x: Array, axis: int, keepdims: bool) -> Array:
        return torch.argmax(x.to(torch.int8) if x.dtype == torch.bool else x, axis, keepdim=keepdims)

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float, ndim: int | None = None) -> Array:
        return torch.nn.functional.pad(x, [n for pair in reversed(widths) for n in pair], value=value)

    def take_last(self, x: Array, index: Any) -> Array:
        places = np.arange(x.shape[-1])[index]
        return x[..., torch.tensor(places.copy(), device=self.device)]  # a copy: PyTorch takes no negative strides

    def gather(self, x: Array, labels: Array) -> Array:
        return torch.gather(x, -1, self._whole(labels, x.shape[-1], "classes")[..., None])[..., 0]


class CellModule(torch.nn.Module):
    """A definition as an nn.Module; made by `Cell.to_torch`. Its parameters begin with the definition's values."""

    def __init__(self, cell: Definition) -> None:
        super().__init__()
        self._backend = TorchBackend()
        self._export = Export(cell, self._backend)
        for name, tensor in parameters(cell).items():
            _register(self, name, torch.nn.Parameter(torch.tensor(tensor.numpy())))

    @list_options
    def forward(self, T: int | None = None, **keywords: Any) -> dict[str, Array]:
        """Compute every signal.

        Args: as for `Cell.unroll`; tensors may require gradients. Dropout draws with the definition's
            generators, as in `unroll`, in training and evaluation alike.

        Returns:
            By name, each signal at t = 1 … T: (T, batch, size).

        Raises:
            DefinitionError: where the definition can't be computed by PyTorch.
            ValueError: as for `Cell.unroll`.
        """
        options, inputs = UnrollOptions.split(T, keywords)
        parameters = dict(self.named_parameters())
        self._backend.device = next((x.device for x in parameters.values()), self._backend.device)
        values = {name: x if isinstance(x, torch.Tensor) or (isinstance(x, Tensor) and x.requires_grad)
                  else self._backend.constant(x, None) for name, x in inputs.items()}
        dtype = torch.get_default_dtype() if not parameters else torch.float16
        for x in [*parameters.values(), *values.values()]:
            dtype = torch.promote_types(dtype, x.dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() \
                else dtype
        try:
            return self._export(parameters, values, options, dtype)
        except IndexError as error:
            arrays = {name: x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
                      for name, x in inputs.items()}
            raise located(error, self._export.cell, arrays, options) from None


def _register(module: torch.nn.Module, name: str, parameter: Any) -> None:
    """Register a parameter by its name, in a submodule for each part before a dot.

    register_parameter and add_module refuse names of attributes; cells.bidirectional has a part `forward`.
    """
    *parts, last = name.split(".")
    for part in parts:
        module = module._modules.setdefault(part, torch.nn.Module())
    module._parameters[last] = parameter
