"""cell.to_jax(): a pure function with the numbers of unroll and backward; grad, jit, vmap and sharding work on it."""

from __future__ import annotations

import functools
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman, lstm
from exports import (
    CASES,
    derivatives,
    expected,
    gradients_of_one,
    gradients_of_two,
    largest_difference,
    name_of,
    taken_by,
)
from own_operations import swish

import minigrad as mg
from rnn import Cell, DefinitionError, interop, t

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

from rnn.export.jax import JaxBackend  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)  # each program runs once
DATA = np.random.default_rng(0).normal(size=(4, 5, 3))


def total(function: Any, parameters: Any, inputs: Any, options: Any) -> Any:
    """The sum of the squares of all that is computed, and all that is computed."""
    found = function(parameters, inputs, **options)
    return sum((x ** 2).sum() for name, x in found.items() if not function.cell.signals[name].given), found


@pytest.mark.parametrize(("make", "options"), CASES)
def test_values_and_gradients_are_those_of_the_unrolled_graph(make: Callable[[], Cell], options: Any) -> None:
    cell, data, values, gradients = expected(make, options)
    function = cell.to_jax()
    options = {**options, "T": data.pop("T", None)}
    run = jax.jit(functools.partial(jax.value_and_grad(total, 1, has_aux=True), function, options=options))
    (_, found), of = run(function.parameters, data)
    assert largest_difference(found, values) < 1e-12
    assert largest_difference(of, gradients) < 1e-12


@pytest.mark.parametrize("case", taken_by("JAX"), ids=name_of)
def test_operations_and_their_derivatives_are_ours_at_kinks_too(case: Any) -> None:
    op, *arrays = case
    value, incoming, wanted = derivatives(op, arrays)
    floats = [x for x in arrays if x.dtype == float]

    def computed(*given: Any) -> Any:
        rest = iter(given)
        return JaxBackend().compute(op, *(next(rest) if x.dtype == float else x for x in arrays))

    out, pull = jax.vjp(computed, *(jnp.asarray(x) for x in floats))
    assert out.shape == value.shape
    np.testing.assert_allclose(out, value, rtol=1e-12, atol=1e-14)
    for found, own in zip(pull(jnp.asarray(incoming)), wanted):
        np.testing.assert_allclose(found, own, rtol=1e-11, atol=1e-13)


class TestJAX:
    def test_vmap_runs_along_sequences(self) -> None:
        f = elman().to_jax()
        one_by_one = jax.vmap(f, in_axes=(None, {"x": 1}), out_axes=1)(f.parameters, {"x": DATA})
        np.testing.assert_allclose(one_by_one["y"], f(f.parameters, {"x": DATA})["y"], rtol=1e-12)

    def test_lengths_masks_and_initial_values_may_be_traced(self) -> None:
        cell = elman()
        f, lengths, h0 = cell.to_jax(), np.array([4, 2, 3, 1, 4]), np.full((5, 4), 0.3)
        wanted = cell.unroll(x=DATA, lengths=lengths, initial={"h": h0})["y"].stack().numpy()

        def run(lengths: Any, h0: Any) -> Any:
            return f(f.parameters, {"x": DATA}, lengths=lengths, initial={"h": h0})["y"]

        np.testing.assert_allclose(jax.jit(run)(lengths, h0), wanted, rtol=1e-12)
        own = mg.Tensor(h0, requires_grad=True)
        (cell.unroll(x=DATA, lengths=lengths, initial={"h": own})["y"].stack() ** 2).sum().backward()
        gradient = jax.jit(jax.grad(lambda h0: (run(lengths, h0) ** 2).sum()))(h0)
        np.testing.assert_allclose(gradient, own.grad, rtol=1e-11, atol=1e-14)
        mask = np.arange(4)[:, None] < lengths
        masked = jax.jit(lambda mask: f(f.parameters, {"x": DATA}, mask=mask, initial={"h": h0})["y"])(mask)
        np.testing.assert_allclose(masked, wanted, rtol=1e-12)

    def test_a_loop_stays_one_loop(self) -> None:
        f = lstm().to_jax()
        text = str(jax.make_jaxpr(lambda x: f(f.parameters, {"x": x})["y"])(jnp.ones((50, 2, 3))))
        assert text.count("scan[") == 1

    def test_gates_are_one_product_before_the_loop_and_one_in_it(self) -> None:
        f = lstm().to_jax()
        text = str(jax.make_jaxpr(lambda x: f(f.parameters, {"x": x})["y"])(jnp.ones((50, 2, 3))))
        assert text.count("dot_general") == 3  # the third is y's
        assert (text.count("logistic"), text.count("split[")) == (1, 2)  # three gates at once; no slices, which pad

    def test_gates_that_are_joined_may_be_given_different_signals(self) -> None:
        U, V = (mg.Tensor(DATA[k, :3], requires_grad=True, name=f"U{k}") for k in range(2))
        cell = Cell("different")
        x, h = cell.input("x", 3), cell.signal("h", 3)
        h[t] = mg.sigmoid(U @ h[t-1] + x[t]) * mg.sigmoid(V @ h[t-1] + x[t] * x[t])
        f = cell.to_jax()
        text = str(jax.make_jaxpr(lambda x: f(f.parameters, {"x": x})["h"])(DATA))
        assert text.count("dot_general") == text.count("logistic") == 1
        wanted = cell.unroll(x=DATA)["h"].stack().numpy()
        np.testing.assert_allclose(f(f.parameters, {"x": DATA})["h"], wanted, rtol=1e-12)

    def test_what_was_trained_there_goes_on_here_with_every_bit(self) -> None:
        cell = elman()
        f = cell.to_jax()
        slope = jax.jit(jax.grad(lambda p: (f(p, {"x": DATA})["y"] ** 2).mean()))
        trained = f.parameters
        for _ in range(3):
            trained = jax.tree.map(lambda x, g: x - 0.1 * g, trained, slope(trained))
        interop.assign(cell, trained)
        for name, x in cell.parameters.items():
            assert x.numpy().tobytes() == np.asarray(trained[name]).tobytes()
        mg.gradcheck(lambda: mg.mean(cell.unroll(x=DATA)["y"].stack() ** 2), cell.parameters)

    def test_a_dropout_keeps_what_it_is_given(self) -> None:
        def make() -> Cell:
            cell = Cell("dropped")
            x, y = cell.input("x", 3), cell.signal("y", 3)
            y[t] = mg.dropout(x[t], 0.5, np.random.default_rng(7)) + y[t-1]
            return cell

        f = make().to_jax()
        wanted = make().unroll(x=DATA)["y"].stack().numpy()
        np.testing.assert_allclose(f({}, {"x": DATA}, draws=f.draws(4, (5,)))["y"], wanted, rtol=1e-12)
        with pytest.raises(ValueError, match=r"dropout of y_keep \(at test_to_jax.py:\d+\) needs bools \(4, 5, 3\)"):
            f({}, {"x": DATA})

    def test_a_definition_in_doubles_is_not_rounded_silently(self) -> None:
        jax.config.update("jax_enable_x64", False)
        try:
            with pytest.warns(UserWarning, match="JAX will round W of 'elman', which is float64"):
                elman().to_jax()
        finally:
            jax.config.update("jax_enable_x64", True)


