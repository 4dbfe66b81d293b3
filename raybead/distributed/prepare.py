"""Raw events to jets on Ray Data: row ranges in parallel, each a Parquet file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from ray.data import TaskPoolStrategy

from raybead.config import Jets, Prepare, Source
from raybead.distributed.stream import Tick, attempt, outcomes
from raybead.errors import InputError, StorageError
from raybead.events import Cutflow, Shard, finished_shards, open_source, prepare_shard
from raybead.storage import Folder


def prepare(source: Source, jets: Jets, prepare: Prepare, folder: Folder, tick: Tick) -> Cutflow:
    """Prepare all events of a source.

    Files that an earlier try left whole are kept: they hold what would be written again.

    Args:
        source: of the events.
        jets: what is made of them.
        prepare: how the work is cut up.
        folder: that the files go to, one a row range, named by it.
        tick: told of row ranges done.

    Returns:
        The counts of all cuts over all row ranges.

    Raises:
        InputError: a row can't be an event, or no event passes the cuts.
        StorageError: files can't be written.
    """
    ranges = open_source(source).ranges(prepare.rows_per_task)
    shards = [Shard(start, stop, folder) for start, stop in ranges]
    folder.make()
    counts = finished_shards(shards)
    missing = [shard for shard in shards if shard.name not in counts]
    tick(len(counts), len(shards), "row ranges")
    if missing:
        options: dict[str, Any] = {}
        if prepare.workers != "auto":
            # Ray Data warns of more workers than pieces.
            options["compute"] = TaskPoolStrategy(size=min(prepare.workers, len(missing)))
        results = outcomes(
            len(missing),
            _prepare_pieces,
            fn_kwargs={"source": source, "jets": jets, "shards": missing},
            num_cpus=1,
            max_retries=2,  # Ray's default is for ever, and a file that crashes it always would
            **options,
        )
        for piece, cutflow in results:
            counts[missing[piece].name] = Cutflow.from_dict(cutflow)
            tick(len(counts), len(shards), "row ranges")
    seen = set(folder.names())
    unseen = [shard.name for shard in shards if shard.name not in seen]
    if unseen:
        raise StorageError(
            f"{folder}: {len(unseen)} of {len(shards)} files that workers wrote aren't there:"
            " this machine and the workers don't share the folder; give output as a URI"
        )
    total = Cutflow.total(counts[shard.name] for shard in shards)
    if total.written == 0:
        drops = ", ".join(f"{n} by '{cut}'" for cut, n in total.dropped.items() if n)
        raise InputError(f"none of the {total.read} events read passes the cuts: {drops}")
    return total


def _prepare_pieces(
    pieces: pa.Table, *, source: Source, jets: Jets, shards: list[Shard]
) -> pa.Table:
    return attempt(pieces, lambda i: prepare_shard(source, jets, shards[i]).as_dict())
