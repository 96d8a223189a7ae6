"""The playground's gradients, training, downloads, sizes of pictures and kept programs, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_playground_in_browser import DEFINITION, Playground, address, browser, page  # noqa: F401 (fixtures)

from viz.playground.build import EXAMPLES
from viz.playground.examples import TITLES

PROGRAM = DEFINITION + "run = net.unroll(x=np.ones((3, 1, 2)))\nloss = (run['h'][3] ** 2).sum()\nloss.backward()\n"


@pytest.fixture
def view(page: Playground) -> Iterator[Any]:  # noqa: F811
    """Choose a view; at the end the first one is shown again."""
    def choose(name: str) -> None:
        if page.tab.get_attribute(f"#tab-{name}", "aria-selected") != "true":
            page.after(page.tab.click, f"#tab-{name}")

    yield choose
    choose("pictures")


@pytest.fixture
def other(browser: Any, address: str) -> Iterator[Playground]:  # noqa: F811
    """Return a page of its own, for what a browser keeps."""
    opened = Playground(browser, address)
    yield opened
    assert opened.complaints == []
    opened.context.close()


def open_example(page: Playground, name: str) -> None:  # noqa: F811
    if page.tab.input_value("#examples") != name:
        page.after(page.tab.select_option, "#examples", name)


def train(page: Playground, steps: str, rate: str = "0.05", optimizer: str = "sgd") -> None:  # noqa: F811
    page.tab.select_option("#view-training select", optimizer)
    page.tab.get_by_role("spinbutton", name="steps").fill(steps)
    page.tab.get_by_label("learning rate").fill(rate)
    page.tab.click("#train")


def ended(page: Playground) -> str:  # noqa: F811
    page.until("document.getElementById('train').textContent === 'train'")
    return page.text("#told")


def saved(page: Playground, selector: str) -> tuple[str, bytes]:  # noqa: F811
    with page.tab.expect_download() as found:
        page.tab.click(selector)
    return found.value.suggested_filename, Path(found.value.path()).read_bytes()


class TestGradients:
    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_every_example_has_maps_and_tables(self, page: Playground, view: Any, name: str) -> None:  # noqa: F811
        open_example(page, name)
        view("gradients")
        count = 1 + (name == "encoder_decoder")
        assert page.tab.locator("#view-gradients figure svg[role=img]").count() == count
        assert page.tab.locator("#view-gradients table").count() == 2 * count
        assert page.tab.locator("#view-gradients td.largest").count() > 0 or name == "not_a_number"
        assert page.tab.locator("#view-gradients svg [tabindex]").count() == 0

    def test_without_a_loss_the_next_line_is_told(self, page: Playground, view: Any) -> None:  # noqa: F811
        view("gradients")
        page.run(DEFINITION)
        assert "run = cell.unroll(x=data)" in page.text("#view-gradients")
        page.run(PROGRAM)
        assert page.tab.locator("#view-gradients figure").count() == 1


class TestTraining:
    def test_the_loss_falls_and_the_pictures_are_those_of_the_trained_parameters(
            self, page: Playground, view: Any) -> None:  # noqa: F811
        open_example(page, "elman")
        before = page.labels("#unrolled")
        view("training")
        train(page, "50", "0.02", "adam")
        text = ended(page)
        assert text.startswith("The loss was 1.392") and "after 50 steps" in text
        points = page.tab.get_attribute("#view-training polyline", "points").split()
        heights = [float(point.split(",")[1]) for point in points]
        assert len(heights) == 51 and heights[-1] > heights[0] + 100, "down the page"
        assert page.tab.get_attribute("#view-training svg", "aria-label").endswith(text)
        view("pictures")
        assert page.labels("#unrolled") != before and page.text("#trained") == "after 50 training steps"
        view("training")
        page.tab.click("text=reset")
        page.until("document.getElementById('told').textContent === 'The loss is 1.392.'")
        view("pictures")
        assert page.labels("#unrolled") == before and not page.tab.is_visible("#trained")

    def test_stops_at_a_press(self, page: Playground, view: Any) -> None:  # noqa: F811
        page.run(PROGRAM)
        view("training")
        train(page, "100000")
        page.until("document.querySelectorAll('#view-training polyline').length")
        page.tab.click("#train")
        steps = int(ended(page).split(" after ")[1].split()[0])
        assert 0 < steps < 100000
        train(page, "1")
        assert f"after {steps + 1} steps" in ended(page), "and goes on"

    def test_stops_when_the_program_changes(self, page: Playground, view: Any) -> None:  # noqa: F811
        page.run(PROGRAM)
        view("training")
        train(page, "100000")
        page.until("document.querySelectorAll('#view-training polyline').length")
        page.run(PROGRAM.replace("0.5", "0.25"))
        assert ended(page).startswith("The loss is ") and page.tab.locator("#view-training polyline").count() == 0

    def test_a_loss_without_bounds_names_its_step(self, page: Playground, view: Any) -> None:  # noqa: F811
        page.run(PROGRAM.replace("np.tanh(x[t] + U @ h[t-1])", "x[t] + U @ h[t-1]"))
        view("training")
        train(page, "100", "1e6")
        assert "made the loss inf" in ended(page) or "made the loss nan" in ended(page)

    def test_begins_at_enter_and_numbers_that_cannot_be_are_told(self, page: Playground, view: Any) -> None:  # noqa: F811
        page.run(PROGRAM)
        view("training")
        train(page, "3")
        ended(page)
        page.tab.get_by_role("spinbutton", name="steps").press("Enter")
        page.until("document.getElementById('told').textContent.includes('after 6 steps')")
        for steps, rate in (("0", "0.1"), ("", "0.1"), ("10", "-1")):
            train(page, steps, rate)
            assert "learning rate is positive" in page.text("#told")

    def test_without_a_loss_the_next_line_is_told(self, page: Playground, view: Any) -> None:  # noqa: F811
        view("training")
        page.run(DEFINITION)
        assert "run = cell.unroll(x=data)" in page.text("#told") and not page.tab.is_visible("#train")


class TestDownloads:
    def test_a_picture_as_svg_and_png(self, page: Playground) -> None:  # noqa: F811
        open_example(page, "elman")
        name, svg = saved(page, "#unrolled figcaption >> text=SVG")
        assert name == "elman-unrolled-t-4.svg" and svg.startswith(b"<?xml") and b"sans-serif" in svg
        name, png = saved(page, "#unrolled figcaption >> text=PNG")
        assert name == "elman-unrolled-t-4.png" and png.startswith(b"\x89PNG")
        width = page.tab.evaluate("2 * document.querySelector('#unrolled figure').dataset.width * 96 / 72")
        assert abs(int.from_bytes(png[16:20], "big") - width) <= 4

    def test_the_curve_of_a_training(self, page: Playground, view: Any) -> None:  # noqa: F811
        page.run(PROGRAM)
        view("training")
        train(page, "10")
        ended(page)
        name, svg = saved(page, "#view-training figcaption >> text=SVG")
        assert name == "loss-by-training-step.svg" and b"<polyline" in svg and b'xmlns="http' in svg
        assert saved(page, "#view-training figcaption >> text=PNG")[1].startswith(b"\x89PNG")

    def test_the_program_and_a_notebook(self, page: Playground) -> None:  # noqa: F811
        open_example(page, "elman")
        page.tab.click("#download summary")
        name, program = saved(page, "#save-program")
        assert name == "elman_network.py" and program == (EXAMPLES / "elman.py").read_bytes()
        page.tab.click("#download summary")
        name, notebook = saved(page, "#save-notebook")
        cells = json.loads(notebook)["cells"]
        assert name == "elman_network.ipynb" and "".join(cells[1]["source"]) == page.program.strip()
        assert [cell["source"][-1] for cell in cells[2:]] == [
            "viz.rolled(elman)", "viz.unrolled(run, loss=loss)", "viz.gradient_map(run, loss=loss)"]

    def test_a_file_never_hides_a_package(self, page: Playground) -> None:  # noqa: F811
        page.run('"""RNN"""\n' + PROGRAM)
        page.tab.click("#download summary")
        assert saved(page, "#save-program")[0] == "rnn_program.py"

    def test_the_menu_is_for_the_keyboard_too(self, page: Playground) -> None:  # noqa: F811
        page.tab.focus("#download summary")
        page.tab.keyboard.press("Enter")
        page.tab.keyboard.press("Tab")
        assert page.tab.evaluate("document.activeElement.id") == "save-program"
        page.tab.keyboard.press("Escape")
        assert not page.tab.is_visible("#save-program")
        assert page.tab.evaluate("document.activeElement.tagName") == "SUMMARY"


class TestSizes:
    def test_a_wide_picture_fits_or_has_its_full_size(self, page: Playground) -> None:  # noqa: F811
        open_example(page, "vanishing")
        svg, scroll = page.tab.locator("#unrolled svg"), page.tab.locator("#unrolled .scroll")

        def press(name: str) -> float:
            page.tab.click(f"#unrolled figcaption >> text={name}")
            return float(svg.bounding_box()["width"])

        first, full = svg.bounding_box()["width"], press("full size")
        whole = press("fit")
        assert whole <= scroll.bounding_box()["width"] < first < full
        assert page.tab.get_attribute("#unrolled [data-size=whole]", "aria-pressed") == "true"
        page.after(page.tab.check, "#heat")
        assert svg.bounding_box()["width"] == whole, "a choice stays when the picture is drawn again"
        page.after(page.tab.uncheck, "#heat")
        assert press("fit") == first, "a second press takes the choice back"

    def test_narrow_pictures_stand_side_by_side_and_wide_ones_under_each_other(
            self, page: Playground) -> None:  # noqa: F811
        for name, beside in (("elman", True), ("lstm", False)):
            open_example(page, name)
            rolled, unrolled = (page.tab.locator(f"#{which}").bounding_box() for which in ("rolled", "unrolled"))
            assert (unrolled["x"] >= rolled["x"] + rolled["width"]) == beside
            assert (unrolled["y"] >= rolled["y"] + rolled["height"]) != beside

    @pytest.mark.parametrize("width", [400, 800, 1440, 1920])
    def test_no_view_is_wider_than_the_window(self, page: Playground, view: Any, width: int) -> None:  # noqa: F811
        page.tab.set_viewport_size({"width": width, "height": 900})
        for name in ("vanishing", "encoder_decoder"):
            open_example(page, name)
            for shown in ("gradients", "training", "pictures"):
                view(shown)
                assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.tab.set_viewport_size({"width": 1440, "height": 900})


class TestBoxes:
    def test_a_click_marks_the_line_and_leaves_the_focus(self, page: Playground) -> None:  # noqa: F811
        page.run(PROGRAM)
        page.boxes("#unrolled", "h[2]").click()
        page.until("document.querySelector('#editor').shadowRoot.querySelector('.cm-shown-line')")
        assert page.text("#editor .cm-shown-line") == "h[t] = np.tanh(x[t] + U @ h[t-1])"
        assert page.tab.evaluate("document.activeElement.getAttribute('aria-label')") == "h[2]"
        page.tab.click("#box >> text=close")
        assert page.tab.locator("#editor .cm-shown-line").count() == 0 and not page.tab.is_visible("#box")
        assert page.tab.evaluate("document.activeElement.getAttribute('aria-label')") == "h[2]"

    def test_parameters_and_several_runs_have_values(self, page: Playground) -> None:  # noqa: F811
        open_example(page, "encoder_decoder")
        for label, title in (("s[2]", "s[2], shape (1, 4)"), ("W ", "W, shape (4, 3)")):
            page.tab.locator(f'#unrolled .node[aria-label^="{label}"]').first.press("Enter")
            page.until(f"document.querySelector('#box h2')?.textContent === '{title}'")


class TestKept:
    """A program that was typed is there again; neither an example nor a link takes its place unasked."""

    def test_over_a_reload(self, other: Playground) -> None:
        other.open()
        other.wait()
        other.run(DEFINITION)
        other.open()
        other.wait()
        assert other.program == DEFINITION.rstrip("\n") or other.program == DEFINITION
        assert "h[t]" in other.labels("#rolled") and other.tab.input_value("#examples") == ""

    def test_beside_an_example_that_was_changed(self, other: Playground) -> None:
        other.open()
        other.wait()
        assert not other.tab.locator("#own option").count()
        other.run(DEFINITION)
        other.after(other.tab.select_option, "#examples", "lstm")
        other.after(other.tab.fill, "#steps", "5")
        other.tab.click("#editor .cm-content")
        other.after(other.tab.keyboard.insert_text, "# mine\n")
        kept = other.tab.locator("#own option").all_text_contents()
        assert kept == ["An LSTM, as six equations", "import numpy as np"]
        other.after(lambda: other.tab.select_option("#examples", label="import numpy as np"))
        assert other.program.strip() == DEFINITION.strip()
        other.after(lambda: other.tab.select_option("#examples", label="An LSTM, as six equations"))
        assert "# mine" in other.program and "LSTM" in other.program

    def test_undo_brings_back_what_an_example_replaced(self, other: Playground) -> None:
        other.open()
        other.wait()
        other.run(DEFINITION)
        other.after(other.tab.select_option, "#examples", "lstm")
        other.tab.click("#editor .cm-content")
        other.after(other.tab.keyboard.press, "Control+z")
        assert other.program.strip() == DEFINITION.strip()

    def test_a_link_does_not_replace_it(self, other: Playground) -> None:
        other.open()
        other.wait()
        other.run(DEFINITION)
        link = other.tab.evaluate(
            "import('./link.js').then(({pack}) => pack('print(1)')).then(text => `#program=${text}`)")
        other.open(link)
        other.tab.wait_for_selector("#asked")
        assert other.program == "print(1)"
        other.tab.wait_for_selector("#loading", state="hidden")
        other.after(other.tab.click, "#run")
        assert other.text("#printed").strip() == "1"
        other.after(lambda: other.tab.select_option("#examples", label="import numpy as np"))
        assert other.program.strip() == DEFINITION.strip()

    def test_a_link_to_an_example_runs_at_once(self, other: Playground) -> None:
        other.open()
        other.wait()
        link = other.tab.evaluate(
            "import('./link.js').then(({pack}) => pack(JSON.parse(document.getElementById('data').textContent)"
            ".examples.find(one => one.name === 'delays').source)).then(text => `#program=${text}`)")
        other.open(link)
        other.wait()
        other.until("document.querySelector('#unrolled').textContent.includes('h[6]')")
        assert other.tab.input_value("#examples") == "delays" and not other.tab.is_visible("#asked")
