"""The playground: a page that runs minigrad, rnn and viz in a browser, with nothing to install.

    python -m viz.playground --out site --serve 8000

`program.py` runs in the page, by Pyodide; `build.py` makes the site. May import
viz and all below it; nothing imports it.
"""

from minigrad.provenance import mark_library_file

mark_library_file(__file__)
