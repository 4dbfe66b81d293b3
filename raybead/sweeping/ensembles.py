"""The best few trials scoring together, judged by the scores that each left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from raybead.config import Hunt, Sweep
from raybead.config.sweep import VALIDATION_LOSS
from raybead.observables.controls import SCORE
from raybead.scoring import Calibration
from raybead.scoring.ensemble import Ensemble
from raybead.storage import Folder
from raybead.sweeping.objectives import BACKGROUND, objective, quantities
from raybead.sweeping.records import Quantity
from raybead.sweeping.trial import SCORES, scores_of


def judged_ensembles(
    trials: Sequence[Folder], sweep: Sweep, hunt: Hunt, seed: int
) -> list[dict[str, Quantity]]:
    """What ensembles of the best two, three, ... trials are worth.

    Scores are standardised on the judged background and averaged, as ``[score] ensemble`` does.

    Args:
        trials: folders of finished ones, the best first.
        sweep: what is asked for.
        hunt: that scores are for.
        seed: of the replicas: those of the trials, so that differences are paired.

    Returns:
        Of each ensemble its quantities, and ``objective``. Empty where trials are judged by their
        validation losses, which an ensemble hasn't got.
    """
    if VALIDATION_LOSS in sweep.quantities:
        return []
    scores = [scores_of(folder) for folder in trials]
    logarithms = [Calibration.load(folder / SCORES).is_logarithm for folder in trials]
    found = []
    for k in range(2, len(trials) + 1):
        together = _combined(scores[:k], logarithms[:k])
        told = quantities(together, sweep, hunt, None, seed)
        found.append({"objective": objective(told, sweep), **told})
    return found


def _combined(
    scores: Sequence[Mapping[str, pa.Table]], logarithms: Sequence[bool]
) -> dict[str, pa.Table]:
    def column(table: pa.Table):
        return table.column(SCORE).to_numpy()

    ensemble = Ensemble.fit([column(of[BACKGROUND]) for of in scores], logarithms)
    combined = {}
    for name, table in scores[0].items():
        values = ensemble.combined([column(of[name]) for of in scores])
        place = table.column_names.index(SCORE)
        combined[name] = table.set_column(place, SCORE, pa.array(values))
    return combined
