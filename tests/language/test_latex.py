"""Equations in LaTeX: names, products, brackets; every library cell's equations are well formed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, T, cells, t
from rnn.language.latex import equations_latex, name_latex, to_latex

RNG = np.random.default_rng(0)
cell = Cell("c")
x, h, S, a = cell.input("x", 3), cell.signal("h", 3), cell.signal("S", (3, 3)), cell.signal("a", ())
W = parameter("W", 3, 3)
E = parameter("E", 7, 3)


@pytest.mark.parametrize(("name", "latex"), [
    ("h", "h"), ("W_hh", "W_{hh}"), ("h1", "h_{1}"), ("m.W_f", "W^{(m)}_{f}"), ("layer1.h", r"h^{(\text{layer1})}"),
    ("alpha", r"\alpha"), ("w_beta", r"w_{\beta}"), ("enc", r"\text{enc}"), ("a.b.c", r"c^{(\text{a.b})}"),
    ("x_", r"\text{x\_}"), ("50%", r"\text{50\%}"), ("a\\b{c}^~", r"\text{a}{\backslash}\text{b\{c\}}{\wedge}{\sim}")])
def test_a_name_has_its_own_subscript_and_its_layer_above(name: str, latex: str) -> None:
    assert name_latex(name) == latex


def test_the_step_stands_after_the_own_subscript() -> None:
    assert name_latex("h", "t-1") == "h_{t-1}" and name_latex("m.c_2", "T+1") == "c^{(m)}_{2,T+1}"


@pytest.mark.parametrize(("expression", "latex"), [
    (np.tanh(W @ x[t] + x[t-1] * 2.0), r"\tanh\left(W\, x_{t} + x_{t-1} \cdot 2\right)"),
    (x[t] * h[t], r"x_{t} \odot h_{t}"),
    (a[t] * h[t], r"a_{t} \cdot h_{t}"),
    ((x[t] * h[t]) @ W, r"{W}^{\top}\, \left(x_{t} \odot h_{t}\right)"),
    (x[t] * (W @ h[t]), r"x_{t} \odot W\, h_{t}"),
    (x[t] @ h[t], r"{x_{t}}^{\top}\, h_{t}"),
    (S[t].T @ h[t], r"{S_{t}}^{\top}\, h_{t}"),
    ((S[t] + S[t-1]).T @ h[t], r"{\left(S_{t} + S_{t-1}\right)}^{\top}\, h_{t}"),
    (x[t] - (h[t] - x[t-1]), r"x_{t} - \left(h_{t} - x_{t-1}\right)"),
    (x[t] - h[t] - x[t-1], r"x_{t} - h_{t} - x_{t-1}"),
    (x[t] + -h[t], r"x_{t} + \left(-h_{t}\right)"),
    (-(x[t] + h[t]), r"-\left(x_{t} + h_{t}\right)"),
    ((x[t] + h[t]) / (1 + a[t]), r"\frac{x_{t} + h_{t}}{1 + a_{t}}"),
    ((x[t] + h[t]) ** 2, r"{\left(x_{t} + h_{t}\right)}^{2}"),
    (x[t] ** h[t], r"{x_{t}}^{h_{t}}"),
    (np.sqrt(x[t]) * abs(h[t]), r"\sqrt{x_{t}} \odot \left|h_{t}\right|"),
    (mg.sigmoid(x[t]), r"\sigma\left(x_{t}\right)"),
    (np.concatenate([x[t], h[t-1]]), r"\left[x_{t};\, h_{t-1}\right]"),
    (np.concatenate([S[t], S[t-1]]), r"\operatorname{concatenate}\left(S_{t},\, S_{t-1}\right)"),
    (x[t][1:], r"{x_{t}}_{[\text{1:}]}"),
    (E[np.argmax(x[t])], r"{E}_{[\operatorname{argmax}\left(x_{t}\right)]}"),
    (S[t].sum(axis=1), r"\operatorname{sum}\left(S_{t}\text{, axis=1}\right)"),
    (mg.stop_gradient(x[t]), r"\operatorname{stop\_gradient}\left(x_{t}\right)"),
    (mg.where((x[t] > 0) & ~(h[t] <= 1), x[t], 1e-5), r"\operatorname{where}\left(\left(x_{t} > 0\right) \wedge "
     r"\neg \left(h_{t} \le 1\right),\, x_{t},\, 10^{-5}\right)"),
    (0.1 * t + x[t], r"0.1 \cdot t + x_{t}"),
    (x[t] * 2.5e-7 + 1 / 3, r"x_{t} \cdot \left(2.5 \cdot 10^{-7}\right) + 0.333333"),
    (np.einsum("i,j->ij", x[t], h[t]), r"\operatorname{einsum}\left(\text{i,j->ij},\, x_{t},\, h_{t}\right)"),
    (mg.softmax(x[t]), r"\operatorname{softmax}\left(x_{t}\right)"),
    (mg.losses.cross_entropy(x[t], 2, mask=a[t] > 0, reduction="none"), r"\operatorname{cross\_entropy}\left(x_{t},"
     r"\, 2,\, \text{reduction}=\text{'none'},\, \text{mask}=a_{t} > 0\right)"),
    (np.float64(2.0) * x[t], r"2 \cdot x_{t}"),
    (np.ones((3, 3)) @ x[t], r"\text{array}(3, 3)\, x_{t}"),
])
def test_an_expression_is_written_as_in_a_book(expression: Any, latex: str) -> None:
    assert to_latex(expression) == latex


def test_all_equations_are_aligned_leads_and_computed_initial_values_included() -> None:
    own = Cell("own")
    u, enc, s = own.input("u", 3), own.static("enc", 3), own.signal("s", 3)
    s[t] = np.tanh(s[t-1] + u[t])
    s[0] = 2.0 * enc
    r = own.signal("r", 3)
    r[t] = r[t+1] * 0.5 + s[t]
    r[T+1] = enc
    y = own.signal("y", 3)
    y[t+1] = s[t]
    assert equations_latex(own).splitlines() == [
        r"\begin{aligned}", r"s_{t} &= \tanh\left(s_{t-1} + u_{t}\right) \\", r"r_{t} &= r_{t+1} \cdot 0.5 + s_{t} \\",
        r"y_{t+1} &= s_{t} \\", r"s_{0} &= 2 \cdot \text{enc} \\", r"r_{T+1} &= \text{enc}", r"\end{aligned}"]


def library_cells() -> dict[str, Cell]:
    """Return a definition by each function of rnn.cells, cells.modern and cells.memory."""
    found = {}
    makers = {name: (cells, {}) for name in ("elman", "lstm", "gru", "neurons")}
    makers |= {name: (cells.modern, options) for name, options in {
        "linear_attention": {"keys": 2}, "delta_net": {"keys": 2, "gated": True}, "mlstm": {"keys": 2}, "slstm": {},
        "min_gru": {}, "rwkv": {}, "mamba": {"states": 2}, "lru": {"states": 3}}.items()}
    makers |= {"turing_machine": (cells.memory, {"slots": 3, "width": 2}), "stack": (cells.memory, {"depth": 3})}
    for name, (module, options) in makers.items():
        found[name] = Cell(name)
        getattr(module, name)(found[name], found[name].input("x", 3), 4, name="m", rng=RNG, **options)
    return found


@pytest.mark.parametrize("name", library_cells())
def test_the_equations_of_a_library_cell_are_well_formed(name: str) -> None:
    """Braces are balanced, \\left has its \\right in the same line, and no script follows another of its kind."""
    made = library_cells()[name]
    text = equations_latex(made)
    assert sum(not line.startswith((r"\quad", r"\begin", r"\end")) for line in text.splitlines()) == len(made.equations)
    for line in text.splitlines()[1:-1]:
        plain = re.sub(r"\\[{}]", "", line)
        depths = np.cumsum([(c == "{") - (c == "}") for c in plain])
        assert depths[-1] == 0 and depths.min() >= 0
        assert line.count(r"\left") == line.count(r"\right") and line.count("&=") == 1
        assert not re.search(r"[_^]\{[^{}]*\}[_^]\{[^{}]*\}[_^]", line)


def test_a_part_that_a_long_equation_uses_twice_is_written_once() -> None:
    text = equations_latex(library_cells()["turing_machine"])
    assert r"w^{(m)}_{t} &= \frac{u_{2}}{\operatorname{sum}\left(u_{2}\right)} \\" in text.splitlines()
    assert len(re.findall(r"^\\quad u_\{\d\} &= ", text, re.MULTILINE)) == 2


def test_a_deep_expression_is_written_without_recursion_and_shortened() -> None:
    deep = x[t]
    for _ in range(5000):
        deep = np.tanh(deep)
    assert len(to_latex(deep)) < 10_000 and r"\cdots" in to_latex(deep)
