"""Where a run comes from: digests of its inputs, and what its stages took."""

from __future__ import annotations

import hashlib
import io
import threading
import time

import pytest

from raybead.commands.overview import show_run
from raybead.config import ParquetSource, dump_job, parse_job
from raybead.console import Console
from raybead.errors import InputError
from raybead.events import EventSample
from raybead.events import sample as samples
from raybead.report import write_report
from raybead.report.provenance import Provenance
from raybead.storage import JOB, MANIFEST, Folder, Stage


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


def sample_in(tmp_path, **contents):
    for name, content in contents.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
    files = [ParquetSource(source="parquet", path=str(tmp_path / f"{name}.parquet"))
             for name in contents]  # fmt: skip
    return EventSample(tuple(files))


def test_a_file_that_cannot_be_read_has_no_digest_and_a_reason(tmp_path, monkeypatch):
    sample = sample_in(tmp_path, gone=b"g", torn=b"t", whole=b"w")
    (tmp_path / "gone.parquet").unlink()
    opened = samples.open_input

    class Torn(io.BytesIO):
        def read(self, _=-1):
            raise OSError(5, "Input/output error")

    def open_torn(path):
        return Torn(b"t") if "torn" in path else opened(path)

    monkeypatch.setattr(samples, "open_input", open_torn)
    with sample.inputs_meanwhile() as inputs:
        gone, torn, whole = inputs()
    assert (gone["bytes"], gone["sha256"]) == (None, None)
    assert "no such file" in gone["unread"]
    assert (torn["bytes"], torn["sha256"]) == (1, None)
    assert "Input/output error" in torn["unread"]
    assert whole == {"path": str(tmp_path / "whole.parquet"), "bytes": 1,
                     "sha256": hashlib.sha256(b"w").hexdigest()}  # fmt: skip
    run = Folder.at(str(tmp_path / "run"))
    depends = {"data": [{"path": gone["path"], "fingerprint": "0a1b"}]}
    stage(run, {"inputs": [gone, torn, whole]}, depends)
    (told,) = Provenance.read(run, ("events/background",)).inputs
    assert (told.size, told.sha256, told.fingerprint) == (None, None, "0a1b")


def test_a_stage_that_fails_waits_for_no_digest(tmp_path, monkeypatch):
    sample, slow, go_on = sample_in(tmp_path, a=b"a"), [], threading.Event()

    class Endless(io.BytesIO):
        def read(self, _=-1):
            slow.append(threading.current_thread())
            assert go_on.wait(10)  # of a store that hangs
            return b"a"

    monkeypatch.setattr(samples, "open_input", lambda _: Endless(b"a"))
    started = time.monotonic()

    def fail():
        with sample.inputs_meanwhile():
            while not slow:
                time.sleep(0.01)
            raise InputError("row 7")

    with pytest.raises(InputError, match="row 7"):
        fail()
    assert time.monotonic() - started < 5
    go_on.set()
    slow[0].join(5)
    assert not slow[0].is_alive()  # nor does it read on to the end
    assert len(slow) == 1


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


def test_events_that_both_samples_read_are_told_of(job, make_run, make_result, tmp_path, capsys):
    run = make_run(make_result(), truth=False, epochs=1)
    for name, rows in (("background", {"stop": 500}), ("search", {"start": 400})):
        held = run / f"events/{name}"
        data = [{"path": "/a.h5", "fingerprint": "0a1b", **rows}]
        held.write_json(MANIFEST, held.read_json(MANIFEST) | {"depends": {"data": data}})
    told = "background and search read the same events, 100 of /a.h5 (rows 400 to 499)"
    assert f"<p>Note: {told}.</p>" in write_report(job, run, Folder.at(str(tmp_path))).decode()
    run.write(JOB, dump_job(job).encode())
    show_run(run, Console())
    assert f"note: {told}" in capsys.readouterr().out.splitlines()
    held = run / "events/search"
    held.write_json(MANIFEST, held.read_json(MANIFEST) | {"current": False})
    show_run(run, Console())
    assert "note: " not in capsys.readouterr().out
