"""The playground's site without npm and a browser: its page, archive and Pyodide, and the errors of the command."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from importlib.util import cache_from_source
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import minigrad as mg
import viz
from viz.playground import build, compiling, release
from viz.playground.__main__ import Handler, main
from viz.playground.examples import TITLES


def pyodide(folder: Path, **packages: list[str]) -> Path:
    """Write a folder with the form of a Pyodide release; each package with those it depends on."""
    folder.mkdir()
    locked: dict[str, Any] = {}
    for name, depends in packages.items():
        content = f"the wheel of {name}".encode()
        (folder / f"{name}.whl").write_bytes(content)
        locked[name] = {"file_name": f"{name}.whl", "sha256": hashlib.sha256(content).hexdigest(), "depends": depends,
                        "version": "2.1.0"}
    for name in release.CORE:
        (folder / name).write_text("core", encoding="utf-8")
    (folder / "pyodide-lock.json").write_text(json.dumps(
        {"info": {"python": "3.12.7", "version": "0.27.7"}, "packages": locked}), encoding="utf-8")
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

    def test_a_release_in_the_site_is_kept_and_one_elsewhere_is_not(self, tmp_path: Path) -> None:
        shutil.copytree(build.SITE, tmp_path, dirs_exist_ok=True)
        for name in (*build.MODULES, *build.stepper(), "packages.zip", "licences.txt"):
            (tmp_path / name).write_text(name, encoding="utf-8")
        pyodide(tmp_path / "pyodide", numpy=[])
        texts = [build.service(tmp_path, "pyodide/"), build.service(tmp_path, "https://example.org/v1/")]
        (tmp_path / "pyodide" / "pyodide.js").write_text("another release", encoding="utf-8")
        texts.append(build.service(tmp_path, "pyodide/"))
        here, elsewhere, other = (json.loads(re.findall(r"= (\{.*\});", text)[0]) for text in texts)
        assert {f"pyodide/{name}" for name in (*release.CORE, "numpy.whl")} <= set(here["files"])
        assert not [name for name in elsewhere["files"] if name.startswith("pyodide/")]
        assert here["version"] != other["version"]


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

    @pytest.mark.parametrize("name", ["module.cpython-313.pyc", "module.tanh-1.py313.nbi", "module.tanh-1.py313.1.nbc"])
    def test_has_no_compiled_functions_of_this_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       name: str) -> None:
        for path in ("package/module.py", f"package/inner/__pycache__/{name}"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        monkeypatch.setattr(build, "PACKAGES", [SimpleNamespace(__file__=str(tmp_path / "package" / "__init__.py"))])
        assert zipfile.ZipFile(io.BytesIO(build.archive())).namelist() == ["package/module.py"]

    def test_depends_on_the_files_alone(self) -> None:
        assert build.archive() == build.archive()


class TestPyodide:
    def test_only_numpy_and_what_it_needs_is_taken(self, tmp_path: Path) -> None:
        folder = pyodide(tmp_path / "release", numpy=["blas"], blas=["libc"], libc=[], pandas=["numpy"])
        found = [file.name for file in release.pyodide_files(folder)]
        assert found == [*release.CORE, "numpy.whl", "blas.whl", "libc.whl"]

    def test_a_changed_file_a_missing_file_and_a_core_alone_are_refused(self, tmp_path: Path) -> None:
        folder = pyodide(tmp_path / "release", numpy=[])
        (folder / "numpy.whl").write_bytes(b"another")
        with pytest.raises(release.BuildError, match="SHA-256"):
            release.pyodide_files(folder)
        (folder / "numpy.whl").unlink()
        with pytest.raises(release.BuildError, match=r"numpy\.whl is missing"):
            release.pyodide_files(folder)
        with pytest.raises(release.BuildError, match="without the package numpy"):
            release.pyodide_files(pyodide(tmp_path / "core"))
        with pytest.raises(release.BuildError, match=r"pyodide\.js, .* missing"):
            release.pyodide_files(tmp_path)


    @pytest.mark.parametrize("python, numpy", [("3.11.9", "2.0.2"), ("3.12.7", "1.26.4"), ("2.99.0", "3.0.0")])
    def test_too_old_a_release_is_named_with_its_versions(self, tmp_path: Path, python: str, numpy: str) -> None:
        folder = pyodide(tmp_path / "release", numpy=[])
        lock = folder / "pyodide-lock.json"
        facts = json.loads(lock.read_text(encoding="utf-8"))
        facts["info"] = {"python": python, "version": "0.26.0"}
        facts["packages"]["numpy"]["version"] = numpy
        lock.write_text(json.dumps(facts), encoding="utf-8")
        with pytest.raises(release.BuildError, match=rf"holds Pyodide 0\.26\.0 with Python {python} and NumPy {numpy}; "
                                                     r"needed are Python 3\.12 and NumPy 2\.0, or newer"):
            release.pyodide_files(folder)

    def test_a_copy_takes_the_place_of_an_older_one(self, tmp_path: Path) -> None:
        files = release.pyodide_files(pyodide(tmp_path / "release", numpy=[]))
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "old").write_text("of another release", encoding="utf-8")
        build.copy_release(tmp_path / "site", files)
        copied = {file.name for file in (tmp_path / "site").iterdir()}
        assert copied == {file.name for file in files} - {release.LIBRARY}
        build.copy_release(tmp_path / "site", [])
        assert not (tmp_path / "site").exists()


class TestDownload:
    @pytest.fixture
    def address(self, tmp_path: Path) -> Iterator[str]:
        """Serve the folder `release`, and return its address."""
        pyodide(tmp_path / "release", numpy=["blas"], blas=[])
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/release"
            server.shutdown()
            thread.join()

    @pytest.mark.parametrize("end", ["", "/"])
    def test_takes_the_same_files_as_from_a_folder(self, tmp_path: Path, address: str, end: str) -> None:
        (tmp_path / "here").mkdir()
        found = release.download(address + end, tmp_path / "here")
        wanted = release.pyodide_files(tmp_path / "release")
        assert [file.name for file in found] == [file.name for file in wanted]
        assert [file.read_bytes() for file in found] == [file.read_bytes() for file in wanted]

    def test_a_wrong_address_and_a_changed_file_are_refused(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(release.BuildError, match=r"/elsewhere/pyodide\.js: the server answers 404 .*such as https://"):
            release.download(address.replace("release", "elsewhere"), tmp_path)
        (tmp_path / "release" / "blas.whl").write_bytes(b"another")
        with pytest.raises(release.BuildError, match="SHA-256"):
            release.download(address, tmp_path)

    def test_a_host_that_does_not_answer_is_another_error(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(release.Unreachable, match="can't be reached now"):
            release.download("http://127.0.0.1:9/v1/", tmp_path)


class TestCompiledModules:
    """By this Python, as by that of Pyodide."""

    def imported(self, path: Path) -> str:
        """Return from which file Python takes the code of the module `small`."""
        done = subprocess.run([sys.executable, "-B", "-v", "-c", "import small"], cwd=path.parent, capture_output=True,
                              text=True, check=True, env={"PYTHONPATH": str(path), "PYTHONPYCACHEPREFIX": ""})
        return re.findall(r"import 'small'.*|code object from '?([^'\n]*small[^'\n]*)'?", done.stderr)[0]

    def compiled(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(place))
        monkeypatch.delitem(sys.modules, "small", raising=False)
        monkeypatch.setitem(sys.modules, "small", __import__("small"))

    def test_of_the_library_are_beside_their_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = tmp_path / "library.zip"
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("small.py", "value = 6 * 7")
            zipped.writestr("other.py", "value = 1")
        self.compiled(archive, monkeypatch)
        content = compiling.standard_library(str(archive))
        assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["small.py", "other.py", "small.pyc"]
        (tmp_path / "new.zip").write_bytes(content)
        done = subprocess.run([sys.executable, "-c", "import small; print(small.value, small.__file__)"],
                              env={"PYTHONPATH": str(tmp_path / "new.zip")}, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["42", str(tmp_path / "new.zip" / "small.pyc")]

    @pytest.mark.slow
    def test_of_packages_are_used_until_their_source_changes(self, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
        source = tmp_path / "modules" / "small.py"
        source.parent.mkdir()
        source.write_text("value = 6 * 7", encoding="utf-8")
        self.compiled(source.parent, monkeypatch)
        cached = Path(cache_from_source(str(source)))
        content = zipfile.ZipFile(io.BytesIO(compiling.packages())).read(cached.as_posix().lstrip("/"))
        shutil.rmtree(cached.parent, ignore_errors=True)
        cached.parent.mkdir()
        cached.write_bytes(content)
        assert self.imported(source.parent) == str(cached)
        source.write_text("value = 42", encoding="utf-8")
        assert self.imported(source.parent) == str(source)

    def test_draw_the_first_picture(self, tmp_path: Path) -> None:
        compiling.draw_first_picture(build.EXAMPLES)
        (tmp_path / f"{next(iter(TITLES))}.py").write_text("1 / 0", encoding="utf-8")
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            compiling.draw_first_picture(tmp_path)


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
