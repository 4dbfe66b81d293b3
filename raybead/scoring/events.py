"""Scores of new events, from a bundle and a calibration alone."""

from __future__ import annotations

import pyarrow as pa

from raybead.models import Bundle
from raybead.scoring.calibration import Calibration
from raybead.scoring.jets import JetScorer


class EventScorer:
    """Scores tables of event rows as the run did that the bundle and the calibration are of.

    Args:
        bundle: of the model, as ``Bundle.load(run / "model")``.
        calibration: as ``Calibration.load(run / "model")``, of the last scoring.
        batch_items: items that the model takes at once.
        device: that it runs on.
    """

    def __init__(
        self,
        bundle: Bundle,
        calibration: Calibration,
        batch_items: int = 4096,
        device: str = "cpu",
    ) -> None:
        self.calibration = calibration
        self.jets = JetScorer(
            bundle,
            batch_items,
            device,
            leading=calibration.leading,
            quantities=calibration.item.quantities,
            controls=calibration.controls,
        )

    def table(self, events: pa.Table) -> pa.Table:
        """Rows of event scores for event rows, in their order.

        Args:
            events: with :data:`raybead.scoring.EVENT_COLUMNS`.

        Raises:
            InputError: an event has more jets than those that were scored had.
        """
        return self.calibration.scores(self.jets.table(events))
