"""Settings for all tests, and the choice of those that run by default.

`python -m pytest` runs what is not marked below: a change is checked in two minutes. Files and folders named
on the command line run whole, but for slow tests; `-m` chooses among all. .ci/run runs everything.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded; see examples/__init__.py
pytest.register_assert_rewrite("definitions", "drawings", "exports", "random_graphs", "sessions")  # before imports

TESTS = Path(__file__).parent
MARKS = {  # a file or folder of tests -> its marker
    "course": "course",
    "export": "exports",
    "graders": "graders",
    "viz/test_page_in_browser.py": "browser",
    "viz/test_page_sizes_in_browser.py": "browser",
    "viz/test_page_state_in_browser.py": "browser",
    "viz/test_playground_assignments_in_browser.py": "playground",
    "viz/test_playground_editor_in_browser.py": "playground",
    "viz/test_playground_in_browser.py": "playground",
    "viz/test_playground_loading_in_browser.py": "playground",
    "viz/test_playground_own_programs_in_browser.py": "playground",
    "viz/test_playground_views_in_browser.py": "playground",
    "vscode": "vscode",
    "examples/test_agreement.py": "examples",
    "examples/test_captions.py": "examples",
    "examples/test_docs_site.py": "docs",
    "examples/test_examples.py": "examples",
    "examples/test_known_results.py": "examples",
    "examples/test_outgrown.py": "examples",
    "examples/test_small_runs.py": "examples",
    "examples/test_speech.py": "examples",
    "examples/test_stored_pictures.py": "examples",
    "examples/test_tour.py": "examples",
    "examples/test_trained_networks.py": "examples",
    "interactive/test_notebook.py": "notebook",
}
MOST_WORKERS = 4  # each collects all tests first


@functools.cache  # there are a hundred tests to a file
def marks_of(path: Path) -> list[str]:
    """Return the markers of a file or folder of tests."""
    return [mark for place, mark in MARKS.items() if path.is_relative_to(TESTS / place)]


@functools.cache
def by_default(config: pytest.Config) -> bool:
    """Return True if the command line chooses no tests."""
    return not config.option.markexpr and all(Path(argument).resolve() == TESTS for argument in config.args)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that don't run by default: reading them takes seconds, in each process."""
    return True if by_default(config) and marks_of(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their file, and deselect slow ones unless -m chooses."""
    for item in items:
        for mark in marks_of(item.path):
            item.add_marker(mark)
    if config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of processes of `-n auto`: a few, because starting one costs seconds of CPU time."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_WORKERS)


@pytest.fixture(autouse=True)
def trace_function() -> Iterator[None]:
    """Put back the trace function that a debugger under test replaces: coverage.py needs it for the other tests."""
    before = sys.gettrace()
    yield
    if sys.gettrace() is not before:
        sys.settrace(before)
