"""How far a sweep is: what was proposed, what is over, what of the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from raybead.config import Job
from raybead.storage import Folder
from raybead.sweeping.course import Course, Ticket
from raybead.sweeping.proposers import Proposer, Values
from raybead.sweeping.records import TrialRecord
from raybead.sweeping.trial import RECORD, failed, leave, record_of, so_far

SPENT = "spent.json"
Tick = Callable[[int, int, str], None]


class Progress:
    """Which trials were proposed, which are over, and what of the budget is spent.

    Args:
        course: of the sweep.
        proposer: of values to be tried.
        identify: the short hash of all that decides what comes of a trial.
        folder: that the spent budget is noted in.
        tick: told of trials that end.
    """

    def __init__(
        self,
        course: Course,
        proposer: Proposer,
        identify: Callable[[Job], str],
        folder: Folder,
        tick: Tick,
    ) -> None:
        self.course, self.proposer, self.identify, self.tick = course, proposer, identify, tick
        self._folder, self._started = folder, time.monotonic()
        self._before = folder.read_json(SPENT)["seconds"] if folder.exists(SPENT) else 0.0
        self._proposed: dict[str, Values] = {}
        self._named: dict[str, str] = {}
        self._epochs: dict[str, int] = {}
        self._ended = 0
        self._replays = course.sweep.scheduler != "none"

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        sweep = self.course.sweep
        minutes, epochs = (self._seconds() / 60, sum(self._epochs.values()))
        return (sweep.minutes is not None and minutes >= sweep.minutes) or (
            sweep.epochs is not None and epochs >= sweep.epochs
        )

    def next(self, ticket: str) -> dict[str, Any] | None:
        """Values that are to be tried next; None where there are no more.

        Args:
            ticket: that whoever runs the trial has: its :class:`Ticket` tells what it is of.
        """
        course = self.course
        while not self.over:
            values = self.proposer.propose()
            if values is None:
                return None
            name = self.identify(course.job(values))
            if name in self._proposed:  # other words for the same job
                self.proposer.tell(values, None)
                continue
            number = len(self._proposed)
            self._proposed[name] = values
            folder = course.trials / name
            record, before = record_of(folder), so_far(folder)
            known = record is not None and record.judged_by == course.judged_by
            if record is not None and (record.status == "failed" or (known and not self._replays)):
                self._ended_at(name)
                continue
            self._named[ticket] = name
            course.leave_ticket(ticket, Ticket(trial=name, number=number))
            # A population's values have moved since they were proposed.
            return dict(values if before is None else before.values)
        return None

    def at(self, ticket: str, epoch: int) -> None:
        """A trial was judged."""
        name = self._named[ticket]
        self._epochs[name] = max(self._epochs.get(name, 0), epoch)
        self._folder.write_json(SPENT, {"seconds": self._seconds()})

    def ended(self, ticket: str, reason: str | None = None) -> None:
        """A trial is over: trained to its end, stopped, or failed for a reason that is told."""
        self._ended_at(self._named[ticket], reason)

    def _ended_at(self, name: str, reason: str | None = None) -> None:
        folder, values = self.course.trials / name, self._proposed[name]
        record = record_of(folder)
        if record is None and reason is not None:
            record = failed(name, self._number(name), values, reason)
            leave(folder, RECORD, record)
        if record is None and not self.over:
            record = so_far(folder)
            if record is not None:
                why = f"by {self.course.sweep.scheduler} at epoch {record.epochs}"
                record = record.model_copy(update={"reason": why})
                leave(folder, RECORD, record)
        value = None
        if record is not None:
            self._epochs[name] = record.epochs
            value = None if record.objective is None else record.objective.value
        self.proposer.tell(values, value)
        self._ended += 1
        self.tick(self._ended, self.proposer.most, self._remark(value))

    def records(self) -> list[TrialRecord]:
        """Of all trials that were proposed, in this order."""
        found = []
        for number, (name, values) in enumerate(self._proposed.items()):
            folder = self.course.trials / name
            record = record_of(folder)
            if record is None:
                cut_off = so_far(folder) or TrialRecord(
                    trial=name, number=number, values=dict(values), status="stopped"
                )
                record = cut_off.model_copy(update={"reason": "the budget was spent"})
            found.append(record.model_copy(update={"number": number, "values": record.values}))
        return found

    def _number(self, name: str) -> int:
        return list(self._proposed).index(name)

    def _remark(self, value: float | None) -> str:
        known = [r.objective.value for r in map(self._record, self._proposed) if r and r.objective]
        best = f", best {max(known):.4g}" if known else ""
        return "trials" if value is None else f"trials, the last {value:.4g}{best}"

    def _record(self, name: str) -> TrialRecord | None:
        return record_of(self.course.trials / name)

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started
