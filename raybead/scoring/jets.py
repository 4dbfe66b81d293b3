"""Losses of jets by a trained model, one row an event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from raybead.config import Stored
from raybead.graphs import COLUMNS, JetBatch, collate, jet_facts
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Output
from raybead.scoring.stored import Outputs

N_JETS = 2
"""Leading jets that every prepared event has, told for tables without any event."""
EVENT_COLUMNS = list(dict.fromkeys(["event", "truth", "weight", "mjj", *COLUMNS]))
"""Columns of an event row that scoring reads. Truth is carried along, and not looked at."""


@dataclass(frozen=True)
class Scoring:
    """What one pass of a model over event rows gives."""

    losses: pa.Table
    """See :meth:`JetScorer.table`."""
    stored: Mapping[Stored, pa.Table]
    """``event`` and a column a jet, of what is to be stored; nothing where there is no event."""


class JetScorer:
    """Scores tables of event rows with one bundle.

    Args:
        bundle: of the model.
        batch_items: jets that the model takes at once.
        device: that it runs on.
        store: what :meth:`scoring` keeps of the model's outputs.
    """

    def __init__(
        self,
        bundle: Bundle,
        batch_items: int,
        device: str = "cpu",
        store: Collection[Stored] = (),
    ) -> None:
        self.bundle = bundle
        self.batch_items = batch_items
        self.device = device
        self.store = store
        self.model: nn.Module = bundle.model().to(device)
        recipe = bundle.recipe
        self.loss = JetLoss(recipe.loss, Space(recipe.graph, bundle.scaling, device, bundle.emd))

    def losses(self, jets: JetBatch) -> dict[str, torch.Tensor]:
        """``loss`` and its terms, [B] double, of unscaled jets."""
        return self._passed(jets, Outputs())

    def table(self, events: pa.Table) -> pa.Table:
        """Rows of jet losses for event rows: ``<name>_j1``, ``<name>_j2`` for every quantity.

        Quantities: ``m`` [GeV], ``n`` constituents, ``loss`` and its terms, the substructure that
        was asked for, and the no-learning controls ``constant`` (the loss of a reconstruction that
        is 0 in scaled features), ``width`` [rad], ``moment`` [GeV^2 rad^2] and ``tau21``.
        """
        return self.scoring(events).losses

    def scoring(self, events: pa.Table) -> Scoring:
        """The rows of :meth:`table`, and what is to be stored of the model's outputs."""
        facts = jet_facts(events)
        outputs = Outputs()
        losses = self._passed(collate(events, self.bundle.recipe.graph), outputs)
        quantities: dict[str, np.ndarray] = {
            "m": facts.mass,
            "n": facts.n,
            **{name: loss_B.numpy() for name, loss_B in losses.items()},
            "width": facts.spread.width,
            "moment": facts.spread.moment,
            "tau21": facts.tau21,
            **facts.substructure,
        }
        columns = {name: events.column(name) for name in ("event", "truth", "weight", "mjj")}
        n_jets = len(facts.n) // len(events) if len(events) else N_JETS
        for name, values in quantities.items():
            per_event = values.reshape(len(events), n_jets)
            for jet in range(n_jets):
                kind = pa.int64() if name == "n" else pa.float64()
                columns[f"{name}_j{jet + 1}"] = pa.array(
                    np.ascontiguousarray(per_event[:, jet]), kind
                )
        stored = {}
        if len(events):
            number = {"event": events.column("event")}
            for what in self.store:
                kept = outputs.columns(what, self.bundle.scaling, n_jets)
                stored[what] = pa.table({**number, **kept})
        return Scoring(pa.table(columns), stored)

    def _passed(self, jets: JetBatch, outputs: Outputs) -> dict[str, torch.Tensor]:
        names = ("loss", *self.loss.names, "constant")
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
        for batch, output in self._batches(jets):
            value = self.loss(output, batch)
            constant_B = self.loss.constant(output, batch)
            found = {"loss": value.total_B, **value.terms, "constant": constant_B}
            for name, loss_B in found.items():
                parts[name].append(loss_B.double().cpu())
            if self.store:
                outputs.add(output)
        none = torch.empty(0, dtype=torch.float64)
        return {name: torch.cat([none, *part]) for name, part in parts.items()}

    def _batches(self, jets: JetBatch) -> Iterator[tuple[JetBatch, Output]]:
        jets = self.bundle.scaling.apply(jets)
        with torch.inference_mode():
            for index in torch.arange(len(jets)).split(self.batch_items):
                batch = jets.select(index).to(self.device)
                yield batch, self.model(batch)
