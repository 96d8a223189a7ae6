"""Learning rate schedules: functions from the number of the update (0, 1, ...) to the rate.

    optimizer.lr = schedules.cosine(step, 0.1, steps=1000)
"""

from __future__ import annotations

import math

from .interactive.completion import public_names


def constant(step: int, rate: float) -> float:
    """Return the same rate always."""
    return rate


def linear(step: int, rate: float, steps: int, end: float = 0.0) -> float:
    """Go in a straight line from `rate` at update 0 to `end` at update `steps`, and stay there."""
    return rate + (end - rate) * _done(step, steps)


def warmup(step: int, rate: float, steps: int) -> float:
    """Go in a straight line up to `rate`: rate/steps at update 0, `rate` from update steps-1 on.

    Goyal et al., Accurate, large minibatch SGD (2017), section 2.2. Multiply it with another
    schedule, e.g. warmup(step, 1, 100) * cosine(step, 0.1, 1000).
    """
    return rate * _done(step + 1, steps)


def exponential(step: int, rate: float, factor: float, every: int = 1) -> float:
    """Multiply `rate` smoothly by `factor` per `every` updates: rate * factor ** (step / every)."""
    _done(step, every)
    return float(rate * factor ** (step / every))


def stepwise(step: int, rate: float, factor: float, every: int) -> float:
    """Multiply `rate` at once by `factor` after each `every` updates."""
    _done(step, every)
    return float(rate * factor ** (step // every))


def cosine(step: int, rate: float, steps: int, end: float = 0.0) -> float:
    """Follow half a cosine from `rate` at update 0 to `end` at update `steps`, and stay there.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts (ICLR 2017), eq. 5.
    """
    return end + (rate - end) * 0.5 * (1 + math.cos(math.pi * _done(step, steps)))


def _done(step: int, steps: int) -> float:
    """Return the part of `steps` that is over, from 0 to 1."""
    if step < 0 or not steps > 0:
        raise ValueError(f"updates are counted from 0, and a schedule has at least one: step {step}, steps {steps}")
    return min(step / steps, 1.0)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
