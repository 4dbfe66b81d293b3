"""Which events are outliers: thresholds on the score, and who passes them."""

from raybead.hunt.selection.selection import Selection, select_outliers
from raybead.hunt.selection.threshold import Threshold, fit_threshold

__all__ = ["Selection", "Threshold", "fit_threshold", "select_outliers"]
