"""From ``[sweep] search`` to a proposer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raybead.config.sweep import Sweep
from raybead.sweeping.parzen import Parzen
from raybead.sweeping.proposers import Known, Proposer, listed_draws, listed_grid
from raybead.sweeping.space import Space


def proposer_of(
    sweep: Sweep, raw: Mapping[str, Any], seed: int, known: Sequence[Known] = ()
) -> Proposer:
    """The proposer of a sweep's trials.

    Args:
        sweep: of the job.
        raw: the job file as read.
        seed: of all that is drawn.
        known: trials of an interrupted sweep, with objectives. They count as trials and aren't
            proposed again; what lies outside of the space doesn't.
    """
    space = Space.of(sweep, raw)
    match sweep.search:
        case "grid":
            return listed_grid(space, sweep.most_trials, known)
        case "tpe":
            return Parzen(space, sweep.most_trials, seed, known)
        case "random" | "pbt":  # of a population, that it begins with
            return listed_draws(space, sweep.most_trials, seed, known)
