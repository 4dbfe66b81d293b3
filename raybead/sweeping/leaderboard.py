"""The table of all trials, the best first, and what it says in numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raybead.config import Sweep
from raybead.config.sweep import BY_TRUTH
from raybead.errors import RunError
from raybead.report.tried import LEVEL, VALUE
from raybead.sweeping.correlations import correlations
from raybead.sweeping.importance import importance
from raybead.sweeping.records import Quantity, TrialRecord

ORDER = ("done", "stopped", "failed")


def leaderboard(records: Sequence[TrialRecord], sweep: Sweep) -> pa.Table:
    """All trials, one a row: finished ones by objective, then stopped ones, then failed ones.

    ``rank`` counts trials with an objective from 1, and is null for failed ones. ``behind_best``
    is what the objective lacks to that of rank 1 (negative for a stopped trial that was ahead);
    its error is the standard deviation of the differences of replicas, which are of the same
    draws of the same events. Each quantity has a column and one of its ``_error``. Columns
    ``value:<key>`` hold what was tried, null where the key wasn't set: numbers or strings, and
    JSON text of lists and tables.

    Args:
        records: of trials, in any order.
        sweep: that they are of; its quantities and keys give the columns.

    Raises:
        RunError: two trials have different numbers of replicas, so that nothing is paired.
    """
    rows = ranked(records)
    best = _best(rows)
    quantities = dict.fromkeys([*sweep.quantities, *(q for row in rows for q in row.quantities)])
    keys = dict.fromkeys([*sweep.over, *(key for row in rows for key in row.values)])
    behind = [_behind(row, best) if _is_ranked(row) else (None, None) for row in rows]
    whole, real, text = pa.int64(), pa.float64(), pa.string()
    columns: dict[str, pa.Array] = {
        "rank": pa.array([n if _is_ranked(row) else None for n, row in enumerate(rows, 1)], whole),
        "trial": pa.array([row.trial for row in rows], text),
        "number": pa.array([row.number for row in rows], whole),
        "status": pa.array([row.status for row in rows], text),
        "reason": pa.array([row.reason for row in rows], text),
        "epochs": pa.array([row.epochs for row in rows], whole),
        "of_epochs": pa.array([row.of_epochs for row in rows], whole),
        "best_epoch": pa.array([row.best_epoch for row in rows], whole),
        "seconds": pa.array([row.seconds for row in rows], real),
        "parameters": pa.array([row.parameters for row in rows], whole),
        "objective": pa.array([_value(row.objective) for row in rows], real),
        "objective_error": pa.array([_error(row.objective) for row in rows], real),
        "behind_best": pa.array([value for value, _ in behind], real),
        "behind_best_error": pa.array([error for _, error in behind], real),
    }
    for name in quantities:
        found = [row.quantities.get(name) for row in rows]
        columns[name] = pa.array([_value(one) for one in found], real)
        columns[f"{name}_error"] = pa.array([_error(one) for one in found], real)
    for key in keys:
        columns[f"{VALUE}{key}"] = _one_type([row.values.get(key) for row in rows])
    return pa.table(columns)


def summary(records: Sequence[TrialRecord], sweep: Sweep) -> dict[str, Any]:
    """What the trials say together, for JSON.

    ``counts`` by status; ``best``, the trial of rank 1; ``level``, the trials that are behind it
    by at most two errors of the paired difference, itself among them, or None where there are no
    errors; ``seconds`` and ``epochs`` of all; ``by_truth``, the quantities in the objective that
    truth is looked at for; ``correlations`` and ``importance``, see there.

    Raises:
        RunError: two trials have different numbers of replicas.
    """
    rows = ranked(records)
    best = _best(rows)
    return {
        "trials": len(rows),
        "counts": {status: sum(row.status == status for row in rows) for status in ORDER},
        "best": None if best is None else _told(best),
        "level": None if best is None else _level([r for r in rows if _is_ranked(r)], best),
        "seconds": float(sum(row.seconds for row in rows)),
        "epochs": sum(row.epochs for row in rows),
        "by_truth": [name for name in sweep.weights if name in BY_TRUTH],
        "correlations": correlations(records, sweep),
        "importance": importance(records, sweep),
    }


def ranked(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials, the best first: finished, stopped, those without an objective, failed."""

    def place(record: TrialRecord) -> tuple[bool, int, float, int]:
        value = _value(record.objective) if _is_ranked(record) else None
        down = 0.0 if value is None else -value
        return not _is_ranked(record), ORDER.index(record.status), down, record.number

    return sorted(records, key=place)


def _is_ranked(record: TrialRecord) -> bool:
    return record.status != "failed" and _value(record.objective) is not None


def _best(rows: Sequence[TrialRecord]) -> TrialRecord | None:
    return rows[0] if rows and _is_ranked(rows[0]) else None


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _value(quantity: Quantity | None) -> float | None:
    return None if quantity is None else _finite(quantity.value)


def _error(quantity: Quantity | None) -> float | None:
    return None if quantity is None else _finite(quantity.error)


def _behind(record: TrialRecord, best: TrialRecord | None) -> tuple[float | None, float | None]:
    """What a trial lacks to the best, and the error of that."""
    if best is None or best.objective is None or record.objective is None:
        return None, None
    behind = best.objective.value - record.objective.value
    ours, theirs = record.objective.draws(), best.objective.draws()
    if min(len(ours), len(theirs)) < 2:
        return behind, None
    if record.judged_events != best.judged_events:
        # Other [jets] drop other events: nothing is paired.
        return behind, _finite(float(np.hypot(np.std(ours, ddof=1), np.std(theirs, ddof=1))))
    if len(ours) != len(theirs):
        raise RunError(
            f"trial {record.trial} was judged by {len(ours)} replicas of the events, and trial"
            f" {best.trial} by {len(theirs)}; they can't be compared"
        )
    return behind, _finite(float(np.std(theirs - ours, ddof=1)))


def _level(rows: Sequence[TrialRecord], best: TrialRecord) -> list[str] | None:
    """Trials that are as good as the best, as far as errors tell."""
    if _error(best.objective) is None:
        return None
    found = []
    for row in rows:
        behind, error = _behind(row, best)
        if behind is not None and behind <= LEVEL * (error or 0.0):
            found.append(row.trial)
    return list(dict.fromkeys(found))


def _told(record: TrialRecord) -> dict[str, Any]:
    return {
        "trial": record.trial,
        "number": record.number,
        "status": record.status,
        "values": record.values,
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "parameters": record.parameters,
        "objective": _pair(record.objective),
        "quantities": {name: _pair(quantity) for name, quantity in record.quantities.items()},
    }


def _pair(quantity: Quantity | None) -> dict[str, float | None]:
    return {"value": _value(quantity), "error": _error(quantity)}


def _one_type(values: Sequence[Any]) -> pa.Array:
    """A column of values of any type that job files have: of one, by text if need be."""
    kinds = {type(value) for value in values if value is not None}
    match kinds:
        case _ if kinds == {bool}:
            return pa.array(values, pa.bool_())
        case _ if kinds == {int}:
            return pa.array(values, pa.int64())
        case _ if kinds and kinds <= {int, float}:
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if value is None else as_text(value) for value in values], pa.string())


def as_text(value: Any) -> str:
    """A value of a job's key as text: strings as they are, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
