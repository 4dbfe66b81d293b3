"""Roots of many functions at once.

Axes: P functions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raybead.hunt.histogram import Array

WIDTH = 1e-6
"""A root is known when its bracket is this narrow, relative to it or to the first bracket."""

TRIPLED = 25
"""How often the far end is moved outwards before a root is given up."""


def crossing(function: Callable[[Array], Array], low_P: Array, high_P: Array) -> Array:
    """[P] where functions that aren't above 0 at ``low`` come to be, ``high`` being a guess.

    The far end's distance is tripled until the function is above 0 there, and then the bracket
    narrowed by Chandrupatla's method (Adv. Eng. Softw. 28 (1997) 145): inverse quadratic
    interpolation, and bisection where that can't be trusted. ``high`` may lie on either side of
    ``low``. Without a root it is the far end reached.
    """
    a, b = np.array(low_P, dtype=np.float64), np.array(high_P, dtype=np.float64)
    f_a, f_b = function(a), function(b)
    for _ in range(TRIPLED):
        short = ~(f_b > 0)
        if not short.any():
            break
        a, f_a, b = (
            np.where(short, b, a),
            np.where(short, f_b, f_a),
            np.where(short, 3 * b - 2 * a, b),
        )
        f_b = np.where(short, function(b), f_b)
    c, f_c = a.copy(), f_a.copy()
    part = np.full_like(a, 0.5)
    scale = WIDTH * np.abs(b - a)
    root = np.where(f_a >= 0, a, b)
    done = (f_a >= 0) | ~(f_b > 0)
    for _ in range(80):
        trial = a + part * (b - a)
        f_t = function(np.where(done, root, trial))
        same = np.sign(f_t) == np.sign(f_a)
        c, f_c = np.where(same, a, b), np.where(same, f_a, f_b)
        b, f_b = np.where(same, b, a), np.where(same, f_b, f_a)
        a, f_a = trial, f_t
        nearest = np.where(np.abs(f_a) < np.abs(f_b), a, b)
        reach = np.maximum(WIDTH * np.abs(nearest), scale) / 2
        least = reach / np.maximum(np.abs(b - a), 1e-300)
        root = np.where(done, root, nearest)
        done |= (least > 0.5) | (f_a == 0)
        if done.all():
            break
        part = np.clip(_next_part(a, b, c, f_a, f_b, f_c), least, 1 - least)
        part = np.where(done, 0.5, part)
    return root


@np.errstate(all="ignore")
def _next_part(a: Array, b: Array, c: Array, f_a: Array, f_b: Array, f_c: Array) -> Array:
    """Where between a and b to look next."""
    xi, phi = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
    smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
    inverse = f_a / (f_b - f_a) * f_c / (f_b - f_c) + (c - a) / (b - a) * f_a / (
        f_c - f_a
    ) * f_b / (f_c - f_b)
    return np.where(smooth & np.isfinite(inverse), inverse, 0.5)
