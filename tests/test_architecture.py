"""The packages' structure: imports go one way, without cycles, and a light program loads little.

Every import counts, also those inside functions, and `importlib.import_module("...")`. Two kinds don't:
those under `if TYPE_CHECKING`, and those of a package's own `__getattr__`, which loads a name on demand.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import minigrad
import viz

ROOT = Path(__file__).parents[1]
PACKAGES = ("minigrad", "rnn", "viz")
MOST_FILES = 22

# A layer is a folder (without its subfolders). It may import itself and the layers that are named here.
BASE = ("minigrad.formats", "minigrad.interactive", "minigrad.recipes")
ENGINE = ("minigrad", *BASE)
LANGUAGE = ("rnn", "rnn.language", "rnn.unrolling")  # of rnn, all that pictures read
LAYERS: dict[str, tuple[str, ...]] = {
    "minigrad.recipes": (),
    "minigrad.formats": (),
    "minigrad.interactive": (),
    "minigrad": BASE,
    "minigrad.debugger.vscode": ENGINE,
    "minigrad.debugger": (*ENGINE, "minigrad.debugger.vscode"),
    "minigrad.debugger.adapter": (*ENGINE, "minigrad.debugger"),
    "minigrad.debugger.__main__": ("minigrad.debugger", "minigrad.debugger.adapter"),
    "rnn.language": ENGINE,
    "rnn.cells": (*ENGINE, "rnn.language"),
    "rnn.unrolling": (*ENGINE, "rnn.language"),
    "rnn.ir": (*ENGINE, "rnn.language", "rnn.unrolling"),
    "rnn.compiler": (*ENGINE, "rnn.language", "rnn.unrolling", "rnn.ir"),
    "rnn.fast": (*ENGINE, "rnn.language", "rnn.unrolling", "rnn.ir", "rnn.compiler"),
    "rnn.export": (*ENGINE, "rnn.language", "rnn.unrolling", "rnn.ir"),
    "rnn": (*ENGINE, "rnn.language", "rnn.cells", "rnn.unrolling", "rnn.ir", "rnn.compiler", "rnn.fast",
            "rnn.export"),
    "viz.render": ENGINE,
    "viz.layout": (*ENGINE, *LANGUAGE, "viz.render"),
    "viz.annotations": (*ENGINE, *LANGUAGE, "viz.render", "viz.layout"),
    "viz.pictures": (*ENGINE, *LANGUAGE, "viz.render", "viz.layout", "viz.annotations"),
    "viz.stepper_page": (*ENGINE, "minigrad.debugger", *LANGUAGE, "viz.render", "viz.layout", "viz.annotations",
                         "viz.pictures"),
    "viz": (*ENGINE, *LANGUAGE, "viz.render", "viz.layout", "viz.annotations", "viz.pictures", "viz.stepper_page"),
    "viz.playground.examples": ("minigrad", "rnn"),
    "viz.playground.running": (*ENGINE, *LANGUAGE, "viz.stepper_page", "viz"),
    "viz.playground.views": (*ENGINE, *LANGUAGE, "viz.render", "viz.layout", "viz.pictures", "viz.stepper_page", "viz",
                             "viz.playground.running"),
    "viz.playground": (*ENGINE, *LANGUAGE, "viz.stepper_page", "viz", "viz.playground.examples",
                       "viz.playground.running", "viz.playground.views"),
}


def modules() -> dict[str, Path]:
    """Return the packages' modules by dotted name; a package's name denotes its `__init__`."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


MODULES = modules()


def folder(module: str) -> str:
    """Return the dotted name of a module's folder."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def layer(module: str) -> str:
    """Return the dotted name of a module's layer: its folder, or the module itself if the table names it."""
    return module if module in LAYERS else folder(module)


def exempt(node: ast.AST, is_package: bool) -> bool:
    """Return True for a TYPE_CHECKING block, and for a package's `__getattr__`."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return is_package and isinstance(node, ast.FunctionDef) and node.name == "__getattr__"


def statements(tree: ast.AST, is_package: bool) -> Iterator[ast.AST]:
    """Yield every node of a file that is not exempt."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if not exempt(child, is_package)]


