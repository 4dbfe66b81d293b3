"""The hunt as Ray tasks: pseudo-experiments in chunks, and one last task for the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import ray

from raybead.config import Hunt
from raybead.distributed.stream import Tick, result_of, told
from raybead.errors import HuntError, RaybeadError
from raybead.events import read_parquet
from raybead.hunt import (
    CHUNK,
    Prepared,
    Sample,
    conclude,
    conclude_cut,
    evaluate,
    prepare_cut,
    toy_statistics,
)
from raybead.scoring import SCORED
from raybead.storage import Folder

RESULT = "result.json"
CHUNKS_A_TASK = 5


def hunt(scores: Folder, config: Hunt, seed: int, folder: Folder, tick: Tick) -> dict[str, Any]:
    """Hunt at every cut and write ``result.json``.

    Args:
        scores: event scores of both samples.
        config: cuts, background, scan.
        seed: of the pseudo-experiments.
        folder: that the result goes to.
        tick: told of chunks of pseudo-experiments done.

    Returns:
        The result. A cut that can't be hunted at is in it with the reason.

    Raises:
        HuntError: no cut can be hunted at.
    """
    cuts: list[Prepared | str] = result_of(_prepare.remote(scores, config))
    if all(isinstance(cut, str) for cut in cuts):
        raise HuntError(str(cuts[0]))
    most = 100_000 if config.toys == "auto" else config.toys
    tasks: list[list[Any]] = [[] for _ in cuts]
    for number, cut in enumerate(cuts):
        if not isinstance(cut, str):
            shared = ray.put(cut)
            for first in range(0, math.ceil(most / CHUNK), CHUNKS_A_TASK):
                n = min(CHUNKS_A_TASK * CHUNK, most - first * CHUNK)
                tasks[number].append(_toys.remote(shared, n, (seed, number), first))
    waiting = [task for of_cut in tasks for task in of_cut]
    total = len(waiting)
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=1)
        tick(total - len(waiting), total, "batches of pseudo-experiments")
    return result_of(_conclude.remote(scores, cuts, tasks, folder))


@ray.remote
@told
def _prepare(scores: Folder, config: Hunt) -> list[Prepared | str]:
    search, background = _sample(scores, "search"), _sample(scores, "background")
    cuts: list[Prepared | str] = []
    for quantile in config.cuts:
        try:
            cuts.append(prepare_cut(search, background, quantile, config))
        except RaybeadError as error:
            cuts.append(str(error))
    return cuts


@ray.remote
def _toys(cut: Prepared, n: int, seed: tuple[int, ...], first: int) -> np.ndarray:
    return toy_statistics(cut.background, cut.windows, n, seed, first)


@ray.remote
@told
def _conclude(
    scores: Folder, cuts: list[Prepared | str], tasks: list[list[Any]], folder: Folder
) -> dict[str, Any]:
    found, refused = [], []
    for cut, parts in zip(cuts, tasks, strict=True):
        if isinstance(cut, str):
            refused.append(cut)
        else:
            found.append(conclude_cut(cut, np.concatenate(ray.get(parts))))
    table = read_parquet(scores.read("search.parquet"), f"{scores}/search.parquet")
    result = {
        "cuts": found,
        "refused": refused,
        "conclusion": conclude(found),
        "evaluation": evaluate(table, tuple(SCORED)),
    }
    folder.write_json(RESULT, result)
    return result


def _sample(scores: Folder, role: str) -> Sample:
    name = f"{role}.parquet"
    return Sample.of(
        read_parquet(scores.read(name), f"{scores}/{name}", ["event", "mjj", "score", "weight"])
    )
