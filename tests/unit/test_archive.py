"""Runs as lines of text: what goes comes back, and nothing else gets in."""

import base64
import gzip
import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybead.errors import RunError, StorageError
from raybead.storage import Folder, Receiver, fetch, pack
from raybead.storage.archive import SIGN
from raybead.storage.fetched import FETCHED, safe_name


@pytest.fixture
def run(tmp_path):
    """A small run: a file larger than a line, an empty one, events, and unfinished work."""
    folder = Folder.at(str(tmp_path / "there" / "small"))
    for name, content in {
        "job.toml": b"name = 'small'",
        "report.html": np.random.default_rng(1).bytes(256_000),
        "model/weights.safetensors": hashlib.sha256(b"w").digest() * 5000,
        "model/empty": b"",
        "events/search/rows.parquet": b"rows",
        "sweep/jets-1/events/search/rows.parquet": b"rows",
        ".partial/model-1/state.pt": b"half",
        "model/.metrics.json.1.tmp": b"half",
    }.items():
        folder.write(name, content)
    return folder


def received(lines, limit=2**24):
    receiver = Receiver(limit)
    for line in lines:
        receiver.take(line)
    return receiver


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_packed_comes_back(run, into):
    lines = list(pack(run, events=False))
    assert len(lines) > 4  # several pieces
    noisy = ["2026-11-22 a log of its own", *(x for line in lines for x in (line, "noise"))]
    facts = received(noisy).unpack(into)
    whole = {name: run.read(name) for name in run.files()}
    kept = {"job.toml", "report.html", "model/weights.safetensors", "model/empty"}
    assert contents(into) == {name: whole[name] for name in kept}
    assert (facts.files, facts.content) == (4, sum(len(whole[name]) for name in kept))


def test_events_come_where_they_are_asked_for(run, into):
    received(pack(run, events=True)).unpack(into)
    assert {n for n in contents(into) if "events" in n} == {
        "events/search/rows.parquet",
        "sweep/jets-1/events/search/rows.parquet",
    }


def test_what_is_too_large_or_no_run_is_refused(run, tmp_path):
    with pytest.raises(
        RunError, match=r"416\.0 kB are more than .* \(1\.0 kB\); give output as a"
    ):
        list(pack(run, events=False, limit=1024))
    with pytest.raises(RunError, match="no run of raybead there"):
        list(pack(Folder.at(str(tmp_path / "nowhere")), events=False))


def test_a_log_that_lost_something_is_refused(run, into):
    lines = list(pack(run, events=False))
    first = lines[1]  # whole, so without padding
    for broken, says in {
        "lost": (lines[:2] + lines[3:], "lost, or out of order"),
        "twice": (lines[:2] + lines[1:], "lost, or out of order"),
        "no end": (lines[:-1], "without its end"),
        "nothing": ([], "without its end"),
        "other bytes": ([lines[0], first[:-8] + "AAAAAAAA", *lines[2:]], "SHA-256"),
        "no base64": ([lines[0], first[:-8] + "!" * 8, *lines[2:]], "isn't base64"),
        "after its end": ([*lines, lines[1]], "lost, or out of order"),
    }.values():
        with pytest.raises(StorageError, match=says):
            received(broken).unpack(into)
    assert contents(into) == {}


