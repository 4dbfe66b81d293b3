"""Which events are outliers: thresholds on the score, and who passes them."""

from raybead.hunt.selection.selection import Selection, select
from raybead.hunt.selection.threshold import Family, Threshold, fit_threshold

__all__ = ["Family", "Selection", "Threshold", "fit_threshold", "select"]
