"""Parquet: raybead's own events, or nested columns as awkward and others write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raybead.config import ParquetSource
from raybead.errors import DamagedError, InputError
from raybead.events.particles import Particles
from raybead.events.pickled import pickled_columns
from raybead.events.sources.columns import COMPONENTS, MEV, check_shapes, mapped, particles_of
from raybead.events.sources.ragged import (
    Ragged,
    dotted_names,
    missing,
    ragged_of,
    shape_of,
    steps_to,
)
from raybead.events.span import Span, even_spans
from raybead.storage import absolute, fingerprint, open_input

BATCH = 1024
"""Rows that are decoded at a time: what bounds memory besides the span."""
BUFFER = 1 << 20
"""Bytes of a column that are fetched at a time."""

OWN = {
    **{role: f"constituents.{role}" for role in ("pt", "eta", "phi")},
    **{role: f"jets.{role.removeprefix('jet_')}" for role in COMPONENTS},
}
"""Columns by role that raybead's own events have."""
UNKNOWN = {
    "pid": 0,
    "btag": float("nan"),
    "met": float("nan"),
    "met_phi": float("nan"),
    "truth": -1,
}
"""What stands for a null of raybead's own events: those of one file may know different things."""
OWN_WHERE_KNOWN = {
    "jet_n": "jets.n",
    "pid": "constituents.pid",
    "btag": "jets.btag",
    "weight": "weight",
    "met": "met",
    "met_phi": "met_phi",
    "truth": "truth",
}
"""Those that are null throughout where a file's events don't have them."""


@dataclass(frozen=True)
class Leaf:
    """A column of values in a Parquet file."""

    name: str
    """As the job file calls it."""
    steps: tuple[str, ...]
    """Fields that lead to it, outermost first."""
    index: int
    """Among all columns of values of the file."""


class ParquetReader:
    """Reads row ranges of one Parquet file.

    Only mapped columns are read, and only row groups that a span meets. Parquet knows no way
    into a row group: its rows before the span are decoded too, and let go of.
    """

    def __init__(self, config: ParquetSource) -> None:
        self.config = config
        (path,) = config.paths
        self.uri = absolute(path)

    def spans(self, rows_per_task: int) -> list[Span]:
        with _open(self.uri) as file:
            self._leaves(file)
            rows = file.metadata.num_rows
        if rows == 0 and self.config.columns is not None:
            raise InputError(f"{self.uri}: it has no rows")
        return even_spans(0, rows, rows_per_task)

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        columns = self.config.columns
        parts: dict[str, list[Ragged]] = {}
        generators: list[str | None] = []
        with _open(self.uri) as file:
            leaves = self._leaves(file)
            indices = {leaf.index for leaf in leaves.values()}
            told = "generator" if columns is None and self.config.generator is None else None
            names = dotted_names(list(file.schema_arrow))
            if told in names:
                indices.add(names.index(told))
            for batch in _batches(file, sorted(indices), span, self.uri):
                for role, leaf in leaves.items():
                    array = batch.column(leaf.steps[0])
                    unknown = UNKNOWN.get(role) if columns is None else None
                    parts.setdefault(role, []).append(
                        ragged_of(leaf.name, array, leaf.steps[1:], unknown)
                    )
                if told in names:
                    generators += batch.column(told).to_pylist()
        known = any(generator is not None for generator in generators)
        return particles_of(
            {role: Ragged.joined(of_role) for role, of_role in parts.items()},
            self.config,
            uri=self.uri,
            start=span.start,
            scale=MEV if columns is not None and columns.unit == "MeV" else 1.0,
            generator=np.array(generators, dtype=object) if known else None,
            own=columns is None,
        )

    def depends(self) -> dict[str, object]:
        facts: dict[str, object] = self.config.model_dump(mode="json")
        facts["path"] = self.uri
        facts["fingerprint"] = fingerprint(self.uri)
        return facts

    def _leaves(self, file: pq.ParquetFile) -> dict[str, Leaf]:
        leaves = self._found(file)
        kinds = {field.name: field.type for field in file.schema_arrow}
        shapes = {
            role: shape_of(leaf.name, kinds[leaf.steps[0]], leaf.steps[1:])
            for role, leaf in leaves.items()
        }
        check_shapes(self.uri, shapes)
        return leaves

    def _found(self, file: pq.ParquetFile) -> dict[str, Leaf]:
        fields = list(file.schema_arrow)
        known = dotted_names(fields)
        places = {name: place for place, name in enumerate(known)}

        def leaf(name: str) -> Leaf | None:
            steps = steps_to(name, fields)
            if steps is None:
                return None
            # A struct isn't a column of values; its shape is refused.
            return Leaf(name, tuple(steps), places.get(name, -1))

        if self.config.columns is not None:
            leaves = {}
            for role, name in mapped(self.config.columns).items():
                found = leaf(name)
                if found is None:
                    raise missing(self.uri, role, name, known)
                leaves[role] = found
            return leaves
        leaves = {role: leaf(name) for role, name in OWN.items()}
        if None in leaves.values():
            raise InputError(
                f"{self.uri}: not raybead's own events, and no [columns] of its [data] section"
                f" says where pt, eta and phi are; it has: {', '.join(known)}"
            )
        for role, name in OWN_WHERE_KNOWN.items():
            found = leaf(name)
            if found is not None and not _all_null(file.metadata, found.index):
                leaves[role] = found
        return {role: found for role, found in leaves.items() if found is not None}


