"""Sweeps of a small job, for tests."""

from __future__ import annotations

from typing import Any

from raybead.config import Sweep, job_of
from raybead.sweeping.space import Space

RAW: dict[str, Any] = {
    "name": "a",
    "data": {
        "background": {"source": "pythia", "events": 10},
        "search": {"source": "lhco", "path": "x.h5"},
    },
}


def swept(over: dict[str, Any], raw: dict[str, Any] | None = None, **says: Any):
    """The sweep that a job says, and the job as read."""
    raw = {**RAW, **(raw or {}), "sweep": {"over": over, **says}}
    sweep = job_of(raw).sweep
    assert isinstance(sweep, Sweep)
    return sweep, raw


def space_of(over: dict[str, Any], raw: dict[str, Any] | None = None, **says: Any) -> Space:
    return Space.of(*swept(over, raw, **says))
