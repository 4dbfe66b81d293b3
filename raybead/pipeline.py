"""prepare -> train -> score -> hunt -> report: in order, skipping what is current."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

from raybead.config import FileSource, Job, dump_job, parse_job
from raybead.console import Console, Tick
from raybead.diagnostics.extras import refuse_missing_extras
from raybead.distributed.cluster import Cluster, cluster_now
from raybead.distributed.session import session
from raybead.distributed.watch import at_stage
from raybead.errors import RunError
from raybead.events import EventSample, Piece, table_bytes
from raybead.pace import Remark
from raybead.profiling import Profile, begun
from raybead.report import write_emd_report, write_report
from raybead.stages import (
    Stages,
    in_throwaway_folder,
    other_run,
    refuse_missing_networks,
    run_folder,
    sample_of,
    with_networks,
)
from raybead.storage import JOB, Folder, Role, Stage, StageName, unfinished
from raybead.telling.progress import PROGRESS
from raybead.telling.telling import Telling

Verb = Literal["prepare", "train", "score", "hunt", "run", "calibrate", "reach", "train-emd"]
_PREPARED: tuple[StageName, ...] = ("events/background", "events/search")
_HUNTED: tuple[StageName, ...] = ("model", "scores", "hunt")
STEPS: dict[Verb, tuple[StageName, ...]] = {
    "prepare": _PREPARED,
    "train": (*_PREPARED, "model"),
    "score": (*_PREPARED, "model", "scores"),
    "hunt": (*_PREPARED, *_HUNTED),
    "run": (*_PREPARED, *_HUNTED, "diagnostics", "figures"),
    "calibrate": (*_PREPARED, *_HUNTED, "calibration", "diagnostics", "figures"),
    "reach": (*_PREPARED, *_HUNTED, "reach", "diagnostics", "figures"),
    "train-emd": ("events/background", "emd"),
}
"""Stages of a verb, in order."""
METRICS = "metrics.json"
PAGE = "report.html"
KEPT = "epochs"
"""Folder in the model's of epochs that are kept besides the best."""


Pieces = Mapping[Role, list[tuple[Piece, ...]]]
"""Work of the samples that aren't prepared yet."""


def execute(
    job: Job,
    verb: Verb,
    console: Console,
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    overwrite: bool = False,
    profile: bool = False,
) -> Folder:
    """Do a job up to a stage: what is current is kept, what isn't is done, and why is said.

    Args:
        job: to be done.
        verb: the last stage to do; ``run`` does all, and the report.
        console: that progress goes to.
        address: of a Ray cluster; see :func:`raybead.distributed.session.session`.
        num_cpus: of a Ray that is started on this machine.
        overwrite: whether a run of other data in the same place may be replaced.
        profile: whether to measure where time goes, show it and write ``profile.json``.

    Returns:
        The run's folder.

    Raises:
        RaybeadError: whatever stops the job, in one line.
    """
    with Telling(job, verb, console) as telling:
        where = {"address": address, "num_cpus": num_cpus}
        return _execute(job, verb, console, telling, where, overwrite, profile)


