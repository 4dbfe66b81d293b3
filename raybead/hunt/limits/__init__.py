"""What a scan excludes and what it could find: limits, injections, discovery reach."""

from raybead.hunt.limits.cls import Limits, limits
from raybead.hunt.limits.linearity import Injected, linearity
from raybead.hunt.limits.reach import DiscoveryReach, reach, reach_by_toys
from raybead.hunt.limits.toys import toy_limits

__all__ = [
    "DiscoveryReach",
    "Injected",
    "Limits",
    "limits",
    "linearity",
    "reach",
    "reach_by_toys",
    "toy_limits",
]
