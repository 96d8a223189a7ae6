"""What `unroll` accepts and a program is seldom made of: losses, numbers, types, names, changes between calls."""

from __future__ import annotations

import copy
import gc
import linecache
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow

import minigrad as mg
from minigrad import provenance
from rnn import Cell, DefinitionError, T, t

X = np.random.default_rng(0).normal(size=(4, 3, 2))


def gradients(cell: Cell) -> dict[str, Any]:
    """Return the gradients of all parameters, and forget them."""
    found = {name: tensor.grad for name, tensor in cell.parameters.items()}
    for tensor in cell.parameters.values():
        tensor.grad = None
    return found


def assert_as_unrolled(cell: Cell, data: dict[str, Any], rtol: float = 1e-11, **options: Any) -> None:
    """Check values, loss and gradients, twice: the second call takes a remembered route."""
    run = cell.unroll(**data, **options)
    loss = run["L"].stack().sum()
    if loss.requires_grad:
        loss.backward()
    wanted, fast = gradients(cell), cell.compile("L")
    for _ in range(2):
        result = fast(**data, **options)
        np.testing.assert_allclose(result.loss, loss.item(), rtol=rtol)
        for name in cell.signals:
            np.testing.assert_allclose(result.outputs[name], run[name].stack().numpy(), rtol=rtol, atol=rtol)
        found = gradients(cell)
        for name, gradient in wanted.items():
            assert (found[name] is None) == (gradient is None), name
            if gradient is not None:
                assert found[name].dtype == gradient.dtype
                np.testing.assert_allclose(found[name], gradient, rtol=rtol, atol=rtol, err_msg=name)


def vector(name: str, *values: float, dtype: Any = float) -> mg.Tensor:
    return mg.Tensor(values, requires_grad=True, name=name, dtype=dtype)


# ---- losses
@pytest.mark.parametrize("size", [2, None])
def test_a_loss_that_is_no_number_is_refused_by_name(size: Any) -> None:
    cell = Cell()
    x, L = cell.input("x", size), cell.signal("Loss")
    L[t] = vector("W", 1.0, 2.0) * x[t] + x[t]
    message = r"(?s)one number .* Loss, defined at test_unusual_definitions.py:\d+, has shape \(2,\).*axis=-1"
    with pytest.raises(ValueError, match=message):
        cell.compile("Loss")(x=X)


def test_several_losses_are_one_signal() -> None:
    cell = Cell()
    x, L = cell.input("x", ()), cell.signal("L")
    L[t] = x[t] * 2.0
    with pytest.raises(TypeError, match=r"name of one signal, not \['L', 'M'\].*define their sum as a signal"):
        cell.compile(["L", "M"])  # type: ignore[arg-type]


def test_a_loss_of_parameters_and_labels_alone() -> None:
    """A unigram baseline: -log softmax(b) of each label; its gradient is the count of labels off softmax(b)."""
    b, cell = vector("b", 0.1, 0.2, 0.3), Cell()
    label, L = cell.input("label", ()), cell.signal("L", ())
    L[t] = mg.losses.cross_entropy(b, label[t], reduction="none")
    labels = np.array([[0, 1, 2], [2, 2, 1]])
    softmax = np.exp(b.numpy()) / np.exp(b.numpy()).sum()
    result = cell.compile("L")(label=labels)
    assert result.loss == pytest.approx(-np.log(softmax)[labels].sum())
    np.testing.assert_allclose(gradients(cell)["b"], 6 * softmax - [1, 2, 3])
    assert_as_unrolled(cell, {"label": labels})


@pytest.mark.parametrize("write", [lambda x, p: p @ p, lambda x, p: 0.5, lambda x, p: p[0], lambda x, p: x[t] @ p])
def test_a_loss_that_is_the_same_at_every_step(write: Callable[[Any, Any], Any]) -> None:
    cell = Cell()
    x, L = cell.input("x", 2), cell.signal("L", ())
    L[t] = write(x, vector("p", 0.1, 0.2))
    assert_as_unrolled(cell, {"x": X})


