"""The published study's recipe: a polynomial in the ratio of outliers to non-outliers.

Axes: M bins, N pseudo-experiments, K coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.background.deviance import poisson_deviance
from raybead.hunt.background.loglinear import backward, cholesky, forward
from raybead.hunt.background.prediction import (
    Compared,
    Outside,
    drawn,
    effective_counts,
    per_event,
    scarcity,
)
from raybead.hunt.histogram import Array, Histogram


@dataclass(frozen=True)
class Ratios:
    """Polynomials fitted to ratios."""

    values: Array
    """[N, M], 0 where the polynomial falls below it."""
    errors: Array
    """[N, M] standard deviations, by the fit's covariance."""
    coefficients: Array
    """[N, K] of Legendre polynomials over the window."""
    order: NDArray[np.int64]
    """[N]"""
    floored: NDArray[np.bool_]
    """[N, M] where a polynomial fell below 0."""


@dataclass(frozen=True)
class RatioPolynomial:
    """Non-outliers times a fourth-order polynomial fitted to the ratio of the two histograms.

    The published study's recipe, kept for comparison. The fit is one of least squares to bins
    that hold both. The polynomial is fitted to the data it then predicts, and at hard cuts it
    swallows the signal. Where it falls below 0 the prediction is 0. Its order is two less than
    there are bins to fit, where they are few; without any the ratio is that of all events.
    """

    outliers: Histogram
    others: Histogram
    fitted: Ratios
    centres: Array
    """[M] of the bins, from -1 to 1 over the window."""

    ORDER = 4

    @classmethod
    def fit(cls, outliers: Histogram, others: Histogram, edges: Array) -> RatioPolynomial:
        """The polynomial for histograms [M] with bins between ``edges`` [GeV]."""
        low, high = float(edges[0]), float(edges[-1])
        unit = (edges[1:] + edges[:-1] - low - high) / (high - low)
        above, below = (Histogram(h.sums[None], h.squares[None]) for h in (outliers, others))
        return cls(outliers, others, ratios(above, below, unit, cls.ORDER), unit)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Of Legendre polynomials over the window."""
        return tuple(float(c) for c in self.fitted.coefficients[0])

    @property
    def expected(self) -> Array:
        return self.fitted.values[0] * np.maximum(self.others.sums, 0).astype(np.float64)

    @property
    def uncertainty(self) -> Array:
        fit = self.fitted.errors[0] * np.maximum(self.others.sums, 0)
        return np.hypot(fit, self.fitted.values[0] * np.sqrt(self.others.squares))

    @property
    def per_event(self) -> Array:
        return per_event(self.outliers + self.others)

    def refit(self, outliers: Histogram, others: Histogram) -> Array:
        others_NM = np.maximum(others.sums, 0)
        return ratios(outliers, others, self.centres, self.ORDER).values * others_NM

    def outside(self, kept: NDArray[np.bool_], rng: np.random.Generator, n: int) -> Outside:
        """Pseudo-experiments are of outliers and others that fluctuate by themselves."""
        pair = [
            Histogram(np.where(kept, part.sums, 0)[None], np.where(kept, part.squares, 0)[None])
            for part in (self.outliers, self.others)
        ]
        share = effective_counts(self.outliers, self.others)[1]
        others, own = (a * kept for a in effective_counts(self.others, self.outliers))
        fitted, data = self._compared(pair[0], pair[1], share)
        shape = (n, len(kept))
        toys = drawn(rng.poisson(data.expected * share, size=shape), 1 / share, self.outliers)
        rest = drawn(rng.poisson(others, size=shape), 1 / np.where(kept, own, 1.0), self.others)
        again = self._compared(toys, rest, share)[1]
        return Outside(data, again, int(fitted.order[0]) + 1)

    def _compared(
        self, outliers: Histogram, others: Histogram, share: Array
    ) -> tuple[Ratios, Compared]:
        fitted = ratios(outliers, others, self.centres, self.ORDER)
        expected = fitted.values * np.maximum(others.sums, 0)
        counts = np.maximum(outliers.sums, 0) * share
        return fitted, Compared(
            outliers.sums.astype(np.float64),
            expected,
            fitted.values**2 * others.squares,
            poisson_deviance(counts, share * expected, axis=1),
        )

    def warnings(self) -> tuple[str, ...]:
        said = list(scarcity(self.outliers, self.expected))
        if (order := int(self.fitted.order[0])) < self.ORDER:
            said.append(
                f"too few bins hold both outliers and others: the ratio polynomial is of order"
                f" {order} instead of {self.ORDER}"
            )
        if floored := int(self.fitted.floored[0].sum()):
            said.append(
                f"the ratio polynomial falls below 0 in {floored} of {len(self.centres)} bins,"
                " where nothing is predicted then"
            )
        return tuple(said)


def ratios(outliers: Histogram, others: Histogram, centres: Array, highest: int) -> Ratios:
    """Polynomials fitted to N ratios of histograms [N, M], each to the bins that hold both.

    Args:
        outliers: above the line.
        others: below it.
        centres: [M] of the bins, from -1 to 1.
        highest: order, where there are two bins more than that.
    """
    filled = (outliers.sums > 0) & (others.sums > 0)
    above, below = (np.where(filled, h.sums, 1).astype(np.float64) for h in (outliers, others))
    ratio = np.where(filled, above / below, 0.0)
    relative = sum(1 / np.where(filled, h.effective, 1.0) for h in (outliers, others))
    weight = np.where(filled, 1 / np.where(filled, ratio**2 * relative, 1.0), 0.0)
    n_fits, n_bins = ratio.shape
    order = np.clip(filled.sum(axis=1) - 2, 0, highest)
    columns_KM = np.polynomial.legendre.legvander(centres, highest).T.astype(np.float64)
    coefficients = np.zeros((n_fits, highest + 1))
    errors = np.zeros((n_fits, n_bins))
    # Where no bin holds both, all events' ratio.
    totals = [np.maximum(h.sums.sum(axis=1), 0).astype(np.float64) for h in (outliers, others)]
    coefficients[:, 0] = totals[0] / np.maximum(totals[1], 1e-300) * (totals[1] > 0)
    for k in np.unique(order[filled.any(axis=1)]):
        index = np.flatnonzero((order == k) & filled.any(axis=1))
        columns = columns_KM[: k + 1]
        rows, by = np.tril_indices(k + 1)
        # Ratios in units of each fit's own keep the matrix near 1.
        unit_B = weight[index].max(axis=1)
        own = weight[index] / unit_B[:, None]
        lower, definite = cholesky((columns[rows] * columns[by]) @ own.T, k + 1)
        found = backward(lower, forward(lower, columns @ (own * ratio[index]).T))
        good = index[definite]
        coefficients[good, : k + 1] = found.T[definite]
        for m in range(n_bins):
            at = np.repeat(columns[:, m : m + 1], len(index), axis=1)
            errors[good, m] = np.sqrt(np.sum(forward(lower, at) ** 2, axis=0) / unit_B)[definite]
    values = coefficients @ columns_KM
    return Ratios(np.maximum(values, 0.0), errors, coefficients, order, values < 0)
