"""A sweep on Ray: what it tries, keeps, goes on from, and leaves for a run."""

import functools
import os
import sys

import pyarrow.parquet as pq
import pytest
import ray

from raybead.commands.overview import show_run
from raybead.config import Job, job_of, parse_job, parse_raw
from raybead.console import Console
from raybead.distributed.sweep import run_trials
from raybead.errors import RunError
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.storage import Folder, stage_facts
from raybead.sweep import best_job, sweep
from raybead.sweeping.course import Course, Sample, jets_of
from raybead.sweeping.search import proposer_of
from raybead.sweeping.trial import RECORD, record_of
from raybead.training import JobTraining, LonePlace

JOB = """
name = "swept"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
[data.search]
source = "lhco"
path = "{search}"
[graph]
nodes = 8
[model]
preset = "jet-dense"
encoder = [[16]]
decoder = [16]
[train]
epochs = 2
batch_items = 128
test = 0.4
[score]
ensemble = 1
controls = false
[hunt]
cuts = [0.5]
conditional = "none"
toys = 1000
mass_window = [2132.0, 5253.0]
[sweep]
search = "grid"
grace = 1
events = 100
replicas = 20
corruptions = ["shuffle", "two-prong"]
evaluation = true
[sweep.over]
"loss.kind" = {{ grid = ["mse", "distance"] }}
"train.learning_rate" = {{ grid = [1e-3, 1e30] }}
"""

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def text(lhco_files, tmp_path_factory):
    return JOB.format(output=tmp_path_factory.mktemp("sweeps"), **lhco_files)


@pytest.fixture(scope="module")
def swept(text):
    return sweep(parse_raw(text), Console(quiet=True))


def records(run):
    trials = run / "trials"
    return [r for name in trials.names() if (r := record_of(trials / name)) is not None]


def test_every_trial_is_told_and_failures_end_nothing(swept):
    board = pq.read_table(f"{swept}/sweep/leaderboard.parquet").to_pylist()
    assert [(row["status"], row["rank"]) for row in board] == [
        ("done", 1), ("done", 2), ("failed", None), ("failed", None),
    ]  # fmt: skip
    assert all("no longer a number" in row["reason"] for row in board[2:])
    assert board[0]["objective"] >= board[1]["objective"]
    assert 0 < board[0]["auc"] < 1
    summary = (swept / "sweep").read_json("summary.json")
    assert summary["best"]["trial"] == board[0]["trial"]
    assert len(summary["ensembles"]) == 1
    assert b"wasn't looked at" not in (swept / "sweep").read("leaderboard.html")


def test_the_best_is_in_the_models_place_and_a_run_goes_on_with_it(swept, text, capsys):
    best = (swept / "sweep").read_json("best.json")
    trial = swept / "trials" / best["trial"] / "model"
    assert (swept / "model").read("weights.safetensors") == trial.read("weights.safetensors")
    assert stage_facts(swept, "model")["sweep"]["trial"] == best["trial"]
    raw = parse_raw(text, ["score.ensemble=2"])
    execute(best_job(raw), "hunt", Console())
    told = capsys.readouterr().out
    assert "train: current, kept" in told
    assert "prepare background: current, kept" in told
    scores = pq.read_table(f"{swept}/scores/search.parquet")
    assert {"score_1", "score_2"} <= set(scores.column_names)
    show_run(swept, Console())
    assert "2 of 4 trials finished, by corruption" in capsys.readouterr().out


def test_a_trials_model_is_what_training_its_job_gives(swept, tmp_path):
    (record, *_) = [record for record in records(swept) if record.status == "done"]
    there = swept / "trials" / record.trial
    job, place = parse_job(there.read("job.toml").decode()), LonePlace(Folder.at(str(tmp_path)))
    training = JobTraining.of(job, swept / "events" / "background", place)
    for _ in training.epochs(place):
        pass
    own, kept = training.best().weights, Bundle.load(there / "model").weights
    assert all((own[name] == kept[name]).all() for name in own)


