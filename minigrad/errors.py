"""The engine's errors: each names the operation, its operands with their shapes and lines, and a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .ops import Op
from .provenance import call_site
from .settings import settings


def operation_error(error: Exception, op: Op, operands: Iterable[Any]) -> Exception:
    """Return the error with NumPy's message first, then the operation and its operands.

    `operands` have `shape`, `label` and `origin`, as Tensors have.
    """
    return _located(error, repr(op), operands)


def function_error(error: Exception, name: str, operands: Iterable[Any], remedy: str) -> Exception:
    """Return the error of a function that is made of several operations, with its name, its operands and a remedy."""
    return _located(error, name, operands, f"  {remedy}")


def _located(error: Exception, name: str, operands: Iterable[Any], *last: str) -> Exception:
    kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
    head = f"  in {name} at {settings().origin or call_site()}, of"
    return kind("\n".join([f"{error}", head, *_rows(operands), *last]))


def forward_nan_error(op: Op, operands: Iterable[Any]) -> FloatingPointError:
    """Return the error for the first NaN of a forward pass."""
    operands = list(operands)
    holders = [operand for operand in operands if np.isnan(operand._array).any()]
    where = settings().origin or call_site()
    if holders:
        head = f"NaN reaches {op!r} at {where} in {holders[0]!r}, whose data held it from the start"
    else:
        head = f"the first NaN of the forward pass is produced by {op!r} at {where}"
    return FloatingPointError("\n".join([f"{head}; operands:", *_rows(operands, values=True)]))


def backward_nan_error(node: Any, position: int, grad: Any) -> FloatingPointError:
    """Return the error for the first NaN of a backward pass, in what a node adds to one input's gradient."""
    tensor = node.inputs[position]
    finite = "finite" if np.isfinite(grad).all() else "not finite itself"
    return FloatingPointError("\n".join([
        f"the first NaN of the backward pass is produced by {type(node.op).__name__}.backward of {node!r}, in the "
        f"gradient for {tensor!r}; the upstream gradient is {finite}; operands:", *_rows(node.inputs, values=True)]))


def modified_error(tensor: Any, node: Any) -> ValueError:
    """Return the error for data that were modified after `node` had used them."""
    return ValueError(f"{tensor!r}: its data was changed (at {tensor.changes.where}) after {node.op!r} at "
                      f"{node.origin} had used it, so the derivative can't be computed any more. Call backward() "
                      "before changing it, or change a copy")


def in_place_error(tensor: Any, symbol: str, site: Any) -> TypeError:
    """Return the error for an in-place operator outside of no_grad, on a leaf that requires a gradient."""
    name = tensor.name if tensor.name and tensor.name.isidentifier() else "x"
    return TypeError(f"{symbol}= would write into {tensor!r} in place, and the derivative would be lost "
                     f"(at {site}). To update it, write `with mg.no_grad(): {name} {symbol}= ...` or "
                     f"`{name}.data {symbol}= ...`; for a new tensor that is recorded, y = {name} {symbol} ...")


def require_same_form(tensor: Any, before: tuple[Any, ...], now: tuple[Any, ...]) -> None:
    """Raise ValueError if an array's shape or dtype was changed in place; fingerprints begin with the two."""
    if before[:2] != now[:2]:
        raise ValueError(f"{tensor!r}: its array of shape {before[0]} and type {before[1]} was changed "
                         f"in place to shape {now[0]} and type {now[1]} (its .data was read at "
                         f"{tensor.changes.exposed_at}). A tensor keeps both: reshape or cast it, or make a new one")


def no_index_error(index: Any) -> TypeError:
    """Return the error for an index without values: an expression of a recurrence."""
    return TypeError(f"{index!r} can't be an index (at {call_site()}): it has no values yet. E[w[t]] reads rows "
                     "of a Tensor E by a signal; other indices are numbers, slices and lists")


def no_gradient_error(out: Any) -> ValueError:
    """Return the error for a backward pass from a tensor that requires no gradient."""
    return ValueError(f"{out!r} was computed from no tensor that requires a gradient: make one with "
                      "requires_grad=True, and use it itself, not its .data or .detach()")


