"""Masked batches and their oracle: every sequence alone, with its masked steps deleted.

`draw_definition` makes definitions with delays to 3, leads, loops in both directions, and values before and after the
sequence; `alone` computes a batch sequence by sequence; engines are compared with it by `compare`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from rnn import Cell, T, t
from rnn.language.cycles import check, held_signals
from rnn.language.dependencies import Boundary, DefinitionError, boundaries

SIZE = 2


def draw_definition(rng: np.random.Generator) -> Cell:
    """Return a random definition that can be computed, with a loss L."""
    while True:
        cell = _draw(rng)
        try:
            check(cell)
        except DefinitionError:
            continue
        _set_boundaries(cell, rng)
        return cell


def _draw(rng: np.random.Generator) -> Cell:
    cell = Cell("drawn")
    count = int(rng.integers(1, 5))
    x = cell.input("x", SIZE)
    signals = [cell.signal(f"s{i}", SIZE) for i in range(count)]
    leads = rng.choice([0, 0, 0, 1, 1, 2, -1], count)
    for i, signal in enumerate(signals):
        total: Any = float(rng.normal())
        for n in range(int(rng.integers(1, 4))):
            source = x if rng.random() < 0.35 else signals[int(rng.integers(count))]
            weight = mg.Tensor(rng.normal(size=(SIZE, SIZE)) * 0.5, requires_grad=True, name=f"w{i}_{n}")
            total = total + weight @ source[t + int(rng.choice([-3, -2, -1, -1, -1, 0, 0, 0, 1, 1, 2]))]
        function = [np.tanh, mg.sigmoid, lambda a: a * np.tanh(a), lambda a: 0.5 * a][int(rng.integers(4))]
        signal[t + int(leads[i])] = function(total)
    loss = cell.signal("L", ())
    scale = mg.Tensor(rng.normal(size=SIZE), requires_grad=True, name="scale")
    loss[t] = sum((scale * s[t] * s[t]).sum(axis=-1) for s in signals)
    if rng.random() < 0.3:
        watcher = cell.signal("watcher", ())
        watcher[t] = loss[t] - loss[t + int(rng.choice([-1, 1]))]
    return cell


def _set_boundaries(cell: Cell, rng: np.random.Generator) -> None:
    for name, outside in boundaries(cell).items():
        signal = cell.signals[name]
        for end, steps in (("", outside.before), ("T", outside.after)):
            if not signal.given and rng.random() < 0.4:
                continue
            for k in steps:
                value: Any = rng.normal(size=signal.shape)
                if rng.random() < 0.6:
                    value = mg.Tensor(value, requires_grad=True, name=f"{name}{end}{k}")
                signal[T + k if end else k] = value


def draw_mask(rng: np.random.Generator, steps: int, batch: int, holes: bool) -> Any:
    """Return a mask (steps, batch): of sequences that end, or with holes; the first sequence has at least one step."""
    if holes:
        mask = rng.random((steps, batch)) < rng.choice([0.4, 0.7, 0.9])
    else:
        mask = np.arange(steps)[:, None] < rng.integers(0, steps + 1, batch)
    mask[0, 0] = True
    return mask


class Results(NamedTuple):
    """Everything that a run of a batch must agree in with its sequences alone."""

    loss: float
    values: dict[str, Any]  # signal -> (T, batch, ...), zero at masked steps
    held: dict[str, Any]  # signal on a cycle -> (T, batch, ...)
    gradients: dict[str, Any]  # parameter, and "data" -> its gradient
    state: dict[tuple[str, int], Any]  # (signal, step) -> (batch, ...)
    final: dict[str, Any]  # signal -> (batch, ...); NaN for sequences without steps


def gradients_of(cell: Cell) -> dict[str, Any]:
    return {name: np.zeros(p.shape) if p.grad is None else p.grad for name, p in cell.parameters.items()}


def clear(cell: Cell) -> None:
    for parameter in cell.parameters.values():
        parameter.grad = None


def alone(cell: Cell, x: Any, mask: Any) -> Results:
    """Return the results of each sequence by itself, spread over the columns of the batch."""
    clear(cell)
    steps, batch = mask.shape
    names = list(cell.signals)
    shapes = {name: cell.signals[name].shape or () for name in names}
    values = {name: np.zeros((steps, batch, *shapes[name])) for name in names}
    held = {signal.name: np.zeros((steps, batch, *shapes[signal.name])) for signal in held_signals(cell)}
    directions = {signal.name: sign for signal, sign in held_signals(cell).items()}
    outside = boundaries(cell)
    state = {(name, k): np.zeros((batch, *shapes[name])) for name, ends in outside.items() for k in ends.before}
    final = {name: np.full((batch, *shapes[name]), np.nan) for name in names}
    data = np.zeros_like(x)
    loss = 0.0
    for b in range(batch):
        columns = np.flatnonzero(mask[:, b])
        n = len(columns)
        if not n:
            for name, k in state:
                state[name, k][b] = _value_before(cell, name, k)
            for name, sign in directions.items():
                held[name][:, b] = _outermost(cell, name, sign)
            continue
        own = mg.Tensor(x[columns, b], requires_grad=True)
        run = cell.unroll(x=own)
        total = run["L"].stack().sum()
        if total.requires_grad:
            total.backward()
        loss += total.item()
        data[columns, b] = 0 if own.grad is None else own.grad
        for name in names:
            values[name][columns, b] = run[name].stack().numpy()
            final[name][b] = run[name][n].numpy()
        for name, k in state:
            state[name, k][b] = run[name][n + k].numpy()
        count = np.cumsum(mask[:, b])
        for name, sign in directions.items():
            copies = run[name].tensors
            for column in range(steps):
                step = int(count[column]) if sign > 0 else int(count[column] + 1 - mask[column, b])
                if 1 <= step <= n or step in copies:
                    held[name][column, b] = copies[step].numpy()
                else:
                    held[name][column, b] = _outermost(cell, name, sign)
    return Results(loss, values, held, {**gradients_of(cell), "data": data}, state, final)


def _value_before(cell: Cell, name: str, k: int) -> Any:
    signal = cell.signals[name]
    return signal.initial[k].numpy() if k in signal.initial else 0.0


def _outermost(cell: Cell, name: str, sign: int) -> Any:
    """Return the value that a signal on a cycle has where it has no own step yet: h[0], or h[1] after h[t+1] = ..."""
    signal = cell.signals[name]
    before, after = boundaries(cell).get(name, Boundary(range(0), range(0)))
    known: dict[int, Any] = {k: signal.final.get(k) for k in after}
    known.update((k, signal.initial.get(k)) for k in before)
    nearest, other = (0, 1) if sign > 0 else (1, 0)
    value = known.get(nearest, known.get(other) if signal.lead * sign > 0 else None)
    return 0.0 if value is None else value.numpy()
