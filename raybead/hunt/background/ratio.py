"""The published study's recipe: a polynomial in the ratio of outliers to non-outliers.

Axes: M bins, N pseudo-experiments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.background.prediction import per_event
from raybead.hunt.histogram import Array, Histogram


@dataclass(frozen=True)
class RatioPolynomial:
    """Non-outliers times a fourth-order polynomial fitted to the ratio of the two histograms.

    The published study's recipe, kept for comparison. The polynomial is fitted to the data it
    then predicts, and toys hold it fixed: p-values come out too small, and at hard cuts it
    swallows the signal.
    """

    outliers: Histogram
    others: Histogram
    coefficients: tuple[float, ...]
    centres: Array

    ORDER = 4

    @classmethod
    def fit(cls, outliers: Histogram, others: Histogram, edges: Array) -> RatioPolynomial:
        centres = (edges[1:] + edges[:-1]) / 2
        filled = (others.sums > 0) & (outliers.sums > 0)
        if filled.sum() <= cls.ORDER + 1:
            raise HuntError(
                f"only {int(filled.sum())} bins hold outliers and others: too few to fit a"
                f" polynomial of order {cls.ORDER}; take a softer cut, or non-outliers"
            )
        ratio = outliers.sums[filled] / others.sums[filled]
        error = ratio * np.sqrt(1 / outliers[filled].effective + 1 / others[filled].effective)
        domain = [float(edges[0]), float(edges[-1])]
        fit = np.polynomial.Polynomial.fit(
            centres[filled], ratio, cls.ORDER, w=1 / error, domain=domain, window=[-1, 1]
        )
        # In units of the window, where it has its coefficients.
        unit = 2 * (centres - domain[0]) / (domain[1] - domain[0]) - 1
        return cls(outliers, others, tuple(float(c) for c in fit.coef), unit)

    @property
    def expected(self) -> Array:
        ratio = np.polynomial.Polynomial(self.coefficients)(self.centres)
        # Where it falls below zero it says nothing.
        return np.maximum(ratio, 0.0) * np.maximum(self.others.sums, 0).astype(np.float64)

    @property
    def uncertainty(self) -> Array:
        n = self.others.effective
        relative = 1 / np.sqrt(np.where(n > 0, n, 1.0))
        return np.where(n > 0, self.expected * relative, 0.0)

    @property
    def per_event(self) -> Array:
        return per_event(self.outliers + self.others)

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        expected, weight = self.expected, self.per_event
        counts = rng.poisson(expected / weight, size=(n, len(expected)))
        if self.outliers.are_counts:
            return Histogram.counted(counts), expected[None, :]
        return Histogram(counts * weight, counts * weight**2), expected[None, :]
