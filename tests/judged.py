"""Event scores that sweep trials are judged by, of Gaussian scores on a falling spectrum."""

import numpy as np
import pyarrow as pa

from raybead.config import Sweep

KINDS = ("shuffle", "mass-scaling", "two-prong")
SHIFTS = {"shuffle": 0.5, "mass-scaling": 0.3, "two-prong": 1.5}


def masses(rng, n):
    return 2659 + np.minimum(rng.exponential(600, n), 3400)


def table(mass, score, weight=None, **columns):
    n = len(mass)
    weight = np.ones(n) if weight is None else weight
    return pa.table(
        {"event": np.arange(n), "mjj": mass, "score": score, "weight": weight, **columns}
    )


def tables(n=2000, seed=0, shifts=SHIFTS, slope=0.0, together=0.5, moved=1.0, weighted=False):
    """Background, events seen, and corrupted ones.

    Args:
        n: events of each.
        seed: of their scores; masses are the same for all.
        shifts: by kind, how far corrupted scores lie above background's of the same mass.
        slope: of scores with log mass.
        together: correlation of a corrupted event's score with that of its original.
        moved: factor on the masses of those of mass-scaling.
        weighted: whether weights differ.
    """
    at_random, rng = np.random.default_rng(n), np.random.default_rng(seed)
    mass, seen = masses(at_random, n), masses(at_random, n)
    z = rng.normal(size=n)
    weight = rng.lognormal(0, 0.5, n) if weighted else np.ones(n)
    found = {
        "background": table(mass, z + slope * np.log(mass), weight),
        "seen": table(seen, rng.normal(size=n) + slope * np.log(seen)),
    }
    for kind, shift in shifts.items():
        at = mass * (moved if kind == "mass-scaling" else 1.0)
        own = together * z + np.sqrt(1 - together**2) * rng.normal(size=n)
        found[kind] = table(at, own + shift + slope * np.log(at), weight)
    return found


def sweep(*names, **keys):
    """Judged by these quantities, each of weight one."""
    over = {"train.epochs": {"choice": [1]}}
    objective = dict.fromkeys(names or ("corruption",), 1.0)
    return Sweep.model_validate({"over": over, "objective": objective, **keys})
