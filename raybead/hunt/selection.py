r"""Which events are outliers: a quantile of the score, given m_jj or over all.

A fixed threshold passes more events at high mass than at low, and so sculpts bumps and slopes
into m_jj. The conditional threshold is a quantile regression (Koenker and Bassett, Econometrica
46 (1978) 33) on a polynomial of log m_jj:

.. math:: t(m) = \sum_k c_k \log^k(m / m_0), \quad
    c = \arg\min \sum_e \rho_q(s_e - t(m_e)), \quad \rho_q(u) = u (q - [u < 0])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import minimize

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.sample import Array, Sample

FOLDS = 5
MIN_BEYOND = 10
"""Events that have to lie beyond a threshold for its fit to mean anything."""


@dataclass(frozen=True)
class Threshold:
    """A polynomial in log(m / reference)."""

    coefficients: tuple[float, ...]
    """Constant first; it alone where the threshold is fixed."""
    reference: float
    """GeV"""

    def at(self, mjj: Array) -> Array:
        """[E] thresholds on the score at masses [GeV]."""
        return np.polynomial.Polynomial(self.coefficients)(np.log(mjj / self.reference))


def fit_threshold(sample: Sample, quantile: float, order: int) -> Threshold:
    """The threshold that a share ``quantile`` of a sample lies below.

    Args:
        sample: whose scores and masses are regressed.
        quantile: q.
        order: of the polynomial; 0 is a fixed threshold.

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
    log_m = np.log(sample.mjj / reference)
    unit = float(log_m.std()) or 1.0
    design = np.vander(log_m / unit, order + 1, increasing=True)
    fit = _quantile_regression(design, sample.score, quantile)
    return Threshold(tuple(float(c / unit**k) for k, c in enumerate(fit)), reference)


def _quantile_regression(design: Array, score: Array, quantile: float) -> Array:
    """Coefficients [K] of the columns of ``design`` [E, K], the first of them constant.

    The pinball loss is smoothed by a Gaussian narrow against the spread of the scores, which
    makes it a convex problem for Newton's method, linear in the number of events (convolution
    smoothing, arXiv:2012.05187). The constant is then set so that exactly the share wanted
    lies below.
    """
    width = 0.5 * max(float(score.std()), 1e-12) * len(score) ** (-1 / 3)

    def loss(c: Array) -> float:
        u = (score - design @ c) / width
        return float(np.mean(u * (quantile - special.ndtr(-u)) + _normal(u))) * width

    def gradient(c: Array) -> Array:
        u = (score - design @ c) / width
        return -design.T @ (quantile - special.ndtr(-u)) / len(score)

    def hessian(c: Array) -> Array:
        u = (score - design @ c) / width
        return (design.T * _normal(u)) @ design / (len(score) * width)

    start = np.zeros(design.shape[1])
    start[0] = np.quantile(score, quantile)
    best = minimize(loss, start, jac=gradient, hess=hessian, method="trust-exact").x
    best[0] += np.quantile(score - design @ best, quantile)
    return best


def _normal(u: Array) -> Array:
    return np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)


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
        return Selection(quantile, search.score > threshold.at(search.mjj), (threshold,))
    # By folds: an event that helped to set its threshold could not lie far above it.
    fold = search.event % FOLDS
    outlier = np.zeros(len(search), dtype=bool)
    thresholds = []
    for number in range(FOLDS):
        mine = fold == number
        threshold = fit_threshold(search.select(~mine), quantile, order)
        outlier[mine] = search.score[mine] > threshold.at(search.mjj[mine])
        thresholds.append(threshold)
    return Selection(quantile, outlier, tuple(thresholds))
