"""prepare -> train -> score -> hunt -> report: in order, skipping what is current."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raybead.config import EmdNetworkLoss, FileSource, Job, Loss, dump_job, parse_job
from raybead.console import Console, Tick
from raybead.distributed.session import Cluster, session
from raybead.errors import RunError
from raybead.events import EventSample, Piece, table_bytes
from raybead.report import write_emd_report, write_report
from raybead.storage import JOB, Folder, Role, Stage, StageName

Verb = Literal["prepare", "train", "score", "hunt", "run", "train-emd"]
_PREPARED: tuple[StageName, ...] = ("events/background", "events/search")
STEPS: dict[Verb, tuple[StageName, ...]] = {
    "prepare": _PREPARED,
    "train": (*_PREPARED, "model"),
    "score": (*_PREPARED, "model", "scores"),
    "hunt": (*_PREPARED, "model", "scores", "hunt"),
    "run": (*_PREPARED, "model", "scores", "hunt", "figures"),
    "train-emd": ("events/background", "emd"),
}
"""Stages of a verb, in order."""
METRICS = "metrics.json"
PAGE = "report.html"


@dataclass(frozen=True)
class Stages:
    """A job's stages, each with the key of what it should hold."""

    background: Stage
    search: Stage
    model: Stage
    scores: Stage
    hunt: Stage
    report: Stage
    emd: Stage

    def events(self) -> tuple[tuple[Role, Stage], ...]:
        """The stages that prepare events, by role."""
        return ("background", self.background), ("search", self.search)

    @classmethod
    def of(cls, job: Job) -> Stages:
        """The stages of a job.

        Raises:
            InputError: an input isn't there.
        """
        run = run_folder(job)
        job = with_networks(job)
        jets = job.jets.model_dump(mode="json")

        def events(role: Role) -> Stage:
            return Stage(
                run,
                "events/background" if role == "background" else "events/search",
                {
                    "data": sample_of(job, role).depends(),
                    "jets": jets,
                    "damaged": job.prepare.damaged,
                },
            )

        background, search = events("background"), events("search")
        model = Stage(
            run,
            "model",
            {
                "events": background.key,
                "graph": job.graph.model_dump(mode="json"),
                "model": job.model.model_dump(mode="json"),
                "loss": [_what_decides(term) for term in job.loss],
                # Who does the work doesn't decide what comes of it.
                "train": job.train.model_dump(
                    mode="json", exclude={"workers", "use_gpu", "max_failures"}
                ),
                "seed": job.seed,
            },
        )
        scores = Stage(
            run,
            "scores",
            {
                "events": [background.key, search.key],
                "model": model.key,
                "score": job.score.model_dump(mode="json", exclude={"workers", "batch_items"}),
            },
        )
        hunt = Stage(
            run,
            "hunt",
            {
                "scores": scores.key,
                "hunt": job.hunt.model_dump(mode="json"),
                "seed": job.seed,
            },
        )
        report = Stage(run, "figures", {"hunt": hunt.key, "model": model.key})
        emd = Stage(
            run,
            "emd",
            {
                "events": background.key,
                "emd": job.emd.model_dump(
                    mode="json", exclude={"workers", "use_gpu", "max_failures"}
                ),
                "seed": job.seed,
            },
        )
        return cls(background, search, model, scores, hunt, report, emd)


Pieces = Mapping[Role, list[tuple[Piece, ...]]]
"""Work of the samples that aren't prepared yet."""


def sample_of(job: Job, role: Role) -> EventSample:
    """All events of a role.

    Raises:
        InputError: a path that nothing is found at.
    """
    sources = job.data.background if role == "background" else job.data.searched
    return EventSample.of(sources, role)


def run_folder(job: Job) -> Folder:
    """Where a job's run is kept.

    ``ray job submit --working-dir`` runs in a copy that Ray throws away: there a relative output
    is taken from the home folder instead, so that it survives and can be resumed.
    """
    return _at_home(job.output) / job.name


def _at_home(path: str) -> Folder:
    relative = "://" not in path and not Path(path).is_absolute()
    home = relative and in_throwaway_folder()
    return Folder.at(str(Path.home() / path) if home else path)


def with_networks(job: Job) -> Job:
    """The job with the whole paths of trained networks that its loss asks for."""

    def whole(term: Loss) -> Loss:
        if not isinstance(term, EmdNetworkLoss):
            return term
        found = run_folder(job) / "emd" if term.bundle is None else _at_home(term.bundle)
        return term.model_copy(update={"bundle": found.uri})

    return job.model_copy(update={"loss": tuple(map(whole, job.loss))})


def _refuse_missing_networks(job: Job, own: Stage) -> None:
    for written, term in zip(job.loss, with_networks(job).loss, strict=True):
        if isinstance(term, EmdNetworkLoss):
            from raybead.models import EmdBundle

            EmdBundle.load(Folder.at(str(term.bundle)))
            why = own.why_stale() if written.bundle is None else None  # type: ignore[union-attr]
            if why is not None:
                raise RunError(
                    f"{own.folder}: the learned distance is of another job ({why});"
                    " raybead train-emd makes this job's"
                )


def _what_decides(term: Loss) -> dict[str, Any]:
    """What of a term decides its values: of a network its weights, wherever they lie."""
    if not isinstance(term, EmdNetworkLoss):
        return term.model_dump(mode="json")
    from raybead.models import WEIGHTS  # torch takes seconds, and few jobs need it here

    assert term.bundle is not None
    weights = Folder.at(term.bundle)
    known = weights.exists(WEIGHTS)
    digest = hashlib.sha256(weights.read(WEIGHTS)).hexdigest() if known else None
    return {**term.model_dump(mode="json", exclude={"bundle"}), "weights": digest}


