"""Count presses of "step into" from `loss.backward()` to the first line of a derivative.

    python benchmarks/presses.py           # minigrad, and the peers that are installed
    pip install -e ".[peers]"              # all of them

A press is a stop of pdb's command `step`: a call, a line or a return. The program is sum(tanh(x*w + b));
micrograd, which has scalars only, omits the sum. Torch's own derivatives are compiled and can't be reached, so a
torch.autograd.Function with a backward in Python is measured too.
"""

from __future__ import annotations

import bdb
import importlib.util
import os
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

X, W, B = np.array([0.5, -1.0]), np.array([2.0, 3.0]), np.array([0.1, 0.2])
PASS = "pass_back"  # the function whose only line starts a backward pass
PATIENCE = 20_000  # presses


class Stop(NamedTuple):
    """One stop of a debugger."""

    event: str
    function: str
    file: str
    line: int


class Presser(bdb.Bdb):
    """Presses "step into" from the line of a backward pass on, until a frame is a derivative."""

    def __init__(self, derivative: Callable[[FrameType], bool]) -> None:
        super().__init__()
        self.derivative = derivative
        self.stops: list[Stop] = []
        self.started = self.found = False

    def press(self, frame: FrameType, event: str) -> None:
        code = frame.f_code
        if self.started and not self.found:
            self.stops.append(Stop(event, code.co_name, code.co_filename, frame.f_lineno))
            self.found = event == "line" and self.derivative(frame)
        self.started = self.started or (event == "line" and code.co_name == PASS)
        if self.found or len(self.stops) >= PATIENCE:
            self.set_continue()
        else:
            self.set_step()

    def user_call(self, frame: FrameType, argument_list: None) -> None:
        self.press(frame, "call")

    def user_line(self, frame: FrameType) -> None:
        self.press(frame, "line")

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        self.press(frame, "return")


def presses(pass_back: Callable[[], Any], derivative: Callable[[FrameType], bool]) -> list[Stop]:
    """Return the stops from a backward pass to its first derivative; none if no press reaches one."""
    presser = Presser(derivative)
    presser.runcall(pass_back)
    return presser.stops if presser.found else []


def minigrad() -> Callable[[], Any]:
    import minigrad as mg

    x, w, b = (mg.Tensor(a, requires_grad=True) for a in (X, W, B))
    loss = np.tanh(x * w + b).sum()

    def pass_back() -> None:
        loss.backward()

    return pass_back


def minigrad_rnn() -> Callable[[], Any]:
    import minigrad as mg
    from rnn import Cell, t

    W, U = (mg.Tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    cell = Cell("elman")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    loss = mg.losses.mse(cell.unroll(x=np.ones((3, 2)))["h"].stack(), np.zeros((3, 2)))

    def pass_back() -> None:
        loss.backward()

    return pass_back


def micrograd() -> Callable[[], Any]:
    from micrograd.engine import Value

    y = Value(2.0) * Value(0.5) + Value(0.1)
    loss = y.tanh() if hasattr(y, "tanh") else y.relu()

    def pass_back() -> None:
        loss.backward()

    return pass_back


def mygrad() -> Callable[[], Any]:
    import mygrad as mg

    x, w, b = (mg.tensor(a) for a in (X, W, B))
    loss = mg.tanh(x * w + b).sum()

    def pass_back() -> None:
        loss.backward()

    return pass_back


def autograd() -> Callable[[], Any]:
    import autograd.core
    import autograd.numpy as anp

    def loss_of(parameters: Any) -> Any:
        x, w, b = parameters
        return anp.sum(anp.tanh(x * w + b))

    vjp, value = autograd.core.make_vjp(loss_of, (X, W, B))
    one = np.ones_like(value)

    def pass_back() -> None:
        vjp(one)

    return pass_back


def torch() -> Callable[[], Any]:
    import torch

    x, w, b = (torch.tensor(a, requires_grad=True) for a in (X, W, B))
    loss = torch.tanh(x * w + b).sum()

    def pass_back() -> None:
        loss.backward()

    return pass_back


def torch_function() -> Callable[[], Any]:
    import torch

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            out = torch.tanh(x)
            context.save_for_backward(out)
            return out

        @staticmethod
        def backward(context: Any, grad: Any) -> Any:
            [out] = context.saved_tensors
            return grad * (1 - out * out)

    x, w, b = (torch.tensor(a, requires_grad=True) for a in (X, W, B))
    loss = Tanh.apply(x * w + b).sum()

    def pass_back() -> None:
        loss.backward()

    return pass_back


def method(name: str, file: str) -> Callable[[FrameType], bool]:
    """Return a predicate: True for a frame of the function with this name, in a file with this end of its path."""
    return lambda frame: frame.f_code.co_name == name and frame.f_code.co_filename.endswith(file)


# name -> the module that it needs, its program, and a predicate that recognises the frame of a derivative
PROGRAMS: dict[str, tuple[str, Callable[[], Callable[[], Any]], Callable[[FrameType], bool]]] = {
    "minigrad": ("minigrad", minigrad, method("backward", "ops.py")),
    "minigrad, loss of an unrolled network": ("rnn", minigrad_rnn, method("backward", "ops.py")),
    "micrograd": ("micrograd", micrograd, method("_backward", "engine.py")),
    "MyGrad": ("mygrad", mygrad, method("backward_var", "ops.py")),
    "HIPS autograd": ("autograd", autograd, lambda frame: "vjps" in os.path.basename(frame.f_code.co_filename)),
    "torch": ("torch", torch, lambda frame: False),
    "torch, a Function in Python": ("torch", torch_function, method("backward", os.path.basename(__file__))),
}


def main() -> None:
    print(f"{'':<38}  {'presses':>7}  {'frames':>6}  {'files':>5}  first derivative")
    for name, (module, program, derivative) in PROGRAMS.items():
        if not importlib.util.find_spec(module):
            print(f"({module} is not installed)")
            continue
        pass_back = program()
        stops = presses(pass_back, derivative)
        if not stops:
            print(f"{name:<38}  {'never':>7}")
            continue
        frames = sum(stop.event == "call" for stop in stops)
        files = len({stop.file for stop in stops})
        place = f"{stops[-1].function}, {os.path.basename(stops[-1].file)}:{stops[-1].line}"
        print(f"{name:<38}  {len(stops):>7}  {frames:>6}  {files:>5}  {place}")


if __name__ == "__main__":
    main()
