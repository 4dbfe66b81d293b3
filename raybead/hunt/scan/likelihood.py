r"""Likelihoods of a peak on a background, for many spectra at once.

Outliers of bin i are Poisson distributed about

.. math:: \mu_i = s S_i + B_i(\theta)

with s the resonance's events among outliers, S_i the fraction of them in the bin, and a background
with parameters of its own. Every spectrum's likelihood is told as

.. math:: L = \sum_i d(n_i, \mu_i), \quad d(n, \mu) = \mu - n + n \log(n / \mu),

minus its logarithm, less that of a prediction equal to the data.
Sums of weights are scaled Poisson counts (:class:`~raybead.hunt.histogram.Histogram`): n_i is the
effective count, and predictions are divided by what an event of the bin weighs.

Axes: P spectra, each with a peak of its own; M bins; K parameters of the background; D = 1 + K,
the peak's events first; Q points of a bin's quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.hunt.histogram import Array

INFINITE = 1e30
STEEPEST = 25.0
"""Of logarithms of r: nothing overflows."""
LOWEST = 1e-6
"""Effective events below which a prediction's logarithm goes on as a parabola."""
BELOW_ZERO = 1e-3
"""Effective events that a peak below zero may take from an empty bin beyond what it holds."""


class Slopes(NamedTuple):
    """L and its derivatives by (s, theta)."""

    value_P: Array
    gradient_DP: Array
    hessian_DDP: Array
    fisher_DDP: Array
    """Positive definite where the hessian may not be."""


