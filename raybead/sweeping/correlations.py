"""Whether trials that one quantity calls good are those that another does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raybead.config import Sweep
from raybead.sweeping.records import TrialRecord

FEWEST = 3
"""Trials between which an order says anything."""
REPLICAS = 1000
OBJECTIVE = "objective"


def correlations(
    records: Sequence[TrialRecord], sweep: Sweep, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Spearman's rank correlation of every two quantities over the finished trials.

    The objective is one of them, unless a lone quantity, which then goes by the objective's name.

    Args:
        records: of trials; stopped and failed ones are left out.
        sweep: that they are of.
        seed: of the bootstrap.

    Returns:
        One record a pair: names ``a`` and ``b``, ``rho``, the central 68 % (``low``, ``high``) of
        a bootstrap over trials, ``n`` trials, and a ``reason`` where there is no ``rho``.
    """
    done = [record for record in records if record.status == "done"]
    names = dict.fromkeys(name for record in done for name in record.quantities)
    own = next(iter(sweep.weights)) if len(sweep.weights) == 1 else None
    columns = {OBJECTIVE: [record.objective for record in done]}
    for name in [*sweep.quantities, *names]:
        if name != own:
            columns[name] = [record.quantities.get(name) for record in done]
    numbers = {
        name: np.array([np.nan if q is None else q.value for q in column], dtype=np.float64)
        for name, column in columns.items()
    }
    return [
        {"a": a, "b": b, **_spearman(numbers[a], numbers[b], seed)}
        for a, b in combinations(numbers, 2)
    ]


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> dict[str, Any]:
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    n = len(x)
    nothing = {"rho": None, "low": None, "high": None, "n": n}
    if n < FEWEST:
        return {**nothing, "reason": f"fewer than {FEWEST} finished trials have both"}
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return {**nothing, "reason": "one of them is the same for all trials"}
    draws = np.random.default_rng(seed).integers(n, size=(REPLICAS, n))
    spread = _of_ranks(x[draws], y[draws])
    spread = spread[np.isfinite(spread)]  # a draw of one trial over and over has no order
    low, high = np.quantile(spread, stats.norm.cdf([-1, 1]))
    rho = float(_of_ranks(x[None], y[None])[0])
    return {"rho": rho, "low": float(low), "high": float(high), "n": n, "reason": None}


def _of_ranks(x_RN: NDArray[np.float64], y_RN: NDArray[np.float64]) -> NDArray[np.float64]:
    """[R] correlations of ranks, equal values sharing theirs; NaN where all are equal."""
    a, b = (stats.rankdata(values, axis=1) for values in (x_RN, y_RN))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 0)
