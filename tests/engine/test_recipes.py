"""Names of NumPy, PyTorch, JAX and micrograd that minigrad doesn't have: the error gives the spelling here."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.recipes.attributes import METHODS, MODULE
from minigrad.recipes.functions import NUMPY

X = np.linspace(0.2, 0.9, 6).reshape(2, 3)


def tensor():
    return mg.Tensor(X, requires_grad=True, name="x")


class TestMissingNames:
    @pytest.mark.parametrize(("name", "words"), [
        ("exp", "write mg.exp(x) or np.exp(x)"), ("relu", "write mg.relu(x)"), ("pow", "write x ** y"),
        ("view", "write x.reshape(...)"), ("permute", "write x.transpose(...)"),
        ("unsqueeze", "mg.expand_dims(x, axis)"),
        ("numel", "write x.size"), ("clamp", "write x.clip(low, high)"), ("zero_grad", "write x.grad = None"),
        ("requires_grad_", "write x.requires_grad = True"), ("is_leaf", "write x.op is None"),
        ("sort", "write np.sort(x): a method would sort in place"), ("split", "write mg.split(x)"),
        ("retain_grad", "every tensor keeps its gradient"), ("clone", "write x.copy()")])
    def test_a_method_of_another_library_is_spelled_here(self, name, words):
        with pytest.raises(AttributeError, match=re.escape(f"'Tensor' object has no attribute '{name}': ")) as error:
            getattr(tensor(), name)
        assert words in str(error.value)
        assert (error.value.name, type(error.value.obj)) == (name, mg.Tensor)

    @pytest.mark.parametrize(("name", "words"), [
        ("zeros", "mg.Tensor(np.zeros(...)"), ("randn", "rng.normal(size=shape)"), ("cat", "mg.concatenate"),
        ("value_and_grad", "mg.grad(loss, x)"), ("log10", "np.log10"),
        ("Parameter", "mg.Tensor(data, requires_grad=True)")])
    def test_a_function_of_another_library_is_spelled_here(self, name, words):
        with pytest.raises(AttributeError, match=f"module 'minigrad' has no attribute '{name}': ") as error:
            getattr(mg, name)
        assert words in str(error.value)

    def test_an_unknown_name_has_pythons_message(self):
        for holder, start in ((tensor(), "'Tensor' object"), (mg, "module 'minigrad'")):
            with pytest.raises(AttributeError, match=f"^{start} has no attribute 'sigmiod'$"):
                holder.sigmiod  # noqa: B018

    def test_names_that_are_missing_stay_missing(self):
        x = tensor()
        assert not [name for name in METHODS if hasattr(x, name) or name in dir(x)]
        assert not [name for name in MODULE if hasattr(mg, name) or name in dir(mg)]
        assert not hasattr(x, "__array_interface__") and not hasattr(x, "_repr_html_")

    def test_copies_and_pickles_are_not_disturbed(self):
        for again in (copy.copy(tensor()), copy.deepcopy(tensor()), pickle.loads(pickle.dumps(tensor()))):
            assert again.data.tolist() == X.tolist() and again.name == "x"
        with pytest.raises(AttributeError):
            mg.Tensor.__new__(mg.Tensor).grad  # noqa: B018 (nothing is set, and no lookup follows)

    def test_every_name_in_a_recipe_exists(self):
        every = [*METHODS.values(), *MODULE.values(), *NUMPY.values()]
        for text in every:
            for module, path in re.findall(r"\b(mg|np)\.(\w+(?:\.\w+)?)", text):
                holder = {"mg": mg, "np": np}[module]
                for name in path.split("."):
                    assert hasattr(holder, name), text
                    holder = getattr(holder, name)
            for name in re.findall(r"\bx\.(\w+)", text):
                assert hasattr(tensor(), name), text

    def test_the_derivatives_that_recipes_describe(self):
        x, f = mg.Tensor([1.0, 2.0], requires_grad=True), lambda x: np.exp(x) * x[0]
        jacobian = np.stack([mg.grad(f(x), x, row) for row in np.eye(2)])
        assert jacobian == pytest.approx(np.array([[2 * np.e, 0], [np.exp(2), np.exp(2)]]))
        g = mg.grad((x ** 3).sum(), x, create_graph=True)
        assert np.stack([mg.grad(g, x, row) for row in np.eye(2)]).tolist() == [[6, 0], [0, 12]]


class TestMethodsOfArrays:
    @pytest.mark.parametrize("call", [
        lambda x: x.any(), lambda x: x.all(axis=0), lambda x: x.any(1, keepdims=True), lambda x: x.argsort(),
        lambda x: x.argsort(0), lambda x: x.argsort(axis=None), lambda x: x.tolist(), lambda x: x.nbytes,
        lambda x: x.itemsize, lambda x: x.item(4), lambda x: x.item(1, 2), lambda x: x.item((0, 1)),
        lambda x: x.nonzero(), lambda x: x.ravel().searchsorted([0.3, 0.5])], ids=lambda f: inspect.getsource(f)[:0])
    def test_without_derivative(self, call):
        ours, theirs = call(tensor()), call(X)
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize("call", [
        lambda x: x.round(1), lambda x: x.trace(), lambda x: x.trace(offset=1), lambda x: x.diagonal(-1),
        lambda x: x.copy(), lambda x: x.mT, lambda x: x.cumprod(), lambda x: x.cumprod(axis=1)])
    def test_with_derivative(self, call):
        x = tensor()
        np.testing.assert_allclose(call(x).data, call(X))
        assert call(x).requires_grad and mg.grad(call(x).sum(), x).shape == X.shape

    def test_a_copy_passes_gradients_and_shares_no_memory(self):
        x = tensor()
        y = x.copy()
        y.sum().backward()
        x.data[...] = 0
        assert x.grad.tolist() == np.ones((2, 3)).tolist() and y.data.tolist() == X.tolist()

    @pytest.mark.parametrize("call", [np.copy, np.conjugate, lambda x: np.rot90(x, 4), lambda x: np.diff(x, 0),
                                      lambda x: np.round(x, 9), lambda x: np.linalg.matrix_power(x[:, :2], 1)])
    def test_results_share_no_memory_with_operands(self, call):
        x = tensor()
        y = call(x)
        before = y.numpy()
        x.data[...] = 0
        assert (y.numpy() == before).all()
