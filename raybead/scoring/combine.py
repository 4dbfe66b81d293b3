"""From the losses of an event's jets to the event's score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raybead.config import Combination

Array = NDArray[np.float64]


def combine(
    kind: Combination,
    log_loss_EJ: Array,
    real_EJ: NDArray[np.bool_] | None = None,
    *,
    logarithm: bool = False,
) -> Array:
    """[E] event scores; higher is more anomalous.

    Args:
        kind: ``sum-log`` adds log losses, the others take losses themselves.
        log_loss_EJ: [E, J] log losses of each event's jets, complexity removed.
        real_EJ: [E, J] jets that there are, at least one an event; all if not given. The others
            take no part: sums are of fewer, a mean is that of the real ones.
        logarithm: whether the score's logarithm is wanted, for losses that are too large, or too
            close to 0, to be numbers; ``sum-log`` gives the same.
    """
    log_EJ = log_loss_EJ
    real = np.ones(log_EJ.shape, bool) if real_EJ is None else real_EJ
    match kind:
        case "sum-log":
            return log_EJ.sum(axis=1, where=real)
        case "min" | "max":
            extreme = np.min if kind == "min" else np.max
            nothing = np.inf if kind == "min" else -np.inf
            log_E = extreme(log_EJ, axis=1, where=real, initial=nothing)
            return log_E if logarithm else np.exp(log_E)
        case "sum" | "mean" if logarithm:
            with np.errstate(invalid="ignore"):  # a loss that is no number leaves none
                log_E = np.logaddexp.reduce(np.where(real, log_EJ, -np.inf), axis=1)
            return log_E - np.log(real.sum(axis=1)) if kind == "mean" else log_E
        case "sum":
            return np.exp(log_EJ).sum(axis=1, where=real)
        case "mean":
            return np.exp(log_EJ).mean(axis=1, where=real)
