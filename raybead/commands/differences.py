"""How the scores of several runs separate, and what one has more than another, by truth.

Reports know nothing of hunts, nor hunts of reports; here they meet.
Axes: E events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.evaluation import evaluate
from raybead.hunt.evaluation.paired import paired_gain
from raybead.report.compared import Difference, Run
from raybead.report.hunted import Evaluation

SAME_MASS = 1e-6
"""Relative difference of masses within which events of one number are one event."""
Rows = NDArray[np.int64]


def evaluated(run: Run) -> Run:
    """The run with its evaluation by truth, where scores were made and not hunted in yet."""
    if run.hunted is not None or "scores" in run.missing:
        return run
    found = evaluate(run.scores["search"], ["score"], seed=run.job.seed)
    return run if found is None else replace(run, evaluation=Evaluation.model_validate(found))


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Of all pairs of runs of which truth is known, in the order of the runs.

    Raises:
        HuntError: a run has events without a score.
    """
    known = [run for run in runs if run.evaluation is not None and run.scores]
    return [_difference(one, other) for one, other in combinations(known, 2)]


@dataclass(frozen=True)
class _Shared:
    """Events that two runs both scored: rows of either; and how that is known, in words."""

    mine: Rows
    theirs: Rows
    why: str
    whole: bool
    """Whether they can be told of as a sample: all there are, or all that both kept of it."""
    unsure: int = 0
    """Events of one number and two masses: other events, or the same with other jets."""


def shared_events(one: Run, other: Run) -> _Shared:
    """Which events two runs have in common.

    The samples are the same where they were read from the same sources; elsewhere where events
    have the same numbers and masses. Other masses don't say that events are others: other jets of
    the same events have other masses, too.
    """
    a, b = one.scores["search"], other.scores["search"]
    _, mine, theirs = np.intersect1d(
        a.column("event").to_numpy(), b.column("event").to_numpy(), return_indices=True
    )
    read = [_sources(run) for run in (one, other)]
    if read[0] is None or read[0] != read[1]:
        masses = (a.column("mjj").to_numpy()[mine], b.column("mjj").to_numpy()[theirs])
        same = np.isclose(*masses, rtol=SAME_MASS)
        unsure = int((~same).sum())
        mine, theirs = mine[same], theirs[same]
        whole = len(mine) == len(a) == len(b)
        return _Shared(mine, theirs, "the same events, by numbers and masses", whole, unsure)
    if len(mine) == len(a) == len(b):
        return _Shared(mine, theirs, "the same events", True)
    why = f"the {len(mine)} events that both kept of the same sample"
    return _Shared(mine, theirs, why, True)


def _sources(run: Run) -> object | None:
    account = run.accounts.get("events/search")
    return None if account is None else account.depends.get("data")


def _difference(one: Run, other: Run) -> Difference:
    shared = shared_events(one, other)
    n = len(shared.mine)
    if n == 0 and shared.unsure:
        # Independent errors would be too large for the same events, and paired ones need pairs.
        return Difference(
            one.name, other.name, False,
            f"{shared.unsure} event numbers in common with other masses: the same events with"
            " other jets, or others; no error is known",
        )  # fmt: skip
    if n == 0:
        return _independent(one, other)
    if not shared.whole:
        return Difference(
            one.name, other.name, False,
            f"{n} events in common and not all: neither paired nor independent",
        )  # fmt: skip
    a, b = one.scores["search"].take(shared.mine), other.scores["search"].take(shared.theirs)
    known = a.column("truth").is_valid().to_numpy() & b.column("truth").is_valid().to_numpy()
    truth = _truth(a)
    weight, same_weight = a.column("weight").to_numpy(), b.column("weight").to_numpy()
    if (truth != _truth(b))[known].any() or not np.allclose(weight, same_weight):
        return Difference(
            one.name, other.name, False, "the same events with other labels or weights"
        )
    scores = [table.column("score").to_numpy()[known] for table in (a, b)]
    try:
        gain = paired_gain(truth[known], weight[known], *scores, seed=one.job.seed)
    except HuntError as error:
        raise HuntError(f"{one.name} and {other.name}: {error}") from None
    if gain is None:
        return Difference(one.name, other.name, True, f"{shared.why}: too few to tell")
    return Difference(
        one.name, other.name, True, f"paired: {shared.why}", (gain.auc, gain.auc_error),
        (gain.sic, gain.sic_error), (gain.auc_without, gain.sic_without),
        gain.replicas,
    )  # fmt: skip


def _truth(table: pa.Table) -> NDArray[np.bool_]:
    return table.column("truth").fill_null(0).to_numpy() > 0


def _independent(one: Run, other: Run) -> Difference:
    """Of runs without a common event: errors add in squares."""
    assert one.evaluation is not None
    assert other.evaluation is not None
    a, b = one.evaluation.of_model, other.evaluation.of_model
    return Difference(
        one.name, other.name, False, "other events: errors are independent, and signals may"
        " differ", (a.auc - b.auc, hypot(a.auc_error, b.auc_error)),
        (a.sic - b.sic, hypot(a.sic_error, b.sic_error)),
    )  # fmt: skip
