"""Numbered pieces of work through Ray Data; each ends in a result or in an error as a value."""

from __future__ import annotations

import copy
import functools
import gc
import json
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)

from raybead import errors
from raybead.distributed.observed import Observed
from raybead.distributed.operators import tell_operators
from raybead.distributed.watch import Watch, gathered, gathered_later, watch
from raybead.errors import RaybeadError, RunError
from raybead.timing import Recording

Tick = Callable[[int, int, str], None]
"""Called with pieces done, pieces in all, and a remark; of none in all, the remark is a note."""

OUTCOME = pa.schema(
    [
        ("piece", pa.int64()),
        ("result", pa.string()),
        ("fault", pa.string()),
        ("text", pa.string()),
        ("seen", pa.string()),
    ]
)


def attempt(
    pieces: pa.Table, work: Callable[[int], Any], before: Recording | None = None
) -> pa.Table:
    """Do the pieces of a batch; results are JSON.

    What a user can mend travels as a value: Ray would wrap an exception in tracebacks, and
    might try again what can't succeed.

    Args:
        pieces: their numbers, and what they are done for, as :func:`outcomes` hands them out.
        work: does one.
        before: what this process did beforehand; told with the first piece.
    """
    rows = []
    for given in pieces.to_pylist():
        piece = given.pop("id")
        row = {"piece": piece, "result": None, "fault": None, "text": None}
        with Observed(Watch(**given), f"piece {piece}", before) as observed:
            try:
                row["result"] = json.dumps(work(piece))
            except RaybeadError as error:
                row |= {"fault": type(error).__name__, "text": str(error)}
                observed.fault = str(error)
        before = None
        rows.append({**row, "seen": observed.told()})
    return pa.Table.from_pylist(rows, schema=OUTCOME)


def told(work: Callable[..., Any]) -> Any:
    """A Ray task's function that returns an error a user can mend as (class, text)."""

    @functools.wraps(work)
    def careful(*arguments: Any) -> Any:
        try:
            return work(*arguments)
        except RaybeadError as error:
            return type(error).__name__, str(error)

    return careful


class Task:
    """A Ray task of a function whose errors are :func:`told`, seen at work for the driver's stage.

    Has a remote function's ``remote`` and ``options``. What the function returns is one object;
    what became of the work is another, which the driver fetches when the stage is over.
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self._remote: Any = ray.remote(num_returns=2)(_observed(work))

    def options(self, **asked: Any) -> Task:
        """The same task, which asks for something."""
        other = copy.copy(self)
        other._remote = self._remote.options(**asked)
        return other

    def remote(self, *arguments: Any) -> Any:
        """Submit it; a reference to what it will return."""
        result, seen = self._remote.remote(watch(), *arguments)
        gathered_later(seen)
        return result


def _observed(work: Callable[..., Any]) -> Callable[..., Any]:
    careful = told(work)

    def seen(what: Watch, *arguments: Any) -> tuple[Any, str | None]:
        with Observed(what, work.__name__.strip("_")) as observed:
            result = careful(*arguments)
            match result:
                case (str(), str(text)):
                    observed.fault = text
        return result, observed.told()

    # What Ray shows the task as; all of functools.wraps would tell it other arguments.
    seen.__module__, seen.__qualname__, seen.__name__ = (
        work.__module__, work.__qualname__, work.__name__
    )  # fmt: skip
    return seen


def result_of(reference: Any) -> Any:
    """What a :func:`told` task returned; an error that it told is raised here."""
    try:
        result = ray.get(reference)
    except RayTaskError:  # a defect: what raised it is wanted in full
        raise
    except RayError as error:
        raise RunError(
            f"worker processes died at the same task again and again: {_kind(error)}; the same"
            " command goes on from here"
        ) from error
    match result:
        case (str(fault), str(text)):
            raise getattr(errors, fault)(text)
        case _:
            return result


LOST_NODES = 100
"""How often what was at work on nodes that are lost is begun anew. A piece that crashes its worker
loses no node."""


def outcomes(n: int, work: Any, **options: Any) -> Iterator[tuple[int, Any]]:
    """Results of ``n`` pieces as they come, in any order.

    Args:
        n: pieces, numbered from 0; each is a block of its own.
        work: function or class for ``map_batches`` that hands its batch to :func:`attempt`.
        options: for ``map_batches``.

    Raises:
        RaybeadError: that a piece ended in.
        RunError: workers died at the same piece more often than ``options`` try it again.
    """
    left, lost = list(range(n)), 0
    while left:
        undone = set(left)
        try:
            for piece, result in _round(left, work, options):
                undone.discard(piece)
                yield piece, result
        except RayTaskError:  # a defect: what raised it is wanted in full
            raise
        except RayError as error:
            # Ray counts a node that goes without notice against the piece, like a crash.
            lost += (by_node := _went_with_node(error))
            _let_go(error)
            if not by_node or lost > LOST_NODES:
                raise RunError(
                    "worker processes died at the same piece of work again and again,"
                    f" {n - len(undone)} of {n} were done: {_kind(error)}; the same command goes"
                    " on from here"
                ) from error
        left = sorted(undone)


def _round(numbers: list[int], work: Any, options: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Results of pieces as they come, until one can't be had."""
    import ray.data  # takes a second, and tasks that only tell of themselves have no use for it

    # Blocks that are there already: reading a range would be an operator of its own, for which
    # Ray Data keeps back half of a small machine. Tables that are given would be looked at by a
    # task each; of items the driver knows all.
    items = [{"id": number, **asdict(watch())} for number in numbers]
    pieces = ray.data.from_items(items, override_num_blocks=len(items))
    # Outcomes are small. Reserving room for outputs not yet known, Ray Data would begin with one
    # piece at a time and start the second worker only when the first piece is done.
    pieces.context.op_resource_reservation_enabled = False
    with warnings.catch_warnings():
        # max_retries has no named parameter yet, and without it Ray tries for ever.
        warnings.filterwarnings("ignore", message=".*ray_remote_args.* is deprecated")
        done = pieces.map_batches(work, batch_size=None, batch_format="pyarrow", **options)
    for table in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        rows: Any = table  # the format asked for is Arrow
        for row in rows.to_pylist():
            gathered(row["seen"])
            if row["fault"] is not None:
                raise getattr(errors, row["fault"])(row["text"])
            yield row["piece"], json.loads(row["result"])
    tell_operators(done)


def _let_go(error: BaseException | None) -> None:
    """Let go of what frames of an error hold, down to its first cause.

    An actor lives, and keeps its CPUs, as long as a handle does. Those of a pool that failed are
    held by frames, which the error holds, which they hold: until the garbage is collected, which
    in a process that waits for room may be never.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def _went_with_node(error: RayError) -> bool:
    """Whether a task or an actor was lost because its node was."""
    if isinstance(error, RayActorError):
        return error.preempted or "node has died" in str(error)
    return isinstance(error, NodeDiedError)


def _kind(error: RayError) -> str:
    """What became of a worker, in words; Ray's own are paragraphs."""
    match error:
        case OutOfMemoryError():
            return "out of memory"
        case _ if _went_with_node(error):
            return "a node was lost"
        case _:
            return "killed (short of memory?), or crashed by its input"
