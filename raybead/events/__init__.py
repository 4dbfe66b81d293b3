"""Raw files to events: sources, jets, kinematics, Parquet schema, generator."""

from raybead.events.cutflow import Cutflow
from raybead.events.jets import Constituents, JetEvents, make_jets, reduced
from raybead.events.lhco_file import Labels, write_lhco
from raybead.events.particles import GivenJets, Particles
from raybead.events.records import LHCO_FILES, download_files, show_files
from raybead.events.sample import EventSample, Piece
from raybead.events.schema import (
    EVENT_SCHEMA,
    JET,
    counts_of,
    event_schema,
    event_table,
    read_columns,
    read_parquet,
    read_part,
    row_count,
    table_bytes,
    to_parquet,
)
from raybead.events.sources import EventSource, open_source
from raybead.events.span import Span
from raybead.events.twice import notes_on, recorded_by_both

__all__ = [
    "EVENT_SCHEMA",
    "JET",
    "LHCO_FILES",
    "Constituents",
    "Cutflow",
    "EventSample",
    "EventSource",
    "GivenJets",
    "JetEvents",
    "Labels",
    "Particles",
    "Piece",
    "Span",
    "counts_of",
    "download_files",
    "event_schema",
    "event_table",
    "make_jets",
    "notes_on",
    "open_source",
    "read_columns",
    "read_parquet",
    "read_part",
    "recorded_by_both",
    "reduced",
    "row_count",
    "show_files",
    "table_bytes",
    "to_parquet",
    "write_lhco",
]