def test_a_label_that_is_the_same_at_every_step_and_one_that_is_read_late() -> None:
    cell = Cell()
    x, label, L = cell.input("x", 2), cell.input("label", ()), cell.signal("L", ())
    p = vector("p", 0.1, 0.2)
    L[t] = mg.losses.cross_entropy(x[t] * p, np.array(1), reduction="none") \
        + mg.losses.cross_entropy(x[t] * p, label[t-1], reduction="none")
    label[0] = 1
    assert_as_unrolled(cell, {"x": X, "label": np.arange(12).reshape(4, 3) % 2})


def test_without_parameters_there_is_a_loss_and_no_gradient() -> None:
    """y = 1, 1.5, 1.75: the sum of squares is 6.3125."""
    cell = Cell()
    x, y, L = cell.input("x", ()), cell.signal("y", ()), cell.signal("L", ())
    y[t] = 0.5 * y[t-1] + x[t]
    L[t] = y[t] ** 2
    fast = cell.compile("L")
    assert fast(x=np.ones(3)).loss == 6.3125
    assert fast.gradients == {}
    other = cell.compile()
    other(x=np.ones(3))
    other.backward(y=np.ones(3))
    assert other.gradients == {}


# ---- numbers
@pytest.mark.parametrize("batch", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_as_states_with_learned_values(sign: int, batch: tuple[int, ...]) -> None:
    cell = Cell()
    x, s, L = cell.input("x", ()), cell.signal("s", ()), cell.signal("L", ())
    a, s0 = (mg.Tensor(value, requires_grad=True, name=name) for name, value in (("a", 0.5), ("s0", 2.0)))
    s[t] = a * s[t-sign] + x[t]
    s[0 if sign > 0 else T+1] = s0
    L[t] = s[t] * s[t]
    data = np.random.default_rng(0).normal(size=(4, *batch))
    assert_as_unrolled(cell, {"x": data})
    given = mg.Tensor(np.ones(batch), requires_grad=True, name="given")
    cell.compile("L")(x=data, initial={"s": {0 if sign > 0 else 5: given}})
    assert given.grad is not None and given.grad.shape == batch


@pytest.mark.parametrize("scalar", [np.float64(0.7), np.float32(0.7), np.int64(3), np.bool_(True), np.array(2),
                                    np.array(0.7), np.float64(-0.0), np.float64("inf"), np.float64("nan"), 1e-300])
def test_numpy_scalars_are_numbers(scalar: Any) -> None:
    W, cell = vector("W", 1.0, 2.0, dtype="f"), Cell()
    x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
    h[t] = np.tanh(W * x[t] / np.sqrt(3) + np.minimum(h[t-1], scalar) * 0.5)
    L[t] = h[t] @ h[t]
    assert "float64(" not in repr(cell) and "int64(" not in repr(cell)
    with np.errstate(invalid="ignore"):
        assert cell.compile()(x=X.astype("f"))["h"].dtype == np.float32
        assert_as_unrolled(cell, {"x": X.astype("f")}, rtol=1e-5)


# ---- types
@pytest.mark.parametrize("data", mostly_slow(["float32", "int64", "float16", "uint8", "int32", "bool", "float64"], 3))
@pytest.mark.parametrize("constant", ["bool", "int8", "int64", "float32", "float64"])
@pytest.mark.parametrize("parameter", ["float16", "float32", "float64"])
def test_all_values_have_the_type_of_parameters_and_float_data(parameter: str, constant: str, data: str) -> None:
    W, cell = mg.Tensor([[0.5, -0.25]] * 4, requires_grad=True, name="W", dtype=parameter), Cell()
    x, h, L = cell.input("x", 2), cell.signal("h", 4), cell.signal("L", ())
    h[t] = 0.5 * h[t-1] + W @ x[t] + np.ones((4, 2), constant) @ x[t-1] + np.arange(4).astype(constant)
    L[t] = mg.where(x[t][:1], h[t][:1], np.ones(1, constant)).sum(axis=-1)
    x[0], h[0] = 1, np.arange(4)
    values = (np.arange(24).reshape(4, 3, 2) % 3).astype(data)
    wanted = np.result_type(parameter, *[data] if data.startswith("float") else [])
    run = cell.unroll(x=values)
    assert {run[name].stack().dtype for name in cell.signals} == {wanted}
    assert cell.compile("L")(x=values).outputs["h"].dtype == wanted
    gradients(cell)
    assert_as_unrolled(cell, {"x": values}, rtol=1e-2 if parameter == "float16" else 1e-4)


# ---- names
ODD = ["k", "np", "rows", "list", "ones", "lambda", "None", "W_T", "h_all", "h_lanes", "n2", "n0_5", "n1", "S", "flat",
       "by_step", "forward_tiles", "h_0", "h_T1", "h_before", "dh", "scale", "a b", "a-b", "a_b", "漢字", "1",
       "x" * 5000, "{0}", '"""', "FLOAT", "bool", "vecdot_", "_"]


@pytest.mark.parametrize("start", range(len(ODD)))
def test_names_that_look_like_those_of_the_program(start: int) -> None:
    names = [ODD[(start + 5 * i) % len(ODD)] for i in range(4)]
    rng, cell = np.random.default_rng(0), Cell()
    W, U = (mg.Tensor(rng.normal(size=(2, 2)) * 0.5, requires_grad=True, name=name) for name in names[:2])
    x, h, g, L = cell.input("data", 2), cell.signal(names[2], 2), cell.signal(names[3], 2), cell.signal("L", ())
    h[t] = mg.sigmoid(W @ x[t] + U @ h[t-1] + 0.5 * g[t-1]) * 2
    g[t] = np.tanh(U @ h[t-1] + W @ h[t-2])
    L[t] = (h[t] * g[t] * 2 + 1).sum(axis=-1) * 0.5
    h[0], h[-1] = vector("start", 0.1, 0.2), 0.0
    assert_as_unrolled(cell, {"data": X})


@pytest.mark.parametrize("name", ["~mask", "~drawn 1", "a\0b", "\ud800"])
def test_names_that_no_signal_can_have(name: str) -> None:
    for declare in (Cell().input, Cell().signal):
        with pytest.raises(ValueError, match=r"a signal can't be named .* \(at test_unusual_definitions.py:\d+\)"):
            declare(name)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\nb"])
def test_definitions_and_parameters_may_have_any_name(name: str) -> None:
    cell = Cell(name)
    x, L = cell.input("x", 2), cell.signal("L", ())
    L[t] = vector(name, 1.0, 2.0) @ x[t]
    assert_as_unrolled(cell, {"x": X})


# ---- errors inside of a program
class Picky(mg.Op):
    """The identity, of ones alone."""

    def forward(self, x: Any) -> Any:
        if x.size and x.max() > 1:
            raise KeyError("not a one")
        return x * 1.0

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad


def test_an_error_names_operation_signal_and_line() -> None:
    cell = Cell("picky")
    x, label, y = cell.input("x", 2), cell.input("label", ()), cell.signal("odd", ())
    y[t] = mg.pick(x[t] * 2.0, label[t])
    message = r"(?s)label 7 .*in the program of 'picky', line \d+: .*computes odd.* by Gather, written at test_un\w+.py"
    with pytest.raises(IndexError, match=message):
        cell.compile()(x=X, label=np.full((4, 3), 7))


def test_an_error_of_ones_own_operation_keeps_its_type() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    y[t] = mg.apply(Picky(), x[t])
    with pytest.raises(KeyError, match="not a one"):
        cell.compile()(x=X + 5)


# ---- changes between calls
def elman(loss: str | None) -> tuple[Cell, mg.Tensor, mg.Tensor, Any]:
    cell, W, p = Cell(), vector("W", 1.0, 0.5), vector("p", 0.1, 0.2)
    x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
    h[t] = np.tanh(W * x[t] + 0.3 * h[t-1] + W * p)
    L[t] = h[t] @ h[t]
    h[0] = 2 * p
    return cell, W, p, cell.compile(loss)


def replace(x: mg.Tensor, held: Any) -> None:
    x.data = x.data * 3


def subtract(x: mg.Tensor, held: Any) -> None:
    x.data -= 1


def set_element(x: mg.Tensor, held: Any) -> None:
    x.data[0] = 9


def through_an_array_held_since_before(x: mg.Tensor, held: Any) -> None:
    held[0] = 9


@pytest.mark.parametrize("change", [replace, subtract, set_element, through_an_array_held_since_before])
@pytest.mark.parametrize("loss", [None, "L"])
@pytest.mark.parametrize("name", ["W", "p"])
def test_a_parameter_changed_between_call_and_backward(name: str, loss: str | None, change: Any) -> None:
    cell, _, _, fast = elman(loss)
    tensor = cell.parameters[name]
    fast(x=X)
    held = tensor.data
    fast(x=X)
    change(tensor, held)
    gradients(cell)
    message = rf"<{name} .* changed \(at test_unusual_definitions.py:\d+\) after the program"
    with pytest.raises(ValueError, match=message):
        fast.backward(h=np.ones_like(X))
    assert tensor.grad is None
    fast(x=X)  # with the new data it goes on
    gradients(cell)
    fast.backward(h=np.ones_like(X))
    found = gradients(cell)
    cell.unroll(x=X)["h"].stack().sum().backward()
    np.testing.assert_allclose(found[name], gradients(cell)[name], rtol=1e-12, atol=1e-14)  # 1 - tanh(9)²


@pytest.mark.parametrize("change", [replace, subtract, set_element, through_an_array_held_since_before])
def test_a_parameter_changed_before_the_call_is_none_that_changed_after_it(change: Any) -> None:
    _, W, _, fast = elman(None)
    fast(x=X)
    held = W.data
    change(W, held)
    fast(x=X)
    fast.backward(h=np.ones_like(X))
    assert W.grad is not None


def test_parameters_that_are_frozen_and_released_between_calls() -> None:
    _, W, p, fast = elman("L")
    for frozen, other in ((W, p), (p, W), (W, p)):
        fast(x=X)
        frozen.requires_grad, frozen.grad, other.grad = False, None, None
        fast(x=X)
        assert frozen.grad is None and other.grad is not None
        frozen.requires_grad = True
        fast(x=X)
        assert frozen.grad is not None


def test_a_parameter_frozen_between_call_and_backward() -> None:
    _, W, p, fast = elman(None)
    fast(x=X)
    W.requires_grad = False
    fast.backward(h=np.ones_like(X))
    assert W.grad is None and p.grad is not None


# ---- threads, copies, caches
def test_threads_have_arrays_of_their_own() -> None:
    _, W, _, fast = elman("L")
    data = [np.random.default_rng(i).normal(size=(40, 3, 2)) for i in range(4)]
    wanted = [fast(x=x).loss for x in data]
    assert W.grad is not None
    once, W.grad = W.grad, None
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(20):
            loss, outputs = fast(x=data[i])
            h = outputs["h"]
            if abs(loss - wanted[i]) > 1e-9 or abs((h * h).sum() - wanted[i]) > 1e-9:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    np.testing.assert_allclose(W.grad, 20 * once, rtol=1e-9)  # type: ignore[arg-type]


def test_copies_and_pickles_of_a_program_that_was_called() -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(vector("W", 1.0, 2.0) * x[t] + h[t-1])
    fast = cell.compile()
    wanted = fast(x=X)["h"]
    for made in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(made(x=X)["h"], wanted)
    assert "def forward" in fast.source


def test_programs_and_code_that_nothing_uses_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "MOST_CODE_OBJECTS", 20)
    before = len(linecache.cache)
    text = "y[t] = w * x[t]; fast = cell.compile('y'); fast(x=np.ones(3)); fast(x=np.ones((3, 2)))"
    for number in range(30):
        cell = Cell()
        space = {"cell": cell, "x": cell.input("x", ()), "y": cell.signal("y", ()), "t": t, "np": np,
                 "w": mg.Tensor(2.0, requires_grad=True)}
        exec(compile(text, f"<cell {number}>", "exec"), space)
        del space, cell
    gc.collect()
    assert len(linecache.cache) <= before + 2
    assert len(provenance._call_sites) <= 20


