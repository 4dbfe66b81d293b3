"""What a stage's processes ask Ray for, whether they can ever have it, and the wait for it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ray.exceptions import RayError

from raybead.config import Ask
from raybead.distributed.cluster import Cluster, cluster_now
from raybead.distributed.stream import Tick
from raybead.errors import ResourcesError

NOTHING_SAID = Ask()
"""Of a stage that the job file says nothing of."""
LEAST_CPU = 0.01
"""Of a process that Ray makes room for beforehand, where it asks for nothing else: nothing at all
is refused."""
LOOK_EVERY, SAY_EVERY = 5.0, 60.0
"""Seconds between looks at a cluster that has no room, and between lines about it."""


@dataclass(frozen=True)
class Wanted:
    """What one process asks for."""

    key: str
    """Section of the job file that says it, for errors."""
    cpus: float
    gpus: float = 0
    memory: int = 0
    """Bytes."""
    custom: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, ask: Ask, stage: str, cpus: float, gpus: float = 0) -> Wanted:
        """What a stage's process asks for.

        Args:
            ask: of the job file.
            stage: its name there.
            cpus: where the job file doesn't say.
            gpus: the stage's.
        """
        own = cpus if ask.cpus is None else ask.cpus
        return cls(f"resources.{stage}", own, gpus, int(ask.memory or 0), dict(ask.custom))

    def options(self) -> dict[str, Any]:
        """For Ray's tasks and actors, and those of Ray Data."""
        options: dict[str, Any] = {"num_cpus": self.cpus}
        if self.gpus:
            options["num_gpus"] = self.gpus
        if self.memory:
            options["memory"] = self.memory
        if self.custom:
            options["resources"] = dict(self.custom)
        return options

    def bundle(self) -> dict[str, float]:
        """For workers of Ray Train and trials of Tune, which are placed; never empty."""
        return self.amounts() or {"CPU": LEAST_CPU}

    def amounts(self) -> dict[str, float]:
        """By Ray's names, without what isn't asked for."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory, **self.custom}
        return {name: float(amount) for name, amount in named.items() if amount}

    def with_cpus(self, cpus: float) -> Wanted:
        return replace(self, cpus=cpus)

    def __str__(self) -> str:
        return _in_words(self.amounts())


def on_gpus(use_gpu: bool | Literal["auto"], cluster: Cluster) -> bool:
    """Whether a stage runs on GPUs: left to itself where there are some, or known to come."""
    return cluster.gpus > 0 or cluster.may_bring("GPU") if use_gpu == "auto" else use_gpu


def refuse_never(wanted: Wanted, n: int, what: str, cluster: Cluster) -> None:
    """Refuse what Ray would wait for for ever.

    Args:
        wanted: by one process.
        n: of them at a time at least.
        what: they are, in the plural.
        cluster: with all that may come to it, where that is known.

    Raises:
        ResourcesError: what is asked for, and what there is.
    """
    amounts = wanted.amounts()
    most = cluster.most_room(amounts)
    if most >= n:
        return
    where = "that may come has" if cluster.kinds else "here has"
    for name, amount in amounts.items():
        if amount > cluster.largest(name):
            raise ResourcesError(
                f"{wanted.key}.{_KEYS.get(name, f'custom.{name}')} = {_amount(name, amount)}: the"
                f" largest node {where} {_amount(name, cluster.largest(name))}"
            )
    if most == 0:
        raise ResourcesError(f"{wanted.key}: no node {where} {wanted} at once")
    raise ResourcesError(
        f"{wanted.key}: {n} {what} of {wanted} each are asked for, and there is room for"
        f" {int(most)}"
    )


@contextlib.contextmanager
def awaited(wanted: Wanted, n: int, what: str, tick: Tick) -> Iterator[Cluster]:
    """For the length of a block, say what is waited for while the cluster has no room for it.

    Nodes come after a while, or are lost on the way; Ray waits for them without a word.

    Args:
        wanted: by one process.
        n: of them at a time at least.
        what: they are, in the plural.
        tick: told of the wait.

    Returns:
        The cluster as it is at the beginning.

    Raises:
        ResourcesError: what can never be had.
    """
    cluster = cluster_now()
    refuse_never(wanted, n, what, cluster)
    over = threading.Event()

    def watch() -> None:
        told = -SAY_EVERY
        while not over.wait(LOOK_EVERY):
            with contextlib.suppress(RayError, OSError, RuntimeError):
                now = cluster_now()
                if now.room(wanted.amounts()) >= n:
                    continue
                if time.monotonic() - told >= SAY_EVERY:
                    told = time.monotonic()
                    tick(
                        0,
                        0,
                        f"waiting for {_counted(n, what, wanted)}; the cluster has {now.has()}",
                    )

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield cluster
    finally:
        over.set()
        watcher.join()


def _counted(n: int, what: str, wanted: Wanted) -> str:
    return f"{n} {what} of {wanted}" if n > 1 else f"a node with {wanted}"


_KEYS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory"}


def _amount(name: str, amount: float) -> str:
    return f"{amount / 1e9:.3g} GB" if name == "memory" else f"{amount:g}"


def _in_words(amounts: Mapping[str, float]) -> str:
    """Such as "4 CPUs, 2 GB of memory and 1 GPU"."""
    words = []
    for name, amount in amounts.items():
        of = {"CPU": " CPU", "GPU": " GPU", "memory": " of memory"}.get(name, f" {name}")
        plural = "s" if name in ("CPU", "GPU") and amount != 1 else ""
        words.append(f"{_amount(name, amount)}{of}{plural}")
    if len(words) < 2:
        return words[0] if words else "nothing"
    return f"{', '.join(words[:-1])} and {words[-1]}"
