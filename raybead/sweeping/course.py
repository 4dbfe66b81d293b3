"""What all trials of a sweep have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from raybead.config import Job, Sweep
from raybead.storage import Folder
from raybead.sweeping.trial import Trial
from raybead.sweeping.trial_job import trial_job

TICKETS = ".tickets"


@dataclass(frozen=True)
class Sample:
    """What trials of one ``[jets]`` train on and are judged by."""

    background: Folder
    judged: Folder
    search: Folder | None
    """Of an evaluation."""


class Ticket(BaseModel):
    """Which trial one is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: str
    number: int


@dataclass(frozen=True)
class Course:
    """What all trials of a sweep have in common."""

    raw: Mapping[str, Any]
    """The job as it was written."""
    sweep: Sweep
    samples: Mapping[str, Sample]
    """By :func:`jets_of`."""
    trials: Folder
    judged_by: str
    """Hash of all that decides how a trained model is judged."""
    budget: str
    """Hash of the sweep that time is spent on."""
    located: Callable[[Job], Job]
    """Gives a job's own paths their place, whichever machine reads them."""

    def job(self, values: Mapping[str, Any]) -> Job:
        return self.located(trial_job(self.raw, values))

    def trial(self, ticket: Ticket, values: Mapping[str, Any]) -> Trial:
        """A trial, ready to be run.

        Raises:
            JobError: values that make no job.
        """
        folder = self.trials / ticket.trial
        job = self.job(values)
        return Trial(ticket.trial, ticket.number, values, job, self.sweep, folder, self.judged_by)

    def leave_ticket(self, ticket: str, of: Ticket) -> None:
        """Leave what :meth:`of_ticket` tells whoever runs a trial.

        What Tune tells it, its values, may be another trial's in a population.
        """
        (self.trials / TICKETS).write_json(f"{ticket}.json", of.model_dump())

    def of_ticket(self, ticket: str) -> Ticket:
        return Ticket.model_validate((self.trials / TICKETS).read_json(f"{ticket}.json"))

    def sample(self, job: Job) -> Sample:
        return self.samples[jets_of(job)]


def jets_of(job: Job) -> str:
    """What tells variants of prepared events apart."""
    return job.jets.model_dump_json()
