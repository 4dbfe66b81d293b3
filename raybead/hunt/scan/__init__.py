"""Looking for a bump: test statistics of a spectrum against its prediction."""

from raybead.hunt.scan.bumps import BumpHunt, Windows
from raybead.hunt.scan.family import Family
from raybead.hunt.scan.peaks import LikelihoodScan, PeakModel
from raybead.hunt.scan.search import BestPeak, PeakScan, scan
from raybead.hunt.scan.templates import GaussianPeak, SimulatedPeak, Templates
from raybead.hunt.scan.trials import GlobalBound, Upcrossings

__all__ = [
    "BestPeak",
    "BumpHunt",
    "Family",
    "GaussianPeak",
    "GlobalBound",
    "LikelihoodScan",
    "PeakModel",
    "PeakScan",
    "SimulatedPeak",
    "Templates",
    "Upcrossings",
    "Windows",
    "scan",
]
