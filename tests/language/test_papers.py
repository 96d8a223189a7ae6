"""Recurrences as their papers write them, by rnn and by NumPy: values and gradients, unrolled and compiled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from papers import PAPERS
from shapes import failures


@pytest.mark.parametrize("name", PAPERS)
def test_a_system_means_in_equations_what_it_means_in_numpy(name: str) -> None:
    assert failures(PAPERS[name], ("compile",)) == []


@pytest.mark.parametrize("name", ["Mamba-2 (Dao and Gu 2024)", "additive attention (Bahdanau 2015, A.1.2)"])
def test_with_unequal_lengths(name: str) -> None:
    assert failures(replace(PAPERS[name], lengths=[2, 4, 1]), ("compile",)) == []
