"""A sweep, whole: from the job's ``[sweep]`` to a leaderboard and the best model in its place."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from raybead.config import Job, Sweep, job_of, parse_job
from raybead.config.sweep import BY_TRUTH
from raybead.config.swept_keys import SWEPT_SECTIONS
from raybead.console import Console
from raybead.distributed.cluster import cluster_now
from raybead.distributed.session import session
from raybead.distributed.watch import at_stage
from raybead.errors import JobError, RunError, TrainingError
from raybead.events import read_parquet, table_bytes
from raybead.models import Bundle
from raybead.pipeline import execute, refuse_foreign
from raybead.profiling import Profile, begun
from raybead.report.sweep import write_sweep_report
from raybead.scoring.members import MEMBERS, SECTION
from raybead.stages import Stages, run_folder, with_networks
from raybead.storage import JOB, MANIFEST, Folder, Stage
from raybead.sweeping.course import Course, Sample, jets_of
from raybead.sweeping.ensembles import judged_ensembles
from raybead.sweeping.leaderboard import leaderboard, summary
from raybead.sweeping.proposers import Refused
from raybead.sweeping.records import TrialRecord
from raybead.sweeping.search import proposer_of
from raybead.sweeping.trial import MODEL, record_of
from raybead.sweeping.trial_job import refuse_unknown_keys, trial_job, variants
from raybead.telling.live import Planned
from raybead.telling.telling import Telling

TRIALS, VARIANTS = "trials", "variants"
BOARD, SUMMARY, BEST = "leaderboard.parquet", "summary.json", "best.json"
Raw = Mapping[str, Any]
_DECIDES_NOTHING = {"concurrent", "workers", "cpus", "gpus"}
_NO_TRIALS = {
    "train": {"workers", "use_gpu", "max_failures"},
    "score": {"ensemble", "store", "controls", "workers", "use_gpu", "batch_items"},
    "hunt": {"toys", "precision", "statistic", "luminosity", "confidence", "runs"},
}
"""Keys that no trial's worth depends on, so that a run of the best may say them otherwise."""
_BUDGET = {"trials", "minutes", "epochs"}
_JUDGES = {"objective", "also", "evaluation", "corruptions", "events", "replicas", "masses"}


def sweep(
    raw: Raw,
    console: Console,
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    overwrite: bool = False,
    profile: bool = False,
) -> Folder:
    """Run a job's sweep: prepare, try, rank, and put the best bundle into ``model/``.

    Args:
        raw: the job as its file says it.
        console: that progress goes to.
        address: of a Ray cluster; see :func:`raybead.distributed.session.session`.
        num_cpus: of a Ray that is started on this machine.
        overwrite: whether a run of other data in the same place may be replaced.
        profile: whether to measure where time goes, show it and write ``profile.json``.

    Returns:
        The run's folder.

    Raises:
        RaybeadError: whatever stops it, in one line.
    """
    job, config = _asked(raw)
    refuse_unknown_keys(config, raw)
    run, jobs = run_folder(job), _prepared(raw, job, config)
    console.about(job.name)
    if len(jobs) == 1 or run.exists(JOB):
        refuse_foreign(run, job, overwrite)
    with Telling(job, "sweep", console) as telling:
        telling.begin(run, _planned(raw, job, config, jobs), {})
        where = {"address": address, "num_cpus": num_cpus}
        return _sweep(raw, console, jobs, where, overwrite, profile)


def _sweep(
    raw: Raw,
    console: Console,
    jobs: dict[str, Job],
    where: Mapping[str, Any],
    overwrite: bool,
    profile: bool,
) -> Folder:
    job, config = _asked(raw)
    run = run_folder(job)
    seen = Profile(run) if profile else None
    with begun(session(**where), seen):
        for one in jobs.values():
            execute(one, "prepare", console, overwrite=overwrite, profile=profile)
            _judge(one, config, console, seen)
        if config.evaluation:
            _refuse_no_truth(jobs)
        if job.train.start_from is not None:
            console.say(
                "note: train.start_from: what that model was trained on may be among the events"
                " that trials are judged by"
            )
        stage = _stage(raw, job, config, jobs)
        why = stage.why_stale()
        if why is None:
            console.say("sweep: current, kept")
        else:
            if why != "not done yet":
                console.say(f"sweep: {why}")
            started = time.monotonic()
            doing = at_stage(job.name, stage, cluster_now(), seen)
            with console.stage("sweep") as tick, doing:
                from raybead.distributed.sweep import run_trials

                records, refused = run_trials(
                    _course(raw, job, config, jobs, run),
                    lambda known, queued: proposer_of(config, raw, job.seed, known, queued),
                    _identity,
                    run / TRIALS,
                    cluster_now(),
                    tick,
                )
            told = _conclude(raw, job, config, records, refused, stage)
            stage.finish({**told, "seconds": round(time.monotonic() - started, 1)})
    found = (run / "sweep").read_json(BEST)
    if _promoted(trial_job(raw, found["values"]), found, jobs):
        console.say(f"model: the best trial's, {found['trial']}")
    if seen is not None:
        seen.show(console)
    return run


