"""What changes in a population while it is trained (arXiv:1711.09846)."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from raybead.config.dimension import Dimension
from raybead.sweeping.space import Space, Values, drawn_from

FACTORS = (0.8, 1.25)
RESAMPLED = 0.25
"""Chance that a value is drawn anew instead."""


def mutated(values: Mapping[str, Any], space: Space, rng: np.random.Generator) -> Values:
    """Values of which those that training may change are 0.8 or 1.25 times themselves, within
    their range, or, each with a chance of 0.25, drawn anew.

    Whole numbers change by 1 at least, where their range lets them. The section "Population Based
    Training" of arXiv:1711.09846 calls both together *explore*.
    """
    out = dict(values)
    for key in space.mutated:
        if key not in out:
            continue
        if rng.uniform() < RESAMPLED:
            out[key] = drawn_from(space.over[key], rng)
        else:
            out[key] = _perturbed(out[key], space.over[key], FACTORS[int(rng.integers(2))])
    return out


def mutations(space: Space, seed: int = 0) -> dict[str, Callable[[], Any]]:
    """By key that training may change: what draws a value of it anew, at every call another."""
    return {
        key: functools.partial(
            drawn_from,
            space.over[key],
            np.random.default_rng([seed, zlib.crc32(key.encode())]),
        )
        for key in space.mutated
    }


def _perturbed(value: float, dimension: Dimension, factor: float) -> float:
    assert dimension.ends is not None  # ranges alone are perturbed
    low, high = dimension.ends
    moved = value * factor
    if dimension.whole:
        moved = math.ceil(moved) if factor > 1 else math.floor(moved)
    return min(max(moved, low), high)
