"""The playground in a real browser: built by npm, with a whole Pyodide, served from this machine.

The environment variable PYODIDE names the folder of the release; `nox -s playground` provides one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser import launched
from playground import Playground, served

from viz.playground.build import EXAMPLES, MODULES, stepper
from viz.playground.examples import TITLES
from viz.playground.running.program import Program
from viz.stepper_page.page import record

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
        other.until("document.getElementById('misread').textContent.includes('cut off')")
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


class Steps:
    """The view of the steps, and the frame in it."""

    def __init__(self, page: Playground) -> None:
        self.page = page
        if page.tab.locator("#tab-steps[aria-selected=true]").count() == 0:
            page.after(page.tab.click, "#tab-steps")

    @property
    def frame(self) -> Any:
        return self.page.tab.frame_locator("#view-steps > iframe")

    @property
    def at(self) -> int:
        return int(self.text("#count").partition("/")[0])

    def text(self, selector: str) -> str:
        return str(self.frame.locator(selector).inner_text())

    def norm(self, selector: str) -> float:
        """Return the norm in the tooltip of an element, which has all of its digits."""
        return float(self.frame.locator(selector).get_attribute("title").removeprefix("norm "))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.frame.locator("#picture").press(key)

    def go(self, step: int) -> None:
        self.frame.locator("#slider").fill(str(step))

    def box(self, label: str) -> Any:
        return self.frame.locator(f'.box:has(> text:text-is("{label}"))').first

    def wait_for_address(self, text: str) -> None:
        """Wait until the frame's address, which is written from time to time, contains a text."""
        address = "document.querySelector('#view-steps > iframe').contentWindow.location.hash"
        self.page.until(f"{address}.includes('{text}')")


