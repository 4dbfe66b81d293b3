"""Which background events train, choose the epoch, and are held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raybead.config import Train
from raybead.errors import TrainingError


class Split(NamedTuple):
    """Indices of jets. All jets of an event lie on one side."""

    train: Tensor
    validation: Tensor
    test: Tensor


def split_by_event(event_B: Tensor, config: Train, seed: int) -> Split:
    """Split jets by their events, at random but always alike for one seed.

    Args:
        event_B: [B] each jet's event.
        config: shares of validation and test.
        seed: the job's.

    Raises:
        TrainingError: a side that is asked for would be empty.
    """
    events, jet_event = np.unique(event_B.numpy(), return_inverse=True)
    n = len(events)
    n_validation, n_test = round(config.validation * n), round(config.test * n)
    if n_validation == 0 or n - n_validation - n_test <= 0:
        raise TrainingError(f"{n} background events are too few to train and validate on")
    side = np.zeros(n, dtype=np.int64)
    order = np.random.default_rng([seed, 0]).permutation(n)
    side[order[:n_validation]] = 1
    side[order[n_validation : n_validation + n_test]] = 2
    of_jet = torch.from_numpy(side[jet_event])
    return Split(*(torch.nonzero(of_jet == number).flatten() for number in range(3)))


def taken(rows: Sequence[int], most: int | None) -> list[NDArray[np.int64]]:
    """Which rows of each file training may look at: evenly from all where they are capped.

    Args:
        rows: of each file.
        most: in all; every row if None.
    """
    total = sum(rows)
    wanted = total if most is None else min(most, total)
    index, seen, done = [], 0, 0
    for n in rows:
        seen += n
        share = wanted * seen // max(total, 1) - done
        done += share
        index.append(np.arange(share) * n // max(share, 1))
    return index


def batches(index: Tensor, batch_items: int, seed: tuple[int, ...] | None) -> list[Tensor]:
    """Cut indices into batches of nearly equal size, every index once.

    Args:
        index: [N] jets.
        batch_items: jets a batch at most.
        seed: of the order; in their given order if None.
    """
    if seed is not None:
        index = index[torch.from_numpy(np.random.default_rng(seed).permutation(len(index)))]
    return list(index.tensor_split(max(1, -(-len(index) // batch_items))))
