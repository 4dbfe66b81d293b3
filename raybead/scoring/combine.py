"""From the losses of an event's jets to the event's score."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def combine(kind: Literal["sum-log", "sum", "min", "max"], log_loss_EJ: Array) -> Array:
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
        case "min":
            return np.exp(log_loss_EJ.min(axis=1))
        case "max":
            return np.exp(log_loss_EJ.max(axis=1))
