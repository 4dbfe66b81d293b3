"""Where a run comes from: digests of its inputs, and what its stages took."""

from __future__ import annotations

import hashlib

from raybead.config import parse_job
from raybead.events import EventSample
from raybead.events import sample as samples
from raybead.report.provenance import Provenance
from raybead.storage import MANIFEST, Folder, Stage


def stage(run: Folder, facts: dict, depends: dict) -> Stage:
    made = Stage(run, "events/background", depends)
    made.beside.make()
    made.finish({"seconds": 3.5, **facts})
    return made


def test_files_are_told_with_their_digests(lhco_files, tmp_path, monkeypatch):
    path = lhco_files["background"]
    text = f"""
        name = "x"
        [data.background]
        source = "lhco"
        path = "{path}"
        [data.search]
        source = "lhco"
        path = "{lhco_files["search"]}"
    """
    sample = EventSample.of(parse_job(text).data.background, "background")
    content = path.read_bytes()
    wanted = {"path": str(path), "bytes": len(content),
              "sha256": hashlib.sha256(content).hexdigest()}  # fmt: skip
    assert sample.inputs() == [wanted]
    run = Folder.at(str(tmp_path / "run"))
    stage(run, {"inputs": sample.inputs()}, {"data": sample.depends()})
    (told,) = Provenance.read(run, ("events/background", "model")).inputs
    assert (told.sample, told.path, told.size, told.sha256) == ("background", *wanted.values())
    monkeypatch.setattr(samples, "DIGESTED_AT_MOST", len(content) - 1)
    assert sample.inputs() == [{**wanted, "sha256": None}]


def test_runs_that_kept_no_digests_tell_fingerprints(tmp_path):
    run = Folder.at(str(tmp_path / "run"))
    data = [{"path": "/a.h5", "fingerprint": "0a1b", "labels": "/k", "labels_fingerprint": "2c"},
            {"source": "pythia", "seed": 1}]  # fmt: skip
    stage(run, {}, {"data": data})
    found = Provenance.read(run, ("events/background",)).inputs
    assert [(one.path, one.size, one.sha256, one.fingerprint) for one in found] == [
        ("/a.h5", None, None, "0a1b"), ("/k", None, None, "2c"),
    ]  # fmt: skip


def test_costs_are_of_what_a_stage_now_holds(tmp_path):
    run = Folder.at(str(tmp_path / "run"))
    made = stage(run, {}, {"data": []})
    measured = {"cpu_seconds": 7200.0, "peak_rss_bytes": 5}
    for key, hours in ((made.key, 2.0), ("of another", None)):
        run.write_json("profile.json", {"stages": {"events/background": {"key": key, **measured}}})
        found = Provenance.read(run, ("events/background",))
        assert [(cost.stage, cost.seconds, cost.cpu_hours) for cost in found.costs] == [
            ("events/background", 3.5, hours)
        ]
        assert found.is_profiled == (hours is not None)
    run.write("profile.json", b"{nothing")
    assert not Provenance.read(run, ("events/background",)).is_profiled
    assert (run / "events/background").exists(MANIFEST)
