"""Global p-values from pseudo-experiments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.hunt.background import Background
from raybead.hunt.scan import Windows, local_p, test_statistic

CHUNK = 1000
"""Toys drawn at a time, each chunk from a seed of its own: the same toys however they are
shared out among workers."""


def toy_statistics(
    background: Background, windows: Windows, n: int, seed: tuple[int, ...], first: int = 0
) -> NDArray[np.float64]:
    """Test statistics [n] of pseudo-experiments without a signal.

    Args:
        background: that toys are drawn from.
        windows: of the scan.
        n: toys, a whole number of chunks or less than one.
        seed: of the whole ensemble.
        first: number of the first chunk in the ensemble.
    """
    parts = []
    for chunk, start in enumerate(range(0, n, CHUNK), first):
        rng = np.random.default_rng([*seed, chunk])
        outliers, expected = background.toys(rng, min(CHUNK, n - start))
        parts.append(test_statistic(local_p(outliers, expected, windows)))
    return np.concatenate(parts)


def significance_of(p: float) -> float:
    """One-sided significance in standard deviations; 0 for p-values of a half and above."""
    return max(0.0, float(stats.norm.isf(max(p, 1e-300))))


@dataclass(frozen=True)
class GlobalP:
    """The chance of a bump at least as significant, anywhere in the scan, without a signal."""

    p: float
    """(k + 1) / (n + 1): never zero, and uniform or larger where there is no signal."""
    low: float
    high: float
    """Clopper-Pearson interval of k / n, 68.3 %."""
    beyond: int
    """k: toys at least as extreme as the data."""
    toys: int

    @classmethod
    def of(cls, observed: float, toys: NDArray[np.float64]) -> GlobalP:
        # Equal statistics count as beyond: counts are discrete, and ties are common.
        n, k = len(toys), int(np.sum(toys >= observed * (1 - 1e-10)))
        tail = stats.norm.sf(1.0)
        low = stats.beta.ppf(tail, k, n - k + 1) if k > 0 else 0.0
        high = stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
        return cls((k + 1) / (n + 1), float(low), float(high), k, n)

    @property
    def significance(self) -> float:
        """See :func:`significance_of`."""
        return significance_of(self.p)
