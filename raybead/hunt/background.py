"""What the outliers' m_jj histogram should be without a resonance, and toys of it.

Axes: M bins, N toys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.config import Hunt
from raybead.errors import HuntError

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class Background(Protocol):
    """A prediction for the outliers, and pseudo-experiments with all its uncertainties."""

    @property
    def expected(self) -> Array:
        """[M] events."""
        ...

    @property
    def uncertainty(self) -> Array:
        """[M] standard deviation of the prediction itself, without the outliers' own."""
        ...

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Counts, Array]:
        """Pseudo-experiments: outliers [n, M], and what each would predict, [n, M] or [1, M]."""
        ...


@dataclass(frozen=True)
class NonOutliers:
    """The non-outliers' histogram, scaled to the number of outliers.

    Where the cut doesn't depend on m_jj, who is an outlier and who isn't is a matter of chance
    alone. A toy draws that chance again: it deals the outliers' number out among all events of
    all bins (multivariate hypergeometric), and makes its template of what is left. So template
    and outliers fluctuate together as they do in data, no count is assumed known that isn't,
    and the p-value is exact for any test statistic (a permutation test), as far as the threshold
    is right: what its fit gets wrong isn't in the toys.
    """

    outliers: Counts
    others: Counts

    @property
    def expected(self) -> Array:
        return np.float64(self._scale) * self.others.astype(np.float64)

    @property
    def uncertainty(self) -> Array:
        return np.sqrt(self.others) * np.float64(self._scale)

    @property
    def _scale(self) -> float:
        return self.outliers.sum() / self.others.sum()

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Counts, Array]:
        every = self.outliers + self.others
        drawn = int(self.outliers.sum())
        counts = rng.multivariate_hypergeometric(every, drawn, size=n, method="marginals")
        left = every - counts
        return counts, left * (drawn / (every.sum() - drawn))


@dataclass(frozen=True)
class RatioPolynomial:
    """Non-outliers times a fourth-order polynomial fitted to the ratio of the two histograms.

    The published study's recipe, kept for comparison. The polynomial is fitted to the data it
    then predicts, and toys hold it fixed: p-values come out too small, and at hard cuts it
    swallows the signal.
    """

    outliers: Counts
    others: Counts
    coefficients: tuple[float, ...]
    centres: Array

    ORDER = 4

    @classmethod
    def fit(cls, outliers: Counts, others: Counts, edges: Array) -> RatioPolynomial:
        centres = (edges[1:] + edges[:-1]) / 2
        filled = (others > 0) & (outliers > 0)
        if filled.sum() <= cls.ORDER + 1:
            raise HuntError(
                f"only {int(filled.sum())} bins hold outliers and others: too few to fit a"
                f" polynomial of order {cls.ORDER}; take a softer cut, or non-outliers"
            )
        ratio = outliers[filled] / others[filled]
        error = ratio * np.sqrt(1 / outliers[filled] + 1 / others[filled])
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
        return np.maximum(ratio, 0.0) * self.others.astype(
            np.float64
        )  # where it falls below zero it says nothing

    @property
    def uncertainty(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = 1 / np.sqrt(self.others)
        return np.where(self.others > 0, self.expected * relative, 0.0)

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Counts, Array]:
        expected = self.expected
        return rng.poisson(expected, size=(n, len(expected))), expected[None, :]


def predict(outliers: Counts, others: Counts, edges: Array, config: Hunt) -> Background:
    """The background that a job asks for.

    Raises:
        HuntError: the histograms don't allow it.
    """
    if outliers.sum() == 0:
        raise HuntError("no event in the mass window passes the cut; take a softer one")
    if others.sum() == 0:
        raise HuntError("every event in the mass window passes the cut: nothing predicts them")
    match config.background:
        case "non-outliers":
            return NonOutliers(outliers, others)
        case "ratio-polynomial":
            return RatioPolynomial.fit(outliers, others, edges)


@dataclass(frozen=True)
class Agreement:
    """How well a prediction describes the outliers, away from the most significant window."""

    chi2: float
    ndf: int
    p: float


def agreement(outliers: Counts, background: Background, without: slice) -> Agreement:
    """Pearson chi2 of bins with at least 5 expected events, the window left out.

    The prediction is normalised to the bins compared, so that a signal in the window isn't
    held against it; one degree of freedom is spent on that.
    """
    used = background.expected >= 5
    used[without] = False
    predicted = float(background.expected[used].sum())
    scale = float(outliers[used].sum()) / predicted if predicted else 1.0
    expected = scale * background.expected
    variance = expected[used] + (scale * background.uncertainty[used]) ** 2
    chi2 = float(np.sum((outliers[used] - expected[used]) ** 2 / variance))
    ndf = max(int(used.sum()) - 1, 0)
    return Agreement(chi2, ndf, float(stats.chi2.sf(chi2, ndf)) if ndf else 1.0)
