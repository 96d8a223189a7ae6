"""A small shrinker: makes a failing case smaller while a failure of its kind stays."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from description import Boundary, Case, Equation
from engines import run_case
from generator import used_only


def shrink(case: Case, kind: str, seconds: float = 30.0) -> Case:
    """Return the smallest case found in the time that still has a failure of this kind."""
    engines = (kind.split()[0],)
    stop = time.monotonic() + seconds
    changed = True
    while changed:
        changed = False
        for candidate in candidates(case):
            if time.monotonic() > stop:
                return case
            if fails(candidate, kind, engines):
                case, changed = candidate, True
                break
    return case


def fails(case: Case, kind: str, engines: tuple[str, ...]) -> bool:
    """Return whether a case has a failure of this kind."""
    try:
        outcome = run_case(case, engines, 0.3)
    except Exception:  # an invalid candidate: the smaller case must stay a case
        return False
    return any(failure.kind == kind for failure in outcome.failures)


def candidates(case: Case) -> Iterator[Case]:
    """Yield smaller cases, those that drop most first."""
    for e in case.equations:
        yield from _without_signal(case, e.signal)
    yield from (_checked(replace(case, options={k: v for k, v in case.options.items() if k != name}))
                for name in case.options)
    if case.carried:
        yield replace(case, carried="")
        yield replace(case, before=1) if case.before > 1 else replace(case, carried="detached")
    for name in case.initial:
        yield replace(case, initial={k: v for k, v in case.initial.items() if k != name})
    if case.second:
        yield replace(case, second="")
    for b in case.boundaries:
        yield _checked(replace(case, boundaries=tuple(x for x in case.boundaries if x is not b)))
    if case.batch:
        yield _single(case)
    yield from _fewer_sequences(case)
    yield from _shorter(case)
    for position, e in enumerate(case.equations):
        for text in smaller_texts(e.text):
            equations = (*case.equations[:position], Equation(e.signal, e.lead, text), *case.equations[position + 1:])
            yield _checked(replace(case, equations=equations))
    for position, b in enumerate(case.boundaries):
        for text in smaller_texts(b.text):
            boundaries = (*case.boundaries[:position], Boundary(b.signal, b.step, b.after, text),
                          *case.boundaries[position + 1:])
            yield _checked(replace(case, boundaries=boundaries))
    yield from _plainer(case)


def _checked(case: Case) -> Case:
    return used_only(case)


def _without_signal(case: Case, name: str) -> Iterator[Case]:
    rest = tuple(e for e in case.equations if e.signal != name)
    if not rest or any(re.search(rf"\b{name}\[t", e.text) for e in rest):
        return
    yield _checked(replace(case, equations=rest, signals={k: v for k, v in case.signals.items() if k != name},
                           boundaries=tuple(b for b in case.boundaries if b.signal != name),
                           initial={k: v for k, v in case.initial.items() if k != name},
                           loss="" if case.loss == name else case.loss))


def _single(case: Case) -> Case:
    """Return the case without batch; of masks and lengths the first sequence."""
    options = dict(case.options)
    for name in ("lengths", "mask"):
        if name in options:
            options[name] = [_first(row) for row in options[name]] if name == "mask" else _first(options[name])
    if "lengths" in options:
        length = options.pop("lengths")
        options["mask"] = [k < length for k in range(case.T)]
    inputs = {name: replace(x, shared=False) for name, x in case.inputs.items()}
    boundaries = tuple(b for b in case.boundaries if "draw(" not in b.text)
    return replace(case, batch=(), options=options, inputs=inputs, boundaries=boundaries, initial={})


def _first(rows: Any) -> Any:
    return _first(rows[0]) if isinstance(rows, list) else rows


def _fewer_sequences(case: Case) -> Iterator[Case]:
    if len(case.batch) != 1 or case.batch[0] < 2 or any("draw(" in b.text for b in case.boundaries) or case.initial:
        return
    n = case.batch[0]
    for left in ([1], list(range(n - 1)), [n - 1]):
        options = dict(case.options)
        if "lengths" in options:
            options["lengths"] = [options["lengths"][i] for i in left]
        if "mask" in options:
            options["mask"] = [[row[i] for i in left] for row in options["mask"]]
        yield replace(case, batch=(len(left),), options=options)


def _shorter(case: Case) -> Iterator[Case]:
    for T in dict.fromkeys((1, 2, case.T // 2, case.T - 1)):
        if not 1 <= T < case.T:
            continue
        options = dict(case.options)
        if "lengths" in options:
            options["lengths"] = _at_most(options["lengths"], T)
        if "mask" in options:
            options["mask"] = options["mask"][:T]
        yield replace(case, T=T, options=options)


def _at_most(lengths: Any, T: int) -> Any:
    return [_at_most(x, T) for x in lengths] if isinstance(lengths, list) else min(lengths, T)


def _plainer(case: Case) -> Iterator[Case]:
    """Yield cases with the same equations and plainer declarations."""
    for name, x in case.inputs.items():
        for change in ({"learned": False}, {"shared": False}, {"dtype": "float64", "below": 0}):
            if any(getattr(x, key) != value for key, value in change.items()) and name != "label":
                yield replace(case, inputs={**case.inputs, name: replace(x, **change)})
    for name, p in case.parameters.items():
        for change in ({"frozen": False}, {"dtype": "float64"}):
            if any(getattr(p, key) != value for key, value in change.items()):
                yield replace(case, parameters={**case.parameters, name: replace(p, **change)})
    for name, text in case.formulas.items():
        for smaller in smaller_texts(text):
            yield _checked(replace(case, formulas={**case.formulas, name: smaller}))
    if case.loss and case.reduction == "mean":
        yield replace(case, reduction="sum")
    batched = any("draw(" in b.text for b in case.boundaries) or case.initial
    if case.batch not in ((), (1,)) and not batched and not {"lengths", "mask"} & set(case.options):
        yield replace(case, batch=(1,))


def smaller_texts(text: str) -> Iterator[str]:
    """Yield texts in which one part is replaced by a part of it, or by a number."""
    tree = ast.parse(text, mode="eval")
    count = sum(1 for _ in ast.walk(tree))
    for number in range(count):
        for choice in range(4):
            changed = _Replace(number, choice)
            result = ast.unparse(changed.visit(ast.parse(text, mode="eval")))
            if changed.done and result != text and len(result) < len(text):
                yield result


class _Replace(ast.NodeTransformer):
    """Replaces one expression by its part `choice`; by a number for the last choice."""

    def __init__(self, number: int, choice: int) -> None:
        self.number = number
        self.choice = choice
        self.done = False

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.expr):
            return super().generic_visit(node)
        self.number -= 1
        if self.number == -1:
            parts = _parts(node)
            if self.choice < len(parts):
                self.done = True
                return parts[self.choice]
            if self.choice == 3 and not isinstance(node, ast.Constant):
                self.done = True
                return ast.Constant(0.5)
            return node
        if isinstance(node, ast.Subscript):  # `t - 1` and slices stay as they are
            node.value = self.visit(node.value)
            return node
        return super().generic_visit(node)


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Subscript) and not isinstance(node.value, ast.Name):
        return [node.value]
    if isinstance(node, ast.Call):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        method = [owner] if isinstance(owner, ast.expr) and not isinstance(owner, (ast.Name, ast.Attribute)) else []
        lists = [x for part in node.args if isinstance(part, (ast.List, ast.Tuple)) for x in part.elts]
        return [*method, *(x for x in node.args if not isinstance(x, (ast.List, ast.Tuple))), *lists][:3]
    return []
