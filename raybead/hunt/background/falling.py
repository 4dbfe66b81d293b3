r"""The LHC's dijet functions, and which of them a spectrum asks for.

.. math::

    f(x) = p_0 \frac{(1 - x)^{p_1}}{x^{p_2 + p_3 \ln x + p_4 \ln^2 x}}, \qquad x = m / \sqrt s

of CDF (arXiv:0812.4036) with three parameters more or less, as ATLAS (arXiv:1910.08447) and CMS
(arXiv:1911.03947) use it. Its logarithm is linear in log p0, p1, -p2, -p3, -p4.

Axes: B spectra, M bins, K parameters; spectra lie along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.errors import HuntError
from raybead.hunt.background.deviance import poisson_deviance
from raybead.hunt.background.loglinear import POINTS, Fitted, LogLinear
from raybead.hunt.histogram import Array

ALPHA = 0.05
"""An F-test's p-value below this asks for one parameter more."""
COUNTED = 0.3
"""Least expected events of a bin that counts in an F-test's denominator. An empty bin where next
to none are expected always agrees, and says nothing."""


@dataclass(frozen=True)
class Chosen:
    """A dijet function for each of B spectra."""

    coefficients_KB: Array
    """Of the most parameters; 0 beyond those chosen."""
    order_B: NDArray[np.int64]
    """How many are chosen; 0 where not even the fewest could be fitted."""
    p_B: list[Array]
    """p-values of the F-tests for each parameter beyond the fewest; NaN where none was made."""


@dataclass(frozen=True)
class DijetFunctions:
    """Dijet functions over given bins."""

    model: LogLinear
    fewest: int
    most: int

    @classmethod
    def of(cls, edges: Array, sqrt_s: float, parameters: tuple[int, int]) -> DijetFunctions:
        """Functions of ``parameters[0]`` to ``parameters[1]`` parameters.

        Raises:
            HuntError: masses that a collision can't have.
        """
        if edges[0] <= 0 or edges[-1] >= sqrt_s:
            raise HuntError(
                f"a dijet function needs masses above 0 and below sqrt_s = {sqrt_s:g} GeV, but the"
                f" bins run from {edges[0]:g} to {edges[-1]:g} GeV"
            )
        nodes, weights = np.polynomial.legendre.leggauss(POINTS)
        x = ((edges[1:] + edges[:-1]) / 2 + nodes[:, None] * np.diff(edges) / 2) / sqrt_s
        log = np.log(x)
        columns = [np.ones_like(x), np.log1p(-x), log, log**2, log**3][: parameters[1]]
        return cls(LogLinear.of(edges, columns, nodes, weights), *parameters)

    def parameters(self, coefficients_K: Array) -> tuple[float, ...]:
        """log p0 [1/GeV], p1, ... of coefficients. Fits of few events may have a p0 that no number
        can hold, but the others make up for it."""
        n = len(coefficients_K)
        found = np.linalg.solve(self.model.triangle[:n, :n], coefficients_K)
        return (float(found[0]), float(found[1]), *(float(-p) for p in found[2:]))

    def fit(
        self, counts_MB: Array, share_MB: Array, n: int, start_KB: Array | None = None
    ) -> Fitted:
        """Functions of n parameters; a fit to n filled bins or fewer isn't made.

        Args:
            counts_MB: (effective) counts; 0 in bins that are left out.
            share_MB: (effective) counts per expected event; 0 in bins that are left out.
            n: parameters.
            start_KB: [n, B] to begin with.
        """
        enough = (counts_MB > 0).sum(axis=0) > n
        fitted = self.model.fit(np.where(enough, counts_MB, 0.0), share_MB, n, start_KB)
        return Fitted(fitted.coefficients_KB, fitted.converged_B & enough)

    def expected(self, chosen: Chosen) -> Array:
        """[M, B] events of functions; not of those that couldn't be fitted."""
        return self.model.spectrum(chosen.coefficients_KB)[1]

    def choose(self, counts_MB: Array, share_MB: Array) -> Chosen:
        """Parameters are added one by one, as long as an F-test asks for one more.

        F is the deviance that a parameter more takes away, over Pearson's chi2 of the larger
        function per degree of freedom; the deviance falls with every parameter, and Pearson's
        chi2 keeps its mean where few events are expected. A structure that no parameter
        describes, such as a peak, enlarges the denominator and so asks for none.
        """
        n_fits = counts_MB.shape[1]
        chosen = np.zeros((self.most, n_fits))
        fitted = self.fit(counts_MB, share_MB, self.fewest)
        chosen[: self.fewest] = np.where(fitted.converged_B, fitted.coefficients_KB, 0.0)
        order = np.where(fitted.converged_B, self.fewest, 0)
        expected = self.model.spectrum(chosen[: self.fewest])[1]
        deviance = poisson_deviance(counts_MB, share_MB * expected)
        p_values = []
        for n in range(self.fewest + 1, self.most + 1):
            p = np.full(n_fits, np.nan)
            index = np.flatnonzero(order == n - 1)
            counts, share = counts_MB[:, index], share_MB[:, index]
            fitted = self.fit(counts, share, n)
            expected = share * self.model.spectrum(fitted.coefficients_KB)[1]
            smaller = poisson_deviance(counts, expected)
            p[index] = f_test(deviance[index] - smaller, counts, expected, n)
            p[index[~fitted.converged_B]] = np.nan
            more = fitted.converged_B & (p[index] < ALPHA)
            chosen[:n, index[more]] = fitted.coefficients_KB[:, more]
            order[index[more]] = n
            deviance[index] = smaller
            p_values.append(p)
        return Chosen(chosen, order, p_values)


def f_test(gain_B: Array, counts_MB: Array, expected_MB: Array, n: int) -> Array:
    """[B] p-values of the deviance that the n-th parameter takes away; NaN without bins to test.

    Args:
        gain_B: deviance with n - 1 parameters minus that with n.
        counts_MB: (effective) counts.
        expected_MB: by the function of n parameters.
        n: parameters.
    """
    counted = expected_MB >= COUNTED
    ndf = counted.sum(axis=0) - n
    tested = ndf > 0
    safe = np.where(counted, expected_MB, 1.0)
    chi2 = np.where(counted, (counts_MB - expected_MB) ** 2 / safe, 0.0).sum(axis=0)
    freedom = np.where(tested, ndf, 1)
    ratio = np.maximum(gain_B, 0.0) / np.maximum(chi2 / freedom, 1e-12)
    return np.where(tested, stats.f.sf(ratio, 1, freedom), np.nan)
