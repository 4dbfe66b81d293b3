"""Maximum-likelihood fits of spectra whose logarithm is linear in what is fitted, by the batch.

Axes: B fits, M bins, Q points of a bin's quadrature, P = Q * M points, K coefficients. Fits lie
along the last axis, where numpy is quick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.histogram import Array

POINTS = 4
"""Q, of Gauss-Legendre. A spectrum that falls by e^2 in a bin is integrated to 1e-7."""
TOLERANCE = 1e-11
"""A fit is done where its next step gains less log-likelihood than this: some 1e-6 of an error."""
STEPS = 60
"""After which a fit is given up. Five are usual."""
STEEPEST = 100.0
"""Logarithms of spectra are kept within this of 0, so that nothing overflows."""


@dataclass(frozen=True)
class Fitted:
    """B fits of K coefficients."""

    coefficients_KB: Array
    converged_B: NDArray[np.bool_]


@dataclass(frozen=True)
class LogLinear:
    """Expected events of a bin: the integral of exp(sum_k coefficient_k * column_k)."""

    columns_PK: Array
    """Orthonormal over all points; the first k of them span the functions of k parameters."""
    log_weight_P: Array
    """Of the quadrature."""
    mean_MK: Array
    """The columns' means over each bin."""
    triangle: Array
    """From the columns that were asked for to the orthonormal ones, [K, K]: upper."""

    @classmethod
    def of(cls, edges: Array, columns: list[Array], nodes: Array, weights: Array) -> LogLinear:
        """Of columns [Q, M] at Gauss-Legendre nodes [Q] of (-1, 1) in bins between edges."""
        asked_PK = np.stack([column.ravel() for column in columns], axis=1)
        orthonormal, triangle = np.linalg.qr(asked_PK)
        weight_QM = weights[:, None] * np.diff(edges) / 2
        shaped = orthonormal.reshape(len(nodes), len(edges) - 1, len(columns))
        mean_MK = (weights[:, None, None] * shaped).sum(axis=0) / weights.sum()
        return cls(orthonormal, np.log(weight_QM).ravel(), mean_MK, triangle)

    def spectrum(self, coefficients_KB: Array) -> tuple[Array, Array]:
        """The integrand with its weights [P, B], and the expected events [M, B]."""
        log_PB = self.columns_PK[:, : len(coefficients_KB)] @ coefficients_KB
        log_PB += self.log_weight_P[:, None]
        np.clip(log_PB, -STEEPEST, STEEPEST, out=log_PB)
        np.exp(log_PB, out=log_PB)
        return log_PB, self._by_bin(log_PB).sum(axis=0)

    def _by_bin(self, values_PX: Array) -> Array:
        n_points, n_bins = len(self.columns_PK), len(self.mean_MK)
        return values_PX.reshape(n_points // n_bins, n_bins, values_PX.shape[1])

    def fit(self, counts_MB: Array, share_MB: Array, n: int, start_KB: Array | None) -> Fitted:
        """Coefficients of the highest Poisson likelihood, by Fisher scoring with step halving.

        The log-likelihood is the sum over bins of counts * log(expected) - share * expected.
        The scoring matrix takes the columns' means over bins, which costs a fraction of their
        exact derivatives and changes how the maximum is reached, but not where it is.

        Args:
            counts_MB: (effective) counts; 0 in bins that are left out.
            share_MB: (effective) counts per expected event; 0 in bins that are left out.
            n: coefficients to fit, the others are 0.
            start_KB: [n, B] to begin with; least squares to log counts without.
        """
        columns_PK = self.columns_PK[:, :n]
        pairs_TM = self._pairs(n)
        at = self._start(counts_MB, share_MB, n) if start_KB is None else start_KB.copy()
        found = np.array(at)
        converged = np.zeros(at.shape[1], dtype=bool)
        index = np.flatnonzero(counts_MB.any(axis=0))
        at, y, c = at[:, index], counts_MB[:, index], share_MB[:, index]
        step, size = np.zeros_like(at), np.ones(len(index))
        gain, best = np.full(len(index), np.inf), np.full(len(index), -np.inf)
        for _ in range(STEPS):
            if len(index) == 0:
                break
            trial = at + size * step
            spectrum_PB, expected = self.spectrum(trial)
            likelihood = (y * np.log(expected) - c * expected).sum(axis=0)
            # Rounding may cost a little likelihood where nothing is left to gain.
            rounding = 1e-11 * np.abs(np.where(np.isfinite(best), best, 0.0))
            better = likelihood >= best - rounding
            at = np.where(better, trial, at)
            best = np.where(better, likelihood, best)
            spectrum_PB *= np.tile(y / expected - c, (len(spectrum_PB) // len(y), 1))
            slope_KB = columns_PK.T @ spectrum_PB
            lower, definite = cholesky(pairs_TM @ (c * expected), n)
            newton = backward(lower, forward(lower, slope_KB))
            step = np.where(better, np.where(definite, newton, 0.0), step)
            gain = np.where(better, np.sum(slope_KB * newton, axis=0), gain)
            size = np.where(better, 1.0, size / 2)
            done = better & definite & (gain < TOLERANCE)
            # What no step improves has come to where rounding ends.
            exhausted = size < 1e-6
            ended = done | exhausted | (better & ~definite)
            if ended.any():
                found[:, index[ended]] = (at + np.where(done, step, 0.0))[:, ended]
                converged[index[ended]] = (done | (exhausted & (gain < 1e-6)))[ended]
                on = ~ended
                index, at, y, c = index[on], at[:, on], y[:, on], c[:, on]
                step, size, gain, best = step[:, on], size[on], gain[on], best[on]
        found[:, index] = at
        return Fitted(found, converged)

    def errors(
        self, expected_MB: Array, share_MB: Array, inside_MB: NDArray[np.bool_], n: int
    ) -> Array:
        """[B] standard deviations of the events expected in some bins, by the Fisher information.

        Columns are taken at their means over bins.

        Args:
            expected_MB: by fits of n coefficients.
            share_MB: (effective) counts per expected event; 0 in bins that weren't fitted.
            inside_MB: the bins whose sum is asked for.
            n: coefficients.

        Returns:
            Infinity where the fitted bins don't tell the coefficients.
        """
        lower, definite = cholesky(self._pairs(n) @ (share_MB * expected_MB), n)
        slope_KB = self.mean_MK[:, :n].T @ (expected_MB * inside_MB)
        return np.where(definite, np.sqrt(np.sum(forward(lower, slope_KB) ** 2, axis=0)), np.inf)

    def _pairs(self, n: int) -> Array:
        """[T, M] products of the columns' means: what scoring matrices are sums of."""
        rows, columns = np.tril_indices(n)
        return (self.mean_MK[:, rows] * self.mean_MK[:, columns]).T

    def _start(self, counts_MB: Array, share_MB: Array, n: int) -> Array:
        """Least squares to the logarithms, half an event added to each bin."""
        used = share_MB > 0
        share = np.where(used, share_MB, 1.0)
        padded = np.where(used, counts_MB + 0.5, 0.0)
        width = np.exp(self.log_weight_P).reshape(-1, len(counts_MB)).sum(axis=0)
        log_density = np.where(used, np.log((counts_MB + 0.5) / (share * width[:, None])), 0.0)
        mean = self.mean_MK[:, :n]
        lower, definite = cholesky(self._pairs(n) @ padded, n)
        start = backward(lower, forward(lower, mean.T @ (padded * log_density)))
        return np.where(definite, start, 0.0)


def cholesky(triangle_TB: Array, n: int) -> tuple[list[list[Array]], NDArray[np.bool_]]:
    """The factors of B symmetric matrices, and which are positive definite [B].

    Args:
        triangle_TB: the lower triangles, row by row, T = n (n + 1) / 2.
        n: rows.
    """
    lower: list[list[Array]] = []
    definite = np.ones(triangle_TB.shape[1], dtype=bool)
    for i in range(n):
        row: list[Array] = []
        for j in range(i + 1):
            own = triangle_TB[i * (i + 1) // 2 + j]
            rest = own - sum(row[k] * (row if j == i else lower[j])[k] for k in range(j))
            if j < i:
                row.append(rest / lower[j][j])
            else:
                fine = rest > 1e-13 * own
                definite &= fine
                row.append(np.sqrt(np.where(fine, rest, 1.0)))
        lower.append(row)
    return lower, definite


def forward(lower: list[list[Array]], right_KB: Array) -> Array:
    """Solves L x = right."""
    found: list[Array] = []
    for row, right in zip(lower, right_KB, strict=True):
        rest = right - sum(a * x for a, x in zip(row, found, strict=False))
        found.append(rest / row[-1])
    return np.stack(found)


def backward(lower: list[list[Array]], right_KB: Array) -> Array:
    """Solves L^T x = right."""
    n = len(lower)
    found: dict[int, Array] = {}
    for i in reversed(range(n)):
        rest = right_KB[i] - sum(lower[j][i] * found[j] for j in range(i + 1, n))
        found[i] = rest / lower[i][i]
    return np.stack([found[i] for i in range(n)])