def _execute(
    job: Job,
    verb: Verb,
    console: Console,
    telling: Telling,
    where: Mapping[str, Any],
    overwrite: bool,
    profile: bool,
) -> Folder:
    console.about(job.name)
    stages = Stages.of(job)
    run = run_folder(job)
    if verb not in ("prepare", "train-emd"):
        refuse_missing_networks(job, stages.emd)
    if job.score.ensemble > 1 and "scores" in STEPS[verb]:
        from raybead.scoring import refuse_missing_members  # torch takes seconds

        refuse_missing_members(job.score, stages.model)
    if "diagnostics" in STEPS[verb]:
        refuse_missing_extras(job.diagnostics)
    if in_throwaway_folder():
        console.say(f"the run is kept in {run}")
    refuse_foreign(run, job, overwrite)
    # All files are looked at before hours are spent on one, and once: some are read to the end.
    samples: dict[Role, EventSample] = {
        "background": sample_of(job, "background"),
        "search": sample_of(job, "search"),
    }
    pieces: Pieces = {
        role: samples[role].pieces(job.prepare.rows_per_task)
        for role, stage in stages.events()
        if stage.why_stale() is not None
    }
    every = _steps(job, stages, pieces, console)
    steps = [step for step in every if step[1].name in STEPS[verb]]
    if pieces:
        both = (source for sample in samples.values() for source in sample.sources)
        for note in EventSample(tuple(both)).notes():
            console.say(f"note: {note}")
    run.write(JOB, dump_job(job).encode())
    for stage in (*(stage for _, stage, _ in every), stages.report()):
        stage.mark()
    told = "figures" in STEPS[verb]
    seen = Profile(run) if profile else None
    planned = [(title, stage) for title, stage, _ in steps]
    telling.begin(run, _states([*planned, *([("report", stages.report())] * told)]), stages.keys())
    if any(stage.why_stale() is not None for _, stage, _ in steps):
        with begun(session(**where), seen):
            for title, stage, work in steps:
                # What the cluster had at the last stage may be gone, or be more by now.
                cluster = cluster_now()
                doing = partial(at_stage, job.name, stage, cluster, seen)
                _do(title, stage, partial(work, cluster), console, doing)
    elif not told or stages.report().why_stale() is None:
        console.say(f"{run}: all is current")
        return run
    if told:
        report = stages.report()  # by now it may have a study more to tell of
        doing = partial(at_stage, job.name, report, None, seen)
        _do("report", report, partial(_report, job, report), console, doing)
    if seen is not None:
        seen.show(console)
    return run


def _states(planned: list[tuple[str, Stage]]) -> list[tuple[str, str, str]]:
    """Names, titles and states of what is to be done, as far as it isn't current."""
    return [
        (stage.name, title, "current" if stage.why_stale() is None else "waiting")
        for title, stage in planned
    ]


Work = Callable[[Cluster, Tick], Mapping[str, Any]]


def _do(
    title: str,
    stage: Stage,
    work: Callable[[Tick], Mapping[str, Any]],
    console: Console,
    doing: Callable[[], AbstractContextManager[None]],
) -> None:
    why = stage.why_stale()
    if why is None:
        console.say(f"{title}: current, kept")
        return
    if why != "not done yet":
        console.say(f"{title}: {why}")
    started = time.monotonic()
    with console.stage(title, stage.name) as tick, doing():
        facts = work(tick)
    stage.finish({**facts, "seconds": round(time.monotonic() - started, 1)})


def _steps(
    job: Job, stages: Stages, pieces: Pieces, console: Console
) -> list[tuple[str, Stage, Work]]:
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


def _report(job: Job, stage: Stage, tick: Tick) -> Mapping[str, Any]:
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


def refuse_foreign(run: Folder, job: Job, overwrite: bool) -> None:
    """Refuse a folder that is something else's.

    Raises:
        RunError: whose.
    """
    if run.exists(JOB):
        held = parse_job(run.read(JOB).decode(), origin=f"{run}/{JOB}")
        ours, theirs = _identity(job), _identity(held)
        if ours != theirs and not overwrite:
            changed = next(role for role in ours if ours[role] != theirs[role])
            raise RunError(
                f"{run}: belongs to another job, whose {changed} sample is {theirs[changed]};"
                " give this job another name or output, or say --overwrite"
            )
    elif not overwrite and any(not (name == PROGRESS or unfinished(name)) for name in run.names()):
        raise RunError(f"{run}: holds files, but no run of raybead; choose another name or output")


def _identity(job: Job) -> dict[str, str]:
    """What makes two jobs the same analysis with other settings, rather than two analyses."""
    return {
        role: ", ".join(
            f"{source.source}:{','.join(source.paths) if isinstance(source, FileSource) else ''}"
            for source in sources
        )
        for role, sources in (("background", job.data.background), ("search", job.data.searched))
    }
