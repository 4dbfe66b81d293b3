"""From loss to score: complexity removal, combination of jets, controls beside it."""

from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.events import SCORED, fit_complexity, score_events
from raybead.scoring.jets import EVENT_COLUMNS, JetScorer

__all__ = [
    "EVENT_COLUMNS",
    "SCORED",
    "Complexity",
    "JetScorer",
    "combine",
    "fit_complexity",
    "score_events",
]
