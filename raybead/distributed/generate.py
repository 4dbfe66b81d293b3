"""Generating an LHC Olympics file: slices as Ray tasks, written in order as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from raybead.config import PythiaSource
from raybead.distributed.cluster import Cluster
from raybead.distributed.stream import Tick
from raybead.errors import InputError, RaybeadError
from raybead.events import Labels, Particles, Span, open_source, write_lhco


def generate(
    path: Path, source: PythiaSource, labels: Labels, cluster: Cluster, tick: Tick
) -> None:
    """Write the events of a generator to a file; see :func:`raybead.events.write_lhco`."""
    write_lhco(path, _slices(source, cluster, tick), source.events, labels)


def _slices(source: PythiaSource, cluster: Cluster, tick: Tick) -> Iterator[Particles]:
    spans = open_source(source).spans(source.slice_events)
    # A few more in flight than there are CPUs, so that memory stays bounded.
    flying: deque[Any] = deque()
    todo = iter(spans)
    for done in range(len(spans)):
        while len(flying) < cluster.cpus + 2 and (piece := next(todo, None)) is not None:
            flying.append(_slice.remote(source, piece))
        made: Any = ray.get(flying.popleft())
        if isinstance(made, str):
            raise InputError(made)
        tick(done + 1, len(spans), "slices")
        yield made


@ray.remote
def _slice(source: PythiaSource, span: Span) -> Particles | str:
    try:
        return open_source(source).read(span)[0]
    except RaybeadError as error:
        return str(error)
