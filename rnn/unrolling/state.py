"""The state that a run leaves for the next one."""

from __future__ import annotations

from minigrad import Tensor


class State:
    """The last values of every signal that is read with a delay, as many as its longest delay needs.

    Attributes:
        values: signal name -> {step of the next run (0, -1, ...): Tensor}.
    """

    def __init__(self, values: dict[str, dict[int, Tensor]]) -> None:
        self.values = values

    def detach(self) -> State:
        """Return the same values as constants: the gradients of the next run stop there."""
        return State({name: {k: tensor.detach() for k, tensor in steps.items()}
                      for name, steps in self.values.items()})

    def __repr__(self) -> str:
        rows = [f"{name}[{k}] {x.shape}" for name, steps in self.values.items() for k, x in steps.items()]
        return f"<State {', '.join(rows)}>"
