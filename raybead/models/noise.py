"""Noise that belongs to a jet, for what models draw: see :mod:`raybead.graphs.noise`."""

from raybead.graphs.noise import keys_of_jets, keys_of_nodes, normal_noise, uniform_noise

__all__ = ["keys_of_jets", "keys_of_nodes", "normal_noise", "uniform_noise"]
