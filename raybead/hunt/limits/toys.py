"""Upper limits on a peak's yield by CLs with pseudo-experiments, for few events.

Pseudo-experiments are drawn about the background that fits the data best with the yield tested,
or without a peak; what their counts are is drawn anew, of the other events as of the outliers.

Axes: T pseudo-experiments, J yields tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sklearn.isotonic import IsotonicRegression

from raybead.hunt.histogram import Array
from raybead.hunt.limits.cls import BANDS, Limits, Tested, expected_limit, observed_limit
from raybead.hunt.scan.likelihood import Likelihood
from raybead.hunt.scan.newton import Fitted, fit
from raybead.hunt.scan.peaks import PeakModel

POINTS = 20
"""Yields tested for a limit, evenly spread in their logarithm."""


def toy_limits(
    model: PeakModel,
    masses: Array,
    rng: np.random.Generator,
    toys: int = 2000,
    confidence: float = 0.95,
) -> Limits:
    """Limits of data, the model's only spectrum, at a few masses.

    Their own error is that of a share 1 - confidence of the pseudo-experiments: with 2000 some
    3 % of the median. The lowest band asks for a share of 0.001, and for ten times as many.

    Args:
        model: of the data.
        masses: [GeV]
        rng: that pseudo-experiments are drawn with.
        toys: with and without a signal, each, for every yield tested.
        confidence: of the limits.
    """
    peaks, null = model.peaks(model.templates.at(masses))
    found = [
        _limits_of(Tested.of(peaks.take(row), null.take(row)), rng, toys, confidence)
        for row in (np.array([i]) for i in range(len(masses)))
    ]
    return Limits(
        masses=tuple(float(mass) for mass in masses),
        observed=tuple(each[0] for each in found),
        expected=tuple(tuple(each[1 + k] for each in found) for k in range(len(BANDS))),
        confidence=confidence,
        method="toys",
    )


def _limits_of(
    data: Tested, rng: np.random.Generator, toys: int, confidence: float
) -> list[float]:
    """The observed limit and the expected ones."""
    ends = [observed_limit(data, confidence)[0]]
    ends += [expected_limit(data, band, confidence)[0] for band in (BANDS[0], BANDS[-1])]
    low, high = 0.3 * min(ends), 2.5 * max(ends)
    target, share = np.log1p(-confidence), special.ndtr(-np.array(BANDS, dtype=np.float64))
    without = _pseudo(data, 0.0, toys, rng)
    while True:
        s_J = np.geomspace(low, high, POINTS)
        log_cls = np.empty((1 + len(BANDS), POINTS))
        for j, s in enumerate(s_J):
            tested = np.full(toys, s)
            q_with, q_without = _pseudo(data, s, toys, rng).q(tested), without.q(tested)
            quantiles = np.quantile(q_without, share, method="inverted_cdf")
            wanted = np.concatenate([data.q(s_J[j : j + 1]), quantiles])
            log_cls[:, j] = _log_share(q_with, wanted) - _log_share(q_without, wanted)
        if (log_cls[:, -1] < target).all() or high > 1e12:
            return [_fallen(s_J, row, target) for row in log_cls]
        high *= 3


def _pseudo(data: Tested, s: float, toys: int, rng: np.random.Generator) -> Tested:
    at = fit(data.peaks, np.array([s]), data.null.theta_PK, held=True)
    every = np.zeros(toys, dtype=np.int64)
    drawn = poisson(data.peaks.take(every), at.take(every), rng)
    return Tested.of(drawn, fit(drawn, np.zeros(toys), drawn.start(), held=True))


def poisson(peaks: Likelihood, at: Fitted, rng: np.random.Generator) -> Likelihood:
    """Pseudo-experiments about fits: all counts independent Poisson."""
    rates = peaks.rates(at.s_P, at.theta_PK)
    return peaks.counted(*(rng.poisson(rate).astype(np.float64) for rate in rates))


def _log_share(q_T: Array, wanted: Array) -> Array:
    """Log share of pseudo-experiments of at least these q; half of one where there is none."""
    beyond: NDArray[np.int64] = len(q_T) - np.searchsorted(np.sort(q_T), wanted * (1 - 1e-9))
    return np.log(np.maximum(beyond, 0.5) / len(q_T))


def _fallen(s_J: Array, log_cls_J: Array, target: float) -> float:
    """The yield at which log CLs falls below its target, once noise doesn't make it rise."""
    smooth = IsotonicRegression(increasing=False).fit_transform(s_J, log_cls_J)
    above = np.flatnonzero(smooth > target)
    if len(above) == 0:
        return float(s_J[0])
    last = min(int(above[-1]), len(s_J) - 2)
    ends = smooth[last : last + 2]
    part = (ends[0] - target) / (ends[0] - ends[1]) if ends[0] > ends[1] else 1.0
    return float(s_J[last] + min(part, 1.0) * (s_J[last + 1] - s_J[last]))
