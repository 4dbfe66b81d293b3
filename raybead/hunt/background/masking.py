"""What fitted functions say of windows, with the windows' own bins or without them.

Axes: N spectra, W windows, B = N * W pairs of both, window by window within a spectrum, M bins,
K parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.background.falling import DijetFunctions
from raybead.hunt.histogram import Array


@dataclass(frozen=True)
class InWindows:
    """Predictions for windows."""

    expected: Array
    """[N, W] events, or their summed weights."""
    uncertainty: Array
    """[N, W] standard deviation of that, by the Fisher information of the fit. Where next to
    nothing is expected it is known as badly as the expectation."""
    fallback: NDArray[np.bool_]
    """[N, W] where no function could be fitted, and another one's shape was scaled instead."""

    @classmethod
    def empty(cls, n: int, n_windows: int) -> InWindows:
        shape = (n, n_windows)
        return cls(np.empty(shape), np.empty(shape), np.empty(shape, dtype=bool))

    def put(self, rows: NDArray[np.int64], said: Said) -> None:
        """Fills in some rows."""
        for whole, part in zip(
            (self.expected, self.uncertainty, self.fallback), said, strict=True
        ):
            whole[rows] = part.reshape(len(rows), -1)


@dataclass(frozen=True)
class Whole:
    """Fits of N spectra to all bins."""

    counts: Array
    """[M, N] (effective) ones."""
    share: Array
    """[M, N] (effective) counts per expected event."""
    expected: Array
    """[M, N]"""
    coefficients: Array
    """[K, N]; K = 0 where none could be made, and what is expected is another's shape, scaled."""

    def each(self, inside_MW: NDArray[np.bool_]) -> Pairs:
        """The same for every window."""
        n_windows = inside_MW.shape[1]
        return Pairs(
            np.repeat(self.counts, n_windows, axis=1),
            np.repeat(self.share, n_windows, axis=1),
            np.repeat(self.expected, n_windows, axis=1),
            np.repeat(self.coefficients, n_windows, axis=1),
            np.tile(inside_MW, self.counts.shape[1]),
        )


@dataclass(frozen=True)
class Pairs:
    """Fits of all bins, and a window each to say something of."""

    counts_MB: Array
    share_MB: Array
    expected_MB: Array
    coefficients_KB: Array
    inside_MB: NDArray[np.bool_]


Said = tuple[Array, Array, NDArray[np.bool_]]
Say = Callable[[DijetFunctions, Pairs], Said]


def by_all_bins(functions: DijetFunctions, pairs: Pairs) -> Said:
    """[B] events expected in windows by functions of all bins, errors, and what fell back."""
    expected = np.where(pairs.inside_MB, pairs.expected_MB, 0.0).sum(axis=0)
    error = _error_of_scale(expected, pairs.counts_MB)
    fallback = np.ones(len(expected), dtype=bool)
    if (order := len(pairs.coefficients_KB)) > 0:
        by_fit = functions.model.errors(pairs.expected_MB, pairs.share_MB, pairs.inside_MB, order)
        fallback = ~np.isfinite(by_fit)
        error = np.where(fallback, error, by_fit)
    return expected, error, fallback


def by_outside(functions: DijetFunctions, pairs: Pairs) -> Said:
    """The same by functions of the bins outside the windows.

    Of as many parameters as those of all bins, or as fewer as it takes to fit them.
    """
    order, inside_MB = len(pairs.coefficients_KB), pairs.inside_MB
    counts, share = (np.where(inside_MB, 0.0, a) for a in (pairs.counts_MB, pairs.share_MB))
    beyond = (share * pairs.expected_MB).sum(axis=0)
    scale = counts.sum(axis=0) / np.where(beyond > 0, beyond, 1.0)
    expected = scale * np.where(inside_MB, pairs.expected_MB, 0.0).sum(axis=0)
    error = _error_of_scale(expected, counts)
    fallback = np.ones(len(expected), dtype=bool)
    for n in range(order, functions.fewest - 1, -1):
        left = np.flatnonzero(fallback)
        start = pairs.coefficients_KB[:, left] if n == order else None
        fitted = functions.fit(counts[:, left], share[:, left], n, start)
        by_fit = functions.model.spectrum(fitted.coefficients_KB)[1]
        errors = functions.model.errors(by_fit, share[:, left], inside_MB[:, left], n)
        good = fitted.converged_B & np.isfinite(errors)
        expected[left[good]] = (by_fit * inside_MB[:, left]).sum(axis=0)[good]
        error[left[good]] = errors[good]
        fallback[left[good]] = False
    return expected, error, fallback


def _error_of_scale(expected_B: Array, counts_MB: Array) -> Array:
    """Where a shape is only scaled to a number of events, what that number leaves open."""
    return expected_B / np.sqrt(np.maximum(counts_MB.sum(axis=0), 1.0))
