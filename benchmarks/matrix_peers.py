"""The training steps of matrix_by_hand.py in PyTorch: a loop over time, and autograd.

What no loop needs is computed for all steps at once, as by hand. Each function returns the outputs y, (T, batch, size).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measuring import THREADS, Contender, Result


def matvec(A: Any, x: Any) -> Any:
    """Return A x for batches."""
    return (A @ x[..., None])[..., 0]


def outer(a: Any, b: Any) -> Any:
    """Return a bᵀ for batches."""
    return a[..., :, None] * b[..., None, :]


def delta_net(torch: Any, p: dict[str, Any], x: Any) -> Any:
    q, k, v = (x @ p[f"W_{name}"].T for name in "qkv")
    q, k = (a / torch.sqrt((a * a).sum(-1, keepdim=True) + 1e-12) for a in (q, k))
    beta = torch.sigmoid(x @ p["w_beta"])
    S, y = x.new_zeros(x.shape[1], v.shape[-1], k.shape[-1]), []
    for t in range(len(x)):
        S = S + outer(beta[t, :, None] * (v[t] - matvec(S, k[t])), k[t])
        y.append(matvec(S, q[t]))
    return torch.stack(y)


def linear_attention(torch: Any, p: dict[str, Any], x: Any) -> Any:
    q, k, v = (x @ p[f"W_{name}"].T for name in "qkv")
    q, k = (torch.nn.functional.elu(a) + 1 for a in (q, k))
    S, z, y = x.new_zeros(x.shape[1], v.shape[-1], k.shape[-1]), torch.zeros_like(k[0]), []
    for t in range(len(x)):
        S, z = S + outer(v[t], k[t]), z + k[t]
        y.append(matvec(S, q[t]) / ((z * q[t]).sum(-1, keepdim=True) + 1e-12))
    return torch.stack(y)


def mlstm(torch: Any, p: dict[str, Any], x: Any) -> Any:
    q, v = x @ p["W_q"].T + p["b_q"], x @ p["W_v"].T + p["b_v"]
    k, o = x @ p["W_k"].T / len(p["W_k"]) ** 0.5 + p["b_k"], torch.sigmoid(x @ p["W_o"].T + p["b_o"])
    a, log_f = x @ p["w_i"] + p["b_i"], torch.nn.functional.logsigmoid(x @ p["w_f"] + p["b_f"])
    C, n = x.new_zeros(x.shape[1], v.shape[-1], k.shape[-1]), torch.zeros_like(k[0])
    m, y = x.new_full((x.shape[1],), -1e30), []
    for t in range(len(x)):
        before, m = m, torch.maximum(log_f[t] + m, a[t])
        i, f = torch.exp(a[t] - m)[:, None], torch.exp(log_f[t] + before - m)[:, None]
        C, n = f[..., None] * C + outer(i * v[t], k[t]), f * n + i * k[t]
        divisor = torch.maximum((n * q[t]).sum(-1).abs(), torch.exp(-m))
        y.append(o[t] * matvec(C, q[t]) / divisor[:, None])
    return torch.stack(y)


def mamba(torch: Any, p: dict[str, Any], x: Any) -> Any:
    u = x @ p["W_u"].T
    delta = torch.logaddexp(u @ p["W_r"].T @ p["W_delta"].T + p["b_delta"], u.new_zeros(()))
    b, c, A = u @ p["W_B"].T, u @ p["W_C"].T, -torch.exp(p["log_A"])
    h, y = u.new_zeros(u.shape[1], *A.shape), []
    for t in range(len(x)):
        h = torch.exp(delta[t, ..., None] * A) * h + outer(delta[t] * u[t], b[t])
        y.append(matvec(h, c[t]))
    return torch.stack(y) + p["D"] * u


def attention(torch: Any, p: dict[str, Any], x: Any) -> Any:
    """The decoder of matrix_by_hand.attention, with additive scores where there is a vector a.v."""
    a, enc, h, y = x @ p["W"].T, p["enc"], torch.zeros_like(x[0]), []
    keys = enc @ p["a.U"].T if "a.v" in p else enc
    for t in range(len(x)):
        asked = h @ p["a.W"].T
        scores = torch.tanh(asked[:, None] + keys) @ p["a.v"] if "a.v" in p else matvec(enc, asked)
        context = matvec(enc.mT, torch.softmax(scores, -1))
        h = torch.tanh(a[t] + h @ p["U"].T + context @ p["V"].T)
        y.append(h)
    return torch.stack(y)


OUTPUTS: dict[str, Callable[..., Any]] = {"delta_net": delta_net, "linear_attention": linear_attention, "mlstm": mlstm,
                                          "mamba": mamba, "additive": attention, "dot": attention}


class TorchLoop(Contender):
    """PyTorch, eager: a loop over time."""

    libraries = ("torch",)

    def __init__(self, task: Any) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self.task, self.torch, self.x = task, torch, torch.tensor(task.x)
        self.p = {name: torch.tensor(array, requires_grad=True) for name, array in task.arrays.items()}

    def step(self) -> None:
        for tensor in self.p.values():
            tensor.grad = None
        self.loss = (OUTPUTS[self.task.name](self.torch, self.p, self.x) ** 2).sum()
        self.loss.backward()

    def result(self) -> Result:
        return self.loss.item(), self.task.by_tensor({name: tensor.grad.numpy() for name, tensor in self.p.items()})
