"""Evaluation with truth: how well scores separate. Nothing here feeds back into a hunt."""

from raybead.hunt.evaluation.efficiency import Cuts
from raybead.hunt.evaluation.separation import evaluate

__all__ = ["Cuts", "evaluate"]
