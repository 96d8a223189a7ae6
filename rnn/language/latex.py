r"""Equations in LaTeX, as a notebook shows them: `h_{t} &= \tanh\left(W\, x_{t} + U\, h_{t-1} + b\right)`.

Written with what KaTeX, MathJax and LaTeX's amsmath have in common. A signal's step is its subscript, the layer in
front of the point of a name is a superscript: `m.c[t-1]` is `c^{(m)}_{t-1}`. Products of matrices are written side by
side, products of elements with `\odot`. Reads only `op` and `inputs` of expressions and Tensors, as formula.py does.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.formats.formula import format_index, format_options

from .dependencies import written_starts
from .equations import Definition
from .expressions import Read, Static, StepNumber, Time
from .formula import written_operands
from .graphs import postorder

# How tightly the notation binds: a comparison, a sum, a product of elements, of matrices, a sign, a name or a call.
COMPARISON, SUM, PRODUCT, MATRIX_PRODUCT, PREFIX, ATOM = range(6)
WIDE = 240  # characters of an equation that is long
SHORT = 50  # characters of a part that is written in full wherever it is used
DIGITS = 9  # of a number that is written in full
LONGEST = 4000  # characters; a longer part of an equation is left out
COMPARISONS = {np.equal: "=", np.not_equal: r"\ne", np.less: "<", np.less_equal: r"\le", np.greater: ">",
               np.greater_equal: r"\ge", np.logical_and: r"\wedge", np.logical_or: r"\vee", np.logical_xor: r"\oplus"}
FUNCTIONS = {"relu": r"\operatorname{ReLU}", "sigmoid": r"\sigma", **{name: rf"\{name}" for name in (
    "tanh", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "max", "min", "det", "arctan")}}
GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
    "Pi", "Sigma", "Phi", "Psi", "Omega"))
SIGNS = {"\\": r"{\backslash}", "~": r"{\sim}", "^": r"{\wedge}"}
SPECIAL = {character: "\\" + character for character in "#$%&_{}"}
Part = tuple[str, int]  # a formula, and how tightly it binds


def equations_latex(cell: Definition) -> str:
    """Return all equations of a definition, one a line, and its initial values that are computed.

    A part that long equations use several times is written once, as `u_{1}`, below the first of them.
    """
    written = [(name_latex(equation.signal.name, repr(Time("t", equation.lead))), equation.expression)
               for equation in cell.equations]
    written += [(name_latex(start.signal.name, repr(start.step)), start.value) for start in written_starts(cell)]
    names = _names([expression for _, expression in written if len(to_latex(expression)) > WIDE])
    rows, explained = [], set()
    for left, expression in written:
        rows.append(f"{left} &= {to_latex(expression, names)}")
        for node in postorder([expression], written_operands) if names else ():
            if id(node) in names and id(node) not in explained:
                explained.add(id(node))
                rows.append(rf"\quad {names[id(node)]} &= {to_latex(node, names)}")
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])


def _names(expressions: Sequence[Any]) -> dict[int, str]:
    """Return by id the names of the long parts that these expressions use several times."""
    nodes = postorder(expressions, written_operands)
    uses = Counter(id(x) for node in nodes for x in written_operands(node))
    names: dict[int, str] = {}
    for node in nodes:
        if uses[id(node)] > 1 and len(to_latex(node, names)) > SHORT:
            names[id(node)] = f"u_{{{len(names) + 1}}}"
    return names


def to_latex(x: Any, names: Mapping[int, str] | None = None) -> str:
    """Return the formula of an expression in LaTeX, with the names of its signals and tensors.

    Args:
        names: by id, names of parts of the expression that are written in their place.
    """
    named = {key: name for key, name in (names or {}).items() if key != id(x)}
    parts: dict[int, Part] = {}  # by the id of a node

    def operands(node: Any) -> tuple[Any, ...]:
        return () if id(node) in named else written_operands(node)

    for node in postorder([x], operands):
        if id(node) in named:
            parts[id(node)] = named[id(node)], ATOM
            continue
        formula, binds = _node(node, [parts[id(operand)] for operand in operands(node)])
        parts[id(node)] = (formula, binds) if len(formula) <= LONGEST else (r"\cdots", ATOM)
    return parts[id(x)][0]


def name_latex(name: str, *indices: str) -> str:
    r"""Return a name with its own subscript, then further ones: `"m.W_hh"` is `W^{(m)}_{hh}`, `"h1"` is `h_{1}`."""
    layers, _, own = name.rpartition(".")
    found = re.fullmatch(r"(.*?[^\W\d_])_?(\d+)|([^_]+)_(.+)", own)
    base, index = (found[1] or found[3], found[2] or found[4]) if found else (own, "")
    above = f"^{{({_word(layers)})}}" if layers else ""
    below = ",".join([*([index if re.fullmatch("[A-Za-z]{2}", index) else _word(index)] if index else []), *indices])
    return _word(base) + above + (f"_{{{below}}}" if below else "")


def _word(word: str) -> str:
    """Return one part of a name: a letter or a number as a variable, a Greek letter, or upright text."""
    if word in GREEK:
        return "\\" + word
    if re.fullmatch(r"[A-Za-z]|\d+", word):
        return word
    if re.fullmatch(r"[A-Za-z]{2}", word):  # one name, not a product of two
        return rf"\mathit{{{word}}}"
    parts = re.split(r"([~^\\])", word)  # which MathJax takes in formulas only
    return "".join(SIGNS.get(part) or rf"\text{{{_escaped(part)}}}" for part in parts if part)


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text if character not in SIGNS)


def _node(node: Any, parts: list[Part]) -> Part:
    """Return the formula of a node from those of its operands."""
    if isinstance(node, Read):
        return name_latex(node.signal.name, repr(Time("t", node.offset))), ATOM
    if isinstance(node, Static):
        return name_latex(node.name), ATOM
    if isinstance(node, StepNumber):
        return repr(Time("t", node.offset)), SUM if node.offset else ATOM
    if isinstance(node, Tensor):
        if node.name is not None:
            return name_latex(node.name), ATOM
        if node.op is None:
            return _number(node.item()) if node.size == 1 else _array(node.shape)
    elif isinstance(node, str):
        return rf"\text{{{_escaped(repr(node))}}}", ATOM
    elif not hasattr(node, "op"):
        return _array(np.shape(node)) if np.ndim(node) else _number(node)
    call = getattr(node, "call", None)
    if call is not None:  # a function that composed operations
        first = len(parts) - len(call.options)
        options = [rf"\text{{{_escaped(name)}}}={formula}" for name, (formula, _) in zip(call.options, parts[first:])]
        return _applied(call.name, [*(formula for formula, _ in parts[:first]), *options])
    return _operation(getattr(node, "written", None) or node.op, parts, written_operands(node), node)


def _array(shape: tuple[int, ...]) -> Part:
    return rf"\text{{array}}({', '.join(map(str, shape))})", ATOM


def _number(value: Any) -> Part:
    """Return a number; a power of ten is written as one."""
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    if isinstance(value, bool) or not math.isfinite(value):
        return rf"\text{{{value}}}", ATOM
    if value == int(value) and abs(value) < 10 ** DIGITS:
        return str(int(value)), PREFIX if value < 0 else ATOM
    digits, _, exponent = (repr(value) if len(repr(value)) <= DIGITS else f"{value:.6g}").partition("e")
    if exponent:
        power = f"10^{{{int(exponent)}}}"
        return (power, ATOM) if digits == "1" else (rf"{digits} \cdot {power}", PRODUCT)
    return digits, PREFIX if value < 0 else ATOM


def _operation(op: Op, parts: list[Part], operands: tuple[Any, ...], node: Any) -> Part:
    """Return the formula of an operation: in the notation of mathematics, or as a call."""
    first = parts[0]
    if op.symbol is not None:
        return _infix(op, parts, operands)
    if isinstance(op, ops.Power):
        return rf"{{{_bracket(first, ATOM)}}}^{{{op.exponent:g}}}", ATOM
    if isinstance(op, ops.Square):
        return rf"{{{_bracket(first, ATOM)}}}^{{2}}", ATOM
    if isinstance(op, ops.Sqrt):
        return rf"\sqrt{{{first[0]}}}", ATOM
    if isinstance(op, ops.Abs):
        return rf"\left|{first[0]}\right|", ATOM
    if isinstance(op, ops.Neg):
        return "-" + _bracket(first, PREFIX), PREFIX
    if isinstance(op, ops.Transpose) and op.axes is None:
        return rf"{{{_bracket(first, ATOM)}}}^{{\top}}", ATOM
    if isinstance(op, ops.GetItem):
        return rf"{{{_bracket(first, ATOM)}}}_{{[\text{{{_escaped(format_index(op.index))}}}]}}", ATOM
    if isinstance(op, ops.Lookup):
        return rf"{{{_bracket(first, ATOM)}}}_{{[{parts[1][0]}]}}", ATOM
    if isinstance(op, ops.Identity):
        return first
    if isinstance(op, ops.Compare) and op.ufunc is np.logical_not:
        return r"\neg " + _bracket(first, PREFIX), PREFIX
    if isinstance(op, ops.Compare) and op.ufunc in COMPARISONS:
        return f" {COMPARISONS[op.ufunc]} ".join(_bracket(part, SUM) for part in parts), COMPARISON
    if isinstance(op, ops.Concatenate) and all(np.ndim(x) == 1 for x in operands):  # vectors, one below the other
        rows = r";\, ".join(formula for formula, _ in parts)
        return rf"\left[{rows}\right]", ATOM
    return _call(op, parts, any(np.ndim(x) > 1 for x in (node, *operands)))


def _infix(op: Op, parts: list[Part], operands: tuple[Any, ...]) -> Part:
    left, right = parts
    if isinstance(op, ops.Div):
        return rf"\frac{{{left[0]}}}{{{right[0]}}}", ATOM
    if isinstance(op, ops.Pow):
        return rf"{{{_bracket(left, ATOM)}}}^{{{right[0]}}}", ATOM
    if isinstance(op, (ops.Add, ops.Sub)):
        return f"{_bracket(left, SUM)} {op.symbol} {_right(right, SUM + 1)}", SUM
    if op.symbol == "@":
        return _product(left, right, [np.ndim(x) for x in operands])
    sign = rf"\operatorname{{{'mod' if op.symbol == '%' else 'div'}}}"
    if isinstance(op, ops.Mul):
        sign = r"\cdot" if any(np.ndim(x) == 0 for x in operands) else r"\odot"
    return f"{_bracket(left, PRODUCT)} {sign} {_right(right, PRODUCT + 1)}", PRODUCT


def _product(left: Part, right: Part, ndims: list[int]) -> Part:
    """Return a product of matrices and vectors, which are columns: `h @ U` is the column Uᵀh, `h @ y` is hᵀy."""
    if ndims == [1, 2]:
        left, right = right, left
    turned = rf"{{{_bracket(left, ATOM)}}}^{{\top}}" if ndims[:1] == [1] else _bracket(left, MATRIX_PRODUCT)
    return rf"{turned}\, {_right(right, MATRIX_PRODUCT)}", MATRIX_PRODUCT


def _call(op: Op, parts: list[Part], of_arrays: bool) -> Part:
    """Return a call of a function with its name, as to_text writes it; a known one with its sign."""
    name = op.ufunc.__name__ if isinstance(op, ops.Compare) else op.called or type(op).__name__.lower()
    arguments = [formula for formula, _ in parts]
    if isinstance(op, ops.EinSum):
        arguments.insert(0, rf"\text{{{_escaped(op.subscripts)}}}")
    elif options := format_options(op, of_arrays):
        arguments[-1] += rf"\text{{{_escaped(options)}}}"
    return _applied(name, arguments)


def _applied(name: str, arguments: Sequence[str]) -> Part:
    """Return a function's name, as a sign where it is a known one, and its arguments in brackets."""
    function = FUNCTIONS.get(name) or rf"\operatorname{{{_escaped(name)}}}"
    inner = r",\, ".join(arguments)
    return rf"{function}\left({inner}\right)", ATOM


def _right(part: Part, least: int) -> str:
    """Put the right operand of an infix operator in brackets where it needs them, and where it begins with a sign."""
    return _bracket(part, ATOM if part[0].startswith("-") else least)


def _bracket(part: Part, least: int) -> str:
    """Put a formula in brackets unless it binds at least as tightly as `least`."""
    formula, binds = part
    return formula if binds >= least else rf"\left({formula}\right)"
