"""What Ray Data counted of its operators: as its own ``Dataset.stats()`` tells, but as numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataOperator:
    """One operator of one execution; seconds and bytes are of all its blocks together."""

    name: str
    tasks: int
    blocks: int
    elapsed: float
    """Seconds from its first block's beginning to its last one's end."""
    wall: float
    """Seconds of its tasks."""
    cpu: float
    rows: int
    bytes: int
    """Of what it put out."""
    peak_bytes: int | None
    """Most memory that a task's process had for itself alone; None where Ray doesn't say."""

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


_gather: ContextVar[Callable[[list[DataOperator]], None] | None] = ContextVar(
    "operators", default=None
)


@contextlib.contextmanager
def gathering() -> Iterator[list[DataOperator]]:
    """Operators of all that Ray Data does in the block, as executions end."""
    found: list[DataOperator] = []
    token = _gather.set(found.extend)
    try:
        yield found
    finally:
        _gather.reset(token)


def tell_operators(executed: Any) -> None:
    """Take in what Ray Data counted of a dataset that was executed, where that is wanted."""
    gather = _gather.get()
    if gather is not None:
        gather(list(_of(executed.get_stats_summary())))


def _of(summary: Any) -> Iterator[DataOperator]:
    """A dataset's operators, the first one first; a summary has the last one's, and parents."""
    for parent in summary.parents:
        yield from _of(parent)
    uss = (summary.extra_metrics or {}).get("max_uss_bytes") or {}
    for one in summary.operators_stats:
        yield DataOperator(
            name=one.operator_name,
            tasks=one.task_rows.count if one.task_rows else 0,
            blocks=one.output_num_rows.count if one.output_num_rows else 0,
            elapsed=float(one.time_total_s or 0),
            wall=float(_sum(one.wall_time)),
            cpu=float(_sum(one.cpu_time)),
            rows=int(_sum(one.output_num_rows)),
            bytes=int(_sum(one.output_size_bytes)),
            peak_bytes=int(uss["max"]) if uss.get("max") else None,
        )


def _sum(found: Any) -> float:
    return found.sum if found else 0
