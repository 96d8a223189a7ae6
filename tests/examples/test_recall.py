"""examples/memory/recall.py: the questions are about the pairs, and one pair of the stored table's entries holds."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from painters import painting

sys.path.insert(0, str(Path(__file__).parents[2]))  # the examples are not installed
from examples import common
from examples.memory import recall

TABLE = Path(recall.__file__).with_name("recall_table.txt")


@pytest.mark.parametrize("times", recall.TASKS)
@pytest.mark.parametrize("pairs", [1, 5, recall.KEYS])
def test_a_reader_of_the_tokens_knows_the_values(pairs: int, times: int) -> None:
    batch = recall.problems(pairs, times, 20, np.random.default_rng(pairs))
    assert batch["w"].shape == ((2 * times + 1) * pairs, 20)
    for w, value, weight in zip(batch["w"].T.tolist(), batch["value"].T, batch["weight"].T):
        listed, asked = w[:-pairs], w[-pairs:]
        memory = dict(zip(listed[::2], listed[1::2]))  # a later value replaces the former
        assert len(listed[::2]) == times * len(memory)
        assert sorted(asked) == sorted(memory)
        assert [memory[key] - recall.KEYS for key in asked] == value[-pairs:].tolist()
        assert not weight[:-pairs].any()
        assert weight.mean() == pytest.approx(1)


def test_the_cells_read_a_token_with_the_one_before() -> None:
    cell = recall.network("DeltaNet", np.random.default_rng(0))
    batch = recall.problems(3, 1, 2, np.random.default_rng(1))
    x, E = cell.compile()(**batch)["x"], cell.parameters["E"].numpy()
    for step in range(1, len(x)):
        np.testing.assert_array_equal(x[step], np.concatenate([E[batch["w"][step - 1]], E[batch["w"][step]]], axis=1))
    assert not x[0, :, :recall.EMBEDDED].any()


@pytest.mark.parametrize(("kind", "numbers"), [("Elman", 64), ("LSTM", 128), ("linear attention", 32 * 32 + 32),
                                               ("DeltaNet", 32 * 32)])
def test_how_many_numbers_a_cell_carries(kind: str, numbers: int) -> None:
    assert recall.carried(recall.network(kind, np.random.default_rng(0))) == numbers


@pytest.mark.parametrize(("seed", "small", "seeds"), [
    (0, False, recall.TABLE_SEEDS), (5, False, (5, 6, 7)), (5, True, (5,))])
def test_the_table_is_made_from_the_given_seed_on(seed: int, small: bool, seeds: tuple[int, ...]) -> None:
    assert recall.table_seeds(common.Options(seed=seed, small=small)) == seeds


def test_the_title_tells_what_was_measured() -> None:
    found = {1: {"LSTM": [0.9, 0.8, 0.7, 0.06, 0, 0]}, 2: {"LSTM": [0.5] * len(recall.PAIRS)}}
    assert recall.title(found, 300).startswith("After 300 updates") and recall.title(found, 300).endswith("LSTM 6%")


@painting
@pytest.mark.slow
@pytest.mark.parametrize("table", [False, True])
def test_a_small_run_draws_its_pictures(table: bool, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    recall.example(common.Options(seed=0, steps=1, small=True, out=tmp_path, table=table))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.png", *(
        ["table.png", "table.txt"] if table else ["recall.png"])]


def stored(times: int, kind: str, pairs: int) -> list[int]:
    """Return the table's entries, one for each seed, in percent."""
    part = TABLE.read_text(encoding="utf-8").split(recall.TASKS[times])[1]
    entries = re.findall(rf"^{kind}( .*)$", part, re.MULTILINE)[0].split()
    start = len(recall.TABLE_SEEDS) * recall.PAIRS.index(pairs)
    return [int(entry) for entry in entries[start:start + len(recall.TABLE_SEEDS)]]


def test_the_stored_table_is_complete() -> None:
    entries = [entry for times in recall.TASKS for kind in recall.CELLS for pairs in recall.PAIRS
               for entry in stored(times, kind, pairs)]
    assert len(entries) == len(recall.TASKS) * len(recall.CELLS) * len(recall.PAIRS) * len(recall.TABLE_SEEDS)
    assert all(0 <= entry <= 100 for entry in entries)
    assert f"--steps {recall.STEPS}" in TABLE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("times", "kind", "least", "most"), [
    (1, "LSTM", 5, 30), (1, "DeltaNet", 95, 100), (2, "linear attention", 35, 60), (2, "DeltaNet", 95, 100)])
def test_entries_of_the_stored_table_hold(times: int, kind: str, least: int, most: int) -> None:
    found = [100 * recall.again(kind, 8, times, recall.STEPS, seed) for seed in recall.TABLE_SEEDS]
    for before, now in zip(stored(times, kind, 8), found):
        assert least < now <= most
        assert abs(now - before) < 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", recall.TABLE_SEEDS)
def test_a_matrix_holds_what_a_vector_does_not(seed: int, tmp_path: Path) -> None:
    found = recall.compare(common.Options(seed=seed, steps=recall.STEPS, small=False, out=tmp_path))
    once, twice = ({kind: values[recall.PAIRS.index(recall.TRAINED)] for kind, values in found[times].items()}
                   for times in (1, 2))
    assert max(once["Elman"], once["LSTM"]) < 0.2
    assert min(once["linear attention"], once["DeltaNet"]) > 0.9
    assert twice["DeltaNet"] > 0.9
    assert twice["linear attention"] < 0.6
