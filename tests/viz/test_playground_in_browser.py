"""The playground in a real browser: built by npm, with a whole Pyodide, served from this machine.

The environment variable PYODIDE names the folder of the release; `nox -s playground` provides one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playground import Playground, launched, served

from viz.playground.build import EXAMPLES, MODULES
from viz.playground.examples import TITLES

DEFINITION = """\
import numpy as np
import minigrad as mg
from rnn import Cell, t

net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
U = mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="U")
h[t] = np.tanh(x[t] + U @ h[t-1])
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Playground]:
    """One page for all tests, as Python takes seconds to load; at the end it may have asked only its own site."""
    opened = Playground(browser, address)
    opened.open()
    opened.wait()
    yield opened
    assert opened.complaints == []
    strange = [url for url in opened.asked if not url.startswith((address, "blob:", "data:", "about:"))]
    assert not strange
    opened.context.close()


def lines_with(program: str, pattern: str) -> list[int]:
    return [number for number, line in enumerate(program.splitlines(), 1) if re.match(pattern, line)]


class TestExamples:
    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_is_drawn_rolled_and_unrolled_at_each_level(self, page: Playground, name: str) -> None:
        if page.tab.input_value("#examples") == name:
            page.after(page.tab.select_option, "#examples", "lstm")
        page.after(page.tab.select_option, "#examples", name)
        for level in ("ops", "signals"):
            page.after(page.tab.select_option, "#level", level)
            assert page.text("#problems") == ""
            assert page.tab.locator("#rolled svg").count() == 1 + (name == "encoder_decoder")
            assert page.tab.locator("#unrolled svg").count() == 1
        assert any(label.endswith("[t]") for label in page.labels("#rolled"))
        assert "loss" in page.labels("#unrolled")

    def test_a_loop_without_a_delay_is_an_error_at_its_lines(self, page: Playground) -> None:
        page.after(page.tab.select_option, "#examples", "no_delay")
        assert "loop without delay" in page.text("#problems")
        [line, _] = lines_with((EXAMPLES / "no_delay.py").read_text(encoding="utf-8"), r"[hy]\[t\]")
        assert page.text("#problems button") == f"line {line}"
        assert page.tab.locator("#editor .cm-lintRange-error").count() >= 2


class TestTyping:
    def test_redraws(self, page: Playground) -> None:
        page.run(DEFINITION)
        assert "h[t]" in page.labels("#rolled")
        page.run(DEFINITION.replace('net.signal("h", 2)', 'net.signal("state", 2)'))
        assert "state[t]" in page.labels("#rolled") and "h[t]" not in page.labels("#rolled")

    def test_an_error_is_told_at_its_line_and_the_picture_stays(self, page: Playground) -> None:
        page.run(DEFINITION)
        page.run(DEFINITION + "\nnet.unroll(x=np.ones((3, 1, 7)))\n")
        assert page.text("#problems pre").startswith("ValueError: ") and page.text("#problems button") == "line 10"
        assert page.tab.locator("#unrolled.stale svg").count() == 1
        page.tab.click("#problems button")
        page.run(DEFINITION)
        assert page.text("#problems") == "" and page.tab.locator(".stale").count() == 0

    def test_the_last_program_wins(self, page: Playground) -> None:
        page.run(DEFINITION)
        for number in range(8):
            page.write(DEFINITION.replace('"h"', f'"h{number}"'))
            page.tab.wait_for_timeout(40)
        page.until("document.querySelector('#rolled').textContent.includes('h7[t]')")
        page.tab.wait_for_timeout(600)
        assert "h7[t]" in page.labels("#rolled") and "h6[t]" not in page.labels("#rolled")

    def test_output_is_shown_as_text(self, page: Playground) -> None:
        page.run("print('<b>bold</b>')")
        assert page.text("#printed").strip() == "<b>bold</b>" and page.tab.locator("#printed b").count() == 0

    def test_a_loop_that_does_not_end_is_stopped_and_the_page_survives(self, page: Playground) -> None:
        page.run("a = 1\nwhile True: a = 2\n")
        assert "Stopped: stopped after" in page.text("#problems") and page.text("#problems button") == "line 2"
        page.run(DEFINITION)
        assert page.text("#problems") == "" and "h[t]" in page.labels("#rolled")

    def test_python_that_does_not_answer_is_replaced(self, page: Playground) -> None:
        page.run("import re\nre.match('(a+)+$', 'a' * 64 + 'b')\n")
        assert "no answer in 20 seconds" in page.text("#problems")
        page.run(DEFINITION)
        assert page.text("#problems") == "" and "h[t]" in page.labels("#rolled")


