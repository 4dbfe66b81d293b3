"""One row range from raw events to a Parquet file: the work of one prepare task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raybead.config import Jets, Source
from raybead.events.clustering import cluster
from raybead.events.cutflow import Cutflow
from raybead.events.schema import cutflow_of, event_table, to_parquet
from raybead.events.sources import open_source
from raybead.storage import Folder

ENDING = ".parquet"


@dataclass(frozen=True)
class Shard:
    """A row range of a source, and the folder that its file goes to."""

    start: int
    stop: int
    folder: Folder

    @property
    def name(self) -> str:
        return f"rows-{self.start:010d}-{self.stop:010d}{ENDING}"


def prepare_shard(source: Source, jets: Jets, shard: Shard) -> Cutflow:
    """Read, cluster, cut and write one row range; its file appears whole.

    Raises:
        InputError: a row that can't be an event.
        StorageError: the file can't be written.
    """
    particles, dropped = open_source(source).read(shard.start, shard.stop)
    events = cluster(particles, jets)
    cutflow = Cutflow(
        read=shard.stop - shard.start,
        dropped={**dropped, **events.dropped},
        written=len(events.particles),
    )
    if not cutflow.adds_up:
        raise AssertionError(f"events lost between cuts: {cutflow}")
    shard.folder.write(shard.name, to_parquet(event_table(events), cutflow))
    return cutflow


def finished_shards(shards: Sequence[Shard]) -> dict[str, Cutflow]:
    """Counts of those shards whose files an earlier try left whole, by name.

    Files of other row ranges, from a try that cut the work up otherwise, are removed.
    """
    wanted = {shard.name: shard for shard in shards}
    finished = {}
    for folder in {shard.folder for shard in shards}:
        for name in folder.names():
            if name in wanted:
                finished[name] = cutflow_of(folder.read(name), f"{folder}/{name}")
            else:
                folder.remove(name)
    return finished
