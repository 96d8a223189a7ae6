"""Programs to run, in folders by topic: python -m examples lists them."""

import os
from pathlib import Path

# Small matrices gain nothing from several threads, and wait for them where the machine has other work:
# the tour took six times as long. Read by NumPy's BLAS when it is loaded; your own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The course kit is no topic: its programs keep their full names.
_packages = (file.parent for file in Path(__file__).parent.glob("*/__init__.py"))
TOPICS = sorted(folder for folder in _packages if folder.name != "assignments")

# An example keeps its command, python -m examples.NAME, whichever folder it is in.
__path__ += map(str, TOPICS)
