"""From loss to score: complexity removal, combination of jets, controls beside it."""

from raybead.scoring.calibration import CALIBRATION, Calibration
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.events import EventScorer
from raybead.scoring.fitted import Mahalanobis, Standard
from raybead.scoring.items import ItemScore
from raybead.scoring.jets import EVENT_COLUMNS, JetScorer, Scoring
from raybead.scoring.scored import CONTROLS, SCORED, Scored

__all__ = [
    "CALIBRATION",
    "CONTROLS",
    "EVENT_COLUMNS",
    "SCORED",
    "Calibration",
    "Complexity",
    "EventScorer",
    "ItemScore",
    "JetScorer",
    "Mahalanobis",
    "Scored",
    "Scoring",
    "Standard",
    "combine",
]
