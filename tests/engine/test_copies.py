"""copy, deepcopy and pickle: a leaf's copy is an independent leaf; a recorded tensor refuses."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

COPIES = [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), lambda x: pickle.loads(pickle.dumps(x, 2))]
ROOT = Path(__file__).parents[2]


def trained(steps: int = 3) -> Tensor:
    """A parameter after training and evaluation."""
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    optimizer = mg.optim.SGD([w], lr=0.25)
    for _ in range(steps):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    (w * w).sum()
    return w


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copy_is_an_independent_leaf(duplicate: Any) -> None:
    w = trained()
    other = duplicate(w)
    assert (other.name, other.requires_grad, other.op, str(other.origin)) == ("w", True, None, str(w.origin))
    assert other.order > w.order and other.changes is None
    assert other.grad.tolist() == w.grad.tolist() and not np.shares_memory(other.grad, w.grad)
    assert not np.shares_memory(other.data, w.data)
    w.grad = other.grad = None
    (w * other).sum().backward()
    assert w.grad.tolist() == [0.125, 0.25] and other.grad.tolist() == [0.125, 0.25]
    other.data[0] = 9.0
    assert w.numpy().tolist() == [0.125, 0.25]


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_recorded_tensor_refuses(duplicate: Any) -> None:
    y = mg.tanh(trained())
    with pytest.raises(TypeError, match=r"<tanh\(w\) \(2,\).*was computed by a recorded operation.*Copy x.detach\(\)"):
        duplicate(y)
    with pytest.raises(TypeError, match="recorded operation"):
        duplicate({"h": y}) if duplicate is not copy.copy else duplicate(y)
    assert duplicate(y.detach()).numpy().tolist() == y.numpy().tolist()


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_deep_graph_refuses_without_recursion(duplicate: Any) -> None:
    y = trained()
    for _ in range(5000):
        y = y + 1.0
    with pytest.raises(TypeError, match="recorded operation"):
        duplicate(y)


def test_shared_tensors_stay_shared_in_a_deep_copy() -> None:
    w = trained()
    pair = copy.deepcopy([w, w])
    assert pair[0] is pair[1] and pair[0] is not w


@pytest.mark.parametrize("duplicate", COPIES)
def test_hooks_stay_behind_with_a_warning(duplicate: Any) -> None:
    w = trained()
    w.register_hook(print)
    with pytest.warns(UserWarning, match=r"the hook registered at test_copies.py:\d+ stays with <w \(2,\)"):
        other = duplicate(w)
    assert other.hooks is None and w.hooks is not None


class Parameter(Tensor):
    """A subclass with attributes of its own, and another signature."""

    __slots__ = ("rate",)

    def __init__(self, data: Any, rate: float) -> None:
        super().__init__(data, requires_grad=True)
        self.rate = rate


class Noted(Tensor):
    pass


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_subclass_keeps_its_attributes(duplicate: Any) -> None:
    slotted, noted = Parameter([1.0], 0.5), Noted([1.0])
    noted.note = "kept"
    for x in (slotted, noted):
        assert type(duplicate(x)) is type(x)
    assert duplicate(slotted).rate == 0.5 and duplicate(noted).note == "kept"


def test_an_optimiser_and_its_parameters_are_copied_together() -> None:
    w = trained()
    optimizer = mg.optim.Adam([w])
    other, twin = copy.deepcopy((optimizer, w))
    assert other.parameters[0] is twin
    (twin * twin).sum().backward()
    other.step()
    assert w.numpy().tolist() == [0.125, 0.25] != twin.numpy().tolist()


LOAD = """
import pickle, sys
import minigrad as mg
w = pickle.loads(bytes.fromhex(sys.argv[1]))
w.grad = None
loss = (w * w).sum() + (mg.exp(w) * 2).sum()
loss.backward()
print(w.grad.tolist())
"""


def test_a_trained_parameter_is_used_in_another_process() -> None:
    for _ in range(50):
        mg.tanh(trained(1))  # the other process's order begins anew, and is smaller
    done = subprocess.run([sys.executable, "-c", LOAD, pickle.dumps(trained()).hex()], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    expected = 2 * np.array([0.125, 0.25]) + 2 * np.exp([0.125, 0.25])
    np.testing.assert_allclose(np.array(eval(done.stdout)), expected)


def halved(w: Tensor) -> Tensor:
    with mg.no_grad():
        w *= 0.5
    return w


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_receive_and_return_leaves(method: str) -> None:
    w = trained()
    w.grad = None
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(halved, [w, w, w])
    assert len({x.order for x in results}) == 3
    sum((x * x * w).sum() for x in results).backward()  # type: ignore[union-attr]
    for x in results:
        np.testing.assert_allclose(x.grad, 2 * np.array([0.0625, 0.125]) * np.array([0.125, 0.25]))
    np.testing.assert_allclose(w.grad, 3 * np.array([0.0625, 0.125]) ** 2)