# ---- random draws
class Noise(mg.Op, random=True):
    """The operand and something drawn."""

    def forward(self, x: Any) -> Any:
        return x + np.random.default_rng().normal(size=np.shape(x))

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad


def test_a_random_operation_of_ones_own_is_refused_by_name() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    y[t] = mg.apply(Noise(), x[t])
    with pytest.raises(DefinitionError, match=r"Noise\(\), at test_unusual_definitions.py:\d+, draws at random"):
        cell.compile()(x=X)


# ---- long equations
def test_a_long_chain_makes_a_program_of_proportional_length() -> None:
    """Products of the slopes of a chain begin with those of the step before; each was multiplied anew."""
    def lines(count: int) -> int:
        cell, w = Cell(), vector("w", 1.0, 0.5)
        x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
        expression = x[t] * w
        for _ in range(count):
            expression = np.tanh(expression) + w * h[t-1] * (0.5 / count)
        h[t] = expression
        L[t] = h[t] @ h[t]
        assert_as_unrolled(cell, {"x": X})
        fast = cell.compile("L")
        fast(x=X)
        return len(fast.source.splitlines())

    ten, twenty, forty = lines(10), lines(20), lines(40)
    assert forty - twenty <= 2.2 * (twenty - ten)


# ---- operations whose derivative by a weight is summed over the batch already
class Rows(mg.Op):
    """x W. Its derivative by W sums over all rows, as a hand-written one does."""

    def forward(self, x: Any, W: Any) -> Any:
        return x @ W

    def backward(self, grad: Any, out: Any, x: Any, W: Any) -> Any:
        return grad @ W.T, x.reshape(-1, x.shape[-1]).T @ grad.reshape(-1, grad.shape[-1])


