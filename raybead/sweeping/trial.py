"""One trial: a job is trained, judged on the way and at its end, and recorded.

A trial's folder holds ``resume/`` while it trains, ``so_far.json`` once it was judged, ``stop``
where its workers are asked to end, and ``record.json`` when it is over; of one that was trained to
its end ``model/`` (the bundle), ``trained.json``, which says so however it then is judged, and
``scores/`` of the events that it was judged by.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from pydantic import ValidationError

from raybead.config import Job, Sweep, dump_job
from raybead.errors import JobError, RaybeadError, StorageError, TrainingError, WorkersLostError
from raybead.events import read_parquet, table_bytes
from raybead.models import Bundle
from raybead.storage import JOB, Folder
from raybead.sweeping.judge import Judgement, judge
from raybead.sweeping.objectives import BACKGROUND
from raybead.sweeping.records import Status, TrialRecord
from raybead.timing import timed
from raybead.training import JobTraining, Place

RECORD, SO_FAR, TRAINED, STOP = "record.json", "so_far.json", "trained.json", "stop"
RESUME, MODEL, SCORES = "resume", "model", "scores"
METRICS = "metrics.json"

Told = Callable[[int, float, JobTraining], None]
"""Called with epochs run and the objective, when a trial was judged."""


@dataclass(frozen=True)
class Trial:
    """A trial to be run."""

    trial: str
    number: int
    values: Mapping[str, Any]
    job: Job
    sweep: Sweep
    folder: Folder
    judged_by: str = ""
    """Hash of all that decides how it is judged."""

    def run(
        self,
        background: Folder,
        judged: Mapping[str, pa.Table],
        search: pa.Table | None,
        place: Place,
        on_judged: Told,
    ) -> None:
        """Train, judge, and record. Of several workers the first judges.

        Args:
            background: prepared events to train on.
            judged: event rows to judge by.
            search: prepared events of the search sample, in an evaluation.
            place: where it trains; with state that an earlier try left there, it goes on.
            on_judged: told of every judgement.
        """
        leads, started = place.team.rank == 0, time.monotonic()
        before = so_far(self.folder)
        seconds = 0.0 if before is None else before.seconds
        # What was judged by others doesn't belong in one row with what is to come.
        same = before is not None and before.judged_by == self.judged_by
        history = dict(before.history) if before is not None and same else {}
        training = JobTraining.of(self.job, background, place)
        due = judged_epochs(self.sweep, self.job.train.epochs)
        last: tuple[int, Judgement] | None = None

        def judgement(bundle: Bundle) -> Judgement:
            nonlocal last
            best = int(bundle.summary["best_epoch"])
            if last is None or last[0] != best:
                device = str(place.device)
                with timed("judge"):
                    found = judge(self.job, self.sweep, bundle, judged, search, device)
                last = best, found
            history[int(bundle.summary["epochs"])] = last[1].objective.value
            return last[1]

        def record(
            bundle: Bundle, found: Judgement | None, status: Status = "done"
        ) -> TrialRecord:
            return TrialRecord(
                trial=self.trial,
                number=self.number,
                values=dict(self.values),
                status=status,
                epochs=bundle.summary["epochs"],
                of_epochs=self.job.train.epochs,
                best_epoch=bundle.summary["best_epoch"],
                judged_by=self.judged_by,
                judged_events=_events_of(judged),
                seconds=round(seconds + time.monotonic() - started, 1),
                parameters=sum(one.numel() for one in training.trainer.model.parameters()),
                quantities={} if found is None else found.quantities,
                objective=None if found is None else found.objective,
                history=tuple(sorted(history.items())),
            )

        for one in training.epochs(place):
            fails = False
            if leads and one.epoch + 1 in due and not training.trainer.over:
                bundle = training.best()
                try:
                    found = judgement(bundle)
                except RaybeadError as error:
                    fails = self._leave_failed(error)
                else:
                    leave(self.folder, SO_FAR, record(bundle, found, "stopped"))
                    on_judged(one.epoch + 1, found.objective.value, training)
            if self._all_stop(place, fails=fails):
                return
        bundle, metrics = training.finished()
        if not leads:
            return
        summary = {
            **bundle.summary,
            "workers": place.team.size,
            "gpu": place.device.type == "cuda",
        }
        bundle = Bundle(bundle.recipe, bundle.scaling, bundle.weights, summary, bundle.emd)
        bundle.save(self.folder / MODEL)
        (self.folder / MODEL).write_json(METRICS, metrics)
        self.folder.write(JOB, dump_job(self.job).encode())
        leave(self.folder, TRAINED, record(bundle, None))
        try:
            found = judgement(bundle)
        except RaybeadError as error:
            self._leave_failed(error)
            return
        self._leave_scores(found)
        leave(self.folder, RECORD, record(bundle, found))
        if place.team.size == 1:  # of several, Ray Train isn't done with it yet
            (self.folder / RESUME).delete()
        on_judged(bundle.summary["epochs"], found.objective.value, training)

    def _leave_failed(self, error: RaybeadError) -> bool:
        """Record that the trial can't be judged."""
        record = failed(self.trial, self.number, self.values, error, self.judged_by)
        leave(self.folder, RECORD, record)
        return True

    def _all_stop(self, place: Place, *, fails: bool) -> bool:
        """Whether the first worker fails, or has found word to stop. All hear the same and stop
        together: one that went by itself would leave the others waiting for it."""
        if place.team.size == 1:
            return fails
        stops = fails or (place.team.rank == 0 and self.folder.exists(STOP))
        return bool(place.team.total(torch.tensor([float(stops)])) > 0)

    def judge_again(
        self, judged: Mapping[str, pa.Table], search: pa.Table | None
    ) -> tuple[int, float]:
        """Judge a trial that was trained to its end by what is asked for now.

        Returns:
            Epochs run, and the objective.
        """
        record = trained_of(self.folder)
        assert record is not None
        found = judge(self.job, self.sweep, Bundle.load(self.folder / MODEL), judged, search)
        self._leave_scores(found)
        history = ((record.epochs, found.objective.value),)
        again = {
            "judged_by": self.judged_by,
            "judged_events": _events_of(judged),
            "quantities": found.quantities,
            "objective": found.objective,
            "history": history,
        }
        leave(self.folder, RECORD, record.model_copy(update=again))
        return history[0]

    def _leave_scores(self, found: Judgement) -> None:
        (self.folder / SCORES).delete()
        found.calibration.save(self.folder / SCORES)
        for name, table in found.scores.items():
            (self.folder / SCORES).write(f"{name}.parquet", table_bytes(table))


