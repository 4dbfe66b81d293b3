"""What the stage ``diagnostics`` found, for figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raybead.events import read_parquet
from raybead.storage import Folder, is_current

STAGE = "diagnostics"


@dataclass(frozen=True)
class Diagnostics:
    """Files of the stage; None of what the job doesn't want."""

    result: Mapping[str, Any]
    """``result.json``: how many of each were looked at, what isn't drawn and why."""
    latent: pa.Table | None
    """A row an item, with its latent and where that lies in the plane."""
    examples: pa.Table | None
    """A row an item, with its nodes and their reconstruction."""
    displays: pa.Table | None
    """A row an event of the search sample, the most anomalous first."""
    units: Mapping[str, Any] | None = None
    """``units.json``: what each unit of each layer does."""
    drift: Mapping[str, Any] | None = None
    """``drift.json``: how far the search sample lies from background, feature by feature."""

    @classmethod
    def read(cls, run: Folder) -> Diagnostics | None:
        """Of a run's folder; None where it has none that is current.

        Raises:
            StorageError: its files are missing or broken.
        """
        if not is_current(run, STAGE):
            return None
        folder = run / STAGE
        result = folder.read_json("result.json")

        def table(name: str) -> pa.Table | None:
            if result[name] is None:
                return None
            return read_parquet(folder.read(f"{name}.parquet"), f"{folder}/{name}.parquet")

        def values(name: str) -> Mapping[str, Any] | None:
            return None if result[name] is None else folder.read_json(f"{name}.json")

        tables = (table("latent"), table("examples"), table("displays"))
        return cls(result, *tables, values("units"), values("drift"))