class Scaled(mg.Op):
    """x w. Its derivative by w keeps axes of length 1."""

    def forward(self, x: Any, w: Any) -> Any:
        return x * w

    def backward(self, grad: Any, out: Any, x: Any, w: Any) -> Any:
        return grad * w, (grad * x).sum(axis=tuple(range(grad.ndim - 1)), keepdims=True)


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 1, 2), (1, 3, 2), (4, 2), (2, 2, 3, 2)], ids=str)
@pytest.mark.parametrize("write", [
    lambda x, h, W, w: np.tanh((x[t] @ w) * x[t] + 0.1 * h[t-1]),
    lambda x, h, W, w: np.tanh((h[t-1] @ w) * x[t] + x[t]),
    lambda x, h, W, w: np.tanh(mg.apply(Rows(), x[t], W) + 0.1 * h[t-1]),
    lambda x, h, W, w: np.tanh(mg.apply(Rows(), h[t-1], W) + x[t]),
    lambda x, h, W, w: np.tanh(mg.apply(Scaled(), h[t+1], w) + x[t])])
def test_a_derivative_by_a_weight_is_summed_once(write: Any, shape: tuple[int, ...]) -> None:
    """x[t] @ w with a vector of weights had a gradient that was too large by the number of steps and sequences."""
    cell, w = Cell(), vector("w", 1.0, 2.0)
    W = mg.Tensor(np.random.default_rng(1).normal(size=(2, 2)), requires_grad=True, name="W")
    x, h, L = cell.input("x", 2), cell.signal("h", 2), cell.signal("L", ())
    h[t] = write(x, h, W, w)
    L[t] = h[t] @ w
    assert_as_unrolled(cell, {"x": np.random.default_rng(0).normal(size=shape)})


