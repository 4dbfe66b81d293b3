"""Training on Ray Train: any number of CPU or GPU workers, restartable at the last epoch."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import ray.train.torch
import torch

from raybead.config import EmdNetworkLoss, Job
from raybead.distributed.board import Board, post
from raybead.distributed.session import Cluster
from raybead.distributed.workers import Epochs, RayTeam, leave_state, take_up, train_together
from raybead.errors import RaybeadError
from raybead.events import read_parquet, row_count
from raybead.graphs import COLUMNS, JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, EmdBundle, Recipe
from raybead.storage import Folder
from raybead.training import Trainer, reconstruction_histograms, split_by_event

ITEMS_A_WORKER = 64
"""Items of a batch that make a further CPU worker worth while."""


def train(
    job: Job, events: Folder, resume: Folder, cluster: Cluster, on_epoch: Epochs
) -> tuple[Bundle, dict[str, Any]]:
    """Train the job's model on background events.

    Args:
        job: of which graph, model, loss, train and seed matter.
        events: prepared background.
        resume: where state is kept while training goes on; a try that was killed is taken up
            from there at the epoch where it stopped.
        cluster: that the workers run on.
        on_epoch: told of every epoch.

    Returns:
        The bundle of the best epoch, and metrics: history and histograms of reconstruction.

    Raises:
        TrainingError: the loss diverges, workers don't fit the cluster, or are lost too often.
    """
    outcome, workers = train_together(
        _train_worker,
        {"job": job.model_dump(mode="json"), "events": events},
        job.train,
        "train",
        ITEMS_A_WORKER,
        resume,
        cluster,
        on_epoch,
    )
    bundle = Bundle(
        recipe=Recipe(graph=job.graph, model=job.model, loss=job.loss),
        scaling=Scaling.from_dict(outcome["scaling"]),
        weights={name: torch.tensor(array) for name, array in outcome["weights"].items()},
        summary=outcome["summary"] | workers,
        emd=next(
            (
                EmdBundle.load(Folder.at(str(term.bundle)))
                for term in job.loss
                if isinstance(term, EmdNetworkLoss)
            ),
            None,
        ),
    )
    return bundle, outcome["metrics"]


def load_jets(events: Folder, job: Job) -> tuple[JetBatch, tuple[str, ...]]:
    """Jets of a folder of prepared events that training may look at, features unscaled.

    Where a job caps them, they are taken evenly from all: generators lie one behind another.
    """
    files = events.names(".parquet")
    rows = [row_count(events, name) for name in files]
    total = sum(rows)
    wanted = total if job.train.max_events is None else min(job.train.max_events, total)
    parts, generators, seen, taken = [], [], 0, 0
    for name, n in zip(files, rows, strict=True):
        seen += n
        share = wanted * seen // max(total, 1) - taken
        taken += share
        if share == 0:
            continue
        table = read_parquet(events.read(name), f"{events}/{name}", COLUMNS)
        table = table.take(np.arange(share) * n // share) if share < n else table
        new = table.column("generator").drop_null().unique().to_pylist()
        generators += [label for label in new if label not in generators]
        parts.append(collate(table, job.graph, tuple(generators)))
    return JetBatch.cat(parts), tuple(generators)


def _train_worker(config: dict[str, Any]) -> dict[str, Any]:
    """What each worker runs. Errors that a user can mend come back as values."""
    try:
        return _train_here(Job.model_validate(config["job"]), config["events"], config["board"])
    except RaybeadError as error:
        return {"fault": str(error)}


def _train_here(job: Job, events: Folder, board: Board) -> dict[str, Any]:
    jets, generators = load_jets(events, job)
    split = split_by_event(jets.event_B, job.train, job.seed)
    scaling = Scaling.fit(job.graph, jets.select(split.train).x_TF)
    jets = scaling.apply(jets)
    torch.manual_seed(job.seed)
    recipe = Recipe(graph=job.graph, model=job.model, loss=job.loss)
    device = ray.train.torch.get_device()
    model = recipe.build().to(device)
    wrapped = ray.train.torch.prepare_model(model)
    team = RayTeam(device)
    loss = JetLoss(job.loss, Space(job.graph, scaling, device))
    trainer = Trainer(model, jets, split, loss, job.train, job.seed, team=team, wrapped=wrapped)
    take_up(trainer)
    for record in trainer.epochs():
        if team.rank == 0:
            post(
                board,
                {**asdict(record), "epochs": job.train.epochs},
            )
        leave_state(trainer, team.rank)
    progress = trainer.progress
    model.load_state_dict(progress.best_weights)
    test = trainer.evaluate(split.test)["loss"] if len(split.test) else math.nan
    held_out = split.test if len(split.test) else split.validation
    return {
        "weights": {name: tensor.cpu().numpy() for name, tensor in progress.best_weights.items()},
        "scaling": scaling.as_dict(),
        "summary": {
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch + 1,
            "validation_loss": progress.best_loss,
            "test_loss": None if math.isnan(test) else test,
            "jets": dict(zip(split._fields, map(len, split), strict=True)),
            "generators": {
                label: int((jets.generator_B == code).sum())
                for code, label in enumerate(generators)
            },
        },
        "metrics": {
            "history": [asdict(record) for record in progress.history],
            "reconstruction": reconstruction_histograms(model, jets.select(held_out), scaling),
        },
    }
