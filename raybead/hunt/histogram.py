"""Histograms that know how they fluctuate.

Axes: N histograms, M bins, E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Histogram:
    """Summed weights of the events of every bin.

    A sum of weights is taken to fluctuate like a Poisson count times :attr:`per_event`, the
    scaled Poisson distribution of Bohm and Zech (NIM A 748 (2014) 1, arXiv:1309.1287), which
    has the sum's first two moments.
    """

    sums: Array | Counts
    """[M] or [N, M]; whole numbers where it is events that are counted."""
    squares: Array | Counts
    """Sums of squared weights, of the same shape: the variance of the sums."""

    @classmethod
    def counted(cls, counts: Counts) -> Histogram:
        """Of events that weigh one."""
        return cls(counts, counts)

    @classmethod
    def of(cls, mjj: Array, weight: Array | None, edges: Array) -> Histogram:
        """Of masses [E]; without weights they are counted."""
        if weight is None:
            return cls.counted(np.histogram(mjj, edges)[0].astype(np.int64))
        sums, squares = (np.histogram(mjj, edges, weights=w)[0] for w in (weight, weight**2))
        return cls(sums, squares)

    @property
    def are_counts(self) -> bool:
        return np.issubdtype(self.sums.dtype, np.integer)

    @property
    def per_event(self) -> Array:
        """What an event weighs, sum w^2 / sum w; 1 where the sum isn't positive."""
        filled = self.sums > 0
        return np.where(filled, self.squares / np.where(filled, self.sums, 1), 1.0)

    @property
    def effective(self) -> Array:
        """Effective counts (sum w)^2 / sum w^2; 0 where the sum isn't positive."""
        return np.maximum(self.sums, 0) / self.per_event

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.sums + other.sums, self.squares + other.squares)

    def __getitem__(self, bins: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Histogram:
        """Some of the bins."""
        return Histogram(self.sums[..., bins], self.squares[..., bins])

    def row(self) -> Histogram:
        """[1, M] this one as the only of N."""
        return Histogram(self.sums[None], self.squares[None])

    def total(self) -> Histogram:
        """All bins in one, [] or [N]."""
        return Histogram(self.sums.sum(axis=-1), self.squares.sum(axis=-1))
