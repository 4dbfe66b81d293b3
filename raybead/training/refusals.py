"""What no training goes on from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from raybead.config import Loss, Train, smallest_batch
from raybead.errors import TrainingError
from raybead.training.split import Split


def refuse_small(config: Train, split: Split, workers: int, contrasts: bool) -> None:
    """Refuse batches that are too small for the workers, or for a contrastive loss.

    Raises:
        TrainingError: which, and what it takes.
    """
    least = smallest_batch(config)
    if least < 2 * workers:
        raise TrainingError(f"train.batch_items = {least} is too few for {workers} workers")
    if not contrasts:
        return
    if least < 3:  # cut evenly, an odd number of items would leave one without company
        raise TrainingError(
            f"train.batch_items = {least} is too few for a contrastive loss; 3 at least"
        )
    for side in ("train", "validation"):
        if len(getattr(split, side)) < 2:
            raise TrainingError(f"{side}: one item alone has nothing to be contrasted with")


def refuse_divergence(epoch: int, *found: Mapping[str, float]) -> None:
    """Refuse to go on from losses that are no numbers.

    Args:
        epoch: that they are of, counted from 1.
        found: means of the whole ``loss`` and of its terms.

    Raises:
        TrainingError: which of them isn't one.
    """
    for name in found[0]:
        if not all(math.isfinite(means[name]) for means in found):
            what = "the loss" if name == "loss" else f"loss {name}"
            raise TrainingError(
                f"epoch {epoch}: {what} is no longer a number;"
                " lower train.learning_rate or set train.clip_norm"
            )


def refuse_nothing(epoch: int, sections: Sequence[Loss]) -> None:
    """Refuse a loss without a term that counts.

    Args:
        epoch: that it is of, counted from 1.
        sections: of its terms, as annealing leaves them.

    Raises:
        TrainingError: all weights are 0.
    """
    if not any(section.weight > 0 for section in sections):
        raise TrainingError(
            f"epoch {epoch}: train.anneal leaves no term of the loss a weight above 0"
        )
