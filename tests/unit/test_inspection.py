"""What files of every kind are said to be."""

import awkward as ak
import numpy as np
import pytest
from made import make_particles

from raybead.cli import main
from raybead.commands.inspection import look_at
from raybead.config import Jets
from raybead.errors import InputError
from raybead.events import event_table, make_jets, table_bytes, write_lhco
from raybead.events.sources.names import guessed_columns


def said(path, **more):
    found = look_at(str(path), **more)
    return dict(found.rows), found


def nested(particles, name):
    sizes = np.diff(particles.offsets)
    return {
        name: ak.unflatten(
            ak.zip(
                {
                    key: np.ascontiguousarray(getattr(particles, key))
                    for key in ("pt", "eta", "phi")
                }
            ),
            sizes,
        )
    }


def test_lhc_olympics(tmp_path):
    path = tmp_path / "a.h5"
    particles = make_particles(30, seed=4, signal=0.3)
    write_lhco(path, [particles], 30, "column")
    rows, found = said(path)
    assert rows["format"] == "LHC Olympics HDF5"
    assert rows["events"] == "30"
    signal = int(particles.truth.sum())
    assert rows["label"] == f"{30 - signal} of class 0, {signal} of class 1"
    assert rows["with two jets above 200 GeV"] == "30 events"
    assert not found.odd
    assert 'source = "lhco"' in found.job


def test_own_events_and_foreign_parquet(tmp_path):
    particles = make_particles(20, seed=4)
    own, foreign = tmp_path / "own.parquet", tmp_path / "foreign.parquet"
    own.write_bytes(table_bytes(event_table(make_jets(particles, Jets()))))
    ak.to_parquet(ak.Array(nested(particles, "Particles") | {"MET": np.ones(20)}), foreign)
    rows, _ = said(own)
    assert rows["format"] == "Parquet, raybead's own events"
    assert rows["jets an event, ready-made"] == "2 to 2"
    rows, found = said(foreign)
    assert rows["format"] == "Parquet"
    assert rows["missing pT"] == "1 to 1 GeV"
    assert 'pt = "Particles.pt"' in found.job
    assert 'met = "MET"' in found.job


def test_root(tmp_path):
    uproot = pytest.importorskip("uproot")
    particles = make_particles(20, seed=4)
    with uproot.recreate(tmp_path / "a.root") as file:
        file["events"] = nested(particles, "Particle")
    rows, found = said(tmp_path / "a.root")
    assert rows["format"] == "ROOT"
    assert rows["with two jets above 200 GeV"] == "20 events"
    assert 'pt = "Particle.pt"' in found.job


def test_event_csv_and_what_is_odd_about_it(tmp_path):
    path = tmp_path / "bkg_train_herwig.csv"
    path.write_text("evtwt, met\n-1,5,0.1,0\n1,5,0.1,1,1,0,22,-3,0,0\n")
    rows, found = said(path)
    assert rows["by its name"] == "background, for training, truth 0, generator herwig"
    assert rows["events"] == "2"
    assert [line.partition(";")[0] for line in found.odd] == [
        "1 rows can't be events",
        "1 events have no particle at all",
        "no event has two such jets: look at units, and at [jets] min_pt",
        "some weights are negative",
    ]


def test_only_the_first_events_are_looked_at_unless_all_are_asked_for(tmp_path, monkeypatch):
    import raybead.commands.inspection as module

    monkeypatch.setattr(module, "SAMPLE", 8)
    write_lhco(tmp_path / "a.h5", [make_particles(20)], 20, "none")
    assert said(tmp_path / "a.h5")[0]["looked at"] == "the first 8 (--all for every one)"
    assert "looked at" not in said(tmp_path / "a.h5", everything=True)[0]


@pytest.mark.parametrize(
    ("names", "pt"),
    [
        (["pt", "eta", "phi"], "pt"),
        (["Jet_pt", "Jet_eta", "Jet_phi", "Part_pt", "Part_eta", "Part_phi"], "Part_pt"),
        ([f"jets.{x}" for x in ("pt", "eta", "phi")]
         + [f"jets.constituents.{x}" for x in ("pt", "eta", "phi")], "jets.constituents.pt"),
        (["Particle.PT", "Particle.Eta", "Particle.Phi"], "Particle.PT"),
        (["pt", "eta"], None),
    ],
)  # fmt: skip
def test_columns_are_guessed_by_their_names(names, pt):
    columns = guessed_columns(names)
    assert (columns and columns.pt) == pt


def test_what_is_no_file_of_events(tmp_path, capsys):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "junk.bin").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="neither HDF5, Parquet, ROOT nor CSV"):
        look_at(str(tmp_path / "junk.bin"))
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(tmp_path)])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "empty.csv: the file is empty" in told.out
    assert "2 of 2 files can't be read as events" in told.err
