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
    cut: Mapping[str, Any], scores: pa.Table
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[E] whether each event lies in the mass window, [E] whether it is an outlier there.

    The hunt stores thresholds, not flags. Where it has several, each belongs to a fold, and an
    event's fold is the remainder of its number.

    Args:
        cut: one cut of the hunt's result.
        scores: rows of event scores of the search sample.
    """
    event, mjj, score = (scores.column(name).to_numpy() for name in ("event", "mjj", "score"))
    edges = cut["histogram"]["edges"]
    inside = (mjj >= edges[0]) & (mjj < edges[-1])
    threshold_KE = thresholds_at(cut["thresholds"], mjj)
    own = threshold_KE[event % len(threshold_KE), np.arange(len(event))]
    return inside, inside & (score > own)
