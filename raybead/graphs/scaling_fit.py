"""Steps of a scaling fitted by scikit-learn. Axes: T nodes."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

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
    x_T1 = x_T[:, None]
    match kind:
        case "none":
            return Identity()
        case "standard":
            standard = StandardScaler().fit(x_T1)
            return _affine(kind, standard.mean_, standard.scale_)
        case "robust":
            robust = RobustScaler(quantile_range=(5.0, 95.0)).fit(x_T1)
            return _affine(kind, robust.center_, robust.scale_)
        case "min-max":
            span = MinMaxScaler().fit(x_T1)
            return _affine(kind, span.data_min_, 1 / np.asarray(span.scale_))
        case "max-abs":
            return _affine(kind, 0.0, MaxAbsScaler().fit(x_T1).scale_)
        case "log":
            return SignedLog()
        case "quantile":
            ranks = QuantileTransformer(
                n_quantiles=min(QUANTILES, len(x_T)),
                output_distribution="normal",
                subsample=cast(Any, None),  # stubs know only int; every worker must find the same
            ).fit(x_T1)
            return Quantile(quantiles=tuple(np.ravel(ranks.quantiles_).tolist()))
        case "power":
            return _power(x_T1)
        case "sin-cos":
            return SinCos()
        case "l2":
            return Direction()


def _affine(
    kind: Literal["standard", "robust", "min-max", "max-abs"], shift: Any, scale: Any
) -> Affine:
    return Affine(kind=kind, shift=_only(shift), scale=_only(scale))


def _only(values: Any) -> float:
    """The number of the one column that a transformer was fitted on."""
    return float(np.asarray(values).item())


def _power(x_T1: NDArray[np.float64]) -> Power:
    bent = PowerTransformer(method="yeo-johnson", standardize=False)
    standard = StandardScaler().fit(bent.fit_transform(x_T1))
    return Power(
        exponent=_only(bent.lambdas_),
        shift=_only(standard.mean_),
        scale=_only(standard.scale_),
    )
