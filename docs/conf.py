"""How the documentation is built: sphinx-build -W docs build/docs.

The pages are MyST Markdown whose code cells run at every build; API pages come from docstrings. `extensions/` has what
Sphinx and its extensions lack.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]
os.environ["PYTHONPATH"] = str(ROOT)  # for the kernels that run the pages

project = "minigrad"
author = "the minigrad maintainers"
extensions = [
    "myst_nb", "sphinx_copybutton", "sphinx_design", "sphinx-mathjax-offline",
    "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
    "docstrings", "pictures", "playground", "topics",
]
exclude_patterns = ["build", "extensions"]

html_theme = "furo"
html_title = "minigrad"
html_favicon = "../viz/playground/site/icon.svg"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
pygments_style = "default"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]
nb_render_error_lexer = "text"  # a message is no program
copybutton_selector = "div.highlight pre:not(.output pre)"
copybutton_prompt_text = r"\$ |\(grad\) |\(Pdb\) |>>> "  # of a session the commands are copied, not what they print
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "DTypeLike")}
napoleon_use_ivar = True  # an attribute is described once
python_maximum_signature_line_length = 120
toc_object_entries_show_parents = "hide"
default_role = "literal"  # docstrings write code in single backticks
