"""An enriched background: whole events of three generators at once, from CSV to scores."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import make_particles

from raybead.config import Jets, parse_job
from raybead.console import Console
from raybead.events import make_jets
from raybead.models import Bundle
from raybead.pipeline import execute
from raybead.storage import stage_facts

pytestmark = pytest.mark.usefixtures("cluster")

JOB = """
name = "generators"
output = "{folder}/runs"
[data.background]
source = "bead_csv"
path = "{folder}/csv"
[data.search]
source = "bead_csv"
path = "{folder}/csv"
[jets]
leading = 3
[graph]
preset = "bead-4momentum-btag"
level = "event"
jets = 3
nodes = 10
[model]
preset = "conv-planar-vae"
encoder = [[8, 8]]
head = [16]
decoder = [16]
latent = 4
[[loss]]
kind = "mse"
[[loss]]
kind = "flow-kl"
weight = 1e-3
[[loss]]
kind = "supcon"
weight = 0.1
[train]
epochs = 2
batch_items = 32
max_events = 60
workers = 2
[[train.anneal]]
target = "loss.supcon.weight"
kind = "constant-pace"
start = 0.0
end = 0.1
epochs = 1
[score]
workers = 1
of = {{ loss = 1.0, mahalanobis = 1.0, flow-likelihood = 0.5 }}
store = ["latent"]
"""


def write_csv(path, n_events, seed, signal=0.0):
    """Made events as BEAD's CSV, weights counting up from one."""
    found = make_jets(make_particles(n_events, seed=seed, signal=signal), Jets())
    parts = found.constituents
    lines = ["evtwt, met, metphi, njets, npart, isbtagged, pid,pt,eta,phi"]
    for event in range(len(found.particles)):
        cells = [1 + event, 5, 0.5, 2]
        for jet in (2 * event, 2 * event + 1):
            inside = slice(parts.offsets[jet], parts.offsets[jet + 1])
            rows = np.stack([parts.pt, parts.eta, parts.phi], axis=1)[inside]
            cells += [len(rows), jet % 2, *(cell for row in rows for cell in (211, *row))]
        lines.append(",".join(str(cell) for cell in cells))
    path.write_text("\n".join(lines) + "\n")


def test_every_generator_is_trained_on_and_known_by_name(tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    for seed, generator in enumerate(("herwig", "pythia", "sherpa")):
        write_csv(folder / f"bkg_train_{generator}.csv", 40, seed)
        write_csv(folder / f"bkg_test_{generator}.csv", 20, 10 + seed)
    write_csv(folder / "sig_test_w.csv", 10, 20, signal=1.0)
    run = execute(parse_job(JOB.format(folder=tmp_path)), "score", Console(quiet=True))
    assert stage_facts(run, "events/background")["cutflow"]["written"] == 120
    summary = Bundle.load(run / "model").summary
    assert summary["generators"] == {"herwig": 20, "pythia": 20, "sherpa": 20}
    assert summary["workers"] == 2
    first, last = (run / "model").read_json("metrics.json")["history"]
    assert [epoch["annealed"]["loss.supcon.weight"] for epoch in (first, last)] == [0.0, 0.1]
    assert first["train_terms"].keys() == {"mse", "flow-kl", "supcon"}
    assert first["train"] < last["train"]  # which weighs the contrast
    search = pq.read_table(f"{run}/events/search", partitioning=None)
    assert search.num_rows == 70
    truth = dict(zip(search["generator"].to_pylist(), search["truth"].to_pylist(), strict=True))
    assert truth == {"herwig": 0, "pythia": 0, "sherpa": 0, "w": 1}
    scores = pq.read_table(f"{run}/scores/search.parquet")
    assert scores["weight"].to_pylist() == search["weight"].to_pylist()
    assert scores["generator"].to_pylist() == search["generator"].to_pylist()
    assert np.isfinite(scores["score"].to_numpy()).all()
    assert scores["mj3"].null_count == 70  # these events have two jets
    latent = pq.read_table(f"{run}/scores/latent/search", partitioning=None)
    assert latent["event"].to_pylist() == search["event"].to_pylist()
    assert {len(row) for row in latent["latent"].to_pylist()} == {4}
