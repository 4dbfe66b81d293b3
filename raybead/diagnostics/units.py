"""Which units of a model are at work: see :mod:`raybead.models.activity` for what is seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from torch import nn

from raybead.graphs import JetBatch
from raybead.models.activity import activity


def unit_activity(model: nn.Module, batches: Iterable[JetBatch]) -> dict[str, Any]:
    """What each unit of each layer does, over all items of all batches.

    Layers within an EdgeConv of all pairs are seen at its nodes, as means over their neighbours;
    a unit responds there if it does at one of them.

    Args:
        model: trained, on any device; it is left as it was.
        batches: scaled, of any sizes; they are gone through once.

    Returns:
        For JSON: ``items`` and ``nodes`` looked at; of ``silent`` units with a ReLU, which never
        respond, how many there are of ``units``; and ``layers`` in forward order, the latent
        and the reconstruction last, each with ``name``, ``activation`` ("relu" or "none"), ``of``
        (what its rows are), ``rows``, and a value a unit of ``mean``, ``standard_deviation``,
        ``responds`` (share of rows), ``dead`` and ``constant``.
    """
    seen = {"items": 0, "nodes": 0}

    def counted() -> Iterator[JetBatch]:
        for batch in batches:
            seen["items"] += len(batch)
            seen["nodes"] += len(batch.x_TF)
            yield batch

    layers = activity(model, counted())
    of_relus = [layer for layer in layers if layer.activation == "relu"]
    return {
        **seen,
        "units": sum(len(layer.dead) for layer in of_relus),
        "silent": sum(sum(layer.dead) for layer in of_relus),
        "layers": [asdict(layer) for layer in layers],
    }
