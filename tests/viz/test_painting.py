"""Pictures as files: PNG, SVG and PDF, on machines with and without Graphviz and fonts."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import DEFINITIONS, data, elman, feedback, lstm, unrolled
from drawings import norm_text
from painters import painting

import minigrad as mg
import viz
from rnn import Cell, t
from viz import PaintError
from viz.render import rasterize as paint

ROOT = Path(__file__).parents[2]
by_library = pytest.mark.skipif(importlib.util.find_spec("pygraphviz") is None, reason="pygraphviz is not installed")
SVG = "{http://www.w3.org/2000/svg}"
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


def svg(picture: viz.Picture) -> ET.Element:
    return ET.fromstring(picture.pipe(format="svg"))


def texts(root: ET.Element) -> list[str]:
    return ["".join(element.itertext()).replace("\xa0", " ") for element in root.iter(f"{SVG}text")]


def boxes(root: ET.Element) -> dict[str, tuple[float, float]]:
    """Return the text in each node, and its position."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        text = group.find(f".//{SVG}text")
        if group.get("class") == "node" and text is not None:
            found[(text.text or "").replace("\xa0", " ")] = float(text.get("x", "nan")), -float(text.get("y", "nan"))
    return found


def png_size(content: bytes) -> tuple[int, int]:
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


# ---- formats
@painting
@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_ending_of_the_file_says_the_format(format: str, tmp_path: Path) -> None:
    run, loss = unrolled(elman)
    for name, picture in (("rolled", viz.rolled(elman())), ("unrolled", viz.unrolled(run, loss=loss)),
                          ("graph", viz.graph(run["h"][2]))):
        path = picture.render(outfile=tmp_path / f"{name}.{format}")
        assert path == str(tmp_path / f"{name}.{format}")
        content = Path(path).read_bytes()
        assert content.startswith(MAGIC[format]) and len(content) > 1500
    assert sorted(os.listdir(tmp_path)) == sorted(f"{name}.{format}" for name in ("rolled", "unrolled", "graph"))


@painting
def test_pipe_and_notebooks_work_as_graphviz_has_them() -> None:
    picture = viz.rolled(elman())
    assert picture.pipe(format="png").startswith(MAGIC["png"])
    assert picture.pipe(format="svg", encoding="utf-8").startswith("<?xml")
    bundle = picture._repr_mimebundle_()
    assert bundle is not None and "<svg" in bundle["image/svg+xml"]


@painting
def test_render_works_as_graphviz_has_it(tmp_path: Path) -> None:
    picture = viz.rolled(elman())
    path = picture.render("loop", directory=tmp_path, format="svg")
    assert path == str(tmp_path / "loop.svg") and Path(path).read_bytes().startswith(MAGIC["svg"])
    assert (tmp_path / "loop").read_text(encoding="utf-8") == picture.source


@painting
@pytest.mark.parametrize("directory", [None, "pictures"])
def test_a_filename_that_ends_in_a_format_is_that_of_the_picture(tmp_path: Path, directory: str | None,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    path = viz.rolled(elman()).render("net.png", directory)
    assert path == str(Path(directory or "", "net.png")) and Path(path).read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.rglob("net*")] == ["net.png"]


@pytest.mark.parametrize("option", [{"format": "svg"}, {"view": True}])
def test_such_a_filename_has_no_other_options(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"names a picture, which {next(iter(option))} can't change"):
        viz.rolled(elman()).render(tmp_path / "net.png", **option)
    assert list(tmp_path.iterdir()) == []


@painting
def test_a_png_is_as_large_as_its_picture_and_its_resolution_say() -> None:
    picture = viz.rolled(elman())
    left, bottom, right, top = map(float, picture.graph_attr["bb"].split(","))
    for dpi in (72, 144):
        size = png_size(picture._painted("png", dpi))
        reckoned = (right - left) * dpi / 72, (top - bottom) * dpi / 72
        assert size == pytest.approx(reckoned, abs=12 * dpi / 72)  # but for the margin


@painting
def test_painting_twice_gives_the_same_bytes() -> None:
    picture = viz.rolled(elman())
    for format in ("png", "svg"):
        assert picture.pipe(format=format) == picture.pipe(format=format)


