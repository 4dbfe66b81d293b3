"""The events that all trials are judged by: background that no trial trains on, and more.

Axes: E events.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.config import Job, Sweep
from raybead.errors import TrainingError
from raybead.events import read_parquet, table_bytes
from raybead.storage import Folder
from raybead.sweeping.corruptions import corrupt
from raybead.sweeping.objectives import BACKGROUND, SEEN
from raybead.training import sides

FEWEST = 20
"""Events that anything can be said by."""


def write_judged(events: Folder, job: Job, sweep: Sweep, folder: Folder) -> dict[str, int]:
    """Choose the events that trials are judged by, corrupt them, and write a file each.

    Args:
        events: prepared background.
        job: of which train's shares of the sample and the seed matter; no trial alters them.
        sweep: how many events, and how corrupted.
        folder: that ``background.parquet``, ``seen.parquet`` and one a corruption go to.

    Returns:
        Numbers of events, by file.

    Raises:
        TrainingError: training leaves too few events.
    """
    seen, _, held = sides(events, job)
    if len(held) < FEWEST:
        raise TrainingError(
            f"sweep: training leaves {len(held)} background events to judge trials by; {FEWEST}"
            " are needed: raise train.test, or set train.max_events"
        )
    tables = {
        BACKGROUND: _rows(events, _evenly(held, sweep.events)),
        SEEN: _rows(events, _evenly(seen, sweep.events)),
    }
    for kind in sweep.corruptions:
        tables[kind] = corrupt(tables[BACKGROUND], kind, job.seed, radius=job.jets.radius)
    for name, table in tables.items():
        folder.write(f"{name}.parquet", table_bytes(table))
    return {name: len(table) for name, table in tables.items()}


def judged_tables(folder: Folder) -> Mapping[str, pa.Table]:
    """What :func:`write_judged` wrote."""
    return {
        name.removesuffix(".parquet"): read_parquet(folder.read(name), f"{folder}/{name}")
        for name in folder.names(".parquet")
    }


def _evenly(event_E: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    n = min(len(event_E), most)
    return event_E[np.arange(n) * len(event_E) // n]


def _rows(events: Folder, wanted: NDArray[np.int64]) -> pa.Table:
    parts = []
    for name in events.names(".parquet"):
        table = read_parquet(events.read(name), f"{events}/{name}")
        keep = np.isin(table.column("event").to_numpy(), wanted)
        if keep.any():
            parts.append(table.filter(pa.array(keep)))
    return pa.concat_tables(parts).combine_chunks()
