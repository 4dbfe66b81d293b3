"""Event rows of a folder of prepared events: some at random, or those of given numbers.

Samples may be larger than memory: single columns of all files are read, and whole rows of few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.events import read_parquet, read_part
from raybead.storage import Folder

MOST_FILES = 32
"""Whose rows are read for a random sample."""


@dataclass(frozen=True)
class Drawn:
    """Event rows, in order of files and rows."""

    table: pa.Table
    events: int
    """That they were drawn from."""
    files: int
    """That they lie in."""
    all_files: int
    """That hold events to draw from."""


def event_numbers(events: Folder) -> dict[str, NDArray[np.int64]]:
    """Numbers of the events of every file."""
    return {
        name: read_part(events, name, ["event"]).column("event").to_numpy()
        for name in events.names(".parquet")
    }


def random_rows(
    events: Folder,
    n: int,
    seed: Sequence[int],
    columns: Sequence[str],
    among: NDArray[np.int64] | None = None,
) -> Drawn:
    """Rows of some events, each as likely as any other.

    Args:
        events: prepared.
        n: rows at most.
        seed: of the draw.
        columns: to be read.
        among: numbers of the events to draw from; all if None.
    """
    rng = np.random.default_rng(seed)
    rows = {
        name: np.flatnonzero(np.isin(number_E, among)) if among is not None
        else np.arange(len(number_E))
        for name, number_E in event_numbers(events).items()
    }  # fmt: skip
    rows = {name: index for name, index in rows.items() if len(index)}
    total = sum(map(len, rows.values()))
    shares = _shares(np.array(list(map(len, rows.values())), np.int64), min(n, total), rng)
    tables = [
        _taken(events, name, np.sort(rng.choice(index, share, replace=False)), columns)
        for (name, index), share in zip(rows.items(), shares, strict=True)
        if share
    ]
    return Drawn(_whole(events, tables, columns), total, len(tables), len(rows))


def rows_of(events: Folder, numbers: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
    """Rows of events of given numbers, in their order; of one that isn't there, none."""
    tables, found = [], []
    for name, number_E in event_numbers(events).items():
        index = np.flatnonzero(np.isin(number_E, numbers))
        if len(index):
            found.append(number_E[index])
            tables.append(_taken(events, name, index, columns))
    table = _whole(events, tables, columns)
    if not found:
        return table
    number_R = np.concatenate(found)
    order = np.argsort(number_R, kind="stable")
    place = np.searchsorted(number_R[order], numbers[np.isin(numbers, number_R)])
    return table.take(pa.array(order[place]))


def _shares(sizes: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many rows of each file. Of few files as many as chance gives each.

    Of many files only some are read: taken along the sample at even steps from a random start, so
    that generators, which lie one behind another, have their part.
    """
    if n == 0 or n == sizes.sum():
        return sizes if n else np.zeros_like(sizes)
    if np.count_nonzero(sizes) <= MOST_FILES:
        return rng.multivariate_hypergeometric(sizes, n)
    ends = np.cumsum(sizes)
    steps = (np.arange(MOST_FILES) + rng.random()) * (ends[-1] / MOST_FILES)
    hits = np.bincount(
        np.minimum(np.searchsorted(ends, steps, side="right"), len(sizes) - 1),
        minlength=len(sizes),
    )
    wanted = np.diff(np.rint(np.concatenate([[0], np.cumsum(hits)]) * n / MOST_FILES).astype(int))
    return np.minimum(wanted, sizes)


def _taken(
    events: Folder, name: str, index: NDArray[np.int64], columns: Sequence[str]
) -> pa.Table:
    table = read_parquet(events.read(name), f"{events}/{name}", list(columns))
    return table.take(pa.array(index))


def _whole(events: Folder, tables: list[pa.Table], columns: Sequence[str]) -> pa.Table:
    if not tables:
        # Of no rows there are columns all the same.
        name = events.names(".parquet")[0]
        return read_part(events, name, columns).slice(0, 0)
    return pa.concat_tables(tables).combine_chunks()
