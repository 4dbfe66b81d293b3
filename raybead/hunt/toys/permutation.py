"""Who is an outlier, dealt out anew.

Axes: N toys, L looks, P patterns, M bins, W windows, E events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.histogram import Array, Counts, Histogram
from raybead.hunt.scan import BumpHunt
from raybead.hunt.toys import kernel
from raybead.hunt.toys.null import Spectra
from raybead.hunt.toys.tables import Column, Tables, plausible

STIFF = 0.25
"""Share of a pattern's events that is dealt part by part where thresholds were fitted to the same
events. Folds hold numbers of outliers in wide ranges of mass to 0.5 to 0.8 of the variance of
chance; between windows of a few bins they hold nothing. Of shares from 0 to 0.5, tried on samples
drawn from closed forms, this one keeps both the tail and the bulk of p-values near uniform."""
SHAPED = 50
"""Events of a pattern that is held so: with fewer, thresholds follow next to nothing."""
ROUNDING = 1e-9
"""What a difference of summed weights may leave, relative to them, where no event is left."""


@dataclass(frozen=True)
class Permutation:
    """Pseudo-experiments that deal the looks' flags among all events of all bins.

    An event's pattern says which looks it is an outlier of. A toy deals the patterns that there
    are among the events that there are: how many events a bin holds and how many bear a pattern
    stay as in data, so looks are correlated as in data, too. Where scores don't depend on m_jj
    and thresholds are known beforehand, data and toys are exchangeable, and p-values exact for
    any statistic.

    Thresholds that were fitted to the very same events leave less to chance: they follow what
    fluctuates over wide ranges of mass, and make up for it. There some of each pattern's events
    are dealt part by part of the spectrum, to each part its share, and only the others to any
    (:data:`STIFF`). Toys that knew nothing of it would fluctuate more than data do, and p-values
    come out too large.

    Where events differ in weight, each keeps its bin and its weight.
    """

    bin: NDArray[np.int64]
    """[E] of M"""
    flags: NDArray[np.bool_]
    """[E, L] whether an event is an outlier of a look"""
    n_bins: int
    weight: Array | None = None
    """[E]; not given where all weigh one"""
    parts: int = 1
    """S that patterns are dealt in by themselves"""

    def __post_init__(self) -> None:
        if len(self.flags) != len(self.bin):
            raise HuntError(f"{len(self.bin)} events have flags of {len(self.flags)}")
        if len(self.bin) == 0:
            raise HuntError("there are no events to deal pseudo-experiments from")
        if not 0 <= self.bin.min() <= self.bin.max() < self.n_bins:
            raise HuntError(f"an event lies in none of the {self.n_bins} bins of the hunt")

    @cached_property
    def patterns(self) -> Patterns:
        """The flags that there are."""
        return Patterns.of(self.flags)

    @cached_property
    def every(self) -> Counts:
        """[M] events, whatever they weigh."""
        return np.bincount(self.bin, minlength=self.n_bins).astype(np.int64)

    @cached_property
    def bounds(self) -> Counts:
        """[S + 1] bins between which patterns are dealt: parts of about as many events each."""
        running = np.cumsum(self.every)
        wanted = running[-1] * np.arange(1, self.parts) / self.parts
        inner = [int(np.abs(running - events).argmin()) + 1 for events in wanted]
        return np.unique([0, *inner, self.n_bins])

    @cached_property
    def size(self) -> Counts:
        """[S, P] events of each part that bear each pattern for certain."""
        running = np.concatenate([[0], np.cumsum(self.every)])[self.bounds]
        some = (self.patterns.size >= SHAPED) & (len(self.bounds) > 2)
        held = np.where(some, STIFF * self.patterns.size, 0.0)
        # Rounded sums differ by whole events, which add up to the pattern's.
        before = np.rint(held * (running / running[-1])[:, None]).astype(np.int64)
        return np.diff(before, axis=0)

    @cached_property
    def free(self) -> Counts:
        """[P] events of each pattern that may be in any part."""
        return self.patterns.size - self.size.sum(axis=0)

    @cached_property
    def supported(self) -> NDArray[np.bool_]:
        """[M] bins that hold any event, in data as in every toy; see :class:`BumpHunt`."""
        return self.every > 0

    def data(self) -> Spectra:
        """The events as they are: outliers and others of every look, [1, M]."""
        return tuple((self._part(flags), self._part(~flags)) for flags in self.flags.T)

    def draw(self, rng: np.random.Generator, n: int) -> Spectra:
        if self.weight is not None:
            return tuple(self._weighted(self.weight, rng, n))
        counts_NLM = self._dealt(rng, n)
        return tuple(
            (Histogram.counted(counts), Histogram.counted(self.every - counts))
            for counts in np.moveaxis(counts_NLM, 1, 0)
        )

    def tables(self, scans: Sequence[BumpHunt]) -> Tables | None:
        """Statistics of scans whose predictions are the others, scaled to the outliers; None
        where these don't follow from each window's own count."""
        windows = scans[0].windows
        if self.weight is not None or not all(
            scan.supported is not None
            and not (scan.sidebands and _outside(self.supported, scan.supported))
            and np.array_equal(scan.windows.start, windows.start)
            and np.array_equal(scan.windows.stop, windows.stop)
            for scan in scans
        ):
            return None
        observed_LM = np.stack([outliers.sums[0].astype(np.int64) for outliers, _ in self.data()])
        return Tables.of(
            scans[0],
            [self._column(scan, seen) for scan, seen in zip(scans, observed_LM, strict=True)],
        )

    def scanned(self, tables: Tables, rng: np.random.Generator, n: int) -> Array:
        """[N, L] statistics of toys."""
        if self._compiled:
            patterns = self.patterns
            return kernel.deal(
                rng, n, self.every, self.bounds, self.size, self.free, patterns.holds, tables
            )
        return tables.statistics(self._dealt(rng, n))

    def _column(self, scan: BumpHunt, observed_M: Counts) -> Column:
        every_W, seen_W = (_window_counts(scan, counts) for counts in (self.every, observed_M))
        total, drawn = len(self.bin), int(observed_M.sum())
        first, last = plausible(every_W * (drawn / total))
        last = np.minimum(last, np.minimum(every_W, drawn))
        judged = scan.judged(self.every[None].astype(np.float64))[0]
        first = np.where(judged, np.minimum(first, seen_W), 0)
        last = np.where(judged, np.maximum(last, seen_W), 0)

        def expected(count: Counts, window: Counts) -> Array:
            left = (every_W[window] - count).astype(np.float64)
            # Scaled to all outliers; or, with sidebands, from events outside to events outside.
            outside = scan.sidebands
            others = total - drawn - (left if outside else np.zeros(len(left)))
            outliers = drawn - (count if outside else np.zeros(len(left)))
            scale = np.divide(outliers, others, out=np.zeros(len(left)), where=others > 0)
            return np.where(judged[window], left * scale, 0.0)

        return Column.of(scan, first, last, expected)

    def _part(self, of: NDArray[np.bool_]) -> Histogram:
        """[1, M] some of the events."""
        part = _filled(self.bin[of], None if self.weight is None else self.weight[of], self.n_bins)
        return Histogram(part.sums[None], part.squares[None])

    @property
    def _compiled(self) -> bool:
        return kernel.COMPILED and self.n_bins < kernel.MOST_BINS

    def _dealt(self, rng: np.random.Generator, n: int) -> Counts:
        """[N, L, M] outliers."""
        patterns = self.patterns
        if self._compiled:
            counts_NPM = kernel.deal(
                rng, n, self.every, self.bounds, self.size, self.free, patterns.holds, None
            )
        else:
            counts_NPM = self._dealt_in_parts(rng, n)
        parts = [counts_NPM[:, holds].sum(axis=1, dtype=np.int64) for holds in patterns.holds]
        return np.stack(parts, axis=1)

    def _dealt_in_parts(self, rng: np.random.Generator, n: int) -> Counts:
        """[N, P, M] dealt counts, without a compiler."""
        certain = [
            _hypergeometric(rng, n, np.tile(self.every[low:high], (n, 1)), size)
            for low, high, size in zip(self.bounds, self.bounds[1:], self.size, strict=False)
        ]
        counts_NPM = np.concatenate(certain, axis=2)
        left_NM = self.every - counts_NPM.sum(axis=1)
        return counts_NPM + _hypergeometric(rng, n, left_NM, self.free)

    def _weighted(self, weight: Array, rng: np.random.Generator, n: int) -> Any:
        size = self.patterns.size
        if self._compiled:
            dealt = kernel.deal_weighted(rng, n, self.n_bins, self.bin, weight, size)
        else:
            dealt = _shuffled(rng, n, self.n_bins, self.bin, weight, size)
        every = _filled(self.bin, weight, self.n_bins)
        magnitude = np.bincount(self.bin, np.abs(weight), self.n_bins)
        for holds in self.patterns.holds:
            sums, squares = (part[:, holds].sum(axis=1) for part in dealt)
            left = Histogram(every.sums - sums, every.squares - squares)
            none = left.squares < ROUNDING * every.squares
            none &= np.abs(left.sums) < ROUNDING * magnitude
            others = Histogram(*(np.where(none, 0.0, part) for part in (left.sums, left.squares)))
            yield Histogram(sums, squares), others


@dataclass(frozen=True)
class Patterns:
    """Kinds of events by the looks that they are outliers of; those of none aren't among them."""

    size: Counts
    """[P] events of each, rising"""
    holds: NDArray[np.bool_]
    """[L, P] whether they are outliers of a look"""

    @classmethod
    def of(cls, flags_EL: NDArray[np.bool_]) -> Patterns:
        packed = np.packbits(flags_EL, axis=1)
        # Whole numbers sort faster than rows.
        words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
        words[:, : packed.shape[1]] = packed
        words = words.view(np.uint64)
        keys = words[:, 0] if words.shape[1] == 1 else words
        _, where, size = np.unique(keys, axis=0, return_index=True, return_counts=True)
        holds_PL = flags_EL[where]
        some = np.flatnonzero(holds_PL.any(axis=1))
        order = some[np.argsort(size[some], kind="stable")]
        return cls(size[order].astype(np.int64), np.ascontiguousarray(holds_PL[order].T))


