"""Steps of a job's own training and scoring, for :mod:`raybead.profiling.steps`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, repeat
from typing import Any

import pyarrow as pa
import torch

from raybead.config import Job
from raybead.errors import TrainingError
from raybead.models import Bundle
from raybead.profiling.steps import Step, Steps, profile_steps
from raybead.scoring import JetScorer
from raybead.training import Alone, JobTraining, Team, Trainer, same_bits

PASSES = 5
"""Of a forward pass over events that are scored, at most."""


class Share(Alone):
    """One worker's place in a team whose others aren't there: its slice of every batch."""

    def __init__(self, size: int) -> None:
        self.size = size


class LooseEnd:
    """A training that leaves nothing behind.

    Args:
        device: that it runs on.
        workers: that share a batch.
    """

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device = device
        self.team: Team = Share(workers)

    def wrapped(self, model: torch.nn.Module) -> torch.nn.Module:
        return model

    def take_up(self, trainer: Any) -> None: ...

    def leave_state(self, trainer: Any) -> None: ...


def profile_training(training: JobTraining, steps: int, warm_up: int) -> Steps:
    """Steps of a training from its beginning, epoch after epoch as far as it takes.

    Args:
        training: of the job, none of it done; its weights change.
        steps: of each kind; see :func:`~raybead.profiling.steps.profile_steps`.
        warm_up: that are done beforehand.
    """
    trainer = training.trainer
    with same_bits(trainer.config.deterministic):
        return profile_steps(_endless(trainer), steps, warm_up, trainer.device)


def _endless(trainer: Trainer) -> Iterator[Step]:
    for epoch in count():
        yield from trainer.steps(epoch)


def refuse_few(job: Job, training: JobTraining, events: int, bounded: bool) -> None:
    """Refuse to look at steps that are smaller than those of the training would be.

    Args:
        job: whose batches they are.
        training: that is ready to run.
        events: that were prepared for it.
        bounded: whether the sample has more.

    Raises:
        TrainingError: not a single batch is full, and more events would fill it.
    """
    items, width = len(training.trainer.split.train), job.train.batch_items
    if bounded and items < width:
        raise TrainingError(
            f"profile: {events} events give {items} items to train on, and a batch is"
            f" train.batch_items = {width}; say more --events, or raybead prepare first"
        )


def profile_scoring(
    bundle: Bundle, events: pa.Table, job: Job, steps: int, device: torch.device
) -> Steps:
    """Forward passes of a model over rows of events, as scoring does them.

    Args:
        bundle: of the model.
        events: rows.
        job: whose ``[score]`` says what is worked out.
        steps: passes of each kind, :data:`PASSES` at most.
        device: that the model runs on.
    """
    config = job.score
    scorer = JetScorer(
        bundle,
        config.batch_items,
        device.type,
        config.store,
        leading=job.jets.leading,
        quantities=tuple(config.weights),
        controls=config.controls,
    )
    work: Iterator[Step] = repeat(lambda: scorer.scoring(events))
    return profile_steps(work, min(steps, PASSES), 1, device)
