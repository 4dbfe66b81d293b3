"""raybead: Ray-distributed anomaly detection for collider physics."""

__version__ = "0.1.0"
