"""The course kit: assignments about recurrent networks, and a checker that names the wrong operation."""

import sys
from importlib.util import find_spec

_missing = [name for name in ("numpy", "graphviz") if find_spec(name) is None]
if _missing:  # the usual reason is a forgotten environment: say so, instead of a traceback of ours
    sys.exit(f"{' and '.join(_missing)} can't be imported by {sys.executable}. Activate the environment that has "
             "the project (. .venv/bin/activate), or install it: python -m pip install -e .")
