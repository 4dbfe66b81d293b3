"""Events of as many jets as a test wants."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def ragged(rows: pa.Table, n_jets: Sequence[int]) -> pa.Table:
    """Event rows with so many jets each; those beyond an event's own are the next events'.

    Args:
        rows: event rows, as many as ``n_jets`` and some more.
        n_jets: of each event.
    """
    events = rows.to_pylist()
    found = []
    for place, n in enumerate(n_jets):
        jets = [j for event in events[place : place + n] for j in event["jets"]][:n]
        parts = [c for event in events[place : place + n] for c in event["constituents"]][:n]
        found.append({**events[place], "jets": jets, "constituents": parts})
    return pa.Table.from_pylist(found, schema=rows.schema)
