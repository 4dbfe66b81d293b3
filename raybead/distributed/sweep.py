"""Sweeps on Ray Tune: who is tried next, what stops early, and a record of every trial.

A trial of one worker trains in Tune's own process for it; one of several is a Ray Train run that
Tune's process waits for, and asks for next to nothing itself, so that no trial holds CPUs that
its own workers wait for.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.search import Searcher

from raybead.config import GpuAsk, Job, Sweep
from raybead.distributed.asks import LEAST_CPU, Wanted, awaited, on_gpus
from raybead.distributed.board import watched
from raybead.distributed.cluster import Cluster
from raybead.distributed.stream import Task, Tick, result_of
from raybead.distributed.trials import run_trial
from raybead.distributed.watch import watch
from raybead.distributed.workers import Crew, sorted_out
from raybead.errors import TrainingError
from raybead.storage import Folder
from raybead.sweeping.course import TICKETS, Course
from raybead.sweeping.judged import write_judged
from raybead.sweeping.population import mutated
from raybead.sweeping.progress import Progress
from raybead.sweeping.proposers import Known, Proposer, Refused
from raybead.sweeping.records import TrialRecord
from raybead.sweeping.space import Space, Values

SETTINGS = {
    # A job's relative paths stay what they are where the sweep was started.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # An interrupt ends the command; Tune would end its trials and go on as if all were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # raybead keeps records of its own; Tune's are read by nobody.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Progress is raybead's to show.
    "RAY_AIR_NEW_OUTPUT": "0",
    # A trial that failed has nothing to report.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}
ENDLESS = 1_000_000


def make_judged(
    events: Folder, job: Job, sweep: Sweep, folder: Folder, tick: Tick
) -> dict[str, int]:
    """Write the events that trials are judged by; see :func:`write_judged`."""
    wanted = Wanted.of(job.resources.prepare, "prepare", cpus=1)
    with awaited(wanted, 1, "tasks", tick):
        task = _make_judged.options(**wanted.options())
        return result_of(task.remote(events, job, sweep, folder))


@Task
def _make_judged(events: Folder, job: Job, sweep: Sweep, folder: Folder) -> Any:
    return write_judged(events, job, sweep, folder)


def run_trials(
    course: Course,
    propose: Callable[[Sequence[Known], Sequence[Values]], Proposer],
    identify: Callable[[Job], str],
    resume: Folder,
    cluster: Cluster,
    tick: Tick,
) -> tuple[list[TrialRecord], Sequence[Refused]]:
    """Run a sweep's trials, as far as its budget goes.

    Trials that are recorded aren't run again; one that was killed goes on at its last epoch.

    Args:
        course: of the sweep.
        propose: makes what proposes values, of trials that are known and of those to be gone on
            with.
        identify: the short hash of all that decides what comes of a trial.
        resume: where the sweep's own state is kept.
        cluster: that trials run on.
        tick: told of trials that end.

    Returns:
        The records, in the order of proposals, and combinations that no job can have.

    Raises:
        TrainingError: trials don't fit the cluster.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # It warns that records are missing that it was asked not to write.
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    sweep = course.sweep
    crew = _crew(sweep, course.job({}).resources.train, cluster)
    at_a_time = _concurrent(sweep, crew, cluster)
    state = Progress(course, propose, identify, resume, tick)
    scratch = resume / "tune"
    scratch.delete()
    scratch.make()
    filesystem, path = (None, scratch.uri) if scratch.is_local else scratch.arrow()
    # One that waits for workers of its own holds next to nothing meanwhile.
    asks = crew.each.bundle() if crew.workers == 1 else {"CPU": LEAST_CPU}
    space = _members(state) if sweep.search == "pbt" else None
    with watched(sorted_out(lambda _: None)) as board:
        given = {"course": course, "crew": crew, "board": board, "what": watch()}
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(run_trial, **given), asks),
            param_space=space,
            tune_config=_tune_config(state, at_a_time),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=path,
                storage_filesystem=filesystem,
                stop=_Budget(state),
                callbacks=[_Watch(state)],
                failure_config=tune.FailureConfig(max_failures=2),
                verbose=0,
            ),
        )
        if space is None or space["given"]["grid_search"]:
            with awaited(crew.each, crew.workers, "workers", tick):
                tuner.fit()
    scratch.delete()
    (course.trials / TICKETS).delete()
    return state.records(), state.proposer.refused


def _crew(sweep: Sweep, ask: GpuAsk, cluster: Cluster) -> Crew:
    """The workers of a trial. What the sweep says itself goes before ``[resources.train]``."""
    gpus = sweep.gpus
    if gpus == "auto":
        gpus = (ask.gpus or 1.0) if on_gpus("auto", cluster) else 0.0
    each = Wanted.of(ask, "train", cpus=1, gpus=gpus)
    if sweep.cpus is not None:
        each = each.with_cpus(sweep.cpus)
    needs = (("CPUs", sweep.workers * each.cpus, cluster.cpus),
             ("GPUs", sweep.workers * each.gpus, cluster.gpus))  # fmt: skip
    for what, wanted, there in needs:
        if wanted > there and not cluster.grows:
            raise TrainingError(
                f"sweep: a trial of {sweep.workers} workers asks for {wanted:g} {what}, and there"
                f" are {there} here"
            )
    if each.cpus > cluster.largest("CPU") and not cluster.grows:
        raise TrainingError(
            f"sweep.cpus = {each.cpus:g}: no node here has more than {cluster.largest('CPU'):g}"
        )
    if sweep.workers == 1:
        return Crew(1, each)
    # Together with the trial that waits for them, workers have to fit where they just fit.
    return Crew(sweep.workers, each.with_cpus(max(each.cpus - LEAST_CPU, LEAST_CPU)))


