"""Likelihood ratios to the saturated model (Baker and Cousins, NIM 221 (1984) 437).

Axes: M bins, N pseudo-experiments.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from raybead.hunt.histogram import Array


def poisson_deviance(counts: Array, expected: Array, axis: int = 0) -> Array:
    """-2 log of the likelihood ratio of Poisson counts to their expectations.

    Args:
        counts: effective ones, where events differ in weight.
        expected: bins in which nothing is expected are left out.
        axis: of the bins.
    """
    there = expected > 0
    ratio = np.where(there, counts, 0.0) / np.where(there, expected, 1.0)
    terms = special.xlogy(counts, np.where(ratio > 0, ratio, 1.0)) - counts + expected
    return 2 * np.where(there, terms, 0.0).sum(axis=axis)


def two_sample_deviance(some: Array, others: Array) -> Array:
    """[N] -2 log of the likelihood ratio of one shape for two histograms [N, M] of (effective)
    counts, both of which fluctuate, and their numbers of events free."""
    every = some + others
    share = some.sum(axis=1, keepdims=True) / np.maximum(every.sum(axis=1, keepdims=True), 1e-300)
    both = np.stack([some, others])
    expected = np.stack([every * share, every * (1 - share)])
    safe = np.where(expected > 0, expected, 1.0)
    ratio = np.where(both > 0, both / safe, 1.0)
    return 2 * special.xlogy(both, ratio).sum(axis=(0, 2))
