"""The compiled toys (``_toys.c``): addresses and types of what they read and write.

Axes: N toys, L looks, P patterns, M bins, W windows, E events.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from raybead.hunt.histogram import Array, Counts
from raybead.hunt.toys.tables import Tables, plausible

_toys: Any
try:
    from raybead.hunt.toys import _toys  # pyright: ignore[reportAttributeAccessIssue]
except ImportError:  # installed where there was no C compiler
    _toys = None

COMPILED = _toys is not None
"""Whether the toys were compiled when raybead was installed."""
MOST_BINS = 2**16
"""Bins are told apart by 16 bits."""

_DIRECT = 25
"""Events that are dealt one by one in the time that one bin's share takes to be drawn."""
_FACTORIALS = 2**16
_ALIAS = np.dtype([("chance", np.uint64), ("other", np.int64)])
_NO_SCAN = (0,) * 8


def deal(
    rng: np.random.Generator,
    n: int,
    every: Counts,
    bounds: Counts,
    size: Counts,
    free: Counts,
    holds: NDArray[np.bool_],
    tables: Tables | None,
) -> NDArray[Any]:
    """Permutations: statistics [N, L], or without tables the dealt counts [N, P, M], int32.

    Args:
        rng: seeds the draws.
        n: N.
        every: [M] events.
        bounds: [S + 1] bins between which patterns are dealt by themselves.
        size: [S, P] events of each part that bear a pattern for certain.
        free: [P] further ones in any part. Patterns of few events come first, for speed.
        holds: [L, P] whether a pattern's events are in a look.
        tables: of the looks' statistics.
    """
    seed, factorials = _seed(rng), _log_factorials()
    every, bounds, size, free = (
        np.ascontiguousarray(a, dtype=np.int64) for a in (every, bounds, size, free)
    )
    held = np.ascontiguousarray(holds, dtype=np.uint8)
    few = size + free <= _DIRECT * np.diff(bounds)[:, None]
    direct = np.logical_and.accumulate(few, axis=1).sum(axis=1, dtype=np.int64)
    out = _empty(n, len(every), size.shape[1], tables)
    _toys.deal(
        *_at(seed), n, len(every), size.shape[1], len(size),
        *_at(bounds, every, size, free, direct, held, factorials),
        len(factorials), *_scan(tables), *_results(out, tables),
    )  # fmt: skip
    return out


def deal_weighted(
    rng: np.random.Generator, n: int, n_bins: int, bin_E: Counts, weight_E: Array, size: Counts
) -> tuple[Array, Array]:
    """Sums of weights and of their squares [N, P, M] of dealt events."""
    seed = _seed(rng)
    bin_E, size = (np.ascontiguousarray(a, dtype=np.int64) for a in (bin_E, size))
    weight_E = np.ascontiguousarray(weight_E, dtype=np.float64)
    sums, squares = (np.zeros((n, len(size), n_bins)) for _ in range(2))
    _toys.deal_weighted(
        *_at(seed), n, len(bin_E), n_bins, len(size), *_at(size, bin_E, weight_E, sums, squares)
    )
    return sums, squares


class AliasTables:
    """Poisson distributions of every bin, to draw from in one step (Vose 1991)."""

    def __init__(self, expected: Array) -> None:
        """Of [M] expected counts."""
        self.base, last = plausible(expected)
        self.size = last - self.base + 1
        self.offset = np.cumsum(self.size) - self.size
        self.rows = np.zeros(int(self.size.sum()), dtype=_ALIAS)
        for mu, base, size, at in zip(expected, self.base, self.size, self.offset, strict=True):
            k = base + np.arange(size, dtype=np.float64)
            p = np.exp(special.xlogy(k, mu) - mu - special.gammaln(k + 1))
            p /= p.sum()
            _toys.alias(int(size), *_at(p, self.rows[at : at + size]))

    def draw(self, rng: np.random.Generator, n: int, tables: Tables | None) -> NDArray[Any]:
        """Statistics [N, L], or without tables the counts [N, 1, M], int32."""
        seed, out = _seed(rng), _empty(n, len(self.base), 1, tables)
        _toys.poisson(
            *_at(seed), n, len(self.base), *_at(self.base, self.size, self.offset, self.rows),
            *_scan(tables), *_results(out, tables),
        )  # fmt: skip
        return out


def _empty(n: int, bins: int, patterns: int, tables: Tables | None) -> NDArray[Any]:
    if tables is None:
        return np.empty((n, patterns, bins), dtype=np.int32)
    return np.empty((n, len(tables.first)))


def _results(out: NDArray[Any], tables: Tables | None) -> list[int]:
    """Addresses of statistics and of counts; either is none."""
    return [0, *_at(out)] if tables is None else [*_at(out), 0]


def _scan(tables: Tables | None) -> tuple[int, ...]:
    if tables is None:
        return _NO_SCAN
    arrays = (tables.start, tables.stop, tables.first, tables.last, tables.offset, tables.values)
    return (*tables.first.shape, *_at(*arrays))


def _seed(rng: np.random.Generator) -> NDArray[np.uint64]:
    return rng.integers(0, 2**64 - 1, 4, dtype=np.uint64, endpoint=True)


@cache
def _log_factorials() -> Array:
    return special.gammaln(np.arange(_FACTORIALS) + 1.0)


def _at(*arrays: NDArray[Any]) -> list[int]:
    return [array.ctypes.data for array in arrays]
