"""The graph of any tensor."""

from __future__ import annotations

import re
from typing import Any

import pytest

import minigrad as mg
import viz


def test_a_graph_shows_what_is_asked_for() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    assert r'label="x\n(2,)\n|g| 4.5e+00"' in viz.graph(y).source
    assert r'label="x\n1, 2"' in viz.graph(y, ["data", "name"]).source
    assert re.search(r'label="⊙\\ntest_graph\.py:\d+"', viz.graph(y, ["operation", "line"]).source)
    assert 'label="5"' in viz.graph(y, ["data"]).source and "·" in viz.graph(y, []).source


@pytest.mark.parametrize("show", ["name", ["colour"]])
def test_a_graph_can_t_show_everything(show: Any) -> None:
    with pytest.raises(ValueError, match=r"can't be shown\. Choose some of 'name', 'operation', 'shape', 'data'"):
        viz.graph(mg.Tensor(1.0), show)


def test_the_size_of_a_graph_is_guarded_as_asked() -> None:
    x = y = mg.Tensor(1.0, requires_grad=True)
    for _ in range(30):
        y = y + x
    with pytest.raises(ValueError, match="more than 10 tensors"):
        viz.graph(y, most=10)
