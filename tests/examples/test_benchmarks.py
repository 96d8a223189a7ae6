"""What the benchmarks compare computes the same: NumPy by hand, minigrad, and what else is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

CELLS = ["elman", "lstm", "gru"]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        import training_step

        yield training_step


def computed(benchmark: ModuleType, name: str, cell: str, batch: int) -> Any:
    """By one contender alone: minigrad's share the parameters of a task."""
    return benchmark.contenders([name], benchmark.Task(cell, 4, batch, 5, "float64"))[name].result()


def skip_if_missing(script: ModuleType, name: str) -> None:
    """Skip a test where a library of the contender isn't installed."""
    for library in script.CONTENDERS[name].libraries:
        pytest.importorskip(library)


def assert_equal(ours: Any, expected: Any) -> None:
    (loss, gradients), (expected_loss, expected_gradients) = ours, expected
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert sorted(gradients) == sorted(expected_gradients)
    for name, gradient in expected_gradients.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["plain", "by-hand", "compiled"])
def test_a_contender_has_the_loss_and_the_gradients_of_the_unrolled_definition(
        benchmark: ModuleType, cell: str, batch: int, name: str) -> None:
    assert_equal(*(computed(benchmark, each, cell, batch) for each in (name, "unrolled")))


@pytest.mark.parametrize("cell", CELLS)
def test_optimised_numpy_gives_the_same_in_blocks_of_steps_and_in_used_memory(benchmark: ModuleType, cell: str) -> None:
    task = benchmark.Task(cell, 4, 3, 7, "float64")
    kind = benchmark.by_hand.OPTIMISED[cell]
    step = kind(task.x.shape, 4, benchmark.OUTPUTS, cache=3 * kind.row * task.x[0].nbytes)
    assert [block.stop - block.start for block in step.blocks] == [3, 3, 1]
    step(task.parameters, task.x + 1, task.target)
    plain = benchmark.by_hand.PLAIN[cell](task.parameters, task.x, task.target)
    assert_equal(step(task.parameters, task.x, task.target), plain)


def test_a_wrong_gradient_is_named(benchmark: ModuleType) -> None:
    from measuring import check

    task = benchmark.Task("elman", 4, 1, 5, "float64")
    loss, gradients = benchmark.contenders(["plain"], task)["plain"].result()
    wrong = gradients | {"cell.b": gradients["cell.b"] * (1 + 1e-8)}
    with pytest.raises(ValueError, match=r"peer: the gradient of cell\.b of Task\(cell='elman'"):
        check("peer", task, (loss, wrong), (loss, gradients))
    del wrong["cell.b"]
    with pytest.raises(ValueError, match=r"peer: Task\(cell='elman'.* has gradients of .*'cell\.b'"):
        check("peer", task, (loss, wrong), (loss, gradients))


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numba", "torch.nn", "torch", "autograd", "mygrad", "jax", "ours-jax"])
def test_a_contender_of_a_library_has_the_same_loss_and_gradients(benchmark: ModuleType, cell: str, name: str) -> None:
    skip_if_missing(benchmark, name)
    assert_equal(*(computed(benchmark, each, cell, 3) for each in (name, "unrolled")))


@pytest.fixture(scope="module")
def streaming() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        import streaming

        yield streaming


@pytest.mark.parametrize("batch", [1, 3])
def test_every_contender_of_streaming_computes_the_whole_sequence_step_by_step(streaming: ModuleType, batch: int
                                                                               ) -> None:
    cell = streaming.network(3, 4, "float64")
    assert {"NumPy by hand", "stream"} <= set(streaming.contenders(cell, batch))
    streaming.check(cell, batch, np.random.default_rng(0).normal(size=(6, batch, 3)))


def test_a_contender_of_streaming_that_forgets_its_state_is_named(streaming: ModuleType,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(cell: Any, batch: int) -> Any:
        return lambda x: cell.compile()(x=x[None])["y"][0]

    monkeypatch.setitem(streaming.CONTENDERS, "stream", forgetful)
    with pytest.raises(ValueError, match="stream computes other outputs"):
        streaming.check(streaming.network(3, 4, "float64"), 2, np.random.default_rng(0).normal(size=(6, 2, 3)))


@pytest.fixture(scope="module")
def matrix_states() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        import matrix_states

        yield matrix_states


MATRIX_STATES = ["delta_net", "mamba", "mlstm", "linear_attention", "additive", "dot"]


@pytest.mark.parametrize("name", MATRIX_STATES)
def test_matrix_states_by_hand_have_the_gradients_of_the_definition(matrix_states: ModuleType, name: str) -> None:
    task = matrix_states.Task(name, 4, 3, 6, "float64")
    by_hand, unrolled = (matrix_states.contenders([kind], task)[kind] for kind in ("by-hand", "unrolled"))
    assert_equal(by_hand.result(), unrolled.result())


@pytest.mark.slow
@pytest.mark.parametrize("name", MATRIX_STATES)
@pytest.mark.parametrize("contender", ["compiled", "numba", "torch", "ours-jax"])
def test_another_contender_has_the_gradients_of_matrix_states_by_hand(matrix_states: ModuleType, name: str,
                                                                      contender: str) -> None:
    skip_if_missing(matrix_states, contender)
    matrix_states.contenders([contender], matrix_states.Task(name, 4, 3, 6, "float64"))  # which checks them


@pytest.mark.slow
def test_one_table_has_all_tasks_in_rows_and_contenders_in_columns(benchmark: ModuleType, matrix_states: ModuleType,
                                                                   capsys: pytest.CaptureFixture[str],
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    import summary

    monkeypatch.setattr("sys.argv", ["summary.py", "--rounds", "1", "--contenders", "compiled", "plain"])
    monkeypatch.setattr(benchmark, "SIZES", ["4,2,3"])
    monkeypatch.setattr(matrix_states, "SIZES", {name: ["4,2,3"] for name in MATRIX_STATES})
    summary.main()
    head, _, *rows = capsys.readouterr().out.split("\n")[1:-1]
    assert [column.strip() for column in head.split("|")[2:-1]] == ["by-hand, µs per time step", "compiled", "plain"]
    assert [row.split()[1] for row in rows] == [name for name in [*CELLS, *MATRIX_STATES] for _ in range(2)]
    assert [row.endswith("— |") for row in rows] == [False] * 6 + [True] * 12
