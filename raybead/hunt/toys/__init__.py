"""Pseudo-experiments, and the p-values that they give."""

from raybead.hunt.toys.ensemble import CHUNK, GlobalP, significance_of, toy_statistics

__all__ = ["CHUNK", "GlobalP", "significance_of", "toy_statistics"]
