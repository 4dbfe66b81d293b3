"""What files of every kind are said to be."""

import subprocess
import sys

import awkward as ak
import h5py
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
        "a row can't be an event: row 1 (line 3): cell 7: negative pT, -3",
        "1 events have no particle at all",
        "no event has two such jets: look at units, and at [jets] min_pt",
        "some weights are negative",
    ]


@pytest.mark.parametrize("packed", ["lhco", "csv", "parquet"])
def test_the_first_bad_row_is_told_with_its_reason(tmp_path, monkeypatch, packed):
    monkeypatch.setattr("raybead.commands.inspection.SAMPLE", 3)
    path = tmp_path / f"bad.{packed}"
    if packed == "lhco":
        rows = np.zeros((9, 2100))
        rows[:, :6] = 500, 0.1, 0, 400, -0.1, 3
        rows[[4, 5], 1] = np.nan
        with h5py.File(path, "w") as file:
            file["df/block0_values"] = rows
        reason = "row 4: NaN or infinity"
    elif packed == "csv":
        lines = ["1,5,0.1,0"] * 9
        lines[4] = lines[5] = "1,5,nan,0"
        path.write_text("\n".join(lines))
        reason = "row 4 (line 5): cell 3: NaN or infinity"
    else:
        pt = [[500.0, 400.0]] * 4 + [[np.nan, 400.0]] * 2 + [[500.0, 400.0]] * 3
        ak.to_parquet(
            ak.Array({"pt": pt, "eta": [[0.1, -0.1]] * 9, "phi": [[0.0, 3.0]] * 9}), path
        )
        reason = "row 4: NaN or infinity in pt"
    _, found = said(path, everything=True)
    assert found.odd[0] == (
        f"2 rows can't be events, the first of them: {reason};"
        " a job refuses them unless bad_rows = 'drop'"
    )


def test_lines_for_a_job_file_are_a_section_with_a_resolved_path(tmp_path, capfd):
    (tmp_path / "inside").mkdir()
    write_lhco(tmp_path / "a.h5", [make_particles(8, seed=4)], 8, "none")
    (tmp_path / "bkg_train_herwig.csv").write_text("1,5,0.1,0\n")
    with pytest.raises(SystemExit) as ended:
        main(["inspect", f"{tmp_path}/inside/../*.*"])
    assert ended.value.code == 0
    told = capfd.readouterr().out
    assert (
        f'[data.search]  # or [data.background]\nsource = "lhco"\npath = "{tmp_path}/a.h5"' in told
    )
    assert '[data.background]\nsource = "bead_csv"\n' in told
    assert "what" in told.splitlines()[2]


def test_fastjet_says_nothing_of_itself_where_results_are_read(tmp_path):
    write_lhco(tmp_path / "a.h5", [make_particles(8, seed=4)], 8, "none")
    # A process of its own: fastjet would say it once.
    command = [sys.executable, "-m", "raybead", "inspect", str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "8 events" in done.stdout
    assert "FastJet" not in done.stdout + done.stderr


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
