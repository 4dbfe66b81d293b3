"""What weights do to counts: how much a weighted sample knows, and its quantiles.

Axes: E events.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def shared_weight(weight: Array) -> float | None:
    """The positive weight that all events have, or None where they differ."""
    if len(weight) and weight[0] > 0 and bool((weight == weight[0]).all()):
        return float(weight[0])
    return None


def relative(weight: Array) -> Array:
    """[E] ones where all events weigh the same, for then weights say nothing; else as they are."""
    return weight if shared_weight(weight) is None else np.ones(len(weight))


def effective(weight: Array) -> float:
    """Events of equal weight that would fluctuate as much: (sum w)^2 / sum w^2."""
    squares = float(np.sum(weight**2))
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def quantile(values: Array, weight: Array, q: float) -> float:
    """A value that a share q of the summed weight lies below.

    Equal weights give numpy's quantile, which interpolates. Others give the least value that
    at least the share lies at or below; it is moved halfway to the next, so that rounding has no
    say in which side an event is on. With negative weights, where several values may qualify, it
    is the highest of them.

    Args:
        values: [E]
        weight: [E], of positive sum.
        q: between 0 and 1.
    """
    if shared_weight(weight) is not None:
        return float(np.quantile(values, q))
    order = np.argsort(values, kind="stable")
    ordered, running = values[order], np.cumsum(weight[order])
    wanted = q * running[-1] - 1e-12 * np.abs(weight).sum()
    short = np.flatnonzero(running < wanted)
    place = min(short[-1] + 1 if len(short) else 0, len(ordered) - 1)
    after = np.searchsorted(ordered, ordered[place], side="right")
    return float((ordered[place] + ordered[min(after, len(ordered) - 1)]) / 2)
