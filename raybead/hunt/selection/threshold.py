r"""Which events are outliers: a quantile of the score, given m_jj or over all.

A fixed threshold passes more events at high mass than at low, and so sculpts bumps and slopes
into m_jj. The conditional threshold is a quantile regression (Koenker and Bassett, Econometrica
46 (1978) 33) on a polynomial of log m_jj:

.. math:: t(m) = \sum_k c_k \log^k(m / m_0), \quad
    c = \arg\min \sum_e w_e \rho_q(s_e - t(m_e)), \quad \rho_q(u) = u (q - [u < 0])

with the events' weights w, so that the share asked for is one of summed weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.optimize import minimize

from raybead.errors import HuntError
from raybead.hunt.binning import DIJET_EDGES
from raybead.hunt.histogram import Histogram
from raybead.hunt.sample import Array, Sample
from raybead.hunt.weights import effective, relative
from raybead.hunt.weights import quantile as weighted_quantile

MIN_BEYOND = 10
"""Events that have to lie beyond a threshold for its fit to mean anything; effective ones, where
they are weighted."""


@dataclass(frozen=True)
class Threshold:
    """A polynomial in log(m / reference)."""

    coefficients: tuple[float, ...]
    """Constant first; it alone where the threshold is fixed."""
    reference: float
    """GeV"""

    def at(self, mass: Array) -> Array:
        """[E] thresholds on the score at masses [GeV]."""
        return np.polynomial.Polynomial(self.coefficients)(np.log(mass / self.reference))


def fit_threshold(sample: Sample, quantile: float, order: int) -> Threshold:
    """The threshold that a share ``quantile`` of a sample's summed weight lies below.

    Args:
        sample: whose scores and masses are regressed.
        quantile: q.
        order: of the polynomial; 0 is a fixed threshold.

    Raises:
        HuntError: the sample is too small for the quantile, or its weights sum to no positive
            number.
    """
    weight = relative(sample.weight)
    if len(sample) and weight.sum() <= 0:
        raise HuntError(
            f"cut {quantile:g}: the weights of the {len(sample)} events that thresholds are fitted"
            f" on sum to {weight.sum():g}, which is not above 0"
        )
    n = effective(weight)
    beyond = n * (1 - quantile)
    if beyond < MIN_BEYOND:
        events = len(sample) if n == len(sample) else f"effectively {n:.1f}"
        raise HuntError(
            f"cut {quantile:g}: only {beyond:.1f} of the {events} events that thresholds are"
            f" fitted on lie beyond it, and {MIN_BEYOND} are needed; take a softer cut"
        )
    reference = float(np.median(sample.mass))
    log_m = np.log(sample.mass / reference)
    unit = float(log_m.std()) or 1.0
    design = np.vander(log_m / unit, order + 1, increasing=True)
    level = _levelled(sample.mass, weight) if order else weight
    fit = _quantile_regression(design, sample.score, level, quantile)
    fit[0] += weighted_quantile(sample.score - design @ fit, weight, quantile)
    return Threshold(tuple(float(c / unit**k) for k, c in enumerate(fit)), reference)


def _levelled(mass: Array, weight: Array) -> Array:
    """[E] weights in units of what an event of the same dijet bin weighs, sum w^2 / sum w.

    A quantile given m_jj is the same whatever function of m_jj multiplies the weights. So weights
    that fall with m_jj, as those of samples made in slices of it do, needn't take the say from
    events at high masses, which would leave the threshold wrong where the hunt sees it is.
    """
    per_event = Histogram.of(mass, weight, DIJET_EDGES).per_event
    place = np.searchsorted(DIJET_EDGES, mass, side="right") - 1
    return weight / per_event[np.clip(place, 0, len(per_event) - 1)]


def _quantile_regression(design: Array, score: Array, weight: Array, quantile: float) -> Array:
    """Coefficients [K] of the columns of ``design`` [E, K], the first of them constant.

    The pinball loss is smoothed by a Gaussian narrow against the spread of the scores, which
    makes it a convex problem for Newton's method, linear in the number of events (convolution
    smoothing, arXiv:2012.05187). Negative weights can make the loss concave in places; its minimum
    is then a local one, near the quantile over all masses, where the search begins.
    """
    total = weight.sum()
    width = 0.5 * max(_spread(score, np.abs(weight)), 1e-12) * effective(weight) ** (-1 / 3)

    def loss(c: Array) -> float:
        u = (score - design @ c) / width
        each = u * (quantile - special.ndtr(-u)) + _normal(u)
        return float(np.sum(weight * each) / total) * width

    def gradient(c: Array) -> Array:
        u = (score - design @ c) / width
        return -design.T @ (weight * (quantile - special.ndtr(-u))) / total

    def hessian(c: Array) -> Array:
        u = (score - design @ c) / width
        return (design.T * (weight * _normal(u))) @ design / (total * width)

    start = np.zeros(design.shape[1])
    start[0] = weighted_quantile(score, weight, quantile)
    return minimize(loss, start, jac=gradient, hess=hessian, method="trust-exact").x


def _spread(score: Array, weight: Array) -> float:
    total = weight.sum()
    mean = np.sum(weight * score) / total
    return float(np.sqrt(np.sum(weight * (score - mean) ** 2) / total))


def _normal(u: Array) -> Array:
    return np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