def _all_null(metadata: pq.FileMetaData, index: int) -> bool:
    """Whether a column has no value in the whole file, so that spans agree about it."""
    for group in range(metadata.num_row_groups):
        column = metadata.row_group(group).column(index)
        facts = column.statistics
        if facts is None or not facts.has_null_count or facts.null_count < column.num_values:
            return False
    return True


def _batches(
    file: pq.ParquetFile, indices: Sequence[int], span: Span, uri: str
) -> Iterator[pa.RecordBatch]:
    """Rows of a span, in parts, of the columns of values at ``indices``."""
    groups, at, first = [], None, 0
    for group in range(file.metadata.num_row_groups):
        stop = first + file.metadata.row_group(group).num_rows
        if first < span.stop and stop > span.start:
            groups.append(group)
            at = first if at is None else at
        first = stop
    row = at or 0
    paths = [file.schema.column(index).path for index in indices]
    try:
        for batch in file.iter_batches(BATCH, row_groups=groups, columns=paths, use_threads=False):
            start, stop = max(span.start - row, 0), min(span.stop - row, len(batch))
            if start < stop:
                batch.validate(full=True)  # what damaged pages hold may decode to anything
                yield batch.slice(start, stop - start)
            row += len(batch)
            if row >= span.stop:
                return
        reason = f"rows from {row} on are missing"
    except (pa.ArrowException, OSError) as error:
        reason = _line(error)
    raise DamagedError(
        f"{uri}: rows {span.start} to {span.stop - 1} can't be read, the file is damaged: {reason}"
    )


@contextmanager
def _open(uri: str) -> Iterator[pq.ParquetFile]:
    with open_input(uri) as stream:
        try:
            file = pq.ParquetFile(
                # A path is faster than a Python stream, and on a local disk there is one.
                uri if "://" not in uri else stream,
                buffer_size=BUFFER,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            # Damaged names show when they are asked for.
            _ = dotted_names(list(file.schema_arrow)), str(file.schema)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if stream.seek(0, 2) == 0:
                raise InputError(f"{uri}: the file is empty") from None
            stream.seek(0)
            magic = stream.read(4) == b"PAR1"
            reason = f"truncated or damaged Parquet: {_line(error)}" if magic else "not Parquet"
            raise InputError(f"{uri}: {reason}") from None
        if pickled := pickled_columns(file.schema_arrow):
            raise InputError(f"{uri}: column {pickled[0]} holds pickled objects; not read")
        with file:
            yield file


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