def test_the_gradient_of_a_dot_product_with_a_weight() -> None:
    """L = sum of x[t] @ w: the gradient is the sum of all x."""
    cell, w = Cell(), vector("w", 1.0, 2.0)
    x, L = cell.input("x", 2), cell.signal("L", ())
    L[t] = x[t] @ w
    cell.compile("L")(x=X)
    np.testing.assert_allclose(w.grad, X.sum((0, 1)), rtol=1e-12)  # type: ignore[arg-type]


def test_a_signal_that_no_equation_defines_and_nothing_reads_is_no_output() -> None:
    cell = Cell()
    x, _, y = cell.input("x", 2), cell.signal("L", ()), cell.signal("y", 2)
    y[t] = 2 * x[t]
    outputs = cell.compile()(x=np.ones((3, 2)))
    assert outputs["y"].tolist() == [[2.0, 2.0]] * 3
    with pytest.raises(ValueError, match=r"the loss L, declared at test_unusual_definitions.py:\d+, has no equation"):
        cell.compile(loss="L")
    with pytest.raises(KeyError, match=r"no signal 'L' in this run; there are x, y"):
        cell.unroll(x=np.ones((3, 2)))["L"]


def test_a_gradient_that_is_the_same_at_all_steps_and_is_indexed() -> None:
    """As that of a vector of length 1 made of a number, whose values after the first step are learned."""
    def definition() -> Cell:
        cell = Cell()
        h, L = cell.signal("h", ()), cell.signal("L", ())
        h[t-1] = 0.5
        L[t] = np.sum(mg.Tensor([0.7], requires_grad=True, name="a") * h[t], axis=-1)
        h[T] = mg.Tensor(0.3, requires_grad=True, name="end")
        return cell

    cell, other = definition(), definition()
    cell.unroll(T=3)["L"].stack().sum().backward()
    other.compile(loss="L")(T=3)
    for name, x in cell.parameters.items():
        np.testing.assert_allclose(other.parameters[name].grad, x.grad)


