"""The run test of Wald and Wolfowitz (Ann. Math. Stat. 11 (1940) 147)."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from raybead.hunt.histogram import Array


@dataclass(frozen=True)
class Runs:
    """Whether the bins above and below a prediction take turns as they would by chance."""

    runs: int
    """Neighbours on one side of the prediction, counted once."""
    above: int
    below: int
    p: float
    """Chance of as few runs, given how many are above and below: exact. 1 where all bins are on
    one side. A fit makes bins take turns a little more often than chance does: p is cautious."""


def run_test(residuals: Array) -> Runs:
    """Of residuals in order of mass; those of 0 are on no side and are left out."""
    sign = np.sign(residuals)[np.asarray(residuals) != 0]
    above, below = int(np.sum(sign > 0)), int(np.sum(sign < 0))
    runs = int(np.sum(sign[1:] != sign[:-1])) + 1 if len(sign) else 0
    if above == 0 or below == 0:
        return Runs(runs, above, below, 1.0)
    ways = sum(_ways(r, above, below) for r in range(2, runs + 1))
    return Runs(runs, above, below, ways / comb(above + below, above))


def _ways(runs: int, above: int, below: int) -> int:
    """Orders of the two kinds that have so many runs."""
    half, odd = divmod(runs, 2)
    if odd:
        return comb(above - 1, half) * comb(below - 1, half - 1) + comb(
            above - 1, half - 1
        ) * comb(below - 1, half)
    return 2 * comb(above - 1, half - 1) * comb(below - 1, half - 1)
