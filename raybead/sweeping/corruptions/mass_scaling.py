"""Jets of larger mass.

Axes: J jets.
"""

from __future__ import annotations

import numpy as np

from raybead.events.kinematics import Array
from raybead.sweeping.corruptions.clouds import Clouds
from raybead.sweeping.corruptions.draws import Draws

_LARGEST = 3.0
"""Factor on the mass."""
_HEAVIEST = 0.5
"""Mass over pT R beyond which no jet is brought: two halves of a jet, R apart, have that."""
_STRETCH = 10.0
"""Factor on angles near the axis, at most."""


def factors(ratio_J: Array, draws: Draws, radius: float) -> Array:
    """[J] factors on the mass, log-uniform between half the largest and the largest, from 1 up.

    Args:
        ratio_J: the jets' mass over pT.
        draws: of the jets.
        radius: R of the jets.
    """
    limit_J = _HEAVIEST * radius / np.maximum(ratio_J, _HEAVIEST * radius / _LARGEST)
    largest_J = np.maximum(limit_J, 1.0)
    least_J = np.maximum(largest_J / 2, 1.0)
    (u_J,) = draws.of_jets(1)
    return least_J * (largest_J / least_J) ** u_J


def mass_scaled(clouds: Clouds, ratio_J: Array, draws: Draws, radius: float) -> Clouds:
    """Jets with their constituents farther from the axis; :data:`_STRETCH` may end it sooner.

    Args:
        clouds: of the jets.
        ratio_J: the jets' mass over pT, whatever of it the constituents have.
        draws: of the jets.
        radius: R of the jets.
    """
    held = clouds.momenta
    asked_J = factors(ratio_J, draws, radius) * held.mass / held.pt
    return clouds.stretched(asked_J, np.full(len(ratio_J), radius), 1.0, _STRETCH)
