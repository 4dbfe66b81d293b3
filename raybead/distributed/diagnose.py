"""What is looked at of a trained model besides its scores, as one Ray task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.config import LOSS, Job
from raybead.diagnostics import feature_drift, unit_activity
from raybead.diagnostics.displays import COLUMNS as DISPLAYED
from raybead.diagnostics.displays import displays_table, most_anomalous, scores_of
from raybead.diagnostics.drawn import Drawn, random_rows, rows_of
from raybead.diagnostics.drift import EVENT_COLUMNS as DRIFTING
from raybead.diagnostics.drift import MAX_EVENTS
from raybead.diagnostics.examples import Chosen, at_quantiles, examples_table
from raybead.diagnostics.latent import latent_table
from raybead.diagnostics.passed import Passing
from raybead.distributed.asks import Wanted, awaited
from raybead.distributed.stream import Task, Tick, result_of
from raybead.events import read_columns, table_bytes
from raybead.graphs import collate
from raybead.scoring import EVENT_COLUMNS, scoring_members
from raybead.scoring.places import placed
from raybead.storage import Folder, Role
from raybead.timing import count, timed
from raybead.training import sides

RESULT = "result.json"
LATENT, EXAMPLES, DISPLAYS = "latent.parquet", "examples.parquet", "displays.parquet"
UNITS, DRIFT = "units.json", "drift.json"
FEWEST_ROWS = 500
"""Events of each sample that are read at least, where there are as many."""


def diagnose(
    events: Mapping[Role, Folder],
    scores: Folder,
    model: Folder,
    job: Job,
    folder: Folder,
    tick: Tick,
) -> dict[str, Any]:
    """Look at a model, and write ``result.json`` and a file of each part.

    Args:
        events: prepared events of both samples.
        scores: of these.
        model: that gave them; of an ensemble the first member is looked at.
        job: that they are of.
        folder: that the files go to.
        tick: told when it is done.

    Returns:
        What is in ``result.json``.

    Raises:
        ResourcesError: no node of the cluster has, nor may have, what a task asks for.
    """
    wanted = Wanted.of(job.resources.hunt, "hunt", cpus=1)
    tick(0, 1, "looks at the model")
    with awaited(wanted, 1, "tasks", tick):
        task = _diagnosed.options(**wanted.options())
        facts = result_of(task.remote(events, scores, model, job, folder))
    tick(1, 1, "looks at the model")
    return facts


def diagnosed(
    events: Mapping[Role, Folder], scores: Folder, model: Folder, job: Job, folder: Folder
) -> dict[str, Any]:
    """The work of :func:`diagnose`, here."""
    member = scoring_members(model, job.score)[0]
    passing = Passing(member.bundle())
    with timed("read"):
        scored: dict[Role, pa.Table] = {
            role: _scores(scores, role, job.jets.leading) for role in events
        }
        held_out, drawn = _rows(events, scored, job)
    for found in drawn.values():
        count("events_read", len(found.table))
    tables: dict[Role, pa.Table] = {role: found.table for role, found in drawn.items()}
    facts: dict[str, Any] = {
        "background": held_out,
        "events": {role: len(table) for role, table in tables.items()},
        "of": {role: found.events for role, found in drawn.items()},
        "files": {role: [found.files, found.all_files] for role, found in drawn.items()},
        "latent": None,
        "examples": None,
        "displays": None,
        "units": None,
        "drift": None,
    }
    config = job.diagnostics
    if config.items:
        with timed("latents"):
            table, facts["latent"] = latent_table(passing, tables, config, job.seed)
            folder.write(LATENT, table_bytes(table))
    if config.examples:
        with timed("examples"):
            chosen = _examples(passing, tables, events, scored, config.examples)
            table, facts["examples"] = examples_table(passing, chosen)
            folder.write(EXAMPLES, table_bytes(table))
    if config.events:
        with timed("displays"):
            table = scored["search"]
            highest = most_anomalous(
                table.column("event").to_numpy(), table.column("score").to_numpy(), config.events
            )
            rows = rows_of(events["search"], highest, DISPLAYED)
            folder.write(DISPLAYS, table_bytes(displays_table(rows, table)))
            facts["displays"] = {"events": len(rows)}
    if config.units:
        with timed("units"):
            items = collate(tables["background"], passing.bundle.recipe.graph)
            found = unit_activity(passing.model, passing.scaled(items))
            folder.write_json(UNITS, found)
            facts["units"] = {name: found[name] for name in ("items", "units", "silent")}
    if config.drift:
        with timed("drift"):
            found = _drift(events, tables, job)
            folder.write_json(DRIFT, found)
            facts["drift"] = {name: found[name] for name in ("looked_at", "differ")}
    folder.write_json(RESULT, facts)
    return facts


_diagnosed = Task(diagnosed)


def _scores(scores: Folder, role: Role, leading: int) -> pa.Table:
    """Numbers, scores and items' losses of events."""
    name = f"{role}.parquet"
    # Which columns losses have is told by those of the numbers of constituents.
    ranks = [f"{what}_j{place + 1}" for what in ("n", LOSS) for place in range(leading)]
    names = ["event", "score", LOSS, "n", *ranks]
    return read_columns(scores.read(name), f"{scores}/{name}", names)


