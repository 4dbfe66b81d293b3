"""The outliers of a search sample.

Axes: E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.sample import Sample
from raybead.hunt.selection.threshold import Family, Threshold

FOLDS = 5


@dataclass(frozen=True)
class Selection:
    """The outliers of a search sample at one cut."""

    quantile: float
    outlier: NDArray[np.bool_]
    """[E]"""
    thresholds: tuple[Threshold, ...]
    """One, or one a fold where they are fitted on the search sample itself."""

    def passes(self, sample: Sample) -> NDArray[np.bool_]:
        """[E] whether events are outliers: each against its fold's threshold."""
        return _passing(sample, self.thresholds)


def select(
    search: Sample, background: Sample, config: Hunt, cuts: tuple[float, ...] | None = None
) -> tuple[Selection | HuntError, ...]:
    """The outliers of every cut, in the order of the cuts.

    The outliers of a harder cut are among those of a softer one, event by event.

    Args:
        search: where outliers are looked for.
        background: simulated background, scored alike.
        config: what thresholds are fitted on, and whether they follow the mass.
        cuts: quantiles; those of ``config`` if not given.

    Returns:
        For a cut that the sample doesn't allow, the reason stands in its place.

    Raises:
        HuntError: the search sample's scores are all the same.
    """
    cuts = config.cuts if cuts is None else cuts
    order = config.threshold_order if config.conditional == "mjj" else 0
    if len(search) and bool((search.score == search.score[0]).all()):
        raise HuntError(
            f"the scores of the {len(search)} events of the search sample are all"
            f" {search.score[0]:g}: nothing tells outliers by"
        )
    if config.threshold_fit == "background":
        both = np.concatenate([search.mass, background.mass])
        span = (float(both.min()), float(both.max())) if len(both) else None
        fitted = Family(background, order, span).fit(cuts)
        return tuple(
            found if isinstance(found, HuntError) else _selected(search, cut, (found,))
            for cut, found in zip(cuts, fitted, strict=True)
        )
    # By folds: an event that helped to set its threshold could not lie far above it.
    fold = search.event % FOLDS
    family = Family(search, order)
    family.fit(cuts)  # on all events: each fold's fit begins there, and ends in a few steps
    by_fold = [family.fit(cuts, fold != number) for number in range(FOLDS)]
    return tuple(
        next((t for t in of_cut if isinstance(t, HuntError)), None)
        or _selected(search, cut, tuple(t for t in of_cut if isinstance(t, Threshold)))
        for cut, of_cut in zip(cuts, zip(*by_fold, strict=True), strict=True)
    )


def _selected(search: Sample, cut: float, thresholds: tuple[Threshold, ...]) -> Selection:
    return Selection(cut, _passing(search, thresholds), thresholds)


def _passing(sample: Sample, thresholds: tuple[Threshold, ...]) -> NDArray[np.bool_]:
    """Each event against the threshold of its fold: the remainder of its number."""
    fold = sample.event % len(thresholds)
    passes = np.zeros(len(sample), dtype=bool)
    for number, threshold in enumerate(thresholds):
        mine = fold == number
        passes[mine] = sample.score[mine] > threshold.at(sample.mass[mine])
    return passes
