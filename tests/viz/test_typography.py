"""Text as it is painted: where it begins, the order of mixed scripts, and subscripts."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import numpy as np
import pytest
from definitions import elman, lstm, parameter, unrolled
from drawings import rolled_drawing
from painters import painting

import viz
from rnn import Cell, t
from viz.render.typography import LRM, in_order, with_subscripts

SVG = "{http://www.w3.org/2000/svg}"


def written(picture: viz.Picture) -> list[tuple[str, dict[str, str]]]:
    """Return the text of each element of an SVG, and its attributes."""
    root = ET.fromstring(picture.pipe(format="svg"))
    return [("".join(element.itertext()).replace("\xa0", " "), dict(element.attrib))
            for element in root.iter(f"{SVG}text")]


# ---- where it begins
def equations() -> Cell:
    """Equations in letters of other fonts, whose widths aren't known."""
    cell = Cell("fonts")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = np.tanh(parameter("𝐱𝐲𝐳", 3, 3) @ x[t] + parameter("𝔂𝔃𝔀", 3, 3) @ h[t-1])
    y[t] = parameter("mmmmmm", 3, 3) @ h[t]
    return cell


@painting
@pytest.mark.parametrize("notation", ["code", "math"])
@pytest.mark.parametrize("make", [elman, lstm, equations])
def test_equations_begin_at_one_x(make: Any, notation: str) -> None:
    cell = make()
    lines = [text for text in rolled_drawing(cell).scene.texts if " = " in text.text]
    assert len(lines) >= 2 and len({round(text.rectangle[0], 6) for text in lines}) == 1
    starts = Counter(round(float(attributes["x"])) for _, attributes in written(viz.rolled(cell, notation=notation))
                     if attributes["text-anchor"] == "start" and attributes["font-size"] == "11.00")
    assert starts.most_common(1)[0][1] >= len(lines)


# ---- scripts
@pytest.mark.parametrize("text", ["h[t] = tanh(W @ x[t])", "θ[t]", "隐[t]", "é", ""])
def test_text_that_runs_from_the_left_is_unchanged(text: str) -> None:
    assert in_order(text) == text


def test_names_that_run_from_the_right_stay_at_their_place() -> None:
    """Between marks, brackets and signs have the direction of the line; without them they are reversed."""
    text = "מצב[t] = W @ קלט[t] + مرحبا"
    marked = in_order(text)
    assert marked.replace(LRM, "") == text and marked[0] == LRM
    assert re.findall("[א-ת]+(.)", marked) == [LRM, LRM] and marked[-1] == LRM
    assert in_order("שָׁל[t]").count(LRM) == 3  # vowel points belong to their letter


# ---- subscripts
@pytest.mark.parametrize(("text", "shown"), [
    ("h[4]", "h{4}"), ("h[t-1]", "h{t−1}"), ("h[-1] = 0", "h{−1} = 0"), ("hb[T+1]", "hb{T+1}"), ("W_f", "W{f}"),
    ("W_{ih} @", "W{ih} @"), ("h_a[t]", "h{a, t}"), ("E[w[t]]", "E[w{t}]"), ("W_f @ x[t] < 1", "W{f} @ x{t} &lt; 1"),
    ("layer.b_hn", "layer.b{hn}"), ("𝐡[2]", "𝐡{2}")])
def test_steps_and_short_indices_are_subscripts(text: str, shown: str) -> None:
    found = with_subscripts(text, 12)
    assert re.sub('<SUB><FONT POINT-SIZE="9">(.*?)</FONT></SUB>', r"{\1}", found) == f"<{shown}>"


@pytest.mark.parametrize("text", ["log_softmax(y)", "t = 4", "sum(x, axis=1)", "[ ; ]", "x[1:]", "loss = 0.5",
                                  "the_state", "1e-1", "|g| 2e-01"])
def test_other_text_has_none(text: str) -> None:
    assert "<SUB>" not in with_subscripts(text, 12)


@painting
@pytest.mark.parametrize("draw", [
    lambda **options: viz.rolled(elman(), **options), lambda **options: viz.both(elman(), **options),
    lambda **options: viz.unrolled(*unrolled(elman, 3), values=True, **options)])
def test_a_picture_in_the_notation_of_mathematics_has_no_brackets_of_steps(draw: Any) -> None:
    code, math = draw(), draw(notation="math")
    assert code.source == draw(notation="code").source and re.search(r"h\[[t3]", code.source)
    texts = [text for text, _ in written(math)]
    assert not [text for text in texts if re.search(r"\[[tT\d-]", text)]
    subscripts = {text for text, attributes in written(math) if attributes.get("baseline-shift") == "sub"}
    assert subscripts >= ({"1", "2", "3"} if "h[3]" in code.source else {"t", "t−1"})
    assert re.search(r'tooltip="[^"<]*h\[', math.source)  # a tooltip is text


def test_an_unknown_notation_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no notation 'latex': notation='code' writes"):
        viz.rolled(elman(), notation="latex")


@painting
@pytest.mark.parametrize("name", ["<b>", "a & b", 'say "hi"', "]]>", "back\\slash"])
@pytest.mark.parametrize("notation", ["code", "math"])
def test_markup_in_a_name_is_text_in_both_notations(name: str, notation: str) -> None:
    cell = Cell(name)
    signal = cell.signal(name, ())
    signal[t] = signal[t-1] + 1
    texts = [text for text, _ in written(viz.rolled(cell, notation=notation))]
    assert f"{name}, rolled" in texts and any(name in text for text in texts if "rolled" not in text)
