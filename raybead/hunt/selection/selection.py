"""The outliers of a search sample.

Axes: E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.config import Hunt
from raybead.hunt.sample import Sample
from raybead.hunt.selection.threshold import Threshold, fit_threshold

FOLDS = 5


@dataclass(frozen=True)
class Selection:
    """The outliers of a search sample at one cut."""

    quantile: float
    outlier: NDArray[np.bool_]
    """[E]"""
    thresholds: tuple[Threshold, ...]
    """One, or one a fold where they are fitted on the search sample itself."""


def select_outliers(
    search: Sample, background: Sample, quantile: float, config: Hunt
) -> Selection:
    """Events of ``search`` above the threshold at ``quantile``.

    Args:
        search: where outliers are looked for.
        background: simulated background, scored alike.
        quantile: of the cut.
        config: what thresholds are fitted on, and whether they follow m_jj.
    """
    order = config.threshold_order if config.conditional == "mjj" else 0
    if config.threshold_fit == "background":
        threshold = fit_threshold(background, quantile, order)
        return Selection(quantile, search.score > threshold.at(search.mass), (threshold,))
    # By folds: an event that helped to set its threshold could not lie far above it.
    fold = search.event % FOLDS
    outlier = np.zeros(len(search), dtype=bool)
    thresholds = []
    for number in range(FOLDS):
        mine = fold == number
        threshold = fit_threshold(search.select(~mine), quantile, order)
        outlier[mine] = search.score[mine] > threshold.at(search.mass[mine])
        thresholds.append(threshold)
    return Selection(quantile, outlier, tuple(thresholds))