def judged_epochs(sweep: Sweep, epochs: int) -> set[int]:
    """Epochs, from 1, after which a trial is judged; it also is at its end.

    Those at which a scheduler decides; without one a few, for one to look at.
    """
    if sweep.search == "pbt" or sweep.scheduler == "median":
        return set(range(sweep.grace, epochs + 1, sweep.grace))
    factor = sweep.reduction if sweep.scheduler == "asha" else 2
    due, epoch = set(), sweep.grace
    while epoch <= epochs:
        due.add(epoch)
        epoch *= factor
    return due


def record_of(folder: Folder) -> TrialRecord | None:
    """The record of a trial that is over."""
    return _read(folder, RECORD)


def trained_of(folder: Folder) -> TrialRecord | None:
    """What is known of a trial that was trained to its end, but for its judgement."""
    return _read(folder, TRAINED)


def so_far(folder: Folder) -> TrialRecord | None:
    """What is known of a trial that was judged on its way."""
    return _read(folder, SO_FAR)


def scores_of(folder: Folder) -> dict[str, pa.Table]:
    """Event scores of the events that a finished trial was judged by."""
    scores = folder / SCORES
    return {
        name.removesuffix(".parquet"): read_parquet(scores.read(name), f"{scores}/{name}")
        for name in scores.names(".parquet")
    }


def failed(
    trial: str,
    number: int,
    values: Mapping[str, Any],
    error: RaybeadError | str,
    judged_by: str = "",
) -> TrialRecord:
    """The record of a trial that ended in an error.

    What its training came to, it would come to again; what its judgement did, unless it is judged
    otherwise; and what storage or lost workers did, may be over.
    """
    passing = isinstance(error, str | StorageError | WorkersLostError)
    in_training = isinstance(error, JobError | TrainingError)
    return TrialRecord(
        trial=trial,
        number=number,
        values=dict(values),
        status="failed",
        reason=str(error),
        judged_by="" if in_training else judged_by,
        lasting=not passing,
    )


def leave(folder: Folder, name: str, record: TrialRecord) -> None:
    """Write a record."""
    folder.write_json(name, record.model_dump(mode="json"))


def _events_of(judged: Mapping[str, pa.Table]) -> str:
    event_E = judged[BACKGROUND].column("event").to_numpy()
    return hashlib.sha256(event_E.tobytes()).hexdigest()[:12]


def _read(folder: Folder, name: str) -> TrialRecord | None:
    if not folder.exists(name):
        return None
    try:
        return TrialRecord.model_validate(folder.read_json(name))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise StorageError(
            f"{folder}/{name}: not a record of a trial: {where}: {fault['msg']}"
        ) from None
