"""The dark variant, and the contrast of text."""

from __future__ import annotations

import re

import pytest
from definitions import elman, lstm, unrolled
from drawings import draw_rolled, draw_run

import viz
from viz.render import palette
from viz.render.digraph import darken_scene


def test_dark_pictures_have_light_text_on_dark_ground_at_the_same_places() -> None:
    run, loss = unrolled(elman)
    light, dark = viz.unrolled(run, loss), viz.unrolled(run, loss, dark=True)
    assert re.findall(r'pos="[^"]*"', light.source) == re.findall(r'pos="[^"]*"', dark.source)
    assert "bgcolor=white" in light.source and 'bgcolor="#1A1A1A"' in dark.source
    for make in (viz.rolled, viz.both):
        assert 'bgcolor="#1A1A1A"' in make(elman(), dark=True).source
    assert 'bgcolor="#1A1A1A"' in viz.gradient_map(run, dark=True).source


def luminance(color: str) -> float:
    channels = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_its_box(dark: bool) -> None:
    """WCAG 2's contrast of 4.5 for text."""
    run, loss = unrolled(lstm, 3)
    scene = draw_run(run, loss, [1, 2, 3], "ops", heat=True).scene
    scene.boxes += draw_rolled(lstm()).scene.boxes
    text = palette.dark(palette.TEXT) if dark else palette.TEXT
    for box in (darken_scene(scene) if dark else scene).boxes:
        lighter, darker = sorted((luminance(text), luminance(box.paint.fill)), reverse=True)
        assert not box.label or (lighter + 0.05) / (darker + 0.05) > 4.5, box.label
