"""Which run and stage a driver works for; it travels with the work that is handed out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from raybead.distributed.cluster import Cluster
from raybead.profiling import Profile
from raybead.storage import Stage
from raybead.timing import Recording, Seen

Gather = Callable[[Seen], None]


@dataclass(frozen=True)
class Watch:
    """What a piece of work is done for."""

    run: str = ""
    stage: str = ""
    measured: bool = False
    """Whether what becomes of each piece is wanted back."""


_NOBODY = Watch()
working_for: ContextVar[Watch] = ContextVar("watch", default=_NOBODY)
_gather: ContextVar[Gather | None] = ContextVar("gather", default=None)
_flying: ContextVar[list[Any] | None] = ContextVar("flying", default=None)


def watch() -> Watch:
    """What is worked for, here and now: in a driver, or in a worker at a piece."""
    return working_for.get()


@contextlib.contextmanager
def at_stage(
    run: str, stage: Stage, cluster: Cluster | None, profile: Profile | None
) -> Iterator[None]:
    """In a driver: the block is a run's stage.

    Args:
        run: the job's name.
        stage: that is done.
        cluster: that it is done on; None where this process does it.
        profile: that it is to be in, if there is one.
    """
    if profile is None:
        with watching(Watch(run, stage.name)):
            yield
    elif cluster is None:
        with profile.stage(stage, 1, 0) as add:
            with Recording() as here:
                yield
            add(here.seen("driver"))
    else:
        what = Watch(run, stage.name, measured=True)
        with profile.stage(stage, cluster.cpus, cluster.gpus) as add, watching(what, add):
            yield


@contextlib.contextmanager
def watching(what: Watch, gather: Gather | None = None) -> Iterator[None]:
    """Work that is handed out in the block is done for a run's stage.

    Args:
        what: is worked for.
        gather: gets what became of each piece, where that is measured.
    """
    flying: list[Any] = []
    was, before, above = working_for.set(what), _gather.set(gather), _flying.set(flying)
    try:
        yield
        if flying:
            import ray  # by now a session has set it up

            for told in ray.get(flying):
                gathered(told)
    finally:
        working_for.reset(was)
        _gather.reset(before)
        _flying.reset(above)


def gathered(told: str | None) -> None:
    """In a driver: take in what a piece came back with."""
    gather = _gather.get()
    if told is not None and gather is not None:
        gather(Seen.from_dict(json.loads(told)))


def gathered_later(reference: Any) -> None:
    """In a driver: take in what a task comes back with, when its stage is over."""
    flying = _flying.get()
    if flying is not None and _gather.get() is not None:
        flying.append(reference)
