"""The differential fuzzer for recurrences: kept cases, random ones, and the interpreter that is its oracle."""

from __future__ import annotations

from collections.abc import Iterable

import naive
import numpy as np
import pytest
from description import Case, parameter_of, parsed, program_text
from engines import fits, problems, run_case
from generator import Generator, Layers, random_case
from kept import BOTH, KEPT, OPEN
from shrink import shrink

SEEDS = range(60)
STREAMED = range(250)
MANY = range(1000, 4000)
LAYERED = range(1000, 1600)


def kept(engines: tuple[str, ...]) -> list[object]:
    """Return the kept cases on these engines, the open ones as expected failures."""
    return [pytest.param(name, engine, id=f"{engine}: {name}",
                         marks=[pytest.mark.xfail(strict=True, reason="open")] if engine in OPEN.get(name, ()) else [])
            for name, (case, own) in KEPT.items() for engine in engines if engine in own and fits(case, engine)]


@pytest.mark.parametrize(("name", "engine"), kept(BOTH))
def test_kept_cases(name: str, engine: str) -> None:
    assert problems(KEPT[name].case, engine) == []


def failing(seeds: Iterable[int], engines: tuple[str, ...] = BOTH, kind: type[Generator] = Generator) -> str:
    """Return a minimal program for the first failure among random cases; "" without failures."""
    for seed in seeds:
        case = random_case(seed, kind)
        for failure in run_case(case, engines).failures:
            small = shrink(case, failure.kind, 5)
            engine = failure.kind.split()[0]
            text = program_text(small, engine if engine in BOTH else "unroll")
            return f"seed {seed}, {failure.kind}: {failure.detail}\n{text}\n{small!r}"
    return ""


def test_random_cases() -> None:
    message = failing(SEEDS)
    assert not message, message


def test_random_layers() -> None:
    message = failing(SEEDS[:20], kind=Layers)
    assert not message, message


def test_random_cases_step_by_step() -> None:
    seeds = [seed for seed in STREAMED if fits(random_case(seed), "stream")]
    assert len(seeds) > 25
    message = failing(seeds, ("stream",))
    assert not message, message


@pytest.mark.slow
def test_many_random_cases() -> None:
    message = failing(MANY, (*BOTH, "stream"))
    assert not message, message


@pytest.mark.slow
def test_many_random_layers() -> None:
    message = failing(LAYERED, (*BOTH, "stream"), Layers)
    assert not message, message


class TestInterpreter:
    """The oracle against numbers by hand, and its Jacobians against central differences."""

    def test_a_pause_is_as_if_the_step_were_not_there(self) -> None:
        case = parsed("""
            h: signal(())
            h[t] = 2 * h[t-1] + h[t-2]
            h[-1] = 1
            h[0] = 1
            """, T=4, options={"mask": [True, False, True, True]})
        found = naive.expected(case)
        assert found.values["h"].tolist() == [3, 3, 7, 17]
        assert {k: float(x) for k, (x, _) in found.state["h"].items()} == {-1: 7, 0: 17}

    def test_outputs_are_zero_where_masked_and_read_from_the_last_step(self) -> None:
        case = parsed("""
            x: input((), dtype="int64", below=1)
            y: signal(())
            z: signal(())
            y[t] = x[t] + 5
            z[t] = y[t-1] + 1
            """, T=3, options={"mask": [True, False, True]})
        found = naive.expected(case)
        assert found.values["y"].tolist() == [5, 0, 5] and found.values["z"].tolist() == [1, 0, 6]

    def test_backward_loops_begin_at_the_end_of_each_sequence(self) -> None:
        case = parsed("""
            b: signal(())
            b[t] = b[t+1] + 1
            b[T+1] = draw('unused', 2) * 0 + 10
            """, T=3, batch=(2,), options={"lengths": [3, 1]})
        assert naive.expected(case).values["b"].T.tolist() == [[13, 12, 11], [11, 10, 10]]

    @pytest.mark.parametrize(("options", "slopes"), [
        ({}, [1, 2, 3, 4]), ({"chunks": 2}, [1, 2, 1, 2]), ({"last": 1}, [0, 0, 0, 1]),
        ({"window": (2, 3)}, [1, 2, 2, 3])])
    def test_truncations(self, options: dict[str, object], slopes: list[int]) -> None:
        case = parsed("""
            p: parameter()
            h: signal(())
            h[t] = h[t-1] + p
            """, T=4, options=options)
        assert naive.expected(case).slopes["h"][0].tolist() == slopes

    @pytest.mark.parametrize("seed", range(40))
    def test_jacobians_are_central_differences(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        case = random_case(seed)
        options = {key: value for key, value in case.options.items() if key in ("lengths", "mask")}
        case = Case(**{**vars(case), "options": options, "carried": ""})
        kinks = ("relu", "abs", "sign", "max", "min", "clip", "where")
        learned = [name for name, p in case.parameters.items() if not p.frozen and p.dtype == "float64"]
        if not learned or any(kink in e.text for kink in kinks for e in case.equations):
            pytest.skip("kinks, or nothing to differentiate")
        name = learned[0]
        found = naive.expected(case)
        direction = np.random.default_rng(0).normal(size=case.parameters[name].shape)
        moved = []
        for step in (1e-6, -1e-6):
            monkeypatch.setattr(naive, "parameter_of", lambda case, key, step=step: parameter_of(case, key) + (
                step * direction if key == name else 0))
            moved.append(naive.expected(case).values)
        place, _ = found.leaves[name]
        for signal, slope in found.slopes.items():
            along = np.tensordot(direction.reshape(-1), slope[place], 1)
            differences = np.nan_to_num(moved[0][signal] - moved[1][signal]) / 2e-6
            np.testing.assert_allclose(along, differences, rtol=1e-4, atol=1e-5 * (1 + np.abs(along).max(initial=0)))