def not_scalar_error(out: Any) -> ValueError:
    """Return the error for a backward pass from an array without an upstream gradient."""
    return ValueError(f"backward() starts from a single number, and {out!r} has shape {out.shape}: "
                      "call it on a sum or a mean, or give the gradient: y.backward(grad)")


def upstream_shape_error(out: Any, shape: tuple[int, ...]) -> ValueError:
    """Return the error for an upstream gradient of another shape than its tensor."""
    return ValueError(f"the gradient for {out!r} has shape {shape}, but {out.shape} is needed")


def hook_shape_error(hook: Any, shape: tuple[int, ...]) -> ValueError:
    """Return the error for a hook that replaces a gradient by one of another shape."""
    return ValueError(f"the hook registered at {hook.origin} returned a gradient of shape {shape} "
                      f"for {hook.tensor!r}; {hook.tensor.shape} is needed")


def gradient_count_error(node: Any, result: Any) -> ValueError:
    """Return the error for an operation whose backward() doesn't return one gradient for each input."""
    if result is None:
        return ValueError(f"{node.op!r}.backward returned None: is its `return` missing? An operation without "
                          f"gradient returns (None,) (node {node!r})")
    count = len(result) if type(result) is tuple else 1
    hint = "" if type(result) is tuple else f" It returned one {type(result).__name__}; several gradients are a tuple"
    return ValueError(f"{node.op!r}.backward returned {count} gradients for {len(node.inputs)} inputs (node {node!r})"
                      f"{hint and '.'}{hint}")


def gradient_array(node: Any, grad: Any) -> Any:
    """Return a gradient from an operation's backward() as an array; raise TypeError if it isn't made of numbers."""
    array = np.asarray(grad)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{node.op!r}.backward returned a gradient of {array.dtype}, made from {type(grad).__name__}; "
                        f"it must be an array of real numbers (node {node!r})")
    return array


def require_operation(function: str, op: Any) -> None:
    """Raise TypeError if the first argument of a function isn't an instance of an operation."""
    if not isinstance(op, Op):
        hint = f": write {op.__name__}() for {op.__name__}" if isinstance(op, type) else ""
        raise TypeError(f"{function} takes an instance of an operation, a subclass of mg.Op, and then its inputs, "
                        f"not {op!r:.80} (at {call_site()}){hint}")


def require_tensors(function: str, named: Mapping[str, Any]) -> None:
    """Raise TypeError for the first argument of a function that isn't a Tensor."""
    for name, x in named.items():
        if not hasattr(x, "_requires_grad"):
            hint = ": give a list of tensors, or a dict of them by name" if name != "out" else ""
            raise TypeError(f"{name} of {function} is a Tensor, not {type(x).__name__} (at {call_site()}){hint}: "
                            f"{x!r:.60}")


def gradient_shape_error(node: Any, tensor: Any, shape: tuple[int, ...]) -> ValueError:
    """Return the error for an operation whose backward() returns a gradient that doesn't fit its input."""
    return ValueError(f"{node.op!r}.backward gave {tensor!r} a gradient of shape {shape}; "
                      f"it must have the tensor's shape {tensor.shape} (node {node!r})")


def _rows(operands: Iterable[Any], values: bool = False) -> list[str]:
    """Return one line per operand: name, shape, the line that made it, and on request the range of its values."""
    rows = [[operand.label or _unnamed(operand.origin), str(operand.shape),
             *([_range(operand._array)] if values else []), f"made at {operand.origin}"] for operand in operands]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["    " + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths)).rstrip() for row in rows]


def _unnamed(origin: Any) -> str:
    """Return the words for a value without a name: that of a signal's equation is part of the signal."""
    return "(unnamed)" if getattr(origin, "signal", None) is None else f"(part of {origin.signal}[{origin.t}])"


def _range(data: Any) -> str:
    if data.size == 0:
        return "empty"
    if np.isnan(data).any():
        return f"{int(np.isnan(data).sum())} NaN of {data.size}"
    return f"from {data.min():.4g} to {data.max():.4g}"
