"""Which events a cut of the hunt's result calls outliers.

Axes: E events, K thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def thresholds_at(thresholds: Sequence[Mapping[str, Any]], mjj: np.ndarray) -> np.ndarray:
    """[K, E] thresholds at masses [GeV]: told at some of them, linear in log m between them."""
    return np.stack(
        [np.interp(np.log(mjj), np.log(t["masses"]), np.asarray(t["values"])) for t in thresholds]
    )


def in_window_and_outlier(
    key: str, hunted: pa.Table, scores: pa.Table
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[E] whether each event lies in the mass window, [E] whether it is an outlier there.

    Args:
        key: of one cut of the hunt's result.
        hunted: ``hunt/outliers.parquet``.
        scores: rows of event scores of the search sample.
    """
    event = scores.column("event").to_numpy()
    within = hunted.column("event").to_numpy()
    passing = within[hunted.column(key).to_numpy(zero_copy_only=False)]
    return np.isin(event, within), np.isin(event, passing)
