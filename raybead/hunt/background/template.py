"""Scaled non-outliers: the other events' spectrum as a template.

Axes: M bins, N pseudo-experiments, E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.background.deviance import two_sample_deviance
from raybead.hunt.background.prediction import (
    Compared,
    Outside,
    effective_counts,
    per_event,
    scarcity,
)
from raybead.hunt.histogram import Array, Counts, Histogram


@dataclass(frozen=True)
class Events:
    """Events to deal out: the bin [E] that each is in, its weight [E], and how many to draw."""

    bin: NDArray[np.int64]
    weight: Array
    drawn: int


@dataclass(frozen=True)
class NonOutliers:
    """The non-outliers' histogram, scaled to the number of outliers.

    Where the cut doesn't depend on m_jj, who is an outlier and who isn't is a matter of chance
    alone. A toy draws that chance again: it deals the outliers' number out among all events of
    all bins (multivariate hypergeometric), and makes its template of what is left. So template
    and outliers fluctuate together as they do in data, no count is assumed known that isn't,
    and the p-value is exact for any test statistic (a permutation test), as far as the threshold
    is right: what its fit gets wrong isn't in the toys.

    Where events differ in weight, a toy draws as many of them as there are outliers, each with
    its own weight in its own bin. That is the same permutation, and as exact, where an event's
    weight says nothing of its score beyond what m_jj says.
    """

    outliers: Histogram
    others: Histogram
    events: Events | None = None
    """All events of the window, where the histograms aren't counts."""

    @property
    def expected(self) -> Array:
        return np.float64(self._scale) * self.others.sums.astype(np.float64)

    @property
    def uncertainty(self) -> Array:
        return np.sqrt(self.others.squares) * np.float64(self._scale)

    @property
    def per_event(self) -> Array:
        return per_event(self.outliers + self.others)

    @property
    def _scale(self) -> float:
        return self.outliers.sums.sum() / self.others.sums.sum()

    def refit(self, outliers: Histogram, others: Histogram) -> Array:
        return others.sums * _scales(outliers.sums, others.sums)

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        if self.events is not None:
            return self._dealt(self.events, rng, n)
        every = (self.outliers + self.others).sums.astype(np.int64)
        drawn = int(self.outliers.sums.sum())
        counts = rng.multivariate_hypergeometric(every, drawn, size=n, method="marginals")
        left = every - counts
        return Histogram.counted(counts), left * (drawn / (every.sum() - drawn))

    def _dealt(self, events: Events, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        n_bins = len(self.outliers.sums)
        sums, squares = np.empty((n, n_bins)), np.empty((n, n_bins))
        for toy in range(n):
            # One toy's events at a time: all at once would be n times the outliers in memory.
            index = rng.choice(len(events.bin), events.drawn, replace=False, shuffle=False)
            place, weight = events.bin[index], events.weight[index]
            sums[toy] = np.bincount(place, weight, n_bins)
            squares[toy] = np.bincount(place, weight**2, n_bins)
        every = (self.outliers + self.others).sums
        left = every - sums
        # A difference of sums leaves rounding where no event is left: that isn't a prediction.
        left[np.abs(left) < 1e-9 * np.bincount(events.bin, np.abs(events.weight), n_bins)] = 0.0
        return Histogram(sums, squares), left * _scales(sums, left)

    def outside(self, kept: NDArray[np.bool_], rng: np.random.Generator, n: int) -> Outside:
        """Pseudo-experiments deal out who is an outlier among the events of the kept bins, or
        among as many as the effective ones where weights differ."""
        some = effective_counts(self.outliers, self.others)[0] * kept
        rest = effective_counts(self.others, self.outliers)[0] * kept
        every = np.rint(some + rest).astype(np.int64)
        number = min(int(np.rint(some.sum())), int(every.sum()))
        dealt = rng.multivariate_hypergeometric(every, number, size=n, method="marginals")
        data = self._compared(
            some[None],
            rest[None],
            np.where(kept, self.outliers.sums, 0)[None],
            np.where(kept, self.others.sums, 0)[None],
            np.where(kept, self.others.squares, 0)[None],
        )
        weight, left = self.per_event, every - dealt
        toys = self._compared(
            dealt.astype(np.float64),
            left.astype(np.float64),
            dealt * weight,
            left * weight,
            left * weight**2,
        )
        return Outside(data, toys, int(data.expected.any()))

    @staticmethod
    def _compared(
        some: Array, rest: Array, seen: Array, others: Array, squares: Array
    ) -> Compared:
        scale = _scales(seen, others)
        return Compared(
            seen.astype(np.float64),
            scale * others,
            scale**2 * squares,
            two_sample_deviance(some, rest),
        )

    def warnings(self) -> tuple[str, ...]:
        return scarcity(self.outliers, self.expected)


def _scales(outliers_NM: Array | Counts, others_NM: Array | Counts) -> Array:
    """[N, 1] outliers over others; 0, which predicts nothing, where either sum isn't positive."""
    outliers_N1, others_N1 = (a.sum(axis=1, keepdims=True) for a in (outliers_NM, others_NM))
    fine_N1 = (outliers_N1 > 0) & (others_N1 > 0)
    return np.where(fine_N1, outliers_N1 / np.where(fine_N1, others_N1, 1), 0.0)
