"""Falling spectra with and without a peak, for tests of likelihoods and limits."""

import numpy as np
import pyhf

from raybead.hunt.histogram import Histogram
from raybead.hunt.scan import Family, GaussianPeak, PeakModel, Templates

EDGES = np.geomspace(2600.0, 6000.0, 13)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
SHAPE = np.diff(np.exp(-EDGES / 500))
SHAPE = SHAPE / SHAPE.sum()
"""Of a background that falls by e every 500 GeV."""


def templates(*masses, width=0.06):
    return Templates(GaussianPeak(width), EDGES, np.array(masses, dtype=np.float64))


def exponential(points=1):
    """Two parameters; the integral over a bin by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    half = np.diff(EDGES) / 2
    x = CENTRES + nodes[:, None] * half
    design = np.stack([np.ones_like(x), (x - 3500) / 500], axis=-1)
    return Family.of(design, np.log(weights[:, None] * half))


def drawn(rng, outliers, ratio=9.0, signal=0.0, mass=3500.0, n=None):
    """Outliers and others [n, M], or [M] without n."""
    size = (len(SHAPE),) if n is None else (n, len(SHAPE))
    mean = outliers * SHAPE + signal * templates(mass).fractions[0]
    return (
        Histogram.counted(rng.poisson(mean, size)),
        Histogram.counted(rng.poisson(ratio * outliers * SHAPE, size)),
    )


def models(outliers, others, peaks):
    """A model of each kind."""
    return {
        "others": PeakModel.of_template(outliers, others, peaks),
        "leak": PeakModel.of_template(outliers, others, peaks, leak=0.5),
        "family": PeakModel.of_family(outliers, exponential(), peaks),
        "shape": PeakModel.of_shape(outliers, SHAPE, peaks),
    }


KINDS = ("others", "leak", "family", "shape")


def pyhf_model(signal, others, statistics=True):
    """Others' spectrum, with its statistics or without, of free normalisation."""
    modifiers = [{"name": "r", "type": "normfactor", "data": None}]
    if statistics:
        modifiers.append({"name": "b", "type": "shapesys", "data": np.sqrt(others).tolist()})
    samples = [
        {"name": "peak", "data": signal.tolist(),
         "modifiers": [{"name": "s", "type": "normfactor", "data": None}]},
        {"name": "background", "data": others.astype(float).tolist(), "modifiers": modifiers},
    ]  # fmt: skip
    bounds = [{"name": "s", "bounds": [[0.0, 500.0]], "inits": [10.0]},
              {"name": "r", "bounds": [[1e-3, 1.0]], "inits": [0.1]}]  # fmt: skip
    channels = [{"name": "outliers", "samples": samples}]
    return pyhf.Model({"channels": channels, "parameters": bounds}, poi_name="s", validate=False)
