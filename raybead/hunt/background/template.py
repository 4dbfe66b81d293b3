"""Scaled non-outliers: the other events' spectrum as a template.

Axes: M bins, N pseudo-experiments.
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
class NonOutliers:
    """The non-outliers' histogram, scaled to the number of outliers.

    Where the cut doesn't depend on m_jj, who is an outlier and who isn't is a matter of chance
    alone. Pseudo-experiments draw that chance again
    (:class:`~raybead.hunt.toys.Permutation`): each deals the outliers' number out among all
    events of all bins, and makes its template of what is left. So template and outliers fluctuate
    together as they do in data, no count is assumed known that isn't, and the p-value is exact
    for any test statistic (a permutation test), as far as the threshold is right: what its fit
    gets wrong isn't in the toys.

    Where events differ in weight, each keeps its own weight in its own bin. That is the same
    permutation, and as exact, where an event's weight says nothing of its score beyond what m_jj
    says.
    """

    outliers: Histogram
    others: Histogram

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
