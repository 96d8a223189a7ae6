"""Walks: moves through a backward pass return records with the numbers of the pass, and print nothing."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad import Tensor
from minigrad.debugger.breakpoints import AtLine, Breakpoint, parse, statement_lines
from minigrad.debugger.derivative import operand_names, run_lines
from minigrad.debugger.evaluation import CommandError, Expression, HitCount, LogMessage
from minigrad.debugger.walk import Cause, Walk
from rnn import Cell, t

T = 4


def network() -> tuple[Any, Tensor]:
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(T, 2, 3)))
    return run, (run["y"].stack() ** 2).sum()


def walk(*breakpoints: str | Breakpoint) -> Walk:
    return Walk(network()[1], breakpoints=[parse(x) if isinstance(x, str) else x for x in breakpoints])


def stops(walker: Walk) -> list[str]:
    """Return the titles of the steps at which a walk stops on its way to the end."""
    found = []
    while (stop := walker.forward()).cause is Cause.BREAKPOINT:
        assert stop.step is not None
        found.append(stop.step.title)
    return found


class TestRecords:
    def test_of_a_step_have_its_numbers_as_a_pass_by_hand_gives_them(self) -> None:
        run, loss = network()
        V, W, U = (run.parameters[name].data for name in "VWU")
        h = [run["h"][k].data for k in range(T + 1)]
        stop = Walk(loss, breakpoints=[parse("node h[4]")]).forward()
        record = stop.step
        assert record is not None and stop.reasons == ("the gradient of h[4]",)
        upstream = 2 * run["y"][4].data @ V
        np.testing.assert_allclose(record.gradient, upstream)
        np.testing.assert_allclose(record.output, h[4])
        [x] = record.inputs
        np.testing.assert_allclose(x.contribution, upstream * (1 - h[4] ** 2))
        np.testing.assert_allclose(x.total, upstream * (1 - h[4] ** 2))
        np.testing.assert_allclose(np.tanh(x.value), h[4])
        assert x.complete and W.shape[0] == U.shape[0]
        assert (record.operation, record.title, record.signal, record.t) == ("tanh", "h[4] tanh", "h", 4)
        assert record.formula.startswith("tanh(W @ x[4] + U @ h[3]") and x.name in record.formula
        assert os.path.basename(record.file) == "definitions.py" and "np.tanh" in record.code

    def test_of_parameters_add_up_to_the_gradients_of_backward(self) -> None:
        _, loss = network()
        walker = Walk(loss)
        list(walker.run())
        assert loss.grad is not None
        for record in walker.parameters():
            assert record.complete
            np.testing.assert_allclose(sum(use.contribution for use in record.uses), record.gradient)
            np.testing.assert_allclose(record.gradient, record.tensor.grad)
        assert {record.name for record in walker.parameters()} >= set("UVW")

    def test_of_the_chain_go_back_to_the_loss_by_the_largest_contributions(self) -> None:
        walker = walk("node h[2]")
        walker.forward()
        chain = walker.chain()
        assert chain[0].title == "h[2] tanh" and chain[-1].number == 1
        for near, far in pairwise(chain):
            sizes = {use.step.number: np.linalg.norm(use.contribution) for use in walker.timeline.uses(near.tensor)}
            assert far.number == max(sizes, key=sizes.__getitem__)
        assert walk().chain() == []

    def test_print_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        walker = walk("op tanh", "python nonsense", "exploding 1e9")
        walker.forward()
        walker.to_end_of_time()
        walker.back()
        walker.goto(0)
        list(walker.run())
        assert capsys.readouterr() == ("", "")


class TestMoves:
    def test_say_why_they_ended(self) -> None:
        walker = walk("node h[2]")
        assert walker.forward(3).cause is Cause.STEP and walker.position == 3
        assert walker.forward().cause is Cause.BREAKPOINT
        assert walker.forward().cause is Cause.END and walker.position == walker.count
        assert walker.back().cause is Cause.BREAKPOINT
        assert walker.back().cause is Cause.START and walker.current is None
        walker.interrupted = bool_true
        assert walker.forward().cause is Cause.INTERRUPT and walker.position == 1

    def test_to_the_end_of_a_time_step_stop_at_its_last_operation(self) -> None:
        walker = walk()
        ends = []
        while (stop := walker.to_end_of_time()).cause is Cause.TIME:
            assert stop.step is not None
            ends.append(stop.step.number)
        steps = walker.timeline.steps
        assert ends == [step.number for step in steps[:-1] if steps[step.number].t != step.t]

    def test_stop_at_the_same_steps_in_both_directions(self) -> None:
        for place in ("op tanh", "signal h", "param U", "t 2", "norm > 1", "norm < 1", "definitions.py:41",
                      "python t == 2", "node h, norm > 0.5"):
            there = walk(place)
            positions = []
            while there.forward().cause is Cause.BREAKPOINT:
                positions.append(there.position)
            back = []
            while there.back().cause is Cause.BREAKPOINT:
                back.append(there.position)
            assert back[::-1] == [k for k in positions if k < there.count], place

    def test_give_the_error_of_a_step_that_cannot_run_and_stay(self) -> None:
        class Broken(mg.Op):
            def forward(self, x: Any) -> Any:
                return x * 2

            def backward(self, grad: Any, out: Any, x: Any) -> Any:
                raise ArithmeticError("no derivative")

        w = Tensor([1.0], requires_grad=True, name="w")
        walker = Walk(mg.apply(Broken(), w * 1.0).sum())
        stop = walker.forward()
        assert stop.cause is Cause.ERROR and isinstance(stop.error, ArithmeticError) and stop.position == 1
        with pytest.raises(ArithmeticError):
            list(walker.run())


def bool_true() -> bool:
    return True


class TestBreakpoints:
    def test_with_a_condition_stop_only_where_it_is_true(self) -> None:
        assert stops(walk("node h, t == 2")) == ["h[2] tanh"]
        assert stops(walk("definitions.py:41, op == 'tanh' and t < 3")) == ["h[2] tanh", "h[1] tanh"]

    def test_at_a_line_stop_once_at_each_visit_of_the_line(self) -> None:
        line = network()[0]["h"][1].origin.line
        assert stops(walk(f"definitions.py:{line}")) == [f"h[{k}] tanh" for k in range(T, 0, -1)]

    def test_at_a_line_mean_the_whole_statement(self, tmp_path: Path) -> None:
        file = tmp_path / "lines.py"
        file.write_text("x = 1\nfor i in range(2):\n    y = (x +\n         i)\nz = 3\n")
        assert [list(statement_lines(str(file), line)) for line in (1, 2, 3, 4, 5)] == [[1], [2], [3, 4], [3, 4], [5]]
        assert list(statement_lines(str(tmp_path / "none.py"), 7)) == [7]

    def test_at_a_line_name_the_lines_or_the_files_that_there_are(self) -> None:
        walker = walk()
        for text, words in (("nowhere.py:1", "the files are definitions.py"),
                            ("definitions.py:1", "lines with operations are")):
            with pytest.raises(CommandError, match=words):
                AtLine(text).check(walker.timeline)

    def test_at_a_norm_stop_where_it_crosses_on_the_way_of_the_gradient(self) -> None:
        w = Tensor([1.0], requires_grad=True, name="w")
        x = w
        for factor in (0.5, 0.1, 0.1, 100.0, 0.1):
            x = x * factor
        walker = Walk(x.sum(), breakpoints=[parse("norm < 0.5")])  # |g|: 1, 1, .1, 10, 1, .1
        positions = []
        while walker.forward().cause is Cause.BREAKPOINT:
            positions.append(walker.position)
        sizes = [abs(float(np.squeeze(step.grad))) for step in walker.timeline.steps]
        below = [size < 0.5 for size in sizes]
        assert positions == [k + 1 for k in range(len(sizes)) if below[k] and not (k and below[k - 1])]
        assert len(positions) == 2

    @pytest.mark.parametrize(("text", "number"), [("3", [3]), ("== 3", [3]), ("=3", [3]), (">= 3", [3, 4]),
                                                  ("> 3", [4]), ("< 2", [1]), ("<= 2", [1, 2]), ("% 2", [2, 4])])
    def test_with_a_hit_condition_stop_at_these_hits(self, text: str, number: list[int]) -> None:
        place = parse("node h")
        place.hit_count = HitCount(text)
        assert stops(walk(place)) == [f"h[{T + 1 - k}] tanh" for k in number]
        assert place.hits == T

    @pytest.mark.parametrize("text", ["", "x", "0", "3 3", ">= -1", "<> 3"])
    def test_with_a_wrong_hit_condition_are_refused(self, text: str) -> None:
        with pytest.raises(CommandError, match="is not a hit condition"):
            HitCount(text)

    def test_with_a_message_log_it_and_do_not_stop(self) -> None:
        place = parse("node h")
        place.log = LogMessage("{t}: {grad.shape} {op!r} {unknown}")
        stop = walk(place).forward()
        assert stop.cause is Cause.END and len(stop.messages) == T
        assert stop.messages[0] == "4: (2, 4) 'tanh' <NameError: name 'unknown' is not defined>"
        place.log = LogMessage("{t}: {grad.shape} {op!r}")
        assert walk(place).forward().messages == tuple(f"{k}: (2, 4) 'tanh'" for k in range(T, 0, -1))

    def test_disabled_ignored_and_temporary_ones(self) -> None:
        place = parse("node h")
        place.enabled = False
        assert stops(walk(place)) == []
        place.enabled, place.ignored = True, 3
        assert stops(walk(place)) == ["h[1] tanh"]
        place.temporary = True
        walker = walk(place)
        assert stops(walker) == ["h[4] tanh"] and walker.breakpoints == []

    def test_at_infinities_stop_where_the_first_appears(self) -> None:
        w = Tensor([0.0, 4.0], requires_grad=True, name="w")
        with np.errstate(all="ignore"):
            stop = Walk((mg.sqrt(w) * 2.0).sum(), breakpoints=[parse("inf")]).forward()
        assert stop.step is not None and stop.step.operation == "sqrt"
        assert "an infinity first appears in the contribution of Sqrt.backward to w" in stop.reasons[0]
        big = Tensor([1e200], requires_grad=True, name="big")
        with np.errstate(all="ignore"):
            stop = Walk((big * 1e308 + big * 1e308).sum(), breakpoints=[parse("inf")]).forward()
        assert "an infinity first appears in the sum of the contributions to big" in stop.reasons[0]

    def test_at_explosions_stop_where_the_norm_first_exceeds_the_factor(self) -> None:
        w = Tensor([1.0], requires_grad=True, name="w")
        x = w
        for _ in range(6):
            x = x * 10.0
        stop = Walk(x.sum(), breakpoints=[parse("exploding")]).forward()
        assert stop.position == 6 and "|g| = 1.0e+04, more than 1000 times that of the loss" in stop.reasons[0]
        assert Walk(x.sum(), breakpoints=[parse("exploding 1e9")]).forward().cause is Cause.END

    def test_a_bare_name_is_a_tensor_a_parameter_or_an_operation(self) -> None:
        assert stops(walk("h[2]")) == ["h[2] tanh"]
        assert stops(walk("tanh")) == [f"h[{k}] tanh" for k in range(T, 0, -1)]
        assert stops(walk("V")) == [f"y[{k}] matvec" for k in range(T, 0, -1)]


    def test_at_a_line_stop_at_each_turn_of_a_loop_of_plain_tensors(self) -> None:
        W, h = Tensor(np.eye(3) / 2, requires_grad=True, name="W"), Tensor(np.ones(3))
        for _ in range(5):
            h = np.tanh(W @ h + 1)
        line = h.origin.line
        walker = Walk(mg.losses.mse(h, np.zeros(3)), breakpoints=[parse(f"test_walk.py:{line}")])
        numbers = []
        while (stop := walker.forward()).cause is Cause.BREAKPOINT:
            assert stop.step is not None and stop.step.operation == "tanh"
            numbers.append(stop.step.number)
        assert len(numbers) == 5 and len(set(np.diff(numbers))) == 1
        line = walker.timeline.steps.out.origin.line  # the loss is three operations of one call
        walker = Walk(walker.timeline.steps.out, breakpoints=[parse(f"test_walk.py:{line}")])
        assert len(stops(walker)) == 1

    def test_a_name_that_a_later_pass_lacks_stops_nothing_there(self) -> None:
        w, z = (Tensor([1.0], requires_grad=True, name=name) for name in "wz")
        places = [parse("z"), parse("nobody"), parse("node z"), parse("op sqrt")]
        assert Walk((w * z).sum(), breakpoints=places).forward().hits[0].breakpoint is places[0]
        assert Walk((w * 2.0).sum(), breakpoints=places).forward().cause is Cause.END

    def test_hits_count_once_for_each_step_however_often_it_is_met(self) -> None:
        place = parse("node h")
        place.hit_count = HitCount("3")
        walker = walk(place)
        for _ in range(2):
            stop = walker.forward()
            assert stop.step is not None and stop.step.title == "h[2] tanh" and place.hits == 3
            assert walker.back().cause is Cause.START
        place.log, place.hit_count = LogMessage("{t}"), None
        assert len(walker.forward().messages) == T and walker.back().messages == ()

    def test_conditions_and_messages_see_the_program_and_the_tensors(self) -> None:
        import sys

        limit, loss = 3, network()[1]
        place = parse("node h, t < limit and U.shape == (4, 4)")
        walker = Walk(loss, breakpoints=[place], frame=sys._getframe())
        assert stops(walker) == ["h[2] tanh", "h[1] tanh"] and limit == 3
        place.log = LogMessage("{t} of {limit}")
        walker = Walk(loss, breakpoints=[place], frame=sys._getframe())
        assert walker.forward().messages == ("2 of 3", "1 of 3")


class TestExpressions:
    def test_a_name_has_one_meaning(self) -> None:
        """At `U @ 1` the derivative calls its operands a and b; a tensor named a comes before, the step's x too."""
        U, a = (Tensor(np.full((2, 2), value), requires_grad=True, name=name)
                for name, value in (("U", 1.0), ("a", 2.0)))
        walker = Walk((a * (U @ np.ones(2))).sum(), breakpoints=[parse("op matmul")])
        step = walker.forward().step
        assert step is not None and operand_names(step.step.op) == ["a", "b"]
        look = walker.evaluator.evaluate
        assert look("a") is a and look("a.data.max()") == 2 and look("x").max() == 1 and look("b.shape") == (2,)
        assert walker.evaluator.note("x.max()") is None and walker.evaluator.note("norm > a") is None
        x = Tensor(np.ones(2), requires_grad=True, name="x")
        walker = Walk((U @ x).sum(), breakpoints=[parse("op matmul")])
        assert walker.forward().cause is Cause.BREAKPOINT
        assert walker.evaluator.evaluate("x.shape") == (2, 2)
        assert walker.evaluator.note("x.shape") == "(x is the first input of this operation, not the tensor x)"

    @pytest.mark.parametrize("statement", [
        "grad *= 0", "contributions[0].sort()", "totals[0][...] = 7", "inputs[0].fill(0)", "out[0] = 1",
        "np.clip(grad, 0, 1, out=grad)", "grad = 5", "raise SystemExit(3)", "x[:] = 0"])
    def test_cannot_change_the_pass_or_end_the_program(self, statement: str) -> None:
        run, loss = network()
        expected, twin = network()
        twin.backward()
        walker = Walk(loss, breakpoints=[parse("node h[3]")])
        walker.forward()
        with pytest.raises(CommandError, match=r"read-only|name of the step|SystemExit|writeable"):
            walker.evaluator.execute(statement)
        assert walker.forward().cause is Cause.END
        for name in run.parameters:
            np.testing.assert_array_equal(run.parameters[name].grad, expected.parameters[name].grad)

    def test_at_the_start_see_the_loss(self) -> None:
        walker = walk()
        assert walker.evaluator.evaluate("norm == 1 and t is None and op == '' and out == node.data")

    def test_name_the_steps_that_there_are(self) -> None:
        with pytest.raises(CommandError, match=r"h has no step 9 in this pass; it has 1 to 4"):
            walk().evaluator.evaluate("h[9]")

    def test_see_the_step_the_tensors_and_the_program(self) -> None:
        import sys

        run, loss = network()
        secret = 42
        walker = Walk(loss, breakpoints=[parse("node h[3]")], frame=sys._getframe())
        walker.forward()
        look = walker.evaluator.evaluate
        assert look("secret") == secret and look("h[3] is run['h'][3]") and look("U") is run.parameters["U"]
        assert look("np.linalg.norm(grad) == norm") and look("out is step.node.data or (out == step.node.data).all()")
        assert look("[float(np.abs(row).max()) for row in grad]") == [float(np.abs(row).max()) for row in look("grad")]
        assert look("(np.tanh(x) == out).all() and t == 3 and signal == 'h' and op == 'tanh'")
        up = walker.chain()[1].step
        np.testing.assert_array_equal(look("grad", up), up.grad)

    def test_keep_what_statements_assign(self) -> None:
        walker = walk("node h[3]")
        walker.forward()
        walker.evaluator.execute("twice = grad * 2")
        walker.forward(1)
        assert walker.evaluator.evaluate("twice.shape") == (2, 4)
        assert walker.evaluator.execute("1 + 1") == 2

    @pytest.mark.parametrize(("text", "error"), [("1 +", "not a Python expression"), ("1 / 0", "ZeroDivisionError"),
                                                 ("nobody", "name 'nobody' is not defined"), ("", "not a Python")])
    def test_that_are_wrong_are_errors_in_one_line(self, text: str, error: str) -> None:
        with pytest.raises(CommandError, match=error) as caught:
            walk().evaluator.evaluate(text)
        assert "\n" not in str(caught.value)

    def test_of_conditions_that_raise_are_false_and_kept(self) -> None:
        walker = walk("node h[3]")
        walker.forward()
        condition = Expression("grad[99] > 0")
        step = walker.timeline.current
        assert step is not None and not condition.holds(step)
        assert condition.error is not None and "IndexError" in condition.error


