"""python -m viz FILE.py:NAME -o picture.png."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
