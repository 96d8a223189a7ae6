"""Check an installed wheel from a folder outside the checkout: python wheel.py CHECKOUT.

Its files are those of the checkout, neither fewer nor more, and its programs run without it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PROGRAM = """\
import minigrad as mg, viz
from rnn import Cell, t

w = mg.Tensor(0.5, requires_grad=True, name="w")
cell = Cell("unit")
x, h = cell.input("x", ()), cell.signal("h", ())
h[t] = mg.tanh(w * h[t-1] + x[t])
run = cell.unroll(x=[1.0, 0.0, 0.0])
loss = run["h"].stack().sum()
loss.backward()
viz.stepper(loss, "steps.html")
cell.compile()(x=[1.0, 0.0, 0.0])
"""


def files(folder: Path) -> set[str]:
    """Return the files of a package, relative to it, without those that Python and Numba keep of compiled functions."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*")
            if file.is_file() and file.suffix != ".md" and file.parent.name != "__pycache__"}


def build_playground(folder: Path) -> None:
    """Build the playground's site, as far as this machine can; PYODIDE names a folder with a release."""
    pyodide = os.environ.get("PYODIDE", "http://127.0.0.1:9/")  # no host: the site is built without it
    done = subprocess.run([sys.executable, "-m", "viz.playground", "--out", "site", "--pyodide", pyodide], cwd=folder,
                          capture_output=True, encoding="utf-8")
    if shutil.which("npm") is None:
        assert done.returncode == 2 and "npm, which isn't installed" in done.stderr, done.stderr
        return
    assert done.returncode == 0, done.stderr
    made = {file.relative_to(folder / "site").as_posix() for file in (folder / "site").rglob("*.*")}
    wanted = {"index.html", "page.js", "views/pictures.js", "stepper.html", "service.js", "codemirror.js",
              "graphviz.js", "packages.zip"}
    if "PYODIDE" in os.environ:
        wanted |= {"library.zip", "compiled.zip", "pyodide/pyodide.asm.wasm"}
    assert wanted <= made, sorted(wanted - made)


def main(checkout: Path) -> None:
    """Compare the installed packages with the checkout's, then run their programs."""
    for package in ("minigrad", "rnn", "viz", "pydevd_plugins"):
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.submodule_search_locations, f"{package} is not installed"
        installed = Path(next(iter(spec.submodule_search_locations)))
        assert checkout not in installed.parents or ".nox" in installed.parts, f"{package} is the checkout's"
        source = files(checkout / package)
        assert files(installed) == source, f"{package}: {sorted(files(installed) ^ source)}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.py").write_text(PROGRAM, encoding="utf-8")
        commands = {
            "debugger": ["-m", "minigrad.debugger", "-c", "step", "-c", "quit", "model.py"],
            "program": ["model.py"],
            "extension": ["-m", "minigrad.debugger", "--vscode-extension", "extension.vsix"],
            "picture": ["-m", "viz", "model.py:cell", "-o", "unit.dot"],
        }
        printed = {name: subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True,
                                        encoding="utf-8").stdout for name, command in commands.items()}
        assert "step 1 of" in printed["debugger"], printed["debugger"]
        with zipfile.ZipFile(Path(folder) / "extension.vsix") as extension:
            assert "extension/extension.js" in extension.namelist()
        assert "<script" in (Path(folder) / "steps.html").read_text(encoding="utf-8")
        assert "h[t]" in (Path(folder) / "unit.dot").read_text(encoding="utf-8")
        build_playground(Path(folder))
    print("the wheel is complete and runs")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
