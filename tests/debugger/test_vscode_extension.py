"""The extension for VS Code as a file: what is in it, and how it is written. tests/vscode runs it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import minigrad
from minigrad.debugger import vscode
from minigrad.debugger.adapter.front import CAPABILITIES

FOLDER = Path(vscode.__file__).parent
VSX = {"": "http://schemas.microsoft.com/developer/vsx-schema/2011"}


@pytest.fixture(scope="module")
def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(vscode.build()))


@pytest.fixture(scope="module")
def package(archive: zipfile.ZipFile) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(archive.read("extension/package.json"))
    return found


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(minigrad.__file__).parents[1])}
    return subprocess.run([sys.executable, "-m", "minigrad.debugger", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True, check=False)


class TestTheFile:
    def test_holds_every_file_of_the_folder(self, archive: zipfile.ZipFile) -> None:
        sources = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*")
                   if file.is_file() and file.suffix not in (".py", ".pyc")}
        held = {name.removeprefix("extension/") for name in archive.namelist() if name.startswith("extension/")}
        assert held == sources
        for name in sources - {"package.json"}:
            assert archive.read(f"extension/{name}") == (FOLDER / name).read_bytes()

    def test_is_the_same_at_any_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = vscode.build()
        monkeypatch.setattr("time.time", lambda: 2e9)
        assert vscode.build() == first

    def test_names_a_type_for_every_suffix_and_every_asset_is_there(self, archive: zipfile.ZipFile) -> None:
        types = ElementTree.fromstring(archive.read("[Content_Types].xml"))
        suffixes = {entry.attrib["Extension"] for entry in types}
        assert {Path(name).suffix for name in archive.namelist()} - {".xml"} == suffixes
        manifest = ElementTree.fromstring(archive.read("extension.vsixmanifest"))
        assets = [asset.attrib["Path"] for asset in manifest.iterfind("Assets/Asset", VSX)]
        assert set(assets) <= set(archive.namelist()) and "extension/package.json" in assets

    def test_has_minigrads_version_and_one_identity(self, archive: zipfile.ZipFile, package: dict[str, Any]) -> None:
        identity = ElementTree.fromstring(archive.read("extension.vsixmanifest")).find("Metadata/Identity", VSX)
        assert identity is not None
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert minigrad.__version__.startswith(package["version"])
        assert [identity.attrib[name] for name in ("Id", "Version", "Publisher")] == [
            package[name] for name in ("name", "version", "publisher")]


class TestTheDeclaration:
    def test_commands_in_menus_are_registered(self, package: dict[str, Any], archive: zipfile.ZipFile) -> None:
        declared = {command["command"] for command in package["contributes"]["commands"]}
        used = {entry["command"] for menu in package["contributes"]["menus"].values() for entry in menu}
        registered = re.findall(r'registerCommand\("([\w.]+)"', archive.read("extension/extension.js").decode())
        assert used <= declared == set(registered)

    def test_settings_that_the_scripts_read_are_declared(self, package: dict[str, Any]) -> None:
        scripts = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("graph.js", "interpreter.js"))
        read = set(re.findall(r'getConfiguration\("minigrad"[^)]*\)\.get\("(\w+)"\)', scripts))
        assert {f"minigrad.{name}" for name in read} == set(package["contributes"]["configuration"]["properties"])

    def test_scripts_require_their_own_files_and_no_package(self) -> None:
        for file in FOLDER.glob("*.js"):
            for name in re.findall(r'require\("([^"]+)"\)', file.read_text(encoding="utf-8")):
                assert name == "vscode" or name.startswith("node:") or (FOLDER / name).is_file(), (file, name)

    def test_snippets_are_launch_configurations(self, package: dict[str, Any]) -> None:
        [debugger] = package["contributes"]["debuggers"]
        known = set(debugger["configurationAttributes"]["launch"]["properties"]) | {"type", "request", "name"}
        bodies = [snippet["body"] for snippet in debugger["configurationSnippets"]]
        for body in [*debugger["initialConfigurations"], *bodies]:
            assert set(body) <= known and body["type"] == debugger["type"] and body["request"] == "launch"

    def test_the_adapter_steps_back(self) -> None:
        assert CAPABILITIES["supportsStepBack"]  # without it VS Code shows neither Step Back nor Reverse


class TestTheCommandLine:
    def test_writes_it_and_says_how_to_install_it(self, tmp_path: Path) -> None:
        done = run("--vscode-extension", "of mine.vsix", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [f"written: {tmp_path / 'of mine.vsix'}",
                                            "install it by: code --install-extension 'of mine.vsix'"]
        assert (tmp_path / "of mine.vsix").read_bytes() == vscode.build()

    @pytest.mark.parametrize(("name", "reason"), [
        ("extension.zip", "VS Code installs an extension from a file named *.vsix, not 'extension.zip'"),
        ("missing/extension.vsix", "can't write missing/extension.vsix: No such file or directory; make the folder")])
    def test_says_why_it_cant_be_written(self, tmp_path: Path, name: str, reason: str) -> None:
        done = run("--vscode-extension", name, folder=tmp_path)
        assert done.returncode == 2 and reason in done.stderr and "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []
