"""Rows of losses that tests make up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def losses_of(n=50, seed=1):
    """Rows of jet losses of all scored quantities."""
    rng = np.random.default_rng(seed)
    columns = {"event": np.arange(n), "truth": pa.nulls(n, pa.int8())}
    for jet in (1, 2):
        columns[f"n_j{jet}"] = rng.integers(20, 90, n)
        for name in ("m", "loss", "constant", "width", "moment", "tau21"):
            columns[f"{name}_j{jet}"] = rng.uniform(0.1, 2, n)
    return pa.table(columns)
