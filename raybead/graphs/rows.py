"""Event rows as flat arrays, straight from Arrow's buffers: no loop over particles or jets.

Axes: E events, J jets of all events together, T constituents of all jets together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.errors import InputError
from raybead.events.particles import members_of, offsets_of


@dataclass(frozen=True)
class Rows:
    """Jets and constituents of a table of event rows, event after event, leading first."""

    table: pa.Table
    jets: pa.StructArray
    """[J]"""
    parts: pa.StructArray
    """[T]"""
    n_jets: NDArray[np.int64]
    """[E] jets of each event"""
    sizes: NDArray[np.int64]
    """[J] constituents of each jet that the rows hold"""

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """The columns ``jets`` and ``constituents`` of a table."""
        jets = _one_array(table, "jets")
        inner = _one_array(table, "constituents").flatten()
        return cls(
            table,
            jets.flatten(),
            inner.flatten(),
            np.diff(jets.offsets.to_numpy()).astype(np.int64),
            np.diff(inner.offsets.to_numpy()).astype(np.int64),
        )

    @property
    def event(self) -> NDArray[np.int64]:
        """[J] row of each jet's event."""
        return np.repeat(np.arange(len(self.n_jets)), self.n_jets)

    @property
    def rank(self) -> NDArray[np.int64]:
        """[J] 0 for an event's leading jet, 1 for the next."""
        return members_of(np.zeros(len(self.n_jets), np.int64), self.n_jets)

    def of_jets(self, name: str) -> NDArray:
        """[J] a field of the jets."""
        return flat(self.jets.field(name))

    def btags(self) -> NDArray[np.float32]:
        """[J] 0 where a jet's b-tag is unknown, or none was ever recorded."""
        if self.jets.type.get_field_index("btag") < 0:
            return np.zeros(len(self.jets), np.float32)
        known = flat(self.jets.field("btag").fill_null(0))
        return known.astype(np.float32, copy=False)

    def of_parts(self, name: str) -> NDArray:
        """[T] a field of the constituents."""
        return flat(self.parts.field(name))

    def leading_parts(
        self, jets: NDArray[np.int64], most: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Leading constituents of some jets: their indices, and how many each jet has.

        Args:
            jets: which.
            most: of a jet; all if None.
        """
        sizes = self.sizes[jets]
        kept = sizes if most is None else np.minimum(sizes, most)
        return members_of(offsets_of(self.sizes)[:-1][jets], kept), kept

    def missing_momentum(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """[E] missing pT and its azimuth.

        Raises:
            InputError: an event doesn't know them.
        """
        columns = [self.table.column(name) for name in ("met", "met_phi")]
        for column in columns:
            if column.null_count:
                row = int(np.flatnonzero(column.is_null().to_numpy())[0])
                where = f"event {self.table.column('event')[row]}"
                if "source" in self.table.column_names:
                    where += f" of {self.table.column('source')[row]}"
                raise InputError(
                    f"features 'event' need missing momentum, which {where} lacks; have met and"
                    " met_phi read, or make the nodes of jets or constituents"
                )
        met, phi = (column.to_numpy().astype(np.float32, copy=False) for column in columns)
        return met, phi


def flat(array: pa.Array) -> NDArray:
    """The values of an array, without a copy where there can be none."""
    return array.to_numpy(zero_copy_only=False)


def _one_array(table: pa.Table, name: str) -> pa.ListArray:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # what an empty table gives
        column = (
            pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        )
    return column
