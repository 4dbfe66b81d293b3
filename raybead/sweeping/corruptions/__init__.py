"""Background made odd, one file a kind: what models are judged by where there is no truth."""

from raybead.sweeping.corruptions.table import corrupt

__all__ = ["corrupt"]