@painting
@pytest.mark.parametrize("make", [*DEFINITIONS, lstm])
def test_what_the_scene_holds_is_painted_at_its_place(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make, 3)
    for picture in (viz.rolled(make()), viz.unrolled(run, loss=loss)):
        placed = boxes(svg(picture))
        source = dict(re.findall(r'label="([\w\[\]]+)" [^\n]*?pos="([-\d.,]+)"', picture.source))
        where = {name: tuple(map(float, at.split(","))) for name, at in source.items() if name in placed}
        assert len(where) >= 2
        first = next(iter(where))
        for name, (x, y) in where.items():
            assert placed[name][0] - placed[first][0] == pytest.approx(x - where[first][0], abs=0.2)
            assert placed[name][1] - placed[first][1] == pytest.approx(y - where[first][1], abs=1.5)  # base lines


@painting
def test_an_svg_has_every_text() -> None:
    run, loss = unrolled(elman, 3)
    written = texts(svg(viz.unrolled(run, loss=loss)))
    expected = {f"{name}[{k}]" for name in "xhy" for k in (1, 2, 3)} | {"h[0] = 0", "loss", "t = 1", "t = 2", "t = 3"}
    assert expected <= set(written) and "elman, unrolled, T = 3" in written
    for name, p in run.parameters.items():
        assert f"{name}  {p.shape}   {norm_text(p.grad)}" in written
    written = texts(svg(viz.rolled(elman())))
    assert {"x[t]", "h[t]", "y[t]", "z⁻¹", "W", "U", "V", "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"} <= set(written)


@painting
def test_dashes_and_arrowheads_are_painted() -> None:
    run, _ = unrolled(elman, 2)
    root = svg(viz.unrolled(run))
    edges = [group for group in root.iter(f"{SVG}g") if group.get("class") == "edge"]
    assert len(edges) == 6 and all(group.find(f".//{SVG}polygon") is not None for group in edges)
    nodes = {"".join(group.itertext()).strip(): group for group in root.iter(f"{SVG}g") if group.get("class") == "node"}
    dashed = [name for name, group in nodes.items() if any(part.get("stroke-dasharray") for part in group.iter())]
    assert len(dashed) == 1 and "h[0]" in dashed[0].replace("\xa0", " ")


# ---- names
NAMES = ['say "hi"', "back\\slash", "{a|b}", "f<script>x()</script>", "x<b>bold</b>", "&amp;", "&lt;x&gt;", "&#65;",
         "Größe", "θ_ħ", "隐藏", "😀", "\\N\\G\\l", "%d %s", "]; node [", "it's", "<>", "--", "-->", "]]>", "<!--",
         "a  b"]


def assert_text_and_no_markup(name: str, cell_name: str) -> None:
    cell = Cell(cell_name)
    W = mg.Tensor(np.eye(2), requires_grad=True, name=f"W{name}"[:14])
    x, h = cell.input("x", 2), cell.signal(name, 2)
    h[t] = np.tanh(W @ x[t] + h[t-1])
    run = cell.unroll(x=np.ones((2, 2)))
    loss = run[name].stack().sum()
    loss.name = name
    for picture, wanted in ((viz.rolled(cell), [f"{name}[t]", f"{cell_name}, rolled", f"W{name}"[:14]]),
                            (viz.unrolled(run, loss=loss), [f"{name}[1]", f"{name}[2]", name]),
                            (viz.graph(run[name][1]), [f"{name}[1]", f"W{name}"[:14]])):
        root = svg(picture)
        assert set(wanted) <= set(texts(root))
        tags = {element.tag.removeprefix(SVG) for element in root.iter() if isinstance(element.tag, str)}
        assert tags <= {"svg", "g", "title", "polygon", "path", "text", "a", "ellipse", "polyline", "defs", "desc"}
        keys = {key.split("}")[-1] for element in root.iter() for key in element.attrib}
        assert not any(key.startswith("on") or key == "href" for key in keys)


@painting
@pytest.mark.parametrize("name", [*NAMES, "<b>bold</b>", "\\"])
def test_a_name_appears_as_text_and_never_as_markup(name: str) -> None:
    assert_text_and_no_markup(name, "plain")


@painting
@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_definition_is_text_too(name: str) -> None:
    assert_text_and_no_markup("h", name)


@painting
@pytest.mark.parametrize("name", ["<b>bold</b>", "<script>x()</script>", "\\"])
def test_a_definition_named_like_markup_is_drawn(name: str) -> None:
    assert_text_and_no_markup("h", name)


