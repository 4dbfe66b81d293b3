"""Autoencoders of jets, and the loadable bundle."""

from raybead.models.build import build_model
from raybead.models.bundle import Bundle, Recipe
from raybead.models.edgeconv import AllPairsEdgeConv, all_pairs_edgeconv
from raybead.models.emd_bundle import WEIGHTS, EmdBundle
from raybead.models.emd_network import EmdNetwork
from raybead.models.inputs import Inputs
from raybead.models.jet_bottleneck import JetBottleneck
from raybead.models.meta_layer import MetaLayerAutoencoder
from raybead.models.node_bottleneck import NodeBottleneck
from raybead.models.output import Output, at_least_single

__all__ = [
    "WEIGHTS",
    "AllPairsEdgeConv",
    "Bundle",
    "EmdBundle",
    "EmdNetwork",
    "Inputs",
    "JetBottleneck",
    "MetaLayerAutoencoder",
    "NodeBottleneck",
    "Output",
    "Recipe",
    "all_pairs_edgeconv",
    "at_least_single",
    "build_model",
]
