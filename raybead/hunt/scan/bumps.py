"""The BumpHunter scan (arXiv:1101.0390): the most significant excess among many windows.

The local p-value of a window is the Poisson probability of at least as many events as observed,
given the prediction; the test statistic is -log of the smallest. Equal to pyBumpHunter's on the
same histograms, and vectorised over pseudo-experiments. Sums of weights count as the Poisson
counts that fluctuate as much (:class:`~raybead.hunt.histogram.Histogram`).

Axes: N histograms, M bins, W windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Counts, Histogram


@dataclass(frozen=True)
class Windows:
    """All windows of a range of widths, narrow ones first: bins ``start <= bin < stop``."""

    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, n_bins: int, widths: tuple[int, int]) -> Windows:
        """Windows of ``widths[0]`` to ``widths[1]`` bins at every place among ``n_bins``."""
        width = [w for w in range(widths[0], widths[1] + 1) if w <= n_bins]
        if not width:
            raise HuntError(f"windows of {widths[0]} bins are wider than the {n_bins} bins")
        start = [np.arange(n_bins - w + 1) for w in width]
        starts = np.concatenate(start)
        return cls(starts, starts + np.repeat(width, [len(places) for places in start]))

    def __len__(self) -> int:
        return len(self.start)


def local_p(observed_NM: Histogram, expected_NM: Array, windows: Windows) -> Array:
    """[N, W] probability of at least the observed events in each window; 1 without an excess.

    Windows in which nothing is expected can't be judged: 1, too. So are those that reach beyond
    the first or last bin with an expectation.

    The probability is that of a count n_eff = (sum w)^2 / sum w^2 where the prediction is as
    many times smaller than expected as n_eff is smaller than sum w.

    Args:
        observed_NM: N histograms of events.
        expected_NM: [N, M] or [1, M] predictions.
        windows: W of them.
    """
    summed = _differences if observed_NM.are_counts else _sums
    observed_NW = summed(observed_NM.sums, windows)
    expected_NW = summed(expected_NM, windows)
    first, last = _filled_range(expected_NM)
    inside = (windows.start >= first[:, None]) & (windows.stop <= last[:, None])
    excess = (observed_NW > expected_NW) & (expected_NW > 0) & inside
    p_NW = np.ones(np.broadcast_shapes(observed_NW.shape, expected_NW.shape))
    expected_NW = np.broadcast_to(expected_NW, p_NW.shape)
    n, mu = observed_NW[excess], expected_NW[excess]
    if not observed_NM.are_counts:
        per_event = summed(observed_NM.squares, windows)[excess] / n
        n, mu = n / per_event, mu / per_event
    p_NW[excess] = special.gammainc(n, mu)
    return p_NW


def test_statistic(p_NW: Array) -> Array:
    """[N] -log of the smallest local p-value; the floor keeps it finite."""
    return -np.log(np.maximum(p_NW.min(axis=1), 1e-300))


test_statistic.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name


def _differences(values_NM: Array | Counts, windows: Windows) -> Array:
    """[N, W] sums over windows, as differences of running sums."""
    zero = np.zeros((len(values_NM), 1), dtype=values_NM.dtype)
    running = np.concatenate([zero, np.cumsum(values_NM, axis=1)], axis=1)
    return (running[:, windows.stop] - running[:, windows.start]).astype(np.float64)


def _sums(values_NM: Array | Counts, windows: Windows) -> Array:
    """The same, each summed by itself: weights may fall steeply with m_jj, and what is left of a
    small sum after a difference of large ones would be rounding."""
    zero = np.zeros((len(values_NM), 1))
    turns = np.stack([windows.start, windows.stop], axis=1).ravel()
    return np.add.reduceat(np.concatenate([values_NM, zero], axis=1), turns, axis=1)[:, ::2]


def _filled_range(expected_NM: Array) -> tuple[Counts, Counts]:
    filled = expected_NM > 0
    n_bins = expected_NM.shape[1]
    first = filled.argmax(axis=1)
    last = n_bins - filled[:, ::-1].argmax(axis=1)
    return first, np.where(filled.any(axis=1), last, 0)
