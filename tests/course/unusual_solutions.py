"""Correct solutions that are written in unusual ways, by assignment: what is unusual -> code after the right solution.

Each code defines some of the functions again; the others are those of the solution. All of them earn everything.
"""

A1 = {
    "what forward computes is kept on self for backward": """
class Sigmoid(mg.Op):
    def forward(self, x):
        self.y = 0.5 * (1 + np.tanh(0.5 * x))
        return self.y

    def backward(self, grad, out, x):
        return grad * self.y * (1 - self.y)


class Softmax(mg.Op):
    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        self.total = e.sum(-1, keepdims=True)
        return e / self.total

    def backward(self, grad, out, x):
        e = out * self.total
        return e / self.total * (grad - (grad * out).sum(-1, keepdims=True))
""",
    "an array in a tuple of one": """
class Mean(Mean):
    def backward(self, grad, out, x):
        return (np.expand_dims(grad, self.axis) / x.shape[self.axis] * np.ones_like(x),)
""",
    "static methods": """
class MatMul(mg.Op):
    @staticmethod
    def forward(a, b):
        return a @ b

    @staticmethod
    def backward(grad, out, a, b):
        return grad @ b.T, a.T @ grad
""",
    "arguments by other names": """
class Multiply(mg.Op):
    def forward(self, left, right):
        return left * right

    def backward(self, upstream, result, left, right):
        return unbroadcast(upstream * right, left.shape), unbroadcast(upstream * left, right.shape)
""",
    "further arguments with a default": """
class Sigmoid(Sigmoid):
    def backward(self, grad, out, x, verbose=False, *, scale=1.0):
        return scale * grad * out * (1 - out)


_unbroadcast = unbroadcast
def unbroadcast(grad, shape, check=True):
    return _unbroadcast(grad, shape)
""",
    "any number of arguments": """
class Multiply(Multiply):
    def forward(self, *operands):
        return np.prod(np.broadcast_arrays(*operands), axis=0)
""",
    "the whole Jacobian of softmax": """
class Softmax(Softmax):
    def backward(self, grad, out, x):
        jacobian = np.einsum("...i,ij->...ij", out, np.eye(out.shape[-1])) - out[..., :, None] * out[..., None, :]
        return np.einsum("...i,...ij->...j", grad, jacobian)
""",
    "log-sum-exp": """
class Softmax(Softmax):
    def forward(self, x):
        top = x.max(axis=-1, keepdims=True)
        return np.exp(x - top - np.log(np.exp(x - top).sum(axis=-1, keepdims=True)))
""",
    "a sigmoid in two branches, one of which overflows": """
class Sigmoid(Sigmoid):
    def forward(self, x):
        with np.errstate(all="ignore"):
            return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))
""",
    "the plain formula of the sigmoid, which warns and is right": """
class Sigmoid(Sigmoid):
    def forward(self, x):
        return 1 / (1 + np.exp(-x))
""",
    "a broadcast view": """
class Mean(Mean):
    def backward(self, grad, out, x):
        return np.broadcast_to(np.expand_dims(grad, self.axis) / x.shape[self.axis], x.shape)
""",
    "the gradient itself where nothing was broadcast": """
_sum = unbroadcast
def unbroadcast(grad, shape):
    return grad if grad.shape == shape else _sum(grad, shape)
""",
    "unbroadcast by loops": """
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return np.asarray(grad)
""",
    "the product with einsum": """
class MatMul(MatMul):
    def forward(self, a, b):
        return np.einsum("ik,kj->ij", a, b)

    def backward(self, grad, out, a, b):
        return np.einsum("ij,kj->ik", grad, b), np.einsum("ik,ij->kj", a, grad)
""",
    "arrays in Fortran's order": """
class MatMul(MatMul):
    def backward(self, grad, out, a, b):
        return np.asfortranarray(grad @ b.T), (grad.T @ a).T
""",
    "operations as dataclasses": """
from dataclasses import dataclass

@dataclass
class Mean(mg.Op):
    axis: int

    def forward(self, x):
        return x.sum(self.axis) / x.shape[self.axis]

    def backward(self, grad, out, x):
        return np.repeat(np.expand_dims(grad, self.axis), x.shape[self.axis], self.axis) / x.shape[self.axis]
""",
    "more digits than float64": """
class Softmax(Softmax):
    def forward(self, x):
        e = np.exp(x.astype(np.longdouble) - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def backward(self, grad, out, x):
        return out * (grad - (grad.astype(np.longdouble) * out).sum(-1, keepdims=True))
""",
    "a float for an array without axes": """
_sum = unbroadcast
def unbroadcast(grad, shape):
    return float(grad.sum()) if shape == () else _sum(grad, shape)
""",
    "prints": """
class Sigmoid(Sigmoid):
    def backward(self, grad, out, x):
        print("backward", grad.shape)
        return grad * out * (1 - out)
""",
}

