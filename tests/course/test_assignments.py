"""The course kit: right solutions earn everything, stubs nothing, and every known mistake is called by its name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from definitions import case

import minigrad as mg
import viz
from examples.assignments import a1_source, a2_source, a3_source, a5_source
from examples.assignments.check import NAMES, checked, debugger, draw, kept, parts
from examples.assignments.checks import a3, a4, a5
from examples.assignments.grading import Outcome, hidden
from examples.assignments.graphs import a2 as small_graph
from examples.assignments.graphs import a3 as cells
from examples.assignments.graphs import a5 as truncated
from examples.assignments.make import source, stub
from examples.assignments.mutants import Mutant
from examples.assignments.naming import counted
from examples.assignments.probes import a1 as operations
from examples.assignments.probes import a5 as probes
from minigrad.backward import ancestors
from minigrad.debugger.runner import main as run_debugger
from viz.render import palette

HIDDEN_SEED = 1234


def outcomes(name: str, sources: dict[str, str], which: slice = slice(None), seconds: float = 5.0) -> dict[str,
                                                                                                           list[Outcome]]:
    """What became of every check, for several files that share their processes."""
    found: dict[str, list[Outcome]] = {file: [] for file in sources}
    for part in parts(name)[which]:
        part = replace(part, jobs=[replace(job, seconds=seconds) for job in part.jobs])
        for file, result in checked(part, sources, 0).items():
            found[file] += result.outcomes
    return found


def failures(done: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in done if outcome.finding is not None]


# ---- points
@pytest.mark.parametrize("name", NAMES)
def test_the_solution_earns_everything_and_the_stub_nothing(name: str) -> None:
    others = [replace(part, checks=hidden(part.checks)) for part in parts(name, HIDDEN_SEED, True)]
    for part in [*parts(name), *others]:
        results = checked(part, {"solution.py": source(name), "stub.py": stub(source(name))}, 0)
        assert failures(results["solution.py"].outcomes) == []
        assert sum(outcome.score for outcome in results["stub.py"].outcomes) == 0
        assert all(outcome.finding is not None and "isn't written yet" in outcome.finding.cause
                   for outcome in results["stub.py"].outcomes if outcome.check.points)


def test_points_add_up() -> None:
    """No number of points is repeated in a test: a teacher may change them."""
    for name in NAMES:
        visible = [check for part in parts(name) for check in part.checks]
        again = [replace(part, checks=hidden(part.checks)).checks for part in parts(name, HIDDEN_SEED, True)]
        others = [check for checks in again for check in checks] + [
            check for part in kept(name, 0) for check in part.checks]
        assert all(check.points >= 0 and not check.hidden for check in visible)
        assert sum(check.points for check in visible) > 0 and all(check.points > 0 for check in others)
        names = [check.name for check in [*visible, *others]]
        assert len(names) == len(set(names)), name


# ---- mistakes
INTERNALS = re.compile(r"probes|inside\.py|check_\w{8}")  # names of the checker's own
# Two facts, or an error that the wrong result of another function may cause, but need not.
SEVERAL = {"every_path", "state_for_gradient", "edges_consumed", "gradients_added_to_a_sum"}


def mutants(name: str, check: str = "") -> list[Mutant]:
    table: list[Mutant] = importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS
    return [one for one in table if one.check.startswith(check)]


@pytest.mark.parametrize("name, check, which", [
    *((name, "", slice(None)) for name in NAMES if name != "a3"),
    ("a3", "rnn", slice(0, 1)), ("a3", "lstm", slice(1, 2))])
def test_every_mutant_is_caught_and_named(name: str, check: str, which: slice) -> None:
    table = mutants(name, check)
    done = outcomes(name, {f"{one.name}.py": one.of(source(name)) for one in table}, which,
                    1.0 if name == "a2" else 5.0)
    for one in table:
        failed = failures(done[f"{one.name}.py"])
        assert failed, f"{one.name} earns full points"
        first = failed[0]
        assert first.finding is not None
        heads = [outcome.check.name for outcome in failed if not outcome.follows]
        assert len(heads) == 1 or one.name in SEVERAL, (one.name, heads)
        assert first.check.name.startswith(one.check), (one.name, first.check.name, first.finding.cause)
        assert [words for words in one.said if words not in first.finding.cause] == [], (one.name, first.finding.cause)
        for outcome in failed:
            assert outcome.finding is not None and not INTERNALS.search(outcome.finding.cause), outcome.finding.cause
            until = outcome.finding.until.removeprefix("param ")
            assert not until or until in labels(name, outcome.finding.graph or check), (one.name, until)


@cache
def labels(name: str, graph: str) -> set[str]:
    """What tensors are called in the graph that the debugger opens."""
    out = importlib.import_module(f"examples.assignments.graphs.{name}").output(graph, 0)
    named = {tensor.label for tensor in ancestors(out) if tensor.requires_grad}
    return named | {str(step.number) for step in out.backward_steps()}


def test_there_are_the_fourteen_classic_mistakes_and_many_more() -> None:
    assert len(mutants("a3")) >= 55 and sum(len(mutants(name)) for name in NAMES) >= 200
    for name in NAMES:
        names = [one.name for one in mutants(name)]
        assert len(names) == len(set(names))


def test_two_mistakes_at_once_are_placed_and_not_named_wrongly() -> None:
    wrong = source("a3").replace("dz = dh * (1 - h * h)", "dz = 1.7 * dh + h")
    done = outcomes("a3", {"wrong.py": wrong}, slice(0, 1))["wrong.py"]
    finding = next(o.finding for o in done if o.check.name == "rnn: dL/dh by step")
    assert finding is not None and not finding.named
    assert finding.cause.startswith("dL/dh[5] is right, dL/dh[4] is wrong: the contribution through t = 5 is wrong")
    assert finding.edge == ("h[4]", "z[5]") and "yours" in finding.numbers and finding.until == "h[4]"


def test_what_follows_from_a_mistake_says_so() -> None:
    wrong = source("a3").replace('"h_prev": dz @ U.T', '"h_prev": dz @ U')
    failed = failures(outcomes("a3", {"wrong.py": wrong}, slice(0, 1))["wrong.py"])
    assert failed[0].check.name == "rnn: one step backward" and failed[0].follows == ""
    assert [one.follows for one in failed[1:]] == ["rnn: one step backward"] * 4


@pytest.mark.parametrize("weights, said", [
    ([0, 0, 1], "holds only the contribution of t = 3"), ([1, 0, 1], "the contribution of t = 2 is missing"),
    ([0, 0, 0], ""), ([1, 2, 1], "the contribution of t = 2 is counted twice"),
    ([1 / 3] * 3, "exactly 1/3 of the sum over time")])
def test_missing_contributions_are_counted_by_step(weights: list[float], said: str) -> None:
    steps = np.random.default_rng(0).normal(size=(3, 2, 4))
    text = counted(np.tensordot(np.array(weights), steps, 1), steps, "dL/dU")
    assert said in text and bool(text) == bool(said)


# ---- what is right, against others
def test_the_recurrent_cells_agree_with_published_numbers() -> None:
    stored = case("cs231n_rnn_step_forward")
    x, h, W, U, b = (np.array(stored["inputs"][name]) for name in ("x", "prev_h", "Wx", "Wh", "b"))
    out = a3_source.rnn_step_forward(x, h, W, U, b)
    np.testing.assert_allclose(out, stored["expected"]["next_h"], atol=1e-8)
    back = a3_source.rnn_step_backward(np.ones_like(out), x, h, out, W, U)
    for mine, theirs in {"x": "x", "h_prev": "prev_h", "W": "Wx", "U": "Wh", "b": "b"}.items():
        np.testing.assert_allclose(back[mine], stored["grads_of_sum"][theirs], rtol=1e-6)
    stored = case("cs231n_lstm_step_forward")
    x, h, c = (np.array(stored["inputs"][name]) for name in ("x", "prev_h", "prev_c"))
    joined = {"W": np.array(stored["inputs"]["Wx"]), "U": np.array(stored["inputs"]["Wh"]),
              "b": np.array(stored["inputs"]["b"])}
    p = {f"{what}_{k}": array[..., 5 * i:5 * i + 5] for what, array in joined.items() for i, k in enumerate("ifog")}
    step = a3_source.lstm_step_forward(x, h, c, p)
    np.testing.assert_allclose(step["h"], stored["expected"]["next_h"], atol=1e-8)
    back = a3_source.lstm_step_backward(np.ones_like(h), 2 * np.ones_like(c), x, h, c, step, p)
    for mine, theirs in {"x": "x", "h_prev": "prev_h", "c_prev": "prev_c"}.items():
        np.testing.assert_allclose(back[mine], stored["grads"][theirs], rtol=1e-6)
    for what, theirs in {"W": "Wx", "U": "Wh", "b": "b"}.items():
        np.testing.assert_allclose(np.concatenate([back[f"{what}_{k}"] for k in "ifog"], -1), stored["grads"][theirs],
                                   rtol=1e-6)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_what_the_checker_takes_for_right_is_what_the_debugger_shows(kind: str) -> None:
    n = a3.Numbers(0, cells.SIZES)
    run = {"rnn": cells.rnn, "lstm": cells.lstm}[kind](n.d)
    cells.loss_of(run, n.d["dhs"]).backward()
    right = {"rnn": n.rnn, "lstm": n.lstm}[kind]
    for state in "h" if kind == "rnn" else "hc":
        for k in range(cells.SIZES[0] + 1):
            np.testing.assert_allclose(right[state][k - 1] if k else right[f"{state}0"], run[state][k].grad, rtol=1e-9)
    for name, parameter in run.parameters.items():
        np.testing.assert_allclose(right[name], parameter.grad, rtol=1e-9)


def test_the_operations_pass_the_engines_own_check() -> None:
    rng = np.random.default_rng(0)
    for name, (options, inputs, _) in operations.OPERATIONS.items():
        arrays = [rng.normal(size=(3, 2) if given == "m" else (2, 4) if given == "w" else (3, 4)) for given in inputs]
        mg.check_op(getattr(a1_source, name)(*options), *arrays)


def test_the_small_graph_has_minigrads_gradients() -> None:
    from examples.assignments.checks.a2 import gradients, small

    out = small_graph.small(0)
    out.backward()
    right = gradients(small(0))
    nodes = [out]
    for node in nodes:
        nodes += [x for x in node.inputs if x not in nodes]
        assert node.grad == pytest.approx(right[node.name or ""])
    assert {node.name for node in nodes} == set(right)


def test_the_unrolled_edges_are_those_of_rnn() -> None:
    for name, edges in a4.NETWORKS.items():
        assert sorted(a4.solution.unroll(list(edges), a4.graphs.T)) == sorted(a4.reference(name, edges).elements())


def test_the_truncated_gradients_are_those_of_rnn() -> None:
    d = truncated.numbers(0)
    run, loss = truncated.network(d, d["k"])
    loss.backward()
    mine = a5_source.truncated_gradients(d["x"], d["target"], d["h0"], probes.parameters(d), d["k"])
    for name, parameter in run.parameters.items():
        np.testing.assert_allclose(mine[name], parameter.grad, rtol=1e-9)
        np.testing.assert_allclose(a5.gradients(d, a5.Variant("", d["k"]))[name], parameter.grad, rtol=1e-9)


def test_a_topological_order_needs_no_recursion() -> None:
    nodes = [a2_source.Node(1.0)]
    for _ in range(20_000):
        nodes.append(a2_source.Node(1.0, [nodes[-1]], [1.0]))
    assert a2_source.topological_order(nodes[-1]) == nodes


# ---- pictures and the debugger
def test_the_wrong_edge_is_red_and_the_command_stops_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = source("a3").replace('        dh = step["h_prev"]\n    d["h0"]', '        dh = 0 * dh\n    d["h0"]')
    result = checked(parts("a3")[0], {"wrong.py": wrong}, 0)["wrong.py"]
    pictures = draw([result], tmp_path, "wrong", "dot")
    [path] = pictures.values()
    red = [line for line in path.read_text().splitlines() if palette.ALARM in line and "->" in line]
    assert len(red) == 1 and "h[4] → z[5]" in red[0]
    outcome = next(outcome for outcome in result.outcomes if id(outcome) in pictures)
    command = debugger(result, outcome)
    assert command == 'python -m minigrad.debugger -c "until h[4]" examples/assignments/graphs/a3.py rnn 0'
    run_debugger(["-c", "until h[4]", "-c", "quit", str(Path(cells.__file__)), "rnn", "0"])
    assert "the gradient of h[4]" in capsys.readouterr().out


def test_where_nothing_can_paint_the_picture_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(*arguments: object) -> bytes:
        raise viz.PaintError("no painter")
    monkeypatch.setattr("viz.render.digraph.paint", paint)
    wrong = source("a2").replace("x.grad += node", "x.grad = node")
    result = checked(parts("a2")[0], {"wrong.py": wrong}, 0)["wrong.py"]
    [path] = draw([result], tmp_path, "wrong", "png").values()
    assert path.name == "wrong_1.dot" and "digraph" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name, arguments, until", [
    ("a1", ["Softmax", "0"], "x"), ("a2", ["0"], "d"), ("a3", ["lstm", "0"], "c[3]"), ("a4", ["feedback", "0"], "b[2]"),
    ("a5", ["0"], "h[4]"), ("a6", ["nan", "0"], "g[3]")])
def test_every_graph_opens_in_the_debugger(name: str, arguments: list[str], until: str,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(cells.__file__).with_name(f"{name}.py")
    run_debugger(["-c", f"until {until}", "-c", "quit", str(script), *arguments])
    out = capsys.readouterr().out
    assert "step" in out and "***" not in out and until in out.split("until", 1)[1]


@pytest.mark.parametrize("name, mutant, edge", [
    ("a1", "sigmoid_half_derivative", "n0 -> n1"), ("a2", "last_user_alone", "n1 -> n5"),
    ("a4", "delay_always_one", "h[-1]"),
    ("a5", "not_detached", "h[3] → h[4]")])
def test_pictures_of_other_assignments(tmp_path: Path, name: str, mutant: str, edge: str) -> None:
    [one] = [one for one in mutants(name) if one.name == mutant]
    result = checked(parts(name)[0], {"wrong.py": one.of(source(name))}, 0)["wrong.py"]
    [path] = draw([result], tmp_path, "wrong", "dot").values()
    assert any(palette.ALARM in line and "->" in line and edge in line for line
               in path.read_text(encoding="utf-8").splitlines())


# ---- results of another form
STRICT = [
    ("a4", "import numpy as np\ndef count_paths(edges, T, start, end):\n"
     "    return np.array([])", "paths", "a whole number"),
    ("a4", "import numpy as np\n_paths = count_paths\ndef count_paths(edges, T, start, end):\n"
     "    return np.array([[float(_paths(edges, T, start, end))]])",
     "paths", "count_paths returns"),
    ("a4", "_paths = count_paths\ndef count_paths(edges, T, start, end):\n"
     "    return str(_paths(edges, T, start, end))", "paths", "a whole number"),
    ("a4", "_paths = count_paths\ndef count_paths(edges, T, start, end):\n"
     "    return _paths(edges, T, start, end) + 0.5", "paths", "a whole number"),
    ("a4", "_unroll = unroll\ndef unroll(edges, T):\n"
     "    return [((a, i + .9), (b, j)) for (a, i), (b, j) in _unroll(edges, T)]",
     "edges against", "returns no list"),
    ("a4", "_unroll = unroll\ndef unroll(edges, T):\n"
     "    return [((a, i), (b, str(j))) for (a, i), (b, j) in _unroll(edges, T)]",
     "edges against", "returns no list"),
    ("a4", "_initial = initial_copies\ndef initial_copies(edges, T):\n    return [*_initial(edges, T)] * 3",
     "initial values", "is listed 3 times"),
    ("a4", "_initial = initial_copies\ndef initial_copies(edges, T):\n"
     "    return {(a, str(k)) for a, k in _initial(edges, T)}",
     "initial values", "returns no set"),
    ("a4", "_order = order_in_a_step\ndef order_in_a_step(edges):\n"
     "    return ''.join(_order(edges))", "order in a step",
     "returns a str; it must be a list"),
    ("a5", "import numpy as np\n_first, _calls = truncated_gradients, []\ndef truncated_gradients(*of):\n"
     "    _calls.append(1)\n    found = _first(*of)\n"
     "    return found if len(_calls) % 2 else {name: np.array(9.9) for name in found}", "second call", "has shape ()"),
    ("a5", "_first, _calls = truncated_gradients, []\ndef truncated_gradients(*of):\n"
     "    _calls.append(1)\n    found = _first(*of)\n    return found if len(_calls) % 2 else {}", "second call",
     "returned no gradient of W, U, b, V"),
    ("a5", "_train = train\ndef train(*of):\n    return [str(loss) for loss in _train(*of)]", "the losses",
     "they must be numbers"),
    ("a2", "_back = backward\ndef backward(out):\n    _back(out)\n    for node in topological_order(out):\n"
     "        node.grad = str(node.grad)", "gradients", "must be a number")]


@pytest.mark.parametrize("name, wrong, check, said", STRICT)
def test_a_result_of_another_form_is_wrong(name: str, wrong: str, check: str, said: str) -> None:
    done = outcomes(name, {"wrong.py": f"{source(name)}\n{wrong}\n"})["wrong.py"]
    found = [outcome.finding for outcome in done if outcome.check.name.startswith(check)]
    assert found and found[0] is not None and said in found[0].cause, found


@pytest.mark.parametrize("right", [
    "import numpy as np\n_paths = count_paths\ndef count_paths(edges, T, start, end):\n"
     "    return np.int64(_paths(edges, T, start, end))",
    "_paths = count_paths\ndef count_paths(edges, T, start, end):\n    return float(_paths(edges, T, start, end))",
    "import numpy as np\n_unroll = unroll\ndef unroll(edges, T):\n"
    "    return tuple(((a, np.int64(i)), (b, float(j))) for (a, i), (b, j) in _unroll(edges, T))",
    "_initial = initial_copies\ndef initial_copies(edges, T):\n    return sorted(_initial(edges, T))",
    "_order = order_in_a_step\ndef order_in_a_step(edges):\n    return tuple(_order(edges))"])
def test_a_result_of_a_harmless_form_is_right(right: str) -> None:
    assert failures(outcomes("a4", {"right.py": f"{source('a4')}\n{right}\n"})["right.py"]) == []
