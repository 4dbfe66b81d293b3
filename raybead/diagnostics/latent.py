"""The latents of items of both samples, a row an item.

Axes: B items, Z latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from raybead.config import Diagnostics
from raybead.diagnostics.passed import Array, Passed, Passing
from raybead.diagnostics.plane import Planes, planes
from raybead.graphs import collate
from raybead.storage import Role


def latent_table(
    passing: Passing, events: Mapping[Role, pa.Table], config: Diagnostics, seed: int
) -> tuple[pa.Table, dict[str, Any]]:
    """Items drawn at random with their latents, and where these lie in the plane.

    Args:
        passing: the model.
        events: rows of both samples, with ``score`` and :data:`raybead.graphs.COLUMNS`, among
            whose items is drawn.
        config: how many items, which reductions.
        seed: of what is drawn, and of reductions.

    Returns:
        Rows of ``sample``, ``event``, ``item`` (rank in the event), ``generator``, ``truth``,
        ``weight``, ``score`` (the event's), ``total`` (the item's loss), ``latent`` [Z], ``mu``,
        ``sigma`` and ``z0`` where there are, coordinates ``pca_1``, ``pca_2``, ``tsne_1``, ...,
        of z0 ``z0_pca_1``, ...; and facts: numbers of items, what isn't drawn and why.

    Raises:
        JobError: a reduction isn't installed.
    """
    parts, latents = [], []
    for role, table in events.items():
        few = Few.of(table, passing, config.items // 2, (seed, len(parts), 1))
        parts.append(few.rows(role))
        latents.append(few.passed.latents)
    whole = pa.concat_tables(parts)
    # Of no items it isn't known which latents there would be.
    some = [one for one in latents if len(one["latent"])] or latents[:1]
    found = {name: np.concatenate([one[name] for one in some]) for name in some[0]}
    columns, facts = {name: _lists(values) for name, values in found.items()}, {}
    for name in ("latent", "z0"):
        if name in found:
            laid = planes(found[name], config.reduce, seed)
            facts[name] = _told(found[name], laid)
            prefix = "" if name == "latent" else f"{name}_"
            for kind, values_B2 in laid.coordinates.items():
                for axis, values_B in enumerate(values_B2.T, 1):
                    columns[f"{prefix}{kind}_{axis}"] = pa.array(values_B)
    for name, column in columns.items():
        whole = whole.append_column(name, column)
    items = {role: len(part) for role, part in zip(events, parts, strict=True)}
    return whole, {"items": items, "spaces": facts}


class Few:
    """Some items of event rows, and what the model makes of them."""

    def __init__(self, table: pa.Table, row_B: np.ndarray, passed: Passed) -> None:
        self.table, self.row_B, self.passed = table, row_B, passed

    @classmethod
    def of(cls, table: pa.Table, passing: Passing, n: int, seed: tuple[int, ...]) -> Few:
        """Some of the items at random, in their order.

        Args:
            table: the event rows.
            passing: the model.
            n: of items, at most.
            seed: of the draw.
        """
        items = collate(table, passing.bundle.recipe.graph)
        chosen = np.random.default_rng(seed).permutation(len(items))[:n]
        few = items.select(torch.from_numpy(np.sort(chosen)))
        event_E = table.column("event").to_numpy()
        order = np.argsort(event_E)
        row_B = order[np.searchsorted(event_E, few.event_B.numpy(), sorter=order)]
        return cls(table, row_B, passing(few))

    def rows(self, sample: str) -> pa.Table:
        """What is known of them without their latents."""
        names = ("generator", "truth", "weight", "score")
        of_event = self.table.select(names).take(pa.array(self.row_B))
        items = self.passed.items
        return pa.table(
            {
                "sample": pa.repeat(pa.scalar(sample, pa.string()), len(items)),
                "event": items.event_B.numpy(),
                "item": items.rank_B.numpy(),
                **{name: of_event.column(name) for name in names},
                "total": self.passed.total_B,
            }
        )


def _told(latent_BZ: Array, laid: Planes) -> dict[str, Any]:
    finite = int(np.isfinite(latent_BZ).all(axis=1).sum())
    return {
        "dimensions": latent_BZ.shape[1],
        "not_finite": len(latent_BZ) - finite,
        "kinds": list(laid.coordinates),
        "explained": laid.explained,
        "undrawn": laid.undrawn,
    }


def _lists(values_BZ: Array) -> pa.Array:
    offsets = np.arange(len(values_BZ) + 1, dtype=np.int32) * values_BZ.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values_BZ.ravel()))
