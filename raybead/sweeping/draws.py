"""Draws of the judged events that errors are told by: the same for every trial.

Axes: R replicas, E events.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raybead.sweeping.records import Quantity

Array = NDArray[np.float64]
Times = NDArray[np.int16]

_BLOCK = 2_000_000
"""Multiplicities that are looked at together."""


def draws(n: int, replicas: int, seed: int, sample: int = 0) -> Times:
    """[R, E] how often each event is in each replica, events drawn with replacement.

    A draw is of places in a table, by ``(seed, replica, sample)``. It knows nothing of scores, so
    replica r is of the same events in every trial.

    Args:
        n: events of the sample; as many are drawn.
        replicas: R.
        seed: of all trials.
        sample: which of several; those of different ones are independent.
    """
    times = np.zeros((replicas, n), dtype=np.int16)
    for r in range(replicas):
        rng = np.random.default_rng((seed, r, sample))
        times[r] = np.bincount(rng.integers(0, n, n), minlength=n) if n else 0
    return times


def told(statistic: Callable[[Array], Array], times_RE: Times) -> Quantity:
    """What a statistic is of the events themselves, and of every replica.

    Args:
        statistic: [R] of multiplicities [R, E].
        times_RE: of the replicas.
    """
    n = times_RE.shape[1]
    step = max(1, _BLOCK // max(n, 1))
    blocks = [times_RE[r : r + step].astype(np.float64) for r in range(0, len(times_RE), step)]
    replicas = [float(x) for block in blocks for x in statistic(block)]
    return Quantity(value=float(statistic(np.ones((1, n)))[0]), replicas=tuple(replicas))
