"""``raybead profile``: a bounded piece of a job's stages, looked at closely, on one page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from raybead.commands.options import Address, Cpus, JobFile, Log, Set
from raybead.config import Job, dump_job, load_job
from raybead.console import Console
from raybead.distributed.cluster import cluster_now
from raybead.distributed.session import session
from raybead.errors import RunError
from raybead.events import Piece
from raybead.pipeline import refuse_foreign
from raybead.report.profile import PAGE, write_profile
from raybead.report.profile_numbers import tables
from raybead.stages import Stages, refuse_missing_networks, run_folder, sample_of, with_networks
from raybead.storage import JOB, Folder, Role

FOLDER = "profile"
"""In a run: no stage, and none knows of it."""
MOST_STEPS = 200
"""A trace holds every operator of every step."""
WARM_UP = 3
"""Steps beforehand."""
EVENTS = 2000
MOST_EVENTS = 20_000
"""Of those that a run holds, that training is looked at with: a few steps take no more."""
FILES = 16
"""Of those, likewise."""
PIECES = 8
"""That events are prepared and scored in, where the job doesn't say how many rows a task has."""
ROLES: tuple[Role, ...] = ("background", "search")
SHOWN = ("training", "scoring", "operators", "data")
"""Tables for the terminal; the page has the others, too."""

Steps = Annotated[
    int, Parameter(help="Training steps to look at, so many whole, by parts, and traced.")
]
Events = Annotated[
    int | None,
    Parameter(help="Of each sample to prepare and score; 2,000, or two batches, if not given."),
]


def profile(
    job: JobFile,
    /,
    *,
    steps: Steps = 20,
    events: Events = None,
    set_: Set = (),
    address: Address = None,
    cpus: Cpus = None,
    log: Log = "auto",
) -> None:
    """Look closely at a few steps and tasks of a job: where time goes, on one page."""
    where = {"address": address, "num_cpus": cpus}
    profile_job(load_job(job, set_), Console(form=log), steps=steps, events=events, **where)


def profile_job(
    job: Job,
    console: Console,
    *,
    steps: int = 20,
    events: int | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
) -> Folder:
    """Profile a bounded piece of a job; stages and results of its run stay as they are.

    Args:
        job: to be looked at.
        console: that progress and tables go to.
        steps: of training, so many whole, by parts, and traced.
        events: of each sample that are prepared and scored.
        address: of a Ray cluster; see :func:`raybead.distributed.session.session`.
        num_cpus: of a Ray that is started on this machine.

    Returns:
        The folder of the profile, whole.

    Raises:
        RaybeadError: whatever stops it, in one line; an earlier profile stays then.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise RunError(f"--steps {steps}: 1 to {MOST_STEPS}")
    if events is not None and events < 1:
        raise RunError(f"--events {events}: one at least")
    console.about(job.name)
    wanted = events or max(EVENTS, 2 * job.train.batch_items)
    # All files are looked at before Ray starts.
    chosen: dict[Role, _Chosen] = {role: _chosen(job, role, wanted) for role in ROLES}
    asked = _Asked(job, Stages.of(job), chosen, steps, wanted)
    run = run_folder(job)
    refuse_missing_networks(job, asked.stages.emd)
    refuse_foreign(run, job, overwrite=False)
    if not run.exists(JOB):  # or a later run would take the folder for something else's
        run.write(JOB, dump_job(job).encode())
    with _beside(run) as (work, made):
        with session(address, num_cpus):
            found = _looked_at(asked, work, made, console)
        with console.stage("profile: page", FOLDER):
            whole = write_profile(job, found, made)
        made.move_to(run / FOLDER)
    _show(whole, console)
    console.say(f"profile: {run / FOLDER}/{PAGE}")
    return run / FOLDER


@dataclass(frozen=True)
class _Chosen:
    """Pieces of a sample."""

    pieces: list[tuple[Piece, ...]]
    whole: bool
    """Whether they are all of it."""


@dataclass(frozen=True)
class _Asked:
    """What is to be looked at."""

    job: Job
    stages: Stages
    chosen: Mapping[Role, _Chosen]
    steps: int
    events: int


@contextlib.contextmanager
def _beside(run: Folder) -> Iterator[tuple[Folder, Folder]]:
    """Where a profile works, and where it is put together; nothing of it is left."""
    folder = run / ".partial" / FOLDER
    folder.delete()
    try:
        yield folder / "work", folder / "made"
    finally:
        folder.delete()


def _looked_at(asked: _Asked, work: Folder, made: Folder, console: Console) -> dict[str, Any]:
    """All that is told of."""
    from raybead.distributed.profile import (  # after the session has set Ray up
        TRACE,
        Looked,
        profile_model,
        profile_prepare,
        profile_score,
    )

    job, cluster = with_networks(asked.job), cluster_now()
    took: dict[str, Any] = {}
    written: dict[str, int] = {}
    for role in ROLES:
        with console.stage(f"profile: prepare {role}", FOLDER) as tick:
            took[f"prepare {role}"], written[role] = profile_prepare(
                asked.chosen[role].pieces, job, work / role, cluster, tick
            )
    held = asked.stages.background.why_stale() is None
    background = _few(asked.stages.background.folder, work) if held else work / "background"
    most = job.train.max_events
    bounded = not (held or asked.chosen["background"].whole) and (
        most is None or most > asked.events
    )
    with console.stage("profile: steps", FOLDER) as tick:
        looked = Looked(asked.steps, WARM_UP)
        told = profile_model(_capped(job), background, bounded, looked, work, cluster, tick)
    made.write(TRACE, work.read(TRACE))
    alone = job.model_copy(update={"score": job.score.model_copy(update={"ensemble": 1})})
    events: dict[Role, Folder] = {role: work / role for role in ROLES}
    with console.stage("profile: score", FOLDER) as tick:
        took["score"] = profile_score(
            events, work / "model", alone, work / "scores", cluster, tick
        )
    return {
        **told,
        "events": {**written, "origin": "run" if held else "bounded"},
        "stages": took,
    }


def _chosen(job: Job, role: Role, events: int) -> _Chosen:
    """Pieces of about as many events as are wanted, evenly from the sample."""
    rows = job.prepare.rows_per_task
    if rows == "auto":
        rows = -(-events // PIECES)
    every = sample_of(job, role).pieces(rows)
    n = min(len(every), -(-events // rows))
    return _Chosen([every[at * len(every) // n] for at in range(n)], n == len(every))


def _few(events: Folder, work: Folder) -> Folder:
    """The event files of a run, or some of many, evenly."""
    names = events.names(".parquet")
    if len(names) <= FILES:
        return events
    few = work / "few"
    for at in range(FILES):
        name = names[at * len(names) // FILES]
        few.write(name, events.read(name))
    return few


def _capped(job: Job) -> Job:
    """The job, its training of no more events than a few steps have use for."""
    most = max(MOST_EVENTS, 4 * job.train.batch_items)
    capped = min(most, job.train.max_events or most)
    return job.model_copy(update={"train": job.train.model_copy(update={"max_events": capped})})


def _show(whole: Mapping[str, Any], console: Console) -> None:
    for table in tables(whole):
        if table.key in SHOWN:
            columns = [name for name in table.columns if name != "shapes"]
            rows = [list(row[: len(columns)]) for row in table.rows]
            console.table(table.title, columns, rows)
    for sentence in whole["says"]:
        console.say(f"- {sentence}")