A2 = {
    "Kahn's algorithm": """
def topological_order(out):
    found, stack = {id(out): out}, [out]
    while stack:
        for x in stack.pop().inputs:
            if id(x) not in found:
                found[id(x)] = x
                stack.append(x)
    left = {key: len({id(x) for x in node.inputs}) for key, node in found.items()}
    users = {key: [] for key in found}
    for key, node in found.items():
        for x in {id(x) for x in node.inputs}:
            users[x].append(key)
    ready, order = [key for key, count in left.items() if not count], []
    while ready:
        key = ready.pop()
        order.append(found[key])
        for user in users[key]:
            left[user] -= 1
            if not left[user]:
                ready.append(user)
    return order
""",
    "Kahn's algorithm from the output, every use counted": """
def topological_order(out):
    uses, stack = {out: 0}, [out]
    while stack:
        for x in stack.pop().inputs:
            if x not in uses:
                uses[x] = 0
                stack.append(x)
            uses[x] += 1
    order, ready = [], [out]
    while ready:
        order.append(ready.pop(0))
        for x in order[-1].inputs:
            uses[x] -= 1
            if not uses[x]:
                ready.append(x)
    return order[::-1]
""",
    "graphlib": """
from graphlib import TopologicalSorter

def topological_order(out):
    graph, stack = {}, [out]
    while stack:
        node = stack.pop()
        if node not in graph:
            graph[node] = set(node.inputs)
            stack += node.inputs
    return list(TopologicalSorter(graph).static_order())
""",
    "a generator": """
_order = topological_order
def topological_order(out):
    yield from _order(out)

def backward(out):
    order = list(topological_order(out))
    for node in order:
        node.grad = 0.0
    out.grad = 1.0
    for node in order[::-1]:
        for x, slope in zip(node.inputs, node.local):
            x.grad += node.grad * slope
""",
    "a tuple": """
_order = topological_order
def topological_order(out):
    return tuple(_order(out))
""",
    "recursion with a raised limit": """
import sys
import threading

def topological_order(out):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for x in node.inputs:
                visit(x)
            order.append(node)

    sys.setrecursionlimit(20_000)
    threading.stack_size(256 << 20)
    thread = threading.Thread(target=visit, args=(out,))
    thread.start()
    thread.join()
    return order
""",
    "slots in the given class": """
class Node(Node):
    __slots__ = ("mark",)
""",
    "marks on the nodes, removed at the end": """
def topological_order(out):
    order, stack = [], [(out, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif not getattr(node, "seen", False):
            node.seen = True
            stack.append((node, True))
            stack += [(x, False) for x in node.inputs]
    for node in order:
        del node.seen
    return order
""",
    "gradients in a dict first": """
def backward(out):
    grads = {out: 1.0}
    for node in reversed(topological_order(out)):
        node.grad = grads.get(node, 0.0)
        for x, slope in zip(node.inputs, node.local):
            grads[x] = grads.get(x, 0.0) + node.grad * slope
""",
    "gradients as NumPy numbers": """
import numpy as np
_back = backward
def backward(out):
    _back(out)
    for node in topological_order(out):
        node.grad = np.float64(node.grad)
""",
    "forward accumulation over paths, node by node": """
def backward(out):
    order = topological_order(out)
    users = {node: [] for node in order}
    for node in order:
        for x, slope in zip(node.inputs, node.local):
            users[x].append((node, slope))
    for node in reversed(order):
        node.grad = 1.0 if node is out else sum(user.grad * slope for user, slope in users[node])
""",
    "a heap of positions": """
import heapq

def backward(out):
    position = {node: k for k, node in enumerate(topological_order(out))}
    grads, queue = {out: 1}, [(-position[out], 0, out)]
    for node in position:
        node.grad = 0.0
    while queue:
        _, _, node = heapq.heappop(queue)
        node.grad = float(grads[node])
        for x, slope in zip(node.inputs, node.local):
            if x not in grads:
                heapq.heappush(queue, (-position[x], len(queue), x))
            grads[x] = grads.get(x, 0) + node.grad * slope
""",
    "a further argument with a default": """
_back = backward
def backward(out, seed=1.0):
    _back(out)
""",
}

