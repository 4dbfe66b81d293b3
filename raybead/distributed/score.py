"""Scoring on Ray Data: a pool of actors that each hold the model, or all of an ensemble's."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from ray.data import ActorPoolStrategy

from raybead.config import GpuAsk, Job, Score
from raybead.distributed.asks import Wanted, awaited, on_gpus
from raybead.distributed.cluster import Cluster
from raybead.distributed.stream import Task, Tick, attempt, outcomes, result_of
from raybead.events import read_parquet, table_bytes
from raybead.pace import Remark
from raybead.scoring import EVENT_COLUMNS, Calibrations, Member, scoring_members
from raybead.storage import Folder, Role
from raybead.timing import Recording, count, timed

ROLES: tuple[Role, ...] = ("background", "search")
LOSSES = ".losses"
"""Where items' losses lie until all are there, in a folder for each member, numbered from 1. A
file in it says that a piece is done by that member."""

Piece = tuple[Role, str, tuple[int, ...]]
"""An event file, and the numbers of the members that haven't scored it yet."""


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
        model: folder of a bundle, with members where the job wants an ensemble.
        job: that the bundle is of: batching and treatment of the losses, most jets an event.
        folder: that ``background.parquet``, ``search.parquet`` and ``calibration.json`` go to,
            ``ensemble.json`` if it is one, and ``<what>/<role>/*.parquet`` of what is to be
            stored, a file an event file.
        cluster: that the actors run on.
        tick: told of event files done.

    Returns:
        Facts of the stage: the calibration, and numbers of events.
    """
    config, losses = job.score, folder / LOSSES
    members = scoring_members(model, config)
    logarithms = [member.logarithms() for member in members]
    names: dict[Role, list[str]] = {role: events[role].names(".parquet") for role in ROLES}
    missing = missing_pieces(names, losses, len(members))
    pieces = sum(map(len, names.values()))
    finished = pieces - len(missing)
    scored = 0

    def tell() -> None:
        tick(finished, pieces, Remark("event files", counts={"events": scored}))

    tell()
    ask = job.resources.score
    if missing:
        wanted = scorer_of(config, ask, cluster)
        with awaited(wanted, 1, "actors", tick):
            for _, events_in_it in outcomes(
                len(missing),
                ScoreActor,
                fn_constructor_kwargs={
                    "pieces": missing,
                    "events": events,
                    "members": members,
                    "folder": folder,
                    "leading": job.jets.leading,
                    "gpu": wanted.gpus > 0,
                },
                compute=pool_of(config, wanted, cluster, len(missing)),
                max_task_retries=2,  # Ray's default is for ever, and a file that crashes it would
                **wanted.options(),
            ):
                finished, scored = finished + 1, scored + events_in_it
                tell()
    # It holds whole samples: never on a head that takes no work, whatever an actor asks for.
    last = Wanted.of(ask, "score", cpus=1).with_cpus(ask.cpus or 1)
    with awaited(last, 1, "tasks", tick):
        facts = result_of(
            _score_events.options(**last.options()).remote(
                losses, names, members, logarithms, folder
            )
        )
    losses.delete()
    return facts


def missing_pieces(names: dict[Role, list[str]], losses: Folder, members: int) -> list[Piece]:
    """Event files that losses of one of the members are missing of.

    Args:
        names: of all event files.
        losses: where losses lie.
        members: number of them.
    """
    numbers = range(1, members + 1)
    found: list[Piece] = []
    for role in ROLES:
        done = {n: set((losses / str(n) / role).names(".parquet")) for n in numbers}
        for name in names[role]:
            left = tuple(n for n in numbers if name not in done[n])
            if left:
                found.append((role, name, left))
    return found


def scorer_of(config: Score, ask: GpuAsk, cluster: Cluster) -> Wanted:
    """What an actor asks for.

    Something has to be left for the tasks that feed a pool, or it waits for ever: actors ask for
    half a CPU by themselves, and so there can be one for each.
    """
    gpus = (ask.gpus or 1) if on_gpus(config.use_gpu, cluster) else 0
    return Wanted.of(ask, "score", cpus=0.5, gpus=gpus)


def pool_of(config: Score, wanted: Wanted, cluster: Cluster, pieces: int) -> ActorPoolStrategy:
    """How many actors there are.

    Where no number is said and nodes may come, a pool on CPUs grows with them; GPUs cost more,
    and it takes those that are there, or one.
    """
    if config.workers != "auto":
        return ActorPoolStrategy(size=min(config.workers, pieces))
    amounts = wanted.amounts()
    fits = cluster.room(amounts if wanted.gpus else {**amounts, "CPU": max(1, wanted.cpus)})
    size = int(min(max(1, fits), pieces))
    if cluster.grows and not wanted.gpus:
        return ActorPoolStrategy(min_size=size, max_size=pieces)
    return ActorPoolStrategy(size=size)


class ScoreActor:
    """Holds the members' models, and writes the losses of the event files that it is given.

    Args:
        pieces: of which it is given numbers.
        events: prepared events of each role.
        members: bundles, and how they score.
        folder: that the losses go to, and what is stored of the models' outputs.
        leading: jets an event at most.
        gpu: whether the models run on one.
    """

    def __init__(
        self,
        pieces: list[Piece],
        events: dict[Role, Folder],
        members: tuple[Member, ...],
        folder: Folder,
        leading: int,
        gpu: bool,
    ) -> None:
        self._pieces, self._events, self._folder = pieces, events, folder
        device = "cuda" if gpu else "cpu"
        self._before: Recording | None = Recording()
        with self._before, timed("load model"):
            self._scorers = [member.scorer(leading, device) for member in members]

    def __call__(self, pieces: pa.Table) -> pa.Table:
        before, self._before = self._before, None
        return attempt(pieces, self._score, before)

    def _score(self, piece: int) -> int:
        role, name, members = self._pieces[piece]
        folder = self._events[role]
        with timed("read"):
            content = folder.read(name)
            rows = read_parquet(content, f"{folder}/{name}", EVENT_COLUMNS)
        count("bytes_read", len(content))
        for number in members:
            scoring = self._scorers[number - 1].scoring(rows)
            losses = self._folder / LOSSES / str(number) / role
            with timed("write"):
                for what, kept in scoring.stored.items():
                    _write(self._folder / what / role, name, kept)
                _write(losses, name, scoring.losses)
        return len(rows)


def _write(folder: Folder, name: str, table: pa.Table) -> None:
    content = table_bytes(table)
    folder.write(name, content)
    count("bytes_written", len(content))


def score_events(
    losses: Folder,
    names: dict[Role, list[str]],
    members: tuple[Member, ...],
    logarithms: list[tuple[str, ...]],
    folder: Folder,
) -> dict[str, Any]:
    """Calibrate on the whole of the samples, and write the event scores of both.

    Args:
        losses: where every member's losses lie.
        names: of all event files.
        members: bundles, and how they score.
        logarithms: of each, quantities that are logarithms.
        folder: that scores and calibration go to.

    Returns:
        See :func:`score`.
    """
    with timed("read losses"):
        tables: list[dict[Role, pa.Table]] = [
            {role: _whole(losses / str(number) / role, names[role]) for role in ROLES}
            for number in range(1, len(members) + 1)
        ]
    with timed("calibrate"):
        found = Calibrations.fit(tables, [member.score for member in members], logarithms)
        found.save(folder)
        scores = {role: found.scores([of[role] for of in tables]) for role in ROLES}
    with timed("write"):
        for role in ROLES:
            _write(folder, f"{role}.parquet", scores[role])
    facts = {
        "calibration": found.members[0].as_dict(),
        "events": {role: len(table) for role, table in tables[0].items()},
    }
    return facts if found.ensemble is None else {**facts, "ensemble": found.ensemble.as_dict()}


_score_events = Task(score_events)


def _whole(folder: Folder, names: list[str]) -> pa.Table:
    """The rows of all files, in order."""
    parts = [read_parquet(folder.read(name), f"{folder}/{name}") for name in names]
    return pa.concat_tables(parts).combine_chunks()
