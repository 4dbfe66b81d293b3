"""Pairs of jets with exact distances: who is paired with whom, and by what."""

import numpy as np
import pyarrow as pa
import pytest

from raybead.config import Emd, parse_job
from raybead.errors import InputError, JobError
from raybead.events import read_parquet, table_bytes
from raybead.observables import energy_movers_distance
from raybead.preparing import files_of, jet_pairs, make_pairs, pool_of
from raybead.storage import Folder

CONFIG = Emd(pairs=120, nodes=12, validation=0.2, test=0.2, copies=0.4, equal=0.2, radius=0.7)


@pytest.fixture
def events(event_rows, tmp_path):
    """Prepared events in two files."""
    folder = Folder.at(str(tmp_path / "events"))
    for number, rows in enumerate((event_rows.slice(0, 25), event_rows.slice(25))):
        folder.write(f"rows-{number}.parquet", table_bytes(rows))
    return folder


@pytest.fixture
def pairs(events):
    pool = pool_of(events, CONFIG, seed=4)
    return make_pairs(pool, CONFIG, 4, 0)


def columns_of(row, jet):
    return tuple(np.array(row[f"{name}{jet}"]) for name in ("pt", "eta", "phi"))


def test_distances_are_of_the_rows_and_kinds_are_what_they_say(pairs):
    assert len(pairs) == 120
    shares = {}
    for row in pairs.to_pylist():
        ours, theirs = columns_of(row, 1), columns_of(row, 2)
        sizes = [np.array([0, len(jet[0])]) for jet in (ours, theirs)]
        exact = energy_movers_distance(*ours, sizes[0], *theirs, sizes[1], radius=0.7)
        assert row["emd"] == pytest.approx(float(exact[0]), abs=1e-12)
        shares.setdefault(row["kind"], []).append(row["emd"])
        assert len(ours[0]) <= 12
        centroid = [(ours[0] @ x) / ours[0].sum() for x in ours[1:]]
        assert np.abs(centroid).max() < 1e-5
        if row["kind"] == "equal":
            assert sorted(zip(*ours, strict=True)) == sorted(zip(*theirs, strict=True))
            assert row["emd"] < 1e-12
        if row["kind"] == "copy":
            assert 1 <= len(theirs[0]) <= len(ours[0])
    assert {kind: len(of) for kind, of in shares.items()} == pytest.approx(
        {"copy": 48, "equal": 24, "random": 48}, abs=20
    )
    assert min(shares["random"]) > 0
    assert 0 < np.median(shares["copy"]) < np.median(shares["random"]) * 2


def test_jets_of_an_event_lie_on_one_side(pairs, events):
    """No jet that is held out, nor the other of its event, is trained on."""
    rows = [
        row
        for name in events.names(".parquet")
        for row in read_parquet(events.read(name), name).to_pylist()
    ]
    event_of = {
        round(float(np.float32(jet[0]["pt"])), 3): row["event"]
        for row in rows
        for jet in row["constituents"]
    }
    sides = {}
    for row in pairs.to_pylist():
        jets = (1, 2) if row["kind"] == "random" else (1,)
        for jet in jets:
            event = event_of[round(max(row[f"pt{jet}"]), 3)]
            sides.setdefault(event, set()).add(row["side"])
    assert len(sides) > 20
    assert all(len(of) == 1 for of in sides.values())


def test_the_cutting_up_decides_nothing(events):
    config = CONFIG.model_copy(update={"pairs": 1100})
    pool = pool_of(events, config, seed=4)
    assert [name[:23] for name in files_of(config)] == [
        "pairs-00000000-00000500", "pairs-00000500-00001000", "pairs-00001000-00001100",
    ]  # fmt: skip
    whole = pa.concat_tables([make_pairs(pool, config, 4, file) for file in range(3)])
    assert whole.column("pair").to_pylist() == list(range(1100))
    assert make_pairs(pool, config, 4, 1).equals(whole.slice(500, 500))
    assert not make_pairs(pool, config, 5, 1).equals(whole.slice(500, 500))


def test_merging_and_losing_keep_what_they_should():
    rng = np.random.default_rng(0)
    jet = jet_pairs.Jet(np.array([5.0, 1.0, 3.0]), np.array([0, 0.1, 0.9]), np.zeros(3))
    merged = jet_pairs._merged(jet, np.array([True, True, False]))
    np.testing.assert_allclose(merged.pt, [6.0, 3.0])
    np.testing.assert_allclose(merged.eta, [0.1 / 6, 0.9])
    every = Emd(lost=1.0, merged=1.0)
    assert all(len(jet_pairs.perturbed(jet, every, rng).pt) >= 1 for _ in range(50))
    still = Emd(lost=0, merged=0, smear=0, momentum_noise=0)
    same = jet_pairs.perturbed(jet, still, rng)
    assert all(np.array_equal(a, b) for a, b in zip(same, jet, strict=True))


def test_too_little_background_and_bad_shares_are_said(events):
    with pytest.raises(InputError, match="60 events are too few"):
        pool_of(events, Emd(pairs=100, validation=0.001), seed=0)
    text = """
name = "x"
[data.background]
source = "pythia"
events = 9
[data.search]
source = "pythia"
events = 9
seed = 5
[emd]
copies = 0.8
equal = 0.3
"""
    with pytest.raises(JobError, match="emd: copies and equal are shares of one whole"):
        parse_job(text)
