"""The changes that a mutation campaign makes: one operator, comparison, constant, condition or statement at a time.

Mutation testing (DeMillo, Lipton and Sayward, Hints on test data selection, Computer 11(4), 1978): a test suite is
judged by the small faults that it finds. A *site* is a place in the source that can be changed, a *mutant* is the
source with one change at one site.

Left out, because they are no behaviour or only the wording of messages: docstrings, type hints, `if TYPE_CHECKING`,
`__all__`, `__slots__`, `@overload`; f-strings and other text; the arguments of `raise`, the message of `assert`, and
the functions `__repr__`, `__str__` and `..._error`.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTIONS_OF_TEXT = ("__repr__", "__str__")
NAMES_OF_TEXT = ("__all__", "__slots__", "__version__")
SWAPPED_OPERATORS = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*", "FloorDiv": "/", "Mod": "*", "Pow": "*",
                     "BitOr": "&", "BitAnd": "|"}
ORDERED = ("Sub", "Div", "FloorDiv", "Mod", "Pow", "MatMult")  # operators whose operands can't be exchanged
SYMBOLS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "MatMult": "@",
           "BitOr": "|", "BitAnd": "&", "BitXor": "^", "LShift": "<<", "RShift": ">>",
           "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=", "Is": "is", "IsNot": "is not",
           "In": "in", "NotIn": "not in", "And": "and", "Or": "or"}
COMPARISONS = {"Lt": ("<=", ">"), "LtE": ("<", ">"), "Gt": (">=", "<"), "GtE": (">", "<"), "Eq": ("!=",),
               "NotEq": ("==",), "Is": ("is not",), "IsNot": ("is",), "In": ("not in",), "NotIn": ("in",)}
OPPOSITES = {"any": "all", "min": "max", "minimum": "maximum", "argmin": "argmax", "heappop": "heappush",
             "append": "extend", "zeros_like": "ones_like", "zeros": "ones", "intersection": "union"}
OPPOSITES |= {b: a for a, b in OPPOSITES.items()} | {"sorted": "list", "reversed": "list"}


@dataclass(frozen=True)
class Mutant:
    """One change of the source.

    Attributes:
        file: the path, with slashes, from the root of the repository.
        line, last_line: the first and last line of the statement or expression that is changed.
        function: the dotted name of the function or class around it; "" at the top of the module.
        outermost: name and first line of the outermost function whose body it is in; None outside of functions.
        kind: the kind of change.
        before, after: the text that is replaced, and its replacement, for people.
        start, stop, text: the bytes that are replaced, and the bytes in their place.
        key: identifies the change, also after other lines of the file have changed.
    """

    file: str
    line: int
    last_line: int
    function: str
    outermost: tuple[str, int] | None
    kind: str
    before: str
    after: str
    start: int
    stop: int
    text: bytes
    key: str = ""

    def apply(self, source: bytes) -> bytes:
        """Return the changed source."""
        return source[:self.start] + self.text + source[self.stop:]


def mutants_of(root: Path, file: str) -> list[list[Mutant]]:
    """Return the sites of a file in their order, each as the list of its changes."""
    source = (root / file).read_bytes()
    sites = [list(site) for site in _Finder(file, source).sites]
    seen: Counter[str] = Counter()
    lines = source.decode().split("\n")
    for site in sites:
        for i, mutant in enumerate(site):
            identity = "|".join([file, mutant.function, lines[mutant.line - 1].strip(), mutant.before, mutant.after])
            seen[identity] += 1
            digest = hashlib.sha256(f"{identity}|{seen[identity]}".encode()).hexdigest()[:10]
            site[i] = Mutant(**{**mutant.__dict__, "key": digest})
    return sites


class _Finder(ast.NodeVisitor):
    """Collects the sites of one file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.offsets = [0]
        for line in source.split(b"\n"):
            self.offsets.append(self.offsets[-1] + len(line) + 1)
        self.scope: list[str] = []
        self.outermost: tuple[str, int] | None = None
        self.sites: list[list[Mutant]] = []
        self.visit(ast.parse(source))

    # ---- text of nodes
    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the first byte of a node and the one after its last."""
        return (self.offsets[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
                self.offsets[node.end_lineno - 1] + node.end_col_offset)  # type: ignore[attr-defined]

    def segment(self, node: ast.AST) -> str:
        """Return the text of a node."""
        start, stop = self.span(node)
        return self.source[start:stop].decode()

    def replacement(self, node: ast.AST, kind: str, text: str, span: tuple[int, int] | None = None,
                    before: str | None = None, after: str | None = None) -> Mutant:
        """Return the mutant that has `text` in the place of a node, or of another span of bytes."""
        start, stop = span or self.span(node)
        old = self.source[start:stop].decode()
        text += "\n" * (old.count("\n") - text.count("\n"))  # later lines keep their numbers
        return Mutant(self.file, node.lineno, node.end_lineno,  # type: ignore[attr-defined]
                      ".".join(self.scope), self.outermost, kind, " ".join((before or old).split()),
                      " ".join((after or text).split()), start, stop, text.encode())

    def expression(self, node: ast.AST, kind: str, text: str) -> Mutant:
        """Return the mutant that has another expression in the place of one."""
        pad = "\n" * (self.segment(node).count("\n") - text.count("\n"))
        return self.replacement(node, kind, f"({text}{pad})", after=text)

    def add(self, *mutants: Mutant) -> None:
        if mutants:
            self.sites.append(list(mutants))

    def joined(self, parts: list[ast.expr], operators: list[str]) -> str:
        """Return operands with operators between them, with the line breaks of the source."""
        text = f"({self.segment(parts[0])})"
        for left, right, symbol in zip(parts, parts[1:], operators):
            gap = self.source[self.span(left)[1]:self.span(right)[0]].decode()
            text += "\n" * gap.count("\n") + f" {symbol} ({self.segment(right)})"
        return text

    # ---- scopes, and what is left out
    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if node.name in FUNCTIONS_OF_TEXT or node.name.endswith("_error") or "overload" in decorators:
            return
        self.scope.append(node.name)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        before = self.outermost
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self.outermost = before or (node.name, first)
        for statement in node.body:
            self.visit(statement)
        self.outermost = before
        self.scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for part in [*node.keywords, *node.body]:
            self.visit(part)
        self.scope.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and "TypeAlias" not in ast.unparse(node.annotation):
            self.statement(node, node.target)
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave out text."""

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.add(self.replacement(node, "statement removed", "pass"))

    # ---- statements
    def statement(self, node: ast.stmt, target: ast.expr) -> None:
        """Add the removal of an assignment whose target isn't a plain variable."""
        if not isinstance(target, ast.Name) and self.scope:
            self.add(self.replacement(node, "statement removed", "pass"))

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id in NAMES_OF_TEXT:
            return
        self.statement(node, node.targets[0])
        for target in node.targets:
            self.visit(target)
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        changes = [self.replacement(node, "statement removed", "pass")]
        other = SWAPPED_OPERATORS.get(type(node.op).__name__)
        if other:
            span = self.span(node.target)[1], self.span(node.value)[0]
            gap = self.source[slice(*span)].decode()
            text = gap.replace(SYMBOLS[type(node.op).__name__] + "=", other + "=")
            changes.append(self.replacement(node, "operator", text, span,
                                            self.segment(node), f"{self.segment(node.target)} {other}= ..."))
        self.add(*changes)
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.add(self.replacement(node, "statement removed", "pass"))
        self.visit(node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        self.add(self.replacement(node, "statement removed", "pass"))

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.add(self.replacement(node, "return None", "return None"))
            self.visit(node.value)

    def visit_Break(self, node: ast.Break) -> None:
        self.add(self.replacement(node, "break, continue", "continue"))

    def visit_Continue(self, node: ast.Continue) -> None:
        self.add(self.replacement(node, "break, continue", "break"))

    # ---- conditions
    def negation(self, test: ast.expr) -> None:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return  # a comparison is changed anyway
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            self.add(self.expression(test, "condition negated", f"not ({self.segment(test)})"))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.negation(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.negation(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negation(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.negation(test)
        self.generic_visit(node)

    # ---- expressions
    def visit_BinOp(self, node: ast.BinOp) -> None:
        name = type(node.op).__name__
        if any(isinstance(x, ast.JoinedStr) or (isinstance(x, ast.Constant) and isinstance(x.value, str))
               for x in (node.left, node.right)):
            return self.generic_visit(node)  # text
        other = SWAPPED_OPERATORS.get(name)
        changes = [self.expression(node, "operator", self.joined([node.left, node.right], [other]))] if other else []
        if name in ORDERED:
            left, right = self.segment(node.left), self.segment(node.right)
            changes.append(self.expression(node, "operands exchanged", f"({right}) {SYMBOLS[name]} ({left})"))
        self.add(*changes)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        symbols = [SYMBOLS[type(op).__name__] for op in node.ops]
        for i, op in enumerate(node.ops):
            self.add(*[self.expression(node, "comparison", self.joined(
                [node.left, *node.comparators], [*symbols[:i], other, *symbols[i + 1:]]))
                for other in COMPARISONS[type(op).__name__]])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = "or" if isinstance(node.op, ast.And) else "and"
        changes = [self.expression(node, "boolean operator", self.joined(node.values, [other] * len(node.values)))]
        same = SYMBOLS[type(node.op).__name__]
        for i in range(len(node.values)):
            rest = node.values[:i] + node.values[i + 1:]
            changes.append(self.expression(node, "condition dropped", self.joined(rest, [same] * len(rest))))
        self.add(*changes)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            self.constant(node, -node.operand.value)  # type: ignore[operator]
            return
        if isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
            kind = "not dropped" if isinstance(node.op, ast.Not) else "sign dropped"
            self.add(self.expression(node, kind, self.segment(node.operand)))
        self.visit(node.operand)

    def visit_Constant(self, node: ast.Constant) -> None:
        self.constant(node, node.value)

    def constant(self, node: ast.expr, value: object) -> None:
        if isinstance(value, bool):
            self.add(self.expression(node, "constant", str(not value)))
        elif isinstance(value, (int, float)):
            others = dict.fromkeys(x for x in (value + 1, value - 1, 0 * value) if x != value)
            self.add(*[self.expression(node, "constant", repr(x)) for x in others])

    def visit_Slice(self, node: ast.Slice) -> None:
        for part in (node.lower, node.upper, node.step):
            if part is not None:
                self.add(self.replacement(part, "bound dropped", "", before=self.segment(node),
                                          after=f"{self.segment(node)} without {self.segment(part)}"))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if name in OPPOSITES:
            stop = self.span(function)[1]
            start = stop - len(name.encode())
            self.add(self.replacement(node, "function", OPPOSITES[name], (start, stop)))
        if name == "range":
            last = node.args[min(len(node.args), 2) - 1]
            self.add(*[self.expression(last, "bound", f"({self.segment(last)}) {sign} 1") for sign in "+-"])
        plain = [x for x in node.args if not isinstance(x, ast.Starred)]
        if name not in ("isinstance", "getattr", "hasattr") and len(plain) == len(node.args) > 1 \
                and self.segment(plain[0]) != self.segment(plain[1]):
            a, b = plain[:2]
            start, stop = self.span(a)[0], self.span(b)[1]
            gap = self.source[self.span(a)[1]:self.span(b)[0]].decode()
            if "(" not in gap and ")" not in gap:
                self.add(self.replacement(a, "arguments exchanged", self.segment(b) + gap + self.segment(a),
                                          (start, stop)))
        for keyword in node.keywords:
            if keyword.arg is not None:
                self.add(self.replacement(keyword, "argument dropped", "**{}"))
        self.generic_visit(node)


def all_sites(root: Path, packages: list[str]) -> Iterator[list[Mutant]]:
    """Yield the sites of all modules of packages (folders or files), by file and line."""
    for package in packages:
        path = root / package
        for file in [path] if path.suffix == ".py" else sorted(path.rglob("*.py")):
            yield from mutants_of(root, file.relative_to(root).as_posix())