def test_a_gradient_that_is_carried_from_step_to_step_and_of_which_a_part_is_read_after_the_loop() -> None:
    def definition() -> Cell:
        cell, rng = Cell(), np.random.default_rng(0)
        V, c = (mg.Tensor(rng.normal(size=shape), requires_grad=True, name=name) for name, shape in
                (("V", (3, 1)), ("c", (3,))))
        y, h = cell.signal("y", 3), cell.signal("h", 1)
        y[t] = np.concatenate([(V @ h[t])[:2], np.ones(1)])
        h[t] = y[t-3] @ c + h[t-1]
        y[0] = y[-1] = y[-2] = np.ones(3)
        return cell

    cell, other, upstream = definition(), definition(), np.random.default_rng(1).normal(size=(5, 3))
    (cell.unroll(T=5)["y"].stack() * upstream).sum().backward()
    fast = other.compile()
    fast(T=5)
    fast.backward(y=upstream)
    for name, x in cell.parameters.items():
        np.testing.assert_allclose(other.parameters[name].grad, x.grad)


def test_a_bias_whose_gradient_at_each_step_is_that_of_the_loss_alone() -> None:
    """The bias is read in a cycle that the loss doesn't read."""
    def definition() -> Cell:
        cell, a = Cell(), mg.Tensor(np.zeros(3), requires_grad=True, name="a")
        x, h, e, L = cell.input("x", 3), cell.signal("h", 3), cell.signal("e", 3), cell.signal("L", ())
        e[t] = a + mg.where(h[t-1] > 0, x[t], 0.0)
        h[t] = mg.where(h[t-1] > 5, e[t], h[t-1])
        L[t] = e[t].sum(axis=-1)
        return cell

    cell, data = definition(), np.ones((4, 2, 3))
    assert cell.compile(loss="L")(x=data).loss == cell.unroll(x=data)["L"].stack().sum().item()
    np.testing.assert_array_equal(cell.parameters["a"].grad, np.full(3, 4.0 * 2))
