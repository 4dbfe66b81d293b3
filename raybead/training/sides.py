"""Which events of a sample a job trains on, before and after it has.

Axes: E events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from raybead.config import Job
from raybead.events import read_part
from raybead.storage import Folder
from raybead.training.split import split_by_event, taken


class Sides(NamedTuple):
    """Numbers of events, rising."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    """That choose the epoch."""
    unseen: NDArray[np.int64]
    """That have no part in training: of the test, and those beyond ``train.max_events``."""


def sides(events: Folder, job: Job) -> Sides:
    """Numbers of the events on each side of a job's training.

    Args:
        events: prepared background.
        job: of which train's shares of the sample and the seed matter.

    Raises:
        TrainingError: the sample doesn't allow a training.
    """
    every = [
        read_part(events, name, ["event"]).column("event").to_numpy()
        for name in events.names(".parquet")
    ]
    rows = taken([len(number_E) for number_E in every], job.train.max_events)
    # As the training splits them, whose items come event by event.
    event_E = np.unique(np.concatenate([n[index] for n, index in zip(every, rows, strict=True)]))
    split = split_by_event(torch.from_numpy(event_E), job.train, job.seed)
    train, validation, test = (event_E[index.numpy()] for index in split)
    return Sides(train, validation, np.union1d(test, np.setdiff1d(np.concatenate(every), event_E)))
