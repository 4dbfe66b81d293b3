"""Losses: named terms per jet, and how they add up. The same call trains and scores."""

from raybead.losses.bce import bce
from raybead.losses.chamfer import chamfer
from raybead.losses.distance import distance
from raybead.losses.flow_kl import flow_kl
from raybead.losses.kl import kl
from raybead.losses.l1 import l1
from raybead.losses.log_det import log_det
from raybead.losses.mse import mse
from raybead.losses.ntxent import ntxent
from raybead.losses.space import Penalty, Space, Term, Views
from raybead.losses.supcon import supcon
from raybead.losses.total import JetLoss, LossValue
from raybead.losses.wasserstein import wasserstein
from raybead.losses.weights_l1 import weights_l1
from raybead.losses.weights_l2 import weights_l2

__all__ = [
    "JetLoss",
    "LossValue",
    "Penalty",
    "Space",
    "Term",
    "Views",
    "bce",
    "chamfer",
    "distance",
    "flow_kl",
    "kl",
    "l1",
    "log_det",
    "mse",
    "ntxent",
    "supcon",
    "wasserstein",
    "weights_l1",
    "weights_l2",
]
