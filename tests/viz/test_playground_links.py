"""Addresses that carry a program: what Python packs, the playground's own script unpacks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from viz.playground.build import SITE
from viz.playground.links import LEVELS, MOST, program_link
from viz.playground.views import VIEWS

PROGRAMS = {
    "short": "h[t] = np.tanh(W @ x[t])\n",
    "empty": "",
    "beyond ASCII": "print('Zustände: σ(h⃗) 🙂')\n",
    "markup": "'</script><img src=x onerror=alert(1)>' # & \" %3C\r\n",
    "long": "x = [" + ", ".join(map(str, range(20_000))) + "]\n",
}
UNPACK = "import {unpack} from %s; process.stdout.write(await unpack(process.argv[1]))"


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_page_unpacks_the_program_of_a_link(program: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js isn't installed")
    _, _, packed = program_link(program).partition("#program=")
    script = UNPACK % json.dumps((SITE / "link.js").as_uri())
    done = subprocess.run(["node", "--input-type=module", "-e", script, packed or " "], capture_output=True, timeout=60)
    assert done.stderr == b""
    assert done.stdout.decode() == program


def test_a_link_is_the_address_of_the_playground_and_characters_that_addresses_have() -> None:
    link = program_link(PROGRAMS["beyond ASCII"], "https://example.org/course/playground/")
    assert re.fullmatch(r"https://example\.org/course/playground/#program=[\w-]+", link, re.ASCII)


def test_a_link_holds_the_choices_that_are_not_the_usual_ones() -> None:
    plain = program_link("x = 1")
    assert program_link("x = 1", view="pictures", level="signals", heat=False) == plain
    assert program_link("x = 1", view="steps", level="ops", heat=True) == f"{plain}&view=steps&level=ops&heat=on"
    with pytest.raises(ValueError, match="view='graph': the playground has pictures, gradients, steps, training"):
        program_link("x = 1", view="graph")
    with pytest.raises(ValueError, match="level='all'"):
        program_link("x = 1", level="all")


def test_the_page_has_these_views_and_levels() -> None:
    script = (SITE / "views.js").read_text(encoding="utf-8")
    assert re.findall(r'^    (\w+): \["', script, re.MULTILINE) == list(VIEWS)
    levels = re.findall(r'<option value="(\w+)">', (SITE / "index.html").read_text(encoding="utf-8"))
    assert set(LEVELS) <= set(levels)


def test_a_program_that_the_page_would_refuse_is_refused() -> None:
    assert f"const MOST = {MOST};" in (SITE / "link.js").read_text(encoding="utf-8")
    program_link("#" * MOST)
    with pytest.raises(ValueError, match="200,001 characters; a link carries 200,000 at most"):
        program_link("#" * (MOST + 1))
    with pytest.raises(ValueError, match="100,001 characters"):
        program_link("🙂" * (MOST // 2 + 1))
