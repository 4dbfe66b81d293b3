"""AUCs and their errors from placement values.

Axes: E events, S signal events, B background events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.weights import effective

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Placements:
    """DeLong's placement values, with the weights of signal [S] and background [B] events.

    The share of the other class that each event lies above (background: below), ties counting a
    half. The mean of either is the AUC, and their variances give that of the AUC.
    """

    above: Array
    below: Array
    signal: Array
    background: Array

    @classmethod
    def of(cls, truth: Flags, value: Array, weight: Array) -> Placements:
        signal, background = weight[truth], weight[~truth]
        above = _share_below(value[truth], value[~truth], background)
        below = 1 - _share_below(value[~truth], value[truth], signal)
        return cls(above, below, signal, background)

    def less(self, other: Placements) -> Placements:
        """Of the difference of two scores of the same events."""
        above, below = self.above - other.above, self.below - other.below
        return Placements(above, below, self.signal, self.background)

    @property
    def auc(self) -> float:
        return float(np.sum(self.signal * self.above) / self.signal.sum())

    @property
    def error(self) -> float:
        """Standard deviation of the AUC, or of the difference of two."""
        return float(
            np.sqrt(
                _variance_of_mean(self.above, self.signal)
                + _variance_of_mean(self.below, self.background)
            )
        )


def _share_below(value: Array, others: Array, weight: Array) -> Array:
    """The share of others' weight that lies below each value, ties counting a half."""
    order = np.argsort(others, kind="stable")
    ordered, running = others[order], np.concatenate([[0.0], np.cumsum(weight[order])])
    low, high = (running[np.searchsorted(ordered, value, side)] for side in ("left", "right"))
    return (low + high) / 2 / running[-1]


def _variance_of_mean(values: Array, weight: Array) -> float:
    """Of a weighted mean: sum w^2 (x - mean)^2 / (sum w)^2, times n_eff / (n_eff - 1)."""
    total, n = weight.sum(), effective(weight)
    rest = values - np.sum(weight * values) / total
    return float(np.sum((weight * rest) ** 2) * (n / total) ** 2 / (n - 1) / n)
