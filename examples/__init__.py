"""Programs to run: python -m examples lists them."""

import os

# Small matrices gain nothing from several threads, and wait for them where the machine has other work:
# the tour took six times as long. Read by NumPy's BLAS when it is loaded; your own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
