"""Optimizers by their torch names."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn, optim

from raybead.config import Train


def build_optimizer(weights: Iterable[nn.Parameter], config: Train) -> optim.Optimizer:
    """The optimizer of ``[train]``; what the section doesn't say is torch's default.

    Args:
        weights: to be trained.
        config: ``optimizer``, ``learning_rate``, ``weight_decay`` and ``momentum``.
    """
    rate, decay, momentum = config.learning_rate, config.weight_decay, config.momentum
    match config.optimizer:
        case "adam":
            return optim.Adam(weights, lr=rate, weight_decay=decay)
        case "adamw":
            return optim.AdamW(weights, lr=rate, weight_decay=decay)
        case "rmsprop":
            return optim.RMSprop(weights, lr=rate, weight_decay=decay, momentum=momentum)
        case "sgd":
            return optim.SGD(
                weights, lr=rate, weight_decay=decay, momentum=momentum, nesterov=momentum > 0
            )
        case "radam":
            return optim.RAdam(weights, lr=rate, weight_decay=decay)
        case "adagrad":
            return optim.Adagrad(weights, lr=rate, weight_decay=decay)
