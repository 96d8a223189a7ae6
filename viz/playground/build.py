"""The site of the playground, built from this folder: the page, our packages, the editor, Graphviz and Pyodide.

npm installs CodeMirror, Graphviz as WebAssembly and esbuild, which makes one module of each; the lock file pins them.
"""

from __future__ import annotations

import hashlib
import html
import importlib.metadata
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import graphviz

import minigrad
import rnn
import viz

from . import kits
from .examples import TITLES

HERE = Path(__file__).parent
EXAMPLES = HERE / "examples"
SITE = HERE / "site"  # files that the site has as they are, but for two
COMPLETED = ("index.html", "service.js")
NPM = HERE / "npm"
MODULES = ("codemirror.js", "graphviz.js")  # that npm builds
PYODIDE = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"  # the address that Pyodide's documentation gives
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
PACKAGES = (minigrad, rnn, viz, graphviz)
UNUSED = ("minigrad/debugger/vscode", "viz/playground/site", "viz/playground/npm", "viz/playground/build.py",
          "viz/playground/kits.py")
DATE = (2020, 1, 1, 0, 0, 0)  # of files in the archive, which depends on their contents alone
# Style attributes are allowed, style elements aren't: Chromium itself writes attributes while it edits text.
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{host}; worker-src 'self' blob:; "
          "connect-src 'self'{host}; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' blob: data:; "
          "base-uri 'none'; form-action 'none'")
INSIDE = """\
@viz-js/viz contains Graphviz, under the Eclipse Public License (https://graphviz.org/license/), and Expat, under the
MIT licence (https://github.com/libexpat/libexpat). Pyodide is under the Mozilla Public License 2.0
(https://github.com/pyodide/pyodide), and contains Python, under the PSF licence (https://docs.python.org/3/license.html).
NumPy is under the BSD licence (https://numpy.org/doc/stable/license.html)."""


class BuildError(Exception):
    """The site can't be built; the message is one line."""


def build(out: Path, pyodide: str = PYODIDE, courses: Sequence[Path] = ()) -> None:
    """Write the site into a folder, which is made; files of an older site are replaced.

    Args:
        out: the folder.
        pyodide: the address of a Pyodide release, or a folder that holds one, which is copied.
        courses: students' kits, or folders of them, whose assignments the site offers.

    Raises:
        BuildError: without npm, or if it fails; for a folder that holds no Pyodide with NumPy.
        KitError: for an archive that is no students' kit.
    """
    assignments = kits.read_kits(courses, {name: path for path, name in package_files()})
    remote = "://" in pyodide
    files = [] if remote else pyodide_files(Path(pyodide))
    out.mkdir(parents=True, exist_ok=True)
    kept = kits.write_kits(assignments, out)
    kept += build_modules(out, {kit.name: kit.task for kit in assignments})
    for file in files:
        (out / "pyodide").mkdir(exist_ok=True)
        shutil.copyfile(file, out / "pyodide" / file.name)
    (out / "packages.zip").write_bytes(archive())
    address = pyodide.rstrip("/") + "/" if remote else "pyodide/"
    for name in site_files():
        if name not in COMPLETED:
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(SITE / name, out / name)
    (out / "index.html").write_text(page(address, assignments), encoding="utf-8", newline="\n")
    (out / "service.js").write_text(service(out, address, kept), encoding="utf-8", newline="\n")


