"""Tensors know their run, without keeping it in memory; gradients by run end where another run begins."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, Run, t
from rnn.unrolling.run_key import copied_from, run_key


def recurrence(rng: np.random.Generator, name: str = "cell") -> Cell:
    cell = Cell(name)
    x, h = cell.input("x", 3), cell.signal("h", 3)
    W, U = (mg.init.glorot((3, 3), rng, name=letter) for letter in "WU")
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    return cell


def chunks(rng: np.random.Generator, between: Any = lambda h: h) -> tuple[Run, Run, mg.Tensor]:
    cell = recurrence(rng)
    data = rng.normal(size=(2, 4, 5, 3))
    first = cell.unroll(x=data[0])
    second = cell.unroll(x=data[1], initial={"h": between(first["h"][4])})
    return first, second, np.square(second["h"].stack()).sum() + first["h"][2].sum()


def test_every_tensor_of_a_run_has_its_key_and_no_other() -> None:
    first, second, loss = chunks(np.random.default_rng(0))
    for run in (first, second):
        assert all(run_key(copy) is run.key for name in "xh" for copy in run[name].tensors.values())
        assert all(run_key(x) is run.key for x in run["h"][2].inputs[0].inputs if x.op is not None)
    assert first.key is not second.key and first.key.name == "cell"
    assert run_key(loss) is None and run_key(first.parameters["W"]) is None


def test_a_detached_copy_tells_the_run_of_the_original() -> None:
    first, _, _ = chunks(np.random.default_rng(0))
    detached = first["h"][3].detach()
    assert run_key(detached) is first.key and (detached.signal, detached.t) == ("h", 3)
    second = recurrence(np.random.default_rng(1)).unroll(x=np.ones((2, 5, 3)), initial=first.state.detach())
    assert run_key(second["h"][0]) is second.key and copied_from(second["h"][0]) == (first.key, "h", 4)
    assert copied_from(first["h"][0]) is None


def test_a_tensor_does_not_keep_its_run() -> None:
    run = recurrence(np.random.default_rng(0)).unroll(x=np.ones((2, 5, 3)))
    kept, gone = run["h"][2], weakref.ref(run)
    del run
    gc.collect()
    assert gone() is None and kept.t == 2


@pytest.mark.parametrize("between", [lambda h: h, lambda h: np.tanh(h * 2.0)])
def test_the_contributions_of_two_chunks_add_up_to_the_gradient(between: Any) -> None:
    first, second, loss = chunks(np.random.default_rng(0), between)
    loss.backward()
    for name, parameter in first.parameters.items():
        parts = [run.contributions(name).sum(axis=0) for run in (first, second)]
        np.testing.assert_allclose(parts[0] + parts[1], parameter.grad, rtol=1e-12)
        assert not np.allclose(parts[1], parameter.grad)


def test_a_decoder_has_contributions_of_its_own() -> None:
    rng = np.random.default_rng(0)
    encoder = recurrence(rng, "encoder").unroll(x=rng.normal(size=(4, 5, 3)))
    cell = Cell("decoder")
    s = cell.signal("s", 3)
    s[t] = np.tanh(mg.init.orthogonal((3, 3), rng, name="S") @ s[t-1])
    decoder = cell.unroll(T=3, initial={"s": encoder["h"][4]})
    np.square(decoder["s"].stack()).sum().backward()
    np.testing.assert_allclose(decoder.contributions("S").sum(axis=0), decoder.parameters["S"].grad, rtol=1e-12)
