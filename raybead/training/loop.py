"""The training loop in plain torch. One process or one of many: the numbers are the same.

Every worker holds all items and draws the same batches; each takes its slice of a batch, and
gradients are weighted so that their average is that of the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from raybead.config import BATCH_ITEMS, LEARNING_RATE, Train
from raybead.errors import RaybeadError
from raybead.graphs import JetBatch
from raybead.losses import JetLoss, LossValue
from raybead.timing import count, timed
from raybead.training.annealing import Annealer, Values, loss_settings
from raybead.training.determinism import same_bits
from raybead.training.forward import part_of_step, seen, settle
from raybead.training.optimizers import build_optimizer
from raybead.training.progress import EpochRecord, Progress, State
from raybead.training.refusals import refuse_divergence, refuse_nothing, refuse_small
from raybead.training.split import Split, batches
from raybead.training.team import Alone, SliceError, Team

_ORDER, _DRAWS, _HELD_OUT_ORDER, _HELD_OUT_DRAWS = 1, 2, 3, 4
"""What a seed is of."""


class Trainer:
    """Trains one model; all its state goes through :meth:`state` and :meth:`restore`."""

    def __init__(
        self,
        model: nn.Module,
        items: JetBatch,
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
            items: scaled, anywhere.
            split: of the items.
            loss: what is minimised, as the ``[loss]`` sections say.
            config: how.
            seed: of the order of batches.
            team: the workers; alone if not given.
            wrapped: the model in a wrapper that averages gradients over the team.

        Raises:
            TrainingError: batches or samples are too small for the workers, or for the loss.
        """
        self.model, self.wrapped = model, wrapped or model
        self.items, self.split = items, split
        self.loss, self.config, self.seed = loss, config, seed
        self.team: Team = team or Alone()
        self.device = next(model.parameters()).device
        self.optimizer = build_optimizer(model.parameters(), config)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        self.scaler = torch.amp.GradScaler(
            self.device.type,
            enabled=config.precision == "fp16" and self.device.type == "cuda",
        )
        self.progress = Progress()
        self.annealer = Annealer(config, loss.sections)
        self._minimised, self._minimised_at = loss, {}
        refuse_small(config, split, self.team.size, loss.contrasts)

    def epochs(self) -> Iterator[EpochRecord]:
        """Run epoch after epoch from where the state stands until training is over."""
        while not self.over:
            with same_bits(self.config.deterministic):
                record = self._epoch()
            yield record

    @property
    def over(self) -> bool:
        """Whether all epochs are run, or the validation loss has stopped falling."""
        progress = self.progress
        return progress.epoch >= self.config.epochs or (
            progress.best_epoch >= 0 and progress.waited >= self.config.patience
        )

    def steps(self, epoch: int) -> Iterator[Callable[[], Tensor]]:
        """An epoch's steps in their order, each done when it is called: sums of its losses."""
        held = self.annealer.values(epoch)
        loss = self._loss_at(held)
        self._rate_at(held)
        self.model.train()
        width = int(held.get(BATCH_ITEMS, self.config.batch_items))
        order = self.seed, _ORDER, epoch
        for step, batch in enumerate(batches(self.split.train, width, order)):
            yield partial(self._drawn_step, epoch, step, batch, loss)

    def evaluate(self, index: Tensor) -> dict[str, float]:
        """Mean ``loss`` per item, and its terms', of the items at ``index``, without training.

        All terms take part, at the weights of their sections. Views and the company that items
        are contrasted with are the same every time.
        """
        self.model.eval()
        contrasts = self.loss.contrasts
        # Generators lie one behind another: in that order a batch would be of one of them.
        order = (self.seed, _HELD_OUT_ORDER) if contrasts else None
        width = self.config.batch_items * (1 if contrasts else 4)
        sums = self._none()
        forked = [self.device] if self.device.type == "cuda" else []
        with (
            torch.inference_mode(),
            torch.random.fork_rng(forked),
            same_bits(self.config.deterministic),
        ):
            for step, part in enumerate(batches(index, width, order)):
                torch.manual_seed(_seed_of(self.seed, _HELD_OUT_DRAWS, step))
                sums += self._sums(self._loss(part, self.model, self.loss))
        return self._mean(sums)

    def state(self) -> State:
        """All that decides how training goes on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": self.progress.state(),
            "annealer": self.annealer.state(),
        }

    def restore(self, state: State) -> None:
        """Go back to where :meth:`state` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress.of(state["progress"])
        self.annealer.restore(state["annealer"])

    def adopt(self, state: State) -> None:
        """Go on from where another training of a population is, with the settings of this one."""
        self.restore(state)
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * self.progress.cuts
            group["weight_decay"] = config.weight_decay
            if "momentum" in group and config.optimizer in ("sgd", "rmsprop"):
                group["momentum"] = config.momentum
        # What another weighting of the loss calls best needn't be so by this one's.
        self.progress.best_loss = math.inf

    def _epoch(self) -> EpochRecord:
        progress, config = self.progress, self.config
        epoch = progress.epoch
        held = self.annealer.values(epoch)
        rate = self._rate_at(held)
        sums = self._none()
        for step in self.steps(epoch):
            sums += step()
        train_terms = self._mean(sums)
        with timed("validation", self._settle):
            terms = self.evaluate(self.split.validation)
        refuse_divergence(epoch + 1, train_terms, terms)
        train, validation = train_terms.pop("loss"), terms.pop("loss")
        best = progress.keep_if_best(validation, config.min_delta, self.model)
        record = EpochRecord(epoch, train, validation, rate, best, terms, train_terms, dict(held))
        progress.history.append(record)
        self.schedule.step(validation)
        cut = self._rate() < rate
        if cut:
            progress.cuts *= config.plateau_factor
        self.annealer.note(cut=cut, waited=progress.waited)
        return record

    def _drawn_step(self, epoch: int, step: int, batch: Tensor, loss: JetLoss) -> Tensor:
        # What a model draws depends on the step alone: a resumed training draws the same, and so
        # do workers, of whom each item has its own (raybead.models.noise).
        torch.manual_seed(_seed_of(self.seed, _DRAWS, epoch, step))
        return self._step(batch, loss)

    def _step(self, batch: Tensor, loss: JetLoss) -> Tensor:
        value = self._loss(batch, self.wrapped, loss)
        # The team averages gradients: times its size over the batch's is the batch's mean.
        objective = value.total_B.sum() * (self.team.size / len(batch))
        with timed("backward", self._settle):
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(objective).backward()
        with timed("optimizer", self._settle):
            if self.config.clip_norm is not None:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        count("items_trained", len(value.total_B))
        with part_of_step("sums", self.device):
            return self._sums(value)

    def _settle(self) -> None:
        settle(self.device)

    def _loss(self, batch: Tensor, model: nn.Module, loss: JetLoss) -> LossValue:
        """Losses of this worker's slice of a batch."""
        with part_of_step("batch", self.device):
            items = self.items.select(batch[self.team.rank :: self.team.size])
        with part_of_step("transfer", self.device):
            items = items.to(self.device)
        try:
            output = seen(model, items, loss, self.config.precision)
            with part_of_step("loss", self.device):
                value = loss.training(output, items, self.model)
        except RaybeadError as error:
            if self.team.size == 1:
                raise
            # The others know nothing of it and would wait for this worker for ever.
            raise SliceError(str(error)) from error
        if all(section.weight > 0 for section in loss.sections):
            return value
        # A part of the model that no term is left of would have no gradient, which workers wait
        # for: it has one of nothing.
        return replace(value, total_B=value.total_B + 0 * output.reconstruction_NF.sum())

    def _loss_at(self, held: Values) -> JetLoss:
        """What an epoch minimises."""
        settings = loss_settings(held)
        if settings != self._minimised_at:
            self._minimised, self._minimised_at = self.loss.altered(**settings), settings
            refuse_nothing(self.progress.epoch + 1, self._minimised.sections)
        return self._minimised

    def _rate_at(self, held: Values) -> float:
        """The learning rate of an epoch, which the optimizer then has."""
        if LEARNING_RATE in held:
            for group in self.optimizer.param_groups:
                group["lr"] = held[LEARNING_RATE] * self.progress.cuts
        return self._rate()

    def _rate(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def _none(self) -> Tensor:
        return torch.zeros(2 + len(self.loss.names), dtype=torch.float64, device=self.device)

    def _sums(self, value: LossValue) -> Tensor:
        """Of the loss, of its terms, and the number of items."""
        losses = (value.total_B, *(value.terms[name] for name in self.loss.names))
        sums = [loss_B.detach().sum(dtype=torch.float64) for loss_B in losses]
        return torch.stack([*sums, sums[0].new_tensor(float(len(value.total_B)))])

    def _mean(self, sums: Tensor) -> dict[str, float]:
        *totals, count = self.team.total(sums).tolist()
        means = [total / count if count else math.nan for total in totals]
        return dict(zip(("loss", *self.loss.names), means, strict=True))


def _seed_of(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)
