"""Training on Ray Train: any number of CPU or GPU workers, restartable at the last epoch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed
from ray.exceptions import RayError
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

from raybead.config import Job, Train
from raybead.distributed.board import Board, post, watched
from raybead.distributed.session import Cluster
from raybead.errors import RaybeadError, TrainingError
from raybead.events import read_parquet, row_count
from raybead.graphs import COLUMNS, JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Recipe
from raybead.storage import Folder
from raybead.training import Trainer, reconstruction_histograms, split_by_event

STATE = "state.pt"
ITEMS_A_WORKER = 64
"""Items of a batch that make a further CPU worker worth while."""

Epochs = Callable[[dict[str, Any]], None]


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
    workers, use_gpu = _workers(job.train, cluster)
    cpus = 1 if use_gpu else max(1, min(cluster.cpus // workers, cluster.largest_cpus))
    _refuse_misfit(workers, use_gpu, cluster)
    resume.make()
    filesystem, path = (None, resume.uri) if resume.is_local else resume.arrow()
    with watched(on_epoch) as board:
        trainer = ray.train.torch.TorchTrainer(
            _train_worker,
            train_loop_config={
                "job": job.model_dump(mode="json"),
                "events": events,
                "board": board,
            },
            scaling_config=ScalingConfig(
                num_workers=workers,
                use_gpu=use_gpu,
                resources_per_worker={"CPU": cpus} | ({"GPU": 1} if use_gpu else {}),
            ),
            run_config=RunConfig(
                name="train",
                storage_path=path,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(
                    max_failures=job.train.max_failures, controller_failure_limit=3
                ),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            outcome = trainer.fit().return_value
        except SystemExit:  # what Ray Train makes of an interrupt
            raise KeyboardInterrupt from None
        except (RayError, ray.train.TrainingFailedError) as error:
            raise TrainingError(
                f"training on {workers} workers failed: {_reason(error)}"
            ) from error
    assert outcome is not None  # what the first worker returns
    if "fault" in outcome:
        raise TrainingError(outcome["fault"])
    bundle = Bundle(
        recipe=Recipe(graph=job.graph, model=job.model, loss=job.loss),
        scaling=Scaling.from_dict(outcome["scaling"]),
        weights={name: torch.tensor(array) for name, array in outcome["weights"].items()},
        summary=outcome["summary"] | {"workers": workers, "gpu": use_gpu},
    )
    return bundle, outcome["metrics"]


def _workers(config: Train, cluster: Cluster) -> tuple[int, bool]:
    use_gpu = cluster.gpus > 0 if config.use_gpu == "auto" else config.use_gpu
    if config.workers != "auto":
        return config.workers, use_gpu
    fits = cluster.gpus if use_gpu else min(cluster.cpus, config.batch_items // ITEMS_A_WORKER)
    return max(1, fits), use_gpu


def _refuse_misfit(workers: int, use_gpu: bool, cluster: Cluster) -> None:
    """Ray would wait for ever for what a cluster that doesn't grow hasn't got."""
    has, what = (cluster.gpus, "GPUs") if use_gpu else (cluster.cpus, "CPUs")
    if workers > has and not cluster.grows:
        raise TrainingError(
            f"train.workers = {workers} asks for as many {what}, and there are {has} here"
        )


def _reason(error: BaseException) -> str:
    # The innermost cause is what went wrong; all around it is Ray's.
    failures = getattr(error, "worker_failures", None)
    inner = next(iter(failures.values())) if failures else error
    lines = [line for line in str(inner).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(inner).__name__


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


class _RayTeam:
    """The workers of one Ray Train run."""

    def __init__(self, device: torch.device) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self._device = device

    def total(self, values: torch.Tensor) -> torch.Tensor:
        if self.size == 1:
            return values
        shared = values.to(self._device)
        torch.distributed.all_reduce(shared)
        return shared.cpu()


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
    team = _RayTeam(device)
    loss = JetLoss(job.loss, Space(job.graph, scaling, device))
    trainer = Trainer(model, jets, split, loss, job.train, job.seed, team=team, wrapped=wrapped)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            trainer.restore(torch.load(Path(folder) / STATE, map_location="cpu"))
    for record in trainer.epochs():
        if team.rank == 0:
            post(
                board,
                {**asdict(record), "epochs": job.train.epochs},
            )
        _report(trainer, team.rank)
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


def _report(trainer: Trainer, rank: int) -> None:
    """Leave a checkpoint after an epoch; all workers report, the first brings the state."""
    metrics = {"epoch": trainer.progress.epoch}
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(trainer.state(), Path(folder) / STATE)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
