"""The examples and their topics, from the folders and the docstrings in them; no example is run.

A topic is a folder with an `__init__.py`, whose docstring has a title, a colon, a subtitle and a paragraph. An example
is a file whose docstring has a command.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

from examples import TOPICS

FOLDER = Path(__file__).parent
FIRST = """First steps: one equation, its graph and its gradients.

Short programs without a task to learn, and the tour, which has one. Start here.
"""


class Example(NamedTuple):
    """An example as its docstring describes it."""

    file: Path
    text: str  # the docstring

    @property
    def name(self) -> str:
        """Return the name by which it is run."""
        return self.file.stem

    @property
    def summary(self) -> str:
        """Return the first line."""
        return self.text.splitlines()[0]

    @property
    def time(self) -> str:
        """Return how long it takes, such as "30 s"; empty where the docstring doesn't say it."""
        found = re.search(r"\bTime: (\d+ s)\b", self.text)
        return found[1] if found else ""

    @property
    def picture(self) -> str:
        """Return the file that it draws for its page, such as "loss.png"; empty where the docstring names none."""
        found = re.search(r"\bPicture: ([\w/]+\.(?:png|svg))", self.text)
        return found[1] if found else ""


class Topic(NamedTuple):
    """A folder of examples, in alphabetical order."""

    name: str  # of the folder; first_steps for the examples that are in none
    text: str  # the docstring of its __init__.py
    examples: list[Example]

    @property
    def title(self) -> str:
        """Return the title, without the subtitle."""
        return self.text.splitlines()[0].partition(":")[0]


def docstring(file: Path) -> str:
    """Return the docstring of a file, which isn't run."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def examples_in(folder: Path) -> list[Example]:
    """Return the examples in a folder: files whose docstring contains a command."""
    found = [Example(file, docstring(file)) for file in sorted(folder.glob("[!_]*.py"))]
    return [example for example in found if "    python -m " in example.text]


def topics() -> list[Topic]:
    """Return all topics that have examples, the first steps first."""
    found = [Topic("first_steps", FIRST, examples_in(FOLDER)),
             *(Topic(folder.name, docstring(folder / "__init__.py"), examples_in(folder)) for folder in TOPICS)]
    return [topic for topic in found if topic.examples]


def examples() -> list[Example]:
    """Return all examples, topic by topic."""
    return [example for topic in topics() for example in topic.examples]
