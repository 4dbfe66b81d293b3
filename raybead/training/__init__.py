"""The training loop in plain torch."""

from raybead.training.determinism import prepare_gpu, same_bits
from raybead.training.forward import settle
from raybead.training.health import warnings_of
from raybead.training.job import JobTraining, learned_distance, load_jets
from raybead.training.kept import keep, kept_epochs, kept_name
from raybead.training.loop import Trainer
from raybead.training.place import STATE, LonePlace, Place, state_bytes, state_of
from raybead.training.progress import EpochRecord
from raybead.training.reconstruction import reconstruction_histograms
from raybead.training.sides import Sides, sides
from raybead.training.split import Split, batches, split_by_event, taken
from raybead.training.start import start_bundle
from raybead.training.team import Alone, Team

__all__ = [
    "STATE",
    "Alone",
    "EpochRecord",
    "JobTraining",
    "LonePlace",
    "Place",
    "Sides",
    "Split",
    "Team",
    "Trainer",
    "batches",
    "keep",
    "kept_epochs",
    "kept_name",
    "learned_distance",
    "load_jets",
    "prepare_gpu",
    "reconstruction_histograms",
    "same_bits",
    "settle",
    "sides",
    "split_by_event",
    "start_bundle",
    "state_bytes",
    "state_of",
    "taken",
    "warnings_of",
]
