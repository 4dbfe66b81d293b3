"""What every background prediction can say.

Axes: M bins, N pseudo-experiments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.histogram import Array, Histogram


@dataclass(frozen=True)
class Compared:
    """Outliers and predictions for them, each from the same bins alone."""

    seen: Array
    """[N, M] sums; 0 in bins that were left out."""
    expected: Array
    """[N, M] likewise."""
    variance: Array
    """[N, M] of what the prediction takes from elsewhere than the outliers."""
    deviance: Array
    """[N] -2 log likelihood ratio to the saturated model."""


@dataclass(frozen=True)
class Outside:
    """A prediction made anew from some of the bins alone, for these bins."""

    data: Compared
    """N = 1"""
    toys: Compared
    """Pseudo-experiments of the data's prediction, each with one of its own."""
    parameters: int
    """That were fitted to the outliers of these bins; 0 where they allow none."""


class Background(Protocol):
    """A prediction for the outliers, with what it takes to make it anew."""

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

    def refit(self, outliers: Histogram, others: Histogram) -> Array:
        """[N, M] what the same recipe predicts for each of N pseudo-experiments [N, M]."""
        ...

    def outside(self, kept: NDArray[np.bool_], rng: np.random.Generator, n: int) -> Outside:
        """The prediction by and of the bins that are kept [M], with n pseudo-experiments."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What went otherwise than asked for, in words."""
        ...


def per_event(every: Histogram) -> Array:
    """[M] or [N, M] what an event of a bin weighs; a bin whose weights don't sum to anything
    positive borrows from all of them."""
    return np.where(every.sums > 0, every.per_event, every.total().per_event[..., None])


def effective_counts(outliers: Histogram, others: Histogram) -> tuple[Array, Array]:
    """Outliers as (effective) counts, and how many of them an event weighing one is.

    Sums fluctuate like a Poisson count times what an event of the bin weighs
    (arXiv:1309.1287). Sums below 0, which weights of both signs can give, count as 0.

    Returns:
        Both of the outliers' shape.
    """
    sums = outliers.sums.astype(np.float64)
    if outliers.are_counts:
        return sums, np.ones_like(sums)
    share = 1 / per_event(outliers + others)
    return np.maximum(sums, 0.0) * share, share


def drawn(counts: Array | NDArray[np.int64], weight: Array, like: Histogram) -> Histogram:
    """Counts of pseudo-experiments [N, M] as histograms of events like those of another."""
    if like.are_counts:
        return Histogram.counted(counts.astype(np.int64))
    return Histogram(counts * weight, counts * weight**2)


def scarcity(outliers: Histogram, expected: Array) -> tuple[str, ...]:
    """What is thin or missing in a prediction [M] and what it is of, in words."""
    said = []
    n_bins = len(expected)
    events = float(outliers.total().effective)
    if events < n_bins:
        said.append(
            f"{events:.0f} outliers in {n_bins} bins: single events decide, take a softer cut"
        )
    if (below := int(np.sum(outliers.sums < 0))) > 0:
        said.append(f"in {below} of {n_bins} bins the outliers' weights sum to less than 0")
    if (missing := int(np.sum(expected <= 0))) > 0:
        said.append(
            f"nothing is predicted for {missing} of {n_bins} bins: windows of them alone can't be"
            " judged"
        )
    return tuple(said)
