"""What to write in the place of a method or a name that minigrad doesn't have: the text of errors."""

from __future__ import annotations

from typing import Any

_NEW = "make an array with np.{0} and wrap it: mg.Tensor(np.{0}(...), requires_grad=True)"
_RANDOM = "draw with a generator and wrap the numbers: mg.Tensor(rng.{}(size=shape), requires_grad=True)"
_FUNCTION = "write mg.{0}(x) or np.{0}(x)"
_NUMPY = "write np.{}(x)"
_OURS = "write mg.{}(x)"
_CALL = "write np.{}(...)"

METHODS: dict[str, str] = {
    **{name: _FUNCTION.format(name) for name in (
        "exp", "expm1", "log", "log1p", "log2", "sqrt", "square", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh",
        "tanh", "arctan", "maximum", "minimum", "moveaxis", "outer", "tile", "flip", "split", "matmul", "expand_dims",
        "broadcast_to", "einsum", "pad", "stack", "concatenate")},
    **{name: _OURS.format(name) for name in ("sigmoid", "relu", "softmax", "log_softmax", "softplus", "logsumexp",
                                             "leaky_relu", "elu", "gelu", "norm")},
    **{name: _NUMPY.format(name) for name in ("log10", "arcsin", "arccos", "arctan2", "sinc", "floor", "ceil", "trunc",
                                              "median", "roll", "tril", "triu", "diag", "kron", "nansum", "nanmean",
                                              "reciprocal", "exp2", "hypot")},
    "sort": "write np.sort(x): a method would sort in place", "ptp": "write np.ptp(x)",
    "partition": "write np.sort(x): a method would sort in place",
    "fill": "write x.data[...] = value, or make a new array with np.full_like(x, value)",
    "put": "write x.data[index] = value, or np.where(condition, value, x)",
    "view": "write x.reshape(...)", "resize": "write np.resize(x, shape)", "flat": "write x.ravel()",
    "tobytes": "write x.data.tobytes()", "tofile": "write mg.save(path, {'x': x})", "byteswap": "write x.data",
    "strides": "write x.data.strides", "flags": "write x.data.flags", "base": "write x.data.base",
    "ctypes": "write x.data.ctypes", "imag": "the numbers are real: it is np.zeros(x.shape)",
    "real": "the numbers are real: write x", "conj": "the numbers are real: write x",
    "conjugate": "the numbers are real: write x", "setflags": "write x.data.setflags(...)",
    "choose": "write np.select(...)", "compress": "write np.compress(condition, x)",
    # PyTorch, micrograd, JAX
    "pow": "write x ** y", "neg": "write -x", "add": "write x + y", "sub": "write x - y", "mul": "write x * y",
    "div": "write x / y", "mm": "write x @ y", "mv": "write x @ y", "bmm": "write x @ y",
    "add_": "write x.data += y", "sub_": "write x.data -= y", "mul_": "write x.data *= y", "div_": "write x.data /= y",
    "copy_": "write x.data[...] = y", "zero_": "write x.data[...] = 0", "fill_": "write x.data[...] = value",
    "clamp": "write x.clip(low, high)", "clamp_": "write x.data.clip(low, high, out=x.data)",
    "permute": "write x.transpose(...)",
    "unsqueeze": "write mg.expand_dims(x, axis), or x[:, None]",
    "expand": "write mg.broadcast_to(x, shape)", "masked_fill": "write np.where(mask, value, x)",
    "gather": "write np.take_along_axis(x, index, axis)", "index_select": "write np.take(x, index, axis)",
    "chunk": "write np.split(x, n)", "unbind": "write list(x)", "unfold": "write x[index]",
    "cat": "write np.concatenate",
    "topk": "write np.sort(x)[::-1][:k]", "numel": "write x.size", "dim": "write x.ndim",
    "clone": "write x.copy(); for a constant x.detach()", "contiguous": "write x.copy()",
    "cpu": "arrays are always in the memory of the CPU: write x", "cuda": "arrays are always in the memory of the CPU",
    "to": "write x.astype(dtype)", "type": "write x.astype(dtype)", "double": "write x.astype(np.float64)",
    "float": "write x.astype(np.float32)", "half": "write x.astype(np.float16)",
    "long": "write x.data.astype(int)", "int": "write x.data.astype(int)", "bool": "write x.data.astype(bool)",
    "zero_grad": "write x.grad = None; optimisers have zero_grad()",
    "requires_grad_": "write x.requires_grad = True",
    "retain_grad": "every tensor keeps its gradient: x.grad is there after backward()",
    "is_leaf": "write x.op is None", "grad_fn": "write x.op", "_prev": "write x.inputs", "_op": "write x.op",
    "value": "write x.data, or x.item() for a number",
    "lerp": "write a + (b - a) * weight", "addmm": "write b + x @ y", "tensordot": "write np.tensordot(x, y)",
}