def _planned(raw: Raw, job: Job, config: Sweep, jobs: Mapping[str, Job]) -> Planned:
    first = next(iter(jobs.values()))
    stages = Stages.of(first)
    named: tuple[tuple[str, Stage], ...] = (
        ("prepare background", stages.background),
        ("prepare search", stages.search),
        ("events to judge by", _judged(first, config)),
        ("sweep", _stage(raw, job, config, jobs)),
    )
    return [
        (stage.name, title, "current" if stage.why_stale() is None else "waiting")
        for title, stage in named
    ]


def best_job(raw: Raw) -> Job:
    """The job that a sweep found best, to be gone on with.

    Raises:
        RunError: there is no sweep of this job that is done.
    """
    job, config = _asked(raw)
    run = run_folder(job)
    jobs = _prepared(raw, job, config)
    why = _stage(raw, job, config, jobs).why_stale()
    if why is not None:
        raise RunError(f"{run}: no sweep of this job there ({why}); raybead sweep first")
    found = (run / "sweep").read_json(BEST)
    best = trial_job(raw, found["values"])
    _promoted(best, found, jobs)  # a run of the job as it is written may have taken its place
    return best


def _asked(raw: Raw) -> tuple[Job, Sweep]:
    job = job_of(raw)
    if job.sweep is None:
        raise JobError("the job has no [sweep]; say in [sweep.over] which keys are to be tried")
    return job, job.sweep


def _prepared(raw: Raw, job: Job, config: Sweep) -> dict[str, Job]:
    """Jobs whose runs hold the events of every ``[jets]`` that trials may have."""
    every, jobs = variants(config, raw), {}
    for jets in every:
        one = job.model_copy(update={"jets": jets})
        if len(every) > 1:
            own = run_folder(job) / VARIANTS
            name = f"jets-{_hash(jets.model_dump(mode='json'))}"
            one = one.model_copy(update={"output": own.uri, "name": name})
        jobs[jets_of(one)] = one
    return jobs


def _judged(job: Job, config: Sweep) -> Stage:
    """The events that trials on a job's events are judged by."""
    background, train = Stages.of(job).background, job.train
    return Stage(
        background.run,
        "judged",
        {
            "events": background.key,
            "train": [train.test, train.validation, train.max_events],
            "judged": [config.events, list(config.corruptions)],
            "seed": job.seed,
        },
    )


def _judge(job: Job, config: Sweep, console: Console, seen: Profile | None) -> None:
    stage = _judged(job, config)
    if stage.why_stale() is not None:
        from raybead.distributed.sweep import make_judged

        with (
            console.stage("events to judge by", stage.name) as tick,
            at_stage(job.name, stage, cluster_now(), seen),
        ):
            events = Stages.of(job).background.folder
            facts = make_judged(events, job, config, stage.beside, tick)
        stage.finish(facts)


def _stage(raw: Raw, job: Job, config: Sweep, jobs: Mapping[str, Job]) -> Stage:
    depends = {
        "judged": [_judged(one, config).key for one in jobs.values()],
        "search": [Stages.of(one).search.key for one in jobs.values()]
        if config.evaluation
        else [],
        "job": {section: _decisive(raw, section) for section in (*SWEPT_SECTIONS, "hunt")},
        "sweep": config.model_dump(mode="json", exclude=_DECIDES_NOTHING),
        "seed": job.seed,
    }
    return Stage(run_folder(job), "sweep", json.loads(json.dumps(depends, default=str)))


def _decisive(raw: Raw, section: str) -> Any:
    """What a job's section says, less what no trial's worth depends on."""
    said = raw.get(section)
    if not isinstance(said, dict):
        return said
    return {key: value for key, value in said.items() if key not in _NO_TRIALS.get(section, ())}


def _course(raw: Raw, job: Job, config: Sweep, jobs: Mapping[str, Job], run: Folder) -> Course:
    samples = {}
    for jets, one in jobs.items():
        stages = Stages.of(one)
        search = stages.search.folder if config.evaluation else None
        samples[jets] = Sample(stages.background.folder, _judged(one, config).folder, search)
    judged = [_judged(one, config).key for one in jobs.values()]
    if config.evaluation:
        judged += [Stages.of(one).search.key for one in jobs.values()]
    asked = config.model_dump(mode="json", include=_JUDGES)
    judged_by = _hash([judged, asked, _decisive(raw, "hunt")])
    ours = _stage(raw, job, config, jobs).depends
    spent = config.model_dump(mode="json", exclude={*_DECIDES_NOTHING, *_BUDGET})
    budget = _hash({**ours, "sweep": spent})
    # What reads it may run elsewhere.
    whole = {**raw, "output": run.uri.rpartition("/")[0]}
    return Course(whole, config, samples, run / TRIALS, judged_by, budget, with_networks)


