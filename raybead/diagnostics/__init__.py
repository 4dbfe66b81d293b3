"""What a trained model makes of items, to be looked at; none of it takes part in the hunt.

Pure functions of a model and of event rows. A file each: what is drawn at random, what the model
makes of it, latents in the plane, examples, event displays.
"""

from raybead.diagnostics.drift import feature_drift
from raybead.diagnostics.units import unit_activity

__all__ = ["feature_drift", "unit_activity"]
