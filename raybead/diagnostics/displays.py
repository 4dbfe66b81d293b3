"""The most anomalous events, whole: their jets and these's constituents."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COLUMNS = ("event", "truth", "weight", "mjj", "jets", "constituents")
"""Of the event rows that displays are made of."""


def most_anomalous(event_E: NDArray[np.int64], score_E: NDArray, n: int) -> NDArray[np.int64]:
    """Numbers [n] of the events of the highest scores, the highest first.

    Of equal scores the one that comes first counts as higher; what isn't a number has none.
    """
    real = np.flatnonzero(~np.isnan(score_E))
    order = np.argsort(-score_E[real], kind="stable")[:n]
    return event_E[real[order]]


def displays_table(events: pa.Table, scores: pa.Table) -> pa.Table:
    """What is drawn of events.

    Args:
        events: their rows, with :data:`COLUMNS`.
        scores: with ``event`` and ``score``; of more events, too.

    Returns:
        The rows with ``score``: ``jets`` with ``pt``, ``eta``, ``phi``, ``mass``, ...,
        ``constituents`` a list a jet of ``pt``, ``eta``, ``phi``. GeV, rad.
    """
    return events.select(COLUMNS).append_column("score", scores_of(events, scores))


def scores_of(events: pa.Table, scores: pa.Table) -> pa.Array:
    """The scores of events, null of one that has none."""
    event_E = scores.column("event").to_numpy()
    wanted = events.column("event").to_numpy()
    order = np.argsort(event_E)
    if len(event_E) == 0:
        return pa.nulls(len(wanted), pa.float64())
    place = order[np.searchsorted(event_E, wanted, sorter=order).clip(max=len(order) - 1)]
    found = scores.column("score").to_numpy()[place]
    return pa.array(found, pa.float64(), mask=event_E[place] != wanted)