@painting
def test_a_newline_in_a_name_becomes_visible() -> None:
    cell = Cell("two\nlines")
    h = cell.signal("a\nb\tc", 2)
    h[t] = 2 * h[t-1]
    written = texts(svg(viz.rolled(cell)))
    assert "a⏎b c[t]" in written and "two⏎lines, rolled" in written


@painting
@pytest.mark.parametrize("name", ["bell\a", "\x1b[31mred", "form\ffeed", "nul\0", "\ud800", "not\ufffe"])
def test_a_name_with_control_characters_gives_a_valid_svg(name: str) -> None:
    """Signals refuse the last but two and the last but one; definitions and parameters may have any name."""
    cell, W = Cell(name), mg.Tensor(np.ones(2), requires_grad=True, name=name)
    h = cell.signal("h" if name in ("nul\0", "\ud800") else name, 2)
    h[t] = W * h[t-1]
    assert any("[t]" in text for text in texts(svg(viz.rolled(h.cell))))


# ---- errors
@by_library
@pytest.mark.parametrize("format", ["xyz", "PNGG", "png:nothing"])
def test_an_unknown_format_says_so_and_names_others(format: str, tmp_path: Path) -> None:
    old = tmp_path / "h.xyz"
    old.write_text("old")
    with pytest.raises(PaintError, match=f"'{format.lower()}' is not a format .*: try png, svg or pdf"):
        viz.rolled(elman()).render(outfile=old, format=format)
    assert old.read_text() == "old" and os.listdir(tmp_path) == ["h.xyz"]


def test_a_file_without_ending_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"doesn't end in a format: e\.g\. loop\.png, \.svg or \.pdf"):
        viz.rolled(elman()).render(outfile=tmp_path / "loop")
    assert os.listdir(tmp_path) == []


@painting
def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "h.png"
    with pytest.raises(FileNotFoundError) as error:
        viz.rolled(elman()).render(outfile=path)
    assert str(path) in str(error.value) and "make the folder first" in str(error.value)
    assert os.listdir(tmp_path) == []


@painting
def test_a_folder_or_a_file_in_the_way_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "h.png").mkdir()
    (tmp_path / "file").write_text("old")
    for path, kind in ((tmp_path / "h.png", IsADirectoryError), (tmp_path / "file" / "h.png", NotADirectoryError)):
        with pytest.raises(OSError) as error:
            viz.rolled(elman()).render(outfile=path)
        assert isinstance(error.value, (kind, PermissionError))  # Windows says: access denied
        assert f"can't write {path}" in str(error.value) and "choose another place" in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "h.png"] and (tmp_path / "file").read_text() == "old"


@painting
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=f"can't write {re.escape(str(tmp_path / 'h.png'))}"):
        viz.rolled(elman()).render(outfile=tmp_path / "h.png")
    tmp_path.chmod(0o700)


@painting
def test_a_full_disk_leaves_the_old_picture_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.png"
    viz.rolled(elman()).render(outfile=path)
    old = path.read_bytes()
    original = os.fdopen

    def full(*args: Any, **options: Any) -> Any:
        file = original(*args, **options)

        class Full:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *exception: object) -> None:
                file.close()

            def write(self, content: bytes) -> None:
                file.write(content[:100])
                raise OSError(28, "No space left on device")

        return Full()

    monkeypatch.setattr(paint.os, "fdopen", full)
    with pytest.raises(OSError, match=f"can't write {re.escape(str(path))}: No space left on device"):
        viz.unrolled(unrolled(elman)[0]).render(outfile=path)
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["h.png"]


@painting
def test_text_that_graphviz_cannot_read_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PaintError):
        paint.paint("digraph { a -> ", "svg")
    with pytest.raises(PaintError, match="NUL"):
        paint.paint("digraph { \0 }", "svg")
    assert paint.paint("digraph { a }", "svg").startswith(b"<?xml")  # the painter still works
    assert capfd.readouterr() == ("", "")


@painting
def test_a_picture_too_large_to_be_read_says_what_to_do(tmp_path: Path) -> None:
    n = Cell().signal("n", ())
    n[t] = n[t-1] + 1
    picture = viz.unrolled(n.cell.unroll(T=400), fold=False)
    with pytest.raises(ValueError, match=r"pixels long, more than the 30,000 .*fold=True\), or render it as SVG"):
        picture.render(outfile=tmp_path / "n.png")
    assert os.listdir(tmp_path) == []
    assert "n[400]" in texts(svg(picture))


