"""Training the learned distance, and its bundle."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from jet_clouds import clouds_of

from raybead.config import Emd, Jets
from raybead.errors import RunError
from raybead.events import event_table, make_jets, table_bytes
from raybead.graphs.clouds import Clouds
from raybead.models.emd_bundle import EmdBundle
from raybead.models.emd_network import EmdNetwork
from raybead.preparing import make_pairs, pool_of
from raybead.storage import Folder
from raybead.training.emd import EmdTrainer, JetPairs, agreement, measured, split_of

CONFIG = Emd(
    pairs=160, nodes=8, validation=0.2, test=0.2, widths=(8, 12, 16), head=32, epochs=4,
    batch_pairs=16, patience=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    from made import make_particles

    folder = Folder.at(str(tmp_path_factory.mktemp("events")))
    rows = event_table(make_jets(make_particles(60, seed=3), Jets()))
    folder.write("rows.parquet", table_bytes(rows))
    return make_pairs(pool_of(folder, CONFIG, 1), CONFIG, 1, 0)


@pytest.fixture
def make_trainer(table):
    def make():
        torch.manual_seed(5)
        split = split_of(table.column("side").to_pylist())
        return EmdTrainer(EmdNetwork(CONFIG), JetPairs.of(table), split, CONFIG, seed=5)

    return make


def test_pairs_are_the_tables_in_any_chunks(table):
    chunked = pa.concat_tables([table.slice(0, 50), table.slice(50)])
    pairs = JetPairs.of(chunked)
    for number in (0, 49, 50, 159):
        row = table.slice(number, 1).to_pylist()[0]
        picked = pairs.select(torch.tensor([number]))
        for jet, clouds in ((1, picked.ours), (2, picked.theirs)):
            assert clouds.pt_N.tolist() == row[f"pt{jet}"]
            assert clouds.phi_N.tolist() == row[f"phi{jet}"]
        assert float(picked.emd_B) == pytest.approx(row["emd"], abs=1e-6)


def test_training_brings_it_nearer_and_a_resumed_one_ends_alike(make_trainer, table, tmp_path):
    whole = make_trainer()
    records = list(whole.epochs())
    assert records[-1].train < 0.9 * records[0].train
    broken = make_trainer()
    next(broken.epochs())
    torch.save(broken.state(), tmp_path / "state.pt")
    resumed = make_trainer()
    resumed.restore(torch.load(tmp_path / "state.pt"))
    list(resumed.epochs())
    assert resumed.progress.history == whole.progress.history
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    found = measured(whole.model.eval(), JetPairs.of(table))
    held_out = table.append_column("learned", [found["learned"]]).append_column(
        "sliced", [found["sliced"]]
    )
    result = agreement(held_out)
    assert result["all"]["learned"]["pearson"] > 0.99
    assert result["equal"]["learned"]["pearson"] is None
    assert result["equal"]["learned"]["rms"] < 1e-6
    assert json.loads(json.dumps(result)) == result


def test_agreement_is_that_of_the_textbook():
    held_out = pa.table(
        {
            "kind": ["copy", "copy", "random", "random"],
            "emd": [0.01, 0.1, 0.2, 0.4],
            "learned": [0.02, 0.1, 0.22, 0.38],
            "sliced": [0.01, 0.1, 0.2, 0.4],
        }
    )
    found = agreement(held_out)["all"]
    assert found["learned"]["bias"] == pytest.approx(0.0025)
    assert found["learned"]["rms"] == pytest.approx(np.sqrt((1e-4 + 4e-4 + 4e-4) / 4))
    assert found["learned"]["relative"] == pytest.approx(np.sqrt((0.1**2 + 0.05**2) / 3))
    assert found["learned"]["spearman"] == pytest.approx(1.0)
    assert found["sliced"]["rms"] == 0


def test_a_bundle_comes_back_whole_and_carries_gradients(tmp_path):
    folder = Folder.at(str(tmp_path / "emd"))
    torch.manual_seed(0)
    network = EmdNetwork(CONFIG)
    EmdBundle(CONFIG, network.state_dict(), {"epochs": 4}).save(folder)
    bundle = EmdBundle.load(folder)
    assert (bundle.config, bundle.summary) == (CONFIG, {"epochs": 4})
    loaded = bundle.model()
    ours, theirs = (clouds_of([7, 9], seed, dtype=torch.float32) for seed in (1, 2))
    columns = [x.clone().requires_grad_() for x in (ours.pt_N, ours.eta_N, ours.phi_N)]
    found = loaded(Clouds(*columns, ours.ptr), theirs)
    assert torch.equal(found, network(ours, theirs))
    for grad in torch.autograd.grad(found.sum(), columns):
        assert grad.isfinite().all()
        assert grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f.remove("bundle.json"), "no learned energy mover's distance in it"),
        (lambda f: f.write("weights.safetensors", b"cut"), "not a whole one"),
        (lambda f: f.write_json("bundle.json", {"graph": {}}), "not a whole one"),
        (lambda f: f.write_json("bundle.json", {"emd": {"width": 3}, "summary": {}}), "not a"),
        (lambda f: f.write_json("bundle.json", {"emd": {"head": 3}, "summary": {}}), "don't fit"),
    ],
)
def test_half_a_bundle_is_refused_in_a_line(tmp_path, spoil, says):
    folder = Folder.at(str(tmp_path / "emd"))
    EmdBundle(CONFIG, EmdNetwork(CONFIG).state_dict(), {}).save(folder)
    spoil(folder)
    with pytest.raises(RunError, match=says) as caught:
        EmdBundle.load(folder).model()
    assert len(str(caught.value).splitlines()) == 1
