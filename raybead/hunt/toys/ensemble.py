"""Statistics of pseudo-experiments, chunk by chunk.

Axes: N toys, L looks, M bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from raybead.errors import HuntError
from raybead.hunt.background import NonOutliers
from raybead.hunt.histogram import Array
from raybead.hunt.scan import BumpHunt
from raybead.hunt.toys.null import Look, Null, Spectra
from raybead.hunt.toys.permutation import Permutation
from raybead.hunt.toys.poisson import Poisson

CHUNK = 1000
"""Toys drawn at a time, each chunk from a seed of its own: the same toys however they are
shared out among workers."""

Draw = Callable[[np.random.Generator, int], Array]


def statistics(
    null: Null, looks: Sequence[Look], n: int, seed: tuple[int, ...], first: int = 0
) -> Array:
    """Test statistics [n, L] of pseudo-experiments without a signal.

    The bump hunt of counts is looked up in tables, where it can be (permutations with the scaled
    non-outliers for a background, Poisson toys with a fixed one); all else is drawn, predicted
    anew and scanned.

    Args:
        null: that toys are drawn from.
        looks: L of them, in the null's order.
        n: toys, a whole number of chunks or less than one.
        seed: of the whole ensemble.
        first: number of the first chunk in the ensemble.

    Raises:
        HuntError: a statistic isn't a number.
    """
    draw = _tabled(null, looks) or (lambda rng, n: _scanned(null.draw(rng, n), looks))
    parts = [np.empty((0, len(looks)))]
    for chunk, start in enumerate(range(0, n, CHUNK), first):
        rng = np.random.default_rng([*seed, chunk])
        parts.append(draw(rng, min(CHUNK, n - start)))
    return _finite(np.concatenate(parts))


def observed_statistics(null: Null, looks: Sequence[Look], data: Spectra) -> Array:
    """[L] of the data, in the same way as of toys, so that a toy equal to the data ties with it.

    Args:
        null: that toys are drawn from.
        looks: L of them.
        data: outliers and others of every look, [1, M].

    Raises:
        HuntError: a statistic isn't a number.
    """
    if isinstance(null, Permutation) and (scans := _template_scans(looks)) is not None:
        tables = null.tables(scans)
        if tables is not None:
            counts_1LM = np.stack([o.sums.astype(np.int64) for o, _ in data], axis=1)
            return tables.statistics(counts_1LM)[0]
    return _finite(_scanned(data, looks))[0]


def _scanned(spectra: Spectra, looks: Sequence[Look]) -> Array:
    """[N, L] of toys one by one."""
    columns = []
    for (outliers, others), look in zip(spectra, looks, strict=True):
        expected = look.background.refit(outliers, others)
        columns.append(look.statistic.of(outliers, others, expected))
    return np.stack(columns, axis=1)


def _tabled(null: Null, looks: Sequence[Look]) -> Draw | None:
    """How toys are looked up, where they can be."""
    match null:
        case Permutation() if (scans := _template_scans(looks)) is not None:
            tables = null.tables(scans)
        case Poisson() if isinstance(scan := looks[0].statistic, BumpHunt):
            # What doesn't follow a toy is the same for all of them, and comes as one row.
            some = null.draw(np.random.default_rng(0), 2)
            prediction = looks[0].background.refit(*some[0])
            tables = null.tables(scan, prediction[0]) if len(prediction) == 1 else None
        case _:
            return None
    return None if tables is None else (lambda rng, n: null.scanned(tables, rng, n))


def _template_scans(looks: Sequence[Look]) -> list[BumpHunt] | None:
    """The scans, where all looks are bump hunts with scaled non-outliers."""
    scans = [
        look.statistic
        for look in looks
        if isinstance(look.statistic, BumpHunt) and isinstance(look.background, NonOutliers)
    ]
    return scans if len(scans) == len(looks) else None


def _finite(statistics_NL: Array) -> Array:
    if not np.isfinite(statistics_NL).all():
        toy, look = np.argwhere(~np.isfinite(statistics_NL))[0]
        raise HuntError(f"look {look}: the statistic of pseudo-experiment {toy} isn't a number")
    return statistics_NL
