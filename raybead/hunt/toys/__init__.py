"""Pseudo-experiments, and the p-values that they give."""

from raybead.hunt.toys.ensemble import CHUNK, observed_statistics, statistics
from raybead.hunt.toys.global_p import (
    Combined,
    GlobalP,
    Statistics,
    combine,
    interval,
    significance_of,
)
from raybead.hunt.toys.marked import Marked
from raybead.hunt.toys.null import Look, Null, Spectra, Statistic
from raybead.hunt.toys.permutation import Permutation
from raybead.hunt.toys.poisson import Poisson
from raybead.hunt.toys.stopping import enough, schedule, until
from raybead.hunt.toys.thinned import Thinned

__all__ = [
    "CHUNK",
    "Combined",
    "GlobalP",
    "Look",
    "Marked",
    "Null",
    "Permutation",
    "Poisson",
    "Spectra",
    "Statistic",
    "Statistics",
    "Thinned",
    "combine",
    "enough",
    "interval",
    "observed_statistics",
    "schedule",
    "significance_of",
    "statistics",
    "until",
]
