"""What is seen of a run from outside: who works, and at which epoch its state is."""

from __future__ import annotations

import contextlib
import io
import threading
from pathlib import Path
from typing import Any

import psutil
import torch
from faults.processes import raylet_of, workers

TITLES = {
    "prepare": "_prepare_shards",
    "train": "RayTrainWorker",
    "score": "ScoreActor",
    "hunt": "_toys",
    "calibrate": "_alarms",
    "sweep": "ImplicitFunc",
}
"""Of workers at a verb's last stage."""


class Watch(threading.Thread):
    """Notes processes that work at a stage, and epochs that their state is left of.

    Args:
        root: of whose descendants are looked at.
        title: of workers.
        run: folder of the run.
    """

    def __init__(self, root: int, title: str, run: str) -> None:
        super().__init__(daemon=True)
        self._root, self._title, self._run = root, title, Path(run)
        self.pids: set[int] = set()
        self.raylets: set[int] = set()
        self.epochs: list[int] = []
        """Of states, as they come."""
        self._states: set[tuple[str, int]] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for worker in workers(self._root, self._title):
                if worker.pid not in self.pids:
                    with contextlib.suppress(psutil.Error, StopIteration):
                        self.raylets.add(raylet_of(worker))
                        self.pids.add(worker.pid)
            if self._title in (TITLES["train"], TITLES["sweep"]):
                self.look()

    def look(self) -> None:
        with contextlib.suppress(OSError):
            for state in sorted(self._run.rglob("state.pt"), key=lambda path: str(path)):
                key = str(state), state.stat().st_mtime_ns
                if key not in self._states:
                    try:
                        held = torch.load(io.BytesIO(state.read_bytes()), weights_only=True)
                    except (RuntimeError, EOFError):  # half there
                        continue
                    self.epochs.append(epoch_of(held))
                    self._states.add(key)


def epoch_of(state: dict[str, Any]) -> int:
    """Epochs that a training's state has behind it."""
    return len(state["progress"]["history"])