def imports(module: str) -> set[str]:
    """Return the modules of our packages that a module imports, at its top or inside functions."""
    file = MODULES[module]
    found: set[str] = set()
    for node in statements(ast.parse(file.read_text(encoding="utf-8")), file.name == "__init__.py"):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = folder(module).split(".")[:-node.level + 1 or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {name if (name := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return (found & set(MODULES)) - {module}


@pytest.fixture(scope="module")
def all_imports() -> dict[str, set[str]]:
    return {module: imports(module) for module in MODULES}


def test_there_is_no_import_cycle(all_imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(all_imports).prepare()
    except CycleError as error:
        pytest.fail("modules that import each other: " + " -> ".join(reversed(error.args[1])))


def test_imports_between_folders_go_one_way(all_imports: dict[str, set[str]]) -> None:
    wrong = [f"{module} imports {imported}" for module, others in all_imports.items() for imported in sorted(others)
             if layer(imported) not in (layer(module), *LAYERS[layer(module)])]
    assert not wrong, "\n".join(wrong)


def test_the_table_of_layers_is_complete_and_has_no_cycle_itself() -> None:
    assert set(LAYERS) == {layer(module) for module in MODULES}
    order = list(TopologicalSorter(LAYERS).static_order())
    assert all(order.index(lower) < order.index(name) for name, below in LAYERS.items() for lower in below)


@pytest.mark.parametrize("folder", sorted({file.parent for file in MODULES.values()}),
                         ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_contains_few_files(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


# ---- what a program loads
SCREEN_PROGRAM = """
import sys
import numpy as np
import minigrad as mg, viz
from rnn import Cell, t

rng = np.random.default_rng(0)
data, target = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2, 2))
W = mg.init.glorot((8, 3), rng, name="W")
U = mg.init.orthogonal((8, 8), rng, name="U")
b = mg.Tensor(np.zeros(8), requires_grad=True, name="b")
V = mg.init.glorot((2, 8), rng, name="V")
elman = Cell("elman")
x = elman.input("x", 3)
h = elman.signal("h", 8)
y = elman.signal("y", 2)
h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
y[t] = V @ h[t]
viz.rolled(elman).source
run = elman.unroll(x=data)
loss = mg.losses.mse(run["y"].stack(), target)
loss.backward()
viz.unrolled(run, loss=loss).source
for step in loss.backward_steps():
    str(step)
    step.run()
"""
HEAVY = ("rnn.compiler", "rnn.export", "rnn.fast", "rnn.ir", "minigrad.debugger", "viz.stepper_page", "viz.cli",
         "pygraphviz", "matplotlib", "numba", "jax", "torch", "onnx", "http.client", "ssl")


def loaded(program: str) -> set[str]:
    """Return the modules that are loaded when a program has run."""
    program += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_screen_program_loads_no_compiler_export_debugger_or_page() -> None:
    names = loaded(SCREEN_PROGRAM)
    assert {"rnn.unrolling.unroll", "viz.pictures.unrolled", "minigrad.steps"} <= names
    assert not [name for name in sorted(names) if name.startswith(HEAVY)]


@pytest.mark.parametrize(("package", "absent"), [
    ("minigrad", ("rnn", "viz", "graphviz")), ("rnn", ("viz", "graphviz")), ("viz", HEAVY)])
def test_a_package_alone_loads_only_what_it_needs(package: str, absent: tuple[str, ...]) -> None:
    names = loaded(f"import {package}")
    assert not [name for name in sorted(names) if name.split(".")[0] in absent or name.startswith(absent)]


# ---- what is written about it
@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = re.findall(r"\b((?:minigrad|rnn|viz|tests|docs|examples)/[\w/.]*[\w/])", text)
    assert len(paths) > 10
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_architecture_page_shows_every_layer() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    assert set(re.findall(r"\b(?:minigrad|rnn|viz)(?:/\w+)*(?=(?:\.py)? {2})", tree)) == {
        name.replace(".", "/") for name in LAYERS}


# ---- what is declared
def test_names_that_are_imported_on_first_use_are_listed() -> None:
    assert set(minigrad.__all__) <= set(dir(minigrad))
    assert set(viz.__all__) <= set(dir(viz))


def test_every_data_file_is_packaged() -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {f"{package} {pattern}": {*(ROOT / package.replace(".", "/")).glob(pattern)}
             for package, patterns in declared["package-data"].items() for pattern in patterns}
    assert [pattern for pattern, files in found.items() if not files] == []
    data = {file for package in PACKAGES for file in (ROOT / package).rglob("*.*")
            if file.is_file() and file.suffix not in (".py", ".md") and file.parent.name != "__pycache__"}
    assert data == {file for files in found.values() for file in files if file.suffix != ".md"}
