"""Steps of a scaling as scikit-learn fits them. Axes: T nodes."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from raybead.config import ScalingKind
from raybead.graphs.scaling_steps import (
    Affine,
    Direction,
    Identity,
    Power,
    Quantile,
    SignedLog,
    SinCos,
    Step,
)

QUANTILES = 1000
"""Points of a column's distribution that ``quantile`` keeps."""


def fit_step(kind: ScalingKind, x_T: NDArray[np.float64]) -> Step:
    """One step, fitted on one column.

    Args:
        kind: of scaling.
        x_T: [T] values of at least one node, finite in float32.
    """
    match kind:
        case "none":
            return Identity()
        case "standard":
            return _affine(kind, *_mean_and_spread(x_T))
        case "log":
            return SignedLog()
        case "sin-cos":
            return SinCos()
        case "l2":
            return Direction()
        case _:
            return _fit_by_sklearn(kind, x_T[:, None])


def _mean_and_spread(x_T: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation; 1 for the latter of what is constant but for rounding.

    To the last bit those of scikit-learn's ``StandardScaler``: two passes, and the second is
    corrected for the rounding of the first (Chan, Golub and LeVeque, Am. Stat. 37 (1983) 242).
    """
    n = len(x_T)
    mean = x_T.sum() / n
    rest_T = x_T - mean
    variance = ((rest_T**2).sum() - rest_T.sum() ** 2 / n) / n
    epsilon = np.finfo(np.float64).eps
    rounding = n * epsilon * variance + (n * mean * epsilon) ** 2
    return float(mean), 1.0 if variance <= rounding else float(np.sqrt(variance))


def _fit_by_sklearn(
    kind: Literal["robust", "min-max", "max-abs", "quantile", "power"], x_T1: NDArray[np.float64]
) -> Step:
    # It takes seconds to load, in every worker, and the default has no need of it.
    from sklearn import preprocessing

    match kind:
        case "robust":
            robust = preprocessing.RobustScaler(quantile_range=(5.0, 95.0)).fit(x_T1)
            return _affine(kind, robust.center_, robust.scale_)
        case "min-max":
            span = preprocessing.MinMaxScaler().fit(x_T1)
            return _affine(kind, span.data_min_, 1 / np.asarray(span.scale_))
        case "max-abs":
            return _affine(kind, 0.0, preprocessing.MaxAbsScaler().fit(x_T1).scale_)
        case "quantile":
            ranks = preprocessing.QuantileTransformer(
                n_quantiles=min(QUANTILES, len(x_T1)),
                output_distribution="normal",
                subsample=cast(Any, None),  # stubs know only int; every worker must find the same
            ).fit(x_T1)
            return Quantile(quantiles=tuple(np.ravel(ranks.quantiles_).tolist()))
        case "power":
            bent = preprocessing.PowerTransformer(method="yeo-johnson", standardize=False)
            bent_T1 = bent.fit_transform(x_T1)
            mean, spread = _mean_and_spread(np.asarray(bent_T1)[:, 0])
            return Power(exponent=_only(bent.lambdas_), shift=mean, scale=spread)


def _affine(
    kind: Literal["standard", "robust", "min-max", "max-abs"], shift: Any, scale: Any
) -> Affine:
    return Affine(kind=kind, shift=_only(shift), scale=_only(scale))


def _only(values: Any) -> float:
    """The number of the one column that a transformer was fitted on."""
    return float(np.asarray(values).item())
