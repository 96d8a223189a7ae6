"""The project's docstrings, plain text with Google's sections, as reStructuredText for autodoc; links to the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import re
import sys
import textwrap
from typing import Any

from sphinx import addnodes
from sphinx.domains.python import PyObject
from sphinx.util.docutils import SphinxDirective

from minigrad.ops import Op
from minigrad.recipes.attributes import MissingMethod

NDARRAY = re.compile(r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], "
                     r"~?(?:numpy\.)?dtype\[([~\w.]+(?:\[[~\w.]+\])?)\]\]")
COLON = "\ue000"  # a character for private use
# Classes of results, which programs don't call: their arguments are internal.
RESULTS = {"Animation", "Compiled", "Copies", "Equation", "OnnxFile", "Outputs", "Page", "Picture", "Run", "Signal",
           "Step", "StepOutputs", "Stream"}
SEVERAL = re.compile(r"^    (\w+(?:, \w+)+):( .*(?:\n {8,}.*)*)", re.MULTILINE)


def setup(app: Any) -> dict[str, bool]:
    """Connect to autodoc."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("doctree-read", name_sources, priority=400)  # before viewcode reads them
    app.add_directive("operations", Operations)
    app.connect("autodoc-skip-member", is_left_out)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-process-docstring", as_rst, priority=100)  # before napoleon reads Args: and Raises:
    app.connect("autodoc-process-docstring", with_colons, priority=900)
    app.connect("autodoc-process-docstring", with_formulas, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring: text indented by four columns after a blank line is a formula or code.

    "Returns:" becomes a field here, since napoleon takes the text before a colon in it for a type, and "a, b: text" two
    entries, since it takes "a," for a type in Attributes. For the same reason a property's colons are hidden from it.
    """
    found: list[str] = []
    indented = False
    for line in obj.__doc__.splitlines() if what == "module" else lines:  # a module's text is never indented as a whole
        inside = bool(found) and line.startswith("    ") and (indented or found[-1] == "")
        if inside and not indented:
            found += ["::", ""]
        indented = inside or (indented and not line)
        text = line if inside else re.sub(r"(?<![`\\])[|*]", r"\\\g<0>", line)
        found.append(re.sub(r"^(Returns|Yields):$", lambda section: f":{section[1].lower()}:", text))
    text = SEVERAL.sub(one_by_one, "\n".join(found))
    lines[:] = (text.replace(": ", COLON) if what == "property" else text).split("\n")


def with_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put back the colons of a property, after napoleon."""
    lines[:] = [line.replace(COLON, ": ") for line in lines]


class Operations(SphinxDirective):
    """The operations of a module, each with its code, without the attributes that the code sets."""

    required_arguments = 1

    def run(self) -> list[Any]:
        module = importlib.import_module(self.arguments[0])
        names = [name for name, x in vars(module).items() if is_operation(x) and x.__module__ == module.__name__]
        return self.parse_text_to_nodes("\n".join(f".. autoclass:: {module.__name__}.{name}" for name in names))


def with_formulas(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append the code of an operation, its formula and its derivative under each other."""
    if is_operation(obj) and (code := formulas(obj)):
        lines += ["", ".. code-block:: python", "", *textwrap.indent(code, "    ").split("\n"), ""]


def is_operation(obj: Any) -> bool:
    """Return whether an object is an operation's class; `Op`, which others are made from, is none."""
    return inspect.isclass(obj) and issubclass(obj, Op) and obj is not Op


def formulas(operation: type[Op]) -> str:
    """Return the first line of a class and those of `forward` and `backward` that it has itself; "" if none."""
    source = textwrap.dedent(inspect.getsource(operation))
    (made,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    lines = source.splitlines()
    methods = [lines[node.lineno - 1:node.end_lineno] for node in made.body
               if isinstance(node, ast.FunctionDef) and node.name in ("forward", "backward")]
    head = "\n".join(lines[:made.body[0].lineno - 1]).rstrip()
    return head + "\n" + "\n\n".join(map("\n".join, methods)) if methods else ""


def one_by_one(entry: re.Match[str]) -> str:
    """Return the entry of a section about several names as one entry for each."""
    return "\n".join(f"    {name}:{entry[2]}" for name in entry[1].split(", "))


def is_left_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Return whether a member is described elsewhere, exists for its error message alone, or is a former name."""
    field = str(getattr(obj, "__doc__", "")).startswith("Alias for field")  # of a named tuple: see Attributes
    former = what == "module" and inspect.isfunction(obj) and obj.__name__ != name
    return True if field or former or isinstance(obj, MissingMethod) else None


def short_signature(app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None,
                    returns: str | None) -> tuple[str | None, str | None]:
    """Shorten the signature: NumPy's type aliases by name, not expanded; no internal arguments."""
    if what == "class" and obj.__name__ in RESULTS:
        return "", None
    return signature and with_aliases(signature), returns and with_aliases(returns)


def with_aliases(types: str) -> str:
    """Return a signature in which ArrayLike, DTypeLike, NDArray and NumPy's functions stand by their names."""
    types = re.sub(r"<ufunc '(\w+)'>", r"np.\1", types)
    return NDARRAY.sub(r"NDArray[\1]", re.sub(r"TypeAliasForwardRef\('(\w+)'\)|<class '(\w+)'>", r"\1\2", types))


def name_sources(app: Any, doctree: Any) -> None:
    """Give a method that a class inherits the name under which viewcode finds its source."""
    for signature in doctree.findall(addnodes.desc_signature):
        module = sys.modules.get(signature.get("module") or "")
        if module is not None and "." in signature["fullname"]:
            owner, _, name = signature["fullname"].rpartition(".")
            found = inspect.getattr_static(operator.attrgetter(owner)(module), name, None)
            found = inspect.unwrap(getattr(found, "fget", None) or getattr(found, "__func__", None) or found)
            if hasattr(found, "__qualname__"):
                signature["module"], signature["fullname"] = found.__module__, found.__qualname__
