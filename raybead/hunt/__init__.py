"""Selection, background, scan, toys: from event scores to a significance, and what it is worth."""

from raybead.hunt.binning import DIJET_EDGES, edges_of
from raybead.hunt.box import Box, boxes_of, prepare_box, trials_of
from raybead.hunt.cut import Cut, Scores
from raybead.hunt.evaluation import Cuts, evaluate
from raybead.hunt.histogram import Histogram
from raybead.hunt.result import described, hunt_here, joint_statistics, key_of, most_toys
from raybead.hunt.sample import Sample
from raybead.hunt.selection import Threshold, fit_threshold
from raybead.hunt.studies import hunt_once
from raybead.hunt.toys import CHUNK, GlobalP, until

__all__ = [
    "CHUNK",
    "DIJET_EDGES",
    "Box",
    "Cut",
    "Cuts",
    "GlobalP",
    "Histogram",
    "Sample",
    "Scores",
    "Threshold",
    "boxes_of",
    "described",
    "edges_of",
    "evaluate",
    "fit_threshold",
    "hunt_here",
    "hunt_once",
    "joint_statistics",
    "key_of",
    "most_toys",
    "prepare_box",
    "trials_of",
    "until",
]