class TestSteps:
    @pytest.fixture
    def steps(self, page: Playground) -> Iterator[Steps]:
        """The view, at the start of the steps of the Elman network; afterwards the pictures are shown again."""
        page.after(page.tab.select_option, "#examples", "delays")
        page.after(page.tab.select_option, "#examples", "elman")
        yield Steps(page)
        page.after(page.tab.click, "#tab-pictures")

    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_an_example_has_the_numbers_of_its_pass_in_python(self, page: Playground, steps: Steps, name: str) -> None:
        if name != "elman":
            page.after(page.tab.select_option, "#examples", name)
        program = Program((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"), 60)
        data = json.loads(record(program.variables["loss"], 10_000, 2 ** 30).data)
        last = len(data["steps"])
        assert steps.text("#count") == f"0 / {last}"
        steps.press("ArrowRight", "ArrowRight", "ArrowLeft")
        for number in (1, last // 2, last):
            steps.go(number)
            assert steps.at == number
            step = data["steps"][number - 1]
            wanted = float(data["arrays"][step["grad"]]["norm"])
            assert steps.norm("#panel .upstream .norm") == pytest.approx(wanted, rel=1e-9, nan_ok=True)
            for row, total in enumerate(steps.frame.locator("#panel b.total").all()):
                wanted = float(data["arrays"][step["passed"][row]["total"]]["norm"])
                assert float(total.get_attribute("title")) == pytest.approx(wanted, rel=1e-9, nan_ok=True)

    def test_breakpoints_lead_to_the_operation_that_makes_a_nan(self, page: Playground, steps: Steps) -> None:
        page.after(page.tab.select_option, "#examples", "not_a_number")
        steps.frame.locator("#break").fill("nan")
        steps.frame.locator("#break").press("Enter")
        steps.press("Shift+ArrowRight")
        assert "a NaN first appears in the contribution of Power.backward" in steps.text("#reason")
        assert steps.at == 2 and steps.text("#panel dl").split()[-1] == "program.py:20"

    def test_a_line_is_shown_in_the_editor(self, page: Playground, steps: Steps) -> None:
        steps.box("h[2]").click()
        steps.frame.locator("#panel dd button").click()
        assert page.tab.evaluate("document.activeElement.id") == "editor"
        assert page.text("#editor .cm-activeLine").startswith("h[t] = np.tanh(")

    def test_another_length_keeps_step_and_breakpoints_and_another_example_none(
            self, page: Playground, steps: Steps) -> None:
        steps.frame.locator("#break").fill("op tanh")
        steps.frame.locator("#break-add").click()
        steps.box("h[2]").click()
        before = steps.at
        steps.wait_for_address(f"step={before}")
        page.after(page.tab.fill, "#steps", "6")
        assert steps.at > before and steps.text("#panel h2").startswith("h[2]")
        assert steps.text("#stops li").split()[:2] == ["op", "tanh"] and "6×" in steps.text("#stops li")
        page.after(page.tab.select_option, "#examples", "vanishing")
        assert steps.at == 0 and steps.frame.locator("#stops li").count() == 0

    def test_a_shorter_pass_ends_earlier_and_a_breakpoint_without_a_tensor_is_left_out(
            self, page: Playground, steps: Steps) -> None:
        steps.frame.locator("#break").fill("U")
        steps.frame.locator("#break-add").click()
        steps.press("End")
        steps.wait_for_address("step=24")
        page.run("import minigrad as mg\nloss = (mg.Tensor([2.0], requires_grad=True, name='w') ** 2).sum()\n")
        assert steps.text("#count") == "2 / 2" and steps.frame.locator("#stops li").count() == 0
        assert steps.text("#notice p").startswith("In this program: the breakpoint 'U' is left out")

    def test_the_keyboard_gets_in_and_out(self, page: Playground, steps: Steps) -> None:
        focused = "document.activeElement.id || document.activeElement.tagName"
        page.tab.focus("#tab-steps")
        page.tab.keyboard.press("Tab")
        assert page.tab.evaluate(focused) == "IFRAME"
        page.tab.keyboard.press("Escape")  # leaves the field
        assert page.tab.evaluate(focused) == "IFRAME"
        page.tab.keyboard.press("ArrowRight")
        assert steps.at == 1
        page.tab.keyboard.press("Escape")
        assert page.tab.evaluate(focused) == "tab-steps"
        page.tab.keyboard.press("Tab")
        for _ in range(60):
            if page.tab.evaluate(focused) != "IFRAME":
                break
            page.tab.keyboard.press("Tab")
        assert page.tab.evaluate("document.activeElement.closest('footer') !== null")

    def test_the_theme_is_that_of_the_page(self, page: Playground, steps: Steps) -> None:
        themes = ("[document, document.querySelector('#view-steps > iframe').contentDocument]"
                  ".map(each => each.documentElement.dataset.theme).join()")
        assert page.tab.evaluate(themes) == "light,light"
        page.after(page.tab.click, "#theme")
        assert page.tab.evaluate(themes) == "dark,dark"
        page.after(page.tab.select_option, "#examples", "lstm")
        assert page.tab.evaluate(themes) == "dark,dark"
        steps.press("d")
        page.until(f"{themes} === 'light,light'")

    def test_choices_of_pictures_keep_the_steps_as_they_are(self, page: Playground, steps: Steps) -> None:
        steps.press("ArrowRight")
        page.after(page.tab.check, "#heat")
        page.after(page.tab.uncheck, "#heat")
        assert steps.at == 1

    def test_an_error_leaves_the_steps_pale_and_a_program_without_a_loss_has_none(
            self, page: Playground, steps: Steps) -> None:
        page.run(page.program + "\n1 / 0\n")
        assert "ZeroDivisionError" in page.text("#problems")
        assert page.tab.locator("#view-steps > iframe.stale").count() == 1
        page.run(DEFINITION)
        assert page.text("#problems") == "" and "the variable loss" in page.text("#view-steps p")
        assert page.tab.locator("#view-steps > iframe").count() == 0

    def test_typing_leaves_one_frame_with_the_last_program(self, page: Playground, steps: Steps) -> None:
        program = page.program
        for number in range(6):
            page.write(program.replace('signal("h"', f'signal("h{number}"'))
            page.tab.wait_for_timeout(150)
        page.until("document.querySelector('#view-steps > iframe')?.contentDocument.body.textContent.includes('h5[4]')")
        page.tab.wait_for_timeout(600)
        assert page.tab.locator("#view-steps > iframe").count() == 1 and steps.box("h5[4]").count() == 1

    def test_examples_that_are_opened_in_a_hurry_end_with_the_last_one(self, page: Playground, steps: Steps) -> None:
        for pause in range(0, 400, 40):
            for name in ("vanishing", "matrix_state"):
                page.tab.select_option("#examples", name)
                page.tab.wait_for_timeout(pause)
        page.after(page.tab.select_option, "#examples", "lstm")
        page.until("document.querySelector('#view-steps > iframe:not(.coming)')?.title.includes('loss')")
        page.tab.wait_for_timeout(600)
        assert page.tab.locator("#view-steps > iframe").count() == 1 and steps.text("#count") == "0 / 67"

    def test_markup_in_names_is_only_text(self, page: Playground, steps: Steps) -> None:
        name = "<img src=x onerror=top.document.title='bad'>"
        page.run(page.program.replace('signal("h"', f'signal("{name}"').replace('name="W"', f'name="{name}"'))
        steps.press("End")
        assert steps.frame.locator("img").count() == 0 and steps.frame.locator(f'text="{name}"').count() > 0
        assert page.tab.title() == "Recurrences: a playground"

    @pytest.mark.parametrize("width", [400, 800, 1440])
    def test_is_never_wider_than_the_window(self, page: Playground, steps: Steps, width: int) -> None:
        page.tab.set_viewport_size({"width": width, "height": 900})
        page.after(page.tab.select_option, "#examples", "lstm")
        steps.press("ArrowRight")
        inside = "(frame => frame.contentDocument.documentElement.scrollWidth <= frame.clientWidth)"
        assert page.tab.evaluate(f"{inside}(document.querySelector('#view-steps > iframe'))")
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        page.tab.set_viewport_size({"width": 1440, "height": 900})

    def test_its_page_alone_leads_to_the_playground(self, browser: Any, address: str) -> None:
        other = Playground(browser, address + "stepper.html")
        other.open()
        other.until(f"location.href === '{address}'")
        assert other.complaints == []
        other.context.close()


class TestOffline:
    def test_works_without_the_network_once_it_is_loaded(self, browser: Any, address: str) -> None:
        other = Playground(browser, address)
        other.open()
        other.wait()
        kept = "caches.keys().then(async names => (await (await caches.open(names[0])).keys()).map(e => e.url))"
        wanted = {*MODULES, *stepper(), "packages.zip", "page.js", "worker.js", "pyodide.asm.wasm", "python_stdlib.zip"}
        for _ in range(100):
            if wanted <= {url.rpartition("/")[2] for url in other.tab.evaluate(kept)}:
                break
            other.tab.wait_for_timeout(100)
        other.context.set_offline(True)
        other.open()
        other.wait()
        assert "loss" in other.labels("#unrolled") and other.text("#problems") == ""
        steps = Steps(other)
        steps.press("ArrowRight")
        assert steps.at == 1 and steps.text("#panel h2").startswith("loss")
        other.after(other.tab.click, "#tab-pictures")
        other.run(DEFINITION)
        assert "h[t]" in other.labels("#rolled") and other.complaints == []
        other.context.close()