def _identity(job: Job) -> str:
    """A trial's name: a hash of all that decides what is trained, and how it is scored."""
    score = job.score.model_dump(mode="json", exclude=_NO_TRIALS["score"])
    return _hash([Stages.of(job).model.key, score])


def _hash(what: Any) -> str:
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _conclude(
    raw: Raw,
    job: Job,
    config: Sweep,
    records: Sequence[TrialRecord],
    refused: Sequence[Refused],
    stage: Stage,
) -> dict[str, Any]:
    """Rank the trials; write the board, and its page."""
    done = {record.trial: record for record in records if record.status == "done"}
    if not done:
        failed = [record.reason for record in records if record.status == "failed"]
        why = f": {failed[0]}" if failed else "; give it more minutes, or epochs"
        raise TrainingError(f"sweep: none of {len(records)} trials was trained to its end{why}")
    board, told = leaderboard(records, config), summary(records, config)
    ranked = [trial for trial in board.column("trial").to_pylist() if trial in done]
    members, trials = _alike(ranked, done, raw)[: config.keep], stage.run / TRIALS
    told["ensembles"] = _ensembles([trials / trial for trial in members], config, job)
    told["refused"] = [{"values": one.values, "reason": one.reason} for one in refused]
    beside = stage.beside
    beside.write(BOARD, table_bytes(board))
    beside.write_json(SUMMARY, told)
    found = {
        "trial": ranked[0],
        "values": done[ranked[0]].values,
        "members": members,
        "objective": config.objective,
        "by_truth": sorted(BY_TRUTH & config.weights.keys()),
    }
    beside.write_json(BEST, found)
    write_sweep_report(job, board, told, {one.trial: one.history for one in records}, beside)
    return {"trials": len(records), "done": len(done), **found}


def _ensembles(trials: Sequence[Folder], config: Sweep, job: Job) -> list[dict[str, Any]]:
    """What ensembles of the best trials are worth; nothing where their scores don't allow any."""
    try:
        ensembles = judged_ensembles(trials, config, job.hunt, job.seed)
    except RunError:  # a score without a finite logarithm
        return []
    return [
        {name: {"value": one.value, "error": one.error} for name, one in found.items()}
        for found in ensembles
    ]


def _refuse_no_truth(jobs: Mapping[str, Job]) -> None:
    """Refuse an evaluation where nothing is known, before any trial is trained."""
    for job in jobs.values():
        events = Stages.of(job).search.folder
        for name in events.names(".parquet"):
            truth = read_parquet(events.read(name), f"{events}/{name}", ["truth"]).column("truth")
            if truth.null_count < len(truth):
                break
        else:
            raise RunError(
                "sweep.evaluation: no event of the search sample is of known truth; leave it off"
            )


def _alike(ranked: Sequence[str], done: Mapping[str, TrialRecord], raw: Raw) -> list[str]:
    """Trials, the best first, that score the same events as the best: with the same ``[jets]``."""
    jets = {trial: jets_of(trial_job(raw, done[trial].values)) for trial in ranked}
    return [trial for trial in ranked if jets[trial] == jets[ranked[0]]]


def _promoted(best: Job, found: Mapping[str, Any], jobs: Mapping[str, Job]) -> bool:
    """Put the best bundle, and those of its ensemble, into ``model/``; false if they are there."""
    stages = Stages.of(best)
    chosen = {key: found[key] for key in ("trial", "members", "objective", "by_truth")}
    run, stage = stages.model.run, stages.model
    if stage.why_stale() is None and stage.facts().get("sweep") == chosen:
        return False
    source = Stages.of(jobs[jets_of(best)])
    for own, there in ((stages.background, source.background), (stages.search, source.search)):
        if own.why_stale() is not None:
            own.beside.delete()
            there.folder.copy_to(own.beside)
            own.beside.remove(MANIFEST)
            own.finish(there.facts())
    trials = run / TRIALS
    stage.beside.delete()
    (trials / found["trial"] / MODEL).copy_to(stage.beside)
    for rank, trial in enumerate(found["members"], start=1):
        member = stage.beside / MEMBERS / str(rank)
        (trials / trial / MODEL).copy_to(member)
        origin = f"{trials}/{trial}/{JOB}"
        score = parse_job((trials / trial).read(JOB).decode(), origin=origin).score
        member.write_json(SECTION, score.model_dump(mode="json"))
    record = record_of(trials / found["trial"])
    assert record is not None
    summary = Bundle.load(stage.beside).summary
    stage.finish({**summary, "sweep": chosen, "seconds": record.seconds})
    return True
