"""Numbers computed from a jet or event, without any learning."""

from raybead.observables.prongs import tau21_of_leading
from raybead.observables.spread import Spread, spread_about_axis
from raybead.observables.substructure import correlation_d2, n_subjettiness
from raybead.observables.transport import Transport, energy_movers_distance, optimal_transport

__all__ = [
    "Spread",
    "Transport",
    "correlation_d2",
    "energy_movers_distance",
    "n_subjettiness",
    "optimal_transport",
    "spread_about_axis",
    "tau21_of_leading",
]
