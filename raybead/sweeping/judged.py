"""The events that all trials are judged by: background that no trial trains on, and more.

Axes: E events.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from raybead.config import Job, Sweep
from raybead.errors import TrainingError
from raybead.events import read_parquet, row_count, table_bytes
from raybead.storage import Folder
from raybead.sweeping.corruptions import corrupt
from raybead.sweeping.objectives import BACKGROUND, SEEN
from raybead.training import split_by_event, taken

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
    held, seen = _sides(events, job)
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


def _sides(events: Folder, job: Job) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Events that no trial trains on or chooses its epoch by, and those that all train on."""
    files = events.names(".parquet")
    rows = taken([row_count(events, name) for name in files], job.train.max_events)
    every, looked_at = [], []
    for name, index in zip(files, rows, strict=True):
        column = read_parquet(events.read(name), f"{events}/{name}", ["event"]).column("event")
        every.append(column.to_numpy())
        looked_at.append(every[-1][index])
    # As the training splits them, whose jets come event by event.
    event_E = np.unique(np.concatenate(looked_at))
    split = split_by_event(torch.from_numpy(event_E), job.train, job.seed)
    beyond = np.setdiff1d(np.concatenate(every), event_E)
    return np.union1d(event_E[split.test.numpy()], beyond), event_E[split.train.numpy()]


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
