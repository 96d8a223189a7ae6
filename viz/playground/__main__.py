"""python -m viz.playground --out DIR [--pyodide URL|DIR] [--serve PORT]: build the site, and show it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .build import build
from .kits import KitError
from .release import PYODIDE, BuildError

TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".zip": "application/zip", ".whl": "application/zip"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing one line on an error."""
    parser = argparse.ArgumentParser(prog="python -m viz.playground", description="Build the playground's site.")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="the folder that is written")
    parser.add_argument("--pyodide", metavar="URL|DIR", default=PYODIDE,
                        help="a release of Pyodide: its address, or a folder that is copied (default %(default)s)")
    parser.add_argument("--kits", metavar="ZIP|DIR", type=Path, nargs="+", default=[],
                        help="students' kits of a course, and folders of them: their assignments are in the menu")
    parser.add_argument("--serve", type=int, metavar="PORT", help="show the site on this machine until Ctrl-C")
    options = parser.parse_args(arguments)
    try:
        note = build(options.out, options.pyodide, options.kits)
        if note is not None:
            print(f"viz.playground: {note}", file=sys.stderr, flush=True)
        print(options.out / "index.html", flush=True)
        if options.serve is not None:
            serve(options.out, options.serve)
    except (BuildError, KitError, OSError, OverflowError) as error:
        print("viz.playground: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
        return 2
    return 0


def serve(folder: Path, port: int) -> None:
    """Serve a folder to this machine alone, until Ctrl-C."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(folder)))
    with server, suppress(KeyboardInterrupt):
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


class Handler(SimpleHTTPRequestHandler):
    """Serves files by types that don't depend on the machine's settings, and logs nothing."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def log_message(self, format: str, *arguments: object) -> None:
        """Write no line for each file."""


if __name__ == "__main__":
    sys.exit(main())
