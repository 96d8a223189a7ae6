"""Assignments of a course in the playground, in a real browser: the file, the check, and what is kept."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import launched
from playground import Playground, served

from examples.assignments import bundle
from examples.assignments.check import NAMES
from examples.assignments.make import source, stub
from viz.render import palette

WRONG = {"a1": "softmax_wrong_axis", "a2": "stale", "a3": "truncated", "a4": "delay_always_one", "a5": "not_detached",
         "a6": "sign"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    kits = tmp_path_factory.mktemp("kits")
    for name in NAMES:
        bundle.write_students(name, kits / f"{name}_kit.zip")
    with served(tmp_path_factory.mktemp("served"), [kits]) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as opened:
        yield opened


class Assignment(Playground):
    """The page with an assignment."""

    def start(self, name: str) -> None:
        self.open(f"#assignment={name}")
        self.until("document.querySelector('#view-task h1') && document.querySelector('#loading').hidden")

    def choose(self, name: str) -> None:
        self.tab.select_option("#examples", f"#assignment={name}")
        self.until("document.querySelector('#view-task h1')")

    def check(self, text: str | None = None) -> None:
        """Check the file, or another text in its place, and wait for the report."""
        if text is not None:
            self.write(text)
        self.tab.click("#check")
        self.checked()

    def checked(self) -> None:
        self.until("document.querySelector('#check').textContent === 'check'")
        self.until("document.querySelector('#assignment-told').textContent !== 'checking … (for two minutes at most)'")

    @property
    def told(self) -> str:
        return self.text("#assignment-told")

    def report(self) -> list[str]:
        """The lines of the report, without the links to lines and the pictures."""
        lines = "[...document.querySelectorAll('#view-check h2, #view-check li > pre, #view-check li > p, " \
                "#view-check > pre, #view-check .points')].map(part => part.textContent)"
        return list(self.tab.evaluate(lines))


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Assignment]:
    """One page for most tests; at the end it may have asked only its own site."""
    opened = Assignment(browser, address)
    opened.start("a3")
    yield opened
    assert opened.complaints == []
    assert not [url for url in opened.asked if not url.startswith((address, "blob:", "data:", "about:"))]
    opened.context.close()


def mutant(name: str) -> str:
    table = importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS
    return str(next(one for one in table if one.name == WRONG.get(name, one.name)).of(source(name)))


def at_home(name: str, text: str, folder: Path) -> list[str]:
    """Return the lines that the checker's command prints, but for how the file's process was isolated."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", "-m", "examples.assignments.check", name, str(file), "--no-pictures"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, encoding="utf-8")
    lines = done.stdout.replace(" (not isolated: the file has run with your rights)", "", 1).splitlines()
    return [line.removeprefix(13 * " ") for line in lines]


