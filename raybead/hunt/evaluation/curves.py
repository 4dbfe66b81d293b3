"""What passes a score at every threshold: rates, precision, and events that they rest on.

Axes: E events, P points of a curve, R replicas, L signal efficiencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CURVE_POINTS = 200
ROUNDING = 1e-9
"""A signal efficiency that falls short of a level by no more, relatively, has reached it."""


@dataclass(frozen=True)
class Curve:
    """Of one score: at the origin, and then with a threshold at each of its values, falling.

    Events of one value pass together, so the straight line between two points is what a cut
    reaches that tosses a coin for them.
    """

    fpr: Array
    """[P] share of background that passes"""
    tpr: Array
    """[P] share of signal that passes"""
    precision: Array
    """[P] share of signal in what passes; 0 at the origin"""
    passing: Array
    """[P] effective background events that pass, (sum w)^2 / sum w^2"""

    @classmethod
    def of(cls, truth: Flags, value: Array, weight: Array) -> Curve:
        """The curve of events.

        Args:
            truth: [E] whether signal.
            value: [E] of the score; finite.
            weight: [E]; those of each class have a positive sum.
        """
        order = np.argsort(-value, kind="stable")
        last = np.flatnonzero(np.diff(value[order], append=np.nan) != 0)
        signal, background, squares = (
            np.concatenate([[0.0], np.cumsum(w[order])[last]])
            for w in (weight * truth, weight * ~truth, weight**2 * ~truth)
        )
        return cls(
            background / background[-1],
            signal / signal[-1],
            precision(signal, background),
            effective_counts(background, squares),
        )

    @property
    def average_precision(self) -> float:
        """Precision, averaged over the steps of the signal efficiency."""
        return float(np.sum(np.diff(self.tpr) * self.precision[1:]))

    def improvement(self, min_background: float) -> Array:
        """[P] TPR / sqrt(FPR); 0 where fewer effective background events pass."""
        enough = self.passing >= min_background
        return np.where(enough, self.tpr / np.sqrt(np.maximum(self.fpr, 1e-12)), 0.0)

    def at(self, levels: Array) -> tuple[Array, Array]:
        """[L] false positive rate and [L] effective background events at signal efficiencies."""
        fpr, passing = at_efficiency(
            self.tpr[None, 1:], levels, self.fpr[None, 1:], self.passing[None, 1:]
        )
        return fpr[0], passing[0]

    def thinned(self) -> NDArray[np.int64]:
        """Points evenly spread along both rates, logarithmically in FPR: enough to draw."""
        # Negative weights make a rate fall for a while; points are sought along its maximum.
        fpr, tpr = np.maximum.accumulate(self.fpr), np.maximum.accumulate(self.tpr)
        along = np.concatenate(
            [
                np.searchsorted(fpr, np.geomspace(max(fpr[fpr > 0].min(), 1e-9), 1, CURVE_POINTS)),
                np.searchsorted(tpr, np.linspace(0, 1, CURVE_POINTS)),
            ]
        )
        return np.unique(np.clip(along, 0, len(fpr) - 1))


def precision(signal: Array, background: Array) -> Array:
    """The share of signal in sums of weights; negative weights don't take it out of [0, 1]."""
    both = signal + background
    filled = both > 0
    return np.clip(np.where(filled, signal, 0.0) / np.where(filled, both, 1.0), 0.0, 1.0)


def effective_counts(sums: Array, squares: Array) -> Array:
    """(sum w)^2 / sum w^2; 0 where the sum isn't positive."""
    filled = (sums > 0) & (squares > 0)
    return np.where(filled, sums, 0.0) ** 2 / np.where(filled, squares, 1.0)


def at_efficiency(tpr_RP: Array, levels: Array, *of_RP: Array) -> tuple[Array, ...]:
    """[R, L] what curves have where they first reach each signal efficiency.

    Args:
        tpr_RP: signal efficiencies along the curves, without the origin, up to 1.
        levels: [L] signal efficiencies, above 0.
        of_RP: what is asked for, 0 at the origin.
    """
    # Negative weights: reached is reached, whatever comes after.
    rising_RP = np.maximum.accumulate(tpr_RP, axis=1)
    wanted = levels * (1 - ROUNDING)
    after_RL = np.empty((len(rising_RP), len(levels)), dtype=np.int64)
    for row, after in zip(rising_RP, after_RL, strict=True):
        after[:] = np.searchsorted(row, wanted)
    from_origin = after_RL == 0

    def before(values_RP: Array) -> Array:
        found = np.take_along_axis(values_RP, np.maximum(after_RL - 1, 0), axis=1)
        return np.where(from_origin, 0.0, found)

    start = before(rising_RP)
    step = np.take_along_axis(rising_RP, after_RL, axis=1) - start
    share = np.minimum((levels - start) / step, 1.0)
    return tuple(
        (1 - share) * before(values) + share * np.take_along_axis(values, after_RL, axis=1)
        for values in of_RP
    )
