"""How the documentation is built: sphinx-build -W docs build/docs.

The pages are MyST Markdown whose code cells run at every build; API pages come from docstrings.
"""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).parents[1])
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = ROOT  # for the kernels that run the pages

project = "minigrad"
author = "the minigrad authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx-mathjax-offline"]
html_theme = "alabaster"
html_theme_options = {
    "page_width": "1280px", "sidebar_width": "220px", "body_max_width": "none", "fixed_sidebar": True,
    "font_family": "sans-serif", "head_font_family": "sans-serif", "font_size": "15px", "code_font_size": "13px",
    "show_powered_by": False,
}
html_show_copyright = False
html_show_sourcelink = False
html_title = "minigrad"
exclude_patterns = ["build"]

myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "DTypeLike")}
napoleon_use_ivar = True  # an attribute is described once
default_role = "literal"  # docstrings write code in single backticks


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Convert plain-text docstrings: text indented by four columns after a blank line is a formula or code."""
    found: list[str] = []
    indented = False
    for line in obj.__doc__.splitlines() if what == "module" else lines:  # a module's text is never indented as a whole
        inside = bool(found) and line.startswith("    ") and (indented or found[-1] == "")
        if inside and not indented:
            found += ["::", ""]
        indented = inside or (indented and not line)
        found.append(line if inside else re.sub(r"(?<![`\\])[|*]", r"\\\g<0>", line))
    lines[:] = found


def is_plain_field(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Return whether a member is a field of a named tuple, described under Attributes."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def short_signature(app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None,
                    returns: str | None) -> tuple[str | None, str | None]:
    """Shorten the signature: NumPy's type aliases by name, not expanded."""
    alias = r"TypeAliasForwardRef\('(\w+)'\)"
    return signature and re.sub(alias, r"\1", signature), returns and re.sub(alias, r"\1", returns)


def describe_images(app: Any, doctree: Any, docname: str) -> None:
    """Give each picture of a code cell an alternative text: its own, or the title of its section."""
    for image in doctree.findall(lambda node: node.tagname == "image" and not node.get("alt")):
        path = Path(app.srcdir, image["uri"])
        text = path.read_text(encoding="utf-8") if path.suffix == ".svg" else ""
        parts = [html.unescape(part) for part in re.findall(r"<(?:title|desc)>(.*?)</(?:title|desc)>", text)[:2]]
        image["alt"] = ". ".join(parts) if "<desc>" in text else f"plot: {section_title(image)}"


def section_title(node: Any) -> str:
    """Return the title of the section that a node is in."""
    while node.parent is not None and node.tagname != "section":
        node = node.parent
    return node[0].astext() if node.tagname == "section" else ""


def setup(app: Any) -> None:
    app.connect("doctree-resolved", describe_images)
    app.connect("autodoc-skip-member", is_plain_field)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-process-docstring", as_rst, priority=100)  # before napoleon reads Args: and Returns:
