"""Assignment 6: any right answer passes, in any variant; a wrong one is told about the student's own step."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.assignments.check import Result, checked, debugger, kept, parts
from examples.assignments.check import main as run_check
from examples.assignments.checks import a6 as checks
from examples.assignments.comparisons import a6 as comparisons
from examples.assignments.grading import Answers, Look, Outcome
from examples.assignments.graphs import a6 as graphs
from examples.assignments.make import source, stub
from examples.assignments.sandbox import Answer
from examples.assignments.variants import variant, written
from minigrad.backward import ancestors
from minigrad.debugger.runner import main as run_debugger
from rnn.language.dependencies import DefinitionError


def results(files: dict[str, str], seed: int = 0) -> dict[str, list[Outcome]]:
    """What became of every check of a variant, the ones that are always hidden included."""
    found: dict[str, list[Outcome]] = {name: [] for name in files}
    for part in [*parts("a6", seed), *kept("a6", seed)]:
        for name, result in checked(part, files, seed).items():
            found[name] += result.outcomes
    return found


def failed(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.check.name}: {outcome.finding.cause}" for outcome in outcomes if outcome.finding]


# ---- right solutions of unusual form
FORMS = {
    "a signal for the sum": ("h[t] = np.tanh(W @ e[t] + U @ h[t-2])",
                             'a = cell.signal("a", H)\n    a[t] = W @ e[t] + U @ h[t-2]\n    h[t] = np.tanh(a[t])'),
    "a signal for the past": ("h[t] = np.tanh(W @ e[t] + U @ h[t-2])",
                              'past = cell.signal("past", H)\n    past[t] = h[t-1]\n'
                              "    h[t] = np.tanh(W @ e[t] + U @ past[t-1])"),
    "two equations in another order": ("e[t] = x[t] - y[t-1]\n", "y[t] = V @ h[t]\n    e[t] = -y[t-1] + x[t]\n"),
    "rows": ("np.tanh(W @ e[t] + U @ h[t-2])", "mg.tanh(e[t] @ W.T + h[t-2] @ U.T)"),
    "set initial values": ("return cell", "h[0] = h[-1] = np.zeros(H)\n    return cell"),
    "tanh as a quotient": ("np.tanh(W @ e[t] + U @ h[t-2])", "1 - 2 / (np.exp(2 * (W @ e[t] + U @ h[t-2])) + 1)"),
    "a set of edges": ("    return edges\n", "    return set(edges)\n"),
    "edges with spaces, as lists": ("    return edges\n", "    return [[a, f' {b} '] for a, b in edges[::-1]]\n"),
    "edges from a program": ("    return edges\n", "    W, U, V = (mg.Tensor(np.ones((2, 2))) for _ in range(3))\n"
                             "    run = definition(W, U, V).unroll(x=np.ones((3, 2)))\n"
                             "    return [tuple(f'{c.signal}[{c.t}]' for c in edge) for edge in run.edges()]\n"),
    "the loop from another signal on": ('["p", "r", "s"]', '("r", "s", "p")'),
    "the loop closed": ('["p", "r", "s"]', '["p", "r", "s", "p"]'),
    "the other loop": ('["p", "r", "s"]', '["u", "s", "p"]'),
    "an edge as a list": ('return "s", "p"', 'return ["s", "p "]'),
    "as the debugger prints it": ('return 19, "tanh"', 'return 19, "h[5] tanh (2, 3)"'),
    "a function of NumPy": ('return 53, "log"', 'return 53, "np.log"'),
    "a picture in the file": ("    return cell\n", "    import viz\n    viz.rolled(cell)\n    return cell\n"),
    "the networks in the file": (
        "return 4, 1.837", "from examples.assignments.graphs.a6 import network\n"
        "    run, loss = network('contributions', VARIANT)\n    loss.backward()\n"
        "    sizes = [float(np.linalg.norm(row)) for row in run.contributions('U')]\n"
        "    return 1 + int(np.argmax(sizes)), max(sizes)"),
    "numbers of NumPy": ('return 19, "tanh"', 'return np.int64(19), "tanh"'),
    "a whole float": ('return 53, "log"', 'return 53.0, " Log"'),
    "the symbol": ('return 21, "mul"', 'return 21, "*"'),
    "the name of NumPy's function": ('return 21, "mul"', 'return [21, "multiply"]'),
    "the formula": ('return 21, "mul"', 'return 21, "h[5]*h[5]"'),
    "all that the debugger prints": ('return 19, "tanh"', 'return 19, "h[5] tanh"'),
    "more digits": ("return 4, 1.837", "return 4, 1.8367"),
    "fewer digits": ("return 4, 1.837", "return 4, 1.84"),
    "an array": ("return 3, 1.37", "return np.array([3, 1.37])")}


def test_right_solutions_of_unusual_form() -> None:
    text = source("a6")
    for name, (find, _) in FORMS.items():
        assert find in text, name
    files = {name: text.replace(find, put) for name, (find, put) in FORMS.items()}
    key = "two equations in another order"
    files[key] = files[key].replace("U @ h[t-2])\n    y[t] = V @ h[t]", "U @ h[t-2])")
    assert {name: failed(outcomes) for name, outcomes in results(files).items() if failed(outcomes)} == {}


# ---- variants
def test_each_variant_has_answers_of_its_own() -> None:
    answers = {number: checks.answers(number) for number in (0, 1, 2)}
    for name in ("delay_free_loop", "vanishing", "nan", "my_vanishing", "my_nan", "contributions", "my_contributions"):
        assert len({str(found[name]) for found in answers.values()}) >= 2, name
    assert source("a6") == checks.solved(source("a6"), 0)
    for number in (1, 2):
        text = source("a6", number)
        assert variant(text) == variant(stub(text)) == number
        assert failed(results({"a6.py": text}, number)["a6.py"]) == []
    assert len(failed(results({"a6.py": source("a6", 1)}, 2)["a6.py"])) >= 7


def test_a_variant_is_written_into_any_handout() -> None:
    assert variant("x = 1\nVARIANT = 7  # mine\n") == 7 and variant(" VARIANT = 7\n") is None
    assert variant("VARIANT = '7'\n") is None
    assert written("a = 1\n", 0) == "a = 1\n" and variant(written("a = 1\n", 12)) == 12
    assert variant(source("a3", 5)) == 5 and failed_parts("a3", 5) == []


def failed_parts(name: str, seed: int) -> list[str]:
    return [line for part in parts(name, seed) for line in
            failed(checked(part, {"s.py": source(name, seed)}, seed)["s.py"].outcomes)]


# ---- the records, against computations without the debugger
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("name", ["vanishing", "my_vanishing", "nan", "my_nan"])
def test_the_step_that_is_looked_for_is_that_of_a_plain_loop(name: str, number: int) -> None:
    with np.errstate(all="ignore"):
        _, loss = graphs.network(name, number)
        made = [node for node in ancestors(loss) if node.op is not None and np.isnan(node.data).any()]
        found = []
        for step in loss.backward_steps():
            step.run()
            passed = [grad for grad in step.input_grads if grad is not None]
            if name.endswith("vanishing"):
                if step.grad is not None and np.any(step.grad) and not any(map(np.any, passed)):
                    found.append(step)
            elif made:
                if step.node is made[0]:  # the oldest
                    found.append(step)
            elif step.grad is not None and not np.isnan(step.grad).any() and any(np.isnan(one).any() for one in passed):
                found.append(step)
    assert bool(made) == (name == "nan")
    assert comparisons.Stop(name, number).right()[0] == found[0].number
    assert found[0].t not in (None, 1) and 1 < found[0].number < len(list(loss.backward_steps()))
    if name.endswith("vanishing"):
        assert len(found) == 1


@pytest.mark.parametrize("number", range(3))
def test_the_largest_contribution_is_that_of_the_formula(number: int) -> None:
    run, loss = graphs.network("my_contributions", number)
    loss.backward()
    sizes = [np.linalg.norm((run["h"][k].grad * (1 - run["h"][k].data ** 2)).T @ np.broadcast_to(
        run["h"][k - 1].data, run["h"][k].shape)) for k in range(1, run.T + 1)]
    step, size = comparisons.Largest("my_contributions", number).right()
    assert step == 1 + int(np.argmax(sizes)) and size == pytest.approx(max(sizes), rel=1e-3)
    assert max(sizes) > 1.25 * sorted(sizes)[-2]


@pytest.mark.parametrize("number", range(5))
def test_one_edge_alone_repairs_the_definition(number: int) -> None:
    edges = graphs.faulty(number)
    with pytest.raises(DefinitionError, match="a loop without delay"):
        graphs.cell_of(edges).unroll(x=np.zeros((2, graphs.H)))
    assert [tuple(edge) for edge in graphs.cell_of(edges).edges()] == edges
    assert sum(comparisons.repaired(edges, a, b) for a, b, _ in edges) == 1


def test_the_simulation_is_the_definition() -> None:
    d = checks.numbers(3, checks.HIDDEN_SIZES)
    run = checks.reference(d).unroll(x=d["x"])
    for copy, right in checks.simulated(d).items():
        np.testing.assert_allclose(run[copy[0]][int(copy[2:-1])].data, right, rtol=1e-12)
    for copy, wrong in checks.wrong_values(d).items():
        assert len({one.gives.tobytes() for one in wrong}) >= len({one.mistake for one in wrong}), copy
        assert copy[2:-1] in "12" or len(wrong) >= 2


# ---- what students see
def said(text: str) -> Result:
    [part] = parts("a6")
    return checked(part, {"a6.py": text}, 0)["a6.py"]


@pytest.mark.parametrize("find, put, message", [
    ('53, "log"', '8, "matvec"', r"step 8 is mul, R \* .*; its result has a NaN, but so has its input \S*g\[7\].*: "
     "it was produced by an operation that is computed earlier: go on to later steps"),
    ('53, "log"', '55, "matvec"', r"step 55 is \w+, .*; its result has no NaN: go back to earlier steps"),
    ('19, "tanh"', '14, "tanh"', r"step 14 is tanh, h\[6\] = tanh\(.*\); its upstream gradient has norm \S+, and it "
     r"passes on \S+ to .*: go on to later steps")])
def test_a_wrong_step_is_told_from_its_own_record(find: str, put: str, message: str, capsys: pytest.CaptureFixture[str]
                                                 ) -> None:
    result = said(source("a6").replace(find, put))
    [outcome] = [one for one in result.outcomes if one.finding is not None]
    assert outcome.finding is not None and re.fullmatch(message, outcome.finding.cause), outcome.finding.cause
    command = debugger(result, outcome)
    number = put.partition(",")[0]
    assert command.startswith(f'python -m minigrad.debugger -c "goto {number}" examples/assignments/graphs/a6.py ')
    name, chosen = command.split()[-2:]
    run_debugger(["-c", f"goto {number}", "-c", "quit", str(Path(graphs.__file__)), name, chosen])
    assert f"step {number} of" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nope", "0"], ["nan", "x"], ["nan", "-1"]])
def test_a_wrong_command_is_one_line(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"there is no network .* give one of faulty, vanishing"):
        graphs.main(arguments)


def test_no_message_holds_the_answer() -> None:
    """Of each question all wrong steps are tried: none is told the number of the right one, or its operation's name."""
    for name in ("vanishing", "nan"):
        look, number = comparisons.Stop(name, 0), comparisons.Stop(name, 0).right()[0]
        for k in range(1, len(comparisons.record(name, 0)) + 1):
            finding = look(Answers({"import": Answer(), f"{name}:": Answer({"answer": [k, "none"]})}))
            assert finding is not None and (k == number or not re.search(rf"\b{number}\b", finding.cause))
            said = "isn't 'none'" if k == number else "go back to earlier" if k > number else "go on to later"
            assert said in finding.cause, finding.cause


