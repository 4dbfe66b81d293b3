"""Events that a job reads twice: it may be meant and may not, so a user is told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from raybead.config import FileSource, LhcoSource
from raybead.events.sample import EventSample, Role, digest_of
from raybead.storage import absolute, open_input

Rows = tuple[float, float]
"""First row, and the one behind the last; infinite where a file is read to its end."""


def notes_on(samples: Mapping[Role, EventSample]) -> list[str]:
    """What a user should know of a job's files: events read twice, equal contents."""
    files = {role: list(_files(sample)) for role, sample in samples.items()}
    twice = [
        f"{path}: the same events are read more than once"
        for read in files.values()
        for path, ranges in _by_path(read).items()
        if any(before[1] > after[0] for before, after in pairwise(sorted(ranges)))
    ]
    both = read_by_both(files.get("background", ()), files.get("search", ()))
    return [*twice, *both, *_equal_contents(path for read in files.values() for path, _ in read)]


def recorded_by_both(
    background: Iterable[Mapping[str, Any]], search: Iterable[Mapping[str, Any]]
) -> list[str]:
    """The same of what :meth:`EventSample.depends` once said of both samples."""

    def files(sources: Iterable[Mapping[str, Any]]) -> list[tuple[str, Rows]]:
        return [
            (source["path"], _rows(source.get("start", 0), source.get("stop")))
            for source in sources
            if "path" in source
        ]

    return read_by_both(files(background), files(search))


def read_by_both(
    background: Iterable[tuple[str, Rows]], search: Iterable[tuple[str, Rows]]
) -> list[str]:
    """A sentence for every range of a file's rows that both samples read."""
    searched = _by_path(search)
    shared = {
        (path, max(mine[0], other[0]), min(mine[1], other[1]))
        for path, mine in background
        for other in searched.get(path, ())
    }
    return [
        f"background and search read the same events, {_in_words(path, first, stop)}"
        for path, first, stop in sorted(shared)
        if first < stop
    ]


def _in_words(path: str, first: float, stop: float) -> str:
    if stop < math.inf:
        return f"{stop - first:.0f} of {path} (rows {first:.0f} to {stop - 1:.0f})"
    return f"those of {path} from row {first:.0f} on" if first else f"all of {path}"


def _equal_contents(paths: Iterable[str]) -> Iterator[str]:
    sizes: dict[int, list[str]] = {}
    for path in dict.fromkeys(paths):
        with open_input(path) as stream:
            sizes.setdefault(stream.seek(0, 2), []).append(path)
    for alike in sizes.values():
        first: dict[str | None, str] = {}
        for path in alike if len(alike) > 1 else ():
            digest = digest_of(path)
            if digest in first:
                yield f"{path}: the same content as {first[digest]}"
            first.setdefault(digest, path)


def _files(sample: EventSample) -> Iterator[tuple[str, Rows]]:
    for source in sample.sources:
        if isinstance(source, FileSource):
            (path,) = source.paths
            ranged = isinstance(source, LhcoSource)
            yield absolute(path), _rows(source.start, source.stop) if ranged else _rows(0, None)


def _rows(start: int, stop: int | None) -> Rows:
    return start, math.inf if stop is None else stop


def _by_path(read: Iterable[tuple[str, Rows]]) -> dict[str, list[Rows]]:
    found: dict[str, list[Rows]] = {}
    for path, rows in read:
        found.setdefault(path, []).append(rows)
    return found
