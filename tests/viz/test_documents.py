"""The metadata of painted files: titles, descriptions, alternative texts; and no time of painting."""

from __future__ import annotations

import gzip
import io
import os
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, feedback_2, lstm, unrolled
from painters import BOTH, painting

import minigrad as mg
import viz
from rnn import Cell, t
from viz.render import rasterize
from viz.render.document import finish

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[2]
ELMAN = ("From bottom to top: x (input), h (state), y (output). h[t] is computed from x[t] (W), h[t-1] (U). "
         "y[t] is computed from h[t] (V).")


# ---- words
def test_a_definition_in_words_has_its_signals_and_edges() -> None:
    picture = viz.rolled(elman())
    assert (picture.title, picture.alt) == ("elman, rolled", ELMAN)
    words = viz.rolled(feedback_2()).alt
    assert "h3[t-2] (F)" in words and "h2[t] is computed from h1[t] (W2), h2[t-1] (U2), h3[t-2] (F)." in words
    assert "hb[t] is computed from x[t] (C), hb[t+1] (D)." in viz.rolled(bidirectional()).alt
    assert "hb (state that runs backward)" in viz.rolled(bidirectional()).alt


def test_a_run_in_words_has_its_steps_and_its_loss() -> None:
    run, loss = unrolled(elman, 4)
    picture = viz.unrolled(run, loss)
    assert picture.title == "elman, unrolled, T = 4"
    assert picture.alt == f"4 time steps from left to right. At the top, loss is computed from y[1 … 4]. {ELMAN}"
    long, _ = unrolled(elman, 50)
    folded = viz.unrolled(long, (long["y"][3] + long["y"][50]).sum())
    assert folded.title == "elman, unrolled, T = 50: 44 steps folded"
    assert ("Drawn are 1, 2, 3, 48, 49, 50; the others are folded. At the top, loss is computed from y[3, 50]."
            in folded.alt)
    assert viz.unrolled(elman().unroll(x=np.ones((1, 3)))).alt.startswith("One time step. From")


def test_colours_and_patterns_in_words() -> None:
    run, loss = unrolled(elman, 4)
    for k in (2, 3):
        grad = run["h"][k].grad
        assert grad is not None
        grad[...] = 0
    mg.optim.SGD(run.parameters, 0.1).step()  # from now on the gradients that are stored are shown
    words = viz.unrolled(run, loss, heat=True).alt
    assert re.search(r"Colours show norms of gradients from 1e−\d to 1e\+\d, patterns: exactly 0\. From bottom", words)
    assert viz.gradient_map(run).alt == (f"|gradient| of each signal at each time step, T = 4. Signals from top to "
                                         f"bottom: y, h. {re.search('Colours.*?[.]', words)[0]}")  # type: ignore[index]


def test_other_pictures_in_words() -> None:
    assert viz.rolled(lstm(), level="ops").alt.endswith("26 operations between them.")
    both = viz.both(elman(), steps=3)
    assert both.title == "elman, rolled and unrolled" and both.alt.endswith("unrolled over T = 3.")
    other = elman()
    other.name = "other"
    assert viz.diff(elman(), other).title == "elman → other"
    assert viz.diff(elman(), other).alt == "Differences: no difference: 3 nodes, 3 edges."
    run, loss = unrolled(elman, 2)
    assert viz.diff(run["h"][1], run["h"][2]).alt.startswith("Differences: ")
    loss.name = "loss"
    drawn = viz.graph(loss)
    assert drawn.title == "the graph of loss" and "at the time steps 0 … 2, computed from " in drawn.alt


def test_a_long_list_is_cut() -> None:
    cell = Cell("wide")
    x = cell.input("x", 2)
    for i in range(30):
        signal = cell.signal(f"s{i}", 2)
        signal[t] = x[t] * 2
    words = viz.rolled(cell).alt
    assert "s10 (output), and 19 more." in words and len(words) < 900


def test_the_text_may_be_replaced_and_is_copied() -> None:
    picture = viz.rolled(elman())
    picture.alt = "a <loop> & more"
    copied = picture.copy()
    assert (copied.title, copied.alt) == (picture.title, picture.alt) and type(copied) is viz.Picture


# ---- SVG
def parsed(picture: viz.Picture) -> Any:
    return ET.fromstring(picture.pipe(format="svg"))


