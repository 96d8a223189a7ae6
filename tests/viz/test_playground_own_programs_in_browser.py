"""The reader's own programs and those of links, in a real browser: nothing typed is lost, and no link runs unasked.

The environment variable PYODIDE names the folder of a release; `nox -s playground` provides one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_playground_in_browser import Playground, address, browser  # noqa: F401 (fixtures)

RAN = "print('ran')"


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Playground]:  # noqa: F811
    """Return a page of its own, for what a browser keeps."""
    opened = Playground(browser, address)
    opened.open()
    opened.until("document.querySelector('#editor').shadowRoot?.querySelector('.cm-line')")
    yield opened
    assert opened.complaints == []
    opened.context.close()


def beside(page: Playground) -> Playground:
    """Return another tab of the same browser."""
    opened = Playground(None, page.address, page.context)
    opened.open()
    opened.wait()
    return opened


def follow(page: Playground, program: str) -> None:
    """Open a link to a program, in a page that is loaded."""
    link = page.tab.evaluate("program => import('./link.js').then(({pack}) => pack(program))", program)
    page.open(f"#program={link}")
    page.tab.wait_for_selector("#asked")
    page.tab.wait_for_selector("#loading", state="hidden")


def type_at_the_end(page: Playground, text: str) -> None:
    page.tab.click("#editor .cm-content")
    page.tab.keyboard.press("Control+End")
    page.tab.keyboard.insert_text(text)


def choose(page: Playground, label: str) -> None:
    page.tab.select_option("#examples", label=label)


def own(page: Playground) -> list[str]:
    return list(page.tab.locator("#own option").all_text_contents())


class TestLinkedPrograms:
    """A program of a link runs after a press, whichever way it came into the editor."""

    def test_waits_when_undo_brings_it_back(self, page: Playground) -> None:
        follow(page, RAN)
        page.after(page.tab.select_option, "#examples", "lstm")
        page.tab.click("#editor .cm-content")
        page.tab.keyboard.press("Control+z")
        page.tab.wait_for_selector("#asked")
        page.tab.wait_for_timeout(600)
        assert page.program == RAN and not page.tab.is_visible("#printed")
        assert page.tab.locator("svg .node").count() == 0
        page.after(page.tab.keyboard.press, "Control+y")
        assert not page.tab.is_visible("#asked") and "LSTM" in page.program
        page.tab.keyboard.press("Control+z")
        page.after(page.tab.click, "#run")
        assert page.text("#printed").strip() == "ran"

    def test_waits_when_it_is_cut_and_pasted(self, page: Playground) -> None:
        follow(page, RAN)
        page.write("")
        page.tab.keyboard.press("Delete")
        assert not page.tab.is_visible("#asked")
        page.tab.keyboard.insert_text(RAN)
        page.tab.wait_for_timeout(600)
        assert page.tab.is_visible("#asked") and not page.tab.is_visible("#printed")

    def test_runs_again_from_the_history_after_one_press(self, page: Playground) -> None:
        follow(page, RAN)
        type_at_the_end(page, "\nprint('too')")
        page.after(page.tab.click, "#run")
        page.tab.click("#editor .cm-content")
        page.after(page.tab.keyboard.press, "Control+z")
        assert page.text("#printed").split() == ["ran"]

    @pytest.mark.parametrize("leave", ["reload", "choose an example"])
    def test_changes_are_kept_and_wait_too(self, page: Playground, leave: str) -> None:
        follow(page, RAN)
        type_at_the_end(page, "  # read")
        assert "your changes are kept" in page.text("#asked")
        page.tab.wait_for_timeout(300)
        if leave == "reload":
            page.tab.reload()
            page.tab.wait_for_selector("#loading", state="hidden")
        else:
            page.after(page.tab.select_option, "#examples", "lstm")
            choose(page, f"{RAN}  # read")
        page.tab.wait_for_selector("#asked")
        page.tab.wait_for_timeout(600)
        assert page.program == f"{RAN}  # read" and not page.tab.is_visible("#printed")
        page.after(page.tab.click, "#run")
        page.tab.wait_for_timeout(300)
        page.tab.reload()
        page.wait()
        assert page.text("#printed").strip() == "ran", "it has been allowed to run"

    def test_another_one_chosen_is_shown_after_a_reload(self, page: Playground) -> None:
        follow(page, RAN)
        page.after(page.tab.select_option, "#examples", "delays")
        page.tab.reload()
        page.wait()
        assert page.tab.input_value("#examples") == "delays" and not page.tab.is_visible("#asked")

    def test_a_broken_link_is_told_until_something_else_is_opened(self, page: Playground) -> None:
        page.open("#program=")
        page.wait()
        assert "cut off" in page.text("#misread") and "Elman" in page.program
        page.after(page.tab.select_option, "#examples", "lstm")
        assert page.text("#misread") == ""


class TestKeeping:
    def test_what_is_typed_before_python_is_loaded(self, page: Playground) -> None:
        page.write("'early'")
        page.tab.wait_for_timeout(300)
        assert page.drawn == 0
        page.tab.reload()
        page.wait()
        assert page.program == "'early'"

    def test_what_is_typed_at_the_last_moment(self, page: Playground) -> None:
        page.wait()
        page.write("'late'")
        page.tab.reload()
        page.wait()
        assert page.program == "'late'"

    def test_two_tabs_keep_a_program_each(self, page: Playground) -> None:
        page.wait()
        second = beside(page)
        for opened, program in ((page, "'first'"), (second, "'second'"), (page, "'first, again'")):
            opened.run(program)
        for opened, program in ((page, "'first, again'"), (second, "'second'")):
            opened.tab.reload()
            opened.wait()
            assert opened.program == program
        assert own(page) == ["'first, again'", "'second'"]
        assert second.complaints == []

    def test_two_tabs_that_go_on_with_one_program(self, page: Playground) -> None:
        page.wait()
        page.run("'begun'")
        second = beside(page)
        assert second.program == "'begun'", "a new tab begins with the last program"
        second.run("'one way'")
        page.run("'another way'")
        second.run("'one way, on'")
        page.until("document.querySelectorAll('#own option').length === 2")
        assert own(page) == own(second) == ["'one way, on'", "'another way'"]

    def test_the_last_five_are_in_the_menu(self, page: Playground) -> None:
        page.wait()
        for number in range(6):
            page.after(page.tab.select_option, "#examples", ("lstm", "delays")[number % 2])
            page.run(f'"""Number {number}"""\n{number}')
        assert own(page) == [f"Number {number}" for number in (5, 4, 3, 2, 1)]
        page.after(choose, page, "Number 2")
        assert page.program.splitlines() == ['"""Number 2"""', "2"]

    def test_undo_into_an_earlier_program_leaves_the_later_one(self, page: Playground) -> None:
        page.wait()
        page.run("'one'")
        page.after(page.tab.select_option, "#examples", "lstm")
        page.run("'two'")
        page.after(choose, page, "'one'")
        page.tab.click("#editor .cm-content")
        page.after(page.tab.keyboard.press, "Control+z")
        assert page.program == "'two'"
        page.after(type_at_the_end, page, "  # more")
        assert own(page) == ["'two'  # more", "'one'"]