class TestCheck:
    @pytest.mark.parametrize("name", NAMES)
    def test_says_word_for_word_what_the_command_says(self, name: str, page: Assignment, tmp_path: Path) -> None:
        page.choose(name)
        assert page.program.splitlines()[:30] == stub(source(name)).splitlines()[:30]
        for text in (mutant(name), source(name)):
            page.check(text)
            assert page.report() == at_home(name, text, tmp_path) and page.told == page.report()[-1]
        assert page.tab.locator("#view-check li.failed").count() == 0

    def test_of_the_stub_says_what_is_not_written_yet(self, page: Assignment, tmp_path: Path) -> None:
        page.choose("a3")
        page.check(stub(source("a3")))
        assert page.report() == at_home("a3", stub(source("a3")), tmp_path)
        assert "rnn_step_forward isn't written yet" in page.text("#view-check")

    def test_draws_the_wrong_edge_and_leads_to_the_function(self, page: Assignment) -> None:
        page.choose("a3")
        page.check(mutant("a3"))
        assert page.tab.locator("#view-check figure").count() == 1
        red = page.tab.locator(f'#view-check figure .edge path[stroke="{palette.ALARM.lower()}"]')
        assert red.count() == 1 and page.tab.locator("#view-check figure svg[role=img]").count() == 1
        page.tab.click("#view-check button:has-text('rnn_backward') >> nth=0")
        page.until("document.activeElement.id === 'editor'")
        assert page.tab.locator("#editor .cm-activeLine").inner_text().startswith("def rnn_backward(")

    def test_an_exception_is_marked_at_its_line(self, page: Assignment) -> None:
        page.choose("a3")
        page.check("def rnn_step_forward(x, h_prev, W, U, b):\n    return x.missing\n")
        assert page.tab.locator("#editor .cm-lintRange-error").count() == 1
        page.tab.click("#view-check button:has-text('line 2')")
        assert page.tab.locator("#editor .cm-activeLine").inner_text() == "    return x.missing"

    def test_runs_by_the_keyboard_and_never_by_typing(self, page: Assignment) -> None:
        page.choose("a2")
        page.write("print('ran')")
        page.tab.wait_for_timeout(800)
        assert page.told == "" and page.text("#problems") == ""
        page.tab.keyboard.press("Control+Enter")
        page.checked()
        assert page.program == "print('ran')" and "  | ran" in page.report()
        page.tab.keyboard.press("End")
        page.tab.keyboard.insert_text("  # typed")
        assert "has changed since this check" in page.text("#view-check")

    def test_a_loop_that_does_not_end_is_stopped_in_its_line(self, page: Assignment) -> None:
        page.choose("a2")
        page.check(source("a2") + "\ndef topological_order(out):\n    while True: pass\n")
        line = len(source("a2").splitlines()) + 3
        assert f"topological_order did not end in 2 s at line {line}: `while True: pass`" in page.text("#view-check")
        page.check(source("a2"))
        assert page.tab.locator("#view-check li.failed").count() == 0

    def test_what_cannot_be_stopped_in_a_line_is_stopped_by_a_press(self, page: Assignment) -> None:
        page.choose("a2")
        page.write("import re\nre.match('(a+)+$', 'a' * 64 + 'b')\n")
        page.tab.click("#check")
        page.until("document.querySelector('#assignment-told').textContent === 'checking … (for two minutes at most)'")
        page.tab.wait_for_timeout(500)
        page.tab.click("#check")
        assert page.told == "Stopped. Python starts anew."
        page.check(source("a2"))
        assert page.tab.locator("#view-check li.failed").count() == 0

    def test_what_a_file_changes_in_numpy_and_python_reaches_no_other_check(self, page: Assignment) -> None:
        page.choose("a3")
        page.check(source("a3") + "\nnp.tanh = np.sin\nimport json, base64\njson.dumps = base64.b64encode = None\n")
        page.check(source("a3"))
        assert page.tab.locator("#view-check li.failed").count() == 0

    def test_a_file_that_ends_python_costs_its_check_alone(self, page: Assignment) -> None:
        page.choose("a2")
        page.check("import os\nos._exit(3)\n")
        assert "The check has ended without a result" in page.told
        page.check(source("a2"))
        assert page.tab.locator("#view-check li.failed").count() == 0
        page.complaints[:] = [one for one in page.complaints if "exit" not in one.lower()]  # Pyodide's own


