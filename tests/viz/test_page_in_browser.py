"""viz.stepper's page in a real browser: what it shows, and how it is used by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Opened, browser, opened
from elman_losses import long_loss, loss_of, run_of

import minigrad as mg
import viz
from rnn import Cell, t

__all__ = ["browser", "opened"]  # fixtures


# The elements whose text has a contrast under 4.5 to 1 to what is behind it.
FAINT = """(() => {
    const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const over = (colors) => {  // paints them on each other, the first at the bottom
        for (const color of colors) { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); }
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = color => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(color[i] / 255), 0);
    const grounds = element => {
        const colors = [];
        for (; element; element = element.parentElement) colors.unshift(getComputedStyle(element).backgroundColor);
        return ['white', ...colors];
    };
    const found = [];
    const check = (element, text, behind) => {
        const [high, low] = [light(over([...behind, text])), light(over(behind))].sort((a, b) => b - a);
        if ((high + 0.05) / (low + 0.05) < 4.5) found.push(element.outerHTML.slice(0, 80));
    };
    const words = 'h1, h2, h3, h4, dt, dd, b, p, .quiet, .source span, .time, .norm, summary, #count, .entry, li, '
        + '#list span, .numbers td, button, .formula';
    for (const e of document.querySelectorAll(words)) if (e.innerText) check(e, getComputedStyle(e).color, grounds(e));
    for (const box of document.querySelectorAll('.box:not(.partly)')) {
        const fill = [getComputedStyle(box.querySelector('rect')).fill];
        for (const e of box.querySelectorAll('text')) check(e, getComputedStyle(e).fill, fill);
    }
    return found;
})()"""


def nan_loss() -> mg.Tensor:
    """h[3] is exactly zero; the derivative of its root is infinite, and 0 · ∞ is NaN."""
    U = mg.Tensor(np.eye(3)[[1, 2, 0]], requires_grad=True, name="U")
    cell = Cell("nan")
    x, h, L = cell.input("x", 3), cell.signal("h", 3), cell.signal("L", 3)
    h[t] = U @ h[t-1] + x[t]
    L[t] = np.sqrt(h[t] * h[t])
    data = np.array([[1.0, 2, 3], [1, 0, 2], [-3, -3, -3], [2, 1, 1], [1, 1, 2]])
    loss: mg.Tensor = cell.unroll(x=data)["L"].stack().sum()
    return loss


class TestMoving:
    def test_by_keys(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        assert page.at == 0 and "Start" in page.text("#panel h2")
        page.press("ArrowRight", "ArrowRight")
        assert page.at == 2
        page.press("ArrowLeft")
        assert page.at == 1
        page.press("End", "ArrowRight")
        assert page.at == 28
        page.press("Home", "ArrowLeft")
        assert page.at == 0

    def test_by_playing_and_stopping(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.tab.select_option("#speed", "333")  # slow: a busy machine must see one of these steps
        page.tab.locator("#picture").focus()
        page.press("Space")
        page.wait("#count", r"^[3-9] /")
        page.press("Space")
        stopped = page.at
        page.tab.wait_for_timeout(700)
        assert 3 <= page.at == stopped
        page.tab.select_option("#speed", "25")
        page.tab.locator("#picture").focus()
        page.press("Space")
        page.wait("#count", "^28 /")
        page.tab.locator("#play[aria-pressed=false]").wait_for()

    def test_by_buttons_slider_and_address(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        for button, at in (("on", 1), ("on", 2), ("back", 1), ("last", 28), ("first", 0)):
            page.tab.click(f"#{button}")
            assert page.at == at
        page.go(7)
        assert page.at == 7 and "step 7 of 28" in page.text("#panel dl").replace("\n", " ")
        page.run("location.hash = '#12'")
        page.wait("#count", "^12 /")

    def test_by_a_click_on_a_box(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.box("h[2]").click()
        assert page.text("#panel h2").startswith("h[2]")
        page.tab.click("#shared .param[data-node]:first-of-type")
        assert "W" in page.texts("#panel h4 .link")

    def test_by_keyboard_alone(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        seen: dict[str, str] = {}
        for _ in range(60):
            page.press("Tab")
            found = page.run("""(() => { const e = document.activeElement; return [e.id || e.className || e.tagName,
                e.getAttribute('aria-label') || e.innerText || '', getComputedStyle(e).outlineStyle]; })()""")
            assert found[0] == "BODY" or found[2] != "none", f"{found[0]} shows no focus"
            seen[found[0]] = found[1]
        wanted = {"search", "theme", "help", "first", "back", "play", "on", "last", "speed", "slider", "run-on",
                  "run-back", "break", "break-add", "listing", "list", "picture", "panel", "smaller", "fit", "larger"}
        assert wanted <= set(seen)
        assert all(seen[name] for name in wanted)

    def test_every_step_is_announced_to_screen_readers(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.press("ArrowRight")
        assert page.run("document.getElementById('spoken').textContent").startswith("step 1 of 28: mean, loss")
        assert page.tab.locator("#slider").get_attribute("aria-valuetext") == "step 1, mean, loss"


class TestNumbers:
    def test_after_the_last_step_totals_are_those_of_backward(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        loss = loss_of(run)
        page = opened(loss)
        page.press("End")
        loss.backward()
        lines = page.texts("#shared .param")
        assert len(lines) == len(run.parameters)
        for line, (name, tensor) in zip(lines, run.parameters.items()):
            assert line.split()[0] == name and "so far" not in line
            assert float(line.split()[-1]) == pytest.approx(np.linalg.norm(tensor.grad), rel=5e-3)

    def test_a_step_shows_upstream_times_local(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        loss = loss_of(run)
        page = opened(loss)
        loss.backward()
        page.box("h[3]").click()
        h = run["h"][3]
        wanted = {".upstream": h.grad, ".local": 1 - h.data ** 2, ".contribution": h.grad * (1 - h.data ** 2),
                  ".result": h.data}
        for place, array in wanted.items():
            shown = np.array([float(cell) for cell in page.texts(f"#panel {place} td")]).reshape(4, 4)
            np.testing.assert_allclose(shown, array, rtol=6e-3)
        assert "return grad * (1 - out * out)" in page.text("#panel .source")
        assert page.text("#panel .code") == "h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)"

    def test_contributions_add_up_to_the_running_total(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        page = opened(loss_of(run))
        page.tab.fill("#break", "param U")
        page.press("Enter")
        loss = loss_of(run)
        loss.backward()
        rows = run.contributions("U")
        page.tab.locator("#picture").focus()
        for k in (4, 3, 2):
            page.press("Shift+ArrowRight")
            card = page.tab.locator("#panel .card", has=page.tab.locator(".link", has_text="U")).first.inner_text()
            assert f"contribution {5 - k} of 4" in card and "grad ⊗ x, summed over the batch" in card
            total = page.tab.locator("#panel .card .total").first.inner_text()
            assert float(total) == pytest.approx(np.linalg.norm(rows[k - 1:].sum(axis=0)), rel=5e-3)

    def test_bars_show_what_each_time_step_has_added(self, opened: Callable[..., Opened]) -> None:
        run = run_of()
        loss = loss_of(run)
        page = opened(loss)
        script = """[...document.querySelectorAll('#shared .param:nth-of-type(2) .bars rect')]
            .map(bar => bar.classList.contains('open') ? null : Number(bar.getAttribute('height')))"""
        assert page.run(script) == [None] * 4
        page.press("End")
        loss.backward()
        norms = np.linalg.norm(run.contributions("U").reshape(4, -1), axis=1)[1:]  # at t = 1 nothing: h[0] is zero
        heights = np.array(page.run(script)[1:])
        np.testing.assert_allclose(heights / heights.max(), norms / norms.max(), atol=0.02)


class TestLooks:
    def test_a_gradient_is_waiting_until_it_is_computed(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        assert (page.look("loss"), page.look("h[4]"), page.look("h[1]")) == ("known", "waiting", "waiting")
        page.box("h[3]").click()
        assert (page.look("h[4]"), page.look("h[3]"), page.look("h[1]")) == ("known", "known", "waiting")
        assert "current" in page.box("h[3]").get_attribute("class")
        page.press("End")
        assert page.look("h[1]") == "known"
        page.press("Home")
        assert page.look("h[4]") == "waiting"

    def test_nan_zero_and_tiny_look_different(self, opened: Callable[..., Opened]) -> None:
        nan, zero, tiny, usual, out = (mg.Tensor([value], requires_grad=True, name=name) for value, name in
                                       ((0.0, "nan"), (-1.0, "zero"), (1.0, "tiny"), (1.0, "usual"), (1.0, "out")))
        parts = np.sqrt(nan * nan) + mg.relu(zero * 1.0) + tiny * 1e-12 + usual * 2.0 + out
        page = opened(parts.sum())
        names = ("nan", "zero", "tiny", "usual")
        fills = "getComputedStyle(document.querySelector('#box-' + {0!r} + ' > rect')).fill"

        def looks() -> dict[str, str]:
            return {name: page.look(name) for name in names}

        def colours() -> set[str]:
            keys = [page.box(name).get_attribute("id")[4:] for name in names]
            return {page.run(fills.format(key)) for key in keys}

        assert looks() == dict.fromkeys(names, "waiting") and len(colours()) == 1
        page.press("End")
        assert looks() == {"nan": "bad", "zero": "zero", "tiny": "tiny", "usual": "known"}
        assert len(colours()) == 4
        assert [fill for fill in colours() if "url(" in fill] == ['url("#zero")'], "zero is told by a pattern"
        assert page.run("document.querySelectorAll('pattern#zero').length") == 1

    def test_gradient_arrows_are_marked_when_their_step_has_run(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        count = "document.querySelectorAll('.back.done').length"
        found = []
        for _ in range(6):
            found.append(page.run(count))
            page.press("ArrowRight")
        assert found == [0, 1, 2, 3, 7, 8]  # loss, square, minus, stack of four, y[4]
        assert page.run("document.querySelectorAll('.back.now').length") >= 1

    def test_light_and_dark(self, opened: Callable[..., Opened]) -> None:
        ground = "getComputedStyle(document.body).backgroundColor"
        light = opened(loss_of(run_of()), scheme="light")
        dark = opened(loss_of(run_of()), scheme="dark")
        assert (light.run(ground), dark.run(ground)) == ("rgb(255, 255, 255)", "rgb(22, 24, 29)")
        light.press("d")
        dark.tab.click("#theme")
        assert (dark.run(ground), light.run(ground)) == ("rgb(255, 255, 255)", "rgb(22, 24, 29)")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out(self, opened: Callable[..., Opened], scheme: str) -> None:
        """Contrast of at least 4.5 to 1 (WCAG 2.2, criterion 1.4.3)."""
        page = opened(loss_of(run_of()), scheme=scheme, width=1440, fragment="#break=tanh&watch=U&watch=nothing")
        page.press("?")
        for step in (0, 5, 12, 17):
            page.go(step)
            assert page.run(FAINT) == []

    @pytest.mark.parametrize("width, height", [(1280, 720), (1920, 1080)])
    def test_nothing_is_cut_off(self, opened: Callable[..., Opened], width: int, height: int) -> None:
        page = opened(loss_of(run_of()), width=width, height=height)
        for step in range(0, 29, 2):
            page.go(step)
            assert page.run("""['html', 'body', 'main', '#panel', '#lower', 'header'].filter(name => {
                const e = document.querySelector(name); return e.scrollWidth > e.clientWidth + 1; })""") == []
            assert page.run("""[...document.querySelectorAll('#panel .numbers')].filter(table =>
                table.getBoundingClientRect().right > document.getElementById('panel').getBoundingClientRect().right)
                .length""") == 0

    def test_the_current_box_is_always_in_sight(self, opened: Callable[..., Opened]) -> None:
        page = opened(long_loss(100))
        for step in (1, 5, 30, 300, 599, 604):
            page.go(step)
            assert page.run("""(() => { const a = document.querySelector('.box.current').getBoundingClientRect(),
                b = document.getElementById('picture').getBoundingClientRect();
                return a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom; })()""")
        assert page.run("document.querySelectorAll('#map .cell').length") == 200
        page.tab.locator("#map .cell").nth(120).click()
        assert page.text("#panel h2").startswith("h[21]")


class TestSearch:
    def test_finds_steps_by_name_operation_and_time(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.press("/")
        page.tab.keyboard.type("tanh")
        assert page.text("#found") == "4 found"
        assert page.run("document.querySelectorAll('.box.found').length") == 4
        seen = []
        for _ in range(5):
            page.press("Enter")
            seen.append(page.text("#panel h2")[:4])
        assert seen == ["h[4]", "h[3]", "h[2]", "h[1]", "h[4]"]
        page.press("Shift+Enter")
        assert page.text("#found") == "4 of 4"
        for wanted, count in (("h[2]", "10 found"), ("t = 3", "6 found"), ("V @ h[2]", "1 found"), ("nothing", "none")):
            page.tab.fill("#search", wanted)
            page.go(0)
            assert page.text("#found") == count


class TestBreakpoints:
    def stops(self, page: Opened, key: str) -> list[tuple[int, str]]:
        """Where it stops, again and again, and why."""
        found = []
        page.tab.locator("#picture").focus()
        for _ in range(40):
            page.press(key)
            if "no breakpoint was hit" in page.text("#reason"):
                return found
            found.append((page.at, page.text("#reason")))
        raise AssertionError(f"it never comes to an end: {found}")

    def test_stop_forward_and_backward(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        for words, first, count in (
                ("op tanh", "stopped: operation tanh", 4), ("signal h", "stopped: the gradient of h[4]", 4),
                ("node h[2]", "stopped: the gradient of h[2]", 1), ("param b", "stopped: a contribution to b", 4),
                ("t 3", "stopped: time step 3 begins", 1), ("t=3", "stopped: time step 3 begins", 1),
                ("norm > 0.5", "stopped: |g| = 1.00 > 0.5", 1)):
            page.tab.locator("#picture").focus()
            page.press("b")
            page.tab.keyboard.type(words)
            page.press("Enter")
            assert len(page.texts("#stops li")) == 1, words
            forward = self.stops(page, "Shift+ArrowRight")
            assert (forward[0][1], len(forward), page.at) == (first, count, 28), words
            backward = self.stops(page, "Shift+ArrowLeft")
            assert [at for at, _ in backward] == [at for at, _ in reversed(forward) if at < 28] and page.at == 0
            page.tab.click("#stops button")

    def test_at_nan_stop_where_it_first_appears_and_say_why(self, opened: Callable[..., Opened]) -> None:
        page = opened(nan_loss())
        page.tab.fill("#break", "nan")
        page.tab.click("#break-add")
        page.tab.click("#run-on")
        assert page.text("#panel h2").startswith("h[3] * h[3]")
        assert "a NaN first appears in the contribution of Mul.backward to h[3]" in page.text("#reason")
        assert page.text("#panel .alarm") in page.text("#reason")
        assert page.look("h[3]") == "bad" and page.look("h[4]") == "known"
        page.tab.click("#run-on")
        assert page.text("#reason").startswith("no breakpoint was hit")

    def test_may_be_at_the_first_step(self, opened: Callable[..., Opened]) -> None:
        cell = Cell("one number")
        u = mg.Tensor([0.5], requires_grad=True, name="u")
        x, h = cell.input("x", 1), cell.signal("h", 1)
        h[t] = u * h[t-1] + x[t]
        page = opened(cell.unroll(x=np.ones((3, 1)))["h"][3])
        page.tab.fill("#break", "t 3")
        page.press("Enter")
        page.tab.click("#run-on")
        assert page.at == 1 and page.text("#reason") == "stopped: time step 3 begins"

    def test_at_zero_stop_where_a_gradient_becomes_zero(self, opened: Callable[..., Opened]) -> None:
        x = mg.Tensor([-1.0, -2.0], requires_grad=True, name="x")
        page = opened((mg.relu(x * 2.0) + x).sum())
        page.tab.fill("#break", "zero")
        page.press("Enter")
        page.tab.click("#run-on")
        assert "the contribution to x * 2 is exactly zero" in page.text("#reason")

    def test_stop_playing_too(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        page.tab.select_option("#speed", "25")
        page.tab.fill("#break", "node h[4]")
        page.press("Enter")
        page.tab.click("#play")
        page.wait("#reason", "h.4.")
        at = page.at
        page.tab.wait_for_timeout(100)
        assert page.at == at

    def test_are_listed_and_removed(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        for words in ("op tanh", "t 2"):
            page.tab.fill("#break", words)
            page.press("Enter")
        assert [text.split("\n")[0].split(" 1×")[0].split(" 4×")[0] for text in page.texts("#stops li")] == [
            "op tanh", "t 2"]
        page.tab.click('[aria-label="Remove the breakpoint op tanh"]')
        assert len(page.texts("#stops li")) == 1

    def test_with_invalid_text_are_refused(self, opened: Callable[..., Opened]) -> None:
        page = opened(loss_of(run_of()))
        for words, answer in (
                ("op", "write what to stop at, as in: op tanh"), ("op nothing", "no operation 'nothing' in this pass"),
                ("t soon", "write a whole number"), ("t 9", "there are t = 1 to 4"), ("norm big", "norm > 10"),
                ("norm > much", "'much' is not a number"), ("exploding -1", "is positive"),
                ("nan now", "nan takes no argument"), ("constructor x", "'constructor' is not a kind of breakpoint"),
                ("node U", "'param U' stops at each contribution"), ("signal U", "there is no signal 'U'"),
                ("H", "no tensor or operation is called 'H' in this pass; there is h, h[1], h[2]"),
                ("line model.py:3", "is a breakpoint of the terminal"), ("model.py:3", "is a breakpoint of the term"),
                ("python norm > 1", "doesn't run in a browser"), ("h, grad.max() > 1", "doesn't run in a browser"),
                ("h, norm > ", "doesn't run in a browser"), ("", "write where to stop"), (", t == 3", "write where")):
            page.tab.fill("#break", words)
            page.press("Enter")
            assert answer in page.run("document.getElementById('break').validationMessage")
            assert page.texts("#stops li") == []


class TestSafety:
    def test_names_with_markup_are_only_text(self, opened: Callable[..., Opened]) -> None:
        names = ["<img src=x onerror=document.title='bad'>", "</script><script>document.title='bad'</script>",
                 "x' onclick='document.title=1", "&lt;b&gt;"]
        tensors = [mg.Tensor([1.0], requires_grad=True, name=name) for name in names]
        cell = Cell("<b>")
        x, h = cell.input("x", 1), cell.signal("<script>document.title='bad'</script>", 1)
        h[t] = np.tanh(tensors[0] * h[t-1] + x[t] * tensors[1] + tensors[2] * tensors[3])
        loss = (cell.unroll(x=np.ones((3, 1)))[h.name].stack()).sum()
        loss.name = names[0]
        page = opened(loss)
        title = page.tab.title()
        assert names[0][:8] in title
        for _ in range(len(loss.backward_steps()) + 1):
            page.press("ArrowRight")
        assert page.run("document.querySelectorAll('img, b b, [onerror], [onclick]').length") == 0
        assert page.run("document.scripts.length") == 2
        assert page.tab.title() == title
        assert names[0][:8] in page.text("#shared")

    def test_foreign_scripts_styles_and_requests_are_blocked(self, browser: Any, tmp_path: Path) -> None:
        page = Opened(browser, viz.stepper(loss_of(run_of()), tmp_path / "steps.html"))
        page.run("""(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
            document.body.append(s); document.body.insertAdjacentHTML('beforeend',
            '<p id="styled" style="color: red" onclick="window.ran = 2">x</p>');
            document.getElementById('styled').click(); })()""")
        assert page.run("window.ran") is None
        assert page.run("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
        assert page.run("fetch('https://example.org').then(() => 'fetched', () => 'refused')") == "refused"
        assert len(page.complaints) >= 3 and all("Content Security Policy" in text for text in page.complaints)
        page.tab.close()

    def test_in_a_notebook_it_runs_in_a_frame_of_its_own(self, browser: Any) -> None:
        tab = browser.new_page()
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.set_content(f"<p>Out[1]:</p>{viz.stepper(loss_of(run_of()))._repr_html_()}")
        frame = tab.frame_locator("iframe")
        frame.locator("#on").click()
        assert frame.locator("#count").inner_text() == "1 / 28"
        assert complaints == []
        tab.close()
