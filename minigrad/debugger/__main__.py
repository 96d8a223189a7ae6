"""python -m minigrad.debugger script.py, in the terminal; python -m minigrad.debugger --dap, for an editor."""

import sys

from .adapter import front
from .runner import main

if __name__ == "__main__":
    sys.exit(front.main() if sys.argv[1:] == ["--dap"] else main(sys.argv[1:]))
