"""Consecutive events of one source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Events ``start <= row < stop`` of a file, counted from 0."""

    start: int
    stop: int
    place: tuple[int, int] | None = None
    """Where they lie in the file, first byte and end, for a source that can't tell from rows."""

    def __len__(self) -> int:
        return self.stop - self.start


def even_spans(start: int, stop: int, step: int) -> list[Span]:
    """Spans of ``step`` rows that cover ``start <= row < stop``."""
    return [Span(first, min(first + step, stop)) for first in range(start, stop, step)]