A3 = {
    "einsum": """
def rnn_step_backward(dh, x, h_prev, h, W, U):
    dz = np.einsum("nh,nh->nh", dh, 1 - h ** 2)
    return {"x": np.einsum("nh,dh->nd", dz, W), "h_prev": np.einsum("nh,kh->nk", dz, U),
            "W": np.einsum("nd,nh->dh", x, dz), "U": np.einsum("nk,nh->kh", h_prev, dz), "b": np.einsum("nh->h", dz)}
""",
    "parameters after the loop, in one product": """
def rnn_backward(dhs, x, h0, hs, W, U):
    T, N, H = hs.shape
    before = np.concatenate([h0[None], hs[:-1]])
    whole, dz = np.empty_like(hs), np.empty_like(hs)
    carry = np.zeros_like(h0)
    for t in reversed(range(T)):
        whole[t] = dhs[t] + carry
        dz[t] = whole[t] * (1 - hs[t] ** 2)
        carry = dz[t] @ U.T
    flat = dz.reshape(T * N, H)
    return {"x": dz @ W.T, "h": whole, "h0": carry, "W": x.reshape(T * N, -1).T @ flat,
            "U": before.reshape(T * N, H).T @ flat, "b": flat.sum(0)}
""",
    "the products with the inputs before the loop": """
def rnn_forward(x, h0, W, U, b):
    z = x @ W + b
    out = np.empty_like(z)
    h = h0
    for t, zt in enumerate(z):
        h = out[t] = np.tanh(zt + h @ U)
    return out
""",
    "gates in one product": """
def lstm_step_forward(x, h_prev, c_prev, p):
    W, U, b = (np.concatenate([p[f"{what}_{k}"] for k in GATES], -1) for what in "WUb")
    i, f, o, g = np.split(x @ W + h_prev @ U + b, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    c = f * c_prev + i * g
    return dict(i=i, f=f, o=o, g=g, c=c, h=o * np.tanh(c))
""",
    "fused gates backward": """
def lstm_step_backward(dh, dc, x, h_prev, c_prev, s, p):
    i, f, o, g, c = (s[k] for k in "ifogc")
    whole = dc + dh * o / np.cosh(c) ** 2
    dz = np.concatenate([whole * g * i * (1 - i), whole * c_prev * f * (1 - f), dh * np.tanh(c) * o * (1 - o),
                         whole * i * (1 - g * g)], axis=1)
    W, U = (np.concatenate([p[f"{what}_{k}"] for k in GATES], 1) for what in "WU")
    found = {"c": whole, "c_prev": whole * f, "x": dz @ W.T, "h_prev": dz @ U.T}
    for what, grads in (("W", x.T @ dz), ("U", h_prev.T @ dz), ("b", dz.sum(0))):
        found.update({f"{what}_{k}": part for k, part in zip(GATES, np.split(grads, 4, axis=-1))})
    return found
""",
    "a further argument with a default": """
_back = rnn_backward
def rnn_backward(dhs, x, h0, hs, W, U, verbose=False):
    return _back(dhs, x, h0, hs, W, U)
""",
    "another mapping than dict": """
from collections import ChainMap, OrderedDict
from types import MappingProxyType
_step, _forward = rnn_step_backward, lstm_forward
def rnn_step_backward(*of):
    return MappingProxyType(_step(*of))

def lstm_forward(*of):
    return OrderedDict(sorted(_forward(*of).items()))
""",
    "further keys": """
_step = rnn_step_backward
def rnn_step_backward(*of):
    return {**_step(*of), "note": "mine", "dz": of[0]}
""",
    "a NamedTuple inside": """
from typing import NamedTuple

class Step(NamedTuple):
    h: Array
    c: Array
    gates: tuple

def _step(x, h, c, p):
    i, f, o = (sigmoid(x @ p[f"W_{k}"] + h @ p[f"U_{k}"] + p[f"b_{k}"]) for k in "ifo")
    g = np.tanh(x @ p["W_g"] + h @ p["U_g"] + p["b_g"])
    c = f * c + i * g
    return Step(o * np.tanh(c), c, (i, f, o, g))

def lstm_step_forward(x, h_prev, c_prev, p):
    step = _step(x, h_prev, c_prev, p)
    return dict(zip("ifog", step.gates)) | {"c": step.c, "h": step.h}
""",
    "a generator of states": """
def _states(x, h, W, U, b):
    for xt in x:
        h = np.tanh(xt @ W + h @ U + b)
        yield h

def rnn_forward(x, h0, W, U, b):
    return np.array(list(_states(x, h0, W, U, b)))
""",
    "itertools.accumulate": """
from itertools import accumulate

def rnn_forward(x, h0, W, U, b):
    return np.stack(list(accumulate(x, lambda h, xt: np.tanh(xt @ W + h @ U + b), initial=h0))[1:])
""",
    "another sigmoid": """
def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))
""",
    "functions as objects": """
class Forward:
    def __call__(self, x, h_prev, W, U, b):
        return np.tanh(np.hstack([x, h_prev]) @ np.vstack([W, U]) + b)

rnn_step_forward = Forward()
""",
    "a cache by the inputs' bytes": """
import functools
_known = {}
_step = rnn_step_forward
def rnn_step_forward(*of):
    key = tuple(x.tobytes() for x in of)
    if key not in _known:
        _known[key] = _step(*of)
    return _known[key].copy()
""",
    "pure Python loops": """
def rnn_step_forward(x, h_prev, W, U, b):
    import math
    rows = []
    for n in range(len(x)):
        row = []
        for j in range(len(b)):
            z = b[j]
            for i in range(len(W)):
                z += x[n, i] * W[i, j]
            for i in range(len(U)):
                z += h_prev[n, i] * U[i, j]
            row.append(math.tanh(z))
        rows.append(row)
    return np.array(rows)
""",
    "a decorator that keeps the signature": """
import functools

def checked(f):
    @functools.wraps(f)
    def inner(*of):
        assert all(isinstance(x, (np.ndarray, dict)) for x in of)
        return f(*of)
    return inner

lstm_step_forward, rnn_backward = checked(lstm_step_forward), checked(rnn_backward)
""",
    "a main guard, and text in other scripts": """
# σ(x) = 1 / (1 + e⁻ˣ) – значение
if __name__ == "__main__":
    raise SystemExit("not here")
""",
    "a complex step": """
def rnn_step_backward(dh, x, h_prev, h, W, U):
    b = np.arctanh(h) - x @ W - h_prev @ U
    def slopes(array, of):
        found = np.zeros(array.shape)
        for i in np.ndindex(array.shape):
            moved = array.astype(complex)
            moved[i] += 1e-30j
            found[i] = (dh * np.tanh(of(moved)).imag).sum() / 1e-30
        return found
    return {"x": slopes(x, lambda x: x @ W + h_prev @ U + b), "h_prev": slopes(h_prev, lambda h: x @ W + h @ U + b),
            "W": slopes(W, lambda W: x @ W + h_prev @ U + b), "U": slopes(U, lambda U: x @ W + h_prev @ U + b),
            "b": slopes(np.zeros(len(U)), lambda c: x @ W + h_prev @ U + b + c)}
""",
    "dicts copied and joined": """
import copy
_back = lstm_backward
def lstm_backward(dhs, x, h0, c0, s, p):
    s, p = copy.deepcopy(s), dict(p | {})
    s["tanh_c"] = np.tanh(s["c"])
    return _back(dhs, x, h0, c0, {name: s[name] for name in ("i", "f", "o", "g", "c", "h")}, p)
""",
    "the derivative of tanh from its formula": """
def rnn_step_backward(dh, x, h_prev, h, W, U):
    dz = dh / np.cosh(np.arctanh(h)) ** 2
    return {"b": dz.sum(0), "U": h_prev.T @ dz, "W": x.T @ dz, "h_prev": dz @ U.T, "x": dz @ W.T}
""",
}

