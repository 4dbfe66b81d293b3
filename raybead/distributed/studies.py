"""Studies of the hunt as Ray tasks: its calibration without a signal, its reach with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ray

from raybead.config import Ask, Calibrate, Hunt, Job
from raybead.distributed.asks import NOTHING_SAID, Wanted, awaited
from raybead.distributed.hunt import scores_of
from raybead.distributed.stream import Task, Tick, result_of, told
from raybead.hunt.studies import Material, Point, false_alarm, recovered, summed_up
from raybead.storage import Folder
from raybead.timing import count, timed

RESULT = "result.json"
SETS_A_TASK = 5


def calibrate(
    scores: Folder,
    hunt: Hunt,
    config: Calibrate,
    seed: int,
    folder: Folder,
    tick: Tick,
    ask: Ask = NOTHING_SAID,
) -> dict[str, Any]:
    """Hunt on pseudo-data without a signal, and write ``result.json``.

    Args:
        scores: event scores of both samples.
        hunt: that is calibrated.
        config: how many sets, and of what.
        seed: of the sets.
        folder: that the result goes to.
        tick: told of sets done.
        ask: what a task asks the cluster for.

    Raises:
        HuntError: the samples don't allow it.
        ResourcesError: no node of the cluster has, nor may have, what a task asks for.
    """
    wanted = Wanted.of(ask, "hunt", cpus=1)
    options = wanted.options()
    with awaited(wanted, 1, "tasks", tick):
        material = _material.options(**options).remote(scores, hunt, config, seed)
        facts = result_of(_facts.options(**options).remote(material))
        tasks = [
            _alarms.options(**options).remote(material, config.toys, seed, numbers)
            for numbers in _shared_out(config.sets)
        ]
        found = [one for part in _in_order(tasks, tick, "batches of hunts") for one in part]
    result = {**facts, "toys": config.toys, **summed_up(found, config.toys, facts)}
    folder.write_json(RESULT, result)
    return result


def reach(scores: Folder, job: Job, folder: Folder, tick: Tick) -> dict[str, Any]:
    """Hunt on pseudo-data with signals of every mass and strength; see :func:`calibrate`."""
    told_by_truth = job.reach.signal == "truth"
    wanted = Wanted.of(job.resources.hunt, "hunt", cpus=1)
    options = wanted.options()
    asked = [(mass, s) for mass in job.reach.masses for s in job.reach.strengths]
    with awaited(wanted, 1, "tasks", tick):
        material = _material.options(**options).remote(
            scores, job.hunt, job.calibrate, job.seed, told_by_truth, True
        )
        facts = result_of(_facts.options(**options).remote(material))
        tasks = [
            _recoveries.options(**options).remote(
                material, job.reach, job.calibrate.toys, (job.seed, place), *point, sets
            )
            for place, point in enumerate(asked)
            for sets in _shared_out(job.reach.sets)
        ]
        parts = list(_in_order(tasks, tick, "batches of hunts"))
    each = len(parts) // len(asked)
    points = [
        Point.of(
            mass, strength, [one for part in parts[k * each : (k + 1) * each] for one in part]
        )
        for k, (mass, strength) in enumerate(asked)
    ]
    result = {
        **facts,
        "sets": job.reach.sets,
        "signal": job.reach.signal,
        "efficiency": job.reach.efficiency,
        "cut": min(job.hunt.cuts),
        "points": [point.as_dict() for point in points],
    }
    folder.write_json(RESULT, result)
    return result


def _shared_out(sets: int) -> list[range]:
    return [range(i, min(i + SETS_A_TASK, sets)) for i in range(0, sets, SETS_A_TASK)]


def _in_order(tasks: list[Any], tick: Tick, remark: str) -> Iterator[Any]:
    waiting, total = list(tasks), len(tasks)
    tick(0, total, remark)
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=1)
        tick(total - len(waiting), total, remark)
    for task in tasks:
        yield result_of(task)


@Task
def _material(
    scores: Folder, hunt: Hunt, config: Calibrate, seed: int, signal: bool = False,
    injects: bool = False,
) -> Any:  # fmt: skip
    found = scores_of("", scores, hunt, signal=signal)
    return Material.of(found, hunt, config, seed, injects=injects)


@ray.remote
@told
def _facts(material: Any) -> Any:
    return material.facts if isinstance(material, Material) else material


@Task
def _alarms(material: Material, toys: int, seed: int, numbers: range) -> Any:
    with timed("hunts"):
        found = [false_alarm(material, toys, (seed, number)) for number in numbers]
    _count(len(numbers), toys)
    return found


@Task
def _recoveries(
    material: Material,
    reach: Any,
    toys: int,
    seed: tuple[int, int],
    mass: float,
    strength: float,
    numbers: range,
) -> Any:
    with timed("hunts"):
        found = [
            recovered(material, reach, mass, strength, toys, (*seed, number)) for number in numbers
        ]
    _count(len(numbers), toys)
    return found


def _count(hunts: int, toys: int) -> None:
    count("hunts", hunts)
    count("toys", hunts * toys)
