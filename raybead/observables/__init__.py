"""Numbers computed from a jet or event, without any learning."""

from raybead.observables.spread import Spread, spread_about_axis

__all__ = ["Spread", "spread_about_axis"]
