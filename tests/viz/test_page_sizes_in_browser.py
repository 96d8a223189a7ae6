"""viz.stepper's page on small and large screens and on paper: nothing overlaps, is cut off, or is too small."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from browser import Opened, browser, opened
from elman_losses import long_loss, loss_of, lstm_loss, run_of
from page_geometry import CUT, OVERLAPS, SMALL, WIDER

__all__ = ["browser", "opened"]  # fixtures

SIZES = [(400, 800), (700, 900), (905, 800), (1024, 768), (1440, 900), (1920, 1080)]


def problems(page: Opened) -> list[str]:
    return [problem for script in (WIDER, OVERLAPS, CUT) for problem in page.run(script)]


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("loss", [lambda: loss_of(run_of()), lstm_loss, lambda: long_loss(200)])
class TestAtEveryWidth:
    def test_nothing_is_wider_than_the_screen_overlaps_or_is_cut(self, opened: Callable[..., Opened], loss: Any,
                                                                  width: int, height: int) -> None:
        page = opened(loss(), width=width, height=height)
        for step in (0, 1, 9, 14, 28):
            page.go(step)
            assert problems(page) == [], step

    def test_nor_with_everything_open(self, opened: Callable[..., Opened], loss: Any, width: int, height: int) -> None:
        fragment = "#step=9&break=nan&break=tanh&break=nothing&watch=loss"
        page = opened(loss(), width=width, height=height, fragment=fragment)
        page.tab.locator("#picture").focus()
        page.press("?", "w")
        if page.tab.get_attribute("#listing", "aria-expanded") == "false":
            page.tab.click("#listing")
        assert page.tab.is_visible("#list") and page.tab.is_visible("#keys") and page.tab.is_visible("#notice")
        assert len(page.texts("#watched li")) == 2 and len(page.texts("#stops li")) == 2
        page.run("scrollTo(0, 0)")  # else the step buttons lie over what is scrolled
        assert problems(page) == []


@pytest.mark.parametrize("width, height", SIZES)
def test_every_control_is_large_enough_for_a_finger(opened: Callable[..., Opened], width: int, height: int) -> None:
    page = opened(lstm_loss(), width=width, height=height, fragment="#step=9&break=nan&watch=loss&break=nothing")
    page.tab.click("#help")
    if page.tab.get_attribute("#listing", "aria-expanded") == "false":
        page.tab.click("#listing")
    assert page.run(SMALL) == []


def test_the_whole_title_is_shown_on_a_phone(opened: Callable[..., Opened]) -> None:
    page = opened(loss_of(run_of()), width=400, height=800)
    assert page.text("h1").startswith("Backward pass of the loss = ")
    assert page.run("(e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight + 1)"
                    "(document.querySelector('h1'))")


def test_step_buttons_and_watched_gradients_stay_in_sight_on_a_phone(opened: Callable[..., Opened]) -> None:
    page = opened(loss_of(run_of()), width=400, height=800, fragment="#step=9&watch=U")
    page.tab.mouse.wheel(0, 1200)
    page.until("scrollY > 500")
    for selector in ("#moves", "#watch-row"):
        box = page.tab.locator(selector).bounding_box()
        assert 0 <= box["y"] < 100, selector
    page.tab.click("#on")
    assert page.at == 10


def test_many_watched_gradients_leave_room_on_a_phone(opened: Callable[..., Opened]) -> None:
    names = [f"{signal}[{k}]" for signal in "hy" for k in range(1, 13)]
    page = opened(loss_of(run_of(12)), width=400, height=800, fragment="#" + "&".join(f"watch={x}" for x in names))
    row = page.tab.locator("#watch-row")
    assert len(page.texts("#watched li")) == 24 and row.bounding_box()["height"] <= 104
    page.tab.locator("#watched li").last.scroll_into_view_if_needed()
    assert page.tab.locator("#watched li").last.is_visible()


@pytest.mark.parametrize("width, fewest", [(400, 3), (1440, 4), (1920, 5)])
def test_the_time_axis_of_a_long_run_can_be_read(opened: Callable[..., Opened], width: int, fewest: int) -> None:
    page = opened(long_loss(200), width=width, height=900)
    labels = page.texts("#map .time")
    assert labels[0] == "1" and labels[-1] == "200" and len(labels) >= fewest
    boxes = page.run("[...document.querySelectorAll('#map .time')].map(e => e.getBoundingClientRect().toJSON())")
    for a, b in pairwise(boxes):
        assert a["right"] + 4 < b["left"]
    cells = page.run("""[...document.querySelectorAll('#map .cell')].slice(0, 200)
        .map(e => (r => (r.left + r.right) / 2)(e.getBoundingClientRect()))""")
    for label, box in zip(labels, boxes):
        assert (box["left"] + box["right"]) / 2 == pytest.approx(cells[int(label) - 1], abs=2)


@pytest.mark.parametrize("width", [400, 1440])
@pytest.mark.parametrize("T, each", [(300, 2), (450, 3)])
def test_a_cell_of_a_very_long_run_stands_for_several_steps(opened: Callable[..., Opened], width: int, T: int,
                                                            each: int) -> None:
    page = opened(long_loss(T), width=width, height=900)
    cells = page.run("[...document.querySelectorAll('#map .cell')].map(e => e.getBoundingClientRect().toJSON())")
    assert len(cells) == 2 * T // each
    assert all(cell["width"] > 1 for cell in cells)
    grid = page.tab.locator("#map .grid").bounding_box()
    assert max(cell["right"] for cell in cells) <= grid["x"] + grid["width"] <= width
    assert f"the largest of {each} steps" in page.text("#map h3")
    for label in page.texts("#map .time")[1:-1]:
        assert int(label) % 10 == 0
    assert problems(page) == []


def test_such_a_cell_has_the_largest_gradient_of_its_steps(opened: Callable[..., Opened]) -> None:
    page = opened(long_loss(300))
    page.press("End")
    cell = page.tab.locator("#map .cell").nth(150 + 70)  # of h, steps 141 and 142
    assert cell.get_attribute("title") == "h[141] … h[142]"
    cell.click()
    size = float(page.tab.locator("#panel .upstream .norm").first.get_attribute("title").split()[1])
    page.go(page.at + (6 if page.text("#panel h2").startswith("h[142]") else -6))
    other = float(page.tab.locator("#panel .upstream .norm").first.get_attribute("title").split()[1])
    assert page.text("#panel h2")[:6] in ("h[141]", "h[142]") and other < size


class TestPrinted:
    def test_is_the_current_step_without_controls(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), scheme="dark", fragment="#step=14")
        page.press("d", "d")  # dark by choice
        page.tab.emulate_media(media="print")
        for selector in ("#moves", "#more", "#search", "#zoom", "#steps", ".copy", ".watch"):
            assert not page.tab.locator(selector).first.is_visible(), selector
        assert page.tab.is_visible("#panel .card")
        picture, legend = (page.tab.locator(place).bounding_box() for place in ("#picture svg", "#legend"))
        assert picture["height"] > 150 and picture["y"] + picture["height"] < legend["y"]
        assert "step 14 of 28" in page.text("#panel dl").replace("\n", " ")
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.run("[...document.querySelectorAll('main, #panel, #picture, body')]"
                        ".filter(e => getComputedStyle(e).overflow !== 'visible').length") == 0

    def test_shows_of_a_wide_graph_the_part_around_the_step(self, opened: Callable[..., Opened]) -> None:
        page = opened(long_loss(100), fragment="#step=300")
        whole = page.tab.get_attribute("#picture svg", "viewBox")
        page.run("dispatchEvent(new Event('beforeprint'))")
        page.tab.emulate_media(media="print")
        left, _, width, _ = map(float, page.tab.get_attribute("#picture svg", "viewBox").split())
        box = page.run("(b => [b.x, b.x + b.width])(document.querySelector('.box.current').getBBox())")
        assert left < box[0] < box[1] < left + width < 1000 + left
        picture = page.tab.locator("#picture svg").bounding_box()
        assert picture["height"] > 150 and picture["width"] > 600
        page.run("dispatchEvent(new Event('afterprint'))")
        assert page.tab.get_attribute("#picture svg", "viewBox") == whole
