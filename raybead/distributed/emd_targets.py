"""Exact energy mover's distances on Ray Data, which a network is then trained on.

A file of its own: who computes distances needs no torch, which takes seconds to load.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import ray

from raybead.config import Ask, Emd
from raybead.distributed.asks import NOTHING_SAID, Wanted, awaited
from raybead.distributed.stream import Task, Tick, attempt, outcomes, result_of
from raybead.errors import StorageError
from raybead.events import table_bytes
from raybead.preparing import JetPool, files_of, make_pairs, pool_of
from raybead.storage import Folder
from raybead.timing import count, timed


def emd_targets(
    events: Folder,
    config: Emd,
    seed: int,
    folder: Folder,
    tick: Tick,
    ask: Ask = NOTHING_SAID,
) -> None:
    """Make the pairs of jets and their exact distances.

    Files that an earlier try left are kept: they hold what would be written again.

    Args:
        events: prepared background.
        config: which pairs.
        seed: the job's.
        folder: that the files go to.
        tick: told of files done.
        ask: what a task asks the cluster for.

    Raises:
        InputError: the background is too small.
        ResourcesError: no node of the cluster has, nor may have, what a task asks for.
        StorageError: files can't be written.
        RunError: workers died again and again.
    """
    names = files_of(config)
    done = set(folder.names(".parquet"))
    missing = [number for number, name in enumerate(names) if name not in done]
    finished = len(names) - len(missing)
    tick(finished, len(names), "files of pairs")
    if not missing:
        return
    wanted = Wanted.of(ask, "prepare", cpus=1)
    with awaited(wanted, 1, "tasks", tick):
        pool = _pool.options(**wanted.options()).remote(events, config, seed)
        result_of(_fault_of.remote(pool))
        found = outcomes(
            len(missing),
            _make,
            fn_kwargs={
                "numbers": missing,
                "pool": [pool],  # in a list, so that tasks ask for it rather than Ray Data
                "config": config,
                "seed": seed,
                "folder": folder,
            },
            max_retries=2,
            **wanted.options(),
        )
        for _ in found:
            finished += 1
            tick(finished, len(names), "files of pairs")
    unseen = set(names) - set(folder.names(".parquet"))
    if unseen:
        raise StorageError(
            f"{folder}: {len(unseen)} of {len(names)} files that workers wrote aren't there:"
            " this machine and the workers don't share the folder; give output as a URI"
        )


@Task
def _pool(events: Folder, config: Emd, seed: int) -> JetPool:
    return pool_of(events, config, seed)


@ray.remote(num_cpus=0)
def _fault_of(pool: Any) -> Any:
    """A fault alone: the jets stay where they are, off the machine that asks."""
    return None if isinstance(pool, JetPool) else pool


def _make(
    pieces: pa.Table,
    *,
    numbers: list[int],
    pool: list[Any],
    config: Emd,
    seed: int,
    folder: Folder,
) -> pa.Table:
    # POT would load torch, which it has no use for here.
    os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")
    jets: JetPool = ray.get(pool[0])

    def make(piece: int) -> int:
        number = numbers[piece]
        with timed("distances"):
            table = make_pairs(jets, config, seed, number)
        with timed("write"):
            content = table_bytes(table)
            folder.write(files_of(config)[number], content)
        count("pairs", len(table))
        count("bytes_written", len(content))
        return len(table)

    return attempt(pieces, make)
