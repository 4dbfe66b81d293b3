"""From loss to score: complexity removal, combination of jets, controls beside it."""

from raybead.scoring.calibration import CALIBRATION, Calibration
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.events import EventScorer
from raybead.scoring.jets import EVENT_COLUMNS, JetScorer, Scoring
from raybead.scoring.scored import SCORED, Scored

__all__ = [
    "CALIBRATION",
    "EVENT_COLUMNS",
    "SCORED",
    "Calibration",
    "Complexity",
    "EventScorer",
    "JetScorer",
    "Scored",
    "Scoring",
    "combine",
]
