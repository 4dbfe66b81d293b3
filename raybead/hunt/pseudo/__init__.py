"""Pseudo-data: samples like a given one, signals put into them, and what their p-values say."""

from raybead.hunt.pseudo.background import Method, PseudoBackground, pseudo_background
from raybead.hunt.pseudo.calibration import AlarmRate, Calibration
from raybead.hunt.pseudo.conditional import Conditional
from raybead.hunt.pseudo.injection import inject, shift_of

__all__ = [
    "AlarmRate",
    "Calibration",
    "Conditional",
    "Method",
    "PseudoBackground",
    "inject",
    "pseudo_background",
    "shift_of",
]
