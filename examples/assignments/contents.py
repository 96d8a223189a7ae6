"""The files of what leaves the teacher's machine: the kit for students, and the checker for graders."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO

from . import kit, make
from .check import NAMES, parts
from .sandbox import HERE, ROOT

# Of no use to graders.
TEACHERS = ("guides", "mutants", "template", "make.py", "bundle.py", "contents.py", "graders.py", "students.md")
# What isn't for students: the solutions, lists of mistakes, the hidden checks, the teacher's page.
CLOSED = (*TEACHERS, "checks", "teacher.py", "isolation.py", "enter.sh", "sweep.py", "README.md")
PACKAGES = ("minigrad", "rnn", "viz", "examples/assignments")


def files(names: Collection[str], without: Sequence[str] = TEACHERS) -> Iterator[Path]:
    """Return the files that the checker of these assignments needs, relative to the project's root."""
    yield Path("examples/__init__.py")
    others = {f"{other}{ending}" for other in NAMES if other not in names for ending in (".py", "_source.py")}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT)
            course = package == "examples/assignments"
            if path.is_file() and "__pycache__" not in inside.parts and not (
                    course and ({*without} & {*inside.parts} or path.name in others)):
                yield inside


def write_students(name: str, out: Path | IO[bytes], variant: int = 0) -> None:
    """Write the kit of one assignment for students, in a folder of its own."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, data in kit_files([name], variant).items():
            add(archive, f"{name}_kit/{inside}", data, 0o644)


def write_course(out: Path, variant: int = 0) -> None:
    """Write one kit with all assignments."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, data in kit_files(NAMES, variant).items():
            add(archive, f"{out.stem}/{inside}", data, 0o644)


def kit_files(names: Collection[str], variant: int = 0) -> dict[str, bytes]:
    """Return a kit's files: the handouts, and the project with the checks as data instead of the solutions."""
    first, *others = sorted(names)
    title = f"Assignments {first} to {others[-1]}\n\nIn the commands {first} stands for each." if others else \
        f"Assignment {first}"
    students = (HERE / "students.md").read_text(encoding="utf-8").replace("TITLE", title).replace("NAME", first)
    kit_name = f"{first}_kit" if len(names) == 1 else "course_kit"
    texts = {"README.md": students}
    for name in names:
        stub, checks = make.stub(make.source(name, variant)), parts(name, variant)
        texts |= {f"{name}.py": stub, f"{name}.ipynb": json.dumps(make.notebook(stub, name, kit_name), indent=1) + "\n",
                  f"examples/assignments/kit_data/{name}.json": kit.text(name, checks)}
        if len(names) == 1:
            texts["assignment.json"] = facts(name, stub, checks[0].title)
        texts |= {page: (ROOT / page).read_text(encoding="utf-8") for page in re.findall(r"\bdocs/\w+\.md", stub)}
    paths = [*map(Path, ("LICENSE", "pyproject.toml")), *files(names, CLOSED)]
    return {**{inside: text.encode() for inside, text in texts.items()},
            **{path.as_posix(): (ROOT / path).read_bytes() for path in paths if not path.name.endswith("_source.py")}}


def facts(name: str, stub: str, title: str) -> str:
    """Return `assignment.json` of a kit: viz/playground/kits.py describes it."""
    return json.dumps({"name": name, "title": f"{name}: {title}", "task": make.task(stub), "file": f"{name}.py",
                       "check": "examples.assignments.in_page:check"}, indent=1, ensure_ascii=False) + "\n"


def add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name)  # its date is 1980: no clock in it
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)
