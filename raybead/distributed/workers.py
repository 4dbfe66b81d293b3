"""Workers that train together on Ray Train: how many, on what, and what becomes of their state."""

from __future__ import annotations

import contextvars
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed
from ray.exceptions import RayError
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig
from torch import nn

from raybead.config import NAME, GpuAsk, Train, smallest_batch
from raybead.distributed import metrics
from raybead.distributed.asks import Wanted, awaited, on_gpus
from raybead.distributed.board import Board, post, watched
from raybead.distributed.cluster import Cluster
from raybead.distributed.observed import Observed, count_so_far
from raybead.distributed.stream import Tick
from raybead.distributed.watch import gathered, watch
from raybead.errors import StorageError, TrainingError, WorkersLostError
from raybead.storage import Folder
from raybead.timing import count
from raybead.training import STATE, EpochRecord, Team, Trainer, state_bytes, state_of

RUN = "train"
"""Name of a Ray Train run, and of its folder."""
SNAPSHOT = "checkpoint_manager_snapshot.json"
"""What Ray Train writes there of its checkpoints."""

Epochs = Callable[[dict[str, Any]], None]
"""Called with the notes that workers post."""


@dataclass(frozen=True)
class Crew:
    """Workers that train together, and what each asks for."""

    workers: int
    each: Wanted

    @property
    def gpus(self) -> float:
        """Of each."""
        return self.each.gpus

    def told(self) -> dict[str, Any]:
        """What a training's summary says of it."""
        return {"workers": self.workers, "gpu": self.gpus > 0}


