"""Numbers computed from a jet or event, without any learning."""

from raybead.observables.prongs import tau21_of_leading
from raybead.observables.spread import Spread, spread_about_axis
from raybead.observables.substructure import correlation_d2, n_subjettiness

__all__ = ["Spread", "correlation_d2", "n_subjettiness", "spread_about_axis", "tau21_of_leading"]
