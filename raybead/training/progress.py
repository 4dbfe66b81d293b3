"""What a training has come to: a record of every epoch, and the best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

State = dict[str, Any]


@dataclass(frozen=True)
class EpochRecord:
    """Losses of one epoch, means per item over all batches and workers."""

    epoch: int
    """From 0"""
    train: float
    """What was minimised: with the weights that annealing gave"""
    validation: float
    """With the weights of the ``[loss]`` sections, so that epochs compare"""
    learning_rate: float
    """That the epoch was run at"""
    best: bool
    terms: dict[str, float] = field(default_factory=dict)
    """Of the validation loss, unweighted"""
    train_terms: dict[str, float] = field(default_factory=dict)
    """Of the training loss, unweighted, while weights moved"""
    annealed: dict[str, float] = field(default_factory=dict)
    """The values that annealed settings had, by ``[[train.anneal]]`` target"""


@dataclass
class Progress:
    """What has to survive a kill, besides weights and optimizer."""

    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = -1
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    cuts: float = 1.0
    """What the plateau schedule has multiplied the learning rate by"""

    @property
    def epoch(self) -> int:
        """The next to be run."""
        return len(self.history)

    @property
    def waited(self) -> int:
        """Epochs since the best."""
        return self.epoch - 1 - self.best_epoch

    def keep_if_best(self, validation: float, min_delta: float, model: nn.Module) -> bool:
        """Keep the weights of the epoch just run if it is the best; say whether it is."""
        if not validation < self.best_loss - min_delta:
            return False
        self.best_loss, self.best_epoch = validation, self.epoch
        self.best_weights = {
            name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()
        }
        return True

    def state(self) -> State:
        """All of it as plain values and tensors."""
        return {**vars(self), "history": [vars(record) for record in self.history]}

    @classmethod
    def of(cls, state: State) -> Progress:
        """What :meth:`state` told of."""
        return cls(**{**state, "history": [EpochRecord(**record) for record in state["history"]]})
