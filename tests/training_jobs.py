"""A small training that tests share."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from raybead.config import Graph, JetBottleneckModel, Loss, MseLoss, Train
from raybead.graphs import JetBatch, Scaling, collate
from raybead.losses import JetLoss, Space
from raybead.models import Inputs, build_model
from raybead.training import Trainer, split_by_event

GRAPH = Graph(nodes=10)
MODEL = JetBottleneckModel(
    kind="jet-bottleneck", encoder=((8, 8),), head=(8,), decoder=(16, 16), decode=10
)
GAUSSIAN = MODEL.model_copy(update={"posterior": "gaussian"})
MSE = MseLoss(kind="mse")


def train_section(**more: object) -> Train:
    return Train.model_validate({"epochs": 4, "batch_items": 16, "validation": 0.2, **more})


def small_trainer(
    event_rows,
    losses: Sequence[Loss] = (MSE,),
    model: JetBottleneckModel = MODEL,
    *,
    team=None,
    wrap=None,
    **more: object,
) -> Trainer:
    """A training that begins alike every time; ``more`` is of ``[train]``."""
    config = train_section(**more)
    jets = labelled(collate(event_rows, GRAPH))
    split = split_by_event(jets.event_B, config, seed=5)
    scaling = Scaling.fit(GRAPH, jets.select(split.train).x_TF)
    loss = JetLoss(losses, Space(GRAPH, scaling))
    torch.manual_seed(5)
    network = build_model(model, Inputs.of(GRAPH))
    wrapped = None if wrap is None else wrap(network)
    jets = scaling.apply(jets)
    return Trainer(network, jets, split, loss, config, seed=5, team=team, wrapped=wrapped)


def labelled(jets: JetBatch) -> JetBatch:
    """The jets, their events' generators one behind another as in a sample."""
    n = int(jets.event_B.max()) + 1
    return replace(jets, generator_B=(jets.event_B * 3) // n)


def weights_of(trainer: Trainer) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])


def gradient_of(trainer: Trainer, batch: Tensor, loss: JetLoss) -> np.ndarray:
    """Of the mean over a batch, with the draws of one seed."""
    torch.manual_seed(9)
    trainer.model.train()
    trainer._step(batch, loss)
    parts = [weight.grad.flatten() for weight in trainer.model.parameters()]
    return torch.cat(parts).numpy()


class GlooTeam:
    """The processes of a gloo group."""

    def __init__(self) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def total(self, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total


def trained_by_two(folder, event_rows, losses, model, more):
    """The history that two processes have of a training, and the weights that they end with."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = (port, folder, event_rows, losses, model, more)
    torch.multiprocessing.spawn(_member, given, nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def _member(rank, port, folder, event_rows, losses, model, more):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    trainer = small_trainer(
        event_rows, losses, model, team=GlooTeam(), wrap=DistributedDataParallel, **more
    )
    history = list(trainer.epochs())
    torch.save((history, weights_of(trainer)), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def assert_two_equal_one(folder, event_rows, losses, model, **more):
    """Two workers' numbers are those of one; by plain steps, which magnify no rounding."""
    more = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 2, **more}
    alone = small_trainer(event_rows, losses, model, **more)
    history = list(alone.epochs())
    for theirs, weights in trained_by_two(folder, event_rows, losses, model, more):
        torch.testing.assert_close(weights, weights_of(alone), rtol=1e-3, atol=1e-5)
        assert len(theirs) == len(history)
        for ours, other in zip(history, theirs, strict=True):
            assert (ours.annealed, ours.learning_rate) == (other.annealed, other.learning_rate)
            for mine, its in (
                (
                    {"loss": ours.train, **ours.train_terms},
                    {"loss": other.train, **other.train_terms},
                ),
                (
                    {"loss": ours.validation, **ours.terms},
                    {"loss": other.validation, **other.terms},
                ),
            ):
                assert mine.keys() == its.keys()
                np.testing.assert_allclose(list(mine.values()), list(its.values()), rtol=1e-4)
