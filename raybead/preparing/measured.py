"""Substructure columns that a job asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from raybead.config import Substructure
from raybead.events import Constituents
from raybead.observables import correlation_d2, n_subjettiness


def measure(
    parts: Constituents, names: Sequence[Substructure], radius: float
) -> Mapping[str, NDArray[np.float64]]:
    """Substructure of J jets.

    Args:
        parts: all constituents of the jets.
        names: of the columns wanted.
        radius: R of the jets.

    Returns:
        [J] for each name.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    packed = parts.pt, parts.eta, parts.phi, parts.offsets
    orders = [int(name.removeprefix("tau")) for name in names if name.startswith("tau")]
    if orders:
        tau_JN = n_subjettiness(*packed, n_max=max(orders), radius=radius)
        columns |= {f"tau{order}": tau_JN[:, order - 1] for order in orders}
    if "d2" in names:
        columns["d2"] = correlation_d2(*packed)
    return {name: np.ascontiguousarray(columns[name]) for name in names}