A4 = {
    "graphlib, whose CycleError is a ValueError": """
from graphlib import TopologicalSorter

def order_in_a_step(edges):
    sorter = TopologicalSorter()
    for source, target, delay in edges:
        sorter.add(source)
        sorter.add(target, *([source] if delay == 0 else []))
    return list(sorter.static_order())
""",
    "a subclass of ValueError": """
class DelayFreeLoop(ValueError):
    pass

_order = order_in_a_step
def order_in_a_step(edges):
    try:
        return _order(edges)
    except ValueError as error:
        raise DelayFreeLoop(str(error)) from error
""",
    "lists for tuples": """
_unroll = unroll
def unroll(edges, T):
    return [[list(source), list(target)] for source, target in _unroll(edges, T)]

def initial_copies(edges, T):
    return [list(copy) for copy in {copy for copy, _ in _unroll(edges, T)} if copy[1] <= 0]
""",
    "a set of edges": """
_unroll = unroll
def unroll(edges, T):
    return set(_unroll(edges, T))
""",
    "a generator of edges": """
def unroll(edges, T):
    for source, target, delay in edges:
        for t in range(1, T + 1):
            yield (source, t - delay), (target, t)

def initial_copies(edges, T):
    return {copy for copy, _ in unroll(edges, T) if copy[1] <= 0}
""",
    "NamedTuples for copies": """
from typing import NamedTuple

class At(NamedTuple):
    signal: str
    t: int

def unroll(edges, T):
    return [(At(a, t - d), At(b, t)) for t in range(1, T + 1) for a, b, d in edges]
""",
    "NumPy's integers for steps": """
import numpy as np

def unroll(edges, T):
    return [((a, t - d), (b, t)) for t in np.arange(1, T + 1) for a, b, d in edges]

def initial_copies(edges, T):
    return {(copy[0], int(copy[1])) for copy, _ in unroll(edges, T) if copy[1] <= 0}
""",
    "a list of initial copies": """
_initial = initial_copies
def initial_copies(edges, T):
    return sorted(_initial(edges, T))
""",
    "a frozenset": """
_initial = initial_copies
def initial_copies(edges, T):
    return frozenset(_initial(edges, T))
""",
    "initial copies by arithmetic": """
def initial_copies(edges, T):
    return {(a, -k) for a, b, d in edges for k in range(max(0, d - T), d)}
""",
    "an order as a tuple": """
_order = order_in_a_step
def order_in_a_step(edges):
    return tuple(_order(edges))
""",
    "keys of a dict": """
_order = order_in_a_step
def order_in_a_step(edges):
    return dict.fromkeys(_order(edges)).keys()
""",
    "another valid order": """
def order_in_a_step(edges):
    names = sorted({name for edge in edges for name in edge[:2]}, reverse=True)
    order = []
    while len(order) < len(names):
        for name in names:
            if name not in order and all(a in order for a, b, d in edges if b == name and not d):
                order.append(name)
                break
        else:
            raise ValueError("loop")
    return order
""",
    "paths with memory": """
from functools import lru_cache

def count_paths(edges, T, start, end):
    @lru_cache(None)
    def ways(copy):
        if copy == start:
            return 1
        name, t = copy
        return 0 if t < 1 else sum(ways((a, t - d)) for a, b, d in edges if b == name)

    return ways(end)
""",
    "paths by powers of the adjacency matrix": """
import numpy as np

def count_paths(edges, T, start, end):
    links = unroll(edges, T)
    nodes = list(dict.fromkeys([start, end, *(copy for link in links for copy in link)]))
    A = np.zeros((len(nodes), len(nodes)))
    for a, b in links:
        A[nodes.index(a), nodes.index(b)] += 1
    return np.linalg.inv(np.eye(len(nodes)) - A)[nodes.index(start), nodes.index(end)].round()
""",
    "paths backward from the end": """
def count_paths(edges, T, start, end):
    ways, order = {end: 1}, order_in_a_step(edges)
    for t in range(end[1], start[1] - 1, -1):
        for name in reversed(order):
            if (name, t) != end:
                ways[name, t] = sum(ways.get((b, t + d), 0) for a, b, d in edges if a == name and t + d >= 1)
    return ways.get(start, 0)
""",
    "a number as an array without axes": """
import numpy as np
_paths = count_paths
def count_paths(edges, T, start, end):
    return np.array(_paths(edges, T, start, end))
""",
    "a generator of names, which raises when it is read": """
def order_in_a_step(edges):
    left = {name for source, target, _ in edges for name in (source, target)}
    while left:
        ready = sorted(name for name in left if not any(b == name and d == 0 and a in left for a, b, d in edges))
        if not ready:
            raise ValueError("loop")
        yield from ready
        left -= set(ready)

def count_paths(edges, T, start, end):
    ways, order = {start: 1}, list(order_in_a_step(edges))
    for t in range(1, T + 1):
        for name in order:
            if (name, t) != start:
                ways[name, t] = sum(ways.get((a, t - d), 0) for a, b, d in edges if b == name)
    return ways.get(end, 0)
""",
    "the first permutation that fits, and a view of keys": """
from itertools import permutations

class CyclicDefinition(ValueError):
    def __init__(self, names):
        super().__init__(f"{names}")
        self.names = names

def order_in_a_step(edges):
    names = sorted(set(sum(([a, b] for a, b, _ in edges), [])))
    for order in permutations(names):
        if all(order.index(a) < order.index(b) for a, b, delay in edges if not delay):
            return order
    raise CyclicDefinition(names)

def initial_copies(edges, T):
    return {(a, t - d): None for a, _, d in edges for t in range(1, min(d, T) + 1)}.keys()
""",
    "ranks by powers of the adjacency matrix": """
import numpy as np

def order_in_a_step(edges):
    names = sorted({name for edge in edges for name in edge[:2]})
    A = np.zeros((len(names), len(names)))
    for a, b, delay in edges:
        A[names.index(a), names.index(b)] += delay == 0
    if names and np.linalg.matrix_power(A, len(names)).any():
        raise ValueError("loop")
    rank, power = np.zeros(len(names)), A
    for k in range(len(names)):
        rank[(power > 0).any(axis=0)] = k + 1
        power = power @ A
    return [names[i] for i in np.argsort(rank, kind="stable")]
""",
    "paths enumerated from the end, edges in a while loop": """
def unroll(edges, T):
    found, t = [], 1
    while t <= T:
        found.extend(map(lambda edge: ((edge[0], t - edge[2]), (edge[1], t)), edges))
        t += 1
    return tuple(found)

def count_paths(edges, T, start, end):
    if start == end:
        return 1
    return sum(count_paths(edges, T, start, (a, end[1] - d)) for a, b, d in edges if b == end[0]) if end[1] >= max(
        1, start[1]) else 0
""",
    "a search with a set of finished signals": """
def order_in_a_step(edges):
    order, open_ = {}, set()

    def visit(name):
        if name in open_:
            raise ValueError(name)
        if name not in order:
            open_.add(name)
            for source, target, delay in edges:
                if target == name and not delay:
                    visit(source)
            open_.remove(name)
            order[name] = len(order)

    for source, target, _ in edges[::-1]:
        visit(target)
        visit(source)
    return list(order)
""",
    "edges of a step followed until nothing changes": """
def count_paths(edges, T, start, end):
    ways = {}
    while True:
        before = dict(ways)
        ways = {copy: 0 for link in unroll(edges, T) for copy in link} | {start: 1}
        for source, target in unroll(edges, T):
            ways[target] += before.get(source, 0) if target != start else 0
        if ways == before:
            return ways.get(end, 0)
""",
}

