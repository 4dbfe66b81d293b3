r"""The likelihood of a peak on a background whose logarithm is linear in what is fitted.

.. math:: B_i(\theta) = \sum_q \exp\Bigl(o_{qi} + \sum_k X_{qik} \theta_k\Bigr)

with q the points of a bin's quadrature: dijet functions of 3 to 5 parameters, or a shape that is
known but for its normalisation.

Axes: as in :mod:`~raybead.hunt.scan.likelihood`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.histogram import Array
from raybead.hunt.scan.likelihood import BELOW_ZERO, LOWEST, Slopes

STEEPEST = 300.0
"""Logarithms of predictions are kept within this of 0, so that nothing overflows."""


@dataclass(frozen=True)
class Family:
    """Backgrounds whose logarithm is linear in their parameters."""

    columns_QMK: Array
    """Orthonormal."""
    offset_QM: Array
    mean_MK: Array
    """Of the columns over each bin."""

    @classmethod
    def of(cls, design: Array, offset: Array) -> Family:
        """A family of a design matrix.

        Args:
            design: X, [Q, M, K], or [M, K] where bins are taken at one point.
            offset: o, [Q, M] or [M]: logarithms of the quadrature's weights, or of a shape.
        """
        design = np.asarray(design if design.ndim == 3 else design[None], dtype=np.float64)
        offset = np.asarray(offset if offset.ndim == 2 else offset[None], dtype=np.float64)
        columns = np.linalg.qr(design.reshape(-1, design.shape[-1]))[0].reshape(design.shape)
        share = np.exp(offset - offset.max(axis=0))
        mean = np.einsum("qm,qmk->mk", share / share.sum(axis=0), columns)
        return cls(columns, np.clip(offset, -STEEPEST, STEEPEST), mean)

    @classmethod
    def normalised(cls, n_bins: int) -> Family:
        """Shapes that are known but for their normalisation; they come with the data."""
        return cls.of(np.ones((n_bins, 1)), np.zeros(n_bins))


@dataclass(frozen=True)
class FamilyLikelihood:
    """Spectra on a background of a family."""

    n_PM: Array
    unit_PM: Array
    """What an event of the bin weighs."""
    shape_PM: Array
    """Logarithm of a shape that the family is multiplied with; 0 for none."""
    signal_PM: Array
    """S in effective events."""
    family: Family

    @property
    def counts(self) -> tuple[Array, ...]:
        return (self.n_PM,)

    def start(self) -> Array:
        """Least squares to the logarithms of the counts, half an event added to each."""
        padded = self.n_PM + 0.5
        flat = np.log(np.exp(self.family.offset_QM).sum(axis=0)) + self.shape_PM
        # Bins that nothing is expected in say nothing.
        padded = np.where(self.shape_PM > -STEEPEST, padded, 1e-9)
        target = np.log(padded * self.unit_PM) - flat
        mean = self.family.mean_MK
        square = np.einsum("pm,mk,ml->pkl", padded, mean, mean)
        square += 1e-9 * np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(mean.shape[1])
        side = np.einsum("pm,mk->pk", padded * target, mean)
        return np.linalg.solve(square, side[..., None])[..., 0]

    def _background(self, theta_PK: Array) -> Array:
        """[Q, P, M] effective events at the points of the quadrature."""
        log = np.einsum("pk,qmk->qpm", theta_PK, self.family.columns_QMK, optimize=True)
        log += self.family.offset_QM[:, None, :] + self.shape_PM
        return np.exp(np.clip(log, -STEEPEST, STEEPEST)) / self.unit_PM

    def slopes(self, s_P: Array, theta_PK: Array) -> Slopes:
        n, signal, family = self.n_PM, self.signal_PM, self.family
        points = self._background(theta_PK)
        background = points.sum(axis=0)
        mu = s_P[:, None] * signal + background
        value, first, second = _poisson(n, mu)
        mean = family.mean_MK
        n_fit = mean.shape[1]
        pairs = (mean[:, :, None] * mean[:, None, :]).reshape(len(mean), -1)

        def square(a_PM: Array, b_PM: Array, c_PM: Array) -> Array:
            """[D, D, P] of the sums over bins for (s, s), (s, theta), (theta, theta)."""
            full = np.empty((1 + n_fit, 1 + n_fit, len(n)))
            full[0, 0] = a_PM.sum(axis=1)
            full[0, 1:] = full[1:, 0] = (b_PM @ mean).T
            full[1:, 1:] = (c_PM @ pairs).T.reshape(n_fit, n_fit, -1)
            return full

        gradient = np.empty((1 + n_fit, len(n)))
        gradient[0] = np.einsum("pm,pm->p", signal, first)
        gradient[1:] = np.einsum("qpm,qmk->kp", points * first, family.columns_QMK, optimize=True)
        tilted, spread = second * background, 1 / np.maximum(mu, BELOW_ZERO)
        # A bin's columns by their means: that changes how the best is reached, not where it is.
        return Slopes(
            value.sum(axis=1),
            gradient,
            square(second * signal**2, tilted * signal, tilted * background + first * background),
            square(spread * signal**2, spread * background * signal, spread * background**2),
        )

    def rates(self, s_P: Array, theta_PK: Array) -> tuple[Array, ...]:
        background = self._background(theta_PK).sum(axis=0)
        return (np.maximum(s_P[:, None] * self.signal_PM + background, 0.0),)

    def take(self, rows: NDArray[np.integer], signal_PM: Array | None = None) -> FamilyLikelihood:
        unit, shape = self.unit_PM[rows], self.shape_PM[rows]
        signal = self.signal_PM[rows]
        if signal_PM is not None:
            signal = np.where(shape > -STEEPEST, signal_PM / unit, 0.0)
        return FamilyLikelihood(self.n_PM[rows], unit, shape, signal, self.family)

    def counted(self, n_PM: Array, *_others: Array) -> FamilyLikelihood:
        return replace(self, n_PM=n_PM)

    def __len__(self) -> int:
        return len(self.n_PM)


def _poisson(n: Array, mu: Array) -> tuple[Array, Array, Array]:
    """d(n, mu) and its derivatives by mu, made to go on where mu is below what it can be.

    Filled bins: as a parabola below LOWEST. Empty ones: mu + mu^2 / (2 BELOW_ZERO) below 0.
    """
    filled = n > 0
    low = filled & (mu < LOWEST)
    safe = np.where(filled, np.maximum(mu, LOWEST), 1.0)
    over = np.where(low, mu / LOWEST - 1, 0.0)
    under = np.where(filled, 0.0, np.minimum(mu, 0.0))
    count = np.where(filled, n, 1.0)
    log = np.where(filled, count * np.log(count / safe), 0.0)
    value = mu - n + log - n * (over - over**2 / 2) + under**2 / (2 * BELOW_ZERO)
    first = 1 - np.where(low, n * (1 - over) / LOWEST, n / safe) + under / BELOW_ZERO
    second = np.where(under < 0, 1 / BELOW_ZERO, n / safe**2)
    return value, first, second
