"""Noise that belongs to a jet, for what models draw: see :mod:`raybead.graphs.noise`."""

from raybead.graphs.noise import (
    kept,
    keys_of_jets,
    keys_of_nodes,
    keys_of_parts,
    normal_noise,
    uniform_noise,
)

__all__ = [
    "kept",
    "keys_of_jets",
    "keys_of_nodes",
    "keys_of_parts",
    "normal_noise",
    "uniform_noise",
]
