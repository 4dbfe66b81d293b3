"""Raw events from wherever they are: one small file a source, one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from raybead.config import (
    BeadCsvSource,
    LhcoSource,
    ParquetSource,
    PythiaSource,
    RootSource,
    Source,
)
from raybead.events.particles import Particles
from raybead.events.sources.bead_csv import BeadCsvReader
from raybead.events.sources.lhco import LhcoReader
from raybead.events.sources.nested import ParquetReader
from raybead.events.sources.pythia import PythiaGenerator
from raybead.events.sources.root import RootReader
from raybead.events.span import Span


class EventSource(Protocol):
    """Events of one file, or of one generator, read span by span."""

    def spans(self, rows_per_task: int) -> list[Span]:
        """Spans that cover the events, in order, each of ``rows_per_task`` at most.

        Raises:
            InputError: what the source reads isn't what it should be.
        """
        ...

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        """The events of a span, and how many each named cut of the source dropped.

        Raises:
            InputError: naming file, row and reason.
            DamagedError: the span can't be read at all.
        """
        ...

    def depends(self) -> dict[str, object]:
        """What the events follow from: the part of the job, and the file's fingerprint."""
        ...


def open_source(config: Source) -> EventSource:
    """The source of one file or generator.

    Args:
        config: a ``[data.*]`` section whose ``path`` is a single file; see
            :mod:`raybead.events.sample` for folders and patterns.
    """
    match config:
        case LhcoSource():
            return LhcoReader(config)
        case BeadCsvSource():
            return BeadCsvReader(config)
        case ParquetSource():
            return ParquetReader(config)
        case RootSource():
            return RootReader(config)
        case PythiaSource():
            return PythiaGenerator(config)


__all__ = ["EventSource", "open_source"]