def page(pyodide: str, assignments: Sequence[kits.Kit] = ()) -> str:
    """Return the page, with the programs of its menu, its assignments and the address of Pyodide."""
    host = urlsplit(pyodide).netloc
    policy = POLICY.format(host=f" {urlsplit(pyodide).scheme}://{host}" if host else "")
    examples = [{"name": name, "title": title, "source": (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")}
                for name, title in TITLES.items()]
    data = json.dumps({"pyodide": pyodide, "packages": "packages.zip", "version": minigrad.__version__,
                       "examples": examples, "assignments": [kit.described() for kit in assignments]})
    data = data.replace("<", "\\u003c")
    text = (SITE / "index.html").read_text(encoding="utf-8")
    return text.replace("%%POLICY%%", html.escape(policy)).replace("%%DATA%%", data)


def site_files() -> list[str]:
    """Return the names of the files that the site has of this folder, such as "views/pictures.js"."""
    return sorted(file.relative_to(SITE).as_posix() for file in SITE.rglob("*") if file.is_file())


def service(out: Path, pyodide: str, others: Sequence[str] = ()) -> str:
    """Return the script that keeps the files of a site; it is another one when one of them has changed."""
    names = sorted({*site_files()} - {"service.js"} | {*MODULES, "packages.zip", "licences.txt", *others})
    digest = hashlib.sha256(b"".join((out / name).read_bytes() for name in names)).hexdigest()
    kept = json.dumps({"version": digest[:16], "files": ["./", *names], "pyodide": pyodide})
    return (SITE / "service.js").read_text(encoding="utf-8").replace("%%KEPT%%", kept)


def archive() -> bytes:
    """Return our packages and graphviz as a zip archive, as they are where this program runs."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
            for path, name in package_files():
                info = zipfile.ZipInfo(name, DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                zipped.writestr(info, path.read_bytes())
        file.seek(0)
        return file.read()


def package_files() -> Iterator[tuple[Path, str]]:
    """Yield the files of the packages that the page needs, with their names in the archive."""
    for package in PACKAGES:
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder.parent).as_posix()
            if path.is_file() and path.suffix != ".pyc" and not name.startswith(UNUSED):
                yield path, name


# ---- Pyodide
def pyodide_files(folder: Path) -> list[Path]:
    """Return the files of a Pyodide release that the page needs: the core, and NumPy with what it depends on.

    Raises:
        BuildError: if one is missing, or a package isn't that of the release.
    """
    missing = [name for name in CORE if not (folder / name).is_file()]
    if missing:
        raise BuildError(f"{folder} holds no Pyodide: {', '.join(missing)} missing. Unpack a release of Pyodide there, "
                         "or give its address")
    packages: dict[str, Any] = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = ["numpy"]
    for name in wanted:  # which grows
        if name not in packages:
            raise BuildError(f"{folder} holds a Pyodide without the package {name}: take a full release, not the core")
        wanted += [other for other in packages[name]["depends"] if other not in wanted]
    return [folder / name for name in CORE] + [checked(folder / packages[name]["file_name"], packages[name]["sha256"])
                                               for name in wanted]


def checked(file: Path, digest: str) -> Path:
    """Return a file that has a SHA-256 sum."""
    if not file.is_file():
        raise BuildError(f"{file} is missing: take a full release of Pyodide, not the core")
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise BuildError(f"{file} is not the file that pyodide-lock.json names: its SHA-256 sum differs")
    return file


# ---- npm
def build_modules(out: Path, tasks: Mapping[str, str]) -> list[str]:
    """Install the editor and Graphviz by npm in a folder that is removed again; write one module of each.

    Returns:
        The names of the pages that were made of tasks, by name in Markdown.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in NPM.iterdir():
            shutil.copyfile(file, folder / file.name)
        npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        npm(folder, "run", "build", "--silent")
        for module in MODULES:
            shutil.copyfile(folder / "built" / module, out / module)
        (out / "licences.txt").write_text("\n\n".join(licences(folder)), encoding="utf-8", newline="\n")
        for name, text in tasks.items():
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
        if tasks:
            npm(folder, "run", "tasks", "--silent")
        pages = [f"{kits.FOLDER}/{name}.html" for name in tasks]
        for page in pages:
            shutil.copyfile(folder / Path(page).name, out / page)
    return pages


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder."""
    program = shutil.which("npm")
    if program is None:
        raise BuildError("the site is built by npm, which isn't installed: it comes with Node.js, version 18 or newer")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())
        raise BuildError(f"npm {arguments[0]} failed: {words[:500] or f'exit code {done.returncode}'}")


def licences(folder: Path) -> Iterator[str]:
    """Yield the licence of each package of which something is in the site."""
    yield f"This site contains the following.\n\n{INSIDE}"
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for place, facts in locked.items():
        if place and not facts.get("dev"):
            name = place.removeprefix("node_modules/")
            title = f"{name} {facts['version']}, {facts.get('license', 'no licence named')}"
            texts = [file.read_text(encoding="utf-8") for file in sorted((folder / place).glob("LICEN[CS]E*"))]
            yield "\n\n".join([f"---- {title}", *texts])
    found = importlib.metadata.distribution("graphviz")
    texts = [text for file in found.files or () if "LICENSE" in file.name.upper() and (text := found.read_text(
        str(file.relative_to(file.parts[0]))))]
    yield "\n\n".join([f"---- graphviz {found.version} (Python), MIT", *texts])
