"""Judging a trial: its model scores the judged events, and quantities follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from raybead.config import Job, Sweep, logarithms_of
from raybead.models import Bundle
from raybead.scoring import Calibration, JetScorer
from raybead.sweeping.objectives import BACKGROUND, SEARCH, objective, quantities
from raybead.sweeping.records import Quantity


@dataclass(frozen=True)
class Judgement:
    """What became of one model before its judge."""

    scores: Mapping[str, pa.Table]
    """Event scores of all that it was judged by."""
    calibration: Calibration
    """The way to these scores, fitted on the judged background."""
    quantities: dict[str, Quantity]
    objective: Quantity


def judge(
    job: Job,
    sweep: Sweep,
    bundle: Bundle,
    judged: Mapping[str, pa.Table],
    search: pa.Table | None = None,
    device: str = "cpu",
) -> Judgement:
    """Score events with a trial's model, and tell how good it is.

    The way from losses to scores is fitted on the judged background alone. The search sample is
    scored in an evaluation, and then as its run would.

    Args:
        job: the trial's.
        sweep: what is asked for.
        bundle: of the model.
        judged: event rows; see :func:`raybead.sweeping.judged.write_judged`.
        search: prepared events of the search sample, whose truth is looked at.
        device: that the model runs on.
    """
    config = job.score.model_copy(update={"controls": False, "store": ()})
    scorer = JetScorer(
        bundle,
        config.batch_items,
        device,
        leading=job.jets.leading,
        quantities=tuple(config.weights),
        controls=False,
    )
    losses = {name: scorer.table(rows) for name, rows in judged.items()}
    logarithms = logarithms_of(job.loss)
    on_background = config.model_copy(update={"complexity_fit": "background"})
    background = losses[BACKGROUND]
    way = Calibration.fit(background, on_background, background, logarithms)
    scores = {name: way.scores(table) for name, table in losses.items()}
    if search is not None:
        found = scorer.table(search)
        fitted = found if config.complexity_fit == "search" else background
        scores[SEARCH] = Calibration.fit(fitted, config, background, logarithms).scores(found)
    loss = bundle.summary["validation_loss"]
    told = quantities(scores, sweep, job.hunt, loss, job.seed)
    return Judgement(scores, way, told, objective(told, sweep))
