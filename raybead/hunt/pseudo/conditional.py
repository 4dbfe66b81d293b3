"""How scores are distributed given the mass, without a sample's own fluctuations.

A score is told as ``median(m) + spread(m) z``: the median and the spreads above and below it are
smooth functions of log m, and z is that of events of near mass. So what shapes scores with mass
stays, while that of the next few hundred events, which is chance, doesn't.

Axes: E events, K neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.sample import Array, Sample
from raybead.hunt.selection.curves import Curves
from raybead.hunt.selection.regression import (
    exponential,
    positive_regressed,
    regressed,
    smoothing,
)
from raybead.hunt.weights import effective
from raybead.hunt.weights import quantile as weighted_quantile

FEWEST = 200
"""Events (effective ones) that tell a conditional distribution."""
KNOTS = 7
"""Of the median: more than a threshold has, so that what a threshold can't follow stays there."""
SPREAD_KNOTS = 4
SHARE = 0.25
"""Of all events that count as near."""
NODES = 256
SPREAD_AT = (0.15, 0.85)
"""Quantiles at the distance of the spreads from the median."""


@dataclass(frozen=True)
class Conditional:
    """The distribution of scores given the mass of one sample."""

    log_m: Array
    """[E] rising"""
    z: Array
    """[E] standardised scores of these events"""
    weight: Array
    """[E] what they are drawn by; 0 or above"""
    nodes: Array
    """Log masses that the following three are told at; linear between, constant beyond."""
    median: Array
    above: Array
    """Spread of scores above the median, positive."""
    below: Array

    @classmethod
    def of(cls, sample: Sample) -> Conditional:
        """That of a sample.

        Raises:
            HuntError: too few events, or scores that don't differ.
        """
        order = np.argsort(sample.mass, kind="stable")
        log_m, score = np.log(sample.mass[order]), sample.score[order]
        weight = drawn_by(sample.weight[order])
        if (n := effective(weight)) < FEWEST:
            raise HuntError(
                f"pseudo-data: a sample of effectively {n:.0f} events doesn't tell how scores"
                f" follow the mass; {FEWEST} are needed"
            )
        if (score == score[0]).all():
            raise HuntError(f"pseudo-data: the scores of the {len(score)} events are all the same")
        nodes = np.unique(np.linspace(log_m[0], log_m[-1], NODES))
        curves = Curves.splines(log_m, nodes, KNOTS)
        width = smoothing(score, weight, 0.5)
        start = weighted_quantile(score, weight, 0.5) * curves.level
        fit = regressed(curves.at_events, score, weight, 0.5, width, start)
        rest, stiff = score - curves.at_events @ fit, Curves.splines(log_m, nodes, SPREAD_KNOTS)
        spreads = [
            _spread(stiff, rest if q > 0.5 else -rest, weight, max(q, 1 - q)) for q in SPREAD_AT
        ]
        (below, below_nodes), (above, above_nodes) = spreads
        z = rest / np.where(rest > 0, above, below)
        return cls(log_m, z, weight, nodes, curves.at_nodes @ fit, above_nodes, below_nodes)

    def draw(self, mass: Array, rng: np.random.Generator) -> Array:
        """[E] scores of background events of these masses."""
        return self.unstandardised(mass, self._near(mass, rng.random(len(mass)), by_score=False))

    def at(self, mass: Array, rank: Array) -> Array:
        """[E] scores that a share ``rank`` (0 to 1) of the background of that mass lies below.

        Above the highest score it goes on exponentially, by the mean excess of the highest.
        """
        return self.unstandardised(mass, self._near(mass, rank, by_score=True))

    def standardised(self, mass: Array, score: Array) -> Array:
        """[E] z of scores at masses [GeV]."""
        median, above, below = self._told(mass)
        rest = score - median
        return rest / np.where(rest > 0, above, below)

    def unstandardised(self, mass: Array, z: Array) -> Array:
        """[E] scores of z at masses [GeV]."""
        median, above, below = self._told(mass)
        return median + z * np.where(z > 0, above, below)

    def _told(self, mass: Array) -> tuple[Array, Array, Array]:
        at = np.log(mass)
        return (
            np.interp(at, self.nodes, self.median),
            np.interp(at, self.nodes, self.above),
            np.interp(at, self.nodes, self.below),
        )

    def _near(self, mass: Array, rank: Array, *, by_score: bool) -> Array:
        """[E] z of the neighbours' at ranks: in their order of score, or in that of their mass."""
        n = len(self.log_m)
        k = max(int(np.ceil(SHARE * n)), 1)
        running = np.concatenate([[0.0], np.cumsum(self.weight)])
        place = np.searchsorted(self.log_m, np.log(mass))
        first = np.clip(place - k // 2, 0, n - k)
        if not by_score:
            low, high = running[first], running[first + k]
            chosen = np.searchsorted(running, low + rank * (high - low), side="right") - 1
            return self.z[np.clip(chosen, 0, n - 1)]
        z = np.empty(len(mass))
        # Masses that are near each other share their neighbours: each group is put in order once.
        first = np.minimum(first // (k // 16 + 1) * (k // 16 + 1), n - k)
        for start in np.unique(first):
            mine = first == start
            z[mine] = _quantiles(
                self.z[start : start + k], self.weight[start : start + k], rank[mine]
            )
        return z


def drawn_by(weight: Array) -> Array:
    """[E] what events in order of mass are drawn by: their weights.

    Where some are negative: the mean of the weights about each, for the negative ones stand for
    events too many that others of the same mass make up for.
    """
    if (weight >= 0).all():
        return weight
    k = min(len(weight), 201)
    running = np.concatenate([[0.0], np.cumsum(weight)])
    first = np.clip(np.arange(len(weight)) - k // 2, 0, len(weight) - k)
    return np.maximum(running[first + k] - running[first], 0.0) / k


def _spread(curves: Curves, rest: Array, weight: Array, quantile: float) -> tuple[Array, Array]:
    """A quantile of what lies above zero, positive everywhere: at events and at nodes."""
    height = weighted_quantile(rest, weight, quantile)
    if height <= 0:  # so many ties at the median that there is no spread on this side
        return np.ones(len(rest)), np.ones(len(curves.at_nodes))
    width = smoothing(rest, weight, quantile)
    start = np.log(height) * curves.level
    fit = positive_regressed(curves.at_events, rest, weight, quantile, width, start)
    return exponential(curves.at_events @ fit), exponential(curves.at_nodes @ fit)


def _quantiles(values: Array, weight: Array, rank: Array) -> Array:
    order = np.argsort(values, kind="stable")
    ordered, share = values[order], weight[order]
    below = (np.cumsum(share) - share / 2) / share.sum()
    found = np.interp(rank, below, ordered)
    tail = max(len(ordered) // 50, 2)
    excess = float(np.mean(ordered[-tail:] - ordered[-tail]))
    left = np.maximum(1 - rank, 1e-12) / max(1 - below[-1], 1e-12)
    return found + np.where(left < 1, -np.log(np.minimum(left, 1.0)) * excess, 0.0)
