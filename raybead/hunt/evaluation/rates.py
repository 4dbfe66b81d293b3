"""Rejection and significance improvement at signal efficiencies, with what replicas say of them.

Axes: R replicas, L signal efficiencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.hunt.evaluation.curves import Curve

Array = NDArray[np.float64]

LEVELS: Array = np.arange(1, 101) / 100
"""Signal efficiencies of the band of significance improvement; those of rejections among them."""
EFFICIENCIES = (0.1, 0.2, 0.3, 0.5, 0.7)
CENTRAL = (0.15865525393145707, 0.8413447460685429)
"""Quantiles that the central 68.3 % lie between."""


def rejections(
    curve: Curve, fpr_RL: Array, n_background: float, min_background: float
) -> list[dict[str, Any]]:
    """Background rejection 1 / FPR at :data:`EFFICIENCIES`.

    ``low`` and ``high`` are the ends of the central 68.3 % of the replicas, ``error`` half of
    what lies between. Where fewer than ``min_background`` events pass, replicas know too little
    of it: ``high`` and ``error`` are None, and ``low`` is a bound, no higher than what the count
    itself allows. ``value`` is None where none passes.

    Args:
        curve: of the score.
        fpr_RL: false positive rates of the replicas at :data:`LEVELS`.
        n_background: effective background events in all.
        min_background: effective ones that have to pass.
    """
    at = np.searchsorted(LEVELS, np.asarray(EFFICIENCIES) - 1e-6)
    fpr_L, passing_L = curve.at(LEVELS[at])
    low_L, high_L = np.quantile(fpr_RL[:, at], CENTRAL, axis=0)
    found = []
    for efficiency, fpr, passing, low, high in zip(
        EFFICIENCIES, fpr_L, passing_L, low_L, high_L, strict=True
    ):
        value = 1 / float(fpr) if fpr > 0 else None
        if passing >= min_background and fpr > 0 and low > 0:
            ends = {"low": 1 / float(high), "high": 1 / float(low)}
            ends["error"] = (ends["high"] - ends["low"]) / 2
        else:
            most = max(float(high), _highest_mean(float(passing)) / n_background)
            ends = {"low": 1 / most, "high": None, "error": None}
        found.append({"efficiency": efficiency, "value": value, **ends, "passing": float(passing)})
    return found


def improvement(curve: Curve, fpr_RL: Array, min_background: float) -> dict[str, list[float]]:
    """TPR / sqrt(FPR) at those of :data:`LEVELS` where enough background passes.

    ``low`` and ``high`` are the ends of the central 68.3 % of the replicas, level by level.

    Args:
        curve: of the score.
        fpr_RL: false positive rates of the replicas at :data:`LEVELS`.
        min_background: effective background events that have to pass.
    """
    fpr_L, passing_L = curve.at(LEVELS)
    low_L, high_L = np.quantile(fpr_RL, CENTRAL, axis=0)
    told = (passing_L >= min_background) & (fpr_L > 0) & (low_L > 0)
    levels = LEVELS[told]
    return {
        "efficiency": levels.tolist(),
        "value": (levels / np.sqrt(fpr_L[told])).tolist(),
        "low": (levels / np.sqrt(high_L[told])).tolist(),
        "high": (levels / np.sqrt(low_L[told])).tolist(),
    }


def _highest_mean(count: float) -> float:
    """The upper end of the central 68.3 % interval of a Poisson mean.

    References:
        F. Garwood, Biometrika 28 (1936) 437.
    """
    return float(special.gammaincinv(count + 1, CENTRAL[1]))
