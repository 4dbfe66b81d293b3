"""Which of the swept keys decides how good a trial is.

A forest learns the order of the trials from their values; a key matters as much as the forest errs
more about trials it hasn't seen when they are given other trials' values of that key (permutation
importance, doi:10.1023/A:1010933404324). In units of twice the variance this is the share of the
variance that goes with the key, alone and together with others: of a forest that is always right,
Sobol's total index. The order is learned and not the objective itself, so that one diverged trial
doesn't decide everything.
"""

# Axes: N trials, K keys, C columns that the forest sees.

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.config import Sweep
from raybead.sweeping.records import TrialRecord

FEWEST = 8
"""Finished trials that a forest can be asked about."""
FORESTS, TREES, EXCHANGES = 30, 20, 4
"""Bootstraps of the trials, trees of each one's forest, exchanges of a key's values in each."""


def importance(records: Sequence[TrialRecord], sweep: Sweep, *, seed: int = 0) -> dict[str, Any]:
    """Importance of each swept key for the order of the finished trials by objective.

    Only trials that can be are made up: a key that isn't set everywhere exchanges values among
    trials that have it, and one that decides whether others are set takes them along where the
    trial doesn't have them, or loses them.

    Args:
        records: of trials; stopped and failed ones are left out.
        sweep: that they are of.
        seed: of bootstraps and forests.

    Returns:
        ``trials``; ``keys``, for each its ``mean`` and ``spread`` (standard deviation over
        bootstraps of the trials), the most important first, or None with a ``reason``;
        ``predicted``, the share of the variance that the forest predicts of trials it hasn't seen
        (where it is not above 0, no importance means anything); ``constant``, keys that had one
        value only.
    """
    done = [
        record
        for record in records
        if record.status == "done"
        and record.objective is not None
        and math.isfinite(record.objective.value)
    ]
    found: dict[str, Any] = {
        "trials": len(done), "keys": None, "reason": None, "predicted": None, "constant": [],
    }  # fmt: skip
    if len(done) < FEWEST:
        few = f"{len(done)} finished trial{'s' if len(done) != 1 else ''}"
        return {**found, "reason": f"of {few} it can't be told; it takes {FEWEST}"}
    objective = np.array([record.objective.value for record in done if record.objective])
    if np.ptp(objective) == 0:
        return {**found, "reason": "all finished trials have the same objective"}
    columns = {key: Column.of(done, key) for key in sweep.over}
    found["constant"] = [key for key, column in columns.items() if np.ptp(column.codes_N) == 0]
    columns = {key: col for key, col in columns.items() if key not in found["constant"]}
    if not columns:
        return {**found, "reason": "no key had more than one value"}
    hangs = [
        [place for place, other in enumerate(columns) if key in sweep.over[other].when]
        for key in columns
    ]
    order_N = stats.rankdata(objective) / len(objective)
    shares, predicted = _shares(list(columns.values()), hangs, order_N, seed)
    by_key = {
        key: {"mean": float(share.mean()), "spread": float(share.std(ddof=1))}
        for key, share in zip(columns, shares.T, strict=True)
    }
    keys = dict(sorted(by_key.items(), key=lambda item: -item[1]["mean"]))
    return {**found, "keys": keys, "predicted": predicted}


@dataclass(frozen=True)
class Column:
    """One key's values as numbers."""

    codes_N: NDArray[np.float64]
    """Numbers as they are, other values by their place; what isn't set lies below them all."""
    active_N: NDArray[np.bool_]
    ordered: bool
    """Whether the values are numbers, and so have an order."""

    @classmethod
    def of(cls, records: Sequence[TrialRecord], key: str) -> Column:
        """What some trials had."""
        values = [record.values.get(key) for record in records]
        active = np.array([value is not None for value in values])
        ordered = all(
            isinstance(value, (int, float)) and not isinstance(value, bool)
            for value in values
            if value is not None
        )
        if ordered:
            codes = np.array([np.nan if value is None else float(value) for value in values])
        else:
            texts = [json.dumps(value, sort_keys=True) for value in values]
            places = {text: float(place) for place, text in enumerate(sorted(set(texts)))}
            codes = np.array([places[text] for text in texts])
        if active.any():
            codes[~active] = codes[active].min() - max(1.0, float(np.ptp(codes[active])))
        else:
            codes[:] = 0.0
        return cls(codes, active, ordered)

    def seen(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the forest sees of codes: themselves, or one column for each value.

        Returns:
            [rows, columns]
        """
        if self.ordered:
            return codes[:, None]
        return (codes[:, None] == np.unique(self.codes_N)[None, :]).astype(np.float64)


def _shares(
    columns: Sequence[Column], hangs: Sequence[Sequence[int]], order_N: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """[bootstraps, K] shares of the variance, and the share that is predicted."""
    # Every verb of the command line imports this file, and scikit-learn takes a second to import.
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(seed)
    n, codes_NK = len(order_N), np.stack([column.codes_N for column in columns], axis=1)
    active_NK = np.stack([column.active_N for column in columns], axis=1)

    def seen(rows_NK: np.ndarray) -> np.ndarray:
        parts = [column.seen(rows_NK[:, place]) for place, column in enumerate(columns)]
        return np.concatenate(parts, axis=1)

    inputs_NC, shares, missed = seen(codes_NK), [], []
    while len(shares) < FORESTS:
        drawn = rng.integers(n, size=n)
        others = np.setdiff1d(np.arange(n), drawn)
        if len(others) == 0:
            continue
        forest = RandomForestRegressor(TREES, random_state=int(rng.integers(2**31)), n_jobs=1)
        forest.fit(inputs_NC[drawn], order_N[drawn])
        made = [
            _exchanged(codes_NK, active_NK, others, key, hangs[key], rng)
            for key in range(len(columns))
            for _ in range(EXCHANGES)
        ]
        rows = seen(np.concatenate([codes_NK[others], *made]))
        guesses = forest.predict(rows).reshape(1 + len(made), len(others))
        errors = ((guesses - order_N[others]) ** 2).mean(axis=1)
        by_key = errors[1:].reshape(len(columns), EXCHANGES).mean(axis=1)
        shares.append((by_key - errors[0]) / (2 * order_N.var()))
        missed.append(errors[0])
    return np.array(shares), float(1 - np.mean(missed) / order_N.var())


def _exchanged(
    codes_NK: np.ndarray,
    active_NK: np.ndarray,
    rows: np.ndarray,
    key: int,
    hangs: Sequence[int],
    rng: np.random.Generator,
) -> np.ndarray:
    """[rows, K] trials with other trials' values of a key, and of what hangs on it if need be."""
    made = codes_NK[rows].copy()
    has = np.flatnonzero(active_NK[rows, key])
    givers = np.flatnonzero(active_NK[:, key])
    if len(givers) == 0:
        return made
    given = rng.choice(givers, size=len(has))
    made[has, key] = codes_NK[given, key]
    for other in hangs:
        keeps = active_NK[rows[has], other] & active_NK[given, other]
        made[has, other] = np.where(keeps, made[has, other], codes_NK[given, other])
    return made
