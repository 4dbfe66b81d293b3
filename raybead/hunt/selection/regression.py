r"""Quantile regression: the curve that a share q of the scores lies below.

.. math:: \arg\min_c \sum_e w_e \rho_q(s_e - t_c(m_e)), \quad \rho_q(u) = u (q - [u < 0])

(Koenker and Bassett, Econometrica 46 (1978) 33), where t is linear in its coefficients, or what
it adds to a known curve is the exponential of something linear, and so positive. The pinball loss
is smoothed by a Gaussian narrow against the spread of the scores, which makes it a smooth problem
for Newton's method, linear in the number of events (convolution smoothing, arXiv:2012.05187).

Axes: E events, K coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.hunt.weights import effective
from raybead.hunt.weights import quantile as weighted_quantile

Array = NDArray[np.float64]

STEPS = 60
"""Of Newton's method. Near the minimum it takes three or four."""


def smoothing(score: Array, weight: Array, quantile: float) -> float:
    """Width of the Gaussian that smooths the pinball loss.

    It follows the spread of the scores near the quantile, in which a few wild ones have no say,
    and falls with the third root of the effective number of events.
    """
    beyond = min(quantile, 1 - quantile)
    low, high = quantile - beyond / 2, quantile + beyond / 2
    values = [weighted_quantile(score, weight, q) for q in (low, high)]
    normal = special.ndtri(high) - special.ndtri(low)
    spread = float(values[1] - values[0]) / normal or _deviation(score, np.abs(weight))
    return 0.5 * max(abs(spread), 1e-12) * effective(weight) ** (-1 / 3)


def regressed(
    design: Array, score: Array, weight: Array, quantile: float, width: float, start: Array
) -> Array:
    """Coefficients [K] of the columns of ``design`` [E, K]."""
    return _minimised(_Linear(design, score, weight, quantile, width), start)


def positive_regressed(
    design: Array, score: Array, weight: Array, quantile: float, width: float, start: Array
) -> Array:
    """Coefficients [K] of the logarithm of a curve that is positive everywhere."""
    return _minimised(_Exponential(design, score, weight, quantile, width), start)


@dataclass(frozen=True)
class _Point:
    """The loss at some coefficients, its gradient [K] and its Hessian [K, K]."""

    loss: float
    gradient: Array
    hessian: Array


@dataclass(frozen=True)
class _Linear:
    """The smoothed pinball loss of ``design @ c``."""

    design: Array
    score: Array
    weight: Array
    quantile: float
    width: float

    def at(self, c: Array) -> _Point:
        curve = self.curve(c)
        u = (self.score - curve) / self.width
        density, pull = _normal(u), self.quantile - special.ndtr(-u)
        first, second = self.slopes(curve)
        push = self.weight * pull
        bend = self.weight * density / self.width * first**2 - push * second
        return _Point(
            float(self.weight @ (u * pull + density)) * self.width,
            -self.design.T @ (push * first),
            (self.design.T * bend) @ self.design,
        )

    def curve(self, c: Array) -> Array:
        return self.design @ c

    def slopes(self, curve: Array) -> tuple[Array | float, Array | float]:  # noqa: ARG002
        """First and second derivative of the curve with respect to ``design @ c``."""
        return 1.0, 0.0


class _Exponential(_Linear):
    """That of ``exp(design @ c)``."""

    def curve(self, c: Array) -> Array:
        return exponential(self.design @ c)

    def slopes(self, curve: Array) -> tuple[Array, Array]:
        return curve, curve


def _minimised(problem: _Linear, start: Array) -> Array:
    """Newton's method, with a ridge on the Hessian wherever a step would not lead down.

    Negative weights, and the exponential, can make the loss concave in places; its minimum is then
    a local one, near the start.
    """
    c, ridge = start, 0.0
    # What one more step could still gain, in the loss of an event.
    least = 1e-8 * problem.width * float(problem.weight.sum())
    point = problem.at(c)
    # Far from all scores the loss is straight, and its own curvature no measure for a ridge.
    steepest = 1e-3 * float(np.abs(point.gradient).max()) / problem.width
    for _ in range(STEPS):
        scale = max(float(np.abs(np.diag(point.hessian)).max()), steepest)
        step = _downwards(point, ridge, scale)
        there = None if step is None else problem.at(c + step)
        while step is None or there is None or not _leads_down(point, step, there):
            ridge = max(10 * ridge, 1e-3 * scale)
            if ridge > 1e9 * scale:
                return c
            step = _downwards(point, ridge, scale)
            there = None if step is None else problem.at(c + step)
        gained = -float(point.gradient @ step)
        c, point, ridge = c + step, there, ridge / 10 if ridge > 1e-6 * scale else 0.0
        if gained < least:
            return c
    return c


def _leads_down(point: _Point, step: Array, there: _Point) -> bool:
    return there.loss <= point.loss + 1e-4 * float(point.gradient @ step)


def _downwards(point: _Point, ridge: float, scale: float) -> Array | None:
    """Newton's step with a ridge; None where the Hessian with it isn't positive."""
    k = len(point.gradient)
    # Where no score is near, the Hessian vanishes, and without a floor the step has no end.
    tiny = 1e-10 * scale
    try:
        root = np.linalg.cholesky(point.hessian + (ridge + tiny) * np.eye(k))
    except np.linalg.LinAlgError:
        return None
    step = np.linalg.solve(root.T, np.linalg.solve(root, -point.gradient))
    return np.asarray(step, dtype=np.float64)


def exponential(x: Array) -> Array:
    """exp(x), finite whatever x is."""
    return np.exp(np.clip(x, -100.0, 100.0))


def _deviation(score: Array, weight: Array) -> float:
    total = weight.sum()
    mean = np.sum(weight * score) / total
    return float(np.sqrt(np.sum(weight * (score - mean) ** 2) / total))


def _normal(u: Array) -> Array:
    return np.exp(-(np.clip(u, -38.0, 38.0) ** 2) / 2) / np.sqrt(2 * np.pi)
