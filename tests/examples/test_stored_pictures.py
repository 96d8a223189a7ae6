"""python -m examples.draw_pictures: the pictures of full runs, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples import index

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")
from examples import draw_pictures  # noqa: E402


def test_pictures_are_reduced_until_they_are_small(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)).save(tmp_path / "large.png")
    draw_pictures.store(tmp_path / "large.png", tmp_path / "topic" / "small.png")
    assert (tmp_path / "large.png").stat().st_size > 3 * draw_pictures.MOST_BYTES
    assert (tmp_path / "topic" / "small.png").stat().st_size <= draw_pictures.MOST_BYTES
    with Image.open(tmp_path / "topic" / "small.png") as small:
        assert small.size == (320, 240)


def test_pictures_are_at_most_so_wide(tmp_path: Path) -> None:
    Image.new("RGB", (3 * draw_pictures.WIDTHS[0], 30), "white").save(tmp_path / "wide.png")
    draw_pictures.store(tmp_path / "wide.png", tmp_path / "narrow.png")
    with Image.open(tmp_path / "narrow.png") as narrow:
        assert narrow.size == (draw_pictures.WIDTHS[0], 10)


def test_pictures_are_on_white_and_otherwise_as_they_were(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.putpixel((1, 1), (0, 114, 178, 255))
    image.save(tmp_path / "clear.png")
    draw_pictures.store(tmp_path / "clear.png", tmp_path / "stored.png")
    with Image.open(tmp_path / "stored.png") as stored:
        pixels = np.asarray(stored.convert("RGB"))
    assert pixels[1, 1].tolist() == [0, 114, 178]
    assert pixels.reshape(-1, 3).tolist().count([255, 255, 255]) == 7


def test_pictures_are_refused_where_they_cannot_be_made_small(tmp_path: Path) -> None:
    (tmp_path / "large.svg").write_text("<svg>" + "x" * draw_pictures.MOST_BYTES, encoding="utf-8")
    with pytest.raises(draw_pictures.PictureError, match=r"large\.svg has more than 60000 bytes"):
        draw_pictures.store(tmp_path / "large.svg", tmp_path / "topic" / "small.svg")
    assert list((tmp_path / "topic").iterdir()) == []


def test_pictures_of_an_unknown_example_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw_pictures.main(["nothing"]) == 2
    assert capsys.readouterr().err == "draw_pictures: there is no example nothing\n"


def test_an_example_that_names_no_picture_is_told_which_it_drew(tmp_path: Path) -> None:
    unnamed = index.Example(index.FOLDER / "hessian.py", "Hessian.\n\n    python -m examples.hessian\n\nText.")
    with pytest.raises(draw_pictures.PictureError, match=r"^hessian drew curvature\.png; its docstring names no pic"):
        draw_pictures.drawn(unnamed, tmp_path)