def announced(packed, members, /, **changes):
    """Lines of an archive somebody made, who knows what is checked."""
    facts = {
        "files": len(members),
        "content": sum(member.size for member, _ in members),
        "tar": len(gzip.decompress(packed)),
        "packed": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    text = base64.b64encode(packed).decode()
    return [f"{SIGN} {json.dumps(facts | changes)}", f"{SIGN} 0 {text}", f"{SIGN} end"]


def made(*members):
    """A packed tar of (name, what it holds, changes of the member)."""
    plain, inside = io.BytesIO(), []
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content, changes in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in changes.items():
                setattr(member, key, value)
            inside.append((member, content))
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue()), inside


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
HOSTILE = {
    "absolute": (("/tmp/owned", b"x", {}),),
    "above": (("../owned", b"x", {}),),
    "above, within": (("model/../../owned", b"x", {}),),
    "a drive's": (("C:owned", b"x", {}),),
    "another system's": (("..\\owned", b"x", {}),),
    "hidden": ((".bashrc", b"x", {}),),
    "the mark of what was fetched": ((FETCHED, b"x", {}),),
    "nothing between slashes": (("model//owned", b"x", {}),),
    "a line's end": (("model\nowned", b"x", {}),),
    "a symbolic link": (("model/link", b"", LINK),),
    "a file through a link": (("model", b"", LINK | {"linkname": "/tmp"}), ("model/x", b"x", {})),
    "a hard link": (("a", b"x", {}), ("b", b"", {"type": tarfile.LNKTYPE, "linkname": "a"})),
    "a device": (("null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),),
    "a pipe": (("pipe", b"", {"type": tarfile.FIFOTYPE}),),
    "a folder": (("folder", b"", {"type": tarfile.DIRTYPE}),),
    "twice": (("a", b"x", {}), ("a", b"y", {})),
    "twice, but for case": (("a/b", b"x", {}), ("A/B", b"y", {})),
    "a file and a folder": (("a", b"x", {}), ("a/b", b"y", {})),
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(members, tmp_path, into):
    target = into / "run"
    with pytest.raises(StorageError) as refused:
        fetch(target, "test", received(announced(*made(*members))).unpack)
    assert len(str(refused.value).splitlines()) == 1
    assert not target.exists()  # not even the half of it
    assert list(into.iterdir()) == []
    assert not (tmp_path / "owned").exists()


def test_an_archive_is_held_to_what_it_said(into):
    packed, inside = made(("a", b"x" * 1000, {}), ("b", b"y", {}))
    received(announced(packed, inside)).unpack(into)  # as it is, it is taken
    assert contents(into) == {"a": b"x" * 1000, "b": b"y"}
    for changes, says in (
        ({"content": 1000}, "more than it was said to"),
        ({"files": 1}, "more than it was said to"),
        ({"content": 1002}, "less than it was said to"),
        ({"files": 3}, "less than it was said to"),
        ({"packed": len(packed) - 1}, "larger than it was said"),
        ({"tar": 512}, "larger than it was said"),
        ({"tar": 10**9}, "far larger than its files"),
        ({"content": 2**30}, "larger than 16.8 MB"),
        ({"packed": 2**30}, "larger than 16.8 MB"),
        ({"files": -1}, "doesn't say what it is"),
        ({"files": True}, "doesn't say what it is"),
        ({"sha256": None}, "doesn't say what it is"),
        ({"more": 1}, "doesn't say what it is"),
    ):
        folder = into / str(len(list(into.iterdir())))
        folder.mkdir()
        with pytest.raises(StorageError, match=says):
            received(announced(packed, inside, **changes)).unpack(folder)


def test_a_bomb_does_not_go_off(into):
    """Gigabytes of zeros are a few kB when packed; what was announced bounds what comes out."""
    packed, inside = made(("a", b"\0" * 50_000_000, {}))
    assert len(packed) < 100_000
    lines = announced(packed, inside, content=1000, tar=10240)
    with pytest.raises(StorageError, match="larger than it was said"):
        received(lines).unpack(into)
    assert contents(into) == {}


def test_what_is_said_bounds_what_comes_out(into):
    """Millions of files that aren't there would leave room for gigabytes of headers."""
    packed, inside = made(("a", b"\0" * 50_000_000, {}))
    lines = announced(packed, inside, content=1000, files=10**9, tar=51_000_000)
    with pytest.raises(StorageError, match="more than 20,000 files"):
        received(lines)
    assert contents(into) == {}


def test_no_archive_at_all_is_refused(into):
    packed = gzip.compress(b"no tar at all" * 100)
    facts = {"files": 0, "content": 0, "tar": 1300}
    with pytest.raises(StorageError, match="can't be unpacked"):
        received(announced(packed, [], **facts)).unpack(into)
    junk = b"no gzip"
    lines = announced(packed, [], **facts, packed=7, sha256=hashlib.sha256(junk).hexdigest())
    lines[1] = f"{SIGN} 0 {base64.b64encode(junk).decode()}"
    with pytest.raises(StorageError, match="can't be unpacked"):
        received(lines).unpack(into)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_names_that_pass_stay_inside(name):
    from pathlib import PurePosixPath, PureWindowsPath

    try:
        safe_name(name)
    except StorageError:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(name)
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts


def test_what_was_not_fetched_is_left_alone(into):
    target = into / "run"
    target.mkdir()
    (target / "job.toml").write_text("precious")

    def fill(folder):
        (folder / "job.toml").write_text("new")

    with pytest.raises(RunError, match="wasn't fetched; fetch to another folder"):
        fetch(target, "test", fill)
    assert contents(into) == {"run/job.toml": b"precious"}
    (into / "link").symlink_to(target)
    with pytest.raises(RunError, match="wasn't fetched"):
        fetch(into / "link", "test", fill)
    fetch(into / "other", "test", fill)
    (into / "other" / "old").write_text("of the first time")
    fetch(into / "other", "test", fill)
    assert set(contents(into / "other")) == {"job.toml", FETCHED}

    def fails(folder):
        fill(folder)
        raise StorageError("cut off")

    with pytest.raises(StorageError, match="cut off"):
        fetch(into / "other", "test", fails)
    assert set(contents(into / "other")) == {"job.toml", FETCHED}
    assert sorted(path.name for path in into.iterdir()) == ["link", "other", "run"]
