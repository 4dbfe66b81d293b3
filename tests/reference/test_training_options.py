"""What a training keeps, begins with, and holds to."""

import os

import numpy as np
import pytest
import torch
from training_jobs import GAUSSIAN, GRAPH, MODEL, MSE, small_trainer, weights_of

from raybead.config import BceLoss, Graph, KlLoss
from raybead.errors import RunError, StorageError, TrainingError
from raybead.graphs import Scaling
from raybead.losses import JetLoss, Space
from raybead.models import Bundle, Recipe
from raybead.storage import Folder
from raybead.training import (
    keep,
    kept_epochs,
    prepare_gpu,
    reconstruction_histograms,
    start_bundle,
)
from raybead.training.determinism import CUBLAS, same_bits

KL = KlLoss(kind="kl", weight=0.1)


def bundle_of(trainer, graph=GRAPH, model=MODEL):
    scaling = Scaling.fit(graph, trainer.items.x_TF)
    return Bundle(
        Recipe(graph=graph, model=model, loss=(MSE,)), scaling, trainer.model.state_dict(), {}
    )


def test_deterministic_training_gives_the_same_bits_and_leaves_torch_as_it_was(event_rows):
    found = []

    def watched(network):
        def run(items):
            found.append(torch.are_deterministic_algorithms_enabled())
            return network(items)

        return run

    more = {"deterministic": True, "epochs": 2}
    ours, again = (
        small_trainer(event_rows, (MSE, KL), GAUSSIAN, wrap=watched, **more) for _ in "ab"
    )
    records = []
    for trainer in (ours, again):
        for record in trainer.epochs():
            assert not torch.are_deterministic_algorithms_enabled()
            records.append(record)
    assert found
    assert all(found)
    assert records[:2] == records[2:]
    assert torch.equal(weights_of(ours), weights_of(again))
    found.clear()
    next(small_trainer(event_rows, wrap=watched).epochs())
    assert not any(found)


def test_an_operation_of_other_bits_ends_in_a_line():
    place, values = torch.tensor([0, 0]), torch.tensor([1.0, 2.0])
    says = pytest.raises(TrainingError, match=r"train.deterministic: put_ does not have")
    with says as caught, same_bits(True):
        torch.zeros(3).put_(place, values)
    assert len(str(caught.value).splitlines()) == 1
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="size"), same_bits(True):
        torch.zeros(3) + torch.zeros(2)


def test_cublas_is_told_only_where_it_was_asked_for(monkeypatch):
    monkeypatch.setenv(CUBLAS, "x")  # so that it is put back
    monkeypatch.delenv(CUBLAS)
    prepare_gpu(False)
    assert CUBLAS not in os.environ
    prepare_gpu(True)
    assert os.environ[CUBLAS] == ":4096:8"


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_clipping_bounds_the_step_of_a_variational_model(event_rows, precision):
    more = {"precision": precision, "clip_norm": 1e-3, "optimizer": "sgd", "momentum": 0.0}
    trainer = small_trainer(event_rows, (MSE, KL), GAUSSIAN, learning_rate=1.0, **more)
    before = weights_of(trainer)
    trainer.model.train()
    trainer._step(trainer.split.train[:16], trainer.loss)
    assert float((weights_of(trainer) - before).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_an_epoch_is_kept_whole_or_not_at_all(event_rows, tmp_path, monkeypatch):
    folder = Folder.at(str(tmp_path / "epochs"))
    trainer = small_trainer(event_rows)
    keep(bundle_of(trainer), folder, 2)
    assert folder.names() == ["0002"]
    loaded = Bundle.load(folder / "0002").model().state_dict()
    for name, weight in trainer.model.state_dict().items():
        assert torch.equal(loaded[name], weight), name

    def full(*_):
        raise StorageError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write_json", full)
        with pytest.raises(StorageError):
            keep(bundle_of(trainer), folder, 4)
    assert not folder.exists("0004")
    keep(bundle_of(trainer), folder, 4)
    keep(bundle_of(trainer), folder, 4)  # by a try that goes on from before it
    assert folder.names() == ["0002", "0004"]
    assert kept_epochs(7, 3) == [3, 6]
    assert kept_epochs(2, 3) == kept_epochs(9, None) == []


def test_a_start_is_refused_unless_it_is_of_the_same_model_and_features(event_rows, tmp_path):
    folder = Folder.at(str(tmp_path / "model"))
    with pytest.raises(RunError, match="no model bundle"):
        start_bundle(folder, GRAPH, MODEL)
    trainer = small_trainer(event_rows)
    bundle_of(trainer).save(folder)
    found = start_bundle(folder, GRAPH, MODEL)
    assert found.scaling == Scaling.fit(GRAPH, trainer.items.x_TF)
    for graph, model, says in (
        (
            GRAPH,
            MODEL.model_copy(update={"latent": 3}),
            "its model.latent is 2, and this job's is 3",
        ),
        (GRAPH.model_copy(update={"nodes": 11}), MODEL, "its graph.nodes is 10"),
        (Graph(nodes=10, features="cartesian"), MODEL, "graph.features is 'jet-axis'"),
        (Graph(nodes=10, scaling="robust"), MODEL, "graph.scaling is 'standard'"),
    ):
        with pytest.raises(RunError, match=r"train\.start_from") as caught:
            start_bundle(folder, graph, model)
        assert says in str(caught.value)


def test_logits_are_drawn_as_what_they_stand_for(event_rows):
    graph = GRAPH.model_copy(update={"scaling": "min-max"})
    trainer = small_trainer(event_rows)
    scaling = Scaling.fit(graph, trainer.items.x_TF)
    loss = JetLoss((BceLoss(kind="bce"),), Space(graph, scaling))
    items = scaling.apply(trainer.items)
    trainer.model.eval()
    with torch.inference_mode():
        output = trainer.model(items)
    expected = scaling.invert(output.reconstruction_NF.sigmoid())[:, 0].numpy()
    found = reconstruction_histograms(trainer.model, items, scaling, loss)["pt_deta"]
    edges = np.array(found["edges"])
    counts = np.histogram(np.clip(expected, edges[0], edges[-1]), edges)[0]
    assert found["reconstruction"] == counts.tolist()
