"""A bounded piece of a job's stages, looked at closely: what ``raybead profile`` tells of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray
import torch

from raybead.config import Job
from raybead.distributed.asks import awaited, on_gpus
from raybead.distributed.cluster import Cluster
from raybead.distributed.operators import gathering
from raybead.distributed.prepare import prepare
from raybead.distributed.score import score
from raybead.distributed.stream import Task, Tick, result_of
from raybead.distributed.train import ITEMS_A_WORKER
from raybead.distributed.watch import Watch, watching
from raybead.distributed.workers import Crew, crew_of
from raybead.errors import TrainingError
from raybead.events import Piece, read_parquet, row_count
from raybead.models import Bundle, Recipe
from raybead.preparing import Prepared
from raybead.profiling import StageProfile
from raybead.scoring import EVENT_COLUMNS
from raybead.storage import Folder, Role
from raybead.timing import Recording
from raybead.training import JobTraining, prepare_gpu

STAGE = "profile"
"""What metrics and logs call the work."""
TRACE = "trace.json.gz"
FORWARD_EVENTS = 1000
"""Events at most of a forward pass."""


@dataclass(frozen=True)
class Looked:
    """How closely steps are looked at."""

    steps: int
    """Of training, timed whole, by parts and traced: so many each."""
    warm_up: int
    """Steps beforehand."""


def profile_prepare(
    pieces: list[tuple[Piece, ...]],
    job: Job,
    folder: Folder,
    cluster: Cluster,
    tick: Tick,
) -> tuple[dict[str, Any], int]:
    """Prepare pieces of a sample.

    Returns:
        What it took, and events that passed the cuts.
    """
    found: list[Prepared] = []

    def work() -> None:
        ask = job.resources.prepare
        found.append(prepare(pieces, job.jets, job.prepare, folder, tick, ask))

    return _seen(job, cluster, work), found[0].cutflow.written


def profile_score(
    events: dict[Role, Folder],
    model: Folder,
    job: Job,
    folder: Folder,
    cluster: Cluster,
    tick: Tick,
) -> dict[str, Any]:
    """Score events of both samples, as the job's stage does it, and say what it took."""
    return _seen(job, cluster, partial(score, events, model, job, folder, cluster, tick))


def _seen(job: Job, cluster: Cluster, work: Callable[[], object]) -> dict[str, Any]:
    """What a stage's work takes: raybead's parts, and Ray Data's operators."""
    profile = StageProfile("", cluster.cpus, cluster.gpus)
    what = Watch(job.name, STAGE, measured=True)
    began = time.monotonic()
    with gathering() as operators, watching(what, profile.add):
        work()
    profile.wall = time.monotonic() - began
    told = profile.as_dict()
    return {**told, "operators": [one.as_dict() for one in operators]}


def profile_model(
    job: Job,
    events: Folder,
    bounded: bool,
    looked: Looked,
    folder: Folder,
    cluster: Cluster,
    tick: Tick,
) -> dict[str, Any]:
    """Steps of the job's training, and forward passes of its scoring, where training would run.

    Args:
        job: whose model, loss, batches, precision and optimizer they are.
        events: prepared background.
        bounded: whether the sample has more events than these.
        looked: how closely.
        folder: that the trace goes to, and ``model``, a bundle of the weights after these steps.
        cluster: that it runs on.
        tick: told of the wait for a node.

    Returns:
        ``training`` and ``scoring`` of a profile, and ``where`` they ran.

    Raises:
        TrainingError: what no training of the job goes on from, or too few events for a batch.
        ResourcesError: no node of the cluster has, nor may have, what a worker asks for.
    """
    crew = crew_of(job.train, "train", ITEMS_A_WORKER, cluster, job.resources.train)
    asked = crew.each.options()
    with awaited(crew.each, 1, "workers", tick):
        found = result_of(
            _look.options(**asked).remote(
                job, events, bounded, looked, folder, crew, on_gpus(job.score.use_gpu, cluster)
            )
        )
    found["where"] |= {"asks": str(crew.each), "cluster": cluster.has(), "ray": ray.__version__}
    return found


@Task
def _look(
    job: Job,
    events: Folder,
    bounded: bool,
    looked: Looked,
    folder: Folder,
    crew: Crew,
    score_gpu: bool,
) -> dict[str, Any]:
    from raybead.profiling.training import (  # of the whole driver this alone needs the profiler
        LooseEnd,
        profile_scoring,
        profile_training,
        refuse_few,
    )

    device = _device(crew.gpus > 0)
    # What training doesn't ask for isn't there: where only scoring runs on a GPU, this doesn't.
    scorer = device if score_gpu else torch.device("cpu")
    prepare_gpu(job.train.deterministic)
    threads = torch.get_num_threads()
    # As many as a worker of Ray Train with so many CPUs has; this process may have had others.
    torch.set_num_threads(max(1, int(crew.each.cpus)))
    try:
        with Recording() as before:
            training = JobTraining.of(job, events, LooseEnd(device, crew.workers))
        rows = _rows(events, FORWARD_EVENTS)
        n_events = sum(row_count(events, name) for name in events.names(".parquet"))
        refuse_few(job, training, n_events, bounded)
        steps = profile_training(training, looked.steps, looked.warm_up)
        recipe = Recipe(graph=job.graph, model=job.model, loss=job.loss)
        weights = dict(training.trainer.model.state_dict())
        bundle = Bundle(recipe, training.scaling, weights, dict(training.counts), training.emd)
        bundle.save(folder / "model")
        forward = profile_scoring(bundle, rows, job, looked.steps, scorer)
        folder.write(TRACE, steps.trace)
        told = {
            **steps.as_dict(),
            "warm_up": looked.warm_up,
            "items": len(training.trainer.split.train),
            "jets_an_item": _jets_an_item(job, rows),
            "batch_items": job.train.batch_items,
            "events": n_events,
            "parameters": sum(w.numel() for w in training.trainer.model.parameters()),
            "before": {
                name: {"seconds": part.seconds, "cpu_seconds": part.cpu}
                for name, part in before.parts.items()
            },
        }
        where = {
            "device": device.type,
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
            "scoring_device": scorer.type,
            "threads": torch.get_num_threads(),
            "workers": crew.workers,
            "torch": str(torch.__version__),
        }
        return {
            "where": where,
            "training": told,
            "scoring": {**forward.as_dict(), "events": len(rows)},
        }
    finally:
        torch.set_num_threads(threads)


def _device(gpu: bool) -> torch.device:
    if gpu and not torch.cuda.is_available():
        raise TrainingError(
            "profile: a GPU was asked for, and torch sees none on the worker; say"
            " train.use_gpu = false, or install a torch for its GPUs"
        )
    return torch.device("cuda" if gpu else "cpu")


def _rows(events: Folder, most: int) -> pa.Table:
    """The first rows of events, as scoring reads them."""
    parts, n = [], 0
    for name in events.names(".parquet"):
        parts.append(read_parquet(events.read(name), f"{events}/{name}", EVENT_COLUMNS))
        n += len(parts[-1])
        if n >= most:
            break
    return pa.concat_tables(parts).slice(0, most).combine_chunks()


def _jets_an_item(job: Job, rows: pa.Table) -> float:
    """Jets that an item is made of, on average."""
    if job.graph.level == "jet":
        return 1.0
    jets = rows.column("jets").combine_chunks().value_lengths().to_numpy()
    return float(jets.clip(max=job.graph.jets).mean())
