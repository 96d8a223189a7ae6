"""A plugin of pytest: `python -m pytest -p all_numba FILES` compiles every program by the backend "numba".

It leaves out tests of what the NumPy program alone has.
"""

from __future__ import annotations

import pytest

from rnn import Cell

Cell.compile.__defaults__ = (None, "sum", "numba")  # no frame of its own: messages name the line of the test
LEFT_OUT = {  # a test's name -> why
    "test_gates_are_one_product_and_one_tanh_in_a_loop_and_nothing_else_is_multiplied_there": "lines of the loop",
    "test_without_a_loss_the_backward_pass_begins_at_what_no_equation_reads": "the last lines of the text",
    "test_the_text_has_the_equations_and_the_definitions_names": "lines of the loop",
    "test_an_error_of_floating_point_has_a_note_with_the_signal_and_its_line": "np.errstate",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect these tests."""
    left_out = [item for item in items if getattr(item, "originalname", item.name) in LEFT_OUT]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