class TestErrors:
    def test_an_operation_that_jax_lacks_is_said_with_its_line_before_anything_runs(self) -> None:
        cell = Cell("own")
        x, h = cell.input("x", 2), cell.signal("h", 2)
        h[t] = swish(x[t] + h[t-1])
        with pytest.raises(DefinitionError, match=r"JAX has no Swish, used at own_operations.py:\d+: only "
                                                  "minigrad's own operations are known there"):
            cell.to_jax()

    @pytest.mark.parametrize(("change", "message"), [
        ({"W": None}, "no value for the parameter 'W' of 'elman'"),
        ({"Z": np.ones(2)}, "there is no parameter 'Z' of 'elman'"),
        ({"b": np.ones(3)}, r"the parameter 'b' of 'elman' has shape \(4,\), its value \(3,\)")])
    def test_parameters_that_do_not_fit_are_named(self, change: Any, message: str) -> None:
        f = elman().to_jax()
        parameters = {name: x for name, x in {**f.parameters, **change}.items() if x is not None}
        with pytest.raises(ValueError, match=message):
            f(parameters, {"x": DATA})

    def test_data_are_refused_as_unroll_refuses_them_when_traced_too(self) -> None:
        f = elman().to_jax()
        with pytest.raises(ValueError, match=r"the data for 'x' have shape \(4, 5, 2\)"):
            jax.jit(f)(f.parameters, {"x": DATA[..., :2]})
        with pytest.raises(ValueError, match=r"lengths are whole numbers, one for each sequence: shape \(5,\)"):
            jax.jit(lambda lengths: f(f.parameters, {"x": DATA}, lengths=lengths))(np.array([1, 2]))


@pytest.mark.parametrize(("module", "call"), [("jax", "to_jax()"), ("torch", "to_torch()"), ("onnx", "to_onnx('m')")])
def test_where_an_extra_is_missing_one_line_says_how_to_install_it(module: str, call: str) -> None:
    script = f"import sys; sys.modules['{module}'] = None\nfrom definitions import elman\nelman().{call}"
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1] / "helpers",
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (f"ModuleNotFoundError: {module} isn't installed: "
                                            f"pip install 'minigrad-rnn[{module}]'")


def test_importing_rnn_imports_none_of_them() -> None:
    script = "import sys, rnn\nassert not {'jax', 'torch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
class TestSeveral:
    """Half of the batch each; the gradients are those of the whole."""

    def test_two_devices(self, tmp_path: Path) -> None:
        found, = gradients_of_two("devices", tmp_path, "", XLA_FLAGS="--xla_force_host_platform_device_count=2")
        assert largest_difference(found, gradients_of_one()) < 1e-12

    def test_two_processes(self, tmp_path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        for found in gradients_of_two("jax", tmp_path, address):
            assert largest_difference(found, gradients_of_one()) < 1e-12
