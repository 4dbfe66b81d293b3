r"""How many pseudo-experiments are enough.

Toys are made until the global p-value has the relative error that was asked for, which takes
about 1 / precision^2 of them beyond the data (Besag and Clifford, Biometrika 78 (1991) 301), or
until there are as many as allowed. Whether to go on is only asked at numbers of toys that are
fixed beforehand (:func:`schedule`), of all toys up to there in their order: so the answer depends
neither on how many workers there are nor on who is first.

To stop at what was found biases it: a chance accumulation of toys beyond ends it early. At the
k-th toy beyond, E[k / n] is p (1 + (1 - p) / k) to first order (Haldane, Biometrika 33 (1945)
222), so p-values are overestimated by the squared precision at most, and by as much again for
being (k + 1) / (n + 1): 0.5 % at a precision of 5 %. That errs on the side of caution, and is
small against the error itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raybead.hunt.histogram import Array
from raybead.hunt.toys.ensemble import CHUNK
from raybead.hunt.toys.global_p import Statistics, combine

GROWTH = 1.25
"""From one number of toys at which it is asked to the next: all questions together then take a
few times as long as the last of them."""


def schedule(most: int, chunk: int = CHUNK) -> tuple[int, ...]:
    """Numbers of toys at which to ask, whole chunks, rising; the last is ``most``."""
    numbers = []
    chunks = 1
    while chunks * chunk < most:
        numbers.append(chunks * chunk)
        chunks = max(chunks + 1, int(chunks * GROWTH))
    return (*numbers, most)


def enough(observed: Array, toys: Statistics, precision: float) -> bool:
    """Whether the overall p-value is known well enough.

    Args:
        observed: [L] statistics of the data.
        toys: [N, L] so far, in order.
        precision: relative error; 0 is never reached.
    """
    if precision <= 0:
        return False
    return combine(observed, toys).effective >= 1 / precision**2


def until(
    observed: Array, more: Callable[[int, int], Statistics], most: int, precision: float
) -> Statistics:
    """[N, L] statistics of as many toys as it takes, ``most`` at most.

    Args:
        observed: [L] statistics of the data.
        more: of a first chunk's number and a number of toys, their statistics [n, L].
        most: toys.
        precision: of the overall p-value; see :func:`enough`.
    """
    parts: list[Statistics] = []
    made = 0
    for number in schedule(most):
        parts.append(more(made // CHUNK, number - made))
        made = number
        if enough(observed, (toys := np.concatenate(parts)), precision):
            return toys
    return np.concatenate(parts)
