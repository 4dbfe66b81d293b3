"""Removing from a jet's loss what follows from its number of constituents alone.

A reconstruction loss grows with multiplicity, so an uncorrected score mostly counts particles.
Axes: B jets, U distinct multiplicities, K knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.interpolate import CubicSpline

from raybead.config import ComplexityKind

Array = NDArray[np.float64]
Numbers = NDArray[np.integer] | NDArray[np.float64]

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
"""Quantiles of log multiplicity that a spline of five knots has them at (Harrell, Regression
Modeling Strategies, table 2.3)."""


class Complexity(BaseModel):
    """A smooth expectation of the log loss given the log of the multiplicity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ComplexityKind = "none"
    coefficients: tuple[float, ...] = ()
    """quadratic: of powers of (log n - centre), constant first; spline: the expectation at every
    knot. None at all where nothing is removed."""
    centre: float = 0.0
    floor: float = 0.0
    """Below which a loss counts as this: a millionth of the median. What is reconstructed better
    than that has no more to say, and its logarithm would drown the other jets'."""
    knots: tuple[float, ...] = ()
    """Of a natural cubic spline in log n, which goes on straight beyond the outermost."""

    @classmethod
    def fit(cls, kind: ComplexityKind, loss: Array, n: Numbers) -> Complexity:
        """Least squares of log loss over jets. No truth takes part.

        Fewer distinct multiplicities than coefficients determine a simpler function only.

        Args:
            kind: of the function.
            loss: [B] positive.
            n: [B] constituents of each jet.
        """
        # A loss of nothing has no logarithm, and would tear the fit towards it.
        loss, n = loss[loss > 0], n[loss > 0]
        floor = floor_of(loss)
        return cls.of_logarithms(kind, log_of(loss, floor), n).model_copy(update={"floor": floor})

    @classmethod
    def of_logarithms(cls, kind: ComplexityKind, log_loss: Array, n: Numbers) -> Complexity:
        """The same of log losses [B], which have no floor; of those that are finite."""
        log_loss, n = log_loss[np.isfinite(log_loss)], n[np.isfinite(log_loss)]
        if kind == "none" or len(log_loss) == 0:
            return cls()
        log_n = np.log(n)
        if kind == "spline":
            knots = np.unique(np.quantile(log_n, KNOTS, method="inverted_cdf"))
            values = _regressed(knots, log_n, log_loss)
            return cls(kind=kind, coefficients=_floats(values), knots=_floats(knots))
        centre = float(log_n.mean())
        order = min(2, len(np.unique(n)) - 1)
        fit = np.polynomial.Polynomial.fit(log_n - centre, log_loss, order, domain=[-1, 1])
        values = np.asarray(fit.coef, dtype=np.float64)
        return cls(kind=kind, coefficients=_floats(values), centre=centre)

    def remove(self, loss: Array, n: Numbers) -> Array:
        """Log loss less its expectation, in the shape that ``loss`` and ``n`` share."""
        return self.less_expected(log_of(loss, self.floor), n)

    def less_expected(self, log_loss: Array, n: Numbers) -> Array:
        """The same of log losses."""
        match self.kind:
            case "none":
                return log_loss
            case "quadratic":
                expected = np.polynomial.Polynomial(self.coefficients)(np.log(n) - self.centre)
            case "spline":
                knots, values = np.array(self.knots), np.array(self.coefficients)
                expected = _natural_spline(knots, values, np.log(n))
        return log_loss - expected

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _whole(self) -> Complexity:
        if (self.kind == "none") != (not self.coefficients):
            raise ValueError(f"{len(self.coefficients)} coefficients of kind {self.kind!r}")
        if len(self.knots) != (len(self.coefficients) if self.kind == "spline" else 0):
            raise ValueError(f"{len(self.knots)} knots of {len(self.coefficients)} coefficients")
        if any(high <= low for low, high in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError("knots must run upwards")
        return self


def floor_of(loss: Array) -> float:
    """A millionth of the median of positive losses [B]; 0 of none."""
    return 1e-6 * float(np.median(loss)) if len(loss) else 0.0


def log_of(loss: Array, floor: float = 0.0) -> Array:
    """Logarithm that takes a perfect reconstruction for ``floor``, or the least of doubles."""
    return np.log(np.maximum(loss, max(floor, np.finfo(np.float64).tiny)))


def _regressed(knots: Array, log_n: Array, log_loss: Array) -> NDArray[np.floating]:
    """[K] values at the knots of the natural spline nearest to jets [B], by least squares.

    All jets of one multiplicity count as their mean, as often as they are. Every knot is some
    jet's multiplicity, so all values are determined.
    """
    at_U, place, times = np.unique(log_n, return_inverse=True, return_counts=True)
    mean_U = np.bincount(place, log_loss) / times
    basis_UK = _natural_spline(knots, np.eye(len(knots)), at_U)
    root_U = np.sqrt(times)
    return np.linalg.lstsq(basis_UK * root_U[:, None], mean_U * root_U, rcond=None)[0]


def _natural_spline(knots: Array, values: Array, x: Array) -> Array:
    """The natural cubic spline through ``values`` [K, ...], straight beyond the knots."""
    if len(knots) == 1:
        return np.broadcast_to(values[0], (*x.shape, *values.shape[1:]))
    spline = CubicSpline(knots, values, bc_type="natural")
    inside = np.clip(x, knots[0], knots[-1])
    beyond = (x - inside).reshape(*x.shape, *(1 for _ in values.shape[1:]))
    return spline(inside) + spline(inside, 1) * beyond


def _floats(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
