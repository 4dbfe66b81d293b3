"""How well corrupted events are told from the background events that they were made of.

Axes: R replicas, E background events, C corrupted events that count, B background events that
count, in order of their bin and score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.sample import Sample

Array = NDArray[np.float64]
Places = NDArray[np.int64]

PER_BIN = 100
"""Background events of a bin of the observable, about."""
MOST_BINS = 20
FEWEST = 20
"""Events of the window, of either sample, that an AUC is told of."""


@dataclass(frozen=True)
class Separation:
    """The chance of a corrupted event to score above a background event of the same mass.

    Where the hunt's cuts follow the observable, a score that only follows it is worth nothing to
    the hunt, however far a corruption moves the observable. So every corrupted event is held
    against the background of the bin that its *own* observable lies in, as the hunt will cut on
    it; bins are of equally many background events. Where the hunt has one threshold for all
    masses there is one bin. Events outside the hunt's window don't count.
    """

    rows: Places
    """[C] of the corrupted table."""
    weight: Array
    """[C]"""
    order: Places
    """[B] rows of the background."""
    below: Array
    """[B] weights of the background."""
    start: Places
    """[C] where the background of an event's bin begins in that order."""
    stop: Places
    low: Places
    """[C] the place after the last that scores less; after those that score the same:"""
    high: Places

    @classmethod
    def of(
        cls,
        background: Sample,
        corrupted: Sample,
        window: tuple[float, float],
        *,
        binned: bool,
        what: str = "corruption",
    ) -> Separation:
        """Of one kind of corruption.

        Args:
            background: [E] judged.
            corrupted: [E] made of it, row by row.
            window: of the hunt [GeV].
            binned: whether events are compared at the same mass.
            what: this is, for errors.

        Raises:
            HuntError: too few events in the window, or weights that sum to nothing positive.
        """
        inside, rows = (
            np.flatnonzero((s.mass >= window[0]) & (s.mass < window[1]))
            for s in (background, corrupted)
        )
        for which, sample, some in (
            ("background", background, inside), ("corrupted", corrupted, rows),
        ):  # fmt: skip
            if len(some) < FEWEST or not sample.weight[some].sum() > 0:
                raise HuntError(
                    f"{what}: {len(some)} of {len(sample)} {which} events lie from {window[0]:g}"
                    f" to {window[1]:g} GeV, with weights that sum to"
                    f" {sample.weight[some].sum():g}; {FEWEST} of a positive sum are needed"
                )
        bins = int(np.clip(len(inside) // PER_BIN, 1, MOST_BINS)) if binned else 1
        mass = background.mass[inside]
        edges = np.quantile(mass, np.arange(1, bins) / bins)
        of_background = np.searchsorted(edges, mass, side="right")
        of_corrupted = np.searchsorted(edges, corrupted.mass[rows], side="right")
        score, value = background.score[inside], corrupted.score[rows]
        by_bin = np.lexsort((score, of_background))
        edge = np.searchsorted(of_background[by_bin], np.arange(bins + 1))
        low, high = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        for number in range(bins):
            mine = of_corrupted == number
            ordered = score[by_bin[edge[number] : edge[number + 1]]]
            low[mine] = edge[number] + np.searchsorted(ordered, value[mine], side="left")
            high[mine] = edge[number] + np.searchsorted(ordered, value[mine], side="right")
        return cls(
            rows,
            corrupted.weight[rows],
            inside[by_bin],
            background.weight[inside[by_bin]],
            edge[of_corrupted],
            edge[of_corrupted + 1],
            low,
            high,
        )

    def auc(self, times_RE: Array) -> Array:
        """[R] the mean over corrupted events of the share of background below each, in its bin.

        Ties count a half. A corrupted event is there as often as the one that it was made of.
        Those of bins without background count nothing; without any left it is a half.

        Args:
            times_RE: how often every row is there.
        """
        drawn = times_RE[:, self.order] * self.below
        running = np.concatenate([np.zeros((len(drawn), 1)), np.cumsum(drawn, axis=1)], axis=1)
        start = running[:, self.start]
        whole = running[:, self.stop] - start
        part = (running[:, self.low] + running[:, self.high]) / 2 - start
        filled = whole > 0
        weight = np.where(filled, times_RE[:, self.rows] * self.weight, 0.0)
        share = np.where(filled, part, 0.0) / np.where(filled, whole, 1.0)
        total = weight.sum(axis=1)
        fine = total > 0
        return np.where(fine, (weight * share).sum(axis=1) / np.where(fine, total, 1.0), 0.5)
