"""From the losses of an event's jets to the event's score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raybead.config import Combination

Array = NDArray[np.float64]


def combine(kind: Combination, log_loss_EJ: Array) -> Array:
    """[E] event scores; higher is more anomalous.

    Args:
        kind: ``sum-log`` adds log losses, the others take losses themselves.
        log_loss_EJ: [E, J] log losses of each event's jets, complexity removed.
    """
    match kind:
        case "sum-log":
            return log_loss_EJ.sum(axis=1)
        case "sum":
            return np.exp(log_loss_EJ).sum(axis=1)
        case "mean":
            return np.exp(log_loss_EJ).mean(axis=1)
        case "min":
            return np.exp(log_loss_EJ.min(axis=1))
        case "max":
            return np.exp(log_loss_EJ.max(axis=1))
