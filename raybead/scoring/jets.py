"""Losses of items, jets or events, by a trained model, one row an event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from raybead.config import FLOW_LIKELIHOOD, LOSS, MAHALANOBIS, Stored
from raybead.graphs import COLUMNS, JetBatch, JetFacts, collate, jet_facts
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Output
from raybead.scoring.items import LATENT
from raybead.scoring.places import Places
from raybead.scoring.quantities import latents, minus_log_likelihood
from raybead.scoring.stored import Outputs
from raybead.timing import count, timed

CARRIED = ("event", "source", "generator", "truth", "weight", "mjj")
EVENT_COLUMNS = list(dict.fromkeys([*CARRIED, *COLUMNS]))
"""Columns of an event row that scoring reads. Truth is carried along, and not looked at."""
CONSTANT = "constant"


@dataclass(frozen=True)
class Scoring:
    """What one pass of a model over event rows gives."""

    losses: pa.Table
    """See :meth:`JetScorer.table`."""
    stored: Mapping[Stored, pa.Table]
    """``event`` and a column an item, of what is to be stored; nothing where there is no event."""


class JetScorer:
    """Scores tables of event rows with one bundle, of jets or of events.

    Args:
        bundle: of the model.
        batch_items: items that the model takes at once.
        device: that it runs on.
        store: what :meth:`scoring` keeps of the model's outputs.
        leading: jets an event at most, for which there are columns.
        quantities: what is scored; all but the loss and its terms are worked out where it is here.
        controls: whether what takes no learning is worked out.
    """

    def __init__(
        self,
        bundle: Bundle,
        batch_items: int,
        device: str = "cpu",
        store: Collection[Stored] = (),
        *,
        leading: int = 2,
        quantities: Collection[str] = (LOSS,),
        controls: bool = True,
    ) -> None:
        self.bundle = bundle
        self.batch_items = batch_items
        self.device = device
        self.store = store
        self.leading = leading
        self.quantities = quantities
        self.controls = controls
        self.model: nn.Module = bundle.model().to(device)
        recipe = bundle.recipe
        self.loss = JetLoss(recipe.loss, Space(recipe.graph, bundle.scaling, device, bundle.emd))

    def losses(self, items: JetBatch) -> dict[str, Tensor]:
        """``loss`` and its terms, [B] double, of unscaled items, and what else is scored."""
        return self._passed(items, Outputs())

    def table(self, events: pa.Table) -> pa.Table:
        """Rows of losses for event rows: ``<name>_j1``, ``<name>_j2``, ... for every quantity.

        Quantities: ``m`` [GeV], ``n`` constituents, ``loss`` and its terms, what else is scored,
        the substructure that was asked for, and the no-learning controls ``constant`` (the loss of
        a reconstruction that is 0 in scaled features), ``width`` [rad], ``moment`` [GeV^2 rad^2]
        and ``tau21``. Null where an event has no such jet. Where the model takes events whole,
        what it makes of them has no rank in its name, nor has ``n``, their constituents; the jets'
        own stand beside it.

        Raises:
            InputError: an event has more jets than there are columns for.
        """
        return self.scoring(events).losses

    def scoring(self, events: pa.Table) -> Scoring:
        """The rows of :meth:`table`, and what is to be stored of the model's outputs."""
        with timed("controls"):
            facts = jet_facts(events, controls=self.controls)
        graph, outputs = self.bundle.recipe.graph, Outputs()
        event_E = events.column("event").to_numpy()
        jets = Places.of_jets(event_E, facts.n_jets, self.leading)
        items = jets if graph.level == "jet" else Places.of_events(len(events))
        with timed("collate"):
            batch = collate(events, graph)
        with timed("forward"):
            losses = self._passed(batch, outputs)
        for name, n in (("events_scored", len(events)), ("items_scored", len(batch))):
            count(name, n)
        count("jets", int(facts.n_jets.sum()))
        columns = {name: events.column(name) for name in CARRIED}
        columns |= jets.columns("m", facts.mass) | jets.columns("n", facts.n)
        columns |= items.columns("n", batch.n_constituents_B.numpy())
        for name, values in losses.items():
            columns |= items.columns(name, _of_items(values))
        for name, values_B in _of_jets(facts).items():
            columns |= jets.columns(name, values_B)
        stored = {}
        if len(events):
            number = {"event": events.column("event")}
            for what in self.store:
                kept = outputs.columns(what, self.bundle.scaling, items)
                stored[what] = pa.table({**number, **kept})
        return Scoring(pa.table(columns), stored)

    def _passed(self, items: JetBatch, outputs: Outputs) -> dict[str, Tensor]:
        none = torch.empty(0, dtype=torch.float64)
        names = (
            LOSS,
            *self.loss.scoring,
            *(name for name in (FLOW_LIKELIHOOD,) if name in self.quantities),
            *([LATENT] if MAHALANOBIS in self.quantities else []),
            *([CONSTANT] if self.controls else []),
        )
        parts: dict[str, list[Tensor]] = {name: [] for name in names}
        for batch, output in self._batches(items):
            found = self._found(output, batch)
            for name, part in parts.items():
                part.append(found[name].double().cpu())
            if self.store:
                found_NF = self.loss.reconstruction(output)
                outputs.add(replace(output, reconstruction_NF=found_NF))
        # Of no items there are columns all the same, and of the same kinds.
        empty = {LATENT: none.new_empty(0, self.bundle.recipe.model.latent)}
        return {
            name: torch.cat(part) if part else empty.get(name, none)
            for name, part in parts.items()
        }

    def _found(self, output: Output, batch: JetBatch) -> dict[str, Tensor]:
        value = self.loss(output, batch)
        found = {LOSS: value.total_B, **value.terms}
        if FLOW_LIKELIHOOD in self.quantities:
            found[FLOW_LIKELIHOOD] = minus_log_likelihood(output, self.bundle.recipe.loss)
        if MAHALANOBIS in self.quantities:
            found[LATENT] = latents(output)
        if self.controls:
            found[CONSTANT] = self.loss.constant(output, batch)
        return found

    def _batches(self, items: JetBatch) -> Iterator[tuple[JetBatch, Output]]:
        if len(items) == 0:
            return
        items = self.bundle.scaling.apply(items)
        with torch.inference_mode():
            for index in torch.arange(len(items)).split(self.batch_items):
                batch = items.select(index).to(self.device)
                yield batch, self.model(batch)


def _of_jets(facts: JetFacts) -> dict[str, np.ndarray]:
    """[B] controls, where they are wanted, and substructure."""
    found: dict[str, np.ndarray] = {}
    if facts.spread is not None and facts.tau21 is not None:
        found = {"width": facts.spread.width, "moment": facts.spread.moment, "tau21": facts.tau21}
    return {**found, **facts.substructure}


def _of_items(values: Tensor) -> pa.Array:
    """Numbers of items [B], or lists of them [B, Z]."""
    if values.ndim == 1:
        return pa.array(values.numpy())
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.numpy().ravel()))
