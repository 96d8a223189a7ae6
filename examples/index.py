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
INDENT = "    "
COMMAND = f"{INDENT}python -m "
NOTES = re.compile(r"\s*\bPicture: \S+\.(?=\s|$)|\s*\bTime: [^.]*\.")
CLAIMS = ("Claimed:", "Not claimed:")  # how the paragraph about them begins
FIRST_STEPS = "first_steps"  # the topic of the examples that are in no folder
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
    def topic(self) -> str:
        """Return the name of its topic."""
        return FIRST_STEPS if self.file.parent == FOLDER else self.file.parent.name

    @property
    def summary(self) -> str:
        """Return the first line."""
        return self.text.splitlines()[0]

    @property
    def command(self) -> str:
        """Return the command, with its options in brackets."""
        return next(line.strip() for line in self.text.splitlines() if line.startswith(COMMAND))

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

    @property
    def stored(self) -> Path:
        """Return where that picture of a full run is kept: draw_pictures.py makes it."""
        return FOLDER / "pictures" / self.topic / f"{self.name}{Path(self.picture).suffix}"

    @property
    def about(self) -> list[str]:
        """Return its first paragraph, with the formulas before it, and what after it belongs to its sentence."""
        found: list[str] = []
        for block in self._blocks():
            if any(not text.startswith(INDENT) for text in found) and not _goes_on(found[-1], block):
                break
            found.append(block)
        return found

    @property
    def claims(self) -> list[str]:
        """Return the paragraphs that say which results are claimed, and which are not."""
        return [block for block in self._blocks() if block.startswith(CLAIMS)]

    @property
    def measured(self) -> str:
        """Return the paragraph about its threshold and its results; empty where there is none."""
        return next((block for block in self._blocks() if block.startswith(("Threshold", "Measured"))), "")

    def _blocks(self) -> list[str]:
        """Return the paragraphs and formulas after the command, without the names of the picture and the time."""
        text = NOTES.sub("", self.text[self.text.index(COMMAND):].partition("\n\n")[2])
        return [block for block in text.split("\n\n") if block.strip()]


def _goes_on(before: str, block: str) -> bool:
    """Return whether a sentence goes on in a formula, or after one: in lower case, or with its source in brackets."""
    if block.startswith(INDENT):
        return not before.endswith(".")
    return before.startswith(INDENT) and (block[0].islower() or block[0] == "(")


class Topic(NamedTuple):
    """A folder of examples, in alphabetical order."""

    name: str  # of the folder
    text: str  # the docstring of its __init__.py
    examples: list[Example]

    @property
    def title(self) -> str:
        """Return the title, without the subtitle."""
        return self.text.splitlines()[0].partition(":")[0]

    @property
    def about(self) -> str:
        """Return the paragraph below the title."""
        return self.text.partition("\n\n")[2].strip()


def docstring(file: Path) -> str:
    """Return the docstring of a file, which isn't run."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def examples_in(folder: Path) -> list[Example]:
    """Return the examples in a folder: files whose docstring contains a command."""
    found = [Example(file, docstring(file)) for file in sorted(folder.glob("[!_]*.py"))]
    return [example for example in found if COMMAND in example.text]


def topics() -> list[Topic]:
    """Return all topics, the first steps first."""
    return [Topic(FIRST_STEPS, FIRST, examples_in(FOLDER)),
            *(Topic(folder.name, docstring(folder / "__init__.py"), examples_in(folder)) for folder in TOPICS)]


def examples() -> list[Example]:
    """Return all examples, topic by topic."""
    return [example for topic in topics() for example in topic.examples]