MODULE: dict[str, str] = {
    **{name: _NEW.format(name) for name in ("zeros", "ones", "array", "full", "empty", "eye", "arange", "linspace",
                                            "zeros_like", "ones_like", "full_like", "asarray", "identity")},
    "rand": _RANDOM.format("random"), "randn": _RANDOM.format("normal"), "random": _RANDOM.format("random"),
    "Variable": "write mg.Tensor(data, requires_grad=True)", "Value": "write mg.Tensor(data, requires_grad=True)",
    "Parameter": "write mg.Tensor(data, requires_grad=True)", "parameter": "write mg.Tensor(data, requires_grad=True)",
    "cat": "write mg.concatenate(parts)", "concat": "write mg.concatenate(parts)", "pow": "write mg.power(a, b)",
    "sub": "write mg.subtract(a, b)", "mul": "write mg.multiply(a, b)", "div": "write mg.divide(a, b)",
    "neg": "write mg.negative(x)", "mm": "write mg.matmul(a, b)", "clamp": "write mg.clip(x, low, high)",
    "permute": "write mg.transpose(x, axes)", "unsqueeze": "write mg.expand_dims(x, axis)",
    "gather": "write mg.take_along_axis(x, index, axis)", "chunk": "write mg.split(x, n)",
    "topk": "write np.sort(x)[::-1][:k]",
    "value_and_grad": "write loss = f(x), then mg.grad(loss, x)",
    "jacobian": "write y = f(x), then np.stack([mg.grad(y, x, row) for row in np.eye(y.size)]) for a vector y",
    "hessian": "write g = mg.grad(f(x), x, create_graph=True), then np.stack([mg.grad(g, x, row) for row in "
               "np.eye(g.size)]) for a vector x",
    "enable_grad": "recording is on outside of mg.no_grad()",
    "Module": "a model is any object of yours; optimisers take a list of tensors",
    "nn": "layers are functions of tensors here; a model is any object of yours",
    "SGD": "write mg.optim.SGD(parameters, lr)", "Adam": "write mg.optim.Adam(parameters, lr)",
    "mse_loss": "write mg.losses.mse(y, target)", "cross_entropy": "write mg.losses.cross_entropy(logits, labels)",
    "manual_seed": "pass a generator, rng = np.random.default_rng(seed)",
    "seed": "pass a generator, rng = np.random.default_rng(seed)",
    **{name: _CALL.format(name) for name in (
        "log10", "exp2", "arcsin", "arccos", "arctan2", "arcsinh", "arccosh", "arctanh", "cbrt", "hypot", "floor",
        "ceil", "trunc", "round", "mod", "remainder", "sort", "argsort", "median", "diag", "diagonal", "trace", "tril",
        "triu", "roll", "diff", "inner", "kron", "cross", "cumprod", "all", "any", "isnan", "logaddexp", "tensordot",
        "average", "reciprocal", "select", "interp", "convolve", "column_stack")},
    "linalg": "write np.linalg.inv(x) and so on",
    "erf": "write np.tanh(2 / np.sqrt(np.pi) * (x + 0.08943 * x ** 3)), which is within 4e-4",
}


def missing_attribute(owner: str, name: str, table: dict[str, str], holder: Any) -> AttributeError:
    """Return the error for an attribute that `holder` doesn't have, with a recipe where there is one."""
    recipe = table.get(name)
    return AttributeError(f"{owner} has no attribute {name!r}{f': {recipe}' if recipe else ''}", name=name, obj=holder)


class MissingMethod:
    """A method of other libraries: the attribute is missing, and the error gives the spelling here.

    A descriptor for each name, because a `__getattr__` makes Python look up every attribute of a class more slowly.
    """

    def __init__(self, name: str, recipe: str) -> None:
        self.name, self.recipe = name, recipe

    def __get__(self, holder: Any, kind: type) -> Any:
        owner = f"type object {kind.__name__!r}" if holder is None else f"{type(holder).__name__!r} object"
        raise missing_attribute(owner, self.name, {self.name: self.recipe}, kind if holder is None else holder)
