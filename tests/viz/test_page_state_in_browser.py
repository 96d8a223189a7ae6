"""viz.stepper's page in a browser: its address, the list of steps, watched gradients, and copied numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from browser import Opened, browser, opened
from elman_losses import long_loss, loss_of, lstm_loss, run_of
from several_runs import chain

import minigrad as mg
import viz
from minigrad.debugger.breakpoints import parse
from minigrad.debugger.evaluation import CommandError
from minigrad.debugger.walk import Walk
from minigrad.formats.norms import norm
from rnn import Cell, t
from viz.stepper_page.arrays import Arrays

__all__ = ["browser", "opened"]  # fixtures

NO_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined})"


def exploding_loss() -> mg.Tensor:
    """Return a loss whose gradient grows tenfold at each of six steps, and is exactly zero at the first."""
    a, zero = mg.Tensor(10.0, requires_grad=True, name="a"), mg.Tensor(0.0, requires_grad=True, name="zero")
    cell = Cell("growth")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = a * h[t-1] + mg.relu(x[t] * zero)
    return cell.unroll(x=np.ones((6, 1)), initial={"h": np.full(1, 1.0)})["h"][6].sum()


def infinite_loss() -> mg.Tensor:
    """Return a loss with an infinite contribution, and a NaN after it."""
    x = mg.Tensor(np.array([0.0, 1.0]), requires_grad=True, name="x")
    return (np.sqrt(x * 1.0) * np.array([0.0, 1.0]) + np.sqrt(x)).sum()


def add_breakpoint(page: Opened, text: str) -> str:
    """Write a breakpoint; return what the page says against it."""
    page.tab.fill("#break", text)
    page.press("Enter")
    return str(page.run("document.getElementById('break').validationMessage"))


class TestAddress:
    def test_holds_step_breakpoints_and_watched_gradients(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        for text in ("h[3]", "norm < 0.1, t == 2", "op tanh"):
            assert add_breakpoint(page, text) == ""
        page.go(14)
        page.tab.click('#shared [aria-label="Watch the gradient of U"]')
        page.until("location.hash.includes('watch')")

        def state() -> list[Any]:
            return [page.at, page.texts("#stops li"), page.texts("#watched li"), page.text("#panel")]

        before = state()
        page.tab.reload()
        assert state() == before and before[0] == 14 and len(before[1]) == 3 and "U" in before[2][0]
        sent = page.run("location.href")
        page.tab.goto("about:blank")
        page.tab.goto(sent)
        assert state() == before
        page.complaints.clear()  # of the blank page
        page.asked = [page.address]

    def test_changes_without_new_entries_in_the_history(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        entries = page.run("history.length")
        for step in (3, 9, 14):
            page.go(step)
            page.until(f"location.hash === '#step={step}'")
        assert page.run("history.length") == entries
        page.press("Home")
        page.until("location.hash === ''")

    def test_changes_at_most_three_times_a_second(self, opened: Callable[..., Opened]) -> None:
        """Safari refuses more than 100 changes in half a minute, and Chromium complains of 200."""
        page = opened(loss_of(run_of()), before="""{ const change = history.replaceState; window.changes = [];
            history.replaceState = function (...given) {
                changes.push(performance.now()); change.apply(this, given); }; }""")
        page.tab.locator("#picture").focus()
        for _ in range(14):
            page.press("ArrowRight", "ArrowRight")
            page.tab.wait_for_timeout(100)
        page.until("location.hash === '#step=28'")
        changes = page.run("changes")
        assert len(changes) >= 2 and min(b - a for a, b in pairwise(changes)) > 300

    def test_of_a_number_alone_is_a_step(self, opened: Callable[..., Opened]) -> None:
        assert opened(loss_of(run_of()), fragment="#12").at == 12

    @pytest.mark.parametrize("fragment, at, said", [
        ("#step=99", 0, "there is no step '99': the steps are 0 to 28"), ("#step=-1", 0, "no step '-1'"),
        ("#step=1e1", 0, "no step '1e1'"), ("#nonsense", 0, "'nonsense' is not a part of an address"),
        ("#step=3&break=op+nothing", 3, "the breakpoint 'op nothing' is left out: no operation 'nothing'"),
        ("#step=3&break=python+1", 3, "doesn't run in a browser"), ("#step=3&watch=Q", 3, "there is no 'Q' to watch"),
        ("#step=3&watch=%E0%A4%A", 3, "to watch"), ("#step=3&watch=%2399999", 3, "there is no '#99999' to watch"),
        ("#step=3&break=<img src=x onerror=alert(1)>", 3, "<img src=x onerror=alert(1)>"), ("#&&=", 0, "''")])
    def test_with_a_part_that_means_nothing_is_answered(self, opened: Callable[..., Opened], fragment: str, at: int,
                                                        said: str) -> None:
        page = opened(loss_of(run_of()), fragment=fragment)
        assert page.at == at and said in page.text("#notice")
        page.tab.click("#notice button")
        assert not page.tab.is_visible("#notice")
        assert page.texts("#stops li") == [] and page.texts("#watched li") == []

    def test_is_left_alone_in_a_frame_of_a_notebook(self, browser: Any) -> None:
        tab = browser.new_page()
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.set_content(viz.stepper(loss_of(run_of()))._repr_html_())
        frame = tab.frame_locator("iframe")
        frame.locator("#on").click()
        tab.wait_for_timeout(600)  # the address would be written by now
        assert frame.locator("#count").inner_text() == "1 / 28" and complaints == []
        tab.close()


    def test_shows_the_same_as_a_walk_to_the_step(self, opened: Callable[..., Opened]) -> None:
        """A walk changes only what the steps between changed."""
        page = opened(lstm_loss())
        picture = """[...document.querySelectorAll(
                '.box, .back, .cell, .swatch, .bars rect, #panel figure, #panel h2')].map(e => [
            (e.getAttribute('class') || '').split(/ +/).sort().join(' '), e.getAttribute('y'), e.getAttribute('height'),
            e.style.getPropertyValue('--heat').replace('transparent', ''), e.dataset.look,
            ['H2', 'FIGURE'].includes(e.tagName) ? e.textContent : ''].join('|'))"""
        for step in (5, 6, 7, 8, 9, 8, 40, 39, 12, 74, 73, 0, 30, 31, 30):
            page.go(step)
            walked = page.run(picture)
            fresh = opened(lstm_loss(), fragment=f"#step={step}")
            assert fresh.run(picture) == walked, step
            fresh.tab.close()


class TestListOfSteps:
    def test_has_number_formula_and_time_of_each_step(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), width=1440, height=1000)
        rows = [text.split("\n") for text in page.texts("#list [role=option]")]
        assert [int(row[0]) for row in rows] == list(range(1, 29))
        assert ["h[3] = tanh(W @ x[3] + U @ h[2] + b)", "t 3"] in [row[1:] for row in rows]
        assert ["U @ h[2]", "t 3"] in [row[1:] for row in rows]
        assert page.text("#steps-count") == "28 steps"

    def test_marks_the_current_step_and_keeps_it_in_sight(self, opened: Callable[..., Opened]) -> None:
        page = opened(long_loss(200), width=1440)
        for step in (1, 700, 702, 1204, 3):
            page.go(step)
            current = page.tab.locator("#list [aria-current=step]")
            assert current.count() == 1 and current.get_attribute("data-step") == str(step)
            assert current.get_attribute("aria-selected") == "true"
            assert page.tab.get_attribute("#list", "aria-activedescendant") == current.get_attribute("id")
            inner, outer = current.bounding_box(), page.tab.locator("#list").bounding_box()
            assert outer["y"] <= inner["y"] and inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1
        page.go(0)
        assert page.tab.locator("#list [aria-current]").count() == 0
        assert page.tab.get_attribute("#list", "aria-activedescendant") is None

    def test_has_elements_for_the_rows_in_sight_alone(self, opened: Callable[..., Opened]) -> None:
        page = opened(long_loss(200), width=1440)
        assert page.tab.locator("#list [role=option]").count() < 60
        row = page.tab.locator("#list [role=option]").first
        assert row.get_attribute("aria-setsize") == "1204" and row.get_attribute("aria-posinset") == "1"
        page.run("document.getElementById('list').scrollTop = 1e9")
        page.tab.locator("#list [data-step='1204']").click()
        assert page.at == 1204

    def test_is_used_by_mouse_and_by_keyboard(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), width=1440)
        page.tab.click("#list [data-step='7']")
        assert page.at == 7
        page.tab.locator("#list").focus()
        for key, at in (("ArrowDown", 8), ("ArrowUp", 7), ("End", 28), ("ArrowDown", 28), ("Home", 1), ("ArrowUp", 1)):
            page.press(key)
            assert page.at == at, key
        page.press("PageDown")
        assert page.at > 5
        page.press("ArrowRight", "PageUp")
        assert page.at < 4

    def test_is_filtered_by_the_search(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), width=1440)
        page.tab.fill("#search", "tanh")
        rows = [text.split("\n") for text in page.texts("#list [role=option]")]
        assert [row[1][:4] for row in rows] == ["h[4]", "h[3]", "h[2]", "h[1]"]
        assert page.text("#steps-count") == "4 of 28 steps match the search"
        page.tab.locator("#list").focus()
        page.press("ArrowDown", "ArrowDown")
        assert page.text("#panel h2").startswith("h[3]")
        page.press("ArrowRight", "ArrowUp")  # from a step that isn't in the list
        assert page.text("#panel h2").startswith("h[3]")
        page.tab.fill("#search", "nothing")
        assert page.texts("#list [role=option]") == []
        page.tab.fill("#search", "")
        assert len(page.texts("#list [role=option]")) > 20

    def test_opens_and_closes(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), width=1024, height=768)
        assert not page.tab.is_visible("#steps")
        page.go(20)
        page.tab.locator("#picture").focus()
        page.press("l")
        assert page.run("document.activeElement.id") == "list"
        page.tab.locator("#list [aria-current=step][data-step='20']").wait_for()
        page.press("l")
        assert not page.tab.is_visible("#steps")
        assert page.tab.get_attribute("#listing", "aria-expanded") == "false"


class TestWatchedGradients:
    def test_show_the_norm_at_each_step(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        loss = loss_of(run)
        page = opened(loss)
        loss.backward()
        page.box("h[3]").click()
        page.press("w")
        page.tab.click('#shared [aria-label="Watch the gradient of U"]')
        page.press("Home")
        assert [text.split() for text in page.texts("#watched li")] == [
            [name, "|g|", "not", "yet", "✕"] for name in ("h[3]", "U")]
        page.press("End")
        for text, tensor in zip(page.texts("#watched li"), (run["h"][3], run.parameters["U"])):
            assert float(text.split()[2]) == pytest.approx(np.linalg.norm(tensor.grad), rel=5e-3)
        assert page.tab.get_attribute("#watched li:nth-child(2) [title^='|g|']", "title") == (
            f"|g| = {np.linalg.norm(run.parameters['U'].grad)}")
        page.tab.click('[aria-label="Watch h[3] no longer"]')
        assert [text.split()[0] for text in page.texts("#watched li")] == ["U"]
        page.tab.click('#watched .link')
        assert "U" in page.texts("#panel h4 .link")
        page.tab.click('#shared [aria-label="Watch the gradient of U"]')
        assert not page.tab.is_visible("#watch-row")

    def test_of_a_tensor_without_a_name_are_found_again(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.tab.fill("#search", "U @ h[2]")
        page.press("Enter", "Enter")  # the first match is h[3]
        page.tab.locator("#picture").focus()
        page.press("w")
        page.until("location.hash.includes('watch')")
        shown = page.texts("#watched li")
        page.tab.reload()
        assert page.texts("#watched li") == shown and shown[0].split("\n")[0].startswith("W @ x[3] + U @ h[2]")


class TestExactNumbers:
    def paste(self, page: Opened) -> str:
        """Return the text on the clipboard, without its line breaks."""
        page.tab.fill("#search", "")
        page.tab.locator("#search").focus()
        page.press("Control+V")
        return str(page.tab.input_value("#search"))

    def copied(self, page: Opened, figure: str) -> Any:
        page.tab.locator(f"{figure} .copy").first.click()
        page.until("document.getElementById('spoken').textContent.startsWith('copied')")
        return eval(self.paste(page), {"np": np})

    @pytest.mark.parametrize("before", ["", NO_CLIPBOARD])
    def test_copy_as_numpy_text(self, opened: Callable[..., Opened], before: str) -> None:
        run = run_of()
        loss = loss_of(run)
        page = opened(loss, before=before)
        loss.backward()
        page.box("h[3]").click()
        for figure, array in ((".upstream", run["h"][3].grad), (".result", run["h"][3].data)):
            found = self.copied(page, f"#panel {figure}")
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)

    @pytest.mark.parametrize("array", [
        np.array([0.1, 1 / 3, -0.0, 1e300, 5e-324, np.nan, np.inf, -np.inf, 1e21, 123456789.0]),
        np.array([0.1, 1 / 3, 16777216, 1e-45, 3.4028235e38, -0.0], "f4"), np.arange(24.0).reshape(2, 3, 4) / 7,
        np.array(2.5), np.zeros((2, 0))])
    def test_of_every_kind_are_exact(self, opened: Callable[..., Opened], array: Any) -> None:
        x = mg.Tensor(array, requires_grad=True, name="x")
        with np.errstate(all="ignore"):
            page = opened((x * mg.Tensor(np.array(0.1, array.dtype))).sum(), fragment="#step=2")
        found = self.copied(page, "#panel .value:nth-of-type(2)")
        assert found.dtype == array.dtype and found.shape == array.shape
        assert found.tobytes() == array.tobytes() or np.isnan(array).any()
        np.testing.assert_array_equal(found, array)

    @pytest.mark.parametrize("dtype", ["float16", "int64", "uint64", "int8", "bool"])
    def test_of_other_types_are_exact_too(self, opened: Callable[..., Opened], dtype: str) -> None:
        arrays = Arrays()
        with np.errstate(over="ignore"):
            array = np.array([[0, 1, 100], [-7 % 2 ** 62, 2 ** 53 + 1, 3]]).astype(dtype)
        arrays.add(array)
        text = opened(loss_of(run_of())).run(f"numpyText({json.dumps(arrays.data()[0])})")
        found = eval(text, {"np": np})
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)

    def test_of_a_large_array_are_those_that_are_shown_and_this_is_said(self, opened: Callable[..., Opened]) -> None:
        data = np.random.default_rng(0).normal(size=(300, 400))
        x = mg.Tensor(data, requires_grad=True, name="x")
        page = opened((x * 2.0).sum(), fragment="#step=2")
        page.tab.locator("#panel .value .copy").first.click()
        text = self.paste(page)
        comment, array = text[:text.index("np.array")], text[text.index("np.array"):]
        assert comment.startswith("# of an array (300, 400): rows 0, 1, 299 and columns 0, 1, 398, 399")
        np.testing.assert_array_equal(eval(array, {"np": np}), data[[0, 1, 299]][:, [0, 1, 398, 399]])
        assert "the elements that are shown" in page.tab.get_attribute("#panel .value .copy", "aria-label")

    def test_of_selected_cells_are_copied_in_full(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        page = opened(loss_of(run))
        page.box("h[3]").click()
        select = """([first, last]) => { const cells = document.querySelectorAll('#panel .result td');
            getSelection().setBaseAndExtent(cells[first], 0, cells[last], cells[last].childNodes.length); }"""
        h = run["h"][3].data
        for ends, wanted in (((0, 7), h[:2]), ((4, 6), h[1, :3]), ((0, 15), h), ((5, 5), h[1, 1])):
            page.tab.evaluate(select, list(ends))
            page.press("Control+C")
            np.testing.assert_array_equal(eval(self.paste(page), {"np": np}), wanted)

    def selected(self, page: Opened, cells: str, first: int, last: int) -> str:
        """Select from one cell to another, and return the text that is copied."""
        return str(page.tab.evaluate("""([place, first, last]) => {
            const cells = [...document.querySelectorAll(place)], [a, b] = [cells.at(first), cells.at(last)];
            getSelection().setBaseAndExtent(a, 0, b, b.childNodes.length);
            const copied = new ClipboardEvent('copy', {clipboardData: new DataTransfer(), cancelable: true});
            document.dispatchEvent(copied);
            return copied.clipboardData.getData('text/plain'); }""", [cells, first, last]))

    def test_of_a_selection_over_dots_are_those_under_them_too(self, opened: Callable[..., Opened]) -> None:
        data = np.random.default_rng(0).normal(size=(10, 12))
        page = opened((mg.Tensor(data, requires_grad=True, name="x") * 2.0).sum(), fragment="#step=1")
        for last, wanted in ((11, 2.0 * data), (3, 2.0 * data[0])):
            found = eval(self.selected(page, "#panel .value td[title]", 0, last), {"np": np})
            np.testing.assert_array_equal(found, wanted)
        text = self.selected(page, "#panel .value td[title]", 0, 5)
        assert text.startswith("# without the elements under the dots\n")

    def test_of_a_selection_over_dots_of_a_large_array_say_which_they_are(self, opened: Callable[..., Opened]) -> None:
        data = np.random.default_rng(0).normal(size=(300, 400))
        page = opened((mg.Tensor(data, requires_grad=True, name="x") * 2.0).sum(), fragment="#step=1")
        comment, array = self.selected(page, "#panel .value td[title]", 0, 7).split("\n", 1)
        assert comment.startswith("# of an array (300, 400): rows 0, 1 and columns 0, 1, 398, 399")
        np.testing.assert_array_equal(eval(array, {"np": np}), 2.0 * data[[0, 1]][:, [0, 1, 398, 399]])

    def test_of_a_selection_over_tables_are_those_of_each(self, opened: Callable[..., Opened]) -> None:
        loss = loss_of(run_of())
        page = opened(loss, fragment="#step=9")
        text = self.selected(page, "#panel td[title]", 0, -1)
        parts = [part.split("\n", 1) for part in text.split("\n\n")]
        assert [caption for caption, _ in parts] == [f"# {text}" for text in page.texts("#panel figure b")]
        step = list(loss.backward_steps())[8]
        np.testing.assert_array_equal(eval(parts[1][1], {"np": np}), step.node.data)

    def test_of_extended_precision_have_all_digits(self, opened: Callable[..., Opened]) -> None:
        data = np.longdouble(1) / np.array([3, 7, -11], np.longdouble)
        data[2] *= np.inf
        page = opened((mg.Tensor(data, requires_grad=True, name="x") * 1).sum(), fragment="#step=2")
        page.tab.locator("#panel .value .copy").first.click()
        found = eval(self.paste(page), {"np": np})
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(found, data)

    def test_beside_the_mouse_are_those_of_the_corners_too(self, opened: Callable[..., Opened]) -> None:
        for shape in ((10, 12), (400, 300)):
            data = np.random.default_rng(0).normal(size=shape)
            page = opened((mg.Tensor(data, requires_grad=True, name="x") * 2.0).sum(), fragment="#step=2")
            titles = page.run("[...document.querySelectorAll('#panel .value:nth-of-type(2) td[title]')]"
                              ".map(cell => cell.title)")
            assert titles == [repr(float(value)) for value in data[[0, 1, -1]][:, [0, 1, -2, -1]].ravel()]

    def test_are_shown_beside_the_mouse(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        page = opened(loss_of(run))
        page.box("h[3]").click()
        titles = page.run("[...document.querySelectorAll('#panel .result td')].map(cell => cell.title)")
        assert titles == [repr(float(value)) for value in run["h"][3].data.ravel()]
        size = page.tab.get_attribute("#panel .result .norm", "title").removeprefix("norm ")
        assert float(size) == norm(run["h"][3].data)


class TestTheSource:
    def test_has_its_lines_that_ran_marked(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.tab.fill("#search", "matvec")
        page.press("Enter")
        lines = page.texts("#panel .source .statement")
        assert lines[0] == "def backward(self, grad, out, W, x, needs_input_grad):"
        ran = page.texts("#panel .source .ran")
        assert "    if W.ndim > 2:" in ran and "    return grad_W, grad @ W if needs_input_grad[1] else None" in ran
        assert not any("expand_dims" in line for line in ran) and any("expand_dims" in line for line in lines)
        numbers = re.findall(r"\d+", page.tab.get_attribute("#panel .source", "aria-label").split("ran:")[1])
        assert [lines[int(number) - 1] for number in numbers] == ran


class TestHeadings:
    def test_are_names_and_formulas(self, opened: Callable[..., Opened]) -> None:
        loss = loss_of(run_of())
        page = opened(loss, width=1440)
        names = []
        for _ in loss.backward_steps():
            page.press("ArrowRight")
            names.append(page.run("document.querySelector('#panel h2').firstChild.data"))
            assert not re.search(r"\b(matvec|matmul|add|mul) in ", page.text("body"))
        assert "U @ h[2]" in names and "W @ x[3]" in names and "W @ x[3] + U @ h[2]" in names and "h[3]" in names
        page.box("h[3]").click()
        assert page.text("#panel .formula") == "= tanh(W @ x[3] + U @ h[2] + b)"


class TestSeveralRunsOfOneCell:
    def test_are_told_apart_in_the_list_and_the_panel(self, opened: Callable[..., Opened]) -> None:
        page = opened(chain()[1], width=1440)
        steps = [text for text in page.texts("#list .when") if text]
        assert {"t 1, run 3", "t 2, run 3"} <= set(steps)
        page.tab.fill("#search", "elman, run 3")
        page.press("Enter")
        assert "elman, run 3" in page.text("#panel dl")
        assert page.texts("#map .row")[0] == "y of elman, run 3"

    def test_a_watched_name_of_an_address_is_that_of_every_run(self, opened: Callable[..., Opened]) -> None:
        page = opened(chain()[1], fragment="#watch=h[2]")
        assert page.texts("#watched .link") == [f"h[2] of elman, run {run}" for run in (1, 2, 3)]


class TestGradientsThatNeverCome:
    def test_are_none_from_the_start(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), fragment="#watch=x[3]&watch=h[0]&watch=h[1]")
        page.press("Home")
        assert [text.split("|g| ")[1].split("✕")[0].strip() for text in page.texts("#watched li")] == [
            "none", "none", "not yet"]


class TestTheFocus:
    def where(self, page: Opened) -> str:
        return str(page.run("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"))

    @pytest.mark.parametrize("region", ["#panel .card", "#shared"])
    def test_stays_on_the_button_that_watches(self, opened: Callable[..., Opened], region: str) -> None:
        page = opened(loss_of(run_of()), fragment="#step=9")
        page.tab.locator(f"{region} .watch").first.focus()
        name = self.where(page)
        page.press("Enter")
        assert len(page.texts("#watched li")) == 1
        assert self.where(page) == name and name.startswith("Watch the gradient of")

    def test_stays_in_the_panel_after_a_link_of_a_card(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), fragment="#step=1")
        page.tab.locator("#panel .card .link").first.focus()
        page.press("Enter")
        assert page.at == 2 and page.run("document.activeElement.closest('#panel') !== null")

    def test_stays_on_a_watched_name(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()), fragment="#watch=h[2]")
        page.tab.locator("#watched .link").focus()
        page.press("Enter")
        assert page.text("#panel h2").startswith("h[2]") and self.where(page) == "h[2]"


def test_a_loss_without_time_has_no_time_steps(opened: Callable[..., Opened]) -> None:
    x, w = (mg.Tensor([1.0, 2.0], requires_grad=True, name=name) for name in "xw")
    page = opened((np.tanh(x * w) * x).sum())
    assert page.text("#shared h3") == "parameters" and page.tab.locator(".bars").count() == 0
    page.press("End")
    assert page.tab.locator("#panel .card").count() == 2 and page.tab.locator(".bars").count() == 0


class TestBreakpointsAreThoseOfTheTerminal:
    TEXTS = (
        "h", "h[3]", "U", "b", "W", "x", "tanh", "TANH", "matvec", "y", "y[4]", "op add", "signal h", "signal U",
        "node h", "node h[2]", "node U", "param U", "param h", "param nothing", "t 3", "t 0", "t 99",
        "norm > 0.05", "norm < 0.05", "norm>0.1", "norm < 1e-12", "norm >= 1", "norm > 100", "exploding",
        "exploding 0.1", "exploding 0", "zero", "nan", "inf", "nan now", "h, norm > 0.1", "h, t == 3",
        "tanh, t >= 2 and norm < 0.2", "U, signal == 'h'", "U, op == 'matvec' and t != 4", "nothing", "op", "a",
        "zero, t == 1", "a, t < 3", "tanh, signal == 'h'", "mean, t != 3", "mean, t == 3", "signal y, t != 3")

    def stops(self, page: Opened) -> list[int]:
        page.press("Home")
        found = []
        for _ in range(60):
            page.press("Shift+ArrowRight")
            if "no breakpoint was hit" in page.text("#reason"):
                return found
            found.append(page.at)
        raise AssertionError(f"it never comes to an end: {found}")

    @pytest.mark.parametrize("make", [lambda: loss_of(run_of()), exploding_loss, infinite_loss,
                                      lambda: chain()[1]])
    def test_they_stop_at_the_same_steps_or_are_refused_alike(self, opened: Callable[..., Opened], make: Any) -> None:
        loss = make()
        page = opened(loss)
        compared = 0
        for text in self.TEXTS:
            walk = Walk(loss)
            try:
                breakpoint_ = parse(text)
                breakpoint_.check(walk.timeline)
            except CommandError:
                assert add_breakpoint(page, text), text
                page.tab.fill("#break", "")
                continue
            walk.breakpoints.append(breakpoint_)
            with np.errstate(all="ignore"):
                wanted = [stop.position for stop in walk.run() if stop.hits]
            walk.timeline.rewind()
            assert add_breakpoint(page, text) == "", text
            assert page.texts("#stops .quiet") == [f"{len(wanted)}×"], text
            page.tab.locator("#picture").focus()
            assert self.stops(page) == wanted, text
            page.tab.click("#stops button")
            compared += bool(wanted)
        assert compared >= 6
