"""From raw events to Parquet: the work of one task of the prepare stage."""

from raybead.preparing.shard import Prepared, Shard, finished_shards, prepare_shard

__all__ = ["Prepared", "Shard", "finished_shards", "prepare_shard"]
