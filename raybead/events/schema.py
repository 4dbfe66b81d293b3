"""The event row: what a Parquet file of a run's ``events/`` holds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raybead.errors import StorageError
from raybead.events.jets import Constituents, JetEvents
from raybead.events.pickled import pickled_columns
from raybead.storage import Folder

COUNTS = b"raybead.counts"
"""Key of the counts in a file's metadata: counts and events land together or not at all."""


def _field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


JET = pa.struct(
    [
        *(_field(x, pa.float64()) for x in ("pt", "eta", "phi", "mass", "px", "py", "pz", "e")),
        _field("n", pa.int32()),
        pa.field("btag", pa.float32()),
    ]
)
CONSTITUENT = pa.struct(
    [
        *(_field(name, pa.float32()) for name in ("pt", "eta", "phi")),
        pa.field("pid", pa.int32()),
    ]
)


def event_schema(measured: Iterable[str] = ()) -> pa.Schema:
    """Columns of event rows: momenta and masses in GeV, angles in radians.

    ``constituents[i]`` belong to ``jets[i]``, leading first in both (as they were before
    grooming); ``n`` counts a jet's constituents before subjets stood for them or any were cut
    off. What is unknown is null.

    Args:
        measured: names of further float64 fields of a jet.
    """
    jet = pa.struct([*JET, *(_field(name, pa.float64()) for name in measured)])
    return pa.schema(
        [
            _field("event", pa.int64()),
            _field("source", pa.string()),
            pa.field("generator", pa.string()),
            pa.field("truth", pa.int8()),
            _field("weight", pa.float64()),
            pa.field("met", pa.float32()),
            pa.field("met_phi", pa.float32()),
            _field("mjj", pa.float64()),
            _field("jets", pa.list_(_field("item", jet))),
            _field(
                "constituents", pa.list_(_field("item", pa.list_(_field("item", CONSTITUENT))))
            ),
        ]
    )


EVENT_SCHEMA = event_schema()


def event_table(
    events: JetEvents,
    constituents: Constituents | None = None,
    measured: Mapping[str, NDArray[np.float64]] = MappingProxyType({}),
) -> pa.Table:
    """Events as rows of :func:`event_schema`, in their order, without a loop over them.

    Args:
        events: E events with J jets in all.
        constituents: that stand for the jets' own.
        measured: further columns [J] of the jets.
    """
    particles, momenta, n = events.particles, events.momenta, len(events.particles)
    schema = event_schema(measured)
    list_of_jets, nested = schema.field("jets").type, schema.field("constituents").type
    columns = [momenta.pt, momenta.eta, momenta.phi, momenta.mass, *momenta]
    jets = pa.StructArray.from_arrays(
        [
            *columns,
            pa.array(events.n, pa.int32()),
            _or_null(events.btag, len(events.n), pa.float32()),
            *measured.values(),
        ],
        fields=list(list_of_jets.value_type),
    )
    parts = events.constituents if constituents is None else constituents
    inner = pa.StructArray.from_arrays(
        [
            *(column.astype(np.float32) for column in (parts.pt, parts.eta, parts.phi)),
            _or_null(parts.pid, len(parts.pt), pa.int32()),
        ],
        fields=list(CONSTITUENT),
    )
    per_event = pa.array(events.offsets, pa.int32())
    per_jet = pa.ListArray.from_arrays(
        pa.array(parts.offsets, pa.int32()), inner, type=nested.value_type
    )
    generator = particles.generator
    return pa.Table.from_arrays(
        [
            pa.array(particles.event),
            pa.repeat(pa.scalar(particles.source, pa.string()), n),
            pa.array(generator, pa.string())
            if isinstance(generator, np.ndarray)
            else pa.repeat(pa.scalar(generator, pa.string()), n),
            _truth(particles.truth, n),
            pa.array(np.ones(n) if particles.weight is None else particles.weight),
            _or_null(particles.met, n, pa.float32()),
            _or_null(particles.met_phi, n, pa.float32()),
            pa.array(events.mjj),
            pa.ListArray.from_arrays(per_event, jets, type=list_of_jets),
            pa.ListArray.from_arrays(per_event, per_jet, type=nested),
        ],
        schema=schema,
    )


def _truth(truth: NDArray[np.int8] | None, n: int) -> pa.Array:
    if truth is None:
        return pa.nulls(n, pa.int8())
    return pa.array(truth, pa.int8(), mask=truth < 0)


def _or_null(values: NDArray[Any] | None, n: int, kind: pa.DataType) -> pa.Array:
    if values is None:
        return pa.nulls(n, kind)
    return pa.array(values, kind, mask=np.isnan(values) if values.dtype.kind == "f" else None)


def to_parquet(table: pa.Table, counts: Mapping[str, Any]) -> bytes:
    """A Parquet file's bytes, with what became of the events read in the metadata."""
    table = table.replace_schema_metadata({COUNTS: json.dumps(counts).encode()})
    sink = io.BytesIO()
    # Bytes of floats sorted by significance: their leading bytes repeat, so they pack.
    jet, constituent = "jets.list.element", "constituents.list.element.list.element"
    fields = table.schema.field("jets").type.value_type
    floats = [f"{constituent}.{name}" for name in ("pt", "eta", "phi")]
    floats += [f"{jet}.{f.name}" for f in fields if f.type == pa.float64()] + ["mjj"]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=[  # type: ignore[arg-type]
            *("source", "generator", "truth", "weight"),
            *(f"{jet}.n", f"{jet}.btag", f"{constituent}.pid"),
        ],
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
        table = pq.read_table(pa.BufferReader(content), columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{origin}: not a whole Parquet file: {error}") from None
    if pickled := pickled_columns(table.schema):
        raise StorageError(f"{origin}: column {pickled[0]} holds pickled objects; not read")
    return table


def read_columns(content: bytes, origin: str, columns: Iterable[str]) -> pa.Table:
    """Of a Parquet file's bytes, those of some columns that are there.

    Raises:
        StorageError: the bytes aren't a whole Parquet file.
    """
    try:
        there = set(pq.read_schema(pa.BufferReader(content)).names)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{origin}: not a whole Parquet file: {error}") from None
    return read_parquet(content, origin, [name for name in columns if name in there])


def read_part(folder: Folder, name: str, columns: Iterable[str]) -> pa.Table:
    """Some columns of a Parquet file, of which no others are fetched.

    Raises:
        StorageError: it isn't whole.
    """
    with folder.opened(name) as file:
        try:
            return pq.ParquetFile(file).read(columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise StorageError(f"{folder}/{name}: not a whole Parquet file: {error}") from None


def row_count(folder: Folder, name: str) -> int:
    """Rows of a Parquet file, read off its end."""
    with folder.opened(name) as file:
        try:
            return pq.read_metadata(file).num_rows
        except (pa.ArrowException, OSError) as error:
            raise StorageError(f"{folder}/{name}: not a whole Parquet file: {error}") from None


def counts_of(folder: Folder, name: str) -> dict[str, Any]:
    """The counts that :func:`to_parquet` put into a file, read off its end."""
    with folder.opened(name) as file:
        try:
            return json.loads(pq.read_schema(file).metadata[COUNTS])
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise StorageError(f"{folder}/{name}: not a whole file of events: {error}") from None