def crew_of(
    config: Train, section: str, items_a_worker: int, cluster: Cluster, ask: GpuAsk
) -> Crew:
    """The workers that a job and its cluster want.

    Args:
        config: of which the workers, the GPUs and the batch matter.
        section: of the job file that config is, for errors.
        items_a_worker: items of a batch that make a further CPU worker worth while.
        cluster: that the workers run on.
        ask: what each is to have.

    Raises:
        TrainingError: workers that don't fit the cluster, which Ray would wait for for ever.
    """
    use_gpu = on_gpus(config.use_gpu, cluster)
    each = Wanted.of(ask, "train", cpus=1, gpus=(ask.gpus or 1) if use_gpu else 0)
    fits = cluster.room(each.amounts())
    if config.workers != "auto":
        workers = config.workers
    elif use_gpu:  # one where none is there yet, but may come
        workers = max(1, int(fits))
    else:
        workers = max(1, int(min(fits, smallest_batch(config) // items_a_worker)))
    has, what = (cluster.gpus, "GPUs") if use_gpu else (cluster.cpus, "CPUs")
    wants = workers * (each.gpus if use_gpu else min(each.cpus, 1))
    if wants > has and not cluster.grows:
        raise TrainingError(
            f"{section}.workers = {workers} asks for as many {what}, and there are {has} here"
        )
    if ask.cpus is None and not use_gpu:
        each = _shared_out(each, workers, cluster)
    return Crew(workers, each)


def _shared_out(each: Wanted, workers: int, cluster: Cluster) -> Wanted:
    """All CPUs among the workers, as far as each node's go."""
    for cpus in range(cluster.cpus // workers, 1, -1):
        more = each.with_cpus(cpus)
        if cluster.room(more.amounts()) >= workers:
            return more
    return each


def train_together(
    work: Callable[[dict[str, Any]], dict[str, Any]],
    given: dict[str, Any],
    crew: Crew,
    max_failures: int,
    resume: Folder,
    on_note: Epochs,
    tick: Tick,
) -> dict[str, Any]:
    """Run a training on several workers.

    Args:
        work: what each worker runs; errors that a user can mend it returns as ``fault``.
        given: its argument, to which ``board`` is added.
        crew: the workers.
        max_failures: lost workers that are replaced.
        resume: where state is kept while training goes on.
        on_note: told of every note on the board.
        tick: told of the wait for nodes.

    Returns:
        What the first worker returned.

    Raises:
        ResourcesError: workers that the cluster has no room for, and never will have.
        TrainingError: a fault, or workers that are lost too often.
    """
    resume.make()
    refuse_outside(resume / RUN)
    filesystem, path = (None, resume.uri) if resume.is_local else resume.arrow()
    shares = 0 < crew.gpus < 1
    each, n = crew.each, crew.workers
    with awaited(each, n, "workers", tick), watched(sorted_out(on_note)) as board:
        trainer = ray.train.torch.TorchTrainer(
            _observed(work),
            train_loop_config={**given, "board": board, "watch": watch()},
            # NCCL refuses workers that have one GPU together.
            torch_config=TorchConfig(backend="gloo") if shares else None,
            scaling_config=ScalingConfig(
                num_workers=crew.workers,
                use_gpu=crew.gpus > 0,
                resources_per_worker=crew.each.bundle(),
            ),
            run_config=RunConfig(
                name=RUN,
                storage_path=path,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(
                    max_failures=max_failures, controller_failure_limit=3
                ),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            outcome = trainer.fit().return_value
        except SystemExit:  # what Ray Train makes of an interrupt
            raise KeyboardInterrupt from None
        except (RayError, ray.train.TrainingFailedError) as error:
            raise WorkersLostError(
                f"training on {crew.workers} workers failed: {_reason(error)}"
            ) from error
    assert outcome is not None  # what the first worker returns
    if "fault" in outcome:
        raise TrainingError(outcome["fault"])
    return outcome


def refuse_outside(run: Folder) -> None:
    """Refuse to go on from checkpoints that lie outside of their run's folder.

    Ray Train takes their names as it finds them, and also deletes those it has no more use for.

    Raises:
        StorageError: which name.
    """
    for name in _checkpoints(run.read_json(SNAPSHOT)) if run.exists(SNAPSHOT) else ():
        if not re.fullmatch(NAME, name):
            raise StorageError(f"{run}/{SNAPSHOT}: {name!r} is no name of a checkpoint")


def _checkpoints(snapshot: Any) -> Iterator[str]:
    match snapshot:
        case dict():
            for key, value in snapshot.items():
                if "checkpoint_dir_name" in key:
                    yield from [value] if isinstance(value, str) else map(str, value or ())
                else:
                    yield from _checkpoints(value)
        case list():
            for value in snapshot:
                yield from _checkpoints(value)


SEEN = "seen"
"""Key of the notes that tell of a worker's time; they are not for who waits for epochs."""


def sorted_out(on_note: Epochs) -> Epochs:
    """What to call with notes of whom some tell of a worker's time: those are taken in."""
    # The board is read in a thread of its own, which knows nothing of the driver's stage.
    context = contextvars.copy_context()

    def sort_out(note: dict[str, Any]) -> None:
        if SEEN in note:
            context.run(gathered, note[SEEN])
        else:
            on_note(note)

    return sort_out


def _observed(work: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The work, watched in each worker; what became of it is posted."""

    def observed(given: dict[str, Any]) -> dict[str, Any]:
        rank = ray.train.get_context().get_world_rank()
        with Observed(given["watch"], f"rank {rank}") as seen:
            outcome = work(given)
            seen.fault = outcome.get("fault")
        post(given["board"], {SEEN: seen.told()}, wait=True)
        return outcome

    return observed


def _reason(error: BaseException) -> str:
    # The innermost cause is what went wrong; all around it is Ray's.
    failures = getattr(error, "worker_failures", None)
    inner = next(iter(failures.values())) if failures else error
    lines = [line for line in str(inner).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(inner).__name__


BEGUN = "begun"
"""Key of the note that says which epochs there are already, when training begins, or goes on."""


def tell_begun(board: Board, history: Sequence[EpochRecord], epochs: int, rank: int) -> None:
    """In a worker, before its first epoch: the first worker posts what earlier tries ran.

    Args:
        board: that it goes to.
        history: the epochs of earlier tries.
        epochs: how many there may be.
        rank: of the worker.
    """
    if rank == 0:
        post(board, {BEGUN: [asdict(record) for record in history], "epochs": epochs})


def tell_epoch(board: Board, record: EpochRecord, epochs: int, rank: int) -> None:
    """In a worker, after an epoch: count what was done; the first worker posts it, too.

    Args:
        board: that it goes to.
        record: of the epoch.
        epochs: how many there may be.
        rank: of the worker.
    """
    if rank == 0:
        post(board, {**asdict(record), "epochs": epochs})
        count("epochs", 1)
        losses = {"train": record.train, "validation": record.validation}
        metrics.show_losses(watch().run, watch().stage, losses)
    count_so_far()


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


class RayPlace:
    """A worker of a Ray Train run, whose state lies in the run's checkpoints."""

    def __init__(self) -> None:
        self.device = ray.train.torch.get_device()
        self.team: Team = RayTeam(self.device)

    def wrapped(self, model: nn.Module) -> nn.Module:
        return ray.train.torch.prepare_model(model)

    def take_up(self, trainer: Trainer) -> None:
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                path = Path(folder) / STATE
                trainer.restore(state_of(path.read_bytes(), str(path)))

    def leave_state(self, trainer: Trainer) -> None:
        """All workers report, the first brings the state."""
        metrics = {"epoch": trainer.progress.epoch}
        if self.team.rank != 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / STATE).write_bytes(state_bytes(trainer))
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
