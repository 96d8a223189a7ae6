"""Students' kits of a course in the site: the page opens their assignments and checks them.

A kit is a zip archive. The playground knows nothing of the course but this form:

- `assignment.json`, at its top or in the one folder that is there: `name`, of letters, digits, "_" and "-"; `title`,
  for the menu; `task`, in Markdown with TeX between dollars; `file`, the name of a file beside `assignment.json`, which
  opens in the editor, and of the file that is handed in; `check`, a function of the archive, as
  "package.module:function".
- The page calls `function(name, file, source)` in a Python that has minigrad, rnn, viz and the kit, and that it then
  ends. The function returns a report, of values that JSON has: `head`, its first line; `checks`; `foot`, its last
  lines, of which the last has the points. A check has `passed`; `head`, its line; `said`, lines of explanation;
  `lines`, those of the file: `{"text": of the link, "line": number, "wrong": whether it is marked}`; and `picture`:
  None, or `dot`, `engine` (Graphviz's), `title` and `alt`.

The kit's own copy of minigrad, rnn and viz is left out, as the site has them; it must be the same.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .compiling import zipped

FACTS = "assignment.json"
WORDS = ("name", "title", "task", "file", "check")  # of that file
FOLDER = "kits"  # of the site


class KitError(Exception):
    """A kit can't be used; the message is one line."""


@dataclass(frozen=True)
class Kit:
    """A kit: what its `assignment.json` says, and its files but for those of packages that the site has."""

    name: str
    title: str
    task: str
    file: str
    check: str
    files: Mapping[str, bytes]

    def described(self) -> dict[str, str]:
        """Return what the page's menu and editor need."""
        source = self.files[self.file].decode("utf-8")
        return {"name": self.name, "title": self.title, "file": self.file, "check": self.check, "source": source}

    def archive(self) -> bytes:
        """Return the files as a zip archive."""
        return zipped(self.files.items())


def read_kits(places: Iterable[Path], packages: Mapping[str, Path]) -> list[Kit]:
    """Read kits, in the order of their names.

    Args:
        places: zip archives, and folders of them.
        packages: the files of the site's packages, by their names in its archive.

    Raises:
        KitError: for a place without kits, an archive that is none, two of one name, and a kit of another version.
    """
    found: dict[str, Kit] = {}
    for place in places:
        archives = sorted(place.glob("*.zip")) if place.is_dir() else [place]
        if not archives:
            raise KitError(f"{place} holds no zip archive")
        for path in archives:
            kit = read_kit(path, packages)
            if kit.name in found:
                raise KitError(f"{path} is another kit of the assignment {kit.name}: give one of each")
            found[kit.name] = kit
    return [found[name] for name in sorted(found)]


def read_kit(path: Path, packages: Mapping[str, Path]) -> Kit:
    """Read one kit.

    Raises:
        KitError: where it is none, or of another version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = without_top({name: archive.read(name) for name in archive.namelist() if not name.endswith("/")})
        if FACTS not in files:
            raise KitError(f"{path} is no students' kit of one assignment: there is no {FACTS} in it. An archive for "
                           "graders holds solutions, and must not be in the site")
        facts = json.loads(files[FACTS].decode("utf-8"))
        known = {word: str(facts[word]) for word in WORDS}
        files[known["file"]].decode("utf-8")
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path} can't be read as a students' kit: {type(error).__name__}: {error}") from None
    if not re.fullmatch(r"[\w-]+", known["name"], re.ASCII):
        raise KitError(f"{path} names its assignment {known['name']!r}: only letters, digits, _ and - are possible")
    other = [name for name, file in packages.items() if name in files and files[name] != file.read_bytes()]
    if other:
        raise KitError(f"{path} was made by another version of this project, with another {other[0]}: make it anew")
    tops = {name.partition("/")[0] for name in packages}
    return Kit(**known, files={name: content for name, content in files.items() if name.partition("/")[0] not in tops})


def without_top(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files by their names in the archive's top folder, where all are in one."""
    tops = {name.partition("/")[0] for name in files}
    return {name.partition("/")[2]: content for name, content in files.items()} if len(tops) == 1 else files


def write_kits(kits: Iterable[Kit], out: Path) -> list[str]:
    """Write the kits into the site's folder, in the place of an older site's; return the names of the files."""
    folder = out / FOLDER
    for file in [*folder.glob("*.zip"), *folder.glob("*.html")]:
        file.unlink()
    names = []
    for kit in kits:
        folder.mkdir(exist_ok=True)
        (folder / f"{kit.name}.zip").write_bytes(kit.archive())
        names.append(f"{FOLDER}/{kit.name}.zip")
    return names
