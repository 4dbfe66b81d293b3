"""What a sweep can't ask of the rest of its job."""

from __future__ import annotations

from raybead.config.hunt import Hunt
from raybead.config.sweep import REACH, Sweep
from raybead.config.train import Train

TWO_PRONG = "two-prong"
"""The corruption that stands for a signal where the reach is asked for."""


def refuse_misfit_sweep(sweep: Sweep, train: Train, hunt: Hunt) -> None:
    """Refuse a sweep that doesn't go with the job's training, or its hunt.

    Raises:
        ValueError: trials would end before what the sweep does to them begins; or a reach is
            asked for without the signals that it is of, or at masses that aren't hunted in.
    """
    swept = sweep.over.get("train.epochs")
    ends = swept and (swept.ends or [n for n in swept.listed or () if isinstance(n, int | float)])
    longest = max(ends) if ends else train.epochs
    if sweep.scheduler != "none" and longest < sweep.grace:
        raise ValueError(
            f"sweep.grace = {sweep.grace}: {sweep.scheduler} stops no trial before that epoch, and"
            f" train.epochs = {longest}"
        )
    if sweep.search == "pbt" and longest <= sweep.grace:
        raise ValueError(
            f"sweep.grace = {sweep.grace}: pbt perturbs after as many epochs, and train.epochs ="
            f" {longest} leaves none to go on"
        )
    if REACH not in sweep.quantities:
        return
    if TWO_PRONG not in sweep.corruptions:
        raise ValueError(
            f"sweep: {REACH!r} needs {TWO_PRONG!r} among sweep.corruptions, which are"
            f" {', '.join(sweep.corruptions)}"
        )
    low, high = hunt.mass_window
    for mass in sweep.masses:
        if not low <= mass < high:
            raise ValueError(
                f"sweep.masses: {mass:g} GeV isn't in hunt.mass_window, from {low:g} to {high:g}"
            )
