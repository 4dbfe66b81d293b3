"""Scores of new events, from a model's folder alone: its bundles and calibrations."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from raybead.models import Bundle
from raybead.scoring.calibration import Calibration
from raybead.scoring.calibrations import Calibrations
from raybead.scoring.jets import JetScorer
from raybead.scoring.members import MEMBERS
from raybead.storage import Folder


class EventScorer:
    """Scores tables of event rows as the run did that the bundle and the calibration are of.

    Args:
        bundle: of the model, as ``Bundle.load(run / "model")``; several of an ensemble.
        calibration: as ``Calibration.load(run / "model")``, of the last scoring; of an ensemble
            ``Calibrations``. :meth:`load` finds out by itself.
        batch_items: items that a model takes at once.
        device: that it runs on.
    """

    def __init__(
        self,
        bundle: Bundle | Sequence[Bundle],
        calibration: Calibration | Calibrations,
        batch_items: int = 4096,
        device: str = "cpu",
    ) -> None:
        bundles = [bundle] if isinstance(bundle, Bundle) else bundle
        if isinstance(calibration, Calibration):
            calibration = Calibrations(members=(calibration,))
        self.calibrations = calibration
        self.jets = [
            JetScorer(
                one,
                batch_items,
                device,
                leading=member.leading,
                quantities=member.item.quantities,
                controls=member.controls,
            )
            for one, member in zip(bundles, calibration.members, strict=True)
        ]

    @classmethod
    def load(cls, folder: Folder, batch_items: int = 4096, device: str = "cpu") -> EventScorer:
        """Of a run's ``model`` folder, whether one bundle was scored with last or an ensemble.

        Raises:
            RunError: nothing was scored with it yet, or something isn't whole.
        """
        calibrations = Calibrations.load(folder)
        if calibrations.ensemble is None:
            return cls(Bundle.load(folder), calibrations, batch_items, device)
        numbers = range(1, len(calibrations.members) + 1)
        bundles = [Bundle.load(folder / MEMBERS / str(number)) for number in numbers]
        return cls(bundles, calibrations, batch_items, device)

    def table(self, events: pa.Table) -> pa.Table:
        """Rows of event scores for event rows, in their order.

        Args:
            events: with :data:`raybead.scoring.EVENT_COLUMNS`.

        Raises:
            InputError: an event has more jets than those that were scored had.
            RunError: an event score of an ensemble's member isn't finite.
        """
        return self.calibrations.scores([jets.table(events) for jets in self.jets])