A5 = {
    "one product with W for the chunk": """
def chunk_loss(x, target, h, p):
    xw, losses = mg.Tensor(x) @ p["W"] + p["b"], []
    for k in range(len(x)):
        h = mg.tanh(xw[k] + h @ p["U"])
        losses.append(mg.losses.mse(h @ p["V"], target[k]))
    return sum(losses), h
""",
    "outputs of the chunk in one product": """
def chunk_loss(x, target, h, p):
    hs = []
    for xt in x:
        h = mg.tanh(xt @ p["W"] + h @ p["U"] + p["b"])
        hs.append(h)
    return mg.losses.mse(mg.stack(hs) @ p["V"], target) * len(x), h
""",
    "mg.grad in the place of backward": """
def truncated_gradients(x, target, h0, p, k):
    h, total = mg.Tensor(h0), {name: 0.0 for name in p}
    for start in range(0, len(x), k):
        loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
        for name, grad in mg.grad(loss, p).items():
            total[name] = total[name] + grad
        h = h.detach()
    return total
""",
    "mg.grad for each parameter": """
from minigrad import grad

def truncated_gradients(x, target, h0, p, k):
    h, total = mg.Tensor(h0), {name: 0.0 for name in p}
    for start in range(0, len(x), k):
        loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
        total = {name: total[name] + grad(loss, tensor) for name, tensor in p.items()}
        h = mg.Tensor(h.numpy())
    return total
""",
    "the library's SGD": """
def train(x, target, h0, p, k, lr, epochs):
    optimizer, losses = mg.optim.SGD(list(p.values()), lr=lr), []
    for _ in range(epochs):
        h = mg.Tensor(h0)
        for start in range(0, len(x), k):
            loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            h = h.detach()
            losses.append(loss.item())
    return losses
""",
    "losses as an array": """
import numpy as np
_train = train
def train(*of):
    return np.array(_train(*of))
""",
    "losses as a generator": """
_train = train
def train(*of):
    return (loss for loss in _train(*of))
""",
    "losses as Tensors": """
_train = train
def train(*of):
    return [mg.Tensor(loss) for loss in _train(*of)]
""",
    "the loss and the state in a list": """
_chunk = chunk_loss
def chunk_loss(x, target, h, p):
    return list(_chunk(x, target, h, p))
""",
    "an operation of one's own for tanh": """
import numpy as np

class Squash(mg.Op):
    def forward(self, z):
        return np.tanh(z)

    def backward(self, grad, out, z):
        return grad * (1 - out * out)

def chunk_loss(x, target, h, p):
    losses = []
    for xt, yt in zip(x, target):
        h = mg.apply(Squash(), xt @ p["W"] + h @ p["U"] + p["b"])
        losses.append(mg.losses.mse(h @ p["V"], yt))
    return mg.stack(losses).sum(), h
""",
    "tanh by sigmoid, and mse by hand": """
def chunk_loss(x, target, h, p):
    total = 0.0
    for xt, yt in zip(x, target):
        h = 2 * mg.sigmoid(2 * (xt @ p["W"] + h @ p["U"] + p["b"])) - 1
        error = h @ p["V"] - yt
        total = total + (error * error).mean()
    return total, h
""",
    "weights stacked": """
def chunk_loss(x, target, h, p):
    weights, losses = mg.concatenate([p["W"], p["U"]]), []
    for xt, yt in zip(x, target):
        h = mg.tanh(mg.concatenate([mg.Tensor(xt), h], axis=1) @ weights + p["b"])
        losses.append(mg.losses.mse(h @ p["V"], yt))
    return sum(losses[1:], losses[0]), h
""",
    "new data for the parameters": """
def train(x, target, h0, p, k, lr, epochs):
    losses = []
    for _ in range(epochs):
        state = h0
        for start in range(0, len(x), k):
            loss, h = chunk_loss(x[start:start + k], target[start:start + k], mg.Tensor(state), p)
            grads = mg.grad(loss, p)
            for name, tensor in p.items():
                tensor.data = tensor.data - lr * grads[name]
            state = h.numpy()
            losses.append(float(loss))
    return losses
""",
    "state as NumPy between chunks": """
def truncated_gradients(x, target, h0, p, k):
    for tensor in p.values():
        tensor.grad = None
    state = h0
    while len(x):
        loss, h = chunk_loss(x[:k], target[:k], mg.Tensor(state), p)
        loss.backward()
        state, x, target = h.numpy().copy(), x[k:], target[k:]
    return {name: tensor.grad for name, tensor in p.items()}
""",
    "other names and further arguments": """
_chunk = chunk_loss
def chunk_loss(inputs, labels, state, parameters, reduction="sum"):
    return _chunk(inputs, labels, state, parameters)
""",
    "no_grad around the update": """
def train(x, target, h0, p, k, lr, epochs):
    losses = []
    for _ in range(epochs):
        h = mg.Tensor(h0)
        for start in range(0, len(x), k):
            loss, h = chunk_loss(x[start:start + k], target[start:start + k], h, p)
            for tensor in p.values():
                tensor.grad = None
            loss.backward()
            with mg.no_grad():
                for tensor in p.values():
                    tensor.data -= lr * tensor.grad
            h = h.detach()
            losses.append(loss.item())
    return losses
""",
    "detached where a chunk begins, in chunk_loss itself": """
_chunk = chunk_loss
def chunk_loss(x, target, h, p):
    return _chunk(x, target, h, p)

def truncated_gradients(x, target, h0, p, k):
    total, h = {name: 0 for name in p}, mg.Tensor(h0)
    while len(x):
        for tensor in p.values():
            tensor.grad = None
        loss, h = chunk_loss(x[:k], target[:k], h.detach(), p)
        loss.backward()
        total, x, target = {name: total[name] + p[name].grad for name in p}, x[k:], target[k:]
    return total
""",
    "parameters copied for each chunk": """
def truncated_gradients(x, target, h0, p, k):
    grads, h = [], h0
    for start in range(0, len(x), k):
        copied = {name: mg.Tensor(tensor.numpy().copy(), requires_grad=True) for name, tensor in p.items()}
        loss, last = chunk_loss(x[start:start + k], target[start:start + k], mg.Tensor(h), copied)
        loss.backward()
        grads.append({name: tensor.grad for name, tensor in copied.items()})
        h = last.numpy()
    return {name: sum(grad[name] for grad in grads) for name in p}
""",
    "a recursive chunk, and an update in place of the array": """
def chunk_loss(x, target, h, p):
    h = mg.tanh(x[0] @ p["W"] + h @ p["U"] + p["b"])
    loss = mg.losses.mse(h @ p["V"], target[0])
    if len(x) == 1:
        return loss, h
    rest, last = chunk_loss(x[1:], target[1:], h, p)
    return loss + rest, last

def train(x, target, h0, p, k, lr, epochs):
    losses = []
    for _ in range(epochs):
        h = mg.Tensor(h0)
        for a, b in zip(range(0, len(x), k), range(k, len(x) + k, k)):
            old = {name: tensor.data.copy() for name, tensor in p.items()}
            loss, h = chunk_loss(x[a:b], target[a:b], mg.Tensor(h.numpy()), p)
            for name, grad in mg.grad(loss, p).items():
                p[name].data[...] = old[name] - lr * grad
            losses.append(loss)
    return [loss.item() for loss in losses]
""",
    "states that require gradients at the borders": """
import numpy as np

def truncated_gradients(x, target, h0, p, k):
    h, found = mg.Tensor(h0, requires_grad=True), {name: np.zeros(tensor.shape) for name, tensor in p.items()}
    for number in range(-(-len(x) // k)):
        steps = slice(number * k, (number + 1) * k)
        loss, last = chunk_loss(x[steps], target[steps], h, p)
        for name, grad in mg.grad(loss, p).items():
            found[name] += grad
        h = mg.Tensor(last.numpy().copy(), requires_grad=True)
    return found
""",
    "the mean times the number of steps": """
def chunk_loss(x, target, h, p):
    hs = []
    for xt in x:
        h = mg.tanh(mg.Tensor(xt) @ p["W"] + h @ p["U"] + p["b"])
        hs.append(h)
    error = mg.stack(hs) @ p["V"] - target
    return (error * error).mean() * len(x), hs[-1]
""",
    "the product with W before all chunks, and a total of the losses": """
def truncated_gradients(x, target, h0, p, k):
    for tensor in p.values():
        tensor.grad = None
    xw, h, total = [row for row in mg.Tensor(x) @ p["W"] + p["b"]], mg.Tensor(h0), 0
    for start in range(0, len(x), k):
        losses = []
        for t in range(start, min(start + k, len(x))):
            h = mg.tanh(xw[t] + h @ p["U"])
            losses.append(mg.losses.mse(h @ p["V"], target[t]))
        loss = sum(losses)
        loss.backward()
        total, h = total + loss, h.detach()
    return {name: tensor.grad for name, tensor in p.items()}
""",
    "a pass for each step of a chunk, the last one first": """
def truncated_gradients(x, target, h0, p, k):
    h, found = mg.Tensor(h0), {name: 0 for name in p}
    for start in range(0, len(x), k):
        h, losses = h.detach(), []
        for t in range(start, min(start + k, len(x))):
            h = mg.tanh(x[t] @ p["W"] + h @ p["U"] + p["b"])
            losses.append(mg.losses.mse(h @ p["V"], target[t]))
        for loss in losses[::-1]:
            found = {name: found[name] + grad for name, grad in mg.grad(loss, p).items()}
    return found
""",
    "states as columns": """
def chunk_loss(x, target, h, p):
    h, total = h.T, 0
    for xt, yt in zip(x, target):
        h = mg.tanh(p["W"].T @ xt.T + p["U"].T @ h + p["b"].reshape(-1, 1))
        total = total + mg.losses.mse(p["V"].T @ h, yt.T)
    return total, h.T
""",
    "gradients cleared before and after": """
_cut, _train = truncated_gradients, train
def truncated_gradients(x, target, h0, p, k):
    found = _cut(x, target, h0, p, k)
    for tensor in p.values():
        tensor.grad = None
    return found

def train(x, target, h0, p, k, lr, epochs):
    losses = _train(x, target, h0, p, k, lr, epochs)
    for tensor in p.values():
        tensor.grad = None
    return losses
""",
}