@painting
def test_an_svg_is_an_image_with_title_and_description() -> None:
    run, loss = unrolled(elman, 3)
    for picture in (viz.rolled(elman()), viz.unrolled(run, loss), viz.gradient_map(run), viz.both(elman()),
                    viz.graph(loss), viz.diff(elman(), bidirectional()), viz.diff(run["h"][1], run["h"][2])):
        root = parsed(picture)
        assert root.get("role") == "img"
        assert [(child.tag, child.text) for child in root][:2] == [(f"{SVG}title", picture.title),
                                                                  (f"{SVG}desc", picture.alt)]
        assert picture.title and picture.alt and picture.title.isprintable()


@painting
def test_frames_have_their_captions_as_titles_and_nothing_has_a_key() -> None:
    run, loss = unrolled(elman, 3)
    for picture in (viz.unrolled(run, loss), viz.graph(loss)):
        root = parsed(picture)
        frames = [group for group in root.iter(f"{SVG}g") if group.get("class") == "cluster"]
        assert [group.find(f"{SVG}title").text for group in frames] == ["t = 1", "t = 2", "t = 3"]
        assert [title.text for title in root.iter(f"{SVG}title")] == [picture.title, "t = 1", "t = 2", "t = 3"]


@painting
def test_boxes_keep_the_text_beside_the_mouse_also_with_a_pattern() -> None:
    run, _ = unrolled(elman, 3)
    loss = mg.square(run["y"][2]).sum()
    loss.backward()
    root = parsed(viz.unrolled(run, loss, heat=True))
    tips = {link.get("{http://www.w3.org/1999/xlink}title"): link for link in root.iter(f"{SVG}a")}
    unread, = (link for tip, link in tips.items() if tip.startswith("y[3] "))
    shape = unread.find(f"{SVG}path")
    assert shape.get("fill") == "transparent"  # "none" would leave the mouse to what is behind
    assert any(tip.startswith("h[1] ") for tip in tips) and "x[1] → h[1] |g| " in " ".join(tips)


@painting
def test_names_are_escaped() -> None:
    cell = Cell("a & b <c>\x07")
    h = cell.signal("h", 2)
    h[t] = 2 * h[t-1]
    root = parsed(viz.rolled(cell))
    assert root.find(f"{SVG}title").text.startswith("a & b <c>")
    picture = viz.rolled(elman())
    picture.alt = "x < y & </desc>"
    assert parsed(picture).find(f"{SVG}desc").text == picture.alt


@painting
def test_a_compressed_svg_has_the_same_text() -> None:
    picture = viz.rolled(elman())
    assert gzip.decompress(picture.pipe(format="svgz")) == picture.pipe(format="svg")


@painting
@pytest.mark.skipif(not BOTH, reason="there is one painter")
def test_both_painters_give_the_same_titles() -> None:
    run, loss = unrolled(elman, 3)
    source = viz.unrolled(run, loss, heat=True).source
    texts = [[(part.tag, part.text) for part in ET.fromstring(finish(content, "svg", "T", "A")).iter()
              if part.tag in (f"{SVG}title", f"{SVG}desc")]
             for content in (rasterize.paint(source, "svg"), rasterize._paint_with_dot(source, "svg", None))]
    assert texts[0] == texts[1] and len(texts[0]) == 5


@painting
def test_a_notebook_shows_a_wide_picture_with_its_text() -> None:
    run, loss = unrolled(elman, 6)
    picture = viz.unrolled(run, loss)
    bundle = picture._repr_mimebundle_()
    assert f'alt="{picture.title}. {picture.alt}"' in bundle["text/markdown"]
    assert f"<desc>{picture.alt}</desc>" in bundle["image/svg+xml"]


@painting
def test_the_background_may_be_left_out() -> None:
    images = pytest.importorskip("matplotlib.image")
    picture = viz.rolled(elman())
    opaque = images.imread(io.BytesIO(picture.pipe(format="png")))
    picture.attr(bgcolor="transparent")
    clear = images.imread(io.BytesIO(picture.pipe(format="png")))
    assert clear.shape[-1] == 4 and clear[0, 0, 3] == 0 and clear[..., 3].max() == 1
    assert opaque.shape[-1] == 3 or opaque[0, 0, 3] == 1


