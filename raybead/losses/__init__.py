"""Losses: named terms per jet, and how they add up. The same call trains and scores."""

from raybead.losses.chamfer import chamfer
from raybead.losses.distance import distance
from raybead.losses.kl import kl
from raybead.losses.mse import mse
from raybead.losses.space import Space, Term
from raybead.losses.total import JetLoss, LossValue

__all__ = ["JetLoss", "LossValue", "Space", "Term", "chamfer", "distance", "kl", "mse"]
