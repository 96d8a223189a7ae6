"""Expressions that the editor evaluates in a frame: watches, what is under the mouse, its console and completions."""

from __future__ import annotations

import ast
import re
from typing import Any

from minigrad.debugger.evaluation import CommandError
from minigrad.settings import no_grad

from .messages import Message
from .stack import Stack
from .streams import flush_output
from .variables import Item, Variables, full_text

SAFE_TO_LOOK_AT = (ast.Expression, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Slice, ast.Tuple,
                   ast.UnaryOp, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Load)


def evaluate(arguments: Message, stack: Stack, variables: Variables) -> Message:
    """Answer evaluate: the value of an expression with the names of a frame. Only the console runs statements."""
    text, context = arguments["expression"].strip(), arguments.get("context")
    value = _value(text, context, arguments.get("frameId"), stack)
    if context == "repl":
        flush_output()
        if value is None:
            return {"result": "", "variablesReference": 0}
    if context == "clipboard":
        return {"result": full_text(value), "variablesReference": 0}
    found = variables.value(Item("", value, text if text.isidentifier() else f"({text})"))
    return {"result": found.pop("value"), **found}


def _value(text: str, context: str | None, frame: int | None, stack: Stack) -> Any:
    evaluator, step, local = stack.walk.evaluator, stack.step_of(frame), stack.locals_of(frame)
    if context == "repl":
        return evaluator.execute(text, step, local)
    if context == "hover":
        _require_no_calls(text)
        with no_grad():
            return evaluator.evaluate(text, step, local)
    return evaluator.evaluate(text, step, local)


def _require_no_calls(text: str) -> None:
    """Raise CommandError for anything but names, their attributes and elements: a hover must not run the program."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        raise CommandError("not a Python expression") from None
    if not all(isinstance(node, SAFE_TO_LOOK_AT) for node in ast.walk(tree)):
        raise CommandError("only names, their attributes and elements are evaluated under the mouse")


def completions(arguments: Message, stack: Stack) -> Message:
    """Answer completions: the names that may continue the text before the column."""
    typed = arguments["text"][:max(arguments["column"] - 1, 0)]
    match = re.search(r"((?:\w+\.)*)(\w*)$", typed)
    assert match is not None  # it matches no characters too
    before, word = match[1].rstrip("."), match[2]
    evaluator, frame = stack.walk.evaluator, arguments.get("frameId")
    step, local = stack.step_of(frame), stack.locals_of(frame)
    names = dir(evaluator.evaluate(before, step, local)) if before else evaluator.names(step, local)
    found = sorted(name for name in names if name.startswith(word) and (word or not name.startswith("_")))
    return {"targets": [{"label": name, "start": len(typed) - len(word), "length": len(word)} for name in found]}