def test_what_is_recorded_is_not_tried_again_and_what_was_lost_is(swept, text, capsys):
    raw = parse_raw(text)
    sweep(raw, Console())
    assert "sweep: current, kept" in capsys.readouterr().out
    trials, (lost, *others) = swept / "trials", [r for r in records(swept) if r.status == "done"]
    kept = {name: (trials / name).read(RECORD) for name in (r.trial for r in others)}
    (trials / lost.trial).delete()
    (swept / "sweep").delete()
    sweep(raw, Console(quiet=True))
    again = record_of(trials / lost.trial)
    assert again is not None
    assert again.model_dump(exclude={"seconds"}) == lost.model_dump(exclude={"seconds"})
    assert {name: (trials / name).read(RECORD) for name in kept} == kept


def test_another_sweep_than_the_jobs_is_not_gone_on_with(swept, text):  # noqa: ARG001
    with pytest.raises(RunError, match=r"no sweep of this job there .*job"):
        best_job(parse_raw(text, ["train.epochs=3"]))


def located(driver: int, job: Job) -> Job:
    """The job, in whose trial a process ends or a defect shows."""
    if os.getpid() != driver and job.train.learning_rate == 2e-3:
        raise RuntimeError("a defect")
    if os.getpid() != driver and job.train.learning_rate == 3e-3:
        os._exit(1)
    return job


def test_processes_that_end_are_told_and_end_nothing(cluster, swept, text, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    changes = [
        "sweep.over={'train.learning_rate' = {choice = [1e-3, 2e-3, 3e-3]}}", "train.epochs=1",
        "sweep.evaluation=false",
    ]  # fmt: skip
    raw = parse_raw(text, changes)
    job, folder = job_of(raw), Folder.at(str(tmp_path))
    assert job.sweep is not None
    samples = {jets_of(job): Sample(swept / "events" / "background", swept / "judged", None)}
    here = functools.partial(located, os.getpid())
    course = Course(raw, job.sweep, samples, folder, "by", "budget", here)
    found, refused = run_trials(
        course,
        lambda known, queued: proposer_of(course.sweep, raw, 0, known, queued),
        lambda job: f"rate-{job.train.learning_rate:g}",
        folder,
        cluster,
        lambda *_: None,
    )
    assert [(r.status, r.lasting) for r in found] == [
        ("done", False), ("failed", False), ("failed", False),
    ]  # fmt: skip
    assert "a defect" in found[1].reason
    assert "its process ended" in found[2].reason
    assert not refused
    assert not (folder / "tune").exists()


def test_a_population_changes_its_values_on_the_way(text, tmp_path):
    changes = [
        f"output={tmp_path}", "sweep.search=pbt", "sweep.trials=3", "train.epochs=2",
        "sweep.evaluation=false", "sweep.corruptions=['shuffle']",
        "sweep.over={'train.learning_rate' = {log_uniform = [1e-4, 1e-2]}}",
    ]  # fmt: skip
    run = sweep(parse_raw(text, changes), Console(quiet=True))
    found = {record.number: record for record in records(run)}
    assert {record.status for record in found.values()} == {"done"}
    assert all([e for e, _ in record.history] == [1, 2] for record in found.values())
    begun = (run / "trials").read_json("proposed.json")
    moved = [n for n, values in enumerate(begun) if found[n].values != values]
    assert moved
    for number in moved:  # as did the weights: those of a member that was ahead
        assert 1e-4 <= found[number].values["train.learning_rate"] <= 1e-2


def test_several_workers_have_a_trial_together(text, tmp_path):
    changes = [
        f"output={tmp_path}", "sweep.workers=2", "sweep.trials=1", "sweep.evaluation=false",
        "sweep.corruptions=['shuffle']",
    ]  # fmt: skip
    run = sweep(parse_raw(text, changes), Console(quiet=True))
    assert stage_facts(run, "model")["workers"] == 2
    (record,) = records(run)
    assert record.status == "done"
