"""A notice board: workers post how far they are, the driver reads it while it waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Board = Any
"""Handle of a board's actor."""


@ray.remote(num_cpus=0)
class _BoardActor:
    def __init__(self) -> None:
        self._notes: list[dict[str, Any]] = []

    def post(self, note: dict[str, Any]) -> None:
        self._notes.append(note)

    def since(self, number: int) -> list[dict[str, Any]]:
        return self._notes[number:]


def post(board: Board, note: dict[str, Any], *, wait: bool = False) -> None:
    """Put a note on the board; doesn't wait, and never fails the work that it tells of.

    Args:
        board: that it goes to.
        note: to be put there.
        wait: whether it is there afterwards; for a last note, whose worker then ends.
    """
    posted = board.post.remote(note)
    if wait:
        with contextlib.suppress(RayError):
            ray.get(posted)


@contextlib.contextmanager
def watched(on_note: Callable[[dict[str, Any]], None]) -> Iterator[Board]:
    """A board whose notes ``on_note`` gets, in order, until the block ends."""
    # Beside who reads it: a lost node would take the notes of a board along, and one that only
    # holds a board is idle, and would be taken away.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board: Board = _BoardActor.options(scheduling_strategy=here).remote()
    over = threading.Event()
    seen = 0

    def read() -> None:
        nonlocal seen
        with contextlib.suppress(RayError):
            for note in ray.get(board.since.remote(seen)):
                seen += 1
                on_note(note)

    def watch() -> None:
        while not over.wait(0.5):
            read()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield board
    finally:
        over.set()
        watcher.join()
        read()
        ray.kill(board)
