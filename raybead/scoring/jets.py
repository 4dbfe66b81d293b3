"""Losses of jets by a trained model, one row an event."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from raybead.graphs import COLUMNS, JetBatch, collate, jet_facts
from raybead.losses import JetLoss, Space
from raybead.models import Bundle

N_JETS = 2
"""Leading jets that every prepared event has."""
EVENT_COLUMNS = list(dict.fromkeys(["event", "truth", "weight", "mjj", *COLUMNS]))
"""Columns of an event row that scoring reads. Truth is carried along, and not looked at."""


class JetScorer:
    """Scores tables of event rows with one bundle."""

    def __init__(self, bundle: Bundle, batch_items: int, device: str = "cpu") -> None:
        self.bundle = bundle
        self.batch_items = batch_items
        self.device = device
        self.model: nn.Module = bundle.model().to(device)
        recipe = bundle.recipe
        self.loss = JetLoss(recipe.loss, Space(recipe.graph, bundle.scaling, device))

    def losses(self, jets: JetBatch) -> dict[str, torch.Tensor]:
        """``loss`` and its terms, [B] double, of unscaled jets."""
        names = ("loss", *self.loss.names)
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
        jets = self.bundle.scaling.apply(jets)
        with torch.inference_mode():
            for index in torch.arange(len(jets)).split(self.batch_items):
                batch = jets.select(index).to(self.device)
                value = self.loss(self.model(batch), batch)
                for name, loss_B in {"loss": value.total_B, **value.terms}.items():
                    parts[name].append(loss_B.double().cpu())
        none = torch.empty(0, dtype=torch.float64)
        return {name: torch.cat([none, *part]) for name, part in parts.items()}

    def table(self, events: pa.Table) -> pa.Table:
        """Rows of jet losses for event rows: ``<name>_j1``, ``<name>_j2`` for every quantity.

        Quantities: ``m`` [GeV], ``n`` constituents, ``loss`` and its terms, and the no-learning
        controls ``width`` [rad] and ``moment`` [GeV^2 rad^2], and the substructure that was
        asked for.
        """
        facts = jet_facts(events)
        losses = self.losses(collate(events, self.bundle.recipe.graph))
        quantities: dict[str, np.ndarray] = {
            "m": facts.mass,
            "n": facts.n,
            **{name: loss_B.numpy() for name, loss_B in losses.items()},
            "width": facts.spread.width,
            "moment": facts.spread.moment,
            **facts.substructure,
        }
        columns = {name: events.column(name) for name in ("event", "truth", "weight", "mjj")}
        for name, values in quantities.items():
            per_event = values.reshape(len(events), N_JETS)
            for jet in range(N_JETS):
                kind = pa.int64() if name == "n" else pa.float64()
                columns[f"{name}_j{jet + 1}"] = pa.array(
                    np.ascontiguousarray(per_event[:, jet]), kind
                )
        return pa.table(columns)
