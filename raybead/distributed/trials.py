"""What Ray Tune runs for each trial: a training in its own process, or one on several workers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from ray import tune

from raybead.config import Job
from raybead.distributed.board import Board, post
from raybead.distributed.observed import Observed, count_so_far
from raybead.distributed.watch import Watch, watch, watching
from raybead.distributed.workers import SEEN, Crew, RayPlace, train_together
from raybead.errors import RaybeadError
from raybead.events import read_parquet
from raybead.storage import Folder
from raybead.sweeping.course import Course, Ticket
from raybead.sweeping.judged import judged_tables
from raybead.sweeping.trial import (
    RECORD,
    RESUME,
    STOP,
    Told,
    Trial,
    failed,
    leave,
    record_of,
    trained_of,
)
from raybead.timing import Seen
from raybead.training import (
    STATE,
    JobTraining,
    LonePlace,
    Place,
    Trainer,
    prepare_gpu,
    state_bytes,
    state_of,
)

VALUES = "values.json"


def run_trial(
    config: dict[str, Any], course: Course, crew: Crew, board: Board, what: Watch
) -> None:
    """What Tune runs: what is given in the config are the values to be tried.

    Args:
        config: Tune's, for this trial.
        course: of the sweep.
        crew: workers of a trial.
        board: that each worker's time is posted on.
        what: the trial is done for.
    """

    def told(seen: Seen) -> None:
        post(board, {SEEN: json.dumps(seen.as_dict())})

    with watching(what, told):
        _run_trial(config, course, crew, board)


def _run_trial(config: dict[str, Any], course: Course, crew: Crew, board: Board) -> None:
    ticket = course.of_ticket(tune.get_context().get_trial_id())
    folder, values = course.trials / ticket.trial, config["given"]["values"]
    record = record_of(folder)
    if record is not None and record.judged_by == course.judged_by:
        for epoch, value in record.history:
            tune.report({"epoch": epoch, "objective": value})
        return
    try:
        trial = course.trial(ticket, values)
        if trained_of(folder) is not None:
            epoch, value = trial.judge_again(*_judged_by(course, trial.job))
            tune.report({"epoch": epoch, "objective": value})
        elif crew.workers == 1:
            observed = Observed(watch(), f"trial {ticket.trial}")
            try:
                with observed:
                    _alone(trial, course, crew)
            finally:
                post(board, {SEEN: observed.told()}, wait=True)
        else:
            _together(trial, ticket, course, crew)
    except RaybeadError as error:
        # What a user can mend would be no other the next time, and is no reason to end the sweep.
        of = ticket.trial, ticket.number, values
        leave(folder, RECORD, failed(*of, error, course.judged_by))


def _alone(trial: Trial, course: Course, crew: Crew) -> None:
    device = "cuda" if crew.gpus else "cpu"
    place = _TunePlace(trial.folder / RESUME, device, trial.values)

    def on_judged(epoch: int, value: float, training: JobTraining) -> None:
        count_so_far()
        found = {"epoch": epoch, "objective": value}
        if course.sweep.search != "pbt":
            tune.report(found)
            return
        with tempfile.TemporaryDirectory() as state:
            (Path(state) / STATE).write_bytes(state_bytes(training.trainer))
            (Path(state) / VALUES).write_text(json.dumps(trial.values))
            tune.report(found, checkpoint=tune.Checkpoint.from_directory(state))

    _run(trial, course, place, on_judged)


def _together(trial: Trial, ticket: Ticket, course: Course, crew: Crew) -> None:
    if trial.folder.exists(STOP):
        trial.folder.remove(STOP)
    train_together(
        _team_worker,
        {"ticket": ticket, "values": trial.values, "course": course},
        crew,
        trial.job.train.max_failures,
        trial.folder / RESUME,
        tune.report,
        lambda *_: None,  # the sweep itself says what it waits for
    )
    if trained_of(trial.folder) is not None:
        (trial.folder / RESUME).delete()


def _team_worker(given: dict[str, Any]) -> dict[str, Any]:
    board: Board = given["board"]
    course: Course = given["course"]
    try:
        _run(
            course.trial(given["ticket"], given["values"]),
            course,
            RayPlace(),
            lambda epoch, value, _: post(board, {"epoch": epoch, "objective": value}),
        )
    except RaybeadError as error:
        return {"fault": str(error)}
    return {}


def _run(trial: Trial, course: Course, place: Place, on_judged: Told) -> None:
    prepare_gpu(trial.job.train.deterministic)
    background = course.sample(trial.job).background
    trial.run(background, *_judged_by(course, trial.job), place, on_judged)


def _judged_by(course: Course, job: Job) -> tuple[Mapping[str, pa.Table], pa.Table | None]:
    """Event rows that a trial is judged by, and those of the search sample in an evaluation."""
    sample = course.sample(job)
    search = None
    if sample.search is not None:
        names = sample.search.names(".parquet")
        search = pa.concat_tables(
            [read_parquet(sample.search.read(name), f"{sample.search}/{name}") for name in names]
        )
    return judged_tables(sample.judged), search


class _TunePlace(LonePlace):
    """A process of Tune's, which may be told to go on from another trial's state."""

    def __init__(self, folder: Folder, device: str, values: Mapping[str, Any]) -> None:
        super().__init__(folder, device)
        self._values = values

    def take_up(self, trainer: Trainer) -> None:
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            super().take_up(trainer)
            return
        with checkpoint.as_directory() as folder:
            path = Path(folder) / STATE
            state = state_of(path.read_bytes(), str(path))
            values = json.loads((Path(folder) / VALUES).read_text())
        # With the same values it is its own, which was only put aside for a while.
        if values == json.loads(json.dumps(self._values)):
            trainer.restore(state)
        else:
            trainer.adopt(state)
