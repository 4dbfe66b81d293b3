"""What all trials of a sweep have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raybead.config import Job, Sweep
from raybead.storage import Folder
from raybead.sweeping.trial_job import trial_job


@dataclass(frozen=True)
class Sample:
    """What trials of one ``[jets]`` train on and are judged by."""

    background: Folder
    judged: Folder
    search: Folder | None
    """Of an evaluation."""


@dataclass(frozen=True)
class Course:
    """What all trials of a sweep have in common."""

    raw: Mapping[str, Any]
    """The job as it was written."""
    sweep: Sweep
    samples: Mapping[str, Sample]
    """By :func:`jets_of`."""
    trials: Folder
    located: Callable[[Job], Job]
    """Gives a job's own paths their place, whichever machine reads them."""

    def job(self, values: Mapping[str, Any]) -> Job:
        return self.located(trial_job(self.raw, values))

    def sample(self, job: Job) -> Sample:
        return self.samples[jets_of(job)]


def jets_of(job: Job) -> str:
    """What tells variants of prepared events apart."""
    return job.jets.model_dump_json()
