"""One task's events from raw to a Parquet file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from raybead.config import Jets
from raybead.errors import DamagedError
from raybead.events import (
    Cutflow,
    Piece,
    Span,
    counts_of,
    event_schema,
    event_table,
    make_jets,
    open_source,
    reduced,
    to_parquet,
)
from raybead.preparing.measured import measure
from raybead.storage import Folder
from raybead.timing import count, timed

ENDING = ".parquet"


@dataclass(frozen=True)
class Shard:
    """Consecutive events of a sample, and the folder that their file goes to."""

    pieces: tuple[Piece, ...]
    folder: Folder

    @property
    def name(self) -> str:
        return f"rows-{self.pieces[0].start:010d}-{self.pieces[-1].stop:010d}{ENDING}"


@dataclass(frozen=True)
class Prepared:
    """What became of a shard's events."""

    cutflow: Cutflow
    faults: tuple[str, ...] = ()
    """Why rows couldn't be read at all, a line for each piece; they are in the cutflow."""

    def as_dict(self) -> dict[str, Any]:
        return {"cutflow": self.cutflow.as_dict(), "faults": list(self.faults)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Prepared:
        return cls(Cutflow.from_dict(raw["cutflow"]), tuple(raw["faults"]))


def prepare_shard(shard: Shard, jets: Jets, *, tolerant: bool = False) -> Prepared:
    """Read, cluster, cut and write one shard; its file appears whole.

    Args:
        shard: what to read, and where its file goes.
        jets: what is made of the events.
        tolerant: whether rows that can't be read at all are counted, instead of ending it.

    Raises:
        InputError: a row that can't be an event.
        DamagedError: rows that can't be read, unless tolerant.
        StorageError: the file can't be written.
    """
    tables, lost, cutflow = [], [], Cutflow()
    todo = list(reversed(shard.pieces))
    while todo:
        piece = todo.pop()
        try:
            table, counts = _prepare_piece(piece, jets)
        except DamagedError as error:
            if not tolerant:
                raise
            halves = _halves(piece)
            if halves:  # down to the rows that are damaged, however the work was cut up
                todo += reversed(halves)
                continue
            lost.append((piece, str(error)))
            counts = Cutflow(len(piece.span), {UNREADABLE: len(piece.span)}, 0)
        else:
            tables.append(table)
        if not counts.adds_up:
            raise AssertionError(f"events lost between cuts: {counts}")
        cutflow += counts
    schema = event_schema(jets.substructure)
    prepared = Prepared(cutflow, tuple(_told(lost)))
    with timed("write"):
        whole = pa.concat_tables(tables).combine_chunks() if tables else schema.empty_table()
        content = to_parquet(whole, prepared.as_dict())
        shard.folder.write(shard.name, content)
    _count(cutflow, len(content))
    return prepared


def _count(cutflow: Cutflow, written: int) -> None:
    """For whoever watches; the file's metadata holds the same."""
    count("events_read", cutflow.read)
    count("events_written", cutflow.written)
    count("bytes_written", written)
    for cut, n in cutflow.dropped.items():
        count("events_dropped", n, of=cut)


UNREADABLE = "unreadable"
"""The cut that counts rows that can't be read at all."""


def _halves(piece: Piece) -> list[Piece]:
    """A piece in two; nothing of a single row, or where rows don't say where they lie."""
    span = piece.span
    if len(span) < 2 or span.place is not None:
        return []
    middle = (span.start + span.stop) // 2
    return [
        replace(piece, span=Span(span.start, middle)),
        replace(piece, span=Span(middle, span.stop)),
    ]


def _told(lost: list[tuple[Piece, str]]) -> Iterator[str]:
    """Why rows couldn't be read, in one line for all that lie side by side."""
    together: list[tuple[Piece, str]] = []
    for piece, reason in lost:
        if together and together[-1][0].source == piece.source:
            before = together[-1][0]
            if before.span.stop == piece.span.start:
                span = Span(before.span.start, piece.span.stop)
                together[-1] = (replace(before, span=span), together[-1][1])
                continue
        together.append((piece, reason))
    for piece, reason in together:
        first, last = piece.span.start, piece.span.stop - 1
        yield re.sub(r"rows \d+ to \d+ can't", f"rows {first} to {last} can't", reason, count=1)


def _prepare_piece(piece: Piece, jets: Jets) -> tuple[pa.Table, Cutflow]:
    with timed("read"):
        particles, dropped = open_source(piece.source).read(piece.span)
        particles = replace(particles, event=particles.event + piece.offset)
    with timed("cluster"):
        events = make_jets(particles, jets)
    with timed("substructure"):
        measured = measure(events.constituents, jets.substructure, jets.radius)
    with timed("to table"):
        table = event_table(events, reduced(events.constituents, jets), measured)
    count("bytes_read", particles.nbytes)
    count("jets", len(events.n))
    return table, Cutflow(
        read=len(piece.span),
        dropped={**dropped, **events.dropped},
        written=len(table),
    )


def finished_shards(shards: Sequence[Shard]) -> dict[str, Prepared]:
    """What became of those shards whose files an earlier try left whole, by name.

    Files of other shards, from a try that cut the work up otherwise, are removed.
    """
    wanted = {shard.name: shard for shard in shards}
    finished = {}
    for folder in {shard.folder for shard in shards}:
        for name in folder.names():
            if name in wanted:
                finished[name] = Prepared.from_dict(counts_of(folder, name))
            else:  # workers of a driver that was killed may be at it for a moment more
                folder.remove(name, missing_ok=True)
    return finished
