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
from raybead.errors import RaybeadError, StorageError, TrainingError
from raybead.events import read_parquet, row_count
from raybead.graphs import COLUMNS, JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, EmdBundle, Recipe
from raybead.storage import Folder
from raybead.training import (
    EpochRecord,
    Split,
    Trainer,
    keep,
    kept_epochs,
    kept_name,
    prepare_gpu,
    reconstruction_histograms,
    split_by_event,
    start_bundle,
)

ITEMS_A_WORKER = 64
"""Items of a batch that make a further CPU worker worth while."""


def train(
    job: Job, events: Folder, resume: Folder, kept: Folder, cluster: Cluster, on_epoch: Epochs
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

    Returns:
        The bundle of the best epoch, and metrics: history and histograms of reconstruction.

    Raises:
        TrainingError: the loss diverges, workers don't fit the cluster, or are lost too often.
        StorageError: kept epochs that workers wrote aren't there.
    """
    outcome, workers = train_together(
        _train_worker,
        {"job": job.model_dump(mode="json"), "events": events, "kept": kept},
        job.train,
        "train",
        ITEMS_A_WORKER,
        resume,
        cluster,
        on_epoch,
    )
    epochs = kept_epochs(outcome["summary"]["epochs"], job.train.keep_every)
    unseen = {kept_name(epoch) for epoch in epochs} - set(kept.names())
    if unseen:
        raise StorageError(
            f"{kept}: {len(unseen)} of {len(epochs)} kept epochs aren't there: this machine and"
            " the workers don't share the folder; give output as a URI"
        )
    bundle = Bundle(
        recipe=_recipe(job),
        scaling=Scaling.from_dict(outcome["scaling"]),
        weights={name: torch.tensor(array) for name, array in outcome["weights"].items()},
        summary=outcome["summary"] | workers,
        emd=_emd(job),
    )
    return bundle, outcome["metrics"]


def _recipe(job: Job) -> Recipe:
    return Recipe(graph=job.graph, model=job.model, loss=job.loss)


def _emd(job: Job) -> EmdBundle | None:
    """The learned distance that the job's loss measures with."""
    for term in job.loss:
        if isinstance(term, EmdNetworkLoss):
            return EmdBundle.load(Folder.at(str(term.bundle)))
    return None


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
        job = Job.model_validate(config["job"])
        prepare_gpu(job.train.deterministic)
        return _train_here(job, config["events"], config["kept"], config["board"])
    except RaybeadError as error:
        return {"fault": str(error)}


def _train_here(job: Job, events: Folder, kept: Folder, board: Board) -> dict[str, Any]:
    jets, generators = load_jets(events, job)
    _refuse_one_generator(job, generators)
    split = split_by_event(jets.event_B, job.train, job.seed)
    start = _start(job)
    scaling = _fitted(job, jets, split) if start is None else start.scaling
    jets = scaling.apply(jets)
    torch.manual_seed(job.seed)
    device = ray.train.torch.get_device()
    model = _recipe(job).build().to(device)
    if start is not None:
        model.load_state_dict(start.weights)
    wrapped = ray.train.torch.prepare_model(model)
    team = RayTeam(device)
    loss = JetLoss(job.loss, Space(job.graph, scaling, device))
    trainer = Trainer(model, jets, split, loss, job.train, job.seed, team=team, wrapped=wrapped)
    counts = {
        "jets": dict(zip(split._fields, map(len, split), strict=True)),
        "generators": {
            label: int((jets.generator_B == code).sum()) for code, label in enumerate(generators)
        },
    }
    take_up(trainer)
    every = job.train.keep_every
    for record in trainer.epochs():
        if team.rank == 0:
            post(
                board,
                {**asdict(record), "epochs": job.train.epochs},
            )
            if every is not None and (record.epoch + 1) % every == 0:
                # Before the state: a try that is killed in between keeps the epoch again.
                _keep(job, model, scaling, record, counts, kept)
        leave_state(trainer, team.rank)
    progress = trainer.progress
    model.load_state_dict(progress.best_weights)
    # One item alone has no value of a loss that contrasts it with others.
    testable = len(split.test) > (1 if loss.contrasts else 0)
    test = trainer.evaluate(split.test)["loss"] if testable else math.nan
    held_out = split.test if len(split.test) else split.validation
    return {
        "weights": {name: tensor.cpu().numpy() for name, tensor in progress.best_weights.items()},
        "scaling": scaling.as_dict(),
        "summary": {
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch + 1,
            "validation_loss": progress.best_loss,
            "test_loss": None if math.isnan(test) else test,
            **counts,
        },
        "metrics": {
            "history": [asdict(record) for record in progress.history],
            "reconstruction": reconstruction_histograms(
                model, jets.select(held_out), scaling, loss
            ),
        },
    }


def _fitted(job: Job, jets: JetBatch, split: Split) -> Scaling:
    """The scaling, fitted on what is trained on alone."""
    train = jets.select(split.train)
    return Scaling.fit(job.graph, train.x_TF, train.efps_NE)


def _start(job: Job) -> Bundle | None:
    where = job.train.start_from
    return None if where is None else start_bundle(Folder.at(where), job.graph, job.model)


def _refuse_one_generator(job: Job, generators: tuple[str, ...]) -> None:
    for term in job.loss:
        if "generators" in term.needs and len(generators) < 2:
            raise TrainingError(
                f"loss {term.kind} tells generators apart, and the background that is trained on"
                f" names {', '.join(generators) or 'none'}; two at least are needed"
            )


def _keep(
    job: Job,
    model: torch.nn.Module,
    scaling: Scaling,
    record: EpochRecord,
    counts: dict[str, Any],
    kept: Folder,
) -> None:
    epoch = record.epoch + 1
    summary = {
        "epochs": epoch,
        "best_epoch": epoch,
        "validation_loss": record.validation,
        "test_loss": None,
        **counts,
    }
    keep(Bundle(_recipe(job), scaling, model.state_dict(), summary, _emd(job)), kept, epoch)
