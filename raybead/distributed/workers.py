"""Workers that train together on Ray Train: how many, on what, and what becomes of their state."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed
from ray.exceptions import RayError
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

from raybead.config import Train, smallest_batch
from raybead.distributed.board import watched
from raybead.distributed.session import Cluster
from raybead.errors import TrainingError
from raybead.storage import Folder
from raybead.training import Trainer

STATE = "state.pt"
Epochs = Callable[[dict[str, Any]], None]
"""Called with the notes that workers post."""


def train_together(
    work: Callable[[dict[str, Any]], dict[str, Any]],
    given: dict[str, Any],
    config: Train,
    section: str,
    items_a_worker: int,
    resume: Folder,
    cluster: Cluster,
    on_epoch: Epochs,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a training on as many workers as a job and its cluster want.

    Args:
        work: what each worker runs; errors that a user can mend it returns as ``fault``.
        given: its argument, to which ``board`` is added.
        config: of which the workers, the GPUs and the batch matter.
        section: of the job file that config is, for errors.
        items_a_worker: items of a batch that make a further CPU worker worth while.
        resume: where state is kept while training goes on.
        cluster: that the workers run on.
        on_epoch: told of every note on the board.

    Returns:
        What the first worker returned, and ``workers`` and ``gpu``.

    Raises:
        TrainingError: a fault, workers that don't fit the cluster, or are lost too often.
    """
    workers, use_gpu = _workers(config, items_a_worker, cluster)
    cpus = 1 if use_gpu else max(1, min(cluster.cpus // workers, cluster.largest_cpus))
    _refuse_misfit(section, workers, use_gpu, cluster)
    resume.make()
    filesystem, path = (None, resume.uri) if resume.is_local else resume.arrow()
    with watched(on_epoch) as board:
        trainer = ray.train.torch.TorchTrainer(
            work,
            train_loop_config={**given, "board": board},
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
                    max_failures=config.max_failures, controller_failure_limit=3
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
    return outcome, {"workers": workers, "gpu": use_gpu}


def _workers(config: Train, items_a_worker: int, cluster: Cluster) -> tuple[int, bool]:
    use_gpu = cluster.gpus > 0 if config.use_gpu == "auto" else config.use_gpu
    if config.workers != "auto":
        return config.workers, use_gpu
    fits = cluster.gpus if use_gpu else min(cluster.cpus, smallest_batch(config) // items_a_worker)
    return max(1, fits), use_gpu


def _refuse_misfit(section: str, workers: int, use_gpu: bool, cluster: Cluster) -> None:
    """Ray would wait for ever for what a cluster that doesn't grow hasn't got."""
    has, what = (cluster.gpus, "GPUs") if use_gpu else (cluster.cpus, "CPUs")
    if workers > has and not cluster.grows:
        raise TrainingError(
            f"{section}.workers = {workers} asks for as many {what}, and there are {has} here"
        )


def _reason(error: BaseException) -> str:
    # The innermost cause is what went wrong; all around it is Ray's.
    failures = getattr(error, "worker_failures", None)
    inner = next(iter(failures.values())) if failures else error
    lines = [line for line in str(inner).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(inner).__name__


class RayTeam:
    """The workers of one Ray Train run."""

    def __init__(self, device: torch.device) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self._device = device

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of the workers' tensors, the same on all."""
        if self.size == 1:
            return values
        shared = values.to(self._device)
        torch.distributed.all_reduce(shared)
        return shared.cpu()


def take_up(trainer: Trainer) -> None:
    """Go back to the last epoch that an earlier try of this training left, if there is one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            trainer.restore(torch.load(Path(folder) / STATE, map_location="cpu"))


def leave_state(trainer: Trainer, rank: int) -> None:
    """Leave a checkpoint after an epoch; all workers report, the first brings the state."""
    metrics = {"epoch": trainer.progress.epoch}
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(trainer.state(), Path(folder) / STATE)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
