"""Autoencoders of jets, and the loadable bundle."""

from raybead.models.build import build_model
from raybead.models.bundle import Bundle, Recipe
from raybead.models.edgeconv import AllPairsEdgeConv, all_pairs_edgeconv
from raybead.models.edgenet import EdgeNet
from raybead.models.jet_bottleneck import JetBottleneck
from raybead.models.output import Output

__all__ = [
    "AllPairsEdgeConv",
    "Bundle",
    "EdgeNet",
    "JetBottleneck",
    "Output",
    "Recipe",
    "all_pairs_edgeconv",
    "build_model",
]
