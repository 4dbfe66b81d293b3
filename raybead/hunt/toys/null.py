"""What pseudo-experiments without a signal are made of.

Axes: N toys, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from raybead.hunt.histogram import Array, Histogram

Spectra = tuple[tuple[Histogram, Histogram], ...]
"""Outliers and other events of every look, each [N, M]."""


class Null(Protocol):
    """Joint pseudo-experiments of all looks at one search sample."""

    def draw(self, rng: np.random.Generator, n: int) -> Spectra:
        """Outliers and others of every look in ``n`` toys."""
        ...


class Statistic(Protocol):
    """A number for every spectrum, higher where it is more like a signal."""

    def of(self, outliers: Histogram, others: Histogram, expected: Array) -> Array:
        """[N] of histograms [N, M] and predictions [N, M] or [1, M]."""
        ...


class Predicting(Protocol):
    """The part of a background that pseudo-experiments need."""

    def refit(self, outliers: Histogram, others: Histogram) -> Array:
        """[N, M], or [1, M] where it is held fixed: what each toy would predict."""
        ...


@dataclass(frozen=True)
class Look:
    """One cut of one model on one sample: how a spectrum of it becomes a number."""

    background: Predicting
    statistic: Statistic
