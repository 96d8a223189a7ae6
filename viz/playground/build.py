"""The site of the playground, built from this folder: the page, our packages, the editor, Graphviz and Pyodide.

npm installs CodeMirror, Graphviz as WebAssembly and esbuild, which makes one module of each; the lock file pins them.
Node.js runs the release of Pyodide, which compiles the Python modules that a page needs at its start.
"""

from __future__ import annotations

import hashlib
import html
import importlib.metadata
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import graphviz

import minigrad
import rnn
import viz
from viz.stepper_page import page as stepper_page

from . import kits
from .compiling import zipped
from .examples import TITLES
from .release import LIBRARY, NEEDS, PYODIDE, BuildError, Unreachable, download, pyodide_files, version_of

HERE = Path(__file__).parent
EXAMPLES = HERE / "examples"
SITE = HERE / "site"  # files that the site has as they are, but for two
COMPLETED = ("index.html", "service.js")
NPM = HERE / "npm"
MODULES = ("codemirror.js", "graphviz.js")  # that npm builds
COMPILER = "compile.cjs"
COMPILED = {"standard": "library.zip", "packages": "compiled.zip"}
PACKAGES = (minigrad, rnn, viz, graphviz)
UNUSED = ("minigrad/debugger/vscode", "viz/playground/site", "viz/playground/npm", "viz/playground/build.py",
          "viz/playground/release.py", "viz/playground/kits.py")
# Style attributes are allowed, style elements aren't: Chromium itself writes attributes while it edits text.
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{host}; worker-src 'self' blob:; "
          "connect-src 'self'{host}; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' blob: data:; "
          "frame-src 'self'; base-uri 'none'; form-action 'none'")
INSIDE = """\
@viz-js/viz contains Graphviz, under the Eclipse Public License (https://graphviz.org/license/), and Expat, under the
MIT licence (https://github.com/libexpat/libexpat). Pyodide is under the Mozilla Public License 2.0
(https://github.com/pyodide/pyodide), and contains Python, under the PSF licence (https://docs.python.org/3/license.html).
NumPy is under the BSD licence (https://numpy.org/doc/stable/license.html)."""


def build(out: Path, pyodide: str = PYODIDE, courses: Sequence[Path] = ()) -> str | None:
    """Write the site into a folder, which is made; files of an older site are replaced.

    Args:
        out: the folder.
        pyodide: the address of a Pyodide release, or a folder that holds one, which is copied.
        courses: students' kits, or folders of them, whose assignments the site offers.

    Returns:
        a note, if the address couldn't be reached: without the release the site loads more slowly.

    Raises:
        BuildError: without npm, or if it fails; for a folder or an address that holds no Pyodide with NumPy, or too
            old a one.
        KitError: for an archive that is no students' kit.
    """
    assignments = kits.read_kits(courses, {name: path for path, name in package_files()})
    out = out.resolve()  # Node.js runs in another folder
    remote, note = "://" in pyodide, None
    with tempfile.TemporaryDirectory() as folder:
        try:
            release = download(pyodide, Path(folder)) if remote else pyodide_files(Path(pyodide).resolve())
        except Unreachable as error:
            release = []
            note = f"{error}: the site is complete, but loads more slowly, as its Python isn't compiled in advance"
        out.mkdir(parents=True, exist_ok=True)
        kept = kits.write_kits(assignments, out)
        kept += build_modules(out, {kit.name: kit.task for kit in assignments})
        (out / "packages.zip").write_bytes(archive())
        compiled = compile_python(out, release)
        copy_release(out / "pyodide", [] if remote else release)
    write_site(out, pyodide.rstrip("/") + "/" if remote else "pyodide/", compiled, assignments, kept)
    return note


