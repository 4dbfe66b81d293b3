"""The event row: what a Parquet file of a run's ``events/`` holds."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raybead.errors import StorageError
from raybead.events.clustering import JetEvents
from raybead.events.cutflow import Cutflow

CUTFLOW = b"raybead.cutflow"
"""Key of the cutflow in a file's metadata: counts and events land together or not at all."""


def _field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


JET = pa.struct(
    [_field(name, pa.float64()) for name in ("pt", "eta", "phi", "mass", "px", "py", "pz", "e")]
)
CONSTITUENT = pa.struct([_field(name, pa.float32()) for name in ("pt", "eta", "phi")])
EVENT_SCHEMA = pa.schema(
    [
        _field("event", pa.int64()),
        _field("source", pa.string()),
        pa.field("generator", pa.string()),
        pa.field("truth", pa.int8()),
        _field("weight", pa.float64()),
        pa.field("met", pa.float32()),
        pa.field("met_phi", pa.float32()),
        _field("mjj", pa.float64()),
        _field("jets", pa.list_(_field("item", JET))),
        _field("constituents", pa.list_(_field("item", pa.list_(_field("item", CONSTITUENT))))),
    ]
)
"""Momenta and masses in GeV, angles in radians; ``constituents[i]`` belong to ``jets[i]``,
leading first in both. ``truth`` is null where it is unknown."""


def event_table(events: JetEvents) -> pa.Table:
    """Events as rows of :data:`EVENT_SCHEMA`, in their order, without a loop over them."""
    particles = events.particles
    n = len(particles)
    momenta = events.momenta
    jets = pa.StructArray.from_arrays(
        [momenta.pt, momenta.eta, momenta.phi, momenta.mass, *momenta], fields=list(JET)
    )
    picked = events.constituents
    constituents = pa.StructArray.from_arrays(
        [
            column[picked].astype(np.float32)
            for column in (particles.pt, particles.eta, particles.phi)
        ],
        fields=list(CONSTITUENT),
    )
    per_event = pa.array(np.arange(n + 1) * events.n_leading, pa.int32())
    per_jet = pa.array(events.offsets, pa.int32())
    unknown = pa.nulls(n, pa.float32())
    list_of_jets = EVENT_SCHEMA.field("jets").type
    nested = EVENT_SCHEMA.field("constituents").type
    inner = pa.ListArray.from_arrays(per_jet, constituents, type=nested.value_type)
    columns = [
        pa.array(particles.event),
        pa.repeat(pa.scalar(particles.source, pa.string()), n),
        pa.repeat(pa.scalar(particles.generator, pa.string()), n),
        pa.nulls(n, pa.int8())
        if particles.truth is None
        else pa.array(particles.truth, pa.int8()),
        pa.array(np.ones(n)),
        unknown,
        unknown,
        pa.array(events.mjj),
        pa.ListArray.from_arrays(per_event, jets, type=list_of_jets),
        pa.ListArray.from_arrays(per_event, inner, type=nested),
    ]
    return pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)


def to_parquet(table: pa.Table, cutflow: Cutflow) -> bytes:
    """A Parquet file's bytes, with the counts of its cuts in the metadata."""
    counts = json.dumps(cutflow.as_dict()).encode()
    table = table.replace_schema_metadata({CUTFLOW: counts})
    sink = io.BytesIO()
    # Bytes of floats sorted by significance: their leading bytes repeat, so they pack.
    floats = [f"constituents.list.element.list.element.{f.name}" for f in CONSTITUENT]
    floats += [f"jets.list.element.{field.name}" for field in JET] + ["mjj"]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["source", "generator", "truth", "weight"],  # type: ignore[arg-type]
        use_byte_stream_split=floats,  # type: ignore[arg-type]  # stubs know only bool
    )
    return sink.getvalue()


def table_bytes(table: pa.Table) -> bytes:
    """A plain Parquet file's bytes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_parquet(content: bytes, origin: str, columns: list[str] | None = None) -> pa.Table:
    """The table of a Parquet file's bytes.

    Raises:
        StorageError: the bytes aren't a whole Parquet file.
    """
    try:
        return pq.read_table(pa.BufferReader(content), columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{origin}: not a whole Parquet file: {error}") from None


def cutflow_of(content: bytes, origin: str) -> Cutflow:
    """The counts that :func:`to_parquet` put into a file."""
    try:
        metadata = pq.read_schema(pa.BufferReader(content)).metadata
        return Cutflow.from_dict(json.loads(metadata[CUTFLOW]))
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise StorageError(f"{origin}: not a whole file of events: {error}") from None
