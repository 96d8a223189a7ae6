"""The same training step in other libraries; each is optional, and imported when its class is made.

A contender is made for a task (see training_step.py). `advance` holds the equations for all libraries with NumPy's
interface that loop over time in Python. Contenders named `ours-...` are the definition, exported to that library; of
these, OursJax takes any task of ours.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from measuring import THREADS, Contender


def advance(cell: str, f: Any, p: dict[str, Any], h: Any, c: Any, x: Any) -> tuple[Any, Any]:
    """Return the new state of one step of a cell (c is the LSTM's), with the functions of a library."""
    if cell == "elman":
        return f.tanh(x @ p["cell.W"].T + h @ p["cell.U"].T + p["cell.b"]), c
    hx = f.join([h, x])
    a = {gate: hx @ p[f"cell.W_{gate}"].T + p[f"cell.b_{gate}"] for gate in ("figo" if cell == "lstm" else "rz")}
    if cell == "lstm":
        c = f.sigmoid(a["f"]) * c + f.sigmoid(a["i"]) * f.tanh(a["g"])
        return f.sigmoid(a["o"]) * f.tanh(c), c
    z = f.sigmoid(a["z"])
    of_h = h @ p["cell.W_hn"].T + p["cell.b_hn"]
    n = f.tanh(x @ p["cell.W_xn"].T + p["cell.b_xn"] + f.sigmoid(a["r"]) * of_h)
    return z * h + (1 - z) * n, c


def unrolled_loss(cell: str, f: Any, p: dict[str, Any], h: Any, x: Any, target: Any) -> Any:
    """Return the sum of squared errors, by a loop over time."""
    c, loss = h, 0
    for x_t, target_t in zip(x, target):
        h, c = advance(cell, f, p, h, c, x_t)
        loss = loss + ((h @ p["V"].T + p["c"] - target_t) ** 2).sum()
    return loss


class Autograd(Contender):
    """HIPS autograd."""

    libraries = ("autograd",)

    def __init__(self, task: Any) -> None:
        import autograd
        import autograd.numpy as anp

        self.task = task
        self.f = SimpleNamespace(tanh=anp.tanh, join=lambda parts: anp.concatenate(parts, axis=1),
                                 sigmoid=lambda a: 1 / (1 + anp.exp(-a)))
        self.differentiated = autograd.value_and_grad(self.loss)

    def loss(self, p: Any) -> Any:
        task = self.task
        return unrolled_loss(task.cell, self.f, p, task.zero, task.x, task.target)

    def step(self) -> None:
        self.out = self.differentiated(self.task.parameters)

    def result(self) -> Any:
        return self.out


class MyGrad(Contender):
    """MyGrad, without the guarding of its operands' memory."""

    libraries = ("mygrad",)

    def __init__(self, task: Any) -> None:
        import mygrad
        from mygrad.nnet import sigmoid

        mygrad.turn_memory_guarding_off()
        self.task, self.tensor = task, mygrad.tensor
        self.f = SimpleNamespace(tanh=mygrad.tanh, sigmoid=sigmoid,
                                 join=lambda parts: mygrad.concatenate(parts, axis=1))

    def step(self) -> None:
        task = self.task
        self.p = {name: self.tensor(array) for name, array in task.parameters.items()}
        self.out = unrolled_loss(task.cell, self.f, self.p, self.tensor(task.zero, constant=True), task.x, task.target)
        self.out.backward()

    def result(self) -> Any:
        return float(self.out.item()), {name: tensor.grad for name, tensor in self.p.items()}


class TorchLoop(Contender):
    """PyTorch, eager: a loop over time."""

    libraries = ("torch",)

    def __init__(self, task: Any) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self.task, self.torch = task, torch
        self.f = SimpleNamespace(tanh=torch.tanh, sigmoid=torch.sigmoid, join=lambda parts: torch.cat(parts, 1))
        self.p = {name: torch.tensor(array, requires_grad=True) for name, array in task.parameters.items()}
        self.zero, self.x, self.target = map(torch.tensor, (task.zero, task.x, task.target))

    def loss(self) -> Any:
        return unrolled_loss(self.task.cell, self.f, self.p, self.zero, self.x, self.target)

    def step(self) -> None:
        for tensor in self.p.values():
            tensor.grad = None
        self.out = self.loss()
        self.out.backward()

    def result(self) -> Any:
        return self.out.item(), {name: tensor.grad.numpy() for name, tensor in self.p.items()}


# torch.nn's gates in its order: our names of the input's matrix, the state's, and of their biases.
TORCH_GATES: dict[str, list[tuple[str, str, str, str | None]]] = {
    "elman": [("W", "U", "b", None)],
    "lstm": [(f"W_{gate}", f"W_{gate}", f"b_{gate}", None) for gate in "ifgo"],
    "gru": [("W_r", "W_r", "b_r", None), ("W_z", "W_z", "b_z", None), ("W_xn", "W_hn", "b_xn", "b_hn")]}


def joined(task: Any) -> list[Any]:
    """Return the definition's parameters as torch.nn has them: W of inputs and of states, the gates' rows one under
    another, and their biases; the second are 0 where a gate of ours has one."""
    p, H, gates = task.parameters, task.H, TORCH_GATES[task.cell]
    return [np.concatenate([p[f"cell.{of_x}"][:, -H:] for of_x, _, _, _ in gates]),  # W is [h, x]
            np.concatenate([p[f"cell.{of_h}"][:, :H] for _, of_h, _, _ in gates]),
            np.concatenate([p[f"cell.{b}"] for _, _, b, _ in gates]),
            np.concatenate([p[f"cell.{b}"] if b else np.zeros(H, task.dtype) for _, _, _, b in gates])]


def separate(task: Any, of_x: Any, of_h: Any, b_x: Any, b_h: Any) -> dict[str, Any]:
    """Return the gradients of the matrices of `joined`, by the definition's names."""
    found = {}
    for k, (x_name, h_name, x_bias, h_bias) in enumerate(TORCH_GATES[task.cell]):
        part = slice(k * task.H, (k + 1) * task.H)
        if x_name == h_name:
            found[f"cell.{x_name}"] = np.concatenate([of_h[part], of_x[part]], axis=1)
        else:
            found |= {f"cell.{x_name}": of_x[part], f"cell.{h_name}": of_h[part]}
        found[f"cell.{x_bias}"] = b_x[part]
        if h_bias:
            found[f"cell.{h_bias}"] = b_h[part]
    return found


class TorchModule(TorchLoop):
    """torch.nn.RNN, LSTM or GRU: its kernel for all steps."""

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        torch = self.torch
        module = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[task.cell]
        self.module = module(task.H, task.H, dtype=self.zero.dtype)
        with torch.no_grad():
            for parameter, value in zip(self.module.parameters(), joined(task)):
                parameter.copy_(torch.tensor(value))

    def loss(self) -> Any:
        states, _ = self.module(self.x)
        return ((states @ self.p["V"].T + self.p["c"] - self.target) ** 2).sum()

    def step(self) -> None:
        self.module.zero_grad()
        super().step()

    def result(self) -> Any:
        gradients = separate(self.task, *(parameter.grad.numpy() for parameter in self.module.parameters()))
        return self.out.item(), gradients | {"V": self.p["V"].grad.numpy(), "c": self.p["c"].grad.numpy()}


class OursTorch(TorchLoop):
    """The definition as an nn.Module, eager."""

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self.module = task.definition.to_torch()
        self.p = dict(self.module.named_parameters())

    def loss(self) -> Any:
        return self.module(x=self.x, target=self.target)["L"].sum()


class OursTorchCompiled(OursTorch):
    """The same, traced and then compiled by torch.compile, which alone would make many small pieces of it. All
    steps are one program, so that compiling takes seconds a step."""

    programs = ("g++", "clang++")
    compiles = asked = True
    most_steps = 25

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        from torch.fx.experimental.proxy_tensor import make_fx

        def loss(p: Any, x: Any, target: Any) -> Any:
            return self.torch.func.functional_call(self.module, p, (), {"x": x, "target": target})["L"].sum()

        detached = {name: tensor.detach() for name, tensor in self.p.items()}
        self.compiled = self.torch.compile(make_fx(loss)(detached, self.x, self.target))

    def loss(self) -> Any:
        return self.compiled(self.p, self.x, self.target)


class Jax(Contender):
    """JAX: jit of a scan over time, as an expert writes it: gates joined, and what needs no state before the scan."""

    libraries = ("jax",)
    compiles = True

    def __init__(self, task: Any) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.task, self.jax, self.numpy = task, jax, jax.numpy
        self.p, self.data = jax.tree.map(self.numpy.asarray, (self.parameters(), self.given()))
        self.differentiated = jax.jit(jax.value_and_grad(self.loss))

    def parameters(self) -> Any:
        return joined(self.task), self.task.parameters["V"], self.task.parameters["c"]

    def given(self) -> Any:
        return self.task.zero, self.task.x, self.task.target

    def loss(self, p: Any, given: Any) -> Any:
        ((of_x, of_h, b_x, b_h), V, c), (zero, x, target) = p, given
        numpy, sigmoid, cell = self.numpy, self.jax.nn.sigmoid, self.task.cell

        def step(state: Any, given: Any) -> Any:
            h, c = state
            a = h @ of_h.T
            if cell == "elman":
                h = numpy.tanh(given + a)
            elif cell == "lstm":
                i, f, g, o = numpy.split(given + a, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)
                h = sigmoid(o) * numpy.tanh(c)
            else:
                (xr, xz, xn), (hr, hz, hn) = numpy.split(given, 3, axis=1), numpy.split(a + b_h, 3, axis=1)
                z = sigmoid(xz + hz)
                h = z * h + (1 - z) * numpy.tanh(xn + sigmoid(xr + hr) * hn)
            return (h, c), h

        _, states = self.jax.lax.scan(step, (zero, zero), x @ of_x.T + b_x)
        return ((states @ V.T + c - target) ** 2).sum()

    def step(self) -> None:
        self.out = self.jax.block_until_ready(self.differentiated(self.p, self.data))

    def result(self) -> Any:
        weights, V, c = self.jax.tree.map(np.asarray, self.out[1])
        return float(self.out[0]), separate(self.task, *weights) | {"V": V, "c": c}


class OursJax(Jax):
    """The definition as a function of JAX arrays, jitted."""

    def parameters(self) -> Any:
        self.function = self.task.definition.to_jax()
        return {name: tensor.numpy() for name, tensor in self.task.tensors().items()}

    def given(self) -> Any:
        return {name: array for name, array in self.task.given.items() if name not in self.task.tensors()}

    def loss(self, p: Any, given: Any) -> Any:
        weights = {name: p[name] for name in self.task.definition.parameters}
        others = {name: p[name] for name in p.keys() - weights.keys()}
        return self.function(weights, given | others)["L"].sum()

    def result(self) -> Any:
        return float(self.out[0]), self.jax.tree.map(np.asarray, self.out[1])


class Tinygrad(Contender):
    """tinygrad: TinyJit of a loop over time, in at most 100 steps (its kernels are many, and each is compiled)."""

    libraries, programs = ("tinygrad",), ("clang",)
    compiles = asked = True
    most_steps = 100

    def __init__(self, task: Any) -> None:
        from tinygrad import Tensor, TinyJit

        self.task = task
        self.f = SimpleNamespace(tanh=Tensor.tanh, sigmoid=Tensor.sigmoid,
                                 join=lambda parts: parts[0].cat(*parts[1:], dim=1))
        self.p = {name: Tensor(array).realize() for name, array in task.parameters.items()}
        self.zero, self.x, self.target = (Tensor(array).realize() for array in (task.zero, task.x, task.target))
        self.Tensor, self.jitted = Tensor, TinyJit(self.differentiated)

    def differentiated(self, x: Any, target: Any) -> Any:
        T = self.task.T
        loss = unrolled_loss(self.task.cell, self.f, self.p, self.zero, [x[t] for t in range(T)],
                             [target[t] for t in range(T)])
        gradients = loss.gradient(*self.p.values())
        self.Tensor.realize(loss, *gradients)
        return loss, *gradients

    def step(self) -> None:
        self.out = self.jitted(self.x, self.target)
        self.value = float(self.out[0].item())  # waits until it is computed

    def result(self) -> Any:
        return self.value, {name: gradient.numpy() for name, gradient in zip(self.p, self.out[1:])}


PEERS: dict[str, type[Contender]] = {
    "torch.nn": TorchModule, "torch": TorchLoop, "ours-torch": OursTorch, "ours-torch-compiled": OursTorchCompiled,
    "jax": Jax, "ours-jax": OursJax, "autograd": Autograd, "mygrad": MyGrad, "tinygrad": Tinygrad}
