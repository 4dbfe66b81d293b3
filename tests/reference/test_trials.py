"""Trials of a sweep without Ray: what they are judged by, what is left of them, what goes on."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from made import make_particles

from raybead.config import Jets, Job, job_of
from raybead.errors import HuntError, StorageError, TrainingError, WorkersLostError
from raybead.events import event_table, make_jets, table_bytes
from raybead.models import Bundle
from raybead.storage import Folder
from raybead.sweeping.course import Course, Sample, Ticket, jets_of
from raybead.sweeping.ensembles import judged_ensembles
from raybead.sweeping.judged import judged_tables, write_judged
from raybead.sweeping.progress import Progress
from raybead.sweeping.records import TrialRecord
from raybead.sweeping.search import proposer_of
from raybead.sweeping.trial import (
    RECORD,
    RESUME,
    STOP,
    failed,
    judged_epochs,
    leave,
    record_of,
    scores_of,
    so_far,
)
from raybead.training import LonePlace, split_by_event

RAW = {
    "name": "tried",
    "data": {
        "background": {"source": "lhco", "path": "b.h5"},
        "search": {"source": "lhco", "path": "s.h5"},
    },
    "graph": {"nodes": 8},
    "model": {"preset": "jet-dense", "encoder": [[16]], "decoder": [16]},
    "train": {"epochs": 4, "batch_items": 64, "test": 0.4, "patience": 50},
    "hunt": {"cuts": [0.5], "conditional": "none", "mass_window": [2132.0, 7060.0]},
    "sweep": {
        "search": "grid",
        "events": 100,
        "replicas": 20,
        "grace": 2,
        "corruptions": ["shuffle"],
        "over": {
            "loss.kind": {"choice": ["mse", "distance"]},
            "train.learning_rate": {"choice": [1e-3, 3e-3]},
        },
    },
}


@pytest.fixture(scope="module")
def background(tmp_path_factory) -> Folder:
    """Prepared events in two files."""
    folder = Folder.at(str(tmp_path_factory.mktemp("events")))
    table = event_table(make_jets(make_particles(400, seed=8), Jets()))
    for name, rows in (("a", table.slice(0, 250)), ("b", table.slice(250))):
        folder.write(f"{name}.parquet", table_bytes(rows))
    return folder


@pytest.fixture(scope="module")
def course(background, tmp_path_factory) -> Course:
    job = job_of(RAW)
    assert job.sweep is not None
    folder = Folder.at(str(tmp_path_factory.mktemp("sweep")))
    write_judged(background, job, job.sweep, folder / "judged")
    sample = Sample(background, folder / "judged", None)
    return Course(
        RAW, job.sweep, {jets_of(job): sample}, folder / "trials", "by these", "budget", located
    )


def located(job: Job) -> Job:
    return job


class Tuner:
    """Runs what a sweep's progress proposes, one trial after another."""

    def __init__(self, course: Course, folder: Folder, *, ends_after: int = 1000) -> None:
        self.course, self.left, self.told = course, ends_after, []
        self.progress = Progress(
            course,
            lambda known, queued: proposer_of(course.sweep, course.raw, 0, known, queued),
            lambda job: f"{job.loss[0].kind}-{job.train.learning_rate:g}",
            folder,
            lambda *told: self.told.append(told),
        )

    def run(self) -> None:
        for number in range(100):
            ticket = f"ticket-{number}"
            values = self.progress.next(ticket)
            if values is None:
                return
            trial = self.course.trial(self.course.of_ticket(ticket), values)
            run(self.course, trial, lambda epoch, *_, ticket=ticket: self._judged(ticket, epoch))
            self.progress.ended(ticket)

    def _judged(self, ticket: str, epoch: int) -> None:
        self.progress.at(ticket, epoch)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def run(course, trial, on_judged=lambda *_: None, place=None):
    place = place or LonePlace(trial.folder / RESUME)
    sample = course.sample(trial.job)
    trial.run(sample.background, judged_tables(sample.judged), None, place, on_judged)


def test_what_judges_is_unseen_by_training_and_what_was_seen_was(background, course):
    job, tables = job_of(RAW), judged_tables(course.sample(job_of(RAW)).judged)
    events = np.concatenate(
        [pq.read_table(f"{background}/{n}").column("event") for n in background.names(".parquet")]
    )
    split = split_by_event(torch.from_numpy(np.repeat(np.unique(events), 2)), job.train, job.seed)
    of_jet = np.repeat(np.unique(events), 2)
    judges = set(tables["background"].column("event").to_pylist())
    assert judges <= set(of_jet[split.test.numpy()])
    assert not judges & set(of_jet[split.train.numpy()]) | judges & set(
        of_jet[split.validation.numpy()]
    )
    assert set(tables["seen"].column("event").to_pylist()) <= set(of_jet[split.train.numpy()])
    assert len(judges) == 100
    assert tables["shuffle"].column("event").equals(tables["background"].column("event"))


