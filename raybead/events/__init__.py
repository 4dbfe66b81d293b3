"""Raw files to events: sources, jets, kinematics, Parquet schema, generator."""

from raybead.events.cutflow import Cutflow
from raybead.events.lhco_file import Labels, write_lhco
from raybead.events.particles import Particles
from raybead.events.records import LHCO_FILES, download_files, show_files
from raybead.events.schema import EVENT_SCHEMA, event_table, read_parquet, table_bytes, to_parquet
from raybead.events.shard import Shard, finished_shards, prepare_shard
from raybead.events.sources import EventSource, open_source

__all__ = [
    "EVENT_SCHEMA",
    "LHCO_FILES",
    "Cutflow",
    "EventSource",
    "Labels",
    "Particles",
    "Shard",
    "download_files",
    "event_table",
    "finished_shards",
    "open_source",
    "prepare_shard",
    "read_parquet",
    "show_files",
    "table_bytes",
    "to_parquet",
    "write_lhco",
]
