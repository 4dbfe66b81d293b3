"""Signals put into pseudo-data.

Axes: E events.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from raybead.errors import HuntError
from raybead.hunt.pseudo.conditional import Conditional, drawn_by
from raybead.hunt.sample import Array, Sample

AT_CUT = 0.9
"""The quantile that an efficiency is told at."""


def shift_of(efficiency: float) -> float:
    """How far a signal's score lies above background's, which is standard normal given the mass,
    where ``efficiency`` of it passes the 90 % quantile. Its AUC is Phi(shift / sqrt 2)."""
    return float(special.ndtri(AT_CUT) + special.ndtri(efficiency))


def inject(
    pseudo: Sample,
    n_signal: int,
    mass: float,
    width: float,
    conditional: Conditional,
    rng: np.random.Generator,
    signal: float | Sample = 0.6,
) -> Sample:
    """Pseudo-data with a signal, whose events come last: masses of a Gaussian, scores above the
    background's. Events are numbered anew.

    Args:
        pseudo: background events.
        n_signal: exactly as many are added, of weight one. Draw a Poisson number where theirs
            should fluctuate.
        mass: of the peak [GeV].
        width: its standard deviation in units of its mass.
        conditional: how the background's scores follow the mass.
        rng: that they are drawn with.
        signal: the share that passes a cut at the background's 90 % quantile given the mass, see
            :func:`shift_of`; or a sample of signal events, whose scores are taken over, each as
            far above the background of its own mass as it was, drawn by weight.

    Raises:
        HuntError: an efficiency that isn't one, or no signal event to take scores of.
    """
    masses = _masses(n_signal, mass, width, rng)
    if isinstance(signal, Sample):
        if n_signal and (len(signal) == 0 or not signal.weight.sum() > 0):
            raise HuntError("reach.signal: there is no signal event to take scores of")
        signal = signal.select(np.argsort(signal.mass, kind="stable"))
        weight = drawn_by(signal.weight)
        chosen = rng.choice(len(weight), n_signal, p=weight / weight.sum()) if n_signal else []
        drawn = signal.select(np.asarray(chosen, dtype=np.int64))
        z = conditional.standardised(drawn.mass, drawn.score)
        score = conditional.unstandardised(masses, z)
    else:
        if not 0 < signal < 1:
            raise HuntError(f"reach.efficiency: {signal:g} is no share between 0 and 1")
        rank = special.ndtr(rng.normal(shift_of(signal), 1.0, n_signal))
        score = conditional.at(masses, rank)
    n = len(pseudo) + n_signal
    # Numbers in any order: folds go by them, and no fold should hold the signal.
    return Sample(
        rng.permutation(n),
        np.concatenate([pseudo.mass, masses]),
        np.concatenate([pseudo.score, score]),
        np.concatenate([pseudo.weight, np.ones(n_signal)]),
    )


def _masses(n: int, mass: float, width: float, rng: np.random.Generator) -> Array:
    masses = rng.normal(mass, width * mass, n)
    while (low := masses <= 0).any():
        masses[low] = rng.normal(mass, width * mass, int(low.sum()))
    return masses