def test_edges_of_a_wrong_definition_are_traced_to_it() -> None:
    text = source("a6").replace("h[t-2])", "h[t-1])")
    wrong = comparisons.unrolled([("x", "e", 0), ("y", "e", 1), ("e", "h", 0), ("h", "h", 1), ("h", "y", 0)], 3)
    [_, finding] = [outcome.finding for outcome in said(text.replace("return edges", f"return {wrong}")).outcomes
                    if (outcome.finding is not None and "part 1" in outcome.finding.cause)
                    or outcome.check.name.startswith("the definition: who")]
    assert finding is not None and finding.cause.startswith("these are the edges of your definition")


def test_the_networks_of_the_grade_are_checked_with_the_hidden_checks_alone(tmp_path: Path,
                                                                            capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a6.py").write_text(source("a6", 1))
    assert run_check(["a6", str(tmp_path / "a6.py"), "--no-pictures"]) == 0
    report = capsys.readouterr().out
    assert report.startswith("a6: draw, step, explain, variant 1 (") and "my_" not in report
    assert run_check(["a6", str(tmp_path / "a6.py"), "--no-pictures", "--hidden", "--unsafe", "--seed", "5"]) == 0
    report = capsys.readouterr().out
    assert "my_nan" in report and "other numbers: the definition: its values" in report


@pytest.mark.parametrize("name", ["faulty", "nan", "my_vanishing"])
def test_the_networks_can_be_printed_and_made_a_page(name: str, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    graphs.main([name, "3", str(tmp_path / "steps.html")])
    shown = capsys.readouterr().out
    if name == "faulty":
        assert len(shown.splitlines()) == 6 and "tanh(" in shown
    else:
        assert (tmp_path / "steps.html").stat().st_size > 50_000


def test_parts_of_a_hidden_run_have_no_answers_of_variants() -> None:
    [part] = parts("a6", 9, True)
    assert [check.name for check in part.checks if check.again] == ["the definition: who reads whom",
                                                                    "the definition: its values"]
    assert not {"vanishing:", "nan:"} & {*part.jobs[0].questions}
    assert part.seed == 9


# ---- no wrong answer passes: all of them are tried
def passed(look: Look, name: str, answer: object) -> bool:
    return look(Answers({"import": Answer(), f"{name}:": Answer({"answer": answer})})) is None


def look_of(name: str) -> Look:
    return next(check.look for part in [*parts("a6"), *kept("a6", 0)] for check in part.checks if check.name == name)


def test_of_all_steps_one_passes() -> None:
    for name in ("vanishing", "nan", "my_vanishing", "my_nan"):
        number, operation = comparisons.Stop(name, 0).right()
        names = {seen.record.operation for seen in comparisons.record(name, 0)} | {"", "none"}
        look, most = look_of(name), len(comparisons.record(name, 0))
        right = [(k, other) for k in range(-1, most + 2) for other in names if passed(look, name, [k, other])]
        assert right == [(number, operation)]
    for name in ("contributions", "my_contributions"):
        look, (step, size) = look_of(name), comparisons.Largest(name, 0).right()
        assert [(k, factor) for k in range(10) for factor in (0.5, 0.98, 1, 1.02, 2)
                if passed(look, name, [k, size * factor])] == [(step, 1)]


def test_of_all_lists_of_edges_that_differ_by_one_edge_none_passes() -> None:
    right = comparisons.unrolled([("x", "e", 0), ("y", "e", 1), ("e", "h", 0), ("h", "h", 2), ("h", "y", 0)], 3)
    look = look_of("unrolled edges")
    copies = [f"{name}[{k}]" for name in "xehy" for k in range(-1, 5)]
    assert passed(look, "unrolled_edges", [list(edge) for edge in right])
    others = [[edge for edge in right if edge != left_out] for left_out in right]
    others += [[*right, (a, b)] for a in copies for b in copies]
    others += [[(a, b) if (a, b) != edge else (b, a) for a, b in right] for edge in right]
    assert len(others) == 15 + 24 * 24 + 15
    assert not [wrong for wrong in others if passed(look, "unrolled_edges", [list(edge) for edge in wrong])]


@pytest.mark.parametrize("number", range(3))
def test_of_all_lists_of_signals_the_loops_without_delay_pass(number: int) -> None:
    edges = graphs.faulty(number)
    direct = {(a, b) for a, b, delay in edges if delay == 0}
    names = sorted({b for _, b, _ in edges} | {"x"})
    look, repair, found = comparisons.Loop(edges), comparisons.Repair(edges), set()
    for length in range(1, 5):
        for loop in itertools.permutations(names, length):
            is_loop = all(pair in direct for pair in zip(loop, (*loop[1:], loop[0])))
            assert passed(look, "delay_free_loop", list(loop)) == is_loop, loop
            found |= {frozenset(loop)} if is_loop else set()
    assert len(found) == 2
    repairs = [(a, b) for a in names for b in names if passed(repair, "repair", [a, b])]
    assert len(repairs) == 1 and set(repairs[0]) <= frozenset.intersection(*found)


def test_of_many_definitions_none_passes() -> None:
    """Each operand, sign, delay and function of the three equations changed."""
    lines = {"e[t] = x[t] - y[t-1]": [
                 "x[t] + y[t-1]", "y[t-1] - x[t]", "x[t] - y[t-2]", "x[t] - y[t]", "x[t]", "-y[t-1]", "x[t-1] - y[t-1]",
                 "x[t] * y[t-1]", "x[t] - 0.9 * y[t-1]", "np.tanh(x[t] - y[t-1])"],
             "h[t] = np.tanh(W @ e[t] + U @ h[t-2])": [
                 f"{function}({a} {sign} {b})" for function in ("np.tanh", "mg.sigmoid", "mg.relu", "")
                 for a in ("W @ e[t]", "W @ e[t-1]", "W @ x[t]", "0")
                 for sign in "+-" for b in ("U @ h[t-2]", "U @ h[t-1]", "U.T @ h[t-2]", "h[t-2]", "U @ h[t-3]", "0")
                 if (function, a, sign, b) != ("np.tanh", "W @ e[t]", "+", "U @ h[t-2]") and (a, b) != ("0", "0")],
             "y[t] = V @ h[t]": [
                 "V @ h[t-1]", "-V @ h[t]", "np.tanh(V @ h[t])", "2 * V @ h[t]", "W.T @ h[t]", "V @ h[t] + x[t]"]}
    text = source("a6")
    files = {f"{line[0]} = {wrong}": text.replace(line, f"{line[0]}[t] = {wrong}")
             for line, some in lines.items() for wrong in some}
    assert len(files) > 190
    [part] = parts("a6")
    part = replace(part, jobs=[replace(part.jobs[0], questions=part.jobs[0].questions[:2])], checks=part.checks[1:3])
    done = checked(part, files, 0)
    assert [name for name in files if all(outcome.finding is None for outcome in done[name].outcomes)] == []