class Likelihood(Protocol):
    """L of P spectra."""

    @property
    def unit_PM(self) -> Array:
        """What an event of the bin weighs."""
        ...

    @property
    def counts(self) -> tuple[Array, ...]:
        """The data [P, M], in effective events: outliers, and what else was counted."""
        ...

    def start(self) -> Array:
        """[P, K] parameters of the background to begin a fit without a peak at."""
        ...

    def slopes(self, s_P: Array, theta_PK: Array) -> Slopes: ...

    def take(self, rows: NDArray[np.integer], signal_PM: Array | None = None) -> Likelihood:
        """Some of the spectra, one more than once if need be.

        Args:
            rows: of the spectra.
            signal_PM: fractions of the peak in each bin, if others than now.
        """
        ...

    def rates(self, s_P: Array, theta_PK: Array) -> tuple[Array, ...]:
        """Predictions [P, M], ordered as :attr:`counts`."""
        ...

    def counted(self, n_PM: Array, *others_PM: Array) -> Likelihood:
        """Other counts in place of the data's."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class OthersLikelihood:
    r"""The other events' spectrum is the background's shape, with its own statistics.

    Others are Poisson distributed about nu_i, and the background among outliers is r times theirs:

    .. math:: \mu_i = s S_i + r b_i, \quad \nu_i = b_i + s \ell S_i.

    Nothing is known of b_i and r but what the counts say, and l is the signal's ratio of others to
    outliers. Each b_i >= 0 is profiled in closed form (R. Barlow and C. Beeston, Comput. Phys.
    Commun. 77 (1993) 219): with :math:`\Delta = (1 - r \ell) s S` and :math:`\kappa = 1 + 1/r`,
    :math:`\mu` is the larger root of

    .. math:: \kappa \mu^2 - (\kappa \Delta + n + m) \mu + n \Delta = 0,
        \quad r \nu = \mu - \Delta.

    The one parameter left, theta, is log r.
    """

    n_PM: Array
    m_PM: Array
    unit_PM: Array
    """What an event of the bin weighs."""
    signal_PM: Array
    """S in effective events."""
    leak: float

    @property
    def counts(self) -> tuple[Array, ...]:
        return self.n_PM, self.m_PM

    def start(self) -> Array:
        n, m = self.n_PM.sum(axis=1), self.m_PM.sum(axis=1)
        return np.log(np.maximum(n, 1e-9) / np.maximum(m, 1e-9))[:, None]

    def slopes(self, s_P: Array, theta_PK: Array) -> Slopes:
        n, m, signal = self.n_PM, self.m_PM, self.signal_PM
        r = np.exp(np.clip(theta_PK, -STEEPEST, STEEPEST))
        leaked = r * self.leak
        mu, y, x = self._profiled(s_P, r)
        free = x > 0
        t = np.where(mu > 0, n / np.maximum(mu, 1e-300), 0.0)
        u = np.where(y > 0, m / np.maximum(y, 1e-300), 0.0)
        # An empty bin that a peak below zero emptied: mu = 0 holds as s moves, and what n / mu
        # stands for in the gradient follows from the others.
        kappa = 1 + 1 / r
        t = np.where(free & (mu <= 0), kappa - u, t)
        u = np.where(free & (y <= 0), kappa - t, u)
        gain = 1 - t
        value = (special.kl_div(n, mu) + special.kl_div(m, y / r)).sum(axis=1)
        g_s = np.einsum("pm,pm->p", signal, gain + leaked * (1 / r - u))
        g_r = np.einsum("pm,pm->p", x, gain)
        # Curvatures, b eliminated: 1 / c_mu = mu^2 / n and 1 / c_y = y^2 / m add up.
        flat_mu, flat_y = _squared_over(mu, n), _squared_over(y, m)
        both = np.maximum(flat_mu + flat_y, 1e-300)
        share = flat_y / both
        stiff = 1 / both
        held = t**2 / np.where(n > 0, n, 1.0) + (leaked * u) ** 2 / np.where(m > 0, m, 1.0)
        c_ss = np.where(free, (1 - leaked) ** 2 * stiff, held)
        leak_y = (s_P[:, None] * leaked) * signal
        c_sr = (share + leaked * (1 - share)) / r - leaked * u - leak_y * (1 - leaked) * stiff
        c_rr = gain * (flat_mu * share / r - leak_y * (1 - share)) + x * (
            share / r - leak_y * stiff
        )
        h_ss = np.einsum("pm,pm,pm->p", signal, signal, c_ss)
        h_sr = np.einsum("pm,pm->p", signal, np.where(free, c_sr, 0.0))
        h_rr = np.where(free, c_rr, 0.0).sum(axis=1)
        across = (1 - leaked) * signal
        spread = 1 / np.maximum(mu + r * y, 1e-3)
        f_ss, f_sr, f_rr = (
            np.einsum("pm,pm,pm->p", a, b, spread)
            for a, b in ((across, across), (across, x), (x, x))
        )
        return Slopes(
            value,
            np.stack([g_s, g_r]),
            np.stack([np.stack([h_ss, h_sr]), np.stack([h_sr, h_rr])]),
            np.stack([np.stack([f_ss, f_sr]), np.stack([f_sr, f_rr])]),
        )

    @np.errstate(all="ignore")  # of the forms that aren't taken
    def _profiled(self, s_P: Array, r_P1: Array) -> tuple[Array, Array, Array]:
        """[P, M] mu, r nu, and the background r b, at the best b >= 0."""
        n, m = self.n_PM, self.m_PM
        kappa = 1 + 1 / r_P1
        peak = s_P[:, None] * self.signal_PM
        delta = (1 - r_P1 * self.leak) * peak
        shifted = kappa * delta
        root = np.sqrt((shifted + m - n) ** 2 + 4 * n * m)
        # Each of them in the form that doesn't cancel.
        plus, minus = n + m + shifted, n + m - shifted
        mu = np.where(
            plus >= 0,
            (plus + root) / (2 * kappa),
            2 * n * delta / np.minimum(plus - root, -1e-300),
        )
        y = np.where(
            minus >= 0,
            (minus + root) / (2 * kappa),
            -2 * m * delta / np.minimum(minus - root, -1e-300),
        )
        none = mu <= peak
        mu, y = np.where(none, peak, mu), np.where(none, r_P1 * self.leak * peak, y)
        return mu, y, np.where(none, 0.0, np.maximum(mu - peak, 1e-300))

    def rates(self, s_P: Array, theta_PK: Array) -> tuple[Array, ...]:
        r = np.exp(np.clip(theta_PK, -STEEPEST, STEEPEST))
        mu, y, _ = self._profiled(s_P, r)
        return mu, y / r

    def take(self, rows: NDArray[np.integer], signal_PM: Array | None = None) -> OthersLikelihood:
        unit = self.unit_PM[rows]
        signal = self.signal_PM[rows] if signal_PM is None else signal_PM / unit
        return OthersLikelihood(self.n_PM[rows], self.m_PM[rows], unit, signal, self.leak)

    def counted(self, n_PM: Array, *others_PM: Array) -> OthersLikelihood:
        return replace(self, n_PM=n_PM, m_PM=others_PM[0])

    def __len__(self) -> int:
        return len(self.n_PM)


def _squared_over(rate: Array, count: Array) -> Array:
    """rate^2 / count; without a count infinite, or 0 where the rate is held at 0."""
    filled = count > 0
    square = rate**2 / np.where(filled, count, 1.0)
    return np.where(filled, square, np.where(rate > 0, INFINITE, 0.0))
