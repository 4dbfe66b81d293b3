"""Raw events to jets on Ray Data: row ranges in parallel, each a Parquet file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from ray.data import TaskPoolStrategy

from raybead.config import Ask, Jets
from raybead.config import Prepare as PrepareConfig
from raybead.distributed.asks import NOTHING_SAID, Wanted, awaited
from raybead.distributed.stream import Tick, attempt, outcomes
from raybead.errors import DamagedError, InputError, StorageError
from raybead.events import Cutflow, Piece
from raybead.pace import Remark
from raybead.preparing import Prepared, Shard, finished_shards, prepare_shard
from raybead.storage import Folder


def prepare(
    pieces: list[tuple[Piece, ...]],
    jets: Jets,
    config: PrepareConfig,
    folder: Folder,
    tick: Tick,
    ask: Ask = NOTHING_SAID,
) -> Prepared:
    """Prepare all events of a sample.

    Files that an earlier try left whole are kept: they hold what would be written again.

    Args:
        pieces: of the sample, for one task each.
        jets: what is made of the events.
        config: workers, and what becomes of rows that can't be read.
        folder: that the files go to, one a task, named by its events.
        tick: told of files done.
        ask: what a task asks the cluster for.

    Returns:
        The counts of all cuts, and why rows couldn't be read.

    Raises:
        InputError: a row can't be an event, or no event passes the cuts.
        DamagedError: nothing can be read, or a part and the job says to stop.
        StorageError: files can't be written.
        ResourcesError: no node of the cluster has, nor may have, what a task asks for.
        RunError: workers died again and again.
    """
    shards = [Shard(of_task, folder) for of_task in pieces]
    folder.make()
    done = finished_shards(shards)
    missing = [shard for shard in shards if shard.name not in done]

    def tell() -> None:
        read = sum(prepared.cutflow.read for prepared in done.values())
        tick(len(done), len(shards), Remark("files of events", counts={"events": read}))

    tell()
    if missing:
        options: dict[str, Any] = {}
        if config.workers != "auto":
            # Ray Data warns of more workers than pieces.
            options["compute"] = TaskPoolStrategy(size=min(config.workers, len(missing)))
        wanted = Wanted.of(ask, "prepare", cpus=1)
        results = outcomes(
            len(missing),
            _prepare_shards,
            fn_kwargs={
                "jets": jets,
                "shards": missing,
                "tolerant": config.damaged == "report",
            },
            max_retries=2,  # Ray's default is for ever, and a file that crashes it always would
            **wanted.options(),
            **options,
        )
        with awaited(wanted, 1, "tasks", tick):
            for number, prepared in results:
                done[missing[number].name] = Prepared.from_dict(prepared)
                tell()
    seen = set(folder.names())
    for name in seen - done.keys():  # what a worker that was killed had half written
        folder.remove(name, missing_ok=True)
    unseen = [shard.name for shard in shards if shard.name not in seen]
    if unseen:
        raise StorageError(
            f"{folder}: {len(unseen)} of {len(shards)} files that workers wrote aren't there:"
            " this machine and the workers don't share the folder; give output as a URI"
        )
    in_order = [done[shard.name] for shard in shards]
    total = Prepared(
        Cutflow.total(prepared.cutflow for prepared in in_order),
        tuple(fault for prepared in in_order for fault in prepared.faults),
    )
    cutflow = total.cutflow
    if cutflow.written == 0:
        if total.faults:
            raise DamagedError(total.faults[0])
        drops = ", ".join(f"{n} by '{cut}'" for cut, n in cutflow.dropped.items() if n)
        raise InputError(f"none of the {cutflow.read} events read passes the cuts: {drops}")
    return total


def _prepare_shards(
    pieces: pa.Table, *, jets: Jets, shards: list[Shard], tolerant: bool
) -> pa.Table:
    return attempt(pieces, lambda i: prepare_shard(shards[i], jets, tolerant=tolerant).as_dict())
