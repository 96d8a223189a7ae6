"""What a check is, what it finds, and the checks that are the same for every assignment.

A check compares a student's answers with the right results, and returns nothing, or a
Finding: one sentence of cause, the place, the edge of the graph that it is about.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import Edge, Mistake, difference, named, same, same_shape
from .sandbox import Answer, Job, Strange, Unisolated

Array = NDArray[Any]
LARGEST = 16 << 20  # bytes of a student's file
PIECES = re.compile(r"""\\.|\"{3}|'{3}|["'#()\[\]{}]""")  # of a line of Python: escapes, quotes, comments, brackets
IMPORTS = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)[\w.]*[ \t]+import\b|import[ \t]+([^\n#;]+))", re.M)
# Of IPython (https://ipython.readthedocs.io, "Built-in magic commands"): cells in other languages, and lines.
FOREIGN = re.compile(r"\s*%%(?:!|bash|cmd|cython|file|html|HTML|javascript|js|latex|markdown|perl|pypy|python2|R|ruby|"
                     r"script|sh|sql|svg|SVG|sx|system|writefile)\b")
TIMED = re.compile(r"(?P<before>\s*(?:[\w., ]+= *)?)%time (?P<timed>.*)")
OUTPUT_OF = re.compile(r"(\s*[\w., ]+= *)[!%].*")
HELP = re.compile(r"\s*(?:\?{1,2}[\w.*]+|[\w.*]+\?{1,2})\s*")
UNKNOWN = "no mistake that we know gives these numbers"
EARNED = "it counts when the results are right"
FROM_CALLS = ("RecursionError", "MemoryError", "TypeError", "SyntaxError", "IndentationError",
              "TabError")  # errors in calling a function
METHODS = "forward", "backward"  # of several classes: the name alone doesn't tell which
MISSING = Strange("")  # a result that isn't there
OTHERS = "other numbers: "  # before the name of a hidden check that repeats another
NO_RETURN = ": is `return` missing?"


@dataclass(frozen=True)
class Finding:
    """What is wrong.

    Attributes:
        cause: one sentence.
        where: the first wrong time step and the operation.
        numbers: the first wrong number: the student's, and the right one.
        edge: what is drawn red.
        until: where the debugger stops, e.g. "h[3]"; graph: in which of the script's graphs.
        named: whether the cause is a known mistake that gives exactly these numbers, or a fact.
        extra: edges that should not be there, of an unrolled graph; more: further guilty ones.
        mistakes: the known mistakes that give these numbers, in words; the cause names the first.
        function: the student's function that it is about, by default the first of the check's.
        broken: whether there is no result that can be compared: an error, or one of another form.
        follows: whether it is no mistake of its own where a function of the check fails elsewhere.
    """

    cause: str
    where: str = ""
    numbers: str = ""
    edge: Edge | None = None
    until: str = ""
    graph: str = ""
    named: bool = True
    extra: tuple[Edge, ...] = ()
    more: tuple[Edge, ...] = ()
    mistakes: tuple[str, ...] = ()
    function: str = ""
    broken: bool = False
    follows: bool = False


class Unanswered(Exception):
    """A question has no answer; the finding gives the reason."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.cause)
        self.finding = finding


class Answers:
    """A student's answers, and what a function is called in messages."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.all = answers

    def get(self, question: str) -> Answer:
        """Return the answer to a question.

        Raises:
            Unanswered: where the call raised something, or never ended.
        """
        answer = self.all.get(question) or Answer(error={"type": "", "message": "was not asked"})
        imported = self.all["import"].error
        if question != "import" and imported is not None:
            raise Unanswered(Finding(_raised("import", imported), function="import", broken=True))
        if answer.error is not None:
            raise Unanswered(broken(question, _raised(question, answer.error),
                                    answer.error.get("type") == "NotImplementedError"))
        return answer

    def results(self, question: str, wanted: Iterable[str]) -> Mapping[str, Any]:
        """Return the results of a function by name; `wanted`: the names that there should be."""
        values = self.get(question).values
        other = values.get("")
        if isinstance(other, Strange):
            names = ", ".join(f'"{name}": …' for name in wanted)
            raise Unanswered(broken(question, f"{_function(question)} returned {_kind(other)}"
                                    f"{NO_RETURN if other.type == 'NoneType' else f'; a dict is wanted: {{{names}}}'}"))
        return values

    def array(self, question: str, name: str, right: Array) -> Array:
        """Return one result, if it is an array of the right shape."""
        value = _array(self.results(question, [name]).get(name, MISSING), right)
        if not isinstance(value, np.ndarray) or value.shape != right.shape or value.dtype.kind not in "biuf":
            raise Unanswered(broken(question, wrong_shape(question, name, value, right) or "", False))
        return value

    def plain(self, question: str, name: str) -> Any:
        """Return one result that isn't an array."""
        value = self.get(question).values.get(name)
        if isinstance(value, Strange):
            raise Unanswered(broken(question, f"{_function(question)} returns {_kind(value)}"))
        return value


def broken(question: str, cause: str, named: bool = False) -> Finding:
    """Return the finding that a function has given no result that can be compared."""
    return Finding(cause, function=_function(question), broken=True, named=named)


Look = Callable[[Answers], "Finding | None"]


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: of the check; points: its weight.
        look: the function that examines the answers.
        hidden: whether students see it only when the teacher lets them.
        again: the points of its hidden repetition with other numbers; 0: it isn't repeated.
        of: the student's functions whose mistakes show in it: first its own, then those that this one may call.
    """

    name: str
    points: float
    look: Look
    hidden: bool = False
    again: float = 0
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A check that was done: no finding, full points. `follows`: the check that has found the mistake before."""

    check: Check
    finding: Finding | None
    follows: str = ""

    @property
    def score(self) -> float:
        return 0.0 if self.finding is not None else self.check.points


@dataclass(frozen=True)
class Assignment:
    """An assignment, with one set of numbers.

    Attributes:
        name: "a3"; title: for people.
        jobs: the questions to the student's processes, one job after another: the right answer to an early
            question may be an input of a later one, so they get their data apart.
        checks: the checks, in order.
        script: the file in graphs/ that the debugger opens, with its arguments; "" without a graph.
        draw: the picture with edges in red, from a finding.
        seed: of its numbers.
    """

    name: str
    title: str
    jobs: Sequence[Job]
    checks: Sequence[Check]
    script: str = ""
    draw: Callable[[Finding], Any] | None = None
    seed: int = 0

    @property
    def heading(self) -> str:
        """The title, with the variant unless that is 0."""
        return f"{self.title}, variant {self.seed}" if self.seed else self.title


@dataclass(frozen=True)
class Settings:
    """How a file is checked.

    Attributes:
        isolation: how its process is started.
        others: whether the hidden checks run too; seed: of their numbers.
        withheld: whether their findings are withheld.
        format: of the output, a name in reports.FORMATS; "" for text.
        said: messages for the teacher, printed on standard error.
        variants: those of which the file must name one; none: any.
    """

    isolation: Unisolated = field(default_factory=Unisolated)
    others: bool = False
    seed: int = 0
    withheld: bool = False
    format: str = ""
    said: tuple[str, ...] = ()
    variants: tuple[int, ...] = ()


class Unreadable(Exception):
    """The file can't be read; the message gives the reason."""


def done(checks: Iterable[Check], answers: Answers, before: Iterable[Outcome] = ()) -> list[Outcome]:
    """Run every check. A question without an answer is a finding too.

    A finding that follows from an earlier one, of these checks or of those before, isn't a mistake of its own.
    """
    heads = [one for one in before if one.finding is not None and not one.follows]
    outcomes: list[Outcome] = []
    for check in checks:
        finding = _found(check, answers)
        outcome = Outcome(check, finding, _headline(check, finding, heads) if finding is not None else "")
        outcomes.append(outcome)
        if finding is not None and not outcome.follows:
            heads.append(outcome)
    return outcomes


def _found(check: Check, answers: Answers) -> Finding | None:
    """Return the finding of one check."""
    try:
        return check.look(answers)
    except Unanswered as error:
        return error.finding
    except Exception:  # results can be of any form, forged ones too: one check is lost, no more
        return Finding("the results can't be compared with the right ones: their form isn't the one that the text "
                       "describes", broken=True, named=False)


def _headline(check: Check, finding: Finding, heads: Iterable[Outcome]) -> str:
    """Return the name of the earlier check whose finding explains this one; "" for a mistake of its own."""
    for head in heads:
        cause = head.finding
        assert cause is not None
        again = check.name == f"{OTHERS}{head.check.name}" and not cause.named
        if cause.cause == finding.cause or _same_error(cause, finding) or again:
            return head.check.name
        function = cause.function or "".join(head.check.of[:1])
        if function == "import" or function not in (*check.of, finding.function):
            continue
        if _unwritten(finding) and finding.function != function:
            continue
        texts = [_any_size(text) for text in (finding.cause, *finding.mistakes)]
        same_one = any(_any_size(mistake) in text for mistake in cause.mistakes for text in texts)
        unnamed = not finding.named and (not finding.broken or function == finding.function)
        if cause.broken or finding.follows or same_one or unnamed:
            return head.check.name
    return ""


def _unwritten(finding: Finding) -> bool:
    """Return whether it says that a function isn't written yet: a fact of its own, whatever else is wrong."""
    return finding.broken and finding.named and not finding.follows


def _same_error(first: Finding, second: Finding) -> bool:
    """Return whether two functions end with the same error in the same line, or of one class with the same one."""
    if not (first.broken and second.broken) or first.named or second.named:
        return False
    told, other = (one.cause.removeprefix(one.function) for one in (first, second))
    of_class, of_other = (one.function.rpartition(".")[0] for one in (first, second))
    one_place = " at line " in told or (of_class != "" and of_class == of_other)
    return told == other and told.startswith(" raised ") and one_place


def _any_size(text: str) -> str:
    """Return a mistake without its numbers: with another number of time steps it is the same mistake."""
    return re.sub(r"\d+", "#", text)


def hidden(checks: Iterable[Check]) -> list[Check]:
    """Return the checks that are repeated with other numbers."""
    return [replace(check, name=f"{OTHERS}{check.name}", points=check.again, hidden=True) for check in checks
            if check.again]


# ---- checks that every assignment has
@dataclass(frozen=True)
class Imports:
    """The file can be run, every function is there, and can be called with the arguments of the handout."""

    wanted: Mapping[str, Sequence[str]]

    def __call__(self, answers: Answers) -> Finding | None:
        found: Any = answers.plain("import", "signatures")
        for name, wanted in self.wanted.items():
            given = found.get(name)
            if given is None:
                return Finding(f"there is no {name}; it must be called exactly so", where=name, function=name)
            if not _callable(list(given), list(wanted)):
                shown = ", ".join(one.replace("=", "=…").rstrip("!") for one in given)
                return Finding(f"{name} takes ({shown}); it must take ({', '.join(wanted)})", where=name, function=name)
        return None


def _callable(given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a function takes the wanted arguments by position; its own as inside.py lists them.

    Further ones with a default, and other names, are harmless; a wanted name at another place is not.
    """
    places = [one.rstrip("=") for one in given if not one.startswith("*") and not one.endswith("!")]
    needed = [one for one in given if not one.startswith("*") and not one.endswith("=")]
    if len(needed) > len(wanted) or any(one.endswith("!") for one in needed):
        return False
    many = any(one.startswith("*") and not one.startswith("**") for one in given)
    return (many or len(places) >= len(wanted)) and all(
        name not in places or places.index(name) == place for place, name in enumerate(wanted))


@dataclass(frozen=True)
class Shapes:
    """Every result is there, an array of the right shape and of float64. Right: question -> name -> array."""

    right: Mapping[str, Mapping[str, Array]]

    def __call__(self, answers: Answers) -> Finding | None:
        for question, results in self.right.items():
            values = answers.results(question, results)
            for name, right in results.items():
                cause = wrong_shape(question, name, values.get(name, MISSING), right)
                if cause is not None:
                    return replace(broken(question, cause, named=True), follows=True)
        return None


def wrong_shape(question: str, name: str, value: Any, right: Array) -> str | None:
    """Return the error in the shape or type of a result, or None."""
    function, value = _function(question), _array(value, right)
    what = _named(f"{'d' * ('.' in function)}{name}", function) if name != "out" else f"the result of {function}"
    if value is None:
        return f"{what} is None{NO_RETURN}" if name != "out" else f"{function} returned None{NO_RETURN}"
    if isinstance(value, Strange) and value == MISSING:
        return f"{function} returned no {name!r}"
    if not isinstance(value, np.ndarray):
        kind = _kind(value) if isinstance(value, Strange) else _kind(Strange(type(value).__name__))
        return f"{what} is {kind}; it must be an array of shape {right.shape}"
    if value.shape != right.shape:
        return f"{what} has {same_shape(value, right)}"
    if value.dtype != right.dtype:
        return f"{what} is {value.dtype}; it must be {right.dtype}, as the inputs are"
    return None


def _array(value: Any, right: Array) -> Any:
    """Return a float as the array without axes that it stands for, where one is wanted; everything else as it is."""
    return np.array(value) if type(value) is float and right.shape == () else value


def _named(what: str, function: str) -> str:
    """Return the name of a result with that of its function, unless it is written as a call already."""
    return what if what.startswith(f"{function}(") else f"{what} of {function}"


def _kind(value: Strange) -> str:
    """Return a type with its article."""
    if value.type == "NoneType":
        return "None"
    return f"{'an' if value.type[:1] in 'aeiouAEIO' else 'a'} {value.type}"


@dataclass(frozen=True)
class Values:
    """The numbers of one call: the first wrong result, and which mistake gives it.

    Attributes:
        question: what was asked.
        right: the right results; compared in the order of `mistakes`, then the others.
        mistakes: wrong variants, by result.
        place: where that is, e.g. a time step.
        prefix: before a result's name: "d" where it is a gradient.
        until: where the debugger stops; "{}" stands for the result. graph: in which of the script's graphs.
        edges: by result, for mistakes that name none.
    """

    question: str
    right: Mapping[str, Array]
    mistakes: Mapping[str, Sequence[Mistake]] = field(default_factory=dict)
    place: str = ""
    prefix: str = ""
    until: str = ""
    edges: Mapping[str, Edge] = field(default_factory=dict)
    graph: str = ""

    def __call__(self, answers: Answers) -> Finding | None:
        answers.results(self.question, self.right)
        mine = {name: answers.array(self.question, name, self.right[name]) for name in self.right}
        order = [*(name for name in self.mistakes if name in mine),
                 *(name for name in mine if name not in self.mistakes)]
        wrong = [name for name in order if not same(mine[name], self.right[name])]
        if not wrong:
            return None
        hits = {name: named(mine[name], self.right[name], self.mistakes.get(name, [])) for name in wrong}
        name = next((name for name in wrong if hits[name] is not None), wrong[0])
        hit, what = hits[name], self.prefix + name
        text = hit.mistake if hit else UNKNOWN
        correct = [name for name in order if name not in wrong]
        where = ", ".join(filter(None, [self.place, _named(what, _function(self.question))]))
        if self.prefix and correct and len(order) < 8:
            where += f" (right: {', '.join(correct)})"
        edge = hit.edge if hit and hit.edge else self.edges.get(name)
        cause = text if text.startswith(f"{what} ") else f"{what} is wrong: {text}"
        return Finding(cause, where, difference(what, mine[name], self.right[name]), edge,
                       self.until.format(name), self.graph, named=hit is not None, function=_function(self.question),
                       mistakes=hit.all_mistakes if hit else ())


@dataclass(frozen=True)
class Unmodified:
    """No input is written to, and no result is an input's own memory."""

    questions: Sequence[str]
    earned: Look  # does it compute anything at all? what computes nothing modifies nothing
    called: Mapping[str, str] = field(default_factory=dict)  # what students call an input
    results: Sequence[str] = ()  # the names that count; by default all

    def __call__(self, answers: Answers) -> Finding | None:
        for question in self.questions:
            answer = answers.get(question)
            function = _function(question)
            if answer.wrote is not None:
                names = ", ".join(self.called.get(name, name) for name in answer.changed)
                what = f"changes the caller's array {names}" if names else "writes into an array of the caller's"
                return Finding(f"{function} {what}{_line(answer.wrote)}: work on a copy", function=function)
            shares = [one for one in answer.shares if not self.results or one[0] in self.results]
            if shares:
                result, name = shares[0][0], self.called.get(shares[0][1], shares[0][1])
                return Finding(f"the {result!r} that {function} returns is the caller's own array {name}, no new one: "
                               "a change of one changes the other; return a copy", function=function)
        return _earned(self.earned, answers)


@dataclass(frozen=True)
class SecondCall:
    """Calls with other inputs, and then one with the first inputs, give the same as without calls before.

    Attributes:
        questions: the functions; results: the names that count, by default all.
        earned: the check of its results.
        right: the results of some with the last set of other inputs, which has the smallest sizes; sizes: in words.
        looks: the checks of these functions. Where one fails, it's no matter of sizes.
    """

    questions: Sequence[str]
    earned: Look
    results: Sequence[str] = ()
    right: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    sizes: str = ""
    looks: Mapping[str, Look] = field(default_factory=dict)

    def __call__(self, answers: Answers) -> Finding | None:
        for question in self.questions:
            answer, function = answers.get(question), _function(question)
            if answer.later is not None:
                return Finding(f"in a second call, {_raised(question, answer.later)}", function=function, follows=True)
            for first, second, what in ((answer.values, answer.again, "a second call of {} with the same inputs"),
                                        (answer.alone, answer.between, "a second call of {} with other inputs")):
                numbered = first is not answer.values
                names = {name: name.partition(" ")[2] if numbered else name for name in first}
                name = next((name for name in first if (not self.results or names[name] in self.results)
                             and not _equal(first[name], second.get(name))), None)
                if name is not None:
                    gives, result = "a wrong" if numbered else "another", names[name]
                    return Finding(f"{what.format(function)} gives {gives} {'result' if result == 'out' else result}"
                                   f"{_ratio(first[name], second.get(name))}", function=function)
        return self._sizes(answers) or _earned(self.earned, answers)

    def _sizes(self, answers: Answers) -> Finding | None:
        """Return a finding where results are wrong for the smallest sizes alone."""
        for question, results in self.right.items():
            if question in self.looks and self.looks[question](answers) is not None:
                continue
            found = answers.get(question).alone
            last = max((name.partition(" ")[0] for name in found), default="0")
            for name, right in results.items():
                mine = found.get(f"{last} {name}", MISSING)
                cause, numbers = wrong_shape(question, name, mine, right), ""
                if cause is None and not same(mine, right):
                    cause, numbers = f"{name} of {_function(question)} is wrong", difference(name, mine, right)
                if cause is not None:
                    return Finding(f"with {self.sizes}, {cause}", numbers=numbers, function=_function(question),
                                   follows=True)
        return None


@dataclass(frozen=True)
class InTurn:
    """Several looks at the answers: the first finding."""

    looks: Sequence[Look]

    def __call__(self, answers: Answers) -> Finding | None:
        return next((finding for finding in (look(answers) for look in self.looks) if finding is not None), None)


@dataclass(frozen=True)
class Numeric:
    """A backward pass agrees with central differences of the student's own forward, at every entry.

    The differences come from the student's process, so they are compared with what is right too.
    """

    question: str
    backward: str
    right: Mapping[str, Array]

    def __call__(self, answers: Answers) -> Finding | None:
        for name, right in self.right.items():
            numbers = answers.array(self.question, name, right)
            mine = answers.array(self.backward, name, right)
            for other, what in ((numbers, "central differences of your own forward"), (right, "the right gradient")):
                if not same(mine, other, 1e-6):
                    wrong = int((~np.isclose(mine, other, rtol=1e-6, atol=1e-8)).sum())
                    return Finding(f"dL/d{name} differs from {what} in {wrong} of {right.size} entries",
                                   numbers=difference(f"dL/d{name}", mine, other), named=False, follows=True,
                                   function=_function(self.backward))
        return None


def _earned(look: Look, answers: Answers) -> Finding | None:
    """Return a finding unless the function passes `look`: a function that computes nothing modifies nothing."""
    if look(answers) is not None:
        return Finding(EARNED, named=False, follows=True)
    return None


def _function(question: str) -> str:
    """Return the name of the function that a question concerns."""
    return question.partition(":")[0]


def _line(told: Mapping[str, Any]) -> str:
    places = [f" of cell {told['cell']}" if told.get("cell") else "", f" of {told['file']}" if told.get("file") else ""]
    return f" at line {told['line']}{''.join(places)}: `{told['text']}`" if told.get("line") else ""


def _raised(question: str, error: Mapping[str, Any]) -> str:
    """Return an error as a sentence."""
    what = "the file" if question == "import" else _function(question)
    kind, message = error.get("type", ""), _without_internals(str(error.get("message", "")))
    if kind == "NotImplementedError":
        inner = error.get("function") or ""
        return f"{inner if inner.isidentifier() and inner not in METHODS else what} isn't written yet"
    if kind == "TimeLimit":
        return f"{what} did not end in {message or 'time'}{_line(error)}: is there an endless loop, or a slow one?"
    if "module 'student'" in message or (error.get("place") == "" and "object is not callable" in message):
        return f"there is no {what}"
    if not kind or kind == "Form":
        return f"{what} {message}"
    if error.get("place", "student") == "" and kind not in FROM_CALLS:
        return f"{what} returns something of another form than the text describes"
    hint = ""
    if kind == "ValueError" and ("matmul" in message or "not aligned" in message):
        message = message.partition(", with gufunc")[0]
        hint = " (the shapes of a product don't fit: is a transpose missing, or the order wrong?)"
    elif "its data was changed" in message:
        message = message.partition(", so the derivative")[0]
        hint = " (the graph reaches back over an update of the parameters: is the state not detached?)"
    elif kind == "RecursionError":
        hint = " (a long chain is deeper than Python's stack: use a loop and a list of your own)"
    elif kind == "ModuleNotFoundError" and "here (" not in message:
        hint = " (a file of your own must be handed in too, beside this one and in no folder of its own)"
    return f"{what} raised {kind}{message and ': '}{message}{hint}{_line(error)}"


def _without_internals(message: str) -> str:
    """Return a message without the names of the checker's own files."""
    own = r"(?:probes|inside)\.py:\d+"
    message = re.sub(rf"\s*\((?:at )?{own}\)|\s+(?:(?:made )?at )?{own}", "", message)
    message = re.sub(r"\(node <([^<>]*)>\)", r"(the operation <\1>)", message)
    message = re.sub(r"<(?:student\.)?([\w.]+) object(?: \S+)? at 0x[0-9A-Fa-f]+>", r"an object of \1", message)
    message = re.sub(r"<class 'student\.([\w.]+)'>", r"the class \1", message)
    message = re.sub(r" at 0x[0-9A-Fa-f]+", "", message)
    return re.sub(r"\S*[/\\]check_\w+[/\\](?:scratch_\w+[/\\])?(?:packages[/\\])?", "", message)


def _equal(a: Any, b: Any) -> bool:
    """Return whether two results are equal, up to rounding: the place in memory can change the last digit."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and (same(a, b) or np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    return bool(np.all(a == b)) if type(a) is type(b) else False


def _ratio(first: Any, second: Any) -> str:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and first.shape == second.shape:
        if same(second, 2 * first):
            return ": exactly twice the first, so something is kept from call to call and added to"
        if not second.any():
            return ": zeros, so the first call has used something up"
    return ": something is kept from call to call"


def read(file: Path) -> str:
    """Read a student's file as Python source; of a notebook its code cells, without magic lines.

    Raises:
        Unreadable: where it can't be read. Links aren't followed: one that is handed in could lead to any
            file that the grader may read.
    """
    try:
        text = _text(file)
        return text if file.suffix != ".ipynb" else _code(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{file.name} can't be read: {error}") from None


def helpers(file: Path, source: str) -> dict[str, str]:
    """Return the modules beside a file that it imports, and those that they import, by name, as text.

    Import statements are found by their form: parsing a text that isn't trusted can end the process.

    Raises:
        Unreadable: where one can't be read, or all are too large together.
    """
    found: dict[str, str] = {}
    left = [source]
    while left:
        for one, many in IMPORTS.findall(left.pop()):
            for name in re.findall(r"(?:^|,)\s*(\w+)", one or many):
                path = file.with_name(f"{name}.py")
                if name not in found and path.name != file.name and path.is_file():
                    found[name] = read(path)
                    left.append(found[name])
    if sum(map(len, found.values())) > LARGEST:
        raise Unreadable(f"the files beside {file.name} that it imports have more than {LARGEST >> 20} MB")
    return found


def _text(file: Path) -> str:
    """Read the text of a regular file, with or without a byte-order mark."""
    if file.is_symlink():
        raise ValueError("it is a link; hand in the file itself")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(file, flags), "rb") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_size > LARGEST:
            raise ValueError(f"it has {found.st_size >> 20} MB; {LARGEST >> 20} are allowed")
        text = opened.read(LARGEST).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _code(text: str) -> str:
    """Return the code cells of a notebook, each after a line with its number, `inside.CELL`."""
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"
             and not cell.get("metadata", {}).get("nbgrader", {}).get("grade")]  # nbgrader's own calls of the checker
    return "\n".join(f"# cell {number}\n{_without_magics(''.join(cell['source']))}"
                     for number, cell in enumerate(cells, 1)) + "\n"


def _without_magics(cell: str) -> str:
    """Return a cell with Python in the place of what IPython alone reads: its magics, shell commands and help.

    They stand where a statement begins. A line inside of brackets or a string, or after a backslash, continues a
    statement. One pass over the text, so that a large file costs no more than its length.
    """
    kept: list[str] = []
    depth, quote, continued, magic = 0, "", False, False
    if FOREIGN.match(cell):
        return "\n" * cell.count("\n")
    for line in cell.split("\n"):
        if not depth and not quote and not continued:
            line = _python(line)
            magic = line.lstrip().startswith(("%", "!"))
        kept.append("" if magic else line)
        continued = line.rstrip("\r").endswith("\\")
        for found in () if magic else PIECES.finditer(line):
            piece = found[0]
            if quote:
                quote = "" if piece.startswith(quote) else quote
            elif piece == "#":
                continued = False
                break
            elif piece[0] in "\"'":
                quote = piece
            else:
                depth = max(0, depth + (piece in "([{") - (piece in ")]}"))
        if len(quote) == 1 and not continued:
            quote = ""
    return "\n".join(kept)


def _python(line: str) -> str:
    """Return the Python of a line's magic: what is timed; nothing for help; an empty list for a command's output."""
    timed = TIMED.fullmatch(line)
    if timed is not None:
        return timed["before"] + timed["timed"]
    output = OUTPUT_OF.fullmatch(line)
    if output is not None:
        return f"{output[1]}[]"
    return "" if HELP.fullmatch(line) else line
