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
from raybead.distributed.cluster import cluster_now
from raybead.distributed.session import session
from raybead.distributed.watch import at_stage
from raybead.errors import RunError
from raybead.events import EventSample, notes_on
from raybead.profiling import Profile, begun
from raybead.stages import (
    Stages,
    in_throwaway_folder,
    refuse_missing_networks,
    run_folder,
    sample_of,
)
from raybead.steps import Pieces, make_report, steps_of
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
    every = steps_of(job, stages, pieces, console)
    steps = [step for step in every if step[1].name in STEPS[verb]]
    if pieces:
        for note in notes_on(samples):
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
        _do("report", report, partial(make_report, job, report), console, doing)
    if seen is not None:
        seen.show(console)
    return run


def _states(planned: list[tuple[str, Stage]]) -> list[tuple[str, str, str]]:
    """Names, titles and states of what is to be done, as far as it isn't current."""
    return [
        (stage.name, title, "current" if stage.why_stale() is None else "waiting")
        for title, stage in planned
    ]


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
