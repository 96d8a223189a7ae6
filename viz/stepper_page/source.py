"""The source of a derivative as the page shows it: its signature in one line, and the lines that ran for a step."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize

from minigrad import Op
from minigrad.debugger.breakpoints import innermost_statement
from minigrad.debugger.derivative import run_lines
from minigrad.steps import Step


class Source:
    """The source of the derivative of a class of operations.

    Attributes:
        lines: its lines, without the annotations of the signature.
    """

    def __init__(self, kind: type[Op]) -> None:
        self._first = 0
        self._shown: dict[int, int] = {}  # line of the source, from 1 -> number in `lines`
        self._statements: dict[int, set[int]] = {}  # line of the file -> numbers in `lines` of its statement
        try:
            source, self._first = inspect.getsourcelines(kind.backward)
            text = textwrap.dedent("".join(source)).rstrip()
            self._tree: ast.Module | None = ast.parse(text)
        except (OSError, TypeError, SyntaxError):  # typed in by hand, or a lambda in the middle of a line
            self._tree = None
            self.lines = [f"# the source of {kind.__name__}.backward can't be read"]
            return
        self.lines = self._short_signature(text.split("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def ran(self, step: Step) -> list[int]:
        """Return the numbers in `lines` of the statements that ran for a step, from 0; none if that isn't known."""
        derivative = run_lines(step) if self._tree is not None else None
        lines = {line.number for line in derivative.lines} if derivative else set()
        return sorted({shown for line in lines for shown in self._statement(line)})

    def _statement(self, line: int) -> set[int]:
        """Return the numbers in `lines` of the statement that contains a line of the file."""
        if line not in self._statements:
            assert self._tree is not None
            lines = innermost_statement(self._tree, line - self._first + 1)
            self._statements[line] = {self._shown[each] for each in lines if each in self._shown}
        return self._statements[line]

    def _short_signature(self, lines: list[str]) -> list[str]:
        """Return the lines with the signature in one, without annotations; note where each of the others is."""
        assert self._tree is not None
        function = self._tree.body[0]
        if not isinstance(function, ast.FunctionDef):
            self._shown = {i + 1: i for i in range(len(lines))}
            return lines
        end_line, end_column = _end_of_signature(lines, function.lineno)
        rest = lines[end_line - 1][end_column:].rstrip()
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg,
                         arguments.kwarg]:
            if argument is not None:
                argument.annotation = None
        before = function.lineno - 1  # decorators
        head = f"def {function.name}({ast.unparse(arguments)}):{rest}"
        self._shown = {i + 1: i for i in range(before)}
        self._shown |= {line: line - end_line + before for line in range(end_line, len(lines) + 1)}
        return [*lines[:before], head, *lines[end_line:]]


def _end_of_signature(lines: list[str], first: int) -> tuple[int, int]:
    """Return line and column after the colon that ends the signature of a function that begins at line `first`."""
    depth = 0
    text = "\n".join(lines[first - 1:]) + "\n"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
        if token.type == tokenize.OP and token.string == ":" and not depth:
            return token.end[0] + first - 1, token.end[1]
    raise AssertionError("a function without a colon")
