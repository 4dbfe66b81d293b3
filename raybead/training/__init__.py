"""The training loop in plain torch."""

from raybead.training.loop import Alone, EpochRecord, Team, Trainer
from raybead.training.reconstruction import reconstruction_histograms
from raybead.training.split import Split, batches, split_by_event

__all__ = [
    "Alone",
    "EpochRecord",
    "Split",
    "Team",
    "Trainer",
    "batches",
    "reconstruction_histograms",
    "split_by_event",
]