@painting
def test_nan_is_drawn_and_said() -> None:
    cell = elman()
    inputs = data(cell)
    inputs["x"][1] = np.nan
    assert "NaN in 7 boxes; the first is x[2]" in [
        text for text in texts(svg(viz.unrolled(cell.unroll(**inputs)))) if text.startswith("NaN")]


# ---- painters
def test_without_any_painter_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    old = tmp_path / "h.png"
    old.write_text("old")
    with pytest.raises(PaintError) as error:
        viz.rolled(elman()).render(outfile=old)
    message = str(error.value)
    assert 'pip install "pygraphviz>=2.0"' in message and "dot on the PATH" in message and ".source" in message
    assert old.read_text() == "old" and os.listdir(tmp_path) == ["h.png"]


@pytest.mark.skipif(os.name != "posix", reason="a script replaces the program")
def test_without_pygraphviz_the_program_dot_paints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys\n"
                       "print(sys.argv[1:], sys.stdin.buffer.read().count(b'layout=nop2'))\n")
    program.chmod(0o755)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert viz.rolled(elman()).pipe(format="png").decode() == "['-Tpng', '-Gdpi=110'] 1\n"
    assert viz.rolled(elman()).pipe(format="svg").decode() == "['-Tsvg'] 1\n"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('Format: \"xyz\" not recognized')\n")
    with pytest.raises(PaintError, match="dot can't paint this as 'xyz': Format: \"xyz\" not recognized"):
        viz.rolled(elman()).render(outfile=tmp_path / "h.xyz")


@by_library
def test_pygraphviz_paints_where_no_dot_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for picture in (viz.rolled(elman()), viz.graph(unrolled(elman)[1])):  # placed by us; laid out by Graphviz
        for format, magic in MAGIC.items():
            assert picture.pipe(format=format).startswith(magic)