def in_throwaway_folder() -> bool:
    """Whether this process runs in a working directory that Ray unpacked for a job."""
    return "_ray_pkg_" in str(Path.cwd())


def execute(
    job: Job,
    verb: Verb,
    console: Console,
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    overwrite: bool = False,
) -> Folder:
    """Do a job up to a stage: what is current is kept, what isn't is done, and why is said.

    Args:
        job: to be done.
        verb: the last stage to do; ``run`` does all, and the report.
        console: that progress goes to.
        address: of a Ray cluster; see :func:`raybead.distributed.session.session`.
        num_cpus: of a Ray that is started on this machine.
        overwrite: whether a run of other data in the same place may be replaced.

    Returns:
        The run's folder.

    Raises:
        RaybeadError: whatever stops the job, in one line.
    """
    stages = Stages.of(job)
    run = run_folder(job)
    if verb not in ("prepare", "train-emd"):
        _refuse_missing_networks(job, stages.emd)
    if in_throwaway_folder():
        console.say(f"the run is kept in {run}")
    _refuse_foreign(run, job, overwrite)
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
    for _, stage, _ in every:
        stage.mark()
    if all(stage.why_stale() is None for _, stage, _ in steps):
        console.say(f"{run}: all is current")
        return run
    with session(address, num_cpus) as cluster:
        for title, stage, work in steps:
            _do(title, stage, work, cluster, console)
    return run


Work = Callable[[Cluster, Tick], Mapping[str, Any]]


def _do(title: str, stage: Stage, work: Work, cluster: Cluster, console: Console) -> None:
    why = stage.why_stale()
    if why is None:
        console.say(f"{title}: current, kept")
        return
    if why != "not done yet":
        console.say(f"{title}: {why}")
    started = time.monotonic()
    with console.stage(title) as tick:
        facts = work(cluster, tick)
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
        ("train", stages.model, lambda cluster, tick: _train(job, stages, cluster, tick)),
        ("score", stages.scores, lambda cluster, tick: _score(job, stages, cluster, tick)),
        ("hunt", stages.hunt, lambda _, tick: _hunt(job, stages, tick)),
        ("report", stages.report, lambda _, tick: _report(job, stages, tick)),
        ("train-emd", stages.emd, lambda cluster, tick: _emd(job, stages, cluster, tick)),
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

    prepared = prepare(pieces, job.jets, job.prepare, stage.beside, tick)
    for fault in prepared.faults:
        console.say(f"prepare {role}: left out: {fault}")
    return {**prepared.as_dict(), "bytes": stage.beside.size()}


def _train(job: Job, stages: Stages, cluster: Cluster, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.train import train

    def on_epoch(note: dict[str, Any]) -> None:
        remark = f"epochs, loss {note['train']:.4g}, validation {note['validation']:.4g}"
        tick(note["epoch"] + 1, note["epochs"], remark)

    stage = stages.model
    resume = stage.beside / "resume"
    located = with_networks(job)
    bundle, metrics = train(located, stages.background.folder, resume, cluster, on_epoch)
    resume.delete()
    bundle.save(stage.beside)
    stage.beside.write_json(METRICS, metrics)
    return bundle.summary


def _score(job: Job, stages: Stages, cluster: Cluster, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.score import score
    from raybead.scoring import Calibration

    events: dict[Role, Folder] = {
        "background": stages.background.folder,
        "search": stages.search.folder,
    }
    beside = stages.scores.beside
    facts = score(events, stages.model.folder, job.score, beside, cluster, tick)
    # With it the bundle scores new events as these were.
    Calibration.load(beside).save(stages.model.folder)
    return facts


def _hunt(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.hunt import hunt

    result = hunt(stages.scores.folder, job.hunt, job.seed, stages.hunt.beside, tick)
    return {"conclusion": result["conclusion"], "refused": result["refused"]}


def _report(job: Job, stages: Stages, tick: Tick) -> Mapping[str, Any]:
    tick(0, 1, "page")
    run = stages.report.run
    run.write(PAGE, write_report(job, run, stages.report.beside))
    tick(1, 1, "page")
    return {"page": f"{run}/{PAGE}"}


def _emd(job: Job, stages: Stages, cluster: Cluster, tick: Tick) -> Mapping[str, Any]:
    from raybead.distributed.emd import emd_targets, train_emd

    def on_epoch(note: dict[str, Any]) -> None:
        remark = f"epochs, loss {note['train']:.4g}, validation {note['validation']:.4g}"
        tick(note["epoch"] + 1, note["epochs"], remark)

    beside = stages.emd.beside
    targets, resume = beside / "targets", beside / "resume"
    emd_targets(stages.background.folder, job.emd, job.seed, targets, tick)
    bundle, metrics, held_out = train_emd(job.emd, job.seed, targets, resume, cluster, on_epoch)
    for folder in (targets, resume):
        folder.delete()
    bundle.save(beside)
    beside.write_json(METRICS, metrics)
    beside.write("held_out.parquet", table_bytes(held_out))
    write_emd_report(job, held_out, metrics, bundle.summary, beside)
    return {**bundle.summary, "page": f"{stages.emd.folder}/{PAGE}"}


def _refuse_foreign(run: Folder, job: Job, overwrite: bool) -> None:
    """Refuse a folder that is something else's."""
    if run.exists(JOB):
        held = parse_job(run.read(JOB).decode(), origin=f"{run}/{JOB}")
        ours, theirs = _identity(job), _identity(held)
        if ours != theirs and not overwrite:
            changed = next(role for role in ours if ours[role] != theirs[role])
            raise RunError(
                f"{run}: belongs to another job, whose {changed} sample is {theirs[changed]};"
                " give this job another name or output, or say --overwrite"
            )
    elif run.names() and not overwrite:
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
