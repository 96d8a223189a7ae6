"""The state that a run leaves to the next one."""

from __future__ import annotations

from minigrad import Tensor


class State:
    """The past that a run leaves to the next one: the last values of every signal read with a delay.

    Attributes:
        values: signal name -> {step of the next run (0, -1, ...): Tensor}.
    """

    def __init__(self, values: dict[str, dict[int, Tensor]]) -> None:
        self.values = values

    def detach(self) -> State:
        """The same values as constants: the next run's gradients stop there."""
        return State({name: {k: tensor.detach() for k, tensor in steps.items()}
                      for name, steps in self.values.items()})

    def __repr__(self) -> str:
        rows = [f"{name}[{k}] {tensor.shape}" for name, steps in self.values.items()
                for k, tensor in steps.items()]
        return f"<State {', '.join(rows)}>"
