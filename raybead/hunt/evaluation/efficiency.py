"""What cuts keep of signal and of background, against the observable that is hunted in.

A cut that follows the observable keeps the same share of background everywhere; here one sees
whether it does, and what it costs the signal.
Axes: E events, M bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from raybead.hunt.evaluation.rates import CENTRAL
from raybead.hunt.weights import relative

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cuts:
    """The outliers of every cut of a hunt."""

    edges: Array
    """[M + 1] of the bins of the observable, rising; what lies outside isn't rated"""
    outliers: Mapping[float, Flags]
    """[E] of each quantile: whether each row of the scores is an outlier"""
    observable: str = "mjj"
    """Its column in the scores"""


def efficiencies(scores: pa.Table, cuts: Cuts) -> dict[str, Any]:
    """The share of signal and of background that every cut keeps, bin by bin and over all bins.

    Intervals are central 68.3 % ones, see :func:`efficiency`. What has no events, or of negative
    weights no share, is None.

    Args:
        scores: rows of event scores; those of unknown truth are left out.
        cuts: who passes.
    """
    known = scores.column("truth").is_valid().to_numpy()
    truth = scores.column("truth").fill_null(0).to_numpy() > 0
    mass = scores.column(cuts.observable).to_numpy()
    weight = np.where(known, relative(scores.column("weight").to_numpy()), 0.0)
    rated = known & (mass >= cuts.edges[0]) & (mass < cuts.edges[-1])
    found = []
    for quantile, outlier in cuts.outliers.items():
        of_cut: dict[str, Any] = {"cut": quantile}
        for which, of_class in (("signal", rated & truth), ("background", rated & ~truth)):
            passed, failed = (
                _sums(mass[part], weight[part], cuts.edges)
                for part in (of_class & outlier, of_class & ~outlier)
            )
            bins = efficiency(passed, failed)
            total = efficiency(*(side.sum(axis=1, keepdims=True) for side in (passed, failed)))
            of_cut[which] = {
                **{key: _told(values) for key, values in bins.items()},
                "total": {key: _told(values)[0] for key, values in total.items()},
            }
        found.append(of_cut)
    return {"observable": cuts.observable, "edges": cuts.edges.tolist(), "cuts": found}


def efficiency(passed: Array, failed: Array) -> dict[str, Array]:
    """[M] efficiencies: ``value``, ``low`` and ``high`` ends, and ``effective`` events.

    The intervals are central 68.3 % ones of a binomial share (Clopper and Pearson, Biometrika 26
    (1934) 404). Weighted events count as many effective ones as give the variance of the share,
    and no more than (sum w)^2 / sum w^2: where hardly any pass, that variance knows little.

    Args:
        passed: [2, M] summed weights and summed squares of the events that pass.
        failed: [2, M] of those that don't.

    Returns:
        NaN where the sum of weights isn't positive or the share is outside of 0 to 1.
    """
    (kept, kept_squares), (lost, lost_squares) = passed, failed
    total, squares = kept + lost, kept_squares + lost_squares
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0, kept / total, np.nan)
        share = np.where((share >= 0) & (share <= 1), share, np.nan)
        variance = ((1 - share) ** 2 * kept_squares + share**2 * lost_squares) / total**2
        of_sum, of_share = total**2 / squares, share * (1 - share) / variance
    n = np.where(variance > 0, np.fmin(of_sum, of_share), of_sum)
    n = np.where(np.isnan(share), np.nan, n)
    k = share * n
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, special.betaincinv(np.fmax(k, 1e-300), n - k + 1, CENTRAL[0]), 0.0)
        high = np.where(
            n - k > 0, special.betaincinv(k + 1, np.fmax(n - k, 1e-300), CENTRAL[1]), 1.0
        )
    nothing = np.isnan(share)
    low, high = np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)
    return {"value": share, "low": low, "high": high, "effective": n}


def _sums(mass: Array, weight: Array, edges: Array) -> Array:
    """[2, M] summed weights and squares of the bins."""
    return np.stack([np.histogram(mass, edges, weights=w)[0] for w in (weight, weight**2)])


def _told(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