class TestFile:
    @pytest.fixture
    def own(self, browser: Any, address: str) -> Iterator[Assignment]:
        opened = Assignment(browser, address)
        opened.start("a4")
        yield opened
        assert opened.complaints == []
        opened.context.close()

    def test_is_kept_by_assignment_until_one_starts_over(self, own: Assignment) -> None:
        own.write("mine = 4")
        own.choose("a2")
        assert own.program.startswith("# %% [markdown]")
        own.tab.keyboard.press("Control+z")
        assert "mine" not in own.program
        own.write("mine = 2")
        own.tab.reload()
        own.until("document.querySelector('#view-task h1')")
        assert own.program == "mine = 2" and own.tab.input_value("#examples") == "#assignment=a2"
        own.choose("a4")
        assert own.program == "mine = 4"
        asked: list[str] = []
        own.tab.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        own.tab.click("#start-over")
        assert asked == ["Discard your a4.py and start over?"] and own.program == "mine = 4"
        own.tab.once("dialog", lambda dialog: dialog.accept())
        own.tab.click("#start-over")
        assert own.program.startswith("# %% [markdown]") and "Started over" in own.told
        own.tab.click("#assignment-told button")
        assert own.program == "mine = 4"

    def test_is_downloaded_by_its_name_and_opened_again(self, own: Assignment, tmp_path: Path) -> None:
        own.write("text = 'αβγ'\n")
        with own.tab.expect_download() as waiting:
            own.tab.click("#download-file")
        assert waiting.value.suggested_filename == "a4.py"
        waiting.value.save_as(tmp_path / "a4.py")
        assert (tmp_path / "a4.py").read_bytes() == "text = 'αβγ'\n".encode()
        (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n")
        own.tab.set_input_files("#assignment-bar input", tmp_path / "mine.py")
        own.until("document.querySelector('#assignment-told').textContent.startsWith('Opened mine.py.')")
        assert own.program.rstrip() == "x = 1\ny = 2"
        own.tab.click("#assignment-told button")
        assert own.program.rstrip() == "text = 'αβγ'"

    @pytest.mark.parametrize("name, content, said", [
        ("a4.ipynb", b"{}", "only Python files"), ("a4.py", b"\xff\xfe", "no text in UTF-8"),
        ("a4.py", b"#" * 2_000_000, "larger than 1 MB")])
    def test_that_cannot_be_opened_changes_nothing(self, own: Assignment, name: str, content: bytes, said: str,
                                                   tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        before = own.program
        own.tab.set_input_files("#assignment-bar input", tmp_path / name)
        own.until(f"document.querySelector('#assignment-told').textContent.includes({said!r})")
        assert own.program == before


class TestPage:
    def test_is_in_the_menu_beside_the_examples(self, page: Assignment) -> None:
        titles = page.tab.locator("#examples optgroup[label=assignments] option").all_text_contents()
        assert [title.partition(":")[0] for title in titles] == list(NAMES)
        page.choose("a1")
        assert page.tab.url.endswith("#assignment=a1") and not page.tab.is_visible("#steps")
        page.after(page.tab.select_option, "#examples", "lstm")
        assert "#" not in page.tab.url and page.tab.is_visible("#rolled svg") and page.tab.is_visible("#steps")
        assert not page.tab.is_visible("#check") and not page.tab.is_visible("#assignment")
        page.choose("a3")

    def test_shows_the_task_with_its_formulas(self, page: Assignment) -> None:
        page.choose("a3")
        assert page.text("#view-task h1") == "Assignment 3: recurrent cells by hand"
        assert page.tab.locator("#view-task math").count() > 5 and "$" not in page.text("#view-task")

    def test_a_link_to_an_assignment_that_is_not_there_is_told(self, browser: Any, address: str) -> None:
        other = Playground(browser, address + "#assignment=a99")
        other.open()
        other.until("document.getElementById('misread').textContent.includes('in the link')")
        assert "Elman" in other.program and other.complaints == []
        other.context.close()

    @pytest.mark.parametrize("width", [400, 800, 1440, 1920])
    def test_is_never_wider_than_the_window(self, page: Assignment, width: int) -> None:
        page.choose("a3")
        page.tab.set_viewport_size({"width": width, "height": 900})
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.check(mutant("a3"))
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.tab.set_viewport_size({"width": 1440, "height": 900})

    def test_tabs_by_the_keyboard(self, page: Assignment) -> None:
        page.choose("a3")
        page.tab.focus("#tab-task")
        page.tab.keyboard.press("ArrowRight")
        assert page.tab.get_attribute("#tab-check", "aria-selected") == "true" and page.tab.is_visible("#view-check")

    def test_works_without_the_network_once_it_is_loaded(self, browser: Any, address: str) -> None:
        other = Assignment(browser, address)
        other.start("a2")
        kept = "caches.keys().then(async names => (await (await caches.open(names[0])).keys()).map(e => e.url))"
        for _ in range(100):
            if {"a3.zip", "a3.html", "report.js"} <= {url.rpartition("/")[2] for url in other.tab.evaluate(kept)}:
                break
            other.tab.wait_for_timeout(100)
        other.context.set_offline(True)
        other.start("a3")
        other.check(source("a3"))
        assert other.told == "26 of 26 points" and other.complaints == []
        other.context.close()
