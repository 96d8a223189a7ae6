"""Signals of any shape: inside an equation everything means what NumPy means for one sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import above, parameter
from shape_formulas import DATA, FORMULAS, A, M, S, V

import minigrad as mg
from rnn import Cell, t


def definition(write: Callable[..., Any]) -> Cell:
    cell = Cell()
    signals = [cell.input(name, data.shape[2:]) for name, data in DATA.items()]
    cell.signal("y")[t] = write(*(signal[t] for signal in signals))
    return cell


@pytest.mark.parametrize("write", FORMULAS, ids=range(len(FORMULAS)))
def test_a_formula_means_what_numpy_means_for_one_sequence(write: Callable[..., Any]) -> None:
    cell = definition(write)
    batch = cell.unroll(**DATA)["y"].stack().data
    for b in range(3):
        alone = [np.asarray(write(*(data[k, b] for data in DATA.values()))) for k in range(2)]
        np.testing.assert_allclose(batch[:, b], alone, rtol=1e-12)
        one = cell.unroll(**{name: data[:, b] for name, data in DATA.items()})["y"].stack().data
        np.testing.assert_allclose(one, alone, rtol=1e-12)
    assert cell.signals["y"].shape == batch.shape[2:]


@pytest.mark.parametrize("write", FORMULAS, ids=range(len(FORMULAS)))
def test_its_gradient_is_that_of_every_sequence_alone(write: Callable[..., Any]) -> None:
    cell = definition(write)
    inputs = {name: mg.Tensor(data, requires_grad=True) for name, data in DATA.items()}
    used = [name for name in DATA if any(edge.source == name for edge in cell.edges())]
    (cell.unroll(**inputs)["y"].stack() ** 2).sum().backward()
    for b in range(3):
        alone = {name: mg.Tensor(data[:, b], requires_grad=True) for name, data in DATA.items()}
        sum((write(*(x[k] for x in alone.values())) ** 2).sum() for k in range(2)).backward()
        for name in used:
            if alone[name].grad is None:  # it is read by a condition only
                assert inputs[name].grad is None
            else:
                np.testing.assert_allclose(inputs[name].grad[:, b], alone[name].grad, rtol=1e-10, atol=1e-12)


# as those above, but a Tensor has no such result
OF_VALUES: list[Callable[[Any, Any, Any, Any], Any]] = [
    lambda s, m, v, a: np.float_power(m * m, v), lambda s, m, v, a: np.float_power(v > 0, 2),
    lambda s, m, v, a: np.float_power(2, (v > 0).astype(int)), lambda s, m, v, a: (3 * m).astype(int),
    lambda s, m, v, a: m.astype(bool) * 2.0, lambda s, m, v, a: np.argmax(m, axis=1).astype(float) / 2,
    lambda s, m, v, a: np.argmax(v).astype(np.int32) * 0.5, lambda s, m, v, a: np.full_like(m, v),
    lambda s, m, v, a: np.full_like(v > 0, 3.0) * v, lambda s, m, v, a: np.zeros_like(v > 0) | (v > 1),
    lambda s, m, v, a: np.isclose(v, v > 0, rtol=0.4), lambda s, m, v, a: np.isclose(abs(v) / (v > 0), np.inf),
    lambda s, m, v, a: np.isclose(np.sqrt(v), np.sqrt(v), equal_nan=True),
    lambda s, m, v, a: np.isclose(np.sqrt(v), np.sqrt(v)), lambda s, m, v, a: np.isclose([np.inf, 1, 0, np.nan], v),
    lambda s, m, v, a: np.select([np.argmax(v) == 0, np.argmax(v) == 1], [v, 2 * v], 1),
    lambda s, m, v, a: np.any(m), lambda s, m, v, a: np.all(m > 0, axis=0), lambda s, m, v, a: np.count_nonzero(a, 1),
]


@pytest.mark.filterwarnings("ignore:(invalid value|divide by zero)")
@pytest.mark.parametrize("write", OF_VALUES, ids=range(len(OF_VALUES)))
def test_a_value_is_that_of_numpy_for_one_sequence(write: Callable[..., Any]) -> None:
    cell = definition(write)
    batch, compiled = cell.unroll(**DATA)["y"].stack().data, cell.compile()(**DATA)["y"]
    for k, b in np.ndindex(2, 3):
        alone = np.asarray(write(*(data[k, b] for data in DATA.values())), float)
        np.testing.assert_allclose(batch[k, b], alone, rtol=1e-12)
        np.testing.assert_allclose(compiled[k, b], alone, rtol=1e-12)


def test_arrays_of_the_shape_of_an_open_static() -> None:
    cell = Cell()
    s, y = cell.static("s", (None, 2)), cell.signal("y", ())
    y[t] = np.ones_like(s).sum() + np.full_like(s, 2.0).sum() + np.zeros_like(s)[0, 0]
    values = np.full((5, 2), np.inf)
    for found in (cell.unroll(2, s=values)["y"].stack().data, cell.compile()(2, s=values)["y"]):
        np.testing.assert_array_equal(found, [30, 30])


def test_shapes_that_do_not_fit_are_named_as_for_one_sequence() -> None:
    cell = Cell()
    s, v = cell.signal("S", (3, 4)), cell.input("v", 3)
    with pytest.raises(ValueError) as error:
        s[t] = s[t-1] @ v[t]
    assert "S[t-1]  (3, 4)" in str(error.value) and f"made at {above(2)}" not in "\n".join(cell.signals)
    with pytest.raises(ValueError, match=r"the equation S\[t\] = .* has shape \(3, 3\) .* with shape \(3, 4\)"):
        s[t] = s[t-1] @ s[t-1].T


def test_lists_separated_by_a_slice_are_refused() -> None:
    with pytest.raises(IndexError, match="separated by slices: index in two steps"):
        definition(lambda s, m, v, a: a[0, :, [1, 2]])


@pytest.mark.parametrize("size", [(2, 0), (2, -1), (2, 2.5), (True, 2)])
def test_a_shape_has_positive_whole_numbers(size: Any) -> None:
    with pytest.raises(ValueError, match=r"the shape of S has positive whole numbers, not .* \(at test_shapes\.py"):
        Cell().signal("S", size)


def test_a_formula_is_written_as_in_the_equation() -> None:
    cell, U = Cell(), parameter("U", 4, 4)
    m, v, s = cell.signal("M", (4, 4)), cell.input("v", 4), cell.input("s", ())
    m[t] = s[t] * m[t-1] @ U + np.outer(v[t], v[t]) + m[t-1].T[:, 0] * np.einsum("ij,j->i", m[t-1], v[t])
    assert repr(cell.equations[0]) == ("M[t] = s[t] * M[t-1] @ U + v[t][:, None] * v[t] + "
                                       "M[t-1].T[:, 0] * einsum('ij,j->i', M[t-1], v[t])")


def test_data_for_a_matrix_name_the_shape_that_is_needed() -> None:
    cell = definition(lambda s, m, v, a: m)
    with pytest.raises(ValueError, match=r"\(T, 3, 4\) or \(T, batch, 3, 4\) is needed: m was declared at .* "
                                         r"with shape \(3, 4\)"):
        cell.unroll(s=S, m=M[..., :3], v=V, a=A)


def unrolled(cell: Cell, **data: Any) -> Any:
    return cell.unroll(**data)


def compiled(cell: Cell, **data: Any) -> Any:
    return cell.compile()(**data)


# ---- errors
@pytest.mark.parametrize("write, words", [
    (lambda S, x: np.einsum("ij,jk->ik", S[t], S[t]), r"EinSum\(subscripts='ij,jk->ik'"),
    (lambda S, x: np.concatenate([S[t], x[t]]), r"Concatenate\(axis=0\)"),
    (lambda S, x: S[t][3], r"GetItem\(index=3\)"),
    (lambda S, x: S[t].sum(axis=2), r"Sum\(axis=2"), (lambda S, x: S[t] + np.outer(x[t], x[t]), r"Add\(\)")])
def test_an_operation_that_does_not_fit_is_shown_as_it_was_written(write: Any, words: str) -> None:
    cell = Cell()
    S, x = cell.input("S", (3, 2)), cell.input("x", 2)
    with pytest.raises((ValueError, IndexError), match=rf"in {words}.* at test_shapes\S+, of\n +S\[t\] +\(3, 2\)"):
        write(S, x)


@pytest.mark.parametrize("write, shapes", [
    (lambda x, M, h: x + M, r"\(3,\) \(3,2\)"), (lambda x, M, h: M.T[:, :2] + x, r"\(2,2\) \(3,\)"),
    (lambda x, M, h: np.outer(x, np.outer(x, h)).reshape(6, 3) + h, r"\(6,3\) \(2,\)"),
    (lambda x, M, h: np.maximum(np.ones((4, 1, 1)) * M, x), r"\(4,3,2\) \(3,\)"),
    (lambda x, M, h: np.where(x > 0, M, 1.0), r"\(3,\) \(3,2\) \(\)"), (lambda x, M, h: x + h, r"\(3,\) \(2,\)")])
def test_the_shapes_of_a_message_are_those_for_one_sequence(write: Any, shapes: str) -> None:
    cell = Cell()
    x, M, h = cell.input("x", 3), cell.input("M", (3, 2)), cell.signal("h", 2)
    with pytest.raises(ValueError, match=rf"^operands could not be broadcast together with shapes {shapes} \n  in "):
        write(x[t], M[t], h[t-1])


def test_an_open_length_in_a_message_is_any() -> None:
    cell = Cell()
    s, h = cell.static("s", (None, 3)), cell.signal("h", 2)
    with pytest.raises(ValueError, match=r"^operands could not be broadcast together with shapes \(any,3\) \(2,\) \n"):
        s + h[t-1]


@pytest.mark.parametrize("write", [
    lambda x, h, W: W @ np.concatenate([x, h]), lambda x, h, W: W @ np.concatenate([x, x]),
    lambda x, h, W: np.concatenate([x, h]) @ W.T, lambda x, h, W: W @ (W[0] * np.concatenate([h, x])),
    lambda x, h, W: W @ (np.concatenate([x, h]) + np.ones(4))])
def test_a_length_that_follows_from_an_open_one_is_that_which_fits(write: Any) -> None:
    cell, W = Cell(), mg.Tensor(np.arange(8.0).reshape(2, 4), requires_grad=True, name="W")
    x, h = cell.input("x"), cell.signal("h", 2)
    h[t] = np.tanh(write(x[t], h[t-1], W))
    assert cell.unroll(x=np.ones((3, 1, 2)))["h"].stack().shape == (3, 1, 2)
    for call in (cell.unroll, cell.compile()):
        with pytest.raises(ValueError, match=r"\n  in \w+\(\) at test_shapes\.py:\d+, of\n(.|\n)*they are x \(3,\) "):
            call(x=np.ones((3, 1, 3)))


def test_a_length_that_follows_from_an_open_one_is_any_in_a_message() -> None:
    cell = Cell()
    x, h = cell.input("x"), cell.signal("h", 2)
    with pytest.raises(ValueError, match=r"shape \(any, 2\) can't multiply vectors of shape \(3,\)"):
        np.outer(np.concatenate([x[t], h[t-1]]), h[t-1]) @ np.ones(3)


@pytest.mark.parametrize("write, words, name", [
    (lambda x, y: np.swapaxes(x, 0, 1), "axis 1 is out of bounds", "np.swapaxes"),
    (lambda x, y: x.swapaxes(0, 1), "axis 1 is out of bounds", "np.swapaxes"),
    (lambda x, y: np.trace(x), "axis 1 is out of bounds", "np.trace"),
    (lambda x, y: np.squeeze(x, axis=0), "cannot select an axis to squeeze", "np.squeeze"),
    (lambda x, y: np.cross(x, y), "cross takes vectors of three elements, not 3 and 2", "np.cross"),
    (lambda x, y: np.repeat(x, [1, 2]), "operands could not be broadcast", "np.repeat"),
    (lambda x, y: x.astype(complex), "an equation has no numbers of type complex128", "astype"),
    (lambda x, y: np.any(x, out=1), "unexpected keyword argument 'out'", "np.any")])
def test_a_function_that_does_not_fit_is_named_with_its_operands_and_the_line(write: Any, words: str, name: str
                                                                              ) -> None:
    cell = Cell()
    x, y = cell.input("x", 3)[t], cell.input("y", 2)[t]
    with pytest.raises((ValueError, IndexError, TypeError)) as error:
        write(x, y)
    assert words in str(error.value) and f"\n  in {name} at test_shapes.py:" in str(error.value)
    assert "\n    x[t]  (3,)" in str(error.value)
    assert str(error.value).endswith("those of one sequence at one step: the axes of time and batch don't count")


@pytest.mark.parametrize("write, message", [
    (lambda x: np.where(x > 0), r"np\.where needs values, and x\[t\] > 0, of shape \(3,\), has none in an equation "
                                r"\(at test_shapes\.py:\d+\)\. np\.where\(condition, a, b\) and np\.select choose"),
    (lambda x: np.argsort(x), r"np\.argsort needs values, and x\[t\], .* np\.argmax and np\.argmin give positions"),
    (lambda x: x.nonzero(), r"np\.nonzero needs values, .*np\.where\(condition, a, b\)"),
    (lambda x: np.digitize(x, [0.0]), r"np\.digitize needs values.*\(x\[\.\.\., None\] >= bins\)\.sum\(axis=-1\)"),
    (lambda x: np.nanmean(x), r"np\.nanmean needs values.*np\.where\(np\.isnan\(x\), 0, x\)"),
    (lambda x: np.empty_like(x), r"np\.empty_like needs values.*An equation takes operators, comparisons, np\.where"),
    (lambda x: np.choose(x, [x, x]), r"np\.choose .*\(at test_shapes\.py:\d+\)\. Write np\.select\(\[index == 0"),
    (lambda x: np.piecewise(x, [x > 0], [1, 2]), r"np\.piecewise .*Write np\.select\(conditions"),
    (lambda x: mg.one_hot(x, 2.5), r"mg\.one_hot\(i, n\) takes the number n of classes, 1 or more, not 2\.5, for i = "
                                   r"x\[t\] of shape \(3,\) \(at test_shapes\.py:\d+\)")])
def test_a_function_that_needs_values_is_answered_with_what_to_write(write: Any, message: str) -> None:
    x = Cell().input("x", 3)
    with pytest.raises(TypeError, match=message) as error:
        write(x[t])
    assert "x.data" not in str(error.value)


def test_a_function_of_the_number_of_the_step() -> None:
    cell = Cell()
    cell.signal("y", ())[t] = np.select([t == 1, np.isclose(t, 2)], [t, 10 * t], -1)
    np.testing.assert_array_equal(cell.unroll(T=3)["y"].stack().data, [1, 20, -1])
    np.testing.assert_array_equal(cell.compile()(T=3)["y"], [1, 20, -1])


@pytest.mark.parametrize("call", [unrolled, compiled])
def test_an_input_without_a_size_that_does_not_fit_is_named_for_one_sequence(call: Any) -> None:
    cell = Cell()
    x, S = cell.input("x"), cell.signal("S", (3, 3))
    S[t] = np.outer(x[t], x[t])
    with pytest.raises(ValueError, match=r"equation S\[t\] = .* has shape \(2, 2\) \(at test_shapes.*with shape "
                                         r"\(3, 3\)\n.*for one sequence they are x \(2,\)"):
        call(cell, x=np.ones((4, 5, 2)))


@pytest.mark.parametrize("call", [unrolled, compiled])
def test_an_index_out_of_range_names_signal_and_step(call: Any) -> None:
    cell = Cell()
    E, x, y = mg.Tensor(np.eye(5), name="E"), cell.input("x", ()), cell.signal("y", 5)
    row = cell.signal("row", ())
    row[t] = x[t] + 3
    y[t] = E[row[t]] + y[t-1]
    with pytest.raises(IndexError, match=r"index 5 at \[(2, )?1\] is not one of the 5 rows 0 … 4(.|\n)*\n +row\[3\]"):
        call(cell, x=np.array([[0, 0], [1, 1], [0, 2]]))


def test_a_condition_and_an_array_are_no_loss() -> None:
    cell = Cell()
    x, wrong, S = cell.input("x", ()), cell.signal("wrong", ()), cell.signal("S", (2, 2))
    wrong[t] = x[t] > 0
    S[t] = x[t] * np.eye(2)
    with pytest.raises(ValueError, match=r"wrong is a condition or an index, wrong\[t\] = x\[t\] > 0, written at"):
        cell.compile(loss="wrong")
    with pytest.raises(ValueError, match=r"S, defined at .* has shape \(2, 2\) .*S\[t\] = mg\.sum\(\.\.\.\)$"):
        cell.compile(loss="S")


def test_diag_of_a_vector_is_a_matrix_at_each_step() -> None:
    cell = Cell()
    x, D = cell.input("x", 3), cell.signal("D", (3, 3))
    D[t] = np.diag(x[t])
    values = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(cell.unroll(x=values)["D"].stack().data, values[..., None] * np.eye(3))
