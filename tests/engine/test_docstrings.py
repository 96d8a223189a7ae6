"""What the reference says of functions of arrays, which is their docstrings."""

from __future__ import annotations

import inspect
import re

import pytest

from minigrad import functions, init, losses

SHAPE = re.compile(r"\b(?:shapes?|elements?|ax[ie]s)\b|\(\.\.\.")


@pytest.mark.parametrize("name", functions.__all__)
def test_a_function_says_on_which_shapes_it_works(name: str) -> None:
    assert SHAPE.search(inspect.getdoc(getattr(functions, name)) or "")


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "cross_entropy", "binary_cross_entropy"])
def test_a_loss_says_its_shapes_and_errors(name: str) -> None:
    text = inspect.getdoc(getattr(losses, name)) or ""
    assert SHAPE.search(text) and "Error" in text


def test_initial_values_say_their_shapes_and_errors_once_for_all() -> None:
    assert SHAPE.search(init.__doc__ or "") and "TypeError" in (init.__doc__ or "")
