"""The playground's editor, the number of steps in its header, its keyboard, and programs that take long, in a browser.

The environment variable PYODIDE names the folder of a release; `nox -s playground` provides one.
"""

from __future__ import annotations

from typing import Any

import pytest
from test_playground_in_browser import DEFINITION, Playground, address, browser, page  # noqa: F401 (fixtures)

PROGRAM = DEFINITION + "run = net.unroll(x=np.ones((3, 1, 2)))\nloss = (run['h'][3] ** 2).sum()\nloss.backward()\n"
SLOW = "\nimport time\ntime.sleep({})\n"
FOCUSED = "document.activeElement.id || document.activeElement.getAttribute('aria-label')"


class TestSteps:
    """T in the header is that of the program's line."""

    @pytest.mark.parametrize("line, shown", [
        ("T = 10_000", "10000"), ("T = 7  # steps", "7"), ("T=3", "3"), ('"""\nT = 9 steps\nT = 9\n"""', "4"),
        ("T = 5 + 1", "4"), ("if True:\n    T = 6", "4"), ('"""\nT = 9\n"""\nT = 8', "8"),
    ])
    def test_is_read_from_a_line_of_its_own(self, page: Playground, line: str, shown: str) -> None:  # noqa: F811
        page.run("T = 12\n")
        page.run(line + "\n")
        assert page.text("#steps-shown") == shown

    def test_the_slider_replaces_the_whole_number(self, page: Playground) -> None:  # noqa: F811
        page.run('"""\nT = 9\n"""\nT = 10_000  # many\n')
        page.after(page.tab.fill, "#steps", "6")
        assert page.program.splitlines()[-1] == "T = 6  # many" and "T = 9" in page.program

    def test_a_definition_keeps_the_number_that_was_chosen_for_it(self, page: Playground) -> None:  # noqa: F811
        page.run(DEFINITION)
        page.after(page.tab.fill, "#steps", "7")
        page.run("T = 2\n" + PROGRAM)
        page.run(DEFINITION)
        assert page.text("#steps-shown") == "7" and "h[7]" in page.labels("#unrolled")
        page.after(page.tab.fill, "#steps", "4")

    def test_a_wide_number_moves_nothing(self, page: Playground) -> None:  # noqa: F811
        page.run("T = 4\n")
        before = page.tab.locator("#level").bounding_box()
        page.run("T = 10_000\n")
        assert page.tab.locator("#level").bounding_box() == before


class TestTyping:
    def test_enter_begins_a_line_and_completes_nothing(self, page: Playground) -> None:  # noqa: F811
        page.write("")
        page.tab.keyboard.press("Delete")
        page.tab.keyboard.type("f = s", delay=30)
        page.tab.wait_for_timeout(500)
        assert page.tab.locator("#editor .cm-tooltip-autocomplete").count() == 0
        page.tab.keyboard.press("Enter")
        page.tab.keyboard.type("g")
        assert page.program.splitlines() == ["f = s", "g"]
        page.tab.keyboard.press("Control+Space")
        page.tab.wait_for_selector("#editor .cm-tooltip-autocomplete")
        page.tab.keyboard.press("Escape")

    def test_tab_indents_and_leaves_after_escape(self, page: Playground) -> None:  # noqa: F811
        page.write("a")
        page.tab.keyboard.press("Tab")
        assert page.program == "    a"
        assert "Esc" in page.tab.locator("#editor .cm-content").get_attribute("aria-description")
        page.tab.keyboard.press("Escape")
        page.tab.keyboard.press("Tab")
        assert page.tab.evaluate(FOCUSED) != "editor" and page.program == "    a"


class TestKeyboard:
    def test_the_values_of_a_box_get_the_focus_and_give_it_back(self, page: Playground) -> None:  # noqa: F811
        page.run(PROGRAM)
        page.boxes("#unrolled", "h[2]").press("Enter")
        page.until(f"({FOCUSED}) === 'box'")
        page.tab.keyboard.press("Escape")
        assert page.tab.evaluate(FOCUSED) == "h[2]" and not page.tab.is_visible("#box")

    def test_skipping_to_the_pictures_leaves_the_address(self, page: Playground) -> None:  # noqa: F811
        before = page.tab.url
        page.tab.focus(".skip")
        page.tab.keyboard.press("Enter")
        assert page.tab.evaluate(FOCUSED) == "pictures" and page.tab.url == before

    def test_no_id_is_there_twice(self, page: Playground) -> None:  # noqa: F811
        page.run(PROGRAM)
        ids = page.tab.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(ids) == len(set(ids)) and "node1" not in ids


class TestRunning:
    """A program that takes long is told, can be stopped, and doesn't hold up a later one."""

    def test_pales_the_pictures_and_stops_at_a_press(self, page: Playground) -> None:  # noqa: F811
        page.run(PROGRAM)
        before = page.drawn
        page.write(PROGRAM + SLOW.format(60))
        page.until("document.getElementById('running-what').textContent === 'running …'")
        assert page.tab.is_visible("#stop") and page.tab.locator("#unrolled.stale").count() == 1
        page.tab.click("#stop")
        page.wait(before)
        assert page.text("#problems").startswith("Stopped. Python starts anew")
        assert not page.tab.is_visible("#running")
        page.run(DEFINITION)
        assert page.text("#problems") == "" and page.tab.locator(".stale").count() == 0

    def test_one_that_ends_shows_its_pictures_at_full_strength(self, page: Playground) -> None:  # noqa: F811
        page.run(PROGRAM + SLOW.format(0.7))
        assert page.tab.locator(".stale").count() == 0 and not page.tab.is_visible("#running")
        assert "h[3]" in page.labels("#unrolled")

    def test_gives_way_to_a_later_program(self, page: Playground) -> None:  # noqa: F811
        page.run("pass")
        page.write(SLOW.format(600))
        page.tab.wait_for_timeout(400)
        page.write(DEFINITION)
        page.until("document.querySelector('#rolled').textContent.includes('h[t]')")
        assert page.text("#problems") == ""


class TestCurve:
    @pytest.mark.parametrize("rate, logarithmic", [("1e3", True), ("0.001", False)])
    def test_of_a_loss_that_goes_far_is_logarithmic(
            self, page: Playground, rate: str, logarithmic: bool) -> None:  # noqa: F811
        page.run("pass")
        page.run(PROGRAM.replace("np.tanh(x[t] + U @ h[t-1])", "x[t] + U @ h[t-1]"))
        if page.tab.get_attribute("#tab-training", "aria-selected") != "true":
            page.after(page.tab.click, "#tab-training")
        page.tab.select_option("#view-training select", "sgd")
        page.tab.get_by_role("spinbutton", name="steps").fill("3")
        page.tab.get_by_label("learning rate").fill(rate)
        page.tab.click("#train")
        page.until("document.getElementById('told').textContent.includes('after ')")
        box: Any = page.tab.get_by_label("logarithmic")
        assert box.is_checked() == logarithmic
        box.click()
        page.tab.click("#train")
        page.until("document.getElementById('train').textContent === 'train'")
        assert box.is_checked() != logarithmic, "the reader's choice stays"
