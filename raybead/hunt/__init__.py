"""Selection, background, scan, toys: from event scores to a significance."""

from raybead.hunt.background import NonOutliers, RatioPolynomial, predict
from raybead.hunt.binning import DIJET_EDGES, edges_of, edges_within
from raybead.hunt.evaluation import evaluate
from raybead.hunt.histogram import Histogram
from raybead.hunt.hunt import Prepared, conclude, conclude_cut, prepare_cut
from raybead.hunt.sample import Sample
from raybead.hunt.scan import Windows, local_p, test_statistic
from raybead.hunt.selection import Selection, Threshold, fit_threshold, select, select_outliers
from raybead.hunt.toys import CHUNK, GlobalP, toy_statistics

__all__ = [
    "CHUNK",
    "DIJET_EDGES",
    "GlobalP",
    "Histogram",
    "NonOutliers",
    "Prepared",
    "RatioPolynomial",
    "Sample",
    "Selection",
    "Threshold",
    "Windows",
    "conclude",
    "conclude_cut",
    "edges_of",
    "edges_within",
    "evaluate",
    "fit_threshold",
    "local_p",
    "predict",
    "prepare_cut",
    "select",
    "select_outliers",
    "test_statistic",
    "toy_statistics",
]
