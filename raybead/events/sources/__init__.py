"""Raw events from wherever they are: one small file a source, one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from raybead.config import LhcoSource, PythiaSource, Source
from raybead.events.particles import Particles
from raybead.events.sources.lhco import LhcoReader
from raybead.events.sources.pythia import PythiaGenerator


class EventSource(Protocol):
    """Rows of raw events, read range by range."""

    def ranges(self, rows_per_task: int) -> list[tuple[int, int]]:
        """Row ranges that cover the source, each for one task, in order.

        Raises:
            InputError: what the source reads isn't what it should be.
        """
        ...

    def read(self, start: int, stop: int) -> tuple[Particles, Mapping[str, int]]:
        """Rows ``start:stop``, and how many of them each named cut of the source dropped.

        Raises:
            InputError: naming file, row and reason.
        """
        ...

    def depends(self) -> dict[str, object]:
        """What the events follow from: the part of the job, and the inputs' fingerprints."""
        ...


def open_source(config: Source) -> EventSource:
    """The source that a job file's ``[data.*]`` section describes."""
    match config:
        case LhcoSource():
            return LhcoReader(config)
        case PythiaSource():
            return PythiaGenerator(config)


__all__ = ["EventSource", "open_source"]
