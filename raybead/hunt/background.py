"""What the outliers' m_jj histogram should be without a resonance, and toys of it.

Axes: M bins, N toys, E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Histogram


class Background(Protocol):
    """A prediction for the outliers, and pseudo-experiments with all its uncertainties."""

    @property
    def expected(self) -> Array:
        """[M] events, or their summed weights."""
        ...

    @property
    def uncertainty(self) -> Array:
        """[M] standard deviation of the prediction itself, without the outliers' own."""
        ...

    @property
    def per_event(self) -> Array:
        """[M] what an event of a bin weighs: the outliers' own variance is this times expected."""
        ...

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        """Pseudo-experiments: outliers [n, M], and what each would predict, [n, M] or [1, M]."""
        ...


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
        return _per_event(self.outliers + self.others)

    @property
    def _scale(self) -> float:
        return self.outliers.sums.sum() / self.others.sums.sum()

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
        drawn_N1, left_N1 = sums.sum(axis=1, keepdims=True), left.sum(axis=1, keepdims=True)
        fine_N1 = (drawn_N1 > 0) & (left_N1 > 0)
        scale_N1 = np.where(fine_N1, drawn_N1 / np.where(fine_N1, left_N1, 1.0), 0.0)
        return Histogram(sums, squares), left * scale_N1


def _per_event(every: Histogram) -> Array:
    # A bin whose weights don't sum to anything positive borrows from all of them.
    return np.where(every.sums > 0, every.per_event, every.total().per_event)


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
        return _per_event(self.outliers + self.others)

    def toys(self, rng: np.random.Generator, n: int) -> tuple[Histogram, Array]:
        expected, per_event = self.expected, self.per_event
        counts = rng.poisson(expected / per_event, size=(n, len(expected)))
        if self.outliers.are_counts:
            return Histogram.counted(counts), expected[None, :]
        return Histogram(counts * per_event, counts * per_event**2), expected[None, :]


def predict(
    outliers: Histogram, others: Histogram, events: Events | None, edges: Array, config: Hunt
) -> Background:
    """The background that a job asks for.

    Args:
        outliers: of the mass window.
        others: its other events.
        events: all of them, one by one, where the histograms aren't counts.
        edges: of the bins [GeV].
        config: which background.

    Raises:
        HuntError: the histograms don't allow it.
    """
    if not outliers.squares.any():
        raise HuntError("no event in the mass window passes the cut; take a softer one")
    if not others.squares.any():
        raise HuntError("every event in the mass window passes the cut: nothing predicts them")
    for which, part in (("outliers", outliers), ("other events", others)):
        if (total := part.total().sums) <= 0:
            raise HuntError(
                f"the weights of the {which} in the mass window sum to {total:g}, which is not"
                " above 0: nothing can be normalised to them; take a softer cut or more events"
            )
    match config.background:
        case "non-outliers":
            return NonOutliers(outliers, others, events)
        case "ratio-polynomial":
            return RatioPolynomial.fit(outliers, others, edges)


@dataclass(frozen=True)
class Agreement:
    """How well a prediction describes the outliers, away from the most significant window."""

    chi2: float
    ndf: int
    p: float


def agreement(outliers: Histogram, background: Background, without: slice) -> Agreement:
    """Pearson chi2 of bins with at least 5 (effective) expected events, the window left out.

    The prediction is normalised to the bins compared, so that a signal in the window isn't
    held against it; one degree of freedom is spent on that.
    """
    used = background.expected / background.per_event >= 5
    used[without] = False
    predicted = float(background.expected[used].sum())
    seen = float(outliers.sums[used].sum())
    scale = seen / predicted if predicted and seen > 0 else 1.0
    expected = scale * background.expected
    own = expected[used] * background.per_event[used]
    variance = own + (scale * background.uncertainty[used]) ** 2
    chi2 = float(np.sum((outliers.sums[used] - expected[used]) ** 2 / variance))
    ndf = max(int(used.sum()) - 1, 0)
    return Agreement(chi2, ndf, float(stats.chi2.sf(chi2, ndf)) if ndf else 1.0)