def _rows(
    events: Mapping[Role, Folder], scored: Mapping[Role, pa.Table], job: Job
) -> tuple[str, dict[Role, Drawn]]:
    """Event rows of both samples with their scores, of background such as wasn't trained on."""
    split = sides(events["background"], job)
    held_out = ("unseen", split.unseen) if len(split.unseen) else ("validation", split.validation)
    n = max(job.diagnostics.items // 2, FEWEST_ROWS)
    found: dict[Role, Drawn] = {}
    for place, (role, folder) in enumerate(events.items()):
        among = held_out[1] if role == "background" else None
        drawn = random_rows(folder, n, (job.seed, place, 0), EVENT_COLUMNS, among)
        table = drawn.table.append_column("score", scores_of(drawn.table, scored[role]))
        found[role] = Drawn(table, drawn.events, drawn.files, drawn.all_files)
    return held_out[0], found


def _drift(
    events: Mapping[Role, Folder], tables: Mapping[Role, pa.Table], job: Job
) -> dict[str, Any]:
    """Features of random events of both samples; scores of those that weren't trained on."""
    ours, theirs = (
        random_rows(folder, MAX_EVENTS, (job.seed, place, 1), DRIFTING).table
        for place, folder in enumerate((events["background"], events["search"]))
    )
    return feature_drift(ours, theirs, job.graph, scores=tables, seed=job.seed)


def _examples(
    passing: Passing,
    tables: Mapping[Role, pa.Table],
    events: Mapping[Role, Folder],
    scored: Mapping[Role, pa.Table],
    n: int,
) -> list[Chosen]:
    """Background items from low to high loss, and the worst of the search sample."""
    background = tables["background"]
    passed = passing(collate(background, passing.bundle.recipe.graph))
    place_X, quantile_X = at_quantiles(passed, (n + 1) // 2)
    event_X, item_X = (
        of_B.numpy()[place_X] for of_B in (passed.items.event_B, passed.items.rank_B)
    )
    chosen = [Chosen("background", background, event_X, item_X, quantile_X)]
    if n // 2:
        event_X, item_X = _worst(scored["search"], n // 2)
        rows = rows_of(events["search"], np.unique(event_X), EVENT_COLUMNS)
        chosen.append(Chosen("search", rows, event_X, item_X, [None] * len(event_X)))
    return chosen


def _worst(scored: pa.Table, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Events and ranks [n] of the items of the highest losses, the highest first."""
    loss_EJ = placed(scored, LOSS, of_items=True)
    flat = loss_EJ.ravel()
    real = np.flatnonzero(~np.isnan(flat))
    worst = real[np.argsort(-flat[real], kind="stable")[:n]]
    row_X, item_X = np.divmod(worst, loss_EJ.shape[1])
    return scored.column("event").to_numpy()[row_X], item_X