class TestDerivatives:
    def test_show_the_lines_that_ran_and_their_locals(self) -> None:
        walker = walk("op tanh")
        walker.forward()
        step = walker.timeline.current
        assert step is not None
        derivative = run_lines(step)
        assert derivative is not None and derivative.name == "Tanh.backward"
        [line] = derivative.lines
        source = Path(derivative.file).read_text(encoding="utf-8").splitlines()
        assert source[line.number - 1].strip() == "return grad * (1 - out * out)"
        assert line.names["grad"] is step.grad
        np.testing.assert_array_equal(derivative.result, step.input_grads[0])

    def test_show_the_branch_that_ran(self) -> None:
        walker = walk("node y[4]")
        walker.forward()
        step = walker.timeline.current
        assert step is not None and operand_names(step.op) == ["W", "x"]
        derivative = run_lines(step)
        assert derivative is not None
        source = Path(derivative.file).read_text(encoding="utf-8").splitlines()
        ran = [source[line.number - 1].strip() for line in derivative.lines]
        assert "m, n = W.shape" in ran and not any("expand_dims(grad, -1)" in text for text in ran)

    def test_leave_the_trace_function_and_every_gradient_as_they_were(self) -> None:
        import sys

        walker = walk("op tanh")
        walker.forward()
        before = sys.gettrace()
        step = walker.timeline.current
        assert step is not None and run_lines(step) is not None and sys.gettrace() is before


def test_a_definition_without_names_is_told_by_its_formulas() -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    W = Tensor(np.eye(2), requires_grad=True, name="W")
    h[t] = 2 * mg.sigmoid(W @ x[t]) - h[t-2] ** 2 / 3 + -x[t]
    run = cell.unroll(x=np.ones((3, 1, 2)))
    titles = [stop.step.title for stop in Walk(run["h"][3].sum()).run() if stop.step]
    assert titles[1] == "h[3] add"
    assert {"2 * sigmoid(W @ x[3])", "W @ x[3]", "h[1] ** 2 / 3", "h[1] ** 2"} <= set(titles)
