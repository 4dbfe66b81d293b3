"""The BumpHunter scan (arXiv:1101.0390): the most significant excess among many windows.

The local p-value of a window is the Poisson probability of at least as many events as observed,
given the prediction; the test statistic is -log of the smallest. Equal to pyBumpHunter's on the
same histograms, and vectorised over pseudo-experiments. Sums of weights count as the Poisson
counts that fluctuate as much (:class:`~raybead.hunt.histogram.Histogram`).

Axes: N histograms, M bins, W windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Counts, Histogram

SMALLEST = 1e-300
"""Local p-values below it count as it, so that statistics are finite."""


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


@dataclass(frozen=True)
class BumpHunt:
    """A scan for the window that is least likely without a signal."""

    windows: Windows
    direction: Literal["excess", "deficit"] = "excess"
    sidebands: bool = False
    """Whether each window's prediction is scaled to the events outside the window."""
    sideband_width: int = 0
    """Bins at either end of the scanned range that sidebands alone have a say in."""
    supported: NDArray[np.bool_] | None = None
    """[M] bins that can hold events; those with an expectation if not given. Windows that reach
    beyond the first or last aren't judged. Pseudo-experiments whose predictions fluctuate need
    one rule for all of them."""

    def local_p(
        self, outliers: Histogram, expected: Array, others: Histogram | None = None
    ) -> Array:
        """[N, W] probability of at least (deficit: at most) the events of each window.

        1 where there is no excess (deficit), and where a window can't be judged: nothing is
        expected in it, or it leaves no sidebands, or reaches beyond what is supported.

        The probability is that of a count n_eff = sum w / v where the prediction is as many times
        smaller than expected: v = sum w^2 / sum w of the window's outliers, for deficits that of
        all its events, because few outliers say little of what those missing would weigh.

        Args:
            outliers: N histograms of events.
            expected: [N, M] or [1, M] predictions.
            others: the events that aren't outliers; only deficits of weighted events use them.
        """
        summed = _differences if outliers.are_counts else _sums
        observed_NW, expected_NW = (summed(h, self.windows) for h in (outliers.sums, expected))
        shape = np.broadcast_shapes(observed_NW.shape, expected_NW.shape)
        first, last = self._ends(expected)
        if self.sidebands:
            scale_NW = _beyond(observed_NW, outliers.sums, first, last)
            rest_NW = _beyond(expected_NW, expected, first, last)
            left_NW = np.broadcast_to(rest_NW > 0, shape)
            scale_NW = np.divide(scale_NW, rest_NW, out=np.zeros(shape), where=left_NW)
            expected_NW = expected_NW * scale_NW
        if not outliers.are_counts:
            v_NW = self._per_event(outliers, others)
            observed_NW, expected_NW = np.maximum(observed_NW, 0) / v_NW, expected_NW / v_NW
        return np.where(self.judged(expected), self.tail(observed_NW, expected_NW), 1.0)

    def tail(self, observed: Array, expected: Array) -> Array:
        """Poisson probabilities of at least (deficit: at most) as many events, of any shape.

        1 where there is no excess (deficit), or nothing is expected.
        """
        n, mu = np.broadcast_arrays(observed, expected)
        excess = self.direction == "excess"
        found = ((n > mu) if excess else (n < mu)) & (mu > 0)
        p, n, mu = np.ones(found.shape), n[found], mu[found]
        p[found] = special.gammainc(n, mu) if excess else special.gammaincc(n + 1, mu)
        return p

    def judged(self, expected: Array) -> NDArray[np.bool_]:
        """[N, W] which windows lie within the scanned range of predictions [N, M]."""
        first, last = self._ends(expected)
        if self.sidebands:
            first, last = first + self.sideband_width, last - self.sideband_width
        return (self.windows.start >= first[:, None]) & (self.windows.stop <= last[:, None])

    def of(self, outliers: Histogram, others: Histogram, expected: Array) -> Array:
        """[N] -log of the smallest local p-value; see :meth:`local_p`."""
        p_NW = self.local_p(outliers, expected, others)
        return -np.log(np.maximum(p_NW.min(axis=1), SMALLEST))

    def best(self, p_NW: Array) -> NDArray[np.int64]:
        """[N] which window has the smallest local p-value, the narrowest and first of equals."""
        return p_NW.argmin(axis=1)

    def _ends(self, expected: Array) -> tuple[Counts, Counts]:
        return _range(expected > 0 if self.supported is None else self.supported[None])

    def _per_event(self, outliers: Histogram, others: Histogram | None) -> Array:
        """[N, W] what an event of a window weighs; of all bins where a window doesn't say."""
        weighed = outliers
        if self.direction == "deficit" and others is not None:
            weighed = outliers + others
        sums_NW, squares_NW = (_sums(h, self.windows) for h in (weighed.sums, weighed.squares))
        whole = weighed.total().per_event[:, None]
        says = (sums_NW > 0) & (squares_NW > 0)
        return np.where(says, squares_NW / np.where(says, sums_NW, 1.0), whole)


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


def _beyond(inside_NW: Array, values_NM: Array | Counts, first: Counts, last: Counts) -> Array:
    """[N, W] what the bins of a range hold outside each window; rounding counts as nothing."""
    bins = np.arange(values_NM.shape[1])
    ranged = (bins >= first[:, None]) & (bins < last[:, None])
    total_N1 = np.where(ranged, values_NM, 0).sum(axis=1, keepdims=True)
    rest_NW = total_N1 - inside_NW
    return np.where(rest_NW > 1e-12 * np.abs(total_N1), rest_NW, 0.0)


def _range(filled_NM: NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """[N] first and one behind last of the bins that are filled; an empty range without any."""
    first = filled_NM.argmax(axis=1)
    last = filled_NM.shape[1] - filled_NM[:, ::-1].argmax(axis=1)
    return first, np.where(filled_NM.any(axis=1), last, 0)
