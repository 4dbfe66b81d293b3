"""The scan's statistics as tables.

Where a window's prediction follows from the window's own count, so does its local p-value. It is
then looked up, not computed: of the data as of every pseudo-experiment, so that equals are equal.

Axes: N toys, L looks, M bins, W windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.histogram import Array, Counts
from raybead.hunt.scan import BumpHunt
from raybead.hunt.scan.bumps import SMALLEST

Expected = Callable[[Counts, Counts], Array]
"""Predictions of windows, given counts and windows of the same shape."""


@dataclass(frozen=True)
class Column:
    """One look's tables: each window's -log local p from one count to another."""

    first: Counts
    """[W]"""
    values: list[Array]
    """[W] of [counts]"""

    @classmethod
    def of(cls, scan: BumpHunt, first: Counts, last: Counts, expected: Expected) -> Column:
        """Counts ``first`` to ``last`` [W] of a scan whose predictions follow from them."""
        size = last - first + 1
        window = np.repeat(np.arange(len(size)), size)
        ends = np.cumsum(size)
        count = np.arange(len(window)) - np.repeat(ends - size - first, size)
        p = scan.tail(count.astype(np.float64), expected(count, window))
        return cls(first, np.split(-np.log(np.maximum(p, SMALLEST)), ends[:-1]))


@dataclass(frozen=True)
class Tables:
    """The tables of several looks, laid out for the compiled toys.

    A count beyond a table's end has its last value: that is so unlikely (e^-75) that no toy has
    one, and the data's own are within.
    """

    start: NDArray[np.int32]
    """[W]"""
    stop: NDArray[np.int32]
    first: NDArray[np.int32]
    """[L, W] least count"""
    last: NDArray[np.int32]
    """[L, W] counts, less one"""
    offset: NDArray[np.int64]
    """[L, W] where each begins among the values"""
    values: Array

    @classmethod
    def of(cls, scan: BumpHunt, columns: Sequence[Column]) -> Tables:
        """Of looks that are scanned in the same windows."""
        values = [value for column in columns for value in column.values]
        size = np.array([len(value) for value in values]).reshape(len(columns), -1)
        offset = (np.cumsum(size) - size.ravel()).reshape(size.shape)
        start, stop = (np.asarray(a, dtype=np.int32) for a in (scan.windows.start,
                                                               scan.windows.stop))  # fmt: skip
        return cls(
            start,
            stop,
            np.stack([column.first for column in columns]).astype(np.int32),
            (size - 1).astype(np.int32),
            offset,
            np.concatenate(values),
        )

    def statistics(self, counts_NLM: Counts) -> Array:
        """[N, L] largest values of all windows."""
        zero = np.zeros((*counts_NLM.shape[:-1], 1), dtype=np.int64)
        running = np.concatenate([zero, np.cumsum(counts_NLM, axis=-1, dtype=np.int64)], axis=-1)
        place_NLW = running[..., self.stop] - running[..., self.start] - self.first
        place_NLW = np.clip(place_NLW, 0, self.last)
        return self.values[self.offset + place_NLW].max(axis=-1)


def plausible(mean: NDArray[np.floating]) -> tuple[Counts, Counts]:
    """Least and most counts that have any chance, by Bernstein's inequality: e^-75 beyond.

    It holds for Poisson, binomial and hypergeometric counts alike (Hoeffding, J. Am. Stat.
    Assoc. 58 (1963) 13).
    """
    reach = np.where(mean > 0, 25 + np.sqrt(625 + 150 * mean), 0.0)
    least, most = np.floor(mean - reach), np.ceil(mean + reach)
    return np.maximum(least, 0).astype(np.int64), most.astype(np.int64)