def copy_release(folder: Path, files: list[Path]) -> None:
    """Copy the files of a release into a new folder, which isn't made without files."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in files:
        if file.name != LIBRARY:  # the compiled one serves
            folder.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / file.name)


def write_site(out: Path, pyodide: str, compiled: str | None, assignments: Sequence[kits.Kit] = (),
               kept: Sequence[str] = ()) -> None:
    """Write the page and the scripts; for the arguments see `page()` and `service()`."""
    for name in site_files():
        if name not in COMPLETED:
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(SITE / name, out / name)
    for name, text in stepper().items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    (out / "index.html").write_text(page(pyodide, compiled, assignments), encoding="utf-8", newline="\n")
    (out / "service.js").write_text(service(out, pyodide, kept), encoding="utf-8", newline="\n")


def page(pyodide: str, compiled: str | None = None, assignments: Sequence[kits.Kit] = ()) -> str:
    """Return the page, with the programs of its menu, its assignments and the address of Pyodide.

    Args:
        pyodide: the address of Pyodide.
        compiled: the version of Pyodide that compiled modules are for, if there are any.
        assignments: those of the menu.
    """
    host = urlsplit(pyodide).netloc
    policy = POLICY.format(host=f" {urlsplit(pyodide).scheme}://{host}" if host else "")
    examples = [{"name": name, "title": title, "source": (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")}
                for name, title in TITLES.items()]
    facts = {"pyodide": pyodide, "packages": "packages.zip", "compiled": compiled and COMPILED | {"version": compiled},
             "needs": NEEDS, "version": minigrad.__version__, "examples": examples,
             "assignments": [kit.described() for kit in assignments]}
    data = json.dumps(facts).replace("<", "\\u003c")
    text = (SITE / "index.html").read_text(encoding="utf-8")
    return text.replace("%%POLICY%%", html.escape(policy)).replace("%%DATA%%", data)


def stepper() -> dict[str, str]:
    """Return the files of viz.stepper's page for a frame, by name: without a pass, and with nothing inline."""
    policy = stepper_page.POLICY.format(script="'self'", style="'self'")
    style = "".join(f'<link rel="stylesheet" href="{name}">' for name in ("stepper.css", "frame.css"))
    text = stepper_page.assemble("Backward pass", policy, style, '<script src="frame.js"></script>')
    return {"stepper.html": text, "stepper.css": stepper_page.style(), "stepper.js": stepper_page.script()}


def site_files() -> list[str]:
    """Return the names of the files that the site has of this folder, such as "views/pictures.js"."""
    return sorted(file.relative_to(SITE).as_posix() for file in SITE.rglob("*") if file.is_file())


def service(out: Path, pyodide: str, others: Sequence[str] = ()) -> str:
    """Return the script that keeps the files of a site; it is another one when one of them has changed."""
    made = {*MODULES, *stepper(), "packages.zip", "licences.txt", *others, *(
        name for name in COMPILED.values() if (out / name).exists())}
    names = sorted({*site_files()} - {"service.js"} | made)
    if "://" not in pyodide:
        names += sorted(file.relative_to(out).as_posix() for file in (out / pyodide).glob("*"))
    digest = hashlib.sha256(b"".join((out / name).read_bytes() for name in names)).hexdigest()
    kept = json.dumps({"version": digest[:16], "files": ["./", *names], "pyodide": pyodide})
    return (SITE / "service.js").read_text(encoding="utf-8").replace("%%KEPT%%", kept)


def archive() -> bytes:
    """Return our packages and graphviz as a zip archive, as they are where this program runs."""
    return zipped((name, path.read_bytes()) for path, name in package_files())


def package_files() -> Iterator[tuple[Path, str]]:
    """Yield the files of the packages that the page needs, with their names in the archive."""
    for package in PACKAGES:
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder.parent).as_posix()
            if path.is_file() and path.parent.name != "__pycache__" and not name.startswith(UNUSED):
                yield path, name


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


def compile_python(out: Path, release: list[Path]) -> str | None:
    """Write archives of compiled modules, made by a release; return its version, or None without a release."""
    if not release:
        for name in COMPILED.values():
            (out / name).unlink(missing_ok=True)  # of an older site
        return None
    folder = release[0].parent
    run("node", str(NPM / COMPILER), str(folder), str(out / "packages.zip"),
        *(str(out / name) for name in COMPILED.values()), cwd=NPM)
    return version_of(folder)


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder."""
    run("npm", *arguments, cwd=folder)


def run(name: str, *arguments: str, cwd: Path) -> None:
    """Run npm, or Node.js, in a folder."""
    program = shutil.which(name)
    if program is None:
        raise BuildError(f"the site is built by {name}, which isn't installed: it comes with Node.js, version 18 or "
                         "newer")
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())
        raise BuildError(f"{name} {Path(arguments[0]).name} failed: {words[-500:] or f'exit code {done.returncode}'}")


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
