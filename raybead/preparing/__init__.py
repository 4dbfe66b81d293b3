"""The work of single tasks: raw events to Parquet, and jets to pairs with exact distances."""

from raybead.preparing.jet_pairs import KINDS, JetPool, files_of, make_pairs, pool_of
from raybead.preparing.shard import Prepared, Shard, finished_shards, prepare_shard

__all__ = [
    "KINDS",
    "JetPool",
    "Prepared",
    "Shard",
    "files_of",
    "finished_shards",
    "make_pairs",
    "pool_of",
    "prepare_shard",
]
