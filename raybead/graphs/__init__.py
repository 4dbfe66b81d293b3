"""Rows to jet graphs: packed nodes and offsets, features, scaling."""

from raybead.config import NAMES, FeatureSet
from raybead.graphs.clouds import Clouds
from raybead.graphs.collate import COLUMNS, collate
from raybead.graphs.facts import JetFacts, jet_facts
from raybead.graphs.features import event_features, jet_features, node_features
from raybead.graphs.jetbatch import JetBatch, complete_edges
from raybead.graphs.momenta import Momenta, features_of, momenta_of, unscaled_momenta
from raybead.graphs.owners import owners
from raybead.graphs.scaling import Scaling
from raybead.graphs.tiles import Tile, tiles
from raybead.graphs.views import Alterations

__all__ = [
    "COLUMNS",
    "NAMES",
    "Alterations",
    "Clouds",
    "FeatureSet",
    "JetBatch",
    "JetFacts",
    "Momenta",
    "Scaling",
    "Tile",
    "collate",
    "complete_edges",
    "event_features",
    "features_of",
    "jet_facts",
    "jet_features",
    "momenta_of",
    "node_features",
    "owners",
    "tiles",
    "unscaled_momenta",
]
