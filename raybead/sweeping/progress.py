"""How far a sweep is: what was proposed, what is over, what of the budget is spent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from raybead.config import Job
from raybead.config.dimension import canonical
from raybead.errors import JobError
from raybead.pace import Remark, Tick
from raybead.storage import Folder
from raybead.sweeping.course import Course, Ticket
from raybead.sweeping.proposers import Known, Proposer
from raybead.sweeping.records import TrialRecord
from raybead.sweeping.space import Space, Values
from raybead.sweeping.trial import RECORD, STOP, failed, leave, record_of, so_far

SPENT, PROPOSED = "spent", "proposed.json"


class Progress:
    """Which trials were proposed, which are over, and what of the budget is spent.

    Args:
        course: of the sweep.
        propose: makes what proposes values, of trials that are known and of those to be gone on
            with.
        identify: the short hash of all that decides what comes of a trial.
        folder: that the spent budget is noted in.
        tick: told of trials that end.
    """

    def __init__(
        self,
        course: Course,
        propose: Callable[[Sequence[Known], Sequence[Values]], Proposer],
        identify: Callable[[Job], str],
        folder: Folder,
        tick: Tick,
    ) -> None:
        self.course, self.identify, self.tick = course, identify, tick
        self._folder, self._started = folder, time.monotonic()
        self._spent = f"{SPENT}-{course.budget}.json"
        told = folder.read_json(self._spent) if folder.exists(self._spent) else {"seconds": 0.0}
        self._before: float = told["seconds"]
        self._best: float | None = None
        sweep = course.sweep
        self._rule = f"{sweep.scheduler}, grace {sweep.grace}, reduction {sweep.reduction}"
        self._replays = course.sweep.scheduler != "none"
        self._proposed: dict[str, Values] = {}
        self._named: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._epochs: dict[str, int] = {}
        self._ended = 0
        space = Space.of(course.sweep, course.raw)
        self._most = course.sweep.most_trials or space.size
        earlier = folder.read_json(PROPOSED) if folder.exists(PROPOSED) else []
        # In a folder of another [sweep] there may be trials that this one wouldn't ask for.
        earlier = [one for one in earlier if space.has(one) and self._possible(one)]
        known = [(values, self._known(values)) for values in earlier]
        self._told = {record.trial for _, record in known if record is not None}
        self._queue = deque(values for values, record in known)
        self._again = 0
        self.proposer = propose(
            [(values, _worth(record)) for values, record in known if record is not None],
            [values for values, record in known if record is None],
        )
        self.tick(0, self._most or 1, self._remark(None))

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
            values = self._queue.popleft() if self._queue else self.proposer.propose()
            if values is None:
                return None
            name = self._name(values)
            if name in self._proposed:  # other words for the same job
                self.proposer.tell(values, None)
                continue
            number = len(self._proposed)
            self._proposed[name] = values
            self._folder.write_json(PROPOSED, list(self._proposed.values()))
            record, before = self._known(values), self._so_far(name)
            if record is not None and (record.status == "failed" or not self._replays):
                self._ended_at(name)
                continue
            if record is None and (course.trials / name).exists(RECORD):
                (course.trials / name).remove(RECORD)  # of other settings
            if before is not None:
                self._epochs[name] = before.epochs
            self._named[ticket] = name
            course.leave_ticket(ticket, Ticket(trial=name, number=number))
            # A population's values have moved since they were proposed.
            moved = before is not None and course.sweep.search == "pbt"
            return dict(before.values if before is not None and moved else values)
        return None

    def renamed(self, ticket: str, to: str) -> None:
        """Whoever runs a trial has another ticket."""
        course = self.course
        self._named[to] = self._named.pop(ticket)
        course.leave_ticket(to, course.of_ticket(ticket))

    def ask_to_stop(self, ticket: str) -> None:
        """Leave word for a trial's workers that they needn't go on."""
        (self.course.trials / self._named[ticket]).write(STOP, b"")

    def at(self, ticket: str, epoch: int) -> None:
        """A trial was judged."""
        name = self._named[ticket]
        self._epochs[name] = max(self._epochs.get(name, 0), epoch)
        self._note()

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
            record = self._so_far(name)
            if record is not None:
                why = f"by {self.course.sweep.scheduler}, judged last at epoch {record.epochs}"
                told = {"reason": why, "stopped_by": self._rule}
                record = record.model_copy(update=told)
                leave(folder, RECORD, record)
        value = None
        if record is not None:
            self._epochs[name] = record.epochs
            value = _worth(record)
        if name not in self._told:
            self.proposer.tell(values, value)
        if value is not None:
            self._best = value if self._best is None else max(self._best, value)
        self._note()
        self._ended += 1
        self._again += name in self._told
        self.tick(self._ended, self._most or len(self._proposed), self._remark(value))

    def records(self) -> list[TrialRecord]:
        """Of all trials that were proposed, in this order."""
        found = []
        for number, (name, values) in enumerate(self._proposed.items()):
            folder = self.course.trials / name
            record = record_of(folder)
            if record is None:
                cut_off = self._so_far(name) or TrialRecord(
                    trial=name, number=number, values=dict(values), status="stopped"
                )
                record = cut_off.model_copy(update={"reason": "the budget was spent"})
            found.append(record.model_copy(update={"number": number, "values": record.values}))
        return found

    def _known(self, values: Values) -> TrialRecord | None:
        """The record of a trial that is over, if nothing of it has to be done again."""
        record = record_of(self.course.trials / self._name(values))
        if record is None:
            return None
        judged = record.judged_by == self.course.judged_by
        match record.status:
            case "failed":
                known = record.lasting and (judged or not record.judged_by)
            case "stopped":
                known = judged and record.stopped_by == self._rule
            case "done":
                known = judged
        return record if known else None

    def _name(self, values: Values) -> str:
        """The trial's, worked out once: all input files are looked at for it."""
        key = canonical(values)
        if key not in self._names:
            self._names[key] = self.identify(self.course.job(values))
        return self._names[key]

    def _so_far(self, name: str) -> TrialRecord | None:
        """What is known of a trial that isn't over, judged as is asked for now."""
        record = so_far(self.course.trials / name)
        return record if record and record.judged_by == self.course.judged_by else None

    def _possible(self, values: Values) -> bool:
        """Whether values still make a job, where the rest of it has changed."""
        try:
            self.course.job(values)
        except JobError:
            return False
        return True

    def _note(self) -> None:
        """Note what of the time is spent."""
        self._folder.write_json(self._spent, {"seconds": self._seconds()})

    def _number(self, name: str) -> int:
        return list(self._proposed).index(name)

    def _remark(self, value: float | None) -> Remark:
        best = "" if self._best is None else f", best {self._best:.4g}"
        words = "trials" if value is None else f"trials, the last {value:.4g}{best}"
        return Remark(words, before=self._again, facts={"best": self._best, "last": value})

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started


def _worth(record: TrialRecord) -> float | None:
    return None if record.objective is None else record.objective.value
