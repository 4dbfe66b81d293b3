"""Downloads: what should come, comes; what is cut, goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zenodo import BOX, CONTENT, KEY, Answer, names_in, serving

import raybead
from raybead.cli import main
from raybead.config import ZENODO_API, Download
from raybead.errors import DownloadError, JobError
from raybead.events import LHCO_FILES
from raybead.events.records import find_file
from raybead.storage import download, size_text
from raybead.storage.web import Again, Patience, _asked


def fetch(zenodo, folder, **how):
    """Fetch the key by the library; what was said."""
    said: list[str] = []
    patient = Download(**{"wait": 0.0, "tries": 3, **how})
    download(zenodo.remote(), folder, patient, lambda *_: None, said.append)
    return said


# What should come, comes.


def test_files_come_whole_by_short_name_or_file_name(downloaded, zenodo, tmp_path):
    code, out, err = downloaded("blackbox1-key", BOX, "blackbox1")
    assert (code, err) == (0, "")
    assert f"{tmp_path}/data/{KEY}: 200.0 kB, md5 right\n" in out
    assert names_in(tmp_path / "data") == sorted([KEY, BOX])
    assert (tmp_path / "data" / KEY).read_bytes() == CONTENT
    assert (tmp_path / "data" / BOX).read_bytes() == CONTENT[::-1]
    assert zenodo.records_asked == 1
    assert zenodo.sent == 2 * len(CONTENT)


def test_a_whole_file_is_kept_and_said_so(downloaded, zenodo, tmp_path):
    downloaded("blackbox1-key")
    before = (tmp_path / "data" / KEY).stat().st_mtime_ns
    code, out, _ = downloaded("blackbox1-key")
    assert code == 0
    assert "there already, kept" in out
    assert (tmp_path / "data" / KEY).stat().st_mtime_ns == before
    assert zenodo.sent == len(CONTENT)


@pytest.mark.parametrize("kind", ["sha256", "sha512", "MD5"])
def test_other_checksums_are_checked_too(downloaded, zenodo, kind):
    zenodo.checksums[KEY] = f"{kind}:{hashlib.new(kind.lower(), CONTENT).hexdigest().upper()}"
    assert downloaded("blackbox1-key")[0] == 0


def test_an_empty_file_is_a_file(downloaded, zenodo, tmp_path):
    zenodo.files[KEY] = b""
    assert downloaded("blackbox1-key")[0] == 0
    assert names_in(tmp_path / "data") == [KEY]


def test_without_a_name_the_names_are_listed(downloaded, zenodo):
    code, out, _ = downloaded()
    assert code == 0
    for name, file in LHCO_FILES.items():
        assert name in out
        assert file.key in out
        assert str(file.record) in out
    assert zenodo.records_asked == 0


def test_the_api_may_come_from_the_environment(zenodo, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYBEAD_RECORD_API", f"{zenodo.api}/")
    with suppress(SystemExit):
        main(["download", "blackbox1-key", "--to", str(tmp_path)])
    assert (tmp_path / KEY).read_bytes() == CONTENT


def test_links_may_be_relative(downloaded, zenodo, monkeypatch):
    record = zenodo.record()
    record["files"][0]["links"]["self"] = f"/content/{KEY}"
    monkeypatch.setattr(zenodo, "record", lambda: record)
    assert downloaded("blackbox1-key")[0] == 0


# What is cut, goes on.


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_connection_goes_on_where_it_stopped(zenodo, tmp_path, reset):
    zenodo.answers.extend([Answer(cut_at=70_000, reset=reset), Answer(cut_at=50_000)])
    said = fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == CONTENT
    assert names_in(tmp_path) == [KEY]
    assert len(zenodo.ranges) == 3
    assert zenodo.ranges[0] is None
    assert all(asked and asked.startswith("bytes=") for asked in zenodo.ranges[1:])
    assert sum("again in" in line for line in said) == 2
    if not reset:  # after a reset, what was under way is lost
        assert zenodo.ranges[1:] == ["bytes=70000-", "bytes=120000-"]
        assert zenodo.sent == len(CONTENT)


@given(cuts=st.lists(st.integers(0, 30_000), max_size=12))
@settings(max_examples=25, deadline=None)
def test_whatever_the_cuts_no_byte_is_sent_twice(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    with serving() as server:
        server.answers.extend(Answer(cut_at=cut) for cut in cuts)
        fetch(server, folder, tries=len(cuts) + 1)
        assert (folder / KEY).read_bytes() == CONTENT
        assert server.sent == len(CONTENT)
        assert len(server.ranges) == sum(np.cumsum(cuts) < len(CONTENT)) + 1


def test_progress_makes_patience_new(zenodo, tmp_path):
    zenodo.answers.extend([Answer(status=503), Answer(cut_at=10), Answer(status=503)] * 6)
    fetch(zenodo, tmp_path, tries=4)
    assert (tmp_path / KEY).read_bytes() == CONTENT


def test_a_killed_download_is_gone_on_with(zenodo, downloaded, tmp_path):
    zenodo.answers.append(Answer(cut_at=120_000, hang=5.0))
    remote = zenodo.remote()
    script = (
        "import sys; from pathlib import Path; from raybead.config import Download;"
        "from raybead.storage import RemoteFile, download;"
        f"download(RemoteFile{(remote.name, remote.url, remote.size, remote.checksum)!r},"
        " Path(sys.argv[1]), Download(), lambda *_: None, print)"
    )
    folder = tmp_path / "data"
    part = folder / f"{KEY}.part"
    path = str(Path(raybead.__file__).parent.parent)
    victim = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == 120_000):
            assert victim.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert names_in(folder) == [part.name]
    code, out, _ = downloaded("blackbox1-key")
    assert code == 0
    assert "120.0 kB of 200.0 kB are there from before" in out
    assert zenodo.ranges == [None, "bytes=120000-"]
    assert zenodo.sent == len(CONTENT)
    assert names_in(folder) == [KEY]
    assert (folder / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("before", "answers", "ranges"),
    [
        (CONTENT[:999], [Answer(ranges=False)], ["bytes=999-"]),
        (CONTENT[:999], [Answer(shift=1)], ["bytes=999-", None]),
        (CONTENT[:999], [Answer(status=416)], ["bytes=999-", None]),
        (CONTENT + b"more", [], [None]),
        (CONTENT, [], []),
        (b"", [], [None]),
    ],
)
def test_what_lies_there_is_used_or_started_over(zenodo, tmp_path, before, answers, ranges):
    (tmp_path / f"{KEY}.part").write_bytes(before)
    zenodo.answers.extend(answers)
    said = fetch(zenodo, tmp_path)
    assert zenodo.ranges == ranges
    assert names_in(tmp_path) == [KEY]
    assert (tmp_path / KEY).read_bytes() == CONTENT
    over = bool(before) and before != CONTENT
    assert sum("started over" in line for line in said) == over


def test_an_unwilling_server_is_asked_again_later(downloaded, zenodo, tmp_path):
    zenodo.record_answers.extend([(503, b""), (500, b"")])
    zenodo.answers.extend([Answer(status=429, retry_after="0"), Answer(status=502)])
    code, out, _ = downloaded("blackbox1-key")
    assert code == 0
    assert [f"HTTP {status}" in out for status in (503, 500, 429, 502)] == [True] * 4
    assert (tmp_path / "data" / KEY).read_bytes() == CONTENT


def test_silence_counts_as_a_cut(zenodo, tmp_path):
    zenodo.answers.append(Answer(cut_at=70_000, hang=0.5))
    said = fetch(zenodo, tmp_path, timeout=0.1)
    assert "timed out" in said[0]
    assert zenodo.sent == len(CONTENT)


def test_waits_double_heed_the_server_and_have_a_bound(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    patience = Patience(Download(tries=99, wait=2, longest_wait=10), "it", lambda _: None)
    for asked in (0, 7, 0, 0, 999):
        patience.spend(Again("cut", asked))
    patience.refresh()
    patience.spend(Again("cut"))
    assert waits == [2, 7, 8, 10, 10, 2]
    assert _asked("12") == 12
    assert _asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _asked("Wed, 21 Oct 2115 07:28:00 GMT") > 1e9
    assert _asked("soon") == _asked("") == 0


# The table.


def test_names_lead_to_their_files():
    for name, file in LHCO_FILES.items():
        assert find_file(name) == find_file(file.key) == file
    with pytest.raises(JobError):
        find_file("")
    assert Download().record_api == ZENODO_API == "https://zenodo.org/api/records"
    assert len({file.key for file in LHCO_FILES.values()}) == len(LHCO_FILES)


def test_jobs_name_what_they_need():
    """The download line of a job's header fetches the very files that the job reads."""
    jobs = sorted((Path(__file__).parents[2] / "jobs").glob("lhco_*.toml"))
    told = [job for job in jobs if "raybead download" in job.read_text()]
    assert {"lhco_blackbox1.toml", "lhco_rnd.toml"} <= {job.name for job in told}
    for job in told:
        line = next(x for x in job.read_text().splitlines() if "raybead download" in x)
        names = line.partition("raybead download ")[2].split()
        data = tomllib.loads(job.read_text())["data"]
        read = {
            sample[key] for sample in data.values() for key in ("path", "labels") if key in sample
        }
        assert {f"data/{find_file(name).key}" for name in names} == read


def test_sizes_in_words():
    assert [size_text(n) for n in (0, 999, 1000, 74_300_000, 2_650_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "74.3 MB",
        "2.6 GB",
    ]


def test_giving_up_at_once_counts_one_try():
    with pytest.raises(DownloadError, match=r"it: cut; given up after 1 try$"):
        Patience(Download(tries=1), "it", lambda _: None).spend(Again("cut"))
