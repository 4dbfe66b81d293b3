"""The work of each stage: which function does it, with what, and which files it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raybead.config import Job, parse_job
from raybead.console import Console, Tick
from raybead.distributed.cluster import Cluster, cluster_now
from raybead.errors import RunError
from raybead.events import Piece, table_bytes
from raybead.pace import Remark
from raybead.report import write_emd_report, write_report
from raybead.stages import Stages, other_run, sample_of, with_networks
from raybead.storage import JOB, Folder, Role, Stage

METRICS = "metrics.json"
PAGE = "report.html"
KEPT = "epochs"
"""Folder in the model's of epochs that are kept besides the best."""


Pieces = Mapping[Role, list[tuple[Piece, ...]]]
"""Work of the samples that aren't prepared yet."""

Work = Callable[[Cluster, Tick], Mapping[str, Any]]
"""Does a stage on a cluster, telling of it; returns facts for the manifest."""


def steps_of(
    job: Job, stages: Stages, pieces: Pieces, console: Console
) -> list[tuple[str, Stage, Work]]:
    """All stages but the report, in order: title, stage, and the work that does it."""
    return [
        (
            "prepare background",
            stages.background,
            lambda _, tick: _prepare(
                job, "background", pieces["background"], stages.background, console, tick
            ),
        ),
        (
            "prepare search",
            stages.search,
            lambda _, tick: _prepare(
                job, "search", pieces["search"], stages.search, console, tick
            ),
        ),
        ("train", stages.model, lambda cluster, tick: _train(job, stages, cluster, console, tick)),
        ("score", stages.scores, lambda cluster, tick: _score(job, stages, cluster, tick)),
        ("hunt", stages.hunt, lambda _, tick: _hunt(job, stages, tick)),
        ("calibrate", stages.calibration, lambda _, tick: _calibrate(job, stages, tick)),
        ("reach", stages.reach, lambda _, tick: _reach(job, stages, tick)),
        ("diagnostics", stages.diagnostics, lambda _, tick: _diagnose(job, stages, tick)),
        ("train-emd", stages.emd, lambda _, tick: _emd(job, stages, tick)),
    ]


def _prepare(
    job: Job,
    role: Role,
    pieces: list[tuple[Piece, ...]],
    stage: Stage,
    console: Console,
    tick: Tick,
) -> Mapping[str, Any]:
    from raybead.distributed.prepare import prepare  # after the session has set Ray up

    with sample_of(job, role).inputs_meanwhile() as inputs:
        prepared = prepare(
            pieces, job.jets, job.prepare, stage.beside, tick, job.resources.prepare
        )
        known = inputs()
    for fault in prepared.faults:
        console.say(f"prepare {role}: left out: {fault}")
    for one in known:
        if "unread" in one:
            console.say(f"note: {one['path']}: its digest isn't known: {one['unread']}")
    return {**prepared.as_dict(), "bytes": stage.beside.size(), "inputs": known}


def _train(
    job: Job, stages: Stages, cluster: Cluster, console: Console, tick: Tick
) -> Mapping[str, Any]:
    from raybead.distributed.train import train

    stage = stages.model
    resume = stage.beside / "resume"
    located = with_networks(job)
    kept = stage.beside / KEPT
    events = stages.background.folder
    bundle, metrics = train(located, events, resume, kept, cluster, _told(tick), tick)
    for warning in metrics["warnings"]:
        console.say(f"train: warning: {warning}")
    resume.delete()
    bundle.save(stage.beside)
    stage.beside.write_json(METRICS, metrics)
    return bundle.summary


def _told(tick: Tick) -> Callable[[dict[str, Any]], None]:
    """Progress of a training, from the notes of its epochs."""

    def on_epoch(note: dict[str, Any]) -> None:
        ran, before = note.get("begun", [note]), None
        if "begun" in note:
            before = len(ran)
        words = "epochs"
        if ran:
            last = ran[-1]
            words = f"epochs, loss {last['train']:.4g}, validation {last['validation']:.4g}"
        tick(
            ran[-1]["epoch"] + 1 if ran else 0,
            note["epochs"],
            Remark(words, before=before, epochs=ran),
        )

    return on_epoch


def _score(job: Job, stages: Stages, cluster: Cluster, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.score import score
    from raybead.scoring import Calibrations

    events: dict[Role, Folder] = {
        "background": stages.background.folder,
        "search": stages.search.folder,
    }
    beside = stages.scores.beside
    facts = score(events, stages.model.folder, job, beside, cluster, tick)
    # With it the bundles score new events as these were.
    Calibrations.load(beside).save(stages.model.folder)
    return facts


def _hunt(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.hunt import hunt

    runs = {job.name: stages.scores.folder}
    for path in job.hunt.runs:
        run = other_run(path)
        runs[_name_of(run, runs)] = run / "scores"
    result = hunt(runs, job.hunt, job.seed, stages.hunt.beside, tick, job.resources.hunt)
    return {"conclusion": result["conclusion"], "refused": result["refused"]}


def _name_of(run: Folder, taken: Mapping[str, Folder]) -> str:
    """What another run is called among those hunted in together."""
    name = parse_job(run.read(JOB).decode(), origin=f"{run}/{JOB}").name
    if name in taken:
        raise RunError(f"hunt.runs: two runs are called {name}; give one another name")
    return name


def _calibrate(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.studies import calibrate

    found = calibrate(
        stages.scores.folder,
        job.hunt,
        job.calibrate,
        job.seed,
        stages.calibration.beside,
        tick,
        job.resources.hunt,
    )
    return {"summary": found["summary"], "sets": found["sets"], "events": found["events"]}


def _reach(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.studies import reach

    found = reach(stages.scores.folder, job, stages.reach.beside, tick)
    return {"points": found["points"]}


def _diagnose(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.diagnose import diagnose

    events: dict[Role, Folder] = {role: stage.folder for role, stage in stages.events()}
    scores, model = stages.scores.folder, stages.model.folder
    return diagnose(events, scores, model, job, stages.diagnostics.beside, tick)


def make_report(job: Job, stage: Stage, tick: Tick) -> Mapping[str, Any]:
    """Write the page of a run, and its figures into the stage's folder; facts of it."""
    tick(0, 1, "page")
    run = stage.run
    run.write(PAGE, write_report(job, run, stage.beside))
    tick(1, 1, "page")
    return {"page": f"{run}/{PAGE}"}


def _emd(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.emd import train_emd
    from raybead.distributed.emd_targets import emd_targets

    beside = stages.emd.beside
    targets, resume = beside / "targets", beside / "resume"
    asks = job.resources
    events = stages.background.folder
    emd_targets(events, job.emd, job.seed, targets, tick, asks.prepare)
    bundle, metrics, held_out = train_emd(
        job.emd, job.seed, targets, resume, cluster_now(), _told(tick), tick, asks.train
    )
    for folder in (targets, resume):
        folder.delete()
    bundle.save(beside)
    beside.write_json(METRICS, metrics)
    beside.write("held_out.parquet", table_bytes(held_out))
    write_emd_report(job, held_out, metrics, bundle.summary, beside)
    return {**bundle.summary, "page": f"{stages.emd.folder}/{PAGE}"}
