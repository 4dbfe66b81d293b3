r"""Upper limits on a peak's yield by the CLs method.

The test statistic is :math:`\tilde q_s` of arXiv:1007.1727 (eq. 16): twice the rise of minus the
log-likelihood from its best, at a yield of 0 or above, to the yield s tested; 0 if the best is
above s. With :math:`q_A` its value for the Asimov data set, the background fitted to the data
without a peak, its distributions are (sections 3.7, 4.3)

.. math:: p_{s+b} = \Phi(-\sqrt{\tilde q}), \quad
    p_b = \Phi(\sqrt{q_A} - \sqrt{\tilde q}) \quad\text{for}\quad \tilde q \le q_A,

.. math:: p_{s+b} = \Phi\Bigl(-\frac{\tilde q + q_A}{2 \sqrt{q_A}}\Bigr), \quad
    p_b = \Phi\Bigl(\frac{q_A - \tilde q}{2 \sqrt{q_A}}\Bigr) \quad\text{beyond},

and the yield at which CLs = p_{s+b} / p_b falls to 1 - confidence is the limit (A. L. Read,
J. Phys. G 28 (2002) 2693). Expected limits follow from
:math:`\sqrt{q_A(s)} = N + \Phi^{-1}(1 - \alpha \Phi(N))` for data N standard deviations from the
median.

The formulae are those of large samples. With fewer than about 5 events expected under the peak
they are too tight: without any event, 1.9 in place of the 3.0 events of an exact limit.
:func:`~raybead.hunt.limits.toys.toy_limits` has no such fault.

Axes: G masses, P spectra.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.histogram import Array
from raybead.hunt.scan.likelihood import Likelihood
from raybead.hunt.scan.newton import Fitted, curvature_error, fit
from raybead.hunt.scan.peaks import PeakModel
from raybead.hunt.scan.roots import crossing

BANDS = (-2, -1, 0, 1, 2)
"""Standard deviations from the median that expected limits are told at."""

Floats = tuple[float, ...]


@dataclass(frozen=True)
class Limits:
    """Upper limits at every mass."""

    masses: Floats
    """[G] GeV"""
    observed: Floats
    """[G]"""
    expected: tuple[Floats, ...]
    """[5, G] without a signal: 2 and 1 standard deviations low, median, 1 and 2 high."""
    confidence: float
    unit: str = "events"
    """events: of the resonance among outliers, those outside the window among them; fb."""
    method: str = "asymptotic"
    """asymptotic or toys."""

    def over(self, luminosity: float) -> Limits:
        """As cross-sections times acceptance and efficiency [fb], at a luminosity [1/fb]."""
        if not luminosity > 0:
            raise HuntError(f"hunt.luminosity = {luminosity:g} is not above 0")
        return replace(
            self,
            observed=tuple(limit / luminosity for limit in self.observed),
            expected=tuple(tuple(x / luminosity for x in band) for band in self.expected),
            unit="fb",
        )


def limits(model: PeakModel, confidence: float = 0.95) -> Limits:
    """Asymptotic limits of data, the model's only spectrum, at every mass of its templates."""
    tested = Tested.of(*model.peaks())
    expected = tuple(_floats(expected_limit(tested, band, confidence)) for band in BANDS)
    return Limits(
        masses=_floats(model.templates.masses),
        observed=_floats(observed_limit(tested, confidence)),
        expected=expected,
        confidence=confidence,
    )


class Tested:
    """P spectra and their Asimov data sets, with the fits that any yield is tested against."""

    def __init__(self, peaks: Likelihood, null: Fitted, free: Fitted) -> None:
        self.peaks, self.null, self.free = peaks, null, free
        self.asimov = peaks.counted(*peaks.rates(np.zeros(len(peaks)), null.theta_PK))
        # The best fit with a yield of 0 or above.
        self.best_P = np.where(free.s_P > 0, free.value_P, null.value_P)
        self.theta_PK = np.where(free.s_P[:, None] > 0, free.theta_PK, null.theta_PK)
        self.asimov_theta_PK = null.theta_PK

    @classmethod
    def of(cls, peaks: Likelihood, null: Fitted) -> Tested:
        return cls(peaks, null, fit(peaks, null.s_P, null.theta_PK))

    def q(self, s_P: Array) -> Array:
        """[P] q-tilde of the data."""
        at = fit(self.peaks, s_P, self.theta_PK, held=True)
        self.theta_PK = at.theta_PK  # the next yield is near
        q = np.maximum(2 * (at.value_P - self.best_P), 0.0)
        return np.where(self.free.s_P > s_P, 0.0, q)

    def q_asimov(self, s_P: Array) -> Array:
        """[P] q-tilde of the Asimov data set, whose best yield is 0."""
        at = fit(self.asimov, s_P, self.asimov_theta_PK, held=True)
        self.asimov_theta_PK = at.theta_PK
        return np.maximum(2 * at.value_P, 0.0)

    def log_cls(self, s_P: Array) -> Array:
        """[P] logarithms of CLs at yields above 0."""
        return log_cls(self.q(s_P), self.q_asimov(s_P))


def log_cls(q: Array, q_asimov: Array) -> Array:
    """log CLs of a test statistic; see the formulae above."""
    root, root_a = np.sqrt(q), np.sqrt(q_asimov)
    far = q > q_asimov
    half = 2 * np.maximum(root_a, 1e-150)
    both = np.where(far, -(q + q_asimov) / half, -root)
    background = np.where(far, (q_asimov - q) / half, root_a - root)
    return np.where(q_asimov > 0, special.log_ndtr(both) - special.log_ndtr(background), 0.0)


def observed_limit(tested: Tested, confidence: float) -> Array:
    """[P] yields at which CLs is 1 - confidence."""
    start = np.maximum(tested.free.s_P, 0.0)
    step = 2 * curvature_error(tested.peaks, tested.null)
    target = np.log1p(-confidence)
    return crossing(lambda s: target - tested.log_cls(s), start, start + step)


def expected_limit(tested: Tested, band: float, confidence: float) -> Array:
    """[P] limits of background-only data ``band`` standard deviations high."""
    target = band - special.ndtri((1 - confidence) * special.ndtr(band))
    start = np.zeros(len(tested.peaks))
    step = target * curvature_error(tested.peaks, tested.null)
    return crossing(lambda s: np.sqrt(tested.q_asimov(s)) - target, start, step)


def _floats(values: Array) -> Floats:
    return tuple(float(value) for value in values)
