"""Many small fits at once, by Newton's method with step halving.

Axes: P fits, D = 1 + K parameters, the peak's events first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.histogram import Array
from raybead.hunt.scan.likelihood import Likelihood, Slopes

TOLERANCE = 1e-12
"""A fit is done where its next step gains less log-likelihood: some 1e-6 of an error."""
STEPS = 120
"""After which a fit is left at the best it found. Five are usual."""
FARTHEST = 30.0
"""Times the gain of a scoring step beyond which a Newton step isn't believed."""
ROWS = 1024
"""Fits at a time, so that their arrays stay in the cache."""


@dataclass(frozen=True)
class Fitted:
    """P fits."""

    s_P: Array
    """Events of the peak."""
    theta_PK: Array
    value_P: Array
    """Minus the logarithm of the likelihood, see :mod:`~raybead.hunt.scan.likelihood`."""

    def take(self, rows: NDArray[np.integer]) -> Fitted:
        return Fitted(self.s_P[rows], self.theta_PK[rows], self.value_P[rows])


def fit(likelihood: Likelihood, s_P: Array, theta_PK: Array, held: bool = False) -> Fitted:
    """The best parameters of every spectrum, from a start.

    Newton's steps where the curvature is positive, Fisher's scoring elsewhere, halved until
    they gain.

    Args:
        likelihood: of P spectra.
        s_P: events of the peaks to start with.
        theta_PK: background to start with.
        held: whether s stays, and the background alone is fitted.
    """
    parts = []
    for first in range(0, max(len(likelihood), 1), ROWS):
        rows = np.arange(first, min(first + ROWS, len(likelihood)))
        part = likelihood.take(rows)
        found, stuck = _fit(part, s_P[rows], theta_PK[rows], held)
        if len(stuck) and not held:
            # At a kink in s, where empty bins meet no peak: what is left is the background.
            at = found.take(stuck)
            rest, _ = _fit(part.take(stuck), at.s_P, at.theta_PK, held=True)
            found.theta_PK[stuck], found.value_P[stuck] = rest.theta_PK, rest.value_P
        parts.append(found)
    return Fitted(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in Fitted.__annotations__
        )
    )


@np.errstate(all="ignore")
def curvature_error(likelihood: Likelihood, fitted: Fitted) -> Array:
    """[P] error of s by the curvature (the scoring matrix's); 1 where it has none."""
    slopes = likelihood.slopes(fitted.s_P, fitted.theta_PK)
    side = np.zeros_like(slopes.gradient_DP)
    side[0] = 1
    variance, fine = solve(slopes.fisher_DDP, side)
    return np.where(fine & (variance[0] > 0), np.sqrt(np.abs(variance[0])), 1.0)


@np.errstate(all="ignore")
def _fit(
    likelihood: Likelihood, s_P: Array, theta_PK: Array, held: bool
) -> tuple[Fitted, NDArray[np.integer]]:
    """The fits, and those that ended where no step gains, or without an end."""
    n = len(likelihood)
    found_DP = np.concatenate([s_P[:, None], theta_PK], axis=1).T.astype(np.float64)
    value_P = np.zeros(n)
    moving = slice(int(held), None)
    on, stuck = np.arange(n), np.arange(0)
    at, step, size = found_DP.copy(), np.zeros_like(found_DP), np.ones(n)
    best, gain = np.full(n, np.inf), np.full(n, np.inf)
    for _ in range(STEPS):
        trial = at + size * step
        slopes = likelihood.slopes(trial[0], trial[1:].T)
        better = slopes.value_P <= best - 1e-4 * size * gain
        # Where hardly anything is left to gain, rounding may hide it.
        better |= (gain < 1e-9) & (slopes.value_P <= best + 1e-11 * (1 + np.abs(best)))
        better |= np.isinf(best)
        at = np.where(better, trial, at)
        best = np.where(better, slopes.value_P, best)
        newton = np.zeros_like(at)
        newton[moving] = _downhill(slopes, moving)
        step = np.where(better, newton, step)
        gain = np.where(better, -np.sum(slopes.gradient_DP * newton, axis=0), gain)
        size = np.where(better, 1.0, size / 2)
        # Fitted to the end, or no step however small gains anything: a kink, or rounding.
        kinked = size < 1e-9
        ended = (better & (gain < TOLERANCE)) | kinked
        if ended.any():
            rows, stuck = on[ended], np.append(stuck, on[kinked])
            found_DP[:, rows], value_P[rows] = at[:, ended], best[ended]
            keep = ~ended
            on, likelihood = on[keep], likelihood.take(np.flatnonzero(keep))
            at, step, size = at[:, keep], step[:, keep], size[keep]
            best, gain = best[keep], gain[keep]
            if len(on) == 0:
                break
    found_DP[:, on], value_P[on] = at, best
    return Fitted(found_DP[0], found_DP[1:].T, value_P), np.append(stuck, on)


def _downhill(slopes: Slopes, moving: slice) -> Array:
    """[D, P] Newton's step, or the scoring step where the curvature isn't positive, or too near
    to zero to say how far to go."""
    gradient = slopes.gradient_DP[moving]
    newton, definite = solve(slopes.hessian_DDP[moving, moving], gradient)
    scoring, fine = solve(slopes.fisher_DDP[moving, moving], gradient)
    far = np.sum(gradient * newton, axis=0) > FARTHEST * np.sum(gradient * scoring, axis=0)
    step = np.where(fine, scoring, 1e-3 * np.sign(gradient))
    return -np.where(definite & ~(far & fine), newton, step)


def solve(matrix_DDP: Array, side_DP: Array) -> tuple[Array, NDArray[np.bool_]]:
    """x of matrix x = side for P small matrices, and which are positive definite [P]."""
    n = len(side_DP)
    lower = np.zeros_like(matrix_DDP)
    definite = np.ones(side_DP.shape[1], dtype=bool)
    pivot, z = [], []
    for i in range(n):
        own = matrix_DDP[i, i]
        rest = own - sum(lower[i, k] ** 2 * pivot[k] for k in range(i))
        fine = (rest > 1e-13 * np.abs(own)) & (own > 0)
        definite &= fine
        pivot.append(np.where(fine, rest, 1.0))
        for j in range(i + 1, n):
            cross = sum(lower[j, k] * lower[i, k] * pivot[k] for k in range(i))
            lower[j, i] = (matrix_DDP[j, i] - cross) / pivot[i]
        z.append(side_DP[i] - sum(lower[i, k] * z[k] for k in range(i)))
    x = np.empty_like(side_DP)
    for i in reversed(range(n)):
        x[i] = z[i] / pivot[i] - sum(lower[j, i] * x[j] for j in range(i + 1, n))
    return x, definite & np.isfinite(x).all(axis=0)
