"""Scoring on Ray Data: a pool of actors that each hold the model."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy

from raybead.config import Job, Score, logarithms_of
from raybead.distributed.session import Cluster
from raybead.distributed.stream import Tick, attempt, outcomes, result_of, told
from raybead.events import read_parquet, table_bytes
from raybead.models import Bundle
from raybead.scoring import EVENT_COLUMNS, Calibration, JetScorer
from raybead.storage import Folder, Role

ROLES: tuple[Role, ...] = ("background", "search")
LOSSES = ".losses"
"""Where items' losses lie until all are there. A file in it says that a piece is done."""


def score(
    events: dict[Role, Folder],
    model: Folder,
    job: Job,
    folder: Folder,
    cluster: Cluster,
    tick: Tick,
) -> dict[str, Any]:
    """Score both samples and write one Parquet file of event scores each, and the calibration.

    Args:
        events: prepared events of each role.
        model: folder of a bundle.
        job: that the bundle is of: batching and treatment of the losses, most jets an event.
        folder: that ``background.parquet``, ``search.parquet`` and ``calibration.json`` go to,
            and ``<what>/<role>/*.parquet`` of what is to be stored, a file an event file.
        cluster: that the actors run on.
        tick: told of event files done.

    Returns:
        Facts of the stage: the calibration, and numbers of events.
    """
    config, losses = job.score, folder / LOSSES
    pieces = [(role, name) for role in ROLES for name in events[role].names(".parquet")]
    done = {role: set((losses / role).names(".parquet")) for role in ROLES}
    missing = [(role, name) for role, name in pieces if name not in done[role]]
    finished = len(pieces) - len(missing)
    tick(finished, len(pieces), "event files")
    if missing:
        for _ in outcomes(
            len(missing),
            _ScoreActor,
            fn_constructor_kwargs={
                "pieces": missing,
                "events": events,
                "model": model,
                "folder": folder,
                "config": config,
                "leading": job.jets.leading,
                "gpu": _on_gpu(config, cluster),
            },
            **_pool(config, cluster, len(missing)),
        ):
            finished += 1
            tick(finished, len(pieces), "event files")
    facts = result_of(
        _combine.remote(
            losses,
            {role: [n for r, n in pieces if r == role] for role in ROLES},
            config,
            logarithms_of(job.loss),
            folder,
        )
    )
    losses.delete()
    return facts


def _pool(config: Score, cluster: Cluster, pieces: int) -> dict[str, Any]:
    """Actors, and what each asks for.

    Something has to be left for the tasks that feed a pool, or it waits for ever: CPU actors
    ask for half a CPU, and so there can be one for each.
    """
    gpu = _on_gpu(config, cluster)
    fits = cluster.gpus if gpu else cluster.cpus
    size = min(max(1, fits) if config.workers == "auto" else config.workers, pieces)
    if gpu:
        return {"compute": ActorPoolStrategy(size=size), "num_gpus": 1, "num_cpus": 0.5}
    return {"compute": ActorPoolStrategy(size=size), "num_cpus": 0.5}


def _on_gpu(config: Score, cluster: Cluster) -> bool:
    return cluster.gpus > 0 if config.use_gpu == "auto" else config.use_gpu


class _ScoreActor:
    def __init__(
        self,
        pieces: list[tuple[Role, str]],
        events: dict[Role, Folder],
        model: Folder,
        folder: Folder,
        config: Score,
        leading: int,
        gpu: bool,
    ) -> None:
        self._pieces, self._events, self._folder = pieces, events, folder
        self._scorer = JetScorer(
            Bundle.load(model),
            config.batch_items,
            "cuda" if gpu else "cpu",
            config.store,
            leading=leading,
            quantities=tuple(config.weights),
            controls=config.controls,
        )

    def __call__(self, pieces: pa.Table) -> pa.Table:
        return attempt(pieces, self._score)

    def _score(self, piece: int) -> int:
        role, name = self._pieces[piece]
        folder = self._events[role]
        rows = read_parquet(folder.read(name), f"{folder}/{name}", EVENT_COLUMNS)
        scoring = self._scorer.scoring(rows)
        for what, kept in scoring.stored.items():
            (self._folder / what / role).write(name, table_bytes(kept))
        (self._folder / LOSSES / role).write(name, table_bytes(scoring.losses))
        return len(rows)


@ray.remote
@told
def _combine(
    losses: Folder,
    names: dict[Role, list[str]],
    config: Score,
    logarithms: tuple[str, ...],
    folder: Folder,
) -> dict[str, Any]:
    """Calibrate on the whole of the samples, and write the event scores of both."""
    tables = {
        role: pa.concat_tables(
            [read_parquet((losses / role).read(n), f"{losses}/{role}/{n}") for n in names[role]]
        ).combine_chunks()
        for role in ROLES
    }
    fitted = tables[config.complexity_fit]
    calibration = Calibration.fit(fitted, config, tables["background"], logarithms)
    calibration.save(folder)
    for role, table in tables.items():
        folder.write(f"{role}.parquet", table_bytes(calibration.scores(table)))
    return {
        "calibration": calibration.as_dict(),
        "events": {role: len(table) for role, table in tables.items()},
    }
