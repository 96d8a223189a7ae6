"""A plugin of pytest: `python -m pytest -p all_numba` compiles every program by the backend "numba"."""

from rnn import Cell

Cell.compile.__defaults__ = (None, "sum", "numba")  # no frame of its own: messages name the line of the test
