"""Paired bootstrap of how scores separate: every score, the same replicas.

DeLong's errors are of AUCs alone; what a maximum or a curve is uncertain by, and whether a model
gains over a control, is asked here of replicas of the events.
Axes: E events, R replicas (of a block), G distinct values of a score, falling, L signal
efficiencies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.evaluation.curves import at_efficiency, effective_counts, precision

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

REPLICAS = 500
FEWEST_REPLICAS = 50
MOST_DRAWN = 20_000_000
"""Events drawn in all: of samples above 40,000 there are fewer replicas."""
NO_LEVELS: Array = np.empty(0)
_BLOCK = 50_000
_CERTAINLY = 15
"""Of this many times the background events that have to pass, no replica holds too few."""


@dataclass(frozen=True)
class Separation:
    """How one score separates in R replicas."""

    auc: Array
    """[R]"""
    sic: Array
    """[R] maximum significance improvement; 0 where too few background events ever pass"""
    average_precision: Array
    """[R]"""
    fpr_RL: Array
    """False positive rates at L signal efficiencies"""

    def less(self, other: Separation) -> Separation:
        """The differences, replica by replica."""
        return Separation(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Separation]) -> Separation:
        """The replicas of all parts."""
        return cls(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls))
        )


def replicas_for(n_events: int) -> int:
    """How many replicas of so many events are drawn."""
    return int(np.clip(MOST_DRAWN // max(n_events, 1), FEWEST_REPLICAS, REPLICAS))


def replicate(
    truth: Flags,
    weight: Array,
    values: Mapping[str, Array],
    min_background: float,
    *,
    levels: Array = NO_LEVELS,
    seed: int = 0,
    replicas: int | None = None,
) -> dict[str, Separation]:
    """Scores' separations in replicas of the events.

    Signal and background events are each drawn with replacement, as many as there are; all scores
    see the same draws. Weights go with the events. A replica in which the weights of a class
    don't sum to a positive number is left out.

    Args:
        truth: [E] whether signal; events of both classes.
        weight: [E]
        values: [E] of each score; finite.
        min_background: effective background events that have to pass for a significance
            improvement to count.
        levels: [L] signal efficiencies at which false positive rates are asked for.
        seed: of the draws.
        replicas: to draw; see :func:`replicas_for`.
    """
    replicas = replicas_for(len(truth)) if replicas is None else replicas
    scores = {
        name: _Ordered.of(truth, value, weight, _CERTAINLY * min_background)
        for name, value in values.items()
    }
    parts: dict[str, list[Separation]] = {name: [] for name in values}
    of_class = [weight[truth], weight[~truth]]
    for times_RE in _blocks(truth, replicas, seed):
        drawn = [times_RE[:, truth] * of_class[0], times_RE[:, ~truth] * of_class[1]]
        whole = (drawn[0].sum(axis=1) > 0) & (drawn[1].sum(axis=1) > 0)
        signal_RS, background_RB = (w[whole] for w in drawn)
        # Of unit weights the squares are the weights.
        squares_RB = None if (weight == 1).all() else background_RB * of_class[1]
        for name, score in scores.items():
            parts[name].append(
                score.separations(signal_RS, background_RB, squares_RB, min_background, levels)
            )
    return {name: Separation.joined(part) for name, part in parts.items()}


def draws(truth: Flags, seed: int, replica: int) -> NDArray[np.int64]:
    """[E] the events of one replica: signal first, then background."""
    random = np.random.default_rng((seed, replica))
    of_class = (np.flatnonzero(truth), np.flatnonzero(~truth))
    return np.concatenate([events[random.integers(0, len(events), len(events))]
                           for events in of_class])  # fmt: skip


def _blocks(truth: Flags, replicas: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """[R, E] how often each event is in each replica."""
    step = max(1, _BLOCK // len(truth))
    for first in range(0, replicas, step):
        numbers = range(first, min(first + step, replicas))
        yield np.stack([np.bincount(draws(truth, seed, r), minlength=len(truth)) for r in numbers])


@dataclass(frozen=True)
class _Ordered:
    """Where a score has its signal [S] and background [B] events, among its G values."""

    signal: NDArray[np.int64]
    background: NDArray[np.int64]
    size: int
    """G"""

    @classmethod
    def of(cls, truth: Flags, value: Array, weight: Array, enough: float) -> _Ordered:
        """Of events [E]; values that make no difference are joined with the next lower one."""
        order = np.argsort(-value, kind="stable")
        last = np.flatnonzero(np.diff(value[order], append=np.nan) != 0)
        kept = np.ones(len(last), dtype=bool)
        if (weight >= 0).all():
            # Where values of background alone follow one another, the curve is level: its ends
            # say all, once it is certain that enough background passes. There is at least one
            # effective event to each weight of the heaviest.
            above = np.cumsum(truth[order])[last]
            background = np.cumsum(np.where(truth[order], 0.0, weight[order]))[last]
            risen = np.diff(above, prepend=0) > 0
            few = background <= enough * float(weight.max())
            kept = risen | np.append(risen[1:], True) | few
        place = np.empty(len(value), dtype=np.int64)
        place[order] = np.searchsorted(last[kept], np.arange(len(value)))
        return cls(place[truth], place[~truth], int(kept.sum()))

    def separations(
        self,
        signal_RS: Array,
        background_RB: Array,
        squares_RB: Array | None,
        min_background: float,
        levels: Array,
    ) -> Separation:
        """Of replicas in which events have these weights, and background these squares."""
        signal_RG = self._above(signal_RS, self.signal)
        background_RG = self._above(background_RB, self.background)
        if squares_RB is None:
            enough_RG = background_RG >= min_background
        else:
            squares_RG = self._above(squares_RB, self.background)
            enough_RG = effective_counts(background_RG, squares_RG) >= min_background
        precision_RG = precision(signal_RG, background_RG)
        tpr_RG, fpr_RG = signal_RG, background_RG
        tpr_RG /= tpr_RG[:, -1:].copy()
        fpr_RG /= fpr_RG[:, -1:].copy()
        # Trapezoids from the origin: events of one value count a half against each other.
        auc = np.einsum("rg,rg->r", np.diff(fpr_RG), tpr_RG[:, 1:] + tpr_RG[:, :-1])
        auc = (auc + fpr_RG[:, 0] * tpr_RG[:, 0]) / 2
        average = np.einsum("rg,rg->r", np.diff(tpr_RG), precision_RG[:, 1:])
        average += tpr_RG[:, 0] * precision_RG[:, 0]
        (fpr_RL,) = at_efficiency(tpr_RG, levels, fpr_RG)
        fpr_RG[~enough_RG] = np.inf
        return Separation(auc, (tpr_RG / np.sqrt(fpr_RG)).max(axis=1), average, fpr_RL)

    def _above(self, w_RE: Array, place: NDArray[np.int64]) -> Array:
        """[R, G] the sums at or above every value, of events [E] at these places."""
        sums_RG = np.empty((len(w_RE), self.size))
        for w, sums in zip(w_RE, sums_RG, strict=True):
            sums[:] = np.bincount(place, w, minlength=self.size)
        return np.cumsum(sums_RG, axis=1, out=sums_RG)
