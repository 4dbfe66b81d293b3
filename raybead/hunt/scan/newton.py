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
ROWS = 4096
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
        parts.append(_fit(likelihood.take(rows), s_P[rows], theta_PK[rows], held))
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
def _fit(likelihood: Likelihood, s_P: Array, theta_PK: Array, held: bool) -> Fitted:
    n = len(likelihood)
    found_DP = np.concatenate([s_P[:, None], theta_PK], axis=1).T.astype(np.float64)
    value_P = np.zeros(n)
    moving = slice(int(held), None)
    on = np.arange(n)
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
        ended = (better & (gain < TOLERANCE)) | (size < 1e-9)
        if ended.any():
            rows = on[ended]
            found_DP[:, rows], value_P[rows] = at[:, ended], best[ended]
            keep = ~ended
            on, likelihood = on[keep], likelihood.take(np.flatnonzero(keep))
            at, step, size = at[:, keep], step[:, keep], size[keep]
            best, gain = best[keep], gain[keep]
            if len(on) == 0:
                break
    found_DP[:, on], value_P[on] = at, best
    return Fitted(found_DP[0], found_DP[1:].T, value_P)


def _downhill(slopes: Slopes, moving: slice) -> Array:
    """[D, P] Newton's step, or the scoring step where the curvature isn't positive."""
    gradient = slopes.gradient_DP[moving]
    newton, definite = solve(slopes.hessian_DDP[moving, moving], gradient)
    if not definite.all():
        scoring, fine = solve(slopes.fisher_DDP[moving, moving], gradient)
        newton = np.where(definite, newton, np.where(fine, scoring, 1e-3 * np.sign(gradient)))
    return -newton


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
