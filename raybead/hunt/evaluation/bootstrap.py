"""Paired bootstrap of AUC and maximum significance improvement: every score, the same replicas.

DeLong's errors are of AUCs alone; what a maximum is uncertain by, and whether a model gains over
a control, is asked here of replicas of the events.
Axes: E events, R replicas (of a block), G distinct values of a score, rising.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

REPLICAS = 500
FEWEST_REPLICAS = 50
MOST_DRAWN = 20_000_000
"""Events drawn in all: of samples above 40,000 there are fewer replicas."""
_BLOCK = 200_000
_CERTAINLY = 15
"""Of this many times the background events that have to pass, no replica holds too few."""


@dataclass(frozen=True)
class Separation:
    """AUC and maximum significance improvement of one score in R replicas."""

    auc: Array
    sic: Array
    """0 in a replica where too few background events ever pass"""

    def less(self, other: Separation) -> Separation:
        """The differences, replica by replica."""
        return Separation(self.auc - other.auc, self.sic - other.sic)


def replicas_for(n_events: int) -> int:
    """How many replicas of so many events are drawn."""
    return int(np.clip(MOST_DRAWN // max(n_events, 1), FEWEST_REPLICAS, REPLICAS))


def replicate(
    truth: Flags,
    weight: Array,
    values: Mapping[str, Array],
    min_background: float,
    *,
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
        values: [E] of each score.
        min_background: effective background events that have to pass for a significance
            improvement to count.
        seed: of the draws.
        replicas: to draw; see :func:`replicas_for`.
    """
    replicas = replicas_for(len(truth)) if replicas is None else replicas
    scores = {
        name: _Ordered.of(truth, value, weight, _CERTAINLY * min_background)
        for name, value in values.items()
    }
    parts: dict[str, list[tuple[Array, Array]]] = {name: [] for name in values}
    for times_ER in _blocks(truth, replicas, seed):
        w_ER = times_ER * weight[:, None]
        whole = (w_ER[truth].sum(axis=0) > 0) & (w_ER[~truth].sum(axis=0) > 0)
        w_ER = np.ascontiguousarray(w_ER[:, whole])
        for name, score in scores.items():
            parts[name].append(score.separations(weight, w_ER, min_background))
    return {
        name: Separation(*(np.concatenate(column) for column in zip(*part, strict=True)))
        for name, part in parts.items()
    }


def draws(truth: Flags, seed: int, replica: int) -> NDArray[np.int64]:
    """[E] the events of one replica: signal first, then background."""
    random = np.random.default_rng((seed, replica))
    of_class = (np.flatnonzero(truth), np.flatnonzero(~truth))
    return np.concatenate([events[random.integers(0, len(events), len(events))]
                           for events in of_class])  # fmt: skip


def _blocks(truth: Flags, replicas: int, seed: int) -> Iterator[Array]:
    """[E, R] how often each event is in each replica."""
    step = max(1, _BLOCK // len(truth))
    for first in range(0, replicas, step):
        numbers = range(first, min(first + step, replicas))
        times = [np.bincount(draws(truth, seed, r), minlength=len(truth)) for r in numbers]
        yield np.stack(times, axis=1).astype(np.float64)


@dataclass(frozen=True)
class _Ordered:
    """A score's falling order of signal and of background events."""

    signal: NDArray[np.int64]
    """Signal events, highest first"""
    background: NDArray[np.int64]
    passing: tuple[NDArray[np.integer], NDArray[np.integer]]
    """[G] how many signal, and how many background events lie at or above each value; of unit
    weights only at values that matter"""

    @classmethod
    def of(cls, truth: Flags, value: Array, weight: Array, enough: float) -> _Ordered:
        order = np.argsort(-value, kind="stable")
        last = np.flatnonzero(np.diff(value[order], append=np.nan) != 0)
        is_signal = truth[order]
        above = np.cumsum(is_signal.astype(np.int64))[last]
        background = last + 1 - above
        if (weight == 1).all():
            # Where values of background alone follow one another, the curve is level: its ends
            # say all, once it is certain that enough background passes.
            risen = np.diff(above, prepend=0) > 0
            kept = risen | np.append(risen[1:], True) | (background <= enough)
            above, background = above[kept], background[kept]
        return cls(order[is_signal], order[~is_signal], (above, background))

    def separations(
        self, weight: Array, w_ER: Array, min_background: float
    ) -> tuple[Array, Array]:
        """AUC [R] and maximum significance improvement [R] of events of these weights."""
        of_signal, of_background = self.passing
        tpr_GR = _running(w_ER[self.signal])[of_signal]
        background_GR = _running(w_ER[self.background])[of_background]
        tpr_GR /= tpr_GR[-1]
        fpr_GR = background_GR / background_GR[-1]
        # Trapezoids from the origin: events of one value count a half against each other.
        auc = np.einsum("gr,gr->r", np.diff(fpr_GR, axis=0), tpr_GR[1:] + tpr_GR[:-1])
        auc = (auc + fpr_GR[0] * tpr_GR[0]) / 2
        if (weight == 1).all():
            effective_GR = background_GR
        else:
            squares = w_ER[self.background] * weight[self.background, None]
            squares_GR = _running(squares)[of_background]
            filled = (background_GR > 0) & (squares_GR > 0)
            effective_GR = np.where(
                filled, background_GR**2 / np.where(filled, squares_GR, 1.0), 0.0
            )
        fpr_GR[effective_GR < min_background] = np.inf
        return auc, (tpr_GR / np.sqrt(fpr_GR)).max(axis=0)


def _running(w_ER: Array) -> Array:
    """[E + 1, R] sums of the first 0, 1, ... rows."""
    sums = np.zeros((len(w_ER) + 1, w_ER.shape[1]))
    np.cumsum(w_ER, axis=0, out=sums[1:])
    return sums
