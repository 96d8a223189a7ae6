"""cell.to_torch(): the definition as an nn.Module; needs the extra `torch`.

    module = cell.to_torch()
    module(x=x)["y"].square().mean().backward()

Its parameters have the definition's names: `layer1.W_f` is the parameter W_f of a submodule layer1, so
that the keys of `state_dict()` are the names of `cell.parameters`, and a state_dict goes into the
definition by `interop.assign`. The loop over time is Python's; autograd, devices and
DistributedDataParallel are PyTorch's own. (Paszke et al., PyTorch: an imperative style,
high-performance deep learning module, NeurIPS 2019.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import Tensor
from minigrad.ops import Axis
from minigrad.provenance import mark_library_file
from rnn.language.dependencies import parameters
from rnn.language.equations import Definition

from .backend import Array, Arrays, Engine
from .frontend import Export, Request, extra

if TYPE_CHECKING:
    import torch
    from torch.nn import Module
else:
    torch = extra("torch", "torch")
    Module = torch.nn.Module
    mark_library_file(sys.modules[Module.__module__].__file__)  # messages name the line that calls a module


class TorchEngine(Engine):
    """torch, on one device."""

    target = "PyTorch"
    module = torch

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def constant(self, value: Any, like: Any) -> Array:
        if not isinstance(value, torch.Tensor):
            value = torch.tensor(value.numpy() if isinstance(value, Tensor) else np.asarray(value))
        dtype = like if like is not None and value.is_floating_point() else value.dtype
        return value.to(self.device, dtype)

    def like(self, x: Array, other: Array) -> Array:
        return x.to(other.dtype)

    def cut(self, x: Array, keep: Array) -> Array:
        return torch.where(keep, x, x.detach())

    def scan(self, step: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]], carry: Arrays, rows: Arrays, T: Any,
             reverse: bool) -> Arrays:
        by_step = list(zip(*(x.unbind() for x in rows))) if rows else [()] * T
        every = []
        for row in reversed(by_step) if reverse else by_step:
            carry, results = step(carry, row)
            every.append(results)
        if reverse:
            every.reverse()
        return tuple(torch.stack(values) for values in zip(*every))

    def split(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        parts: Sequence[Array] = torch.split(x, list(sizes), -1)
        return parts

    def spread(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        return x.expand(*lead, *shape)

    def softplus(self, x: Array) -> Array:
        return torch.logaddexp(x, x.new_zeros(()))

    def relu(self, x: Array) -> Array:
        return torch.relu(x)

    def sigmoid(self, x: Array) -> Array:
        return torch.sigmoid(x)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return torch.where(condition.bool(), a, b)

    def cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        return x.to(getattr(torch, dtype.name))

    def _axes(self, x: Array, axis: Axis) -> tuple[int, ...]:
        """The axes of a reduction, all of them for None."""
        return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)

    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return torch.sum(x, self._axes(x, axis), keepdim=keepdims)

    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return torch.amax(x, self._axes(x, axis), keepdim=keepdims)

    def prod(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        for one in self._axes(x, axis):
            x = torch.prod(x, one, keepdim=True)
        return x if keepdims else x.squeeze(self._axes(x, axis))

    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return torch.logsumexp(x, self._axes(x, axis), keepdim=keepdims)

    def log_softmax(self, x: Array, axis: int) -> Array:
        return torch.log_softmax(x, axis)

    def mat_vec(self, W: Array, x: Array) -> Array:
        return torch.nn.functional.linear(x, W) if W.ndim == 2 else super().mat_vec(W, x)

    def transpose(self, x: Array, axes: tuple[int, ...] | None) -> Array:
        return x.permute(tuple(range(x.ndim))[::-1] if axes is None else axes)

    def flip(self, x: Array, axis: Axis) -> Array:
        return torch.flip(x, self._axes(x, axis))

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
        return torch.nn.functional.pad(x, [n for pair in reversed(widths) for n in pair], value=value)

    def get_item(self, x: Array, index: Any) -> Array:
        if isinstance(index, tuple) and len(index) == 2 and index[0] is Ellipsis:  # as in an equation
            if index[1] is None:
                return self.trailing(x, 1)
            return x[..., self._numbers(np.arange(x.shape[-1])[index[1]])]
        places = np.arange(x.numel()).reshape(x.shape)[index]  # NumPy's rules, also where PyTorch has others
        return x.reshape(-1)[self._numbers(places)]

    def _numbers(self, places: Any) -> Array:
        return torch.tensor(places.copy(), device=self.device)  # PyTorch takes no steps backwards

    def pick(self, x: Array, labels: Array) -> Array:
        return torch.gather(x, -1, labels.long()[..., None])[..., 0]


class CellModule(Module):
    """A definition as an nn.Module; made by `Cell.to_torch`. Its parameters begin with the definition's values."""

    def __init__(self, cell: Definition) -> None:
        super().__init__()
        self._engine = TorchEngine()
        self._export = Export(cell, self._engine)
        for name, tensor in parameters(cell).items():
            _register(self, name, torch.nn.Parameter(torch.tensor(tensor.numpy())))

    def forward(self, T: int | None = None, *, initial: Any = None, lengths: Any = None, mask: Any = None,
                chunks: int | None = None, window: tuple[int, int] | None = None, last: int | None = None,
                **inputs: Any) -> dict[str, Array]:
        """Compute every signal: by name, each at t = 1 … T, (T, batch, size).

        Args: as for `Cell.unroll`; tensors may require gradients. Dropouts draw with the definition's
            generators, as `unroll` does, in training and evaluation alike.

        Raises:
            DefinitionError: where the definition can't be computed by PyTorch.
            ValueError: as for `Cell.unroll`.
        """
        parameters = dict(self.named_parameters())
        self._engine.device = next((x.device for x in parameters.values()), self._engine.device)
        values = {name: x if isinstance(x, torch.Tensor) else self._engine.constant(x, None)
                  for name, x in inputs.items()}
        like = torch.get_default_dtype() if not parameters else torch.float16
        for x in [*parameters.values(), *values.values()]:
            like = torch.promote_types(like, x.dtype) if x.is_floating_point() else like
        request = Request(T, initial, lengths, mask, chunks, window, last)
        return self._export(parameters, values, request, like)


def _register(module: Module, name: str, parameter: Any) -> None:
    """A parameter by its name, in a submodule for each part before a dot.

    Not by register_parameter and add_module, which refuse what an attribute is called: cells.bidirectional
    has a part `forward`.
    """
    *parts, last = name.split(".")
    for part in parts:
        module = module._modules.setdefault(part, Module())
    module._parameters[last] = parameter