def test_events_that_training_is_capped_before_judge_too(background, tmp_path):
    raw = {**RAW, "train": {**RAW["train"], "max_events": 60, "test": 0.0}}
    job = job_of(raw)
    assert job.sweep is not None
    counts = write_judged(background, job, job.sweep, Folder.at(str(tmp_path)))
    assert counts == {"background": 100, "seen": 54, "shuffle": 100}
    raw["train"]["max_events"] = 1000
    with pytest.raises(TrainingError, match="training leaves 0 background events"):
        write_judged(background, job_of(raw), job.sweep, Folder.at(str(tmp_path)))


@pytest.fixture(scope="module")
def swept(course) -> Tuner:
    tuner = Tuner(course, course.trials)
    tuner.run()
    return tuner


def test_every_trial_is_recorded_with_all_that_is_known(course, swept):
    records = swept.progress.records()
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.status for record in records} == {"done"}
    for record in records:
        folder = course.trials / record.trial
        assert not folder.exists(RESUME)
        assert record.history[-1] == (4, record.objective.value)
        assert [epoch for epoch, _ in record.history] == [2, 4]
        bundle = Bundle.load(folder / "model")
        assert record.parameters == sum(one.numel() for one in bundle.recipe.build().parameters())
        assert set(scores_of(folder)) == {"background", "seen", "shuffle"}
    assert [told[:2] for told in swept.told] == [(n, 4) for n in (0, 1, 2, 3, 4)]


def test_a_trial_that_was_broken_off_ends_as_if_it_never_was(course, swept, tmp_path):
    whole = swept.progress.records()
    again = replace(course, trials=Folder.at(str(tmp_path)) / "trials")
    broken = Tuner(again, again.trials, ends_after=3)  # in the second trial, at its second epoch
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    first = [folder for folder in again.trials.names() if (again.trials / folder).exists(RECORD)]
    assert len(first) == 1
    before = (again.trials / first[0]).read(RECORD)
    resumed = Tuner(again, again.trials)
    resumed.run()
    assert (again.trials / first[0]).read(RECORD) == before
    same = {"seconds"}
    assert [record.model_dump(exclude=same) for record in resumed.progress.records()] == [
        record.model_dump(exclude=same) for record in whole
    ]


class TwoPlaces(LonePlace):
    """The first of two workers, whose partner does nothing."""

    class _Team:
        rank, size = 0, 2

        def total(self, values):
            return values

    def __init__(self, folder):
        super().__init__(folder)
        self.team = self._Team()


def test_workers_that_are_asked_to_stop_do_and_leave_no_record(course, tmp_path):
    folder = Folder.at(str(tmp_path))
    trials = replace(course, trials=folder)
    values = {"loss.kind": "mse", "train.learning_rate": 1e-3}
    trial, seen = trials.trial(Ticket(trial="one", number=0), values), []

    def on_judged(epoch, *_):
        seen.append(epoch)
        trial.folder.write(STOP, b"")

    run(trials, trial, on_judged, TwoPlaces(folder / "state"))
    assert seen == [2]
    assert record_of(trial.folder) is None
    left = so_far(trial.folder)
    assert left is not None
    assert (left.status, left.epochs) == ("stopped", 2)


@pytest.mark.parametrize("several", [False, True])
def test_a_trial_that_cannot_be_judged_stops_and_may_be_judged_otherwise(
    course, tmp_path, several
):
    folder = Folder.at(str(tmp_path))
    # So few events lie beyond this cut that there is nothing to tell a stability by.
    raw = {**RAW, "hunt": {**RAW["hunt"], "cuts": [0.999]}}
    config = course.sweep.model_copy(update={"objective": "stability"})
    trials = replace(course, raw=raw, sweep=config, trials=folder)
    trial = trials.trial(Ticket(trial="one", number=0), {"loss.kind": "mse"})
    place, seen = (TwoPlaces if several else LonePlace)(folder / "state"), []
    run(trials, trial, lambda *told: seen.append(told), place)
    record = record_of(trial.folder)
    assert record is not None
    assert (record.status, record.judged_by) == ("failed", course.judged_by)
    assert "cut" in record.reason
    assert seen == []


def test_an_exhausted_budget_leaves_trials_that_more_of_it_goes_on_with(course, tmp_path):
    def sweep(epochs):
        config = course.sweep.model_copy(update={"epochs": epochs})
        trials = Folder.at(str(tmp_path)) / "trials"
        return Course(
            course.raw, config, course.samples, trials, course.judged_by, "budget", located
        )

    tuner = Tuner(sweep(6), Folder.at(str(tmp_path)) / "trials")
    ticket = "only"
    values = tuner.progress.next(ticket)
    assert values is not None
    tuner.progress.at(ticket, 6)
    assert tuner.progress.over
    assert tuner.progress.next("another") is None
    tuner.progress.ended(ticket)
    (cut_off,) = tuner.progress.records()
    assert (cut_off.status, cut_off.reason) == ("stopped", "the budget was spent")
    more = Tuner(sweep(1000), Folder.at(str(tmp_path)) / "trials")
    more.run()
    assert [record.status for record in more.progress.records()] == ["done"] * 4