def _filled(bin_E: NDArray[np.int64], weight_E: Array | None, n_bins: int) -> Histogram:
    if weight_E is None:
        return Histogram.counted(np.bincount(bin_E, minlength=n_bins).astype(np.int64))
    return Histogram(*(np.bincount(bin_E, w, n_bins) for w in (weight_E, weight_E**2)))


def _window_counts(scan: BumpHunt, counts_M: Counts) -> Counts:
    running = np.concatenate([[0], np.cumsum(counts_M)])
    return running[scan.windows.stop] - running[scan.windows.start]


def _outside(filled: NDArray[np.bool_], supported: NDArray[np.bool_]) -> bool:
    """Whether events lie beyond the first or last supported bin."""
    inside = np.flatnonzero(supported)
    where = np.flatnonzero(filled)
    return len(where) > 0 and (
        len(inside) == 0 or bool(where[0] < inside[0] or where[-1] > inside[-1])
    )


def _hypergeometric(rng: np.random.Generator, n: int, left_NM: Counts, size: Counts) -> Counts:
    """[N, P, M] counts of dealt patterns: each from what the ones before it left, bin by bin."""
    counts_NPM = np.zeros((n, len(size), left_NM.shape[1]), dtype=np.int64)
    left_NM = left_NM.copy()
    for p, events in enumerate(size):
        sample = np.full(n, events)
        behind = left_NM.sum(axis=1)
        for m in range(left_NM.shape[1]):
            behind -= left_NM[:, m]
            count = rng.hypergeometric(left_NM[:, m], behind, sample)
            counts_NPM[:, p, m] = count
            sample -= count
        left_NM -= counts_NPM[:, p]
    return counts_NPM


def _shuffled(
    rng: np.random.Generator, n: int, n_bins: int, bin_E: Counts, weight_E: Array, size: Counts
) -> tuple[Array, Array]:
    """[N, P, M] sums and squares of dealt events, as :func:`kernel.deal_weighted`."""
    ends = np.cumsum(size)
    cell = np.repeat(np.arange(len(size)), size) * n_bins
    sums, squares = np.empty((n, len(size) * n_bins)), np.empty((n, len(size) * n_bins))
    for toy in range(n):
        index = rng.choice(len(bin_E), int(ends[-1]) if len(ends) else 0, replace=False)
        place, weight = cell + bin_E[index], weight_E[index]
        sums[toy] = np.bincount(place, weight, sums.shape[1])
        squares[toy] = np.bincount(place, weight**2, sums.shape[1])
    shape = (n, len(size), n_bins)
    return sums.reshape(shape), squares.reshape(shape)