A6 = {
    "a lambda": """
_definition = definition
definition = lambda W, U, V: _definition(W, U, V)  # noqa: E731
nan = lambda: (53, "log")  # noqa: E731
""",
    "arguments by other names, and further ones": """
_definition = definition
def definition(into, recurrent, out, name="controller", *, draw=False):
    return _definition(into, recurrent, out)


def vanishing(variant=0):
    return 19, "tanh"
""",
    "any number of arguments": """
_definition = definition
def definition(*parameters):
    return _definition(*parameters)
""",
    "an object that can be called": """
class Definition:
    def __call__(self, W, U, V):
        cell = Cell("controller")
        x, e = cell.input("x", V.shape[0]), cell.signal("e", V.shape[0])
        h, y = cell.signal("h", V.shape[1]), cell.signal("y", V.shape[0])
        y[t] = V @ h[t]
        h[t] = mg.tanh(U @ h[t-2] + W @ e[t])
        e[t] = -1 * (y[t-1] - x[t])
        return cell


definition = Definition()
""",
    "sizes found by hand": """
def definition(W, U, V):
    H, D = len(W.numpy()), W.size // len(W.numpy())
    cell = Cell("a controller")
    x = cell.input("x", D)
    y = cell.signal("y", D)
    e = cell.signal("e", D)
    h = cell.signal("h", H)
    e[t] = x[t] - y[t-1]
    h[t] = np.tanh(mg.matmul(W, e[t]) + mg.matmul(U, h[t-2]))
    y[t] = mg.matmul(V, h[t])
    return cell
""",
    "one product for both": """
def definition(W, U, V):
    (H, D), cell = W.shape, Cell("controller")
    x, e, h, y = cell.input("x", D), cell.signal("e", D), cell.signal("h", H), cell.signal("y", D)
    both = mg.concatenate([W, U], axis=1)
    e[t] = x[t] - y[t-1]
    h[t] = np.tanh(both @ mg.concatenate([e[t], h[t-2]]))
    y[t] = V @ h[t]
    return cell
""",
    "a chain of signals for the delay": """
def definition(W, U, V):
    (H, D), cell = W.shape, Cell("controller")
    x, e, h, y = cell.input("x", D), cell.signal("e", D), cell.signal("h", H), cell.signal("y", D)
    before, product, fed = cell.signal("before", H), cell.signal("product", H), cell.signal("fed", D)
    fed[t] = y[t-1]
    before[t] = h[t-1]
    product[t] = U @ before[t-1]
    e[t] = x[t] - fed[t]
    h[t] = np.tanh(W @ e[t] + product[t])
    y[t] = V @ h[t]
    return cell
""",
    "signals without a place in the loop": """
_definition = definition
def definition(W, U, V):
    cell = _definition(W, U, V)
    seen = cell.signal("energy", ())
    seen[t] = (cell.signals["h"][t] ** 2).sum()
    return cell
""",
    "edges from a generator": """
_edges = unrolled_edges
def unrolled_edges():
    yield from reversed(_edges())
""",
    "edges in an array": """
_edges = unrolled_edges
def unrolled_edges():
    return np.array(_edges())
""",
    "edges as the keys of a dict, and named tuples": """
from collections import namedtuple

_edges = unrolled_edges
Edge = namedtuple("Edge", "source target")
def unrolled_edges():
    return {Edge(a, b): 1 for a, b in _edges()}.keys()
""",
    "answers that a program finds": """
def _repaired(edge):
    direct = {*_EDGES} - {edge}
    names = {a for pair in direct for a in pair}
    while names:
        first = next((name for name in sorted(names) if not any((other, name) in direct for other in names)), None)
        if first is None:
            return False
        names.discard(first)
    return True


_EDGES = [("s", "p"), ("q", "r"), ("p", "r"), ("r", "s"), ("u", "s"), ("p", "u"), ("u", "y")]  # without delay
def repair():
    return next(edge for edge in _EDGES if _repaired(edge))
""",
    "the step's whole line, from the debugger": """
def nan():
    return 53, "log"[:3].upper()


def vanishing():
    return np.array([19]), "  tanh "
""",
    "arrays of one number, numbers as float32": """
def contributions():
    return np.array(4), np.array([1.837])


def my_contributions():
    return np.int8(3), np.float32(1.37)
""",
    "answers as lists": """
def repair():
    return ["s", "p"]


def nan():
    return [53, "log"]


def delay_free_loop():
    return np.array(["u", "s", "p"])
""",
    "prints, warnings and a computation when it is imported": """
import warnings

_cell = definition(*(mg.Tensor(np.ones(shape)) for shape in ((3, 2), (3, 3), (2, 3))))
_run = _cell.unroll(x=np.ones((3, 2)))
print(len(_run.edges()), "edges")
warnings.warn("a warning of the file's own")


def unrolled_edges():
    return [(f"{a.signal}[{a.t}]", f"{b.signal}[{b.t}]") for a, b in _run.edges()]
"""}

UNUSUAL = {"a1": A1, "a2": A2, "a3": A3, "a4": A4, "a5": A5, "a6": A6}
