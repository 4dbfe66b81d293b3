"""Removing from a jet's loss what follows from its number of constituents alone.

A reconstruction loss grows with multiplicity, so an uncorrected score mostly counts particles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Complexity:
    """A smooth expectation of the log loss given the log of the multiplicity."""

    coefficients: tuple[float, ...]
    """Of powers of (log n - centre), constant first; none at all where nothing is removed."""
    centre: float = 0.0

    @classmethod
    def fit(cls, kind: Literal["quadratic", "none"], loss: Array, n: Array) -> Complexity:
        """Least squares of log loss over jets. No truth takes part.

        Args:
            kind: order of the polynomial.
            loss: [B] positive.
            n: [B] constituents of each jet.
        """
        if kind == "none":
            return cls(())
        # A loss of nothing has no logarithm, and would tear the fit towards it.
        loss, n = loss[loss > 0], n[loss > 0]
        if len(loss) == 0:
            return cls(())
        log_n = np.log(n)
        centre = float(log_n.mean())
        # Fewer distinct multiplicities than coefficients determine a lower order only.
        order = min(2, len(np.unique(n)) - 1)
        fit = np.polynomial.Polynomial.fit(log_n - centre, log_of(loss), order, domain=[-1, 1])
        return cls(tuple(float(c) for c in fit.coef), centre)

    def remove(self, loss: Array, n: Array) -> Array:
        """[B] log loss less its expectation."""
        if not self.coefficients:
            return log_of(loss)
        expected = np.polynomial.Polynomial(self.coefficients)(np.log(n) - self.centre)
        return log_of(loss) - expected

    def as_dict(self) -> dict[str, Any]:
        return {"coefficients": list(self.coefficients), "centre": self.centre}


def log_of(loss: Array) -> Array:
    """Logarithm that takes a perfect reconstruction for the best that doubles can tell."""
    return np.log(np.maximum(loss, np.finfo(np.float64).tiny))
