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


def assert_equal(ours: Any, expected: Any) -> None:
    (loss, gradients), (expected_loss, expected_gradients) = ours, expected
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert sorted(gradients) == sorted(expected_gradients)
    for name, gradient in expected_gradients.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["plain", "optimised", "compiled"])
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
    task = benchmark.Task("elman", 4, 1, 5, "float64")
    loss, gradients = benchmark.contenders(["plain"], task)["plain"].result()
    wrong = gradients | {"cell.b": gradients["cell.b"] * (1 + 1e-8)}
    with pytest.raises(ValueError, match=r"peer: the gradient of cell\.b of Task\(cell='elman'"):
        benchmark.check("peer", task, (loss, wrong), (loss, gradients))


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("name", "module"), [("torch.nn", "torch"), ("torch", "torch"), ("autograd", "autograd"),
                                              ("mygrad", "mygrad"), ("jax", "jax")])
def test_a_peer_has_the_same_loss_and_gradients(benchmark: ModuleType, cell: str, name: str, module: str) -> None:
    pytest.importorskip(module)
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

        patch.setattr(matrix_states, "DTYPE", "float64")
        patch.setattr(matrix_states, "TOLERANCE", 1e-9)
        yield matrix_states


@pytest.mark.parametrize("name", ["delta_net", "linear_attention", "mlstm", "additive", "dot"])
def test_matrix_states_by_hand_have_the_gradients_of_the_compiled_definition(matrix_states: ModuleType, name: str
                                                                             ) -> None:
    task = matrix_states.Task(name, 4, 3, 6)  # which checks them
    times = matrix_states.measure(task, 1)
    assert [len(values) for values in times.values()] == [1, 1]
    assert all(x.grad is not None for x in task.tensors().values())
    right = task.contenders["by hand"]()
    task.contenders["by hand"] = lambda: (right[0], {key: x * (1 + 1e-8) for key, x in right[1].items()})
    with pytest.raises(ValueError, match=r"the gradient of .* away from that by hand"):
        task._check()
