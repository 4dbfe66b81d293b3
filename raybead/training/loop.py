"""The training loop in plain torch. One process or one of many: the numbers are the same.

Every worker holds all jets and draws the same batches; each takes its slice of a batch, and
gradients are weighted so that their average is that of the whole batch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from raybead.config import Train
from raybead.errors import RaybeadError, TrainingError
from raybead.graphs import JetBatch
from raybead.losses import JetLoss, LossValue
from raybead.training.split import Split, batches

State = dict[str, Any]


class Team(Protocol):
    """The workers that train together."""

    rank: int
    size: int

    def total(self, values: Tensor) -> Tensor:
        """Sum of the workers' tensors, the same on all."""
        ...


class SliceError(Exception):
    """What went wrong with one worker's slice of a batch alone: it has to end them all."""


class Alone:
    """A team of one."""

    rank = 0
    size = 1

    def total(self, values: Tensor) -> Tensor:
        return values


@dataclass(frozen=True)
class EpochRecord:
    """Losses of one epoch, means per jet."""

    epoch: int
    train: float
    validation: float
    learning_rate: float
    best: bool
    terms: dict[str, float] = field(default_factory=dict)
    """Of the validation loss, unweighted"""


@dataclass
class Progress:
    """What has to survive a kill, besides weights and optimizer."""

    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = -1
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The next to be run."""
        return len(self.history)


class Trainer:
    """Trains one model; all its state goes through :meth:`state` and :meth:`restore`."""

    def __init__(
        self,
        model: nn.Module,
        jets: JetBatch,
        split: Split,
        loss: JetLoss,
        config: Train,
        seed: int,
        *,
        team: Team | None = None,
        wrapped: nn.Module | None = None,
    ) -> None:
        """Set up a training.

        Args:
            model: whose weights are trained, on the device that it is trained on.
            jets: scaled jets, anywhere.
            split: of the jets.
            loss: what is minimised.
            config: how.
            seed: of the order of batches.
            team: the workers; alone if not given.
            wrapped: the model in a wrapper that averages gradients over the team.
        """
        self.model, self.wrapped = model, wrapped or model
        self.jets, self.split = jets, split
        self.loss, self.config, self.seed = loss, config, seed
        self.team: Team = team or Alone()
        self.device = next(model.parameters()).device
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        self.scaler = torch.amp.GradScaler(
            self.device.type,
            enabled=config.precision == "fp16" and self.device.type == "cuda",
        )
        self.progress = Progress()
        if config.batch_items < 2 * self.team.size:
            raise TrainingError(
                f"train.batch_items = {config.batch_items} is too few for {self.team.size} workers"
            )

    def epochs(self) -> Iterator[EpochRecord]:
        """Run epoch after epoch from where the state stands until training is over."""
        while not self.over:
            yield self._epoch()

    @property
    def over(self) -> bool:
        """Whether all epochs are run, or the validation loss has stopped falling."""
        waited = self.progress.epoch - 1 - self.progress.best_epoch
        return self.progress.epoch >= self.config.epochs or (
            self.progress.best_epoch >= 0 and waited >= self.config.patience
        )

    def evaluate(self, index: Tensor) -> dict[str, float]:
        """Mean ``loss`` per jet, and its terms', of the jets at ``index``, without training."""
        self.model.eval()
        sums = self._none()
        with torch.inference_mode():
            for part in batches(index, 4 * self.config.batch_items, seed=None):
                sums += self._sums(self._loss(part, self.model))
        return self._mean(sums)

    def state(self) -> State:
        """All that decides how training goes on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": [vars(record) for record in self.progress.history],
            "best_loss": self.progress.best_loss,
            "best_epoch": self.progress.best_epoch,
            "best_weights": self.progress.best_weights,
        }

    def restore(self, state: State) -> None:
        """Go back to where :meth:`state` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(
            history=[EpochRecord(**record) for record in state["history"]],
            best_loss=state["best_loss"],
            best_epoch=state["best_epoch"],
            best_weights=state["best_weights"],
        )

    def _epoch(self) -> EpochRecord:
        progress, config = self.progress, self.config
        epoch = progress.epoch
        rate = self.optimizer.param_groups[0]["lr"]
        self.model.train()
        sums = self._none()
        order = batches(self.split.train, config.batch_items, (self.seed, 1, epoch))
        for step, batch in enumerate(order):
            # What a model draws depends on the step alone: a resumed training draws the same, and
            # so do workers, of whom each jet has its own (raybead.models.noise).
            torch.manual_seed(_seed_of(self.seed, 2, epoch, step))
            sums += self._step(batch)
        train = self._mean(sums)["loss"]
        terms = self.evaluate(self.split.validation)
        validation = terms.pop("loss")
        if not (math.isfinite(train) and math.isfinite(validation)):
            raise TrainingError(
                f"epoch {epoch + 1}: the loss is no longer a number;"
                " lower train.learning_rate or set train.clip_norm"
            )
        self.schedule.step(validation)
        best = validation < progress.best_loss - config.min_delta
        if best:
            progress.best_loss, progress.best_epoch = validation, epoch
            progress.best_weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.model.state_dict().items()
            }
        record = EpochRecord(epoch, train, validation, rate, best, terms)
        progress.history.append(record)
        return record

    def _step(self, batch: Tensor) -> Tensor:
        value = self._loss(batch, self.wrapped)
        # The team averages gradients: times its size over the batch's is the batch's mean.
        objective = value.total_B.sum() * (self.team.size / len(batch))
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(objective).backward()
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self._sums(value)

    def _loss(self, batch: Tensor, model: nn.Module) -> LossValue:
        """Losses of this worker's slice of a batch."""
        jets = self.jets.select(batch[self.team.rank :: self.team.size]).to(self.device)
        with self._autocast():
            output = model(jets)
        try:
            return self.loss(output, jets)
        except RaybeadError as error:
            if self.team.size == 1:
                raise
            # The others know nothing of it and would wait for this worker for ever.
            raise SliceError(str(error)) from error

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        match self.config.precision:
            case "fp32":
                return contextlib.nullcontext()
            case "bf16":
                return torch.autocast(self.device.type, torch.bfloat16)
            case "fp16":
                return torch.autocast(self.device.type, torch.float16)

    def _none(self) -> Tensor:
        return torch.zeros(2 + len(self.loss.names), dtype=torch.float64)

    def _sums(self, value: LossValue) -> Tensor:
        """Of the loss, of its terms, and the number of jets."""
        losses = (value.total_B, *value.terms.values())
        sums = [loss_B.detach().sum(dtype=torch.float64).cpu() for loss_B in losses]
        return torch.stack([*sums, sums[0].new_tensor(float(len(value.total_B)))])

    def _mean(self, sums: Tensor) -> dict[str, float]:
        *totals, count = self.team.total(sums).tolist()
        means = [total / count if count else math.nan for total in totals]
        return dict(zip(("loss", *self.loss.names), means, strict=True))


def _seed_of(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)
