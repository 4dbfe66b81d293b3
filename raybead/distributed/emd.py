"""Training the learned energy mover's distance on Ray Train; see also ``emd_targets.py``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from raybead.config import Emd, GpuAsk
from raybead.distributed.board import Board
from raybead.distributed.cluster import Cluster
from raybead.distributed.stream import Tick
from raybead.distributed.workers import (
    Epochs,
    RayPlace,
    crew_of,
    tell_begun,
    tell_epoch,
    train_together,
)
from raybead.errors import RaybeadError
from raybead.events import read_parquet
from raybead.models.emd_bundle import EmdBundle
from raybead.models.emd_network import EmdNetwork
from raybead.preparing import files_of
from raybead.storage import Folder
from raybead.timing import timed
from raybead.training.emd import EmdTrainer, JetPairs, agreement, measured, split_of

PAIRS_A_WORKER = 8
"""Pairs of a batch that make a further CPU worker worth while."""


def train_emd(
    config: Emd,
    seed: int,
    targets: Folder,
    resume: Folder,
    cluster: Cluster,
    on_epoch: Epochs,
    tick: Tick,
    ask: GpuAsk,
) -> tuple[EmdBundle, dict[str, Any], pa.Table]:
    """Train the network on pairs with exact distances.

    Args:
        config: the network, and how it is trained.
        seed: the job's.
        targets: what :func:`raybead.distributed.emd_targets.emd_targets` wrote.
        resume: where state is kept while training goes on.
        cluster: that the workers run on.
        on_epoch: told of every epoch.
        tick: told of the wait for nodes.
        ask: what each worker asks for.

    Returns:
        The bundle of the best epoch; metrics, the history and the agreement with exact distances
        on held-out pairs; and these pairs, a row each: exact, learned and sliced distance.

    Raises:
        TrainingError: the loss diverges, workers don't fit the cluster, or are lost too often.
    """
    outcome = train_together(
        _train_worker,
        {"config": config.model_dump(mode="json"), "seed": seed, "targets": targets},
        crew := crew_of(config.train, "emd", PAIRS_A_WORKER, cluster, ask),
        config.train.max_failures,
        resume,
        on_epoch,
        tick,
    )
    held_out = pa.table(outcome["held_out"])
    metrics = {"history": outcome["history"], "agreement": agreement(held_out)}
    bundle = EmdBundle(
        config,
        {name: torch.tensor(array) for name, array in outcome["weights"].items()},
        outcome["summary"] | crew.told() | {"agreement": metrics["agreement"]},
    )
    return bundle, metrics, held_out


def _train_worker(given: dict[str, Any]) -> dict[str, Any]:
    """What each worker runs. Errors that a user can mend come back as values."""
    try:
        config = Emd.model_validate(given["config"])
        return _train_here(config, given["seed"], given["targets"], given["board"])
    except RaybeadError as error:
        return {"fault": str(error)}


def _train_here(config: Emd, seed: int, targets: Folder, board: Board) -> dict[str, Any]:
    with timed("load pairs"):
        table = pa.concat_tables(
            [read_parquet(targets.read(name), f"{targets}/{name}") for name in files_of(config)]
        )
        pairs, split = JetPairs.of(table), split_of(table.column("side").to_pylist())
    with timed("build"):
        torch.manual_seed(seed)
        place = RayPlace()
        network = EmdNetwork(config).to(place.device)
        wrapped = place.wrapped(network)
        trainer = EmdTrainer(network, pairs, split, config, seed, team=place.team, wrapped=wrapped)
    place.take_up(trainer)
    tell_begun(board, trainer.progress.history, config.epochs, place.team.rank)
    for record in trainer.epochs():
        tell_epoch(board, record, config.epochs, place.team.rank)
        with timed("checkpoint"):
            place.leave_state(trainer)
    if place.team.rank != 0:
        return {}
    progress = trainer.progress
    network.load_state_dict(progress.best_weights)
    held_out = table.select(["pair", "kind", "emd"]).take(split.test.numpy())
    with timed("test"):
        found = measured(network.eval(), pairs.select(split.test))
    return {
        "weights": {name: tensor.cpu().numpy() for name, tensor in progress.best_weights.items()},
        "history": [asdict(record) for record in progress.history],
        "held_out": {
            **{name: np.asarray(held_out.column(name)) for name in held_out.column_names},
            **found,
        },
        "summary": {
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch + 1,
            "validation_loss": progress.best_loss,
            "pairs": dict(zip(split._fields, map(len, split), strict=True)),
        },
    }
