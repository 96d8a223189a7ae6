"""The extension for VS Code, and the file that installs it: `python -m minigrad.debugger --vscode-extension FILE.vsix`.

The extension is plain JavaScript without dependencies: package.json declares it, extension.js starts the debug adapter
(`python -m minigrad.debugger --dap`), interpreter.js finds a Python, graph.js and media/ are the panel with the graph.
A .vsix is a zip of these files and of two that describe them to VS Code's installer.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import minigrad
from minigrad.formats.files import write_atomically

__all__ = ["build", "write"]

FILES = ("README.md", "extension.js", "graph.js", "icon.png", "interpreter.js", "media/panel.css", "media/panel.js")
CONTENT_TYPES = {".css": "text/css", ".js": "application/javascript", ".json": "application/json",
                 ".md": "text/markdown", ".png": "image/png", ".vsixmanifest": "text/xml"}
TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{}</Types>
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="{name}" Version="{version}" Publisher="{publisher}"/>
    <DisplayName>{displayName}</DisplayName>
    <Description xml:space="preserve">{description}</Description>
    <Categories>{categories}</Categories>
    <Properties><Property Id="Microsoft.VisualStudio.Code.Engine" Value="{engine}"/></Properties>
    <Icon>extension/{icon}</Icon>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Content.Details" Path="extension/README.md" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Icons.Default" Path="extension/{icon}" Addressable="true"/>
  </Assets>
</PackageManifest>
"""


def write(path: str | os.PathLike[str]) -> Path:
    """Write the extension as a .vsix file, atomically, and return its path.

    Raises:
        ValueError: if the name doesn't end in .vsix: VS Code installs no other.
        OSError: if the file can't be written.
    """
    if Path(path).suffix.lower() != ".vsix":
        raise ValueError(f"VS Code installs an extension from a file named *.vsix, not {os.fspath(path)!r}")
    return write_atomically(path, build())


def build() -> bytes:
    """Return the bytes of the .vsix file; equal sources give equal bytes, on every system."""
    package = _package()
    contents = {"extension.vsixmanifest": _manifest(package).encode(), "[Content_Types].xml": _types().encode(),
                "extension/package.json": json.dumps(package, indent=2).encode()}
    contents |= {f"extension/{name}": _read(name) for name in FILES}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # deflated bytes would depend on zlib's version
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # of the permissions below: Unix
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _read(name: str) -> bytes:
    return files(__name__).joinpath(*name.split("/")).read_bytes()


def _package() -> dict[str, Any]:
    """Return package.json with minigrad's version; VS Code accepts three numbers only."""
    package: dict[str, Any] = json.loads(_read("package.json"))
    found = re.match(r"\d+\.\d+\.\d+", minigrad.__version__)
    assert found is not None
    return package | {"version": found.group()}


def _manifest(package: dict[str, Any]) -> str:
    words = {name: escape(str(package[name])) for name in
             ("name", "version", "publisher", "displayName", "description", "icon")}
    return MANIFEST.format(**words, categories=escape(",".join(package["categories"])),
                           engine=escape(package["engines"]["vscode"]))


def _types() -> str:
    return TYPES.format("".join(f'<Default Extension="{suffix}" ContentType="{kind}"/>'
                                for suffix, kind in CONTENT_TYPES.items()))