# ---- PDF and PostScript
PAINT = """
import sys, viz
from definitions import elman, unrolled
run, loss = unrolled(elman, 3)
for format in ("pdf", "ps", "eps", "svg", "svgz", "png"):
    viz.unrolled(run, loss, heat=True).render(outfile=f"{sys.argv[1]}/picture.{format}")
"""


def painted(folder: Path, **environment: str) -> dict[str, bytes]:
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", PAINT, str(folder)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}",
                               **environment})
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@painting
@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    first = painted(tmp_path / "a", PYTHONHASHSEED="1")
    second = painted(tmp_path / "b", PYTHONHASHSEED="2", TZ="Asia/Tokyo")
    assert len(first) == 6
    assert [name for name in first if first[name] != second[name]] == []


@painting
@pytest.mark.slow
def test_a_pdf_has_the_date_that_is_set(tmp_path: Path) -> None:
    with_date = painted(tmp_path / "a", SOURCE_DATE_EPOCH="1700000000")["picture.pdf"]
    assert re.findall(rb"/CreationDate \((.*?)\)", with_date) == [b"D:20231114221320Z"]
    plain = painted(tmp_path / "b")["picture.pdf"]
    assert set(re.findall(rb"/CreationDate \(D:(\d+)", plain)) == {b"19700101000000"}


def test_a_date_that_is_no_number_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ValueError, match="SOURCE_DATE_EPOCH is 'yesterday': it must be a number of seconds"):
        finish(b"%PDF", "pdf", "", "")


@painting
def test_a_pdf_has_its_title() -> None:
    """The cross references are followed from the end, as a reader does."""
    cell = elman()
    cell.name = "größe (h)"
    content = viz.rolled(cell).pipe(format="pdf")
    references, _, trailer = content[int(content.split(b"startxref")[-1].split()[0]):].partition(b"trailer")
    assert references.startswith(b"xref\n0 ")
    offsets = [int(line.split()[0]) for line in references.split(b"\n")[2:] if line]
    for number, offset in enumerate(offsets[1:], 1):
        assert content[offset:].startswith(b"%d 0 obj" % number)
    info = re.search(rb"/Info (\d+) 0 R", trailer)
    assert info is not None
    found = re.match(rb"\d+ 0 obj\s*<<.*?/Title <([0-9a-f]+)>", content[offsets[int(info[1])]:], re.DOTALL)
    assert found is not None
    assert bytes.fromhex(found[1].decode()).decode("utf-16") == "größe (h), rolled"


def test_a_pdf_with_compressed_references_stays_as_it_is() -> None:
    assert finish(b"%PDF-1.7\n1 0 obj<<>>endobj\nstartxref\n9\n%%EOF", "pdf", "title", "").count(b"Title") == 0


# ---- the built documentation
class Node:
    """A node of a document tree, as much of it as docs/conf.py uses."""

    def __init__(self, tagname: str, *children: Node, text: str = "", **entries: str) -> None:
        self.tagname, self.children, self.text, self.entries = tagname, children, text, entries
        self.parent: Node | None = None
        for child in children:
            child.parent = self

    def __getitem__(self, key: Any) -> Any:
        return self.children[key] if isinstance(key, int) else self.entries[key]

    def __setitem__(self, key: str, value: str) -> None:
        self.entries[key] = value

    def get(self, key: str) -> str | None:
        return self.entries.get(key)

    def astext(self) -> str:
        return self.text

    def findall(self, wanted: Callable[[Node], bool]) -> list[Node]:
        return [node for child in self.children for node in (child, *child.findall(wanted)) if wanted(node)]


@painting
def test_a_page_of_the_documentation_describes_its_pictures(tmp_path: Path) -> None:
    describe = runpy.run_path(str(ROOT / "docs" / "extensions" / "pictures.py"))["describe_images"]
    cell = elman()
    cell.name = "a < b"
    picture = viz.rolled(cell)
    picture.render(outfile=tmp_path / "1f.svg")
    drawn, plot, own = (Node("image", uri="1f.svg"), Node("image", uri="2e.png"), Node("image", uri="3.svg", alt="own"))
    page = Node("document", Node("section", Node("title", text="Losses"), Node("cell", drawn, plot), own))
    describe(SimpleNamespace(srcdir=str(tmp_path)), page, "page")
    assert [image["alt"] for image in (drawn, plot, own)] == [f"a < b, rolled. {picture.alt}", "plot: Losses", "own"]
