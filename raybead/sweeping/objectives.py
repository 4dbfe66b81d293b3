"""The numbers that trials are judged by: higher is better, and none but evaluation knows truth.

Axes: R replicas, E events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raybead.config import Hunt, Sweep
from raybead.config.sweep import AUC, BY_TRUTH, CORRUPTION, REACH, SIC, STABILITY, VALIDATION_LOSS
from raybead.config.sweep_rules import TWO_PRONG
from raybead.errors import HuntError
from raybead.hunt.binning import edges_of
from raybead.hunt.evaluation.bootstrap import replicas_for, replicate
from raybead.hunt.evaluation.curves import Curve
from raybead.hunt.evaluation.placements import Placements
from raybead.hunt.evaluation.separation import MIN_BACKGROUND
from raybead.hunt.sample import Sample
from raybead.hunt.weights import relative
from raybead.sweeping.draws import draws, told
from raybead.sweeping.reach import Reach
from raybead.sweeping.records import Quantity
from raybead.sweeping.separation import Separation
from raybead.sweeping.stability import Stability

BACKGROUND, SEEN, SEARCH = "background", "seen", "search"
"""Judged tables, besides one of each kind of corruption."""


def quantities(
    judged: Mapping[str, pa.Table],
    sweep: Sweep,
    hunt: Hunt,
    validation_loss: float | None,
    seed: int,
) -> dict[str, Quantity]:
    """What a trial is worth: all that the sweep asks for, and every corruption.

    Replicas are of the same draws of the same events in all trials. Errors are of the events that
    trials are judged by alone: what another training would give isn't in them.

    Args:
        judged: event scores of ``background``, held out from training; of every configured kind
            of corruption, whose rows are those of background, corrupted; where asked for, of
            ``seen`` (background that was trained on) and ``search``. Columns event, score, weight
            and the observable; ``truth`` of search alone, with ``evaluation``.
        sweep: what is asked for.
        hunt: that scores are for.
        validation_loss: of the trial; None where it has none.
        seed: of the replicas; the same for all trials.

    Raises:
        HuntError: a table is missing, isn't of the events it should be of, holds what isn't a
            number, or too little to tell a quantity.
    """
    edges = edges_of(hunt)
    window = (float(edges[0]), float(edges[-1]))
    background = _sample(judged, BACKGROUND, hunt)
    corrupted = {kind: _corrupted(judged, kind, background, hunt) for kind in sweep.corruptions}
    times_RE = draws(len(background), sweep.replicas, seed)
    binned = hunt.conditional == "mjj"
    told_of: dict[str, Quantity] = {}
    for kind, sample in corrupted.items():
        name = f"{CORRUPTION}-{kind}"
        apart = Separation.of(background, sample, window, binned=binned, what=name)
        told_of[name] = told(apart.auc, times_RE)
    told_of[CORRUPTION] = _summed((one, 1 / len(corrupted)) for one in told_of.values())
    wanted = set(sweep.quantities)
    if STABILITY in wanted:
        seen = _sample(judged, SEEN, hunt)
        stability = Stability.of(background, seen, hunt, window)
        both_RN = np.hstack([times_RE, draws(len(seen), sweep.replicas, seed, 1)])
        told_of[STABILITY] = told(stability.of_draws, both_RN)
    if REACH in wanted:
        if TWO_PRONG not in corrupted:
            raise HuntError(f"reach: needs {TWO_PRONG!r} among sweep.corruptions")
        reach = Reach.of(background, corrupted[TWO_PRONG], hunt, sweep.masses, seed)
        told_of[REACH] = told(reach.of_draws, times_RE)
    if VALIDATION_LOSS in wanted:
        if validation_loss is None or not np.isfinite(validation_loss):
            raise HuntError(f"validation-loss: the trial has none ({validation_loss})")
        told_of[VALIDATION_LOSS] = Quantity(value=-validation_loss)
    if sweep.evaluation and wanted & BY_TRUTH:
        told_of |= _by_truth(_table(judged, SEARCH), seed, sweep.replicas)
    if unknown := wanted - told_of.keys():
        raise HuntError(f"sweep: {', '.join(sorted(unknown))} can't be told of a trial")
    return {name: told_of[name] for name in dict.fromkeys([*sweep.quantities, *told_of])}


def objective(found: Mapping[str, Quantity], sweep: Sweep) -> Quantity:
    """The weighted sum of quantities that the sweep maximises.

    Replica by replica, as far as all have them: a sum with a quantity whose error isn't known has
    none.

    Args:
        found: of :func:`quantities`.
        sweep: whose objective it is.
    """
    return _summed((found[name], weight) for name, weight in sweep.weights.items() if weight)


def _summed(terms: Iterable[tuple[Quantity, float]]) -> Quantity:
    pairs = list(terms)
    n = min((len(one.replicas) for one, _ in pairs), default=0)
    replicas = sum((weight * one.draws()[:n] for one, weight in pairs), np.zeros(n))
    value = sum(weight * one.value for one, weight in pairs)
    return Quantity(value=value, replicas=tuple(replicas.tolist()))


def _table(judged: Mapping[str, pa.Table], which: str) -> pa.Table:
    if which not in judged:
        raise HuntError(f"sweep: no event is judged as {which!r}; there are {', '.join(judged)}")
    return judged[which]


def _sample(judged: Mapping[str, pa.Table], which: str, hunt: Hunt) -> Sample:
    """The columns of a judged table that need no truth."""
    try:
        return Sample.of(_table(judged, which), hunt.observable)
    except HuntError as error:
        raise HuntError(f"judged {which}: {error}") from None


def _corrupted(
    judged: Mapping[str, pa.Table], kind: str, background: Sample, hunt: Hunt
) -> Sample:
    sample = _sample(judged, kind, hunt)
    if not np.array_equal(sample.event, background.event):
        raise HuntError(
            f"judged {kind}: its {len(sample)} rows aren't those of the {len(background)}"
            " background events, corrupted, in their order"
        )
    return sample


def _by_truth(search: pa.Table, seed: int, replicas: int) -> dict[str, Quantity]:
    """AUC and the largest significance improvement on the search sample."""
    if "truth" not in search.column_names:
        raise HuntError("sweep.evaluation: the search sample has no truth; leave it off")
    known = search.filter(pc.field("truth").is_valid())
    truth = known.column("truth").to_numpy() > 0
    if truth.sum() < 2 or (~truth).sum() < 2:
        raise HuntError(
            f"sweep.evaluation: of {len(search)} events of the search sample {truth.sum()} are"
            f" known as signal and {(~truth).sum()} as background; two of each are needed"
        )
    weight = known.column("weight").to_numpy().astype(np.float64)
    score = known.column("score").to_numpy()
    for name, values in (("weights", weight), ("scores", score)):
        if broken := np.count_nonzero(~np.isfinite(values)):
            raise HuntError(f"judged search: {broken} of its {name} aren't numbers")
    if min(weight[truth].sum(), weight[~truth].sum()) <= 0:
        raise HuntError(
            "sweep.evaluation: the weights of signal or of background of the search sample sum to"
            " nothing above 0"
        )
    weight = relative(weight)
    drawn = replicate(
        truth,
        weight,
        {"score": score},
        MIN_BACKGROUND,
        seed=seed,
        replicas=min(replicas, replicas_for(len(truth))),
    )["score"]
    auc = Placements.of(truth, score, weight).auc
    sic = float(Curve.of(truth, score, weight).improvement(MIN_BACKGROUND).max())
    return {
        AUC: Quantity(value=auc, replicas=tuple(drawn.auc.tolist())),
        SIC: Quantity(value=sic, replicas=tuple(drawn.sic.tolist())),
    }