def _concurrent(sweep: Sweep, crew: Crew, cluster: Cluster) -> int:
    """Trials at a time: never more than their workers have room for, or they'd wait for ever."""
    whole = crew.each if crew.workers == 1 else crew.each.with_cpus(crew.each.cpus + LEAST_CPU)
    room = max(1, int(cluster.room(whole.bundle())) // crew.workers)
    if sweep.concurrent == "auto":
        return room
    return sweep.concurrent if cluster.grows else min(sweep.concurrent, room)


def _tune_config(state: Progress, at_a_time: int) -> tune.TuneConfig:
    sweep = state.course.sweep
    asked = {"metric": "objective", "mode": "max", "reuse_actors": sweep.workers == 1}
    if sweep.search == "pbt":  # all at once, each waiting for the others where room is short
        return tune.TuneConfig(**asked, scheduler=_Population(state))
    return tune.TuneConfig(
        **asked,
        search_alg=_Search(state),
        scheduler=_scheduler(state),
        num_samples=-1,
        max_concurrent_trials=at_a_time,
    )


def _scheduler(state: Progress) -> TrialScheduler:
    sweep = state.course.sweep
    asha = {
        "time_attr": "epoch",
        "max_t": ENDLESS,  # epochs are the job's to end
        "grace_period": sweep.grace,
        "reduction_factor": sweep.reduction,
    }
    median = {"time_attr": "epoch", "grace_period": sweep.grace}
    several = sweep.workers > 1
    match sweep.scheduler:
        case "asha":
            return _AskingAsha(state, **asha) if several else ASHAScheduler(**asha)
        case "median":
            return _AskingMedian(state, **median) if several else MedianStoppingRule(**median)
        case "none":
            return FIFOScheduler()


def _members(state: Progress) -> dict[str, Any]:
    """What a population begins with. Tune takes no proposals for one, but a list."""
    members = []
    while (values := state.next(_member(len(members)))) is not None:
        members.append({"values": values, "member": len(members)})
    return {"given": tune.grid_search(members)}


def _member(number: int) -> str:
    return f"member-{number}"


def _explore(course: Course) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """How a population's values change. Tune's own way knows no ranges, nor unset keys."""
    space, rng = Space.of(course.sweep, course.raw), np.random.default_rng(course.job({}).seed)

    def explore(config: dict[str, Any]) -> dict[str, Any]:
        given = config["given"]
        return {"given": {**given, "values": mutated(given["values"], space, rng)}}

    return explore


class _OfDriver:
    """Stays in the driver: Tune pickles what it is given, and nobody goes on from that."""

    _state: Progress

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Asking(_OfDriver):
    """A scheduler that asks workers to stop. Ended by Tune, a trial would leave its workers
    behind, and what they hold, and the next one would wait for it for ever."""

    def __init__(self, state: Progress, **settings: Any) -> None:
        super().__init__(**settings)
        self._state, self._asked = state, set()

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id in self._asked:
            return TrialScheduler.CONTINUE
        decision = super().on_trial_result(controller, trial, result)  # type: ignore[misc]
        if decision != TrialScheduler.STOP:
            return decision
        self._asked.add(trial.trial_id)
        self._state.ask_to_stop(trial.trial_id)
        return TrialScheduler.CONTINUE


class _AskingAsha(_Asking, ASHAScheduler):
    pass


class _AskingMedian(_Asking, MedianStoppingRule):
    pass


class _Population(_OfDriver, PopulationBasedTraining):
    """Population-based training of what :func:`_members` tells."""

    def __init__(self, state: Progress) -> None:
        super().__init__(
            time_attr="epoch",
            perturbation_interval=state.course.sweep.grace,
            custom_explore_fn=_explore(state.course),
            require_attrs=False,
            synch=True,  # so that it doesn't matter who is quicker
        )
        random.seed(state.course.job({}).seed)  # by which Tune says whose state is gone on from
        self._state = state

    def on_trial_add(self, controller: Any, trial: Any) -> None:
        # What a trial is told changes with its state; which one it is doesn't.
        self._state.renamed(_member(trial.config["given"]["member"]), trial.trial_id)
        super().on_trial_add(controller, trial)


class _Search(_OfDriver, Searcher):
    """Hands Tune what a proposer proposes."""

    def __init__(self, state: Progress) -> None:
        super().__init__(metric="objective", mode="max")
        self._state = state

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        values = self._state.next(trial_id)
        return Searcher.FINISHED if values is None else {"given": {"values": values}}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The watch, which knows which trial it is of, sees to it."""

    def save(self, checkpoint_path: str) -> None:
        """Records of trials are all that is gone on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Never asked for."""


class _Watch(_OfDriver, TrialProgressCallback):
    """Tells a sweep what Tune sees, in place of what Tune would print of it."""

    def __init__(self, state: Progress) -> None:
        self._state = state

    def on_trial_result(self, **seen: Any) -> None:
        if "epoch" in seen["result"]:
            self._state.at(seen["trial"].trial_id, seen["result"]["epoch"])

    def on_trial_complete(self, **seen: Any) -> None:
        self._state.ended(seen["trial"].trial_id)

    def on_trial_error(self, **seen: Any) -> None:
        self._state.ended(seen["trial"].trial_id, _last_line(seen["trial"]))


class _Budget(_OfDriver, tune.Stopper):
    """Ends all trials when the budget is spent."""

    def __init__(self, state: Progress) -> None:
        self._state = state

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self._state.over


def _last_line(trial: Any) -> str:
    """What went wrong with a trial whose process ended; all around it is Ray's."""
    error = trial.get_pickled_error() or trial.get_error()
    if error is None or isinstance(error, RayActorError):
        return "its process ended again and again (short of memory, or killed?)"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
