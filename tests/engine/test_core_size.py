"""A reader understands a complete backward pass from at most 150 lines of code.

Counted are `backward` and `apply`, which records the graph, with every function of the engine that they call,
directly or not, on any path: hooks, modified data, anomaly detection, errors. Lines of code are lines without
blank ones, comments and docstrings. Not counted, because their contract is one sentence: the formulas of
operations, and the functions in NOT_FOLLOWED.
"""

import ast
import io
import tokenize
from pathlib import Path

import minigrad

FOLDER = Path(minigrad.__file__).parent
MODULES = ("backward", "tensor", "mutation", "settings", "provenance")
NOT_FOLLOWED = {
    "call_site",  # the file and line of the user's program that is running
    "_apply_to_others",  # numbers and arrays among the operands become constants; expressions of rnn record themselves
}
LIMIT = 150


def code_lines(source):
    """The numbers of the lines that hold code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    no_code = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {line for token in tokens if token.type not in no_code for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def calls(node):
    """The names of the functions that a definition calls."""
    return {call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}


def core():
    """The functions that make a backward pass, and the number of lines of code of each."""
    definitions, size = {}, {}
    for module in MODULES:
        source = (FOLDER / f"{module}.py").read_text("utf-8")
        lines = code_lines(source)
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) or getattr(node, "name", "") == "MutationState":
                definitions[node.name] = node
                size[node.name] = len(lines & set(range(node.lineno, node.end_lineno + 1)))
    found, waiting = set(), {"backward", "apply", "MutationState"}  # the state is data: no function calls it
    while waiting:
        found |= waiting
        waiting = {name for caller in waiting for name in calls(definitions[caller]) & set(definitions)}
        waiting -= found | NOT_FOLLOWED
    return {name: size[name] for name in found}


def test_the_functions_of_a_backward_pass():
    assert set(core()) == {
        "backward", "accumulate", "one_per_input", "cast_gradient", "unbroadcast", "is_fresh", "initial_gradient",
        "run_hooks", "check_derivative", "is_tensor", "array_of",
        "apply", "check_modified", "_fingerprint", "MutationState"}


def test_are_at_most_150_lines_of_code():
    lines = core()
    assert sum(lines.values()) <= LIMIT, lines
