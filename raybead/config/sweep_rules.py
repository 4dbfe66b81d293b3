"""What a sweep can't ask for."""

from __future__ import annotations

import difflib
from typing import get_args

from raybead.config.hunt import Hunt
from raybead.config.sweep import (
    AUC,
    BY_TRUTH,
    CORRUPTION,
    REACH,
    SIC,
    STABILITY,
    VALIDATION_LOSS,
    CorruptionKind,
    Sweep,
)

TWO_PRONG = "two-prong"
"""The corruption that stands for a signal where the reach is asked for."""
KINDS: dict[str, str] = {f"{CORRUPTION}-{kind}": kind for kind in get_args(CorruptionKind)}
"""Kinds of corruption by the quantity that is of one alone."""
KNOWN = (CORRUPTION, *KINDS, STABILITY, REACH, VALIDATION_LOSS, AUC, SIC)


def refuse_unknown(sweep: Sweep, hunt: Hunt) -> None:
    """Refuse quantities that trials can't be judged by.

    Args:
        sweep: what is asked for.
        hunt: that the job describes.

    Raises:
        ValueError: a quantity has no such name; needs truth, and ``evaluation`` isn't on; is of a
            corruption that isn't made; is a reach at masses outside the hunt's window; or the
            objective is of none, or counts none.
    """
    if not any(sweep.weights.values()):
        raise ValueError("sweep.objective: nothing counts; name a quantity with a weight above 0")
    for name in sweep.quantities:
        if name not in KNOWN:
            near = difflib.get_close_matches(name.lower(), KNOWN, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KNOWN)}"
            raise ValueError(f"sweep: no quantity is called {name!r}; {hint}")
        if name in BY_TRUTH and not sweep.evaluation:
            raise ValueError(f"sweep: {name!r} looks at truth; that takes sweep.evaluation = true")
        kind = TWO_PRONG if name == REACH else KINDS.get(name)
        if kind is not None and kind not in sweep.corruptions:
            made = ", ".join(sweep.corruptions)
            raise ValueError(
                f"sweep: {name!r} needs {kind!r} among sweep.corruptions, which are {made}"
            )
    if REACH in sweep.quantities:
        low, high = hunt.mass_window
        for mass in sweep.masses:
            if not low <= mass < high:
                raise ValueError(
                    f"sweep.masses: {mass:g} GeV isn't in hunt.mass_window, from {low:g} to"
                    f" {high:g}"
                )
