"""The hunt as Ray tasks: pseudo-experiments in chunks, and one last task for the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from raybead.config import Ask, Hunt
from raybead.distributed.asks import NOTHING_SAID, Wanted, awaited
from raybead.distributed.cluster import cluster_now
from raybead.distributed.stream import Task, Tick, result_of
from raybead.events import read_columns, read_parquet, table_bytes
from raybead.hunt import (
    CHUNK,
    Box,
    Cuts,
    Sample,
    Scores,
    boxes_of,
    described,
    evaluate,
    joint_statistics,
    key_of,
    most_toys,
    trials_of,
    until,
)
from raybead.observables.controls import SCORED
from raybead.storage import Folder, Role
from raybead.timing import count, timed

RESULT = "result.json"
OUTLIERS = "outliers.parquet"
HUNTED = ("event", "truth", "weight", "score")
"""Columns of the scores, besides the observable."""
CHUNKS_A_TASK = 200
"""At most: a fraction of a second where toys are looked up in tables."""
TASKS_A_CPU = 4
"""Of what is asked for at a time: workers end together."""


def hunt(
    runs: Mapping[str, Folder],
    config: Hunt,
    seed: int,
    folder: Folder,
    tick: Tick,
    ask: Ask = NOTHING_SAID,
) -> dict[str, Any]:
    """Hunt at every cut of every run's score and write ``result.json`` and ``outliers.parquet``.

    Args:
        runs: event scores of both samples, by the run's name; the hunt is of the first, the
            others are hunted in along with it.
        config: cuts, background, scan.
        seed: of the pseudo-experiments.
        folder: that the result goes to.
        tick: told of pseudo-experiments done.
        ask: what a task asks the cluster for.

    Returns:
        The result. A cut that can't be hunted at is in it with the reason.

    Raises:
        HuntError: no cut can be hunted at.
        ResourcesError: no node of the cluster has, nor may have, what a task asks for.
    """
    wanted = Wanted.of(ask, "hunt", cpus=1)
    with awaited(wanted, 1, "tasks", tick):
        return _hunted(runs, config, seed, folder, tick, wanted)


def _hunted(
    runs: Mapping[str, Folder],
    config: Hunt,
    seed: int,
    folder: Folder,
    tick: Tick,
    wanted: Wanted,
) -> dict[str, Any]:
    options = wanted.options()
    boxes: list[Box] = result_of(_prepare.options(**options).remote(runs, config))
    shared = ray.put(boxes)
    crossings = [
        _trials.options(**options).remote(shared, number, seed) for number in range(len(boxes))
    ]
    observed = np.concatenate([box.observed(config) for box in boxes])
    most = most_toys(boxes, config)

    tick(0, most, "pseudo-experiments at most")

    def more(first: int, n: int) -> np.ndarray:
        chunks = math.ceil(n / CHUNK)
        cpus = max(1, cluster_now().cpus)  # those that came by now
        size = min(CHUNKS_A_TASK, max(1, math.ceil(chunks / (TASKS_A_CPU * cpus))))
        tasks = [
            _toys.options(**options).remote(
                shared, config, min(size * CHUNK, n - at * CHUNK), seed, first + at
            )
            for at in range(0, chunks, size)
        ]
        waiting = tasks
        while waiting:
            _, waiting = ray.wait(waiting, num_returns=1)
            done = first * CHUNK + (n * (len(tasks) - len(waiting))) // len(tasks)
            tick(min(done, most), most, "pseudo-experiments at most")
        return np.concatenate([result_of(task) for task in tasks])

    toys = until(observed, more, most, config.precision)
    tick(len(toys), len(toys), "pseudo-experiments")
    own = next(iter(runs))
    return result_of(
        _conclude.options(**options).remote(
            runs[own], own, shared, config, ray.put((observed, toys)), crossings, folder
        )
    )


def scores_of(run: str, scores: Folder, config: Hunt, *, signal: bool = False) -> Scores:
    """A run's scores, as a hunt sees them.

    Args:
        run: its name.
        scores: of both samples.
        config: of the hunt.
        signal: whether the search sample's signal events are wanted, too: they are told by truth.
    """
    tables = {
        role: _hunted_columns(scores, role, config.observable) for role in ("search", "background")
    }
    search, background = (Sample.of(table, config.observable) for table in tables.values())
    known = None
    if signal or config.signal.shape == "sample":
        table = tables["search"]
        known = search.select(table.column("truth").fill_null(0).to_numpy() > 0)
    return Scores(run, search, background, known)


def _hunted_columns(scores: Folder, role: Role, observable: str) -> pa.Table:
    """What a hunt looks at, or all columns where the observable isn't one: an error names them."""
    name = f"{role}.parquet"
    content = scores.read(name)
    table = read_columns(content, f"{scores}/{name}", dict.fromkeys([*HUNTED, observable]))
    if observable in table.column_names:
        return table
    return read_parquet(content, f"{scores}/{name}")


@Task
def _prepare(runs: Mapping[str, Folder], config: Hunt) -> list[Box]:
    with timed("read"):
        read = [scores_of(name, scores, config) for name, scores in runs.items()]
    with timed("boxes"):
        return boxes_of(read, config)


@Task
def _toys(boxes: list[Box], config: Hunt, n: int, seed: int, first: int) -> np.ndarray:
    with timed("toys"):
        found = joint_statistics(boxes, config, n, seed, first)
    count("toys", n)
    return found


@Task
def _trials(boxes: list[Box], number: int, seed: int) -> Any:
    with timed("trials"):
        return trials_of(boxes[number], (seed, number, 1))


@Task
def _conclude(
    scores: Folder,
    own: str,
    boxes: list[Box],
    config: Hunt,
    found: tuple[np.ndarray, np.ndarray],
    crossings: list[Any],
    folder: Folder,
) -> dict[str, Any]:
    observed, toys = found
    trials = [result_of(task) for task in crossings]
    with timed("describe"):
        result = described(boxes, config, observed, toys, trials, own)
    wanted = dict.fromkeys([*HUNTED, config.observable, *SCORED])
    table = read_columns(scores.read("search.parquet"), f"{scores}/search.parquet", wanted)
    hunted = _outliers(boxes[0], own)
    event = table.column("event").to_numpy()
    passing = {
        cut.selection.quantile: np.isin(event, boxes[0].inside.event[cut.selection.outlier])
        for cut in boxes[0].cuts
        if cut.run == own
    }
    rated = Cuts(boxes[0].edges, passing, config.observable)
    names = [name for name in SCORED if name in table.column_names]
    with timed("evaluate"):
        result["evaluation"] = evaluate(table, names, cuts=rated)
    with timed("write"):
        folder.write(OUTLIERS, table_bytes(hunted))
        folder.write_json(RESULT, result)
    return result


def _outliers(box: Box, own: str) -> pa.Table:
    """Events of the mass window, and of which cuts each is an outlier."""
    columns = {"event": box.inside.event, "mass": box.inside.mass, "weight": box.inside.weight}
    for cut in box.cuts:
        columns[key_of(cut, own)] = cut.selection.outlier
    return pa.table(columns)