class TestChoices:
    def test_the_slider_changes_the_line_of_the_program(self, page: Playground) -> None:
        page.after(page.tab.select_option, "#examples", "bidirectional")
        page.after(page.tab.fill, "#steps", "6")
        assert "T = 6" in page.program and "hb[6]" in page.labels("#unrolled")
        page.run(page.program.replace("T = 6", "T = 3"))
        assert page.tab.input_value("#steps") == "3" and page.text("#steps-shown") == "3"

    def test_the_slider_unrolls_a_definition_alone(self, page: Playground) -> None:
        page.run(DEFINITION)
        for T in (7, 2):
            page.after(page.tab.fill, "#steps", str(T))
            assert f"h[{T}]" in page.labels("#unrolled") and f"h[{T + 1}]" not in page.labels("#unrolled")

    def test_heat_and_dark_change_the_colours(self, page: Playground) -> None:
        page.after(page.tab.select_option, "#examples", "vanishing")
        fill = "[...document.querySelectorAll('#unrolled .node path')].map(e => e.getAttribute('fill')).join()"
        plain = page.tab.evaluate(fill)
        page.after(page.tab.check, "#heat")
        hot = page.tab.evaluate(fill)
        page.after(page.tab.click, "#theme")
        assert len({plain, hot, page.tab.evaluate(fill)}) == 3
        page.after(page.tab.click, "#theme")
        page.after(page.tab.uncheck, "#heat")
        assert page.tab.evaluate(fill) == plain


class TestSizes:
    @pytest.mark.parametrize("width", [400, 800, 1440, 1920])
    def test_the_page_is_never_wider_than_the_window(self, page: Playground, width: int) -> None:
        page.tab.set_viewport_size({"width": width, "height": 900})
        for name in ("lstm", "no_delay"):
            page.after(page.tab.select_option, "#examples", name)
            assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.tab.set_viewport_size({"width": 1440, "height": 900})


class TestBoxes:
    def test_show_value_gradient_and_line(self, page: Playground) -> None:
        page.run(DEFINITION + "run = net.unroll(x=np.ones((3, 1, 2)))\nloss = (run['h'][3] ** 2).sum()\n"
                              "loss.backward()\n")
        page.boxes("#unrolled", "h[1]").click()
        page.tab.wait_for_selector("#box h2")
        assert page.text("#box h2 >> nth=0") == "h[1], shape (1, 2)"
        assert "0.7616" in page.text("#box pre >> nth=0") and page.text("#box button") == "line 8"
        page.boxes("#rolled", "x[t]").press("Enter")
        page.until("document.querySelector('#box button')?.textContent === 'line 6'")


class TestLinks:
    def test_a_program_comes_back_from_its_link_and_waits_for_a_press(self, page: Playground, browser: Any) -> None:
        program = DEFINITION + "# ∂L/∂h → 0\nprint('ran')"
        page.run(program)
        page.tab.click("#link")
        page.until("location.hash.startsWith('#program=')")
        other = Playground(browser, page.tab.url)
        other.open()
        other.tab.wait_for_selector("#loading", state="hidden")
        other.tab.wait_for_timeout(500)
        assert other.program == program
        assert other.drawn == 0 and other.tab.locator("svg .node").count() == 0
        other.tab.locator("#editor .cm-content").click()
        other.tab.keyboard.press("Control+End")
        other.tab.keyboard.insert_text("\nprint('typed')")
        other.tab.wait_for_timeout(600)
        assert other.drawn == 0, "typing is no press"
        other.after(other.tab.click, "#run")
        assert other.text("#printed").split() == ["ran", "typed"] and "h[t]" in other.labels("#rolled")
        assert other.complaints == []
        other.context.close()

    @pytest.mark.parametrize("fragment", ["#program=", "#program=%%%", "#program=AAAA", "#program=7c6x"])
    def test_a_broken_link_is_told(self, browser: Any, address: str, fragment: str) -> None:
        other = Playground(browser, address + fragment)
        other.open()
        other.until("document.getElementById('problems').textContent.includes('cut off')")
        assert "Elman" in other.program and other.complaints == []
        other.context.close()


class TestSafety:
    def test_markup_in_names_is_only_text(self, page: Playground) -> None:
        name = "<img src=x onerror=document.title='bad'>"
        page.run(DEFINITION.replace('"net"', repr(name)).replace('"h"', repr("</svg><script>1</script>")))
        assert page.tab.locator("#pictures img, #pictures script").count() == 0
        assert page.tab.title() == "Recurrences: a playground"

    def test_a_program_cannot_ask_another_host(self, browser: Any, address: str) -> None:
        other = Playground(browser, address)
        other.open()
        other.wait()
        other.run("from pyodide.http import open_url\nopen_url('https://example.org/secret')")
        assert "NetworkError" in other.text("#problems") or "JsException" in other.text("#problems")
        assert other.refused == {"https://example.org/secret": "csp"}
        other.context.close()


class TestOffline:
    def test_works_without_the_network_once_it_is_loaded(self, browser: Any, address: str) -> None:
        other = Playground(browser, address)
        other.open()
        other.wait()
        kept = "caches.keys().then(async names => (await (await caches.open(names[0])).keys()).map(e => e.url))"
        wanted = {*MODULES, "packages.zip", "page.js", "worker.js", "pyodide.asm.wasm", "python_stdlib.zip"}
        for _ in range(100):
            if wanted <= {url.rpartition("/")[2] for url in other.tab.evaluate(kept)}:
                break
            other.tab.wait_for_timeout(100)
        other.context.set_offline(True)
        other.open()
        other.wait()
        assert "loss" in other.labels("#unrolled") and other.text("#problems") == ""
        other.run(DEFINITION)
        assert "h[t]" in other.labels("#rolled") and other.complaints == []
        other.context.close()
