"""Jets by sequential recombination, through fastjet's array interface (arXiv:1111.6097).

Axes: E events, J jets of all events together, C constituents of all jets together.
"""

from __future__ import annotations

from typing import Any, Literal, assert_never

import awkward as ak
import fastjet
import numpy as np
from fastjet import _swig
from numpy.typing import NDArray

from raybead.events.kinematics import Momenta, massless
from raybead.events.particles import Particles, offsets_of

# fastjet's banner, on the first clustering of a process, would go where results are read; what it
# asks to be cited is cited above, and in the documentation.
_swig.ClusterSequence.set_fastjet_banner_stream(None)

Algorithm = Literal["antikt", "kt", "cambridge-aachen"]
"""Anti-kt (arXiv:0802.1189), longitudinally invariant kt (arXiv:hep-ph/9305266) or
Cambridge/Aachen (arXiv:hep-ph/9707323)."""


def leading_pt_eta(
    particles: Particles, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """pT and eta [E] of each event's leading jet; 0 and 0 where there is none."""
    jet_event, momenta, _, _ = cluster_all(particles, radius, min_pt=1.0)
    pt, eta = np.zeros(len(particles)), np.zeros(len(particles))
    rising = np.argsort(momenta.pt)  # the last to be written is the leading one
    pt[jet_event[rising]] = momenta.pt[rising]
    eta[jet_event[rising]] = momenta.eta[rising]
    return pt, eta


def _content(values: Any) -> ak.contents.NumpyArray:
    contiguous: Any = np.ascontiguousarray(values)
    return ak.contents.NumpyArray(contiguous)


def cluster_sequence(
    momenta: Momenta, counts: NDArray[np.integer], radius: float, algorithm: Algorithm
) -> fastjet.ClusterSequence:
    """Cluster groups of particles, each by itself.

    Args:
        momenta: [T] of all groups' particles, group after group.
        counts: [G] particles of each group; fastjet isn't asked about groups without any.
        radius: the algorithm's R.
        algorithm: which recombines them, in the E-scheme.
    """
    record = ak.contents.RecordArray(
        [_content(component) for component in momenta],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    groups = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets_of(counts)), record))
    # A JetDefinition doesn't pickle, so it lives no longer than its use.
    return fastjet.ClusterSequence(groups, fastjet.JetDefinition(_number(algorithm), radius))


def _number(algorithm: Algorithm) -> int:
    match algorithm:
        case "antikt":
            return fastjet.antikt_algorithm
        case "kt":
            return fastjet.kt_algorithm
        case "cambridge-aachen":
            return fastjet.cambridge_algorithm
        case _:
            assert_never(algorithm)


def cluster_all(
    particles: Particles, radius: float, min_pt: float, algorithm: Algorithm = "antikt"
) -> tuple[NDArray[np.int64], Momenta, NDArray[np.int64], NDArray[np.int64]]:
    """Every jet above ``min_pt``: its event [J], momentum [J], offsets [J + 1], indices [C]."""
    sizes = np.diff(particles.offsets)
    filled = np.flatnonzero(sizes > 0)
    nothing = np.empty(0)
    if len(filled) == 0:
        empty = np.empty(0, dtype=np.int64)
        return empty, Momenta(nothing, nothing, nothing, nothing), offsets_of(empty), empty
    inputs = massless(particles.pt, particles.eta, particles.phi)
    sequence = cluster_sequence(inputs, sizes[filled], radius, algorithm)
    jets = sequence.inclusive_jets(min_pt=min_pt)
    indices = sequence.constituent_index(min_pt=min_pt)
    jet_event = np.repeat(filled, ak.to_numpy(ak.num(jets)))
    momenta = Momenta(*(ak.to_numpy(ak.flatten(jets[c])) for c in ("px", "py", "pz", "E")))
    sizes_J = ak.to_numpy(ak.flatten(ak.num(indices, axis=2))).astype(np.int64)
    local = ak.to_numpy(ak.flatten(ak.flatten(indices))).astype(np.int64)
    return (
        jet_event,
        momenta,
        offsets_of(sizes_J),
        local + np.repeat(particles.offsets[:-1][jet_event], sizes_J),
    )
