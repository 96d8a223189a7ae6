"""Data that change after an operation has used them: an error that names both lines, never a wrong gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

CHANGED = r"<w \(2,\).*its data was changed \(at test_mutation.py:\d+\) after Square\(\) at test_mutation.py:\d+"


def parameter() -> Tensor:
    return Tensor([1.0, 2.0], requires_grad=True, name="w")


def test_assigning_data_is_noticed() -> None:
    w = parameter()
    loss = mg.square(w).sum()
    w.data = np.array([5.0, 6.0])
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()
    assert w.grad is None


def test_a_change_in_place_is_noticed() -> None:
    w = parameter()
    loss = mg.square(w).sum()
    w.data -= 1.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_writing_an_element_is_found() -> None:
    w = parameter()
    loss = mg.square(w).sum()
    w.data[0] = 7.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_writing_through_an_array_that_was_taken_before_is_found() -> None:
    w = parameter()
    array = w.data
    loss = mg.square(w).sum()
    array[1] = 7.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_writing_through_a_view_of_the_data_is_found() -> None:
    w = parameter()
    part = w.data[:1]
    loss = mg.square(w).sum()
    part += 1.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_writing_through_a_view_that_an_operation_made_is_found() -> None:
    w = Tensor(np.ones((2, 3)), requires_grad=True, name="w")
    loss = mg.square(w).sum()
    w.T.data[0] = 7.0
    with pytest.raises(ValueError, match=r"<w \(2, 3\).*its data was changed"):
        loss.backward()


def test_changing_a_result_that_the_derivative_needs_is_found() -> None:
    w = parameter()
    y = mg.tanh(w)
    y.name = "y"
    loss = y.sum()
    y.data[0] = 0.0
    with pytest.raises(ValueError, match=r"<y tanh \(2,\).*its data was changed"):
        loss.backward()


def test_changing_the_result_that_a_pass_starts_from_is_found() -> None:
    y = mg.tanh(parameter())
    y.data[0] = 0.0
    with pytest.raises(ValueError, match=r"<tanh\(.*\) \(2,\).*its data was changed .* after Tanh\(\)"):
        y.backward(np.ones(2))


def test_a_change_between_two_uses_spoils_the_first_one_only() -> None:
    w = parameter()
    array = w.data
    before = mg.square(w).sum()
    array[0] = 3.0
    after = mg.square(w).sum()
    with pytest.raises(ValueError, match=CHANGED):
        before.backward()
    after.backward()
    assert w.grad is not None and w.grad.tolist() == [6.0, 4.0]


def test_a_change_is_found_though_the_data_are_read_again_after_it() -> None:
    for read in (lambda w, part: w.data, lambda w, part: part.data):  # the array itself, or a view of it
        w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        part, y = w[:1], mg.square(w).sum()
        array = w.data
        array[0] = 9.0
        read(w, part)
        with pytest.raises(ValueError, match=r"w .*its data was changed"):
            y.backward()
        assert w.grad is None


def test_reading_data_is_no_change() -> None:
    w = parameter()
    kept = w.data
    loss = mg.square(w).sum()
    print(w.data.mean(), kept.max())
    loss.backward()
    assert w.grad is not None and w.grad.tolist() == [2.0, 4.0]


def test_training_by_hand_stays_natural() -> None:
    w = parameter()
    for _ in range(3):
        w.grad = None
        mg.square(w).sum().backward()
        assert w.grad is not None
        w.data -= 0.25 * w.grad
    assert w.numpy().tolist() == [0.125, 0.25]


def test_training_through_the_array_itself_stays_natural_too() -> None:
    w = parameter()
    array = w.data
    for _ in range(3):
        w.grad = None
        mg.square(w).sum().backward()
        array -= 0.25 * w.grad
    assert w.numpy().tolist() == [0.125, 0.25]


def test_an_array_without_references_is_not_watched() -> None:
    w = parameter()
    w.data[0] = 3.0
    mg.square(w)
    assert w.changes is not None and w.changes.fingerprint is None


def test_the_users_array_is_copied() -> None:
    array = np.ones(2)
    w = Tensor(array, requires_grad=True)
    loss = mg.square(w).sum()
    array[0] = 9.0
    loss.backward()
    assert w.grad is not None and w.grad.tolist() == [2.0, 2.0]


def test_a_constant_operand_is_copied() -> None:
    w, array = parameter(), np.ones(2)
    loss = (w * array).sum()
    array[0] = 9.0
    loss.backward()
    assert w.grad is not None and w.grad.tolist() == [1.0, 1.0]


def test_an_index_is_copied() -> None:
    w, index = parameter(), Tensor([0, 0])
    loss = w[index].sum()
    index.data[0] = 1
    loss.backward()
    assert w.grad is not None and w.grad.tolist() == [2.0, 0.0]


def test_a_detached_tensor_has_data_of_its_own() -> None:
    w = parameter()
    y = mg.tanh(w)
    loss = y.sum()
    y.detach().data[0] = 0.0
    loss.backward()
    np.testing.assert_allclose(w.grad, 1 - np.tanh([1.0, 2.0]) ** 2)


def test_data_of_another_shape_or_kind_are_refused_and_nothing_changes() -> None:
    w = parameter()
    with pytest.raises(ValueError, match=r"<w \(2,\).*has shape \(2,\); data of shape \(3,\) can't replace it"):
        w.data = np.ones(3)
    with pytest.raises(TypeError, match="holds float64; complex128 can't replace it"):
        w.data = np.ones(2) * 1j
    assert w.numpy().tolist() == [1.0, 2.0]
    w.data = [3, 4]
    assert w.dtype == np.float64


def test_memory_that_the_assigned_array_does_not_own_is_copied() -> None:
    flat, other = np.array([1.0, 2.0, 3.0]), Tensor([1.0, 2.0, 3.0])
    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    for view in (flat[:2], flat[::2], other.data[:2], np.frombuffer(bytearray(flat[:2].tobytes())), frozen,
                 np.broadcast_to(np.array([1.0]), 2), memoryview(flat)[:2]):
        w = parameter()
        w.data = view  # type: ignore[assignment]
        expected = 2 * w.numpy()
        loss = mg.square(w).sum()
        flat += 10.0
        other.data[...] = 7.0
        loss.backward()
        np.testing.assert_array_equal(w.grad, expected)  # type: ignore[arg-type]
        w.data -= 1.0


def test_an_array_that_owns_its_memory_is_kept_and_watched() -> None:
    w, array = parameter(), np.array([1.0, 2.0])
    w.data = array
    assert w.data is array
    loss = mg.square(w).sum()
    array += 10.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_two_tensors_with_one_array_notice_each_others_changes() -> None:
    w, u = parameter(), Tensor([0.0, 0.0], requires_grad=True)
    u.data = w.data
    loss = mg.square(w).sum()
    with mg.no_grad():
        u += 1.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


def test_a_result_that_is_its_operands_array_is_a_view_of_it() -> None:
    w = parameter()
    same = mg.dropout(w, 0.5, np.random.default_rng(0), training=False)
    loss = mg.square(w).sum()
    same.data[0] = 9.0
    with pytest.raises(ValueError, match=CHANGED):
        loss.backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # NumPy discourages both
def test_a_change_of_shape_or_dtype_in_place_is_found() -> None:
    for change, value in (("dtype", np.int64), ("shape", (2, 1))):
        w = parameter()
        setattr(w.data, change, value)
        with pytest.raises(ValueError, match=r"<w \(.*its array of shape \(2,\) and type float64 was changed in place "
                                             r"to .* \(its .data was read at test_mutation.py:\d+\)"):
            mg.square(w)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_change_of_dtype_after_use_is_found_too() -> None:
    w = parameter()
    loss = (w * Tensor([2.0, 3.0], requires_grad=True)).sum()
    w.data.dtype = np.int64  # type: ignore[misc]
    with pytest.raises(ValueError, match="type float64 was changed in place to shape"):
        loss.backward()
    assert w.grad is None


@pytest.mark.parametrize("view", [lambda x: x.reshape(-1), lambda x: x.T, lambda x: x[::-1], lambda x: x.T.ravel()[1:],
                                  np.positive])
@pytest.mark.parametrize("change", ["x.data *= 2", "x.data[...] = 0", "held = x.data; held += 1", "x.data.sort()"])
def test_a_view_of_changed_data_is_noticed_where_the_pass_does_not_reach_what_it_views(change: str, view: Any) -> None:
    x = Tensor([3.0, 1.0, 2.0], requires_grad=True)
    viewed = view(x)
    w = Tensor(np.ones(viewed.shape), requires_grad=True)
    loss = (viewed * w).sum()
    np.testing.assert_array_equal(mg.grad(loss, w), viewed.numpy())
    exec(change, {"x": x})
    if "x.data *=" in change or not np.array_equal(viewed.numpy(), view(Tensor([3.0, 1.0, 2.0])).numpy()):
        with pytest.raises(ValueError, match="data was changed"):
            mg.grad(loss, w)
    later = (view(x) * w).sum()  # an operation after the change uses the new data
    np.testing.assert_array_equal(mg.grad(later, w), view(x).numpy())
