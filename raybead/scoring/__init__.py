"""From loss to score: complexity removal, combination of jets, controls beside it."""

from raybead.observables.controls import CONTROLS, SCORED, Scored
from raybead.scoring.calibration import CALIBRATION, Calibration
from raybead.scoring.calibrations import ENSEMBLE, Calibrations
from raybead.scoring.combine import combine
from raybead.scoring.complexity import Complexity
from raybead.scoring.ensemble import Ensemble
from raybead.scoring.events import EventScorer
from raybead.scoring.fitted import Mahalanobis, Standard
from raybead.scoring.items import ItemScore
from raybead.scoring.jets import EVENT_COLUMNS, JetScorer, Scoring
from raybead.scoring.members import (
    MEMBERS,
    SECTION,
    Member,
    kept_members,
    members_digests,
    refuse_missing_members,
    scoring_members,
)

__all__ = [
    "CALIBRATION",
    "CONTROLS",
    "ENSEMBLE",
    "EVENT_COLUMNS",
    "MEMBERS",
    "SCORED",
    "SECTION",
    "Calibration",
    "Calibrations",
    "Complexity",
    "Ensemble",
    "EventScorer",
    "ItemScore",
    "JetScorer",
    "Mahalanobis",
    "Member",
    "Scored",
    "Scoring",
    "Standard",
    "combine",
    "kept_members",
    "members_digests",
    "refuse_missing_members",
    "scoring_members",
]
