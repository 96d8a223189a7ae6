"""Machines as recurrences: exact against programs in plain Python, up to where floats end."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from examples.machines import counter_machine, stack_machine, turing_machine
from examples.machines.counter_machine import ADDITION, MULTIPLICATION, Line
from examples.machines.stack_machine import BRACKETS, INCREMENT, Program, Rule

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
REVERSAL = Program("reversal", "", [
    Rule("moves", "*", "0*", "moves", ("pop", "push 0")),
    Rule("moves", "*", "1*", "moves", ("pop", "push 1")),
    Rule("moves", "*", "-*", "done", ("keep", "keep")),
    Rule("done", "*", "**", "done", ("keep", "keep")),
])


def open_brackets(word: str) -> list[str] | None:
    """Return the brackets that are still open after a word; None if one closes another."""
    stack: list[str] = []
    for symbol in word:
        if symbol in "([":
            stack.append(symbol)
        elif not stack or stack.pop() + symbol not in ("()", "[]"):
            return None
    return stack


class TestStacks:
    def test_a_stack_is_a_number_in_base_four_with_the_digits_one_and_three(self) -> None:
        assert stack_machine.number("") == 0
        assert stack_machine.number("10") == 3/4 + 1/16
        assert stack_machine.number("011") == 1/4 + 3/16 + 3/64

    def test_every_stack_of_26_symbols_is_a_float(self) -> None:
        rng = np.random.default_rng(0)
        for symbols in rng.integers(0, 2, (100, 26)).astype(str):
            assert stack_machine.stack(stack_machine.number("".join(symbols))) == "".join(symbols)

    def test_the_27th_has_no_bit_unless_zero_is_on_top(self) -> None:
        assert stack_machine.stack(stack_machine.number("0" + 26 * "1")) == "0" + 26 * "1"
        assert stack_machine.stack(stack_machine.number("1" + 26 * "0")) == "1" + 25 * "0"

    @pytest.mark.parametrize("number", [0.5, 1.5, -0.25])
    def test_other_numbers_are_no_stacks(self, number: float) -> None:
        with pytest.raises(ValueError, match=f"{number} is no stack"):
            stack_machine.stack(number)


class TestStackMachine:
    def test_knows_what_is_balanced_at_each_symbol_of_all_words(self) -> None:
        words = ["".join(word) for word in itertools.product("()[]", repeat=6)]
        wanted = [[open_brackets(word[:end]) == [] for word in words] for end in range(1, 7)]
        np.testing.assert_array_equal(stack_machine.accepted(words), wanted)

    def test_the_number_is_the_stack_of_open_brackets(self) -> None:
        word = "([()[[]("
        q = stack_machine.recogniser().compile()(**stack_machine.encoded([word]))["q"][:, 0, 0]
        for end, number in enumerate(q, 1):
            wanted = "".join(str("([".index(symbol)) for symbol in reversed(open_brackets(word[:end]) or ""))
            assert stack_machine.stack(number) == wanted

    def test_stops_for_good_at_a_bracket_that_does_not_match(self) -> None:
        outputs = stack_machine.recogniser().compile()(**stack_machine.encoded(["(]()[]"]))
        assert not outputs["s"][1:].any()
        assert not outputs["y"].any()

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize(("dtype", "holds"), stack_machine.HOLDS.items())
    def test_is_right_while_two_bits_a_symbol_last_and_then_guesses(self, dtype: str, holds: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        assert stack_machine.right(holds, 500, dtype, rng) == 1
        assert stack_machine.right(holds + 2, 500, dtype, rng) == 0.5

    @pytest.mark.parametrize("seed", SEEDS)
    def test_adds_one_to_numbers_of_up_to_25_digits(self, seed: int) -> None:
        values = [*range(1, 200), 2 ** 25 - 1, *np.random.default_rng(seed).integers(2 ** 24, 2 ** 25, 200).tolist()]
        assert stack_machine.successors(values) == [value + 1 for value in values]

    def test_runs_any_program_of_stacks(self) -> None:
        words = ["".join(word) for word in itertools.product("01", repeat=6)]
        contents = np.array([[stack_machine.number(word), 0] for word in words])
        q = stack_machine.network(REVERSAL).compile()(T=7, contents=contents)["q"][-1]
        assert [stack_machine.stack(number) for number in q[:, 1]] == [word[::-1] for word in words]

    def test_several_actions_are_one_affine_map(self) -> None:
        [(scale, offset)] = stack_machine.affine(Rule("a", "*", "1", "a", ("pop, push 0, push 1",)))
        assert scale * stack_machine.number("1001") + offset == stack_machine.number("10001")
        with pytest.raises(ValueError, match=r"'pop' in .* one of keep, push 0, push 1"):
            stack_machine.affine(Rule("a", "*", "1", "a", ("pop, pop",)))

    def test_learns_nothing(self) -> None:
        assert not stack_machine.recogniser().parameters
        assert not stack_machine.network(INCREMENT).parameters

    def test_rules_that_can_apply_at_the_same_time_are_refused(self) -> None:
        both = [*BRACKETS.rules, Rule("reading", "(", "1", "reading", ("pop",))]
        with pytest.raises(ValueError, match="both of these rules of 'two'"):
            stack_machine.network(Program("two", "()[]", both))

    @pytest.mark.parametrize(("tops", "action"), [("*", "pop"), ("-", "pop"), ("0", "push 2")])
    def test_a_rule_that_pops_the_unknown_or_does_the_unknown_is_refused(self, tops: str, action: str) -> None:
        with pytest.raises(ValueError, match=rf"'{action}' in .* where the top is '[{tops}]'"):
            stack_machine.network(Program("bad", "", [Rule("a", "*", tops, "a", (action,))]))


BUSY_BEAVERS = {  # states: the table, the steps, the ones (Radó 1962; Lin and Rado 1965; Brady 1983)
    2: ({("A", 0): (1, "right", "B"), ("A", 1): (1, "left", "B"),
         ("B", 0): (1, "left", "A"), ("B", 1): (1, "right", "halt")}, 6, 4),
    3: ({("A", 0): (1, "right", "B"), ("A", 1): (1, "right", "halt"),
         ("B", 0): (1, "left", "B"), ("B", 1): (0, "right", "C"),
         ("C", 0): (1, "left", "C"), ("C", 1): (1, "left", "A")}, 21, 5),
    4: (turing_machine.BUSY_BEAVER, 107, 13),
}


class TestTuringMachine:
    @pytest.mark.parametrize("states", BUSY_BEAVERS)
    @pytest.mark.parametrize("way", [turing_machine.computed, turing_machine.followed])
    def test_busy_beavers_halt_when_they_are_known_to(
            self, states: int, way: Callable[[turing_machine.Table, int], list[turing_machine.Step]]) -> None:
        table, steps, ones = BUSY_BEAVERS[states]
        history = way(table, steps + 3)
        assert [machine.state for machine in history].index("halt") == steps
        assert len(history[-1].ones) == ones
        assert history[steps] == history[-1]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_machines_follow_their_tables(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            table = turing_machine.random_table(rng)
            assert turing_machine.computed(table, 25) == turing_machine.followed(table, 25)

    def test_the_tape_ends_at_26_ones(self) -> None:
        assert turing_machine.longest(turing_machine.RIGHT, 40) == 26


class TestCounterMachine:
    def test_adds_and_multiplies_all_pairs(self) -> None:
        numbers = range(7)
        assert counter_machine.table(ADDITION, 6, 26).tolist() == [[a + b for b in numbers] for a in numbers]
        assert counter_machine.table(MULTIPLICATION, 6, 199).tolist() == [[a * b for b in numbers] for a in numbers]

    def test_takes_as_many_steps_as_it_is_said_to(self) -> None:
        for a, b in itertools.product(range(1, 4), range(4)):
            steps = a * (5 * b + 3) + 1
            counter_machine.computed(MULTIPLICATION, [(a, b, 0, 0)], steps)
            with pytest.raises(RuntimeError, match=f"isn't done after {steps - 1} steps"):
                counter_machine.computed(MULTIPLICATION, [(a, b, 0, 0)], steps - 1)

    def test_multiplication_restores_b_and_empties_a_and_d(self) -> None:
        counts, _ = counter_machine.computed(MULTIPLICATION, [(5, 4, 0, 0)], 200)
        assert counts[-1, 0].tolist() == [0, 4, 20, 0]

    def test_changes_one_counter_at_a_time_by_one(self) -> None:
        counts, line = counter_machine.computed(MULTIPLICATION, [(3, 4, 0, 0)], 70)
        assert set(np.abs(np.diff(counts[:, 0], axis=0)).sum(axis=1)) == {0.0, 1.0}
        assert line[:5, 0].tolist() == [0, 1, 2, 3, 1]

    @pytest.mark.parametrize("dtype", counter_machine.LARGEST)
    def test_stops_counting_where_whole_numbers_are_no_floats(self, dtype: str) -> None:
        assert counter_machine.stuck(dtype) == 2

    def test_a_line_that_cannot_go_on_is_refused(self) -> None:
        with pytest.raises(ValueError, match="where does the machine go from 'take'"):
            counter_machine.network("bad", {"take": Line("a", -1, "take")})
