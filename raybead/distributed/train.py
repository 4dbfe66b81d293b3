"""Training on Ray Train: any number of CPU or GPU workers, restartable at the last epoch."""

from __future__ import annotations

from typing import Any

import torch

from raybead.config import Job
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
from raybead.errors import RaybeadError, StorageError
from raybead.graphs import Scaling
from raybead.models import Bundle, Recipe
from raybead.storage import Folder
from raybead.training import (
    JobTraining,
    kept_epochs,
    kept_name,
    learned_distance,
    prepare_gpu,
)

ITEMS_A_WORKER = 64
"""Items of a batch that make a further CPU worker worth while."""


def train(
    job: Job,
    events: Folder,
    resume: Folder,
    kept: Folder,
    cluster: Cluster,
    on_epoch: Epochs,
    tick: Tick,
) -> tuple[Bundle, dict[str, Any]]:
    """Train the job's model on background events.

    Args:
        job: of which graph, model, loss, train and seed matter.
        events: prepared background.
        resume: where state is kept while training goes on; a try that was killed is taken up
            from there at the epoch where it stopped.
        kept: where the bundles of ``train.keep_every`` go.
        cluster: that the workers run on.
        on_epoch: told of every epoch.
        tick: told of the wait for nodes.

    Returns:
        The bundle of the best epoch, and metrics: history and histograms of reconstruction.

    Raises:
        TrainingError: the loss diverges, workers don't fit the cluster, or are lost too often.
        StorageError: kept epochs that workers wrote aren't there.
    """
    outcome = train_together(
        _train_worker,
        {"job": job.model_dump(mode="json"), "events": events, "kept": kept},
        crew := crew_of(job.train, "train", ITEMS_A_WORKER, cluster, job.resources.train),
        job.train.max_failures,
        resume,
        on_epoch,
        tick,
    )
    epochs = kept_epochs(outcome["summary"]["epochs"], job.train.keep_every)
    unseen = {kept_name(epoch) for epoch in epochs} - set(kept.names())
    if unseen:
        raise StorageError(
            f"{kept}: {len(unseen)} of {len(epochs)} kept epochs aren't there: this machine and"
            " the workers don't share the folder; give output as a URI"
        )
    bundle = Bundle(
        recipe=Recipe(graph=job.graph, model=job.model, loss=job.loss),
        scaling=Scaling.from_dict(outcome["scaling"]),
        weights={name: torch.tensor(array) for name, array in outcome["weights"].items()},
        summary=outcome["summary"] | crew.told(),
        emd=learned_distance(job.loss),
    )
    return bundle, outcome["metrics"]


def _train_worker(config: dict[str, Any]) -> dict[str, Any]:
    """What each worker runs. Errors that a user can mend come back as values."""
    try:
        job = Job.model_validate(config["job"])
        prepare_gpu(job.train.deterministic)
        return _train_here(job, config["events"], config["kept"], config["board"])
    except RaybeadError as error:
        return {"fault": str(error)}


def _train_here(job: Job, events: Folder, kept: Folder, board: Board) -> dict[str, Any]:
    place, every = RayPlace(), job.train.keep_every
    training = JobTraining.of(job, events, place)
    epochs, rank = job.train.epochs, place.team.rank
    for record in training.epochs(place, lambda ran: tell_begun(board, ran, epochs, rank)):
        tell_epoch(board, record, epochs, rank)
        if rank == 0 and every is not None and (record.epoch + 1) % every == 0:
            # Before the state: a try that is killed in between keeps the epoch again.
            training.keep(record, kept)
    bundle, metrics = training.finished()
    return {
        "weights": {name: tensor.cpu().numpy() for name, tensor in bundle.weights.items()},
        "scaling": bundle.scaling.as_dict(),
        "summary": bundle.summary,
        "metrics": metrics,
    }
