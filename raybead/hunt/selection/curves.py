"""What thresholds are made of: smooth functions of log m, told at events and at nodes.

Axes: E events, N nodes of a threshold's table, K functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]

KNOTS = {
    1: (0.5,),
    2: (0.1, 0.9),
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.5, 0.6583, 0.8167, 0.975),
}
"""Quantiles of the events that knots are at (Harrell, Regression Modeling Strategies, table 2.3).
They lie close where events are many, as at the low end of a falling spectrum."""


@dataclass(frozen=True)
class Curves:
    """Functions of log m that are orthogonal over the events."""

    at_events: Array
    """[E, K], of unit mean square."""
    at_nodes: Array
    """[N, K]"""
    level: Array
    """[K] coefficients of the function that is 1 everywhere."""

    @classmethod
    def splines(cls, log_m: Array, nodes: Array, n_knots: int) -> Curves:
        """Natural cubic splines: straight beyond the outermost knots. Two knots make a line."""
        knots = np.unique(np.quantile(log_m, KNOTS[n_knots]))
        return cls._orthogonal(_natural(knots, log_m), _natural(knots, nodes))

    @classmethod
    def polynomials(cls, log_m: Array, nodes: Array, order: int) -> Curves:
        """Polynomials up to an order; 0 is a constant."""
        centre, unit = log_m.mean(), log_m.std() or 1.0
        return cls._orthogonal(
            *(np.vander((x - centre) / unit, order + 1, increasing=True) for x in (log_m, nodes))
        )

    @classmethod
    def _orthogonal(cls, at_events: Array, at_nodes: Array) -> Curves:
        # Fewer masses than functions determine as many of them only.
        turned, sizes, axes = np.linalg.svd(at_events, full_matrices=False)
        kept = sizes > 1e-9 * sizes[0]
        root = np.sqrt(len(at_events))
        events = turned[:, kept] * root
        nodes = at_nodes @ (axes[kept].T * (root / sizes[kept]))
        return cls(events, nodes, events.mean(axis=0))


def _natural(knots: Array, x: Array) -> Array:
    """[E, K] natural cubic splines that are 1 at one knot and 0 at the others."""
    if len(knots) == 1:
        return np.ones((len(x), 1))
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    inside = np.clip(x, knots[0], knots[-1])
    return spline(inside) + spline(inside, 1) * (x - inside)[:, None]