@painting
def test_threads_may_paint_at_the_same_time() -> None:
    picture, painted = viz.rolled(elman()), []
    threads = [threading.Thread(target=lambda: painted.append(picture.pipe(format="svg"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(painted) == 4 and len(set(painted)) == 1


@painting
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_painting_leaves_no_file_open() -> None:
    def paint_some() -> int:
        viz.rolled(elman()).pipe(format="svg")
        with pytest.raises(PaintError):
            paint.paint("digraph {", "svg")
        return len(os.listdir("/proc/self/fd"))

    assert paint_some() == paint_some() == paint_some()


def test_painting_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from viz.render import fonts

    monkeypatch.setenv("FONTCONFIG_FILE", "/my/fonts.conf")
    with fonts.bundled_fonts_available():
        pass
    assert os.environ["FONTCONFIG_FILE"] == "/my/fonts.conf"
    monkeypatch.delenv("FONTCONFIG_FILE")
    with fonts.bundled_fonts_available():
        pass
    assert "FONTCONFIG_FILE" not in os.environ


def test_drawing_imports_neither_matplotlib_nor_a_painter() -> None:
    program = ("import sys; import viz; from definitions import elman; viz.rolled(elman()).source; "
               "print([m for m in ('matplotlib', 'pygraphviz', 'torch') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}"})
    assert done.stdout.strip() == "[]"


# ---- fonts
PAINT_LABELS = """
import sys, viz
from minigrad import Tensor
from rnn import Cell, t
from viz.render.scene import Box, Scene
from viz.render.palette import Paint
from viz.render.digraph import picture
scene = Scene("labels", boxes=[Box(f"b{n}", 0, 60 * n, 200, 40, text, Paint("#ffffff", "#ffffff"), size=20)
                               for n, text in enumerate(sys.argv[1:])])
sys.stdout.buffer.write(picture(scene)._painted("png", 72))
"""


def painted_labels(tmp_path: Path, labels: list[str], no_fonts: bool) -> Any:
    """A picture of nothing but labels, as an array of darkness."""
    image = pytest.importorskip("matplotlib.image")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if no_fonts:
        empty = tmp_path / "empty.conf"
        empty.write_text('<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n'
                         f"<cachedir>{tmp_path / 'cache'}</cachedir></fontconfig>\n")
        environment |= {"FONTCONFIG_FILE": str(empty), "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PAINT_LABELS, *labels], env=environment, capture_output=True,
                          check=True)
    assert done.stderr == b""
    path = tmp_path / f"labels{no_fonts}.png"
    path.write_bytes(done.stdout)
    return 1 - image.imread(path)[..., :3].mean(-1)


@painting
def test_a_machine_without_fonts_paints_readable_labels(tmp_path: Path) -> None:
    blank = painted_labels(tmp_path, ["", ""], no_fonts=True)
    bare = painted_labels(tmp_path, ["h[3]", "Wθ z⁻¹"], no_fonts=True)
    usual = painted_labels(tmp_path, ["h[3]", "Wθ z⁻¹"], no_fonts=False)
    assert blank.sum() < 1 and bare.shape == usual.shape
    for half in (slice(None, bare.shape[0] // 2), slice(bare.shape[0] // 2, None)):  # each label
        assert bare[half].sum() > 50
        # The same letters at the same places; boxes in the place of letters would agree much less.
        a, b = bare[half].ravel(), usual[half].ravel()
        assert (a @ b) / np.sqrt((a @ a) * (b @ b)) > 0.9


@painting
@pytest.mark.slow
def test_labels_are_no_wider_than_computed(tmp_path: Path) -> None:
    from viz.render.fonts import text_width

    for text in ("hidden_layer_1[t]", "W (4, 3)   |g| 1.2e-03", "mmmmWWWW@@", "αβγδεζηθ"):
        dark = np.flatnonzero(painted_labels(tmp_path, [text], no_fonts=True).max(0) > 0.2)
        assert dark[-1] - dark[0] == pytest.approx(text_width(text, 20), rel=0.06)


# ---- one picture, two routes
BOTH = importlib.util.find_spec("pygraphviz") is not None and shutil.which("dot") is not None
by_both = pytest.mark.skipif(not BOTH, reason="pygraphviz and the program dot are not both installed")


def outlines(content: bytes, *kinds: str) -> list[float]:
    """The corners of boxes (node), frames (cluster) and lines (edge) of an SVG, but for the heads of arrows."""
    groups = [group for group in ET.fromstring(content).iter(f"{SVG}g")
              if group.get("class") in kinds]
    shapes = [element.get("points") or element.get("d") or "" for group in groups for element in group.iter()
              if element.tag == f"{SVG}path" or (element.tag == f"{SVG}polygon" and group.get("class") != "edge")]
    return [float(number) for shape in shapes for number in re.findall(r"-?[\d.]+", shape)]


@pytest.mark.slow
@by_both
@pytest.mark.parametrize("make", [elman, feedback, lstm])
def test_both_routes_paint_the_same_picture(make: Callable[[], Cell]) -> None:
    """Boxes, frames and lines agree to a point; text and arrowheads may differ by a point or two.

    The layout of a tensor's graph is Graphviz's, and differs between versions.
    """
    run, loss = unrolled(make, 4)
    for picture in (viz.rolled(make()), viz.unrolled(run, loss=loss, level="ops"), viz.graph(run["y"][1])):
        library, program = paint.paint(picture.source, "svg"), paint._paint_with_dot(picture.source, "svg", None)
        if "nop2" in picture.source:
            kinds = "node", "cluster", "edge"
            assert outlines(program, *kinds) == pytest.approx(outlines(library, *kinds), abs=1.0)
        assert texts(ET.fromstring(program)) == texts(ET.fromstring(library))
        library, program = paint.paint(picture.source, "png", 110), paint._paint_with_dot(picture.source, "png", 110)
        assert np.abs(np.subtract(png_size(program), png_size(library))).max() <= 1


@pytest.mark.slow
@by_both
@pytest.mark.parametrize("make", [elman, feedback, lstm])
def test_both_routes_paint_the_same_dots(make: Callable[[], Cell]) -> None:
    """They differ by less than 4 of 256 shades on average, as letters may be a pixel higher."""
    images = pytest.importorskip("matplotlib.image")
    run, loss = unrolled(make, 4)
    for picture in (viz.rolled(make()), viz.unrolled(run, loss=loss, level="ops")):
        library, program = (images.imread(io.BytesIO(content))[..., :3] for content in (
            paint.paint(picture.source, "png", 110), paint._paint_with_dot(picture.source, "png", 110)))
        height, width = min(len(library), len(program)), min(len(library[0]), len(program[0]))
        assert np.abs(library[:height, :width] - program[:height, :width]).mean() < 4 / 256