def test_another_objective_is_judged_without_training_again(course, swept):
    (record, *_) = swept.progress.records()
    config = course.sweep.model_copy(update={"objective": {"corruption": 2.0}})
    other = Course(
        course.raw, config, course.samples, course.trials, "by others", "budget", located
    )
    weights = (course.trials / record.trial / "model").read("weights.safetensors")
    trial = other.trial(
        Ticket(trial=record.trial, number=0),
        record.values,
    )
    sample = other.sample(trial.job)
    epochs, value = trial.judge_again(judged_tables(sample.judged), None)
    assert (epochs, value) == (4, pytest.approx(2 * record.objective.value))
    again = record_of(course.trials / record.trial)
    assert again is not None
    assert again.judged_by == "by others"
    assert (course.trials / record.trial / "model").read("weights.safetensors") == weights
    (course.trials / record.trial).write_json(RECORD, json.loads(record.model_dump_json()))


@pytest.mark.parametrize(
    ("record", "changes", "again"),
    [
        ({"status": "done"}, {}, False),
        ({"status": "done"}, {"judged_by": "others"}, True),
        ({"status": "stopped", "stopped_by": "none, grace 2, reduction 3"}, {}, False),
        ({"status": "stopped", "stopped_by": "asha, grace 2, reduction 3"}, {}, True),
        ({"status": "stopped", "stopped_by": "none, grace 2, reduction 3"},
         {"judged_by": "others"}, True),
        ({"status": "failed", "error": TrainingError("nan")}, {}, False),
        ({"status": "failed", "error": TrainingError("nan")}, {"judged_by": "others"}, False),
        ({"status": "failed", "error": HuntError("few")}, {}, False),
        ({"status": "failed", "error": HuntError("few")}, {"judged_by": "others"}, True),
        ({"status": "failed", "error": StorageError("full")}, {}, True),
        ({"status": "failed", "error": WorkersLostError("lost")}, {}, True),
        ({"status": "failed", "error": "its process ended"}, {}, True),
    ],
)  # fmt: skip
def test_what_is_tried_again(course, tmp_path, record, changes, again):
    trials = replace(course, trials=Folder.at(str(tmp_path)))
    values = {"loss.kind": "mse", "train.learning_rate": 1e-3}
    name, error = "mse-0.001", record.pop("error", None)
    if error is None:
        left = TrialRecord(
            trial=name, number=0, values=values, judged_by=course.judged_by, **record
        )
    else:
        left = failed(name, 0, values, error, course.judged_by)
    leave(trials.trials / name, RECORD, left)
    trials.trials.write_json("proposed.json", [values])
    tuner = Tuner(replace(trials, **changes), trials.trials)
    assert (tuner.progress.next("first") == values) is again


def test_a_judgement_that_fails_costs_no_training(course, swept):
    (record, *_) = swept.progress.records()
    folder = course.trials / record.trial
    of = record.trial, record.number, record.values
    leave(folder, RECORD, failed(*of, HuntError("a cut too hard"), "by others"))
    trial = course.trial(Ticket(trial=record.trial, number=0), record.values)
    epochs, value = trial.judge_again(judged_tables(course.sample(trial.job).judged), None)
    assert (epochs, value) == (4, record.objective.value)
    again = record_of(folder)
    assert again is not None
    assert again.quantities == record.quantities
    leave(folder, RECORD, record)


def test_an_ensemble_of_one_trial_twice_ranks_as_it_does(course, swept):
    (record, *_) = swept.progress.records()
    folder = course.trials / record.trial
    (found,) = judged_ensembles([folder, folder], course.sweep, job_of(RAW).hunt, 0)
    assert found["objective"].value == pytest.approx(record.objective.value, abs=1e-12)
    assert found["objective"].replicas == pytest.approx(record.objective.replicas, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({"scheduler": "none", "grace": 3}, {3, 6, 12, 24}),
        ({"scheduler": "asha", "grace": 1, "reduction": 3}, {1, 3, 9, 27}),
        ({"scheduler": "median", "grace": 10}, {10, 20, 30}),
    ],
)
def test_trials_are_judged_when_a_scheduler_decides(course, changes, due):
    assert judged_epochs(course.sweep.model_copy(update=changes), 30) == due


def test_nothing_is_known_of_a_trial_that_never_was(tmp_path):
    assert so_far(Folder.at(str(tmp_path))) is None
    assert record_of(Folder.at(str(tmp_path))) is None
