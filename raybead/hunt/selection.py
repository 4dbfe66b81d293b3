r"""Which events are outliers: a quantile of the score, given m_jj or over all.

A fixed threshold passes more events at high mass than at low, and so sculpts bumps and slopes
into m_jj. The conditional threshold is a linear quantile regression in log m_jj (Koenker and
Bassett, Econometrica 46 (1978) 33):

.. math:: t(m) = a + b \log(m / m_0), \quad
    (a, b) = \arg\min \sum_e \rho_q(s_e - t(m_e)), \quad \rho_q(u) = u (q - [u < 0])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.sample import Array, Sample

FOLDS = 5
MIN_BEYOND = 10
"""Events that have to lie beyond a threshold for its fit to mean anything."""


@dataclass(frozen=True)
class Threshold:
    """t(m) = intercept + slope * log(m / reference)."""

    intercept: float
    slope: float
    reference: float

    def at(self, mjj: Array) -> Array:
        """[E] thresholds on the score at masses [GeV]."""
        return self.intercept + self.slope * np.log(mjj / self.reference)


def fit_threshold(
    sample: Sample, quantile: float, conditional: Literal["mjj", "none"]
) -> Threshold:
    """The threshold that a share ``quantile`` of a sample lies below.

    Raises:
        HuntError: the sample is too small for the quantile.
    """
    beyond = len(sample) * (1 - quantile)
    if beyond < MIN_BEYOND:
        raise HuntError(
            f"cut {quantile:g}: only {beyond:.1f} of the {len(sample)} events that thresholds are"
            f" fitted on lie beyond it, and {MIN_BEYOND} are needed; take a softer cut"
        )
    reference = float(np.median(sample.mjj))
    if conditional == "none":
        return Threshold(float(np.quantile(sample.score, quantile)), 0.0, reference)
    x = np.log(sample.mjj / reference)
    scale = float(sample.score.std()) / max(float(x.std()), 1e-12)

    # For a given slope the best intercept is a plain quantile, so what is left is convex in
    # one variable: exact, and linear in the number of events.
    def intercept(slope: float) -> float:
        return float(np.quantile(sample.score - slope * x, quantile))

    def pinball(slope: float) -> float:
        rest = sample.score - slope * x
        rest = rest - np.quantile(rest, quantile)
        return float(np.mean(rest * (quantile - (rest < 0))))

    best = minimize_scalar(
        pinball,
        bounds=(-10 * scale, 10 * scale),
        method="bounded",
        options={"xatol": 1e-6 * scale},
    )
    slope = float(best.x)  # type: ignore[attr-defined]
    return Threshold(intercept(slope), slope, reference)


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
    if config.threshold_fit == "background":
        threshold = fit_threshold(background, quantile, config.conditional)
        return Selection(quantile, search.score > threshold.at(search.mjj), (threshold,))
    # By folds: an event that helped to set its threshold could not lie far above it.
    fold = search.event % FOLDS
    outlier = np.zeros(len(search), dtype=bool)
    thresholds = []
    for number in range(FOLDS):
        mine = fold == number
        threshold = fit_threshold(search.select(~mine), quantile, config.conditional)
        outlier[mine] = search.score[mine] > threshold.at(search.mjj[mine])
        thresholds.append(threshold)
    return Selection(quantile, outlier, tuple(thresholds))
