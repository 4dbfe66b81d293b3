"""Latents and reconstructions beside the scores, against the model on one jet at a time."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raybead.config import Graph, JetBottleneckModel, MseLoss, NodeBottleneckModel, Score
from raybead.events import table_bytes
from raybead.graphs import Scaling, collate
from raybead.models import Bundle, Recipe
from raybead.scoring import Calibration, EventScorer, JetScorer

BOTTLENECK = JetBottleneckModel(
    kind="jet-bottleneck", encoder=((8, 8),), head=(8,), decoder=(16, 16), decode=6, latent=3
)
EDGENET = NodeBottleneckModel(kind="node-bottleneck", encoder=((8, 8),), latent=2)


def bundle_of(model, rows, **graph):
    graph = Graph(nodes=10, **graph)
    torch.manual_seed(0)
    recipe = Recipe(graph=graph, model=model, loss=(MseLoss(kind="mse"),))
    scaling = Scaling.fit(graph, collate(rows, graph).x_TF)
    return Bundle(recipe, scaling, recipe.build().state_dict(), {})


def from_parquet(table):
    return pq.read_table(io.BytesIO(table_bytes(table)))


@pytest.mark.parametrize("model", [BOTTLENECK, EDGENET], ids=["of the jet", "of every node"])
def test_outputs_are_those_of_the_model_jet_by_jet(model, event_rows):
    rows = event_rows.slice(0, 12)
    bundle = bundle_of(model, event_rows)
    scorer = JetScorer(bundle, batch_items=5, store=("latent", "reconstruction"))
    scoring = scorer.scoring(rows)
    assert scoring.losses.equals(JetScorer(bundle, batch_items=5).table(rows))
    latent, nodes = (from_parquet(scoring.stored[what]) for what in ("latent", "reconstruction"))
    assert latent.equals(scoring.stored["latent"])
    assert latent["event"].equals(rows["event"])
    assert nodes["event"].equals(rows["event"])
    jets = collate(rows, bundle.recipe.graph)
    for b in range(len(jets)):
        event, rank = divmod(b, 2)
        jet = jets.select(torch.tensor([b]))
        with torch.inference_mode():
            output = scorer.model(bundle.scaling.apply(jet))
        found = latent[f"latent_j{rank + 1}"][event].as_py()
        expected = output.latent if model is EDGENET else output.latent[0]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
        target = nodes[f"target_j{rank + 1}"][event].as_py()
        n = min(len(jet.x_TF), 6) if model is BOTTLENECK else len(jet.x_TF)
        by_name = [[node[name] for name in bundle.scaling.columns] for node in target]
        # In their own units: the features as they were before scaling.
        np.testing.assert_allclose(by_name, jet.x_TF[:n].numpy(), rtol=1e-4, atol=1e-3)
        made = nodes[f"reconstruction_j{rank + 1}"][event].as_py()
        expected = bundle.scaling.invert(output.reconstruction_NF).numpy()
        by_name = [[node[name] for name in bundle.scaling.columns] for node in made]
        np.testing.assert_allclose(by_name, expected, rtol=1e-3, atol=1e-2)


def test_features_that_cannot_be_had_back_say_so(event_rows):
    bundle = bundle_of(BOTTLENECK, event_rows, features="cartesian", scaling="l2")
    scoring = JetScorer(bundle, 64, store=("reconstruction",)).scoring(event_rows)
    assert list(scoring.stored) == ["reconstruction"]
    node = scoring.stored["reconstruction"]["target_j2"][0].as_py()[0]
    assert list(node) == ["px_scaled", "py_scaled", "pz_scaled"]
    assert np.linalg.norm(list(node.values())) == pytest.approx(1.0, rel=1e-5)


def test_nothing_is_stored_unasked_and_of_no_events(event_rows):
    bundle = bundle_of(EDGENET, event_rows)
    assert JetScorer(bundle, 64).scoring(event_rows).stored == {}
    none = JetScorer(bundle, 64, store=("latent",)).scoring(event_rows.slice(0, 0))
    assert none.stored == {}
    assert len(none.losses) == 0


def test_new_events_are_scored_by_bundle_and_calibration(event_rows):
    bundle = bundle_of(BOTTLENECK, event_rows)
    losses = JetScorer(bundle, 64).table(event_rows)
    calibration = Calibration.fit(losses, Score())
    whole = calibration.scores(losses)
    again = EventScorer(bundle, Calibration.from_dict(calibration.as_dict())).table(event_rows)
    assert again.schema == whole.schema
    part = EventScorer(bundle, calibration).table(event_rows.slice(5, 7))
    assert isinstance(part, pa.Table)
    for name in ("score", "control_tau21", "control_mass"):
        np.testing.assert_allclose(again[name].to_numpy(), whole[name].to_numpy(), rtol=1e-4)
        np.testing.assert_allclose(
            part[name].to_numpy(), whole[name].to_numpy()[5:12], rtol=1e-4, atol=1e-5
        )
