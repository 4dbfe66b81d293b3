"""What Ray Tune runs for each trial: a training in its own process, or one on several workers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from ray import tune

from raybead.distributed.board import Board, post
from raybead.distributed.workers import Crew, RayPlace, train_together
from raybead.errors import RaybeadError
from raybead.events import read_parquet
from raybead.storage import Folder
from raybead.sweeping.course import Course
from raybead.sweeping.judged import judged_tables
from raybead.sweeping.trial import RECORD, RESUME, Told, Trial, failed, leave, record_of
from raybead.training import STATE, JobTraining, LonePlace, Place, prepare_gpu, state_bytes


def run_trial(config: dict[str, Any], course: Course, crew: Crew) -> None:
    """What Tune runs for each trial."""
    folder = course.trials / config["trial"]
    record = record_of(folder)
    if record is not None:
        for epoch, value in record.history:
            tune.report({"epoch": epoch, "objective": value})
        return
    try:
        if crew.workers == 1:
            _alone(config, course, crew, folder)
        else:
            _together(config, course, crew, folder)
    except RaybeadError as error:
        # What a user can mend would be no other the next time, and is no reason to end the sweep.
        leave(
            folder,
            RECORD,
            failed(config["trial"], config["number"], config["values"], str(error)),
        )


def _alone(config: dict[str, Any], course: Course, crew: Crew, folder: Folder) -> None:
    place = _TunePlace(folder / RESUME, "cuda" if crew.gpus else "cpu")

    def on_judged(epoch: int, value: float, training: JobTraining) -> None:
        found = {"epoch": epoch, "objective": value}
        if course.sweep.search != "pbt":
            tune.report(found)
            return
        with tempfile.TemporaryDirectory() as state:
            (Path(state) / STATE).write_bytes(state_bytes(training.trainer))
            tune.report(found, checkpoint=tune.Checkpoint.from_directory(state))

    _run(config, course, place, on_judged)


def _together(config: dict[str, Any], course: Course, crew: Crew, folder: Folder) -> None:
    train_together(
        _team_worker,
        {"config": config, "course": course},
        crew,
        course.job(config["values"]).train.max_failures,
        folder / RESUME,
        lambda note: tune.report(note),
    )


def _team_worker(given: dict[str, Any]) -> dict[str, Any]:
    board: Board = given["board"]
    try:
        _run(
            given["config"],
            given["course"],
            RayPlace(),
            lambda epoch, value, _: post(board, {"epoch": epoch, "objective": value}),
        )
    except RaybeadError as error:
        return {"fault": str(error)}
    return {}


def _run(config: dict[str, Any], course: Course, place: Place, on_judged: Told) -> None:
    job = course.job(config["values"])
    prepare_gpu(job.train.deterministic)
    sample = course.sample(job)
    search = None
    if sample.search is not None:
        names = sample.search.names(".parquet")
        search = pa.concat_tables(
            [read_parquet(sample.search.read(name), f"{sample.search}/{name}") for name in names]
        )
    trial = Trial(
        trial=config["trial"],
        number=config["number"],
        values=config["values"],
        job=job,
        sweep=course.sweep,
        folder=course.trials / config["trial"],
    )
    trial.run(sample.background, judged_tables(sample.judged), search, place, on_judged)


class _TunePlace(LonePlace):
    """A process of Tune's, which may be given another trial's state to go on from."""

    def take_up(self, trainer: Any) -> None:
        checkpoint = tune.get_checkpoint()
        if checkpoint is None:
            super().take_up(trainer)
            return
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / STATE, map_location="cpu")
        trainer.restore(state)
        trainer.exploit()
