"""The playground's site without npm and a browser: its page, archive and Pyodide, and the errors of the command."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
import viz
from viz.playground import build
from viz.playground.__main__ import main
from viz.playground.examples import TITLES


def pyodide(folder: Path, **packages: list[str]) -> Path:
    """Write a folder with the form of a Pyodide release; each package with those it depends on."""
    folder.mkdir()
    locked: dict[str, Any] = {}
    for name, depends in packages.items():
        content = f"the wheel of {name}".encode()
        (folder / f"{name}.whl").write_bytes(content)
        locked[name] = {"file_name": f"{name}.whl", "sha256": hashlib.sha256(content).hexdigest(), "depends": depends}
    for name in build.CORE:
        (folder / name).write_text("core", encoding="utf-8")
    (folder / "pyodide-lock.json").write_text(json.dumps({"packages": locked}), encoding="utf-8")
    return folder


class TestPage:
    def test_forbids_all_but_its_own_files_and_pyodides_host(self) -> None:
        for address, host in (("pyodide/", ""), ("https://example.org/v1/", " https://example.org")):
            [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', build.page(address))
            rules = dict(rule.split(" ", 1) for rule in policy.replace("&#x27;", "'").split("; "))
            assert rules["default-src"] == "'none'"
            assert rules["script-src"] == f"'self' 'wasm-unsafe-eval'{host}"
            assert rules["connect-src"] == f"'self'{host}" and rules["style-src"] == "'self'"
            assert rules["frame-src"] == "'self'"

    def test_has_no_inline_script_or_style(self) -> None:
        text = build.page("pyodide/")
        scripts = re.findall(r"<script([^>]*)>", text)
        assert all('src="page.js"' in each or "application/json" in each for each in scripts) and len(scripts) == 2
        assert "<style" not in text and not re.search(r"\s(style|on\w+)=", text.partition("<script type=\"app")[0])

    def test_contains_the_examples_in_the_order_of_the_menu(self) -> None:
        [text] = re.findall(r'id="data">(.*)</script>', build.page("pyodide/"))
        data = json.loads(text)
        assert [example["name"] for example in data["examples"]] == list(TITLES)
        assert data["pyodide"] == "pyodide/"

    def test_its_data_cannot_end_the_script_element(self) -> None:
        text = build.page("https://example.org/</script>/")
        [data] = re.findall(r'id="data">(.*)</script>', text)
        assert text.count("</script>") == 2 and json.loads(data)["pyodide"] == "https://example.org/</script>/"

    def test_every_element_that_the_script_looks_for_exists(self) -> None:
        names = set(re.findall(r'find\("([\w-]+)"\)', (build.SITE / "page.js").read_text(encoding="utf-8")))
        assert len(names) > 10
        assert names <= set(re.findall(r'\bid="([\w-]+)"', build.page("pyodide/")))

    def test_every_module_that_a_script_imports_exists(self) -> None:
        for file in build.SITE.glob("*.js"):
            for name in re.findall(r'(?:from |import\()"\./([\w.]+)"', file.read_text(encoding="utf-8")):
                assert (build.SITE / name).is_file() or name in build.MODULES


class TestStepper:
    def test_is_the_page_of_viz_stepper_in_files(self) -> None:
        files, html = build.stepper(), viz.stepper((mg.Tensor([1.0], requires_grad=True) ** 2).sum()).html
        assert files["stepper.css"] in html and files["stepper.js"] in html

    def test_runs_only_files_of_the_site(self) -> None:
        text = build.stepper()["stepper.html"]
        [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        assert policy.replace("&#x27;", "'").split("; ") == [
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'"]
        assert "<style" not in text and not re.search(r"<[^>]*\s(style|on\w+)=", text)
        assert re.findall(r"<script([^>]*)>", text) == [' type="application/json" id="data"', ' src="frame.js"']
        named = re.findall(r'(?:href|src)="([^"]+)"', text)
        assert {*named} - {"stepper.css"} <= {*build.site_files()} and len(named) == 3


class TestOffline:
    def test_all_files_of_the_site_are_kept_under_a_name_that_changes_with_them(self, tmp_path: Path) -> None:
        shutil.copytree(build.SITE, tmp_path, dirs_exist_ok=True)
        for name in (*build.MODULES, *build.stepper(), "packages.zip", "licences.txt"):
            (tmp_path / name).write_text(name, encoding="utf-8")
        texts = [build.service(tmp_path, "pyodide/")]
        (tmp_path / "page.js").write_text("another", encoding="utf-8")
        texts.append(build.service(tmp_path, "pyodide/"))
        one, other = (json.loads(re.findall(r"= (\{.*\});", text)[0]) for text in texts)
        assert one["version"] != other["version"] and one["files"] == other["files"]
        assert set(one["files"]) == {"./"} | {
            file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*")} - {"service.js"}


class TestArchive:
    def test_is_enough_to_run_a_program(self, tmp_path: Path) -> None:
        zipfile.ZipFile(io.BytesIO(build.archive())).extractall(tmp_path)
        numpy = Path(str(__import__("numpy").__file__)).parents[1]
        program = (f"import sys; sys.path[:] = [{str(tmp_path)!r}, *(p for p in sys.path if 'site-packages' not in p), "
                   f"{str(numpy)!r}]\nfrom viz.playground.session import Session\nimport graphviz, json, viz\n"
                   "question = dict(view='pictures', ask='show', source='print(6 * 7)', steps=4, level='signals', "
                   "heat=False, dark=False)\nprint(json.loads(Session().answer(json.dumps(question)))['printed'], "
                   "viz.__file__)")
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["42", str(tmp_path / "viz" / "__init__.py")]

    def test_has_no_file_twice_and_nothing_that_the_page_does_not_need(self) -> None:
        names = zipfile.ZipFile(io.BytesIO(build.archive())).namelist()
        assert len(names) == len(set(names))
        assert not [name for name in names if name.endswith(".pyc") or "/npm/" in name or "/vscode/" in name]
        assert {name.partition("/")[0] for name in names} == {"minigrad", "rnn", "viz", "graphviz"}

    def test_depends_on_the_files_alone(self) -> None:
        assert build.archive() == build.archive()


class TestPyodide:
    def test_only_numpy_and_what_it_needs_is_taken(self, tmp_path: Path) -> None:
        folder = pyodide(tmp_path / "release", numpy=["blas"], blas=["libc"], libc=[], pandas=["numpy"])
        found = [file.name for file in build.pyodide_files(folder)]
        assert found == [*build.CORE, "numpy.whl", "blas.whl", "libc.whl"]

    def test_a_changed_file_a_missing_file_and_a_core_alone_are_refused(self, tmp_path: Path) -> None:
        folder = pyodide(tmp_path / "release", numpy=[])
        (folder / "numpy.whl").write_bytes(b"another")
        with pytest.raises(build.BuildError, match="SHA-256"):
            build.pyodide_files(folder)
        (folder / "numpy.whl").unlink()
        with pytest.raises(build.BuildError, match=r"numpy\.whl is missing"):
            build.pyodide_files(folder)
        with pytest.raises(build.BuildError, match="without the package numpy"):
            build.pyodide_files(pyodide(tmp_path / "core"))
        with pytest.raises(build.BuildError, match=r"pyodide\.js, .* missing"):
            build.pyodide_files(tmp_path)


class TestLockFile:
    def test_names_no_host_and_pins_every_package(self) -> None:
        text = (build.NPM / "package-lock.json").read_text(encoding="utf-8")
        assert "resolved" not in text and "://" not in text
        packages = {place: facts for place, facts in json.loads(text)["packages"].items() if place}
        assert len(packages) > 10 and all(facts["integrity"].startswith("sha512-") for facts in packages.values())

    def test_is_that_of_the_package_file(self) -> None:
        wanted = json.loads((build.NPM / "package.json").read_text(encoding="utf-8"))
        locked = json.loads((build.NPM / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        for kind in ("dependencies", "devDependencies"):
            assert locked[""][kind] == wanted[kind]
            for name, version in wanted[kind].items():
                assert locked[f"node_modules/{name}"]["version"] == version


class TestCommand:
    def test_without_npm_says_so_in_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert main(["--out", str(tmp_path / "site")]) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        assert "npm, which isn't installed" in printed.err

    def test_a_folder_without_pyodide_is_an_error_before_anything_is_written(
            self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--out", str(tmp_path / "site"), "--pyodide", str(tmp_path)]) == 2
        assert "holds no Pyodide" in capsys.readouterr().err and not (tmp_path / "site").exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell stands in for npm")
    def test_what_npm_says_is_passed_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
        script = tmp_path / "npm"
        script.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n", encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert shutil.which("npm") == str(script)
        assert main(["--out", str(tmp_path / "site")]) == 2
        assert capsys.readouterr().err == "viz.playground: npm ci failed: no network\n"
